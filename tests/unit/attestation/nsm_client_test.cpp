// The client against answers of another form. Against a working module: software_nsm_test.cpp.
#include "enclave/nsm/nsm_client.h"

#include <gtest/gtest.h>

#include "core/base/hex.h"

namespace keymeld::nsm {
namespace {

/// Gives one fixed answer and keeps the last request.
class FixedAnswer final : public NsmTransport {
  public:
    FixedAnswer(Result<Bytes> answer, Bytes& request)
        : m_answer(std::move(answer)), m_request(request) {}
    Result<Bytes> process(ByteView request) override {
        m_request = to_bytes(request);
        return m_answer;
    }

  private:
    Result<Bytes> m_answer;
    Bytes& m_request;
};

class NsmClientTest : public testing::Test {
  protected:
    NsmClient client(std::string_view hex) {
        return NsmClient(std::make_unique<FixedAnswer>(hex_decode(hex).value(), request));
    }
    template <class T> static void unavailable(const Result<T>& result) {
        ASSERT_FALSE(result);
        EXPECT_EQ(result.error().code, Errc::AttestationUnavailable) << result.error().detail;
    }
    Bytes request;
};

constexpr auto kPcr16 = attestation::PcrIndex::of<16>();

// Requests as the driver's documentation writes them.
TEST_F(NsmClientTest, WritesTheRequestsOfTheNsmApi) {
    const auto text = [](const char* plain) { return hex_encode(as_bytes(plain)); };
    unavailable(client("f6").describe());
    EXPECT_EQ(hex_encode(request), "6b" + text("DescribeNSM"));
    unavailable(client("f6").describe_pcr(kPcr16));
    EXPECT_EQ(hex_encode(request), "a16b" + text("DescribePCR") + "a165" + text("index") + "10");
    unavailable(client("f6").extend_pcr(kPcr16, as_bytes("hello")));
    EXPECT_EQ(hex_encode(request), "a169" + text("ExtendPCR") + "a265" + text("index") + "10" +
                                       "64" + text("data") + "45" + text("hello"));
    unavailable(client("f6").lock_pcr(kPcr16));
    EXPECT_EQ(hex_encode(request), "a167" + text("LockPCR") + "a165" + text("index") + "10");
    unavailable(client("f6").lock_pcrs(32));
    EXPECT_EQ(hex_encode(request), "a168" + text("LockPCRs") + "a165" + text("range") + "1820");
    ByteArray<32> random{};
    unavailable(client("f6").get_random(random));
    EXPECT_EQ(hex_encode(request), "69" + text("GetRandom"));
    unavailable(client("f6").attest(Bytes{2}, std::nullopt, Bytes{7}));
    EXPECT_EQ(hex_encode(request), "a16b" + text("Attestation") + "a369" + text("user_data") +
                                       "f665" + text("nonce") + "4107" + "6a" + text("public_key") +
                                       "4102");
}

TEST_F(NsmClientTest, ReportsErrorsOfTheModule) {
    // {"Error":"InvalidOperation"}
    constexpr std::string_view kError = "a1654572726f7270496e76616c69644f7065726174696f6e";
    const auto described = client(kError).describe();
    unavailable(described);
    EXPECT_EQ(described.error().detail, "the NSM reports InvalidOperation");
    unavailable(client(kError).lock_pcr(kPcr16));
    unavailable(client("a1654572726f7200").describe()); // {"Error":0}
}

TEST_F(NsmClientTest, RefusesAnswersOfAnotherForm) {
    for (const char* answer : {"", "ff", "f6", "80", "a0", "00", "6b44657363726962654e534d",
                               "a16b44657363726962654e534da0", "a16b44657363726962654e534d00"}) {
        unavailable(client(answer).describe());
        unavailable(client(answer).describe_pcr(kPcr16));
        unavailable(client(answer).extend_pcr(kPcr16, {}));
        unavailable(client(answer).lock_pcr(kPcr16));
        unavailable(client(answer).lock_pcrs(1));
        unavailable(client(answer).attest(std::nullopt, std::nullopt, std::nullopt));
        ByteArray<8> random{};
        unavailable(client(answer).get_random(random));
    }
    // {"GetRandom":{"random":h''}}: would never end.
    ByteArray<8> random{};
    unavailable(client("a16947657452616e646f6da16672616e646f6d40").get_random(random));
    // {"DescribePCR":{"data":h'00',"lock":true}}: no 48 bytes.
    unavailable(
        client("a16b4465736372696265504352a264646174614100646c6f636bf5").describe_pcr(kPcr16));
}

TEST_F(NsmClientTest, PassesFailuresOfTheDeviceOn) {
    NsmClient broken(std::make_unique<FixedAnswer>(fail(Errc::Io, "gone"), request));
    const auto described = broken.describe();
    ASSERT_FALSE(described);
    EXPECT_EQ(described.error().code, Errc::Io);
}

TEST_F(NsmClientTest, BoundsWhatItSends) {
    const auto refused = [&](std::size_t key, std::size_t data, std::size_t nonce) {
        const auto document = client("f6").attest(Bytes(key), Bytes(data), Bytes(nonce));
        return !document && document.error().code == Errc::InvalidArgument;
    };
    EXPECT_TRUE(refused(1025, 0, 0));
    EXPECT_TRUE(refused(0, 513, 0));
    EXPECT_TRUE(refused(0, 0, 513));
    EXPECT_FALSE(refused(1024, 512, 512));
    Bytes random(4097);
    const auto too_many = client("f6").get_random(random);
    ASSERT_FALSE(too_many);
    EXPECT_EQ(too_many.error().code, Errc::InvalidArgument);
}

} // namespace
} // namespace keymeld::nsm
