#include "core/protocol/hello.h"

#include <gtest/gtest.h>

#include "core/protocol/enclave_link.h"
#include "core/protocol/failure.h"
#include "core/protocol/frame.h"
#include "core/protocol/message.h"

namespace keymeld::protocol {
namespace {

wire::Response good_answer() {
    wire::Response response;
    wire::HelloResult& hello = *response.mutable_hello();
    hello.set_protocol_version(1);
    hello.set_boot_id(std::string(16, 'b'));
    hello.set_key_epoch(3);
    hello.set_key_generation_time(1'700'000'000);
    hello.set_public_key(std::string(33, 'k'));
    hello.set_attestation_document("document");
    hello.set_signer_version("1.2.3");
    return response;
}

TEST(Hello, ReadsACompleteAnswer) {
    SignerHello hello;
    hello.nonce.fill(9);
    ASSERT_TRUE(read_hello(good_answer(), hello));
    EXPECT_EQ(hello.boot_id.bytes[15], 'b');
    EXPECT_EQ(hello.key_epoch, 3u);
    EXPECT_EQ(hello.key_generation_time, 1'700'000'000u);
    EXPECT_EQ(hello.public_key[32], 'k');
    EXPECT_EQ(as_text(hello.attestation_document), "document");
    EXPECT_EQ(hello.signer_version, "1.2.3");
    EXPECT_EQ(hello.nonce[0], 9);
}

TEST(Hello, RefusesAnIncompleteAnswer) {
    using Change = void (*)(wire::HelloResult&);
    for (const Change change : {Change([](wire::HelloResult& h) { h.set_boot_id(std::string(15, 'b')); }),
                                Change([](wire::HelloResult& h) { h.clear_boot_id(); }),
                                Change([](wire::HelloResult& h) { h.set_key_epoch(0); }),
                                Change([](wire::HelloResult& h) { h.set_public_key(std::string(65, 'k')); }),
                                Change([](wire::HelloResult& h) { h.clear_attestation_document(); })}) {
        wire::Response response = good_answer();
        change(*response.mutable_hello());
        SignerHello hello;
        const auto refused = read_hello(response, hello);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::MalformedFrame);
    }
}

TEST(Hello, RefusesAnotherVersionAnotherMessageAndARefusal) {
    SignerHello hello;
    wire::Response version = good_answer();
    version.mutable_hello()->set_protocol_version(2);
    EXPECT_EQ(read_hello(version, hello).error().code, Errc::ProtocolMismatch);

    wire::Response other;
    other.mutable_ping();
    EXPECT_EQ(read_hello(other, hello).error().code, Errc::MalformedFrame);

    wire::Response refusal = good_answer();
    set_failure(refusal, fail(Errc::Overloaded, "later"));
    EXPECT_EQ(read_hello(refusal, hello).error().code, Errc::Overloaded);
}

TEST(Hello, ShowsPlainTextOnly) {
    SignerHello hello;
    wire::Response response = good_answer();
    response.mutable_hello()->set_signer_version("1.0\nforged=yes");
    ASSERT_TRUE(read_hello(response, hello));
    EXPECT_EQ(hello.signer_version, "1.0");
    response.mutable_hello()->set_signer_version(std::string(1000, 'v'));
    ASSERT_TRUE(read_hello(response, hello));
    EXPECT_EQ(hello.signer_version.size(), 64u);
}

TEST(Hello, TheSignerChecksVersionAndNonce) {
    ByteArray<32> nonce{};
    wire::Request request = hello_request(7, nonce);
    EXPECT_EQ(request.id(), 7u);
    EXPECT_TRUE(check_hello(request));
    request.mutable_hello()->set_nonce(std::string(31, 'n'));
    EXPECT_EQ(check_hello(request).error().code, Errc::InvalidArgument);
    request.mutable_hello()->set_protocol_version(2);
    EXPECT_EQ(check_hello(request).error().code, Errc::ProtocolMismatch);
    request.mutable_ping();
    EXPECT_EQ(check_hello(request).error().code, Errc::MalformedFrame);
    EXPECT_EQ(check_hello(wire::Request()).error().code, Errc::MalformedFrame);
}

TEST(Message, ComesBackFromItsFrame) {
    wire::Request request;
    request.set_id(5);
    request.mutable_restore()->set_keygen_id("0123456789abcdef");
    FrameWriter writer;
    ASSERT_TRUE(append_message(writer, request));
    ASSERT_GT(writer.unsent().size(), kFrameHeader);
    wire::Request back;
    ASSERT_TRUE(parse_message(writer.unsent().subspan(kFrameHeader), back));
    EXPECT_EQ(back.SerializeAsString(), request.SerializeAsString());
}

TEST(Message, RefusesWhatIsNone) {
    wire::Request request;
    EXPECT_EQ(parse_message(Bytes{0xff, 0xff, 0xff}, request).error().code, Errc::MalformedFrame);
    EXPECT_EQ(parse_message(Bytes{0x52, 0x7f, 0x01}, request).error().code, Errc::MalformedFrame); // cut off
    FrameWriter writer(20);
    EXPECT_EQ(append_message(writer, request).error().code, Errc::MalformedFrame);
    request.mutable_restore()->set_keygen_id(std::string(100, 'x'));
    EXPECT_EQ(append_message(writer, request).error().code, Errc::FrameTooLarge);
    EXPECT_TRUE(writer.empty());
}

} // namespace
} // namespace keymeld::protocol
