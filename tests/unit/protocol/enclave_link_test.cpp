#include "core/protocol/enclave_link.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>

#include "tests/unit/protocol/peers.h"

namespace keymeld::protocol {
namespace {

namespace asio = boost::asio;
using namespace test;

TEST(EnclaveLink, GreetsVerifiesAndExchanges) {
    SignerThread signer;
    LinkFixture fixture(signer.endpoint());
    EXPECT_EQ(fixture.link->signer(), nullptr);
    ASSERT_TRUE(fixture.start_and_wait_up());
    ASSERT_EQ(fixture.ups.size(), 1u);
    EXPECT_TRUE(fixture.downs.empty());
    EXPECT_EQ(fixture.ups[0].boot_id, signer.boot_id());
    EXPECT_EQ(fixture.ups[0].key_epoch, 1u);
    ASSERT_NE(fixture.link->signer(), nullptr);
    EXPECT_EQ(fixture.link->signer()->boot_id, signer.boot_id());
    // The signer of these tests puts the nonce into the "document": what was sent is what the verifier is told.
    EXPECT_EQ(fixture.hellos[0].attestation_document, to_bytes(fixture.hellos[0].nonce));
    EXPECT_NE(fixture.hellos[0].nonce, ByteArray<32>{});

    const auto got = fixture.exchange(authenticate("keygen"));
    ASSERT_TRUE(got) << got.error().detail;
    EXPECT_EQ(got->authenticate().user_id(), "keygen");
}

TEST(EnclaveLink, WorksOverAUnixSocket) {
    TemporaryFolder folder;
    SignerThread signer({}, {}, *unix_endpoint(folder.file("signer.sock")));
    LinkFixture fixture(signer.endpoint());
    ASSERT_TRUE(fixture.start_and_wait_up());
    EXPECT_EQ(fixture.exchange(authenticate("u"))->authenticate().user_id(), "u");
}

TEST(EnclaveLink, GivesARefusalAsItsError) {
    SignerThread signer;
    LinkFixture fixture(signer.endpoint());
    ASSERT_TRUE(fixture.start_and_wait_up());
    wire::Request challenge;
    challenge.mutable_challenge();
    const auto refused = fixture.exchange(challenge);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::NotPermitted);
    EXPECT_EQ(refused.error().detail, "no");
    EXPECT_TRUE(fixture.link->up());
}

asio::awaitable<void> ask(EnclaveLink& link, int first, int count, int& right) {
    for (int i = first; i < first + count; ++i) {
        const std::string id = std::to_string(i);
        const auto got = co_await link.call(authenticate(id), in(20s));
        if (got && got->authenticate().user_id() == id)
            ++right;
    }
}

TEST(EnclaveLink, CarriesTenThousandRequestsOfManyCoroutines) {
    SignerThread signer;
    LinkFixture fixture(signer.endpoint());
    ASSERT_TRUE(fixture.start_and_wait_up());
    constexpr int kCoroutines = 50;
    constexpr int kEach = 200;
    int right = 0;
    int ended = 0;
    for (int i = 0; i < kCoroutines; ++i) {
        asio::co_spawn(fixture.loop, ask(*fixture.link, i * kEach, kEach, right), [&](std::exception_ptr thrown) {
            EXPECT_FALSE(thrown);
            ++ended;
        });
    }
    ASSERT_TRUE(run_until(fixture.loop, [&] { return ended == kCoroutines; }));
    EXPECT_EQ(right, kCoroutines * kEach);
    EXPECT_EQ(fixture.link->in_flight(), 0u);
    const LinkCounters counters = fixture.link->counters();
    EXPECT_EQ(counters.requests, 1u + kCoroutines * kEach);
    EXPECT_EQ(counters.responses, counters.requests);
    EXPECT_LT(counters.writes, counters.requests / 2) << "requests of one turn should share a write";
    EXPECT_EQ(counters.connects, 1u);
}

TEST(EnclaveLink, RequestsOfOneTurnLeaveInOneWrite) {
    SignerThread signer;
    LinkFixture fixture(signer.endpoint());
    ASSERT_TRUE(fixture.start_and_wait_up());
    const LinkCounters before = fixture.link->counters();
    int answered = 0;
    for (int i = 0; i < 100; ++i)
        fixture.link->send(authenticate("x"), in(20s), [&](const Result<wire::Response>& got) { answered += got ? 1 : 0; });
    EXPECT_EQ(answered, 0) << "a callback ran inside send()";
    EXPECT_EQ(fixture.link->in_flight(), 100u);
    ASSERT_TRUE(run_until(fixture.loop, [&] { return answered == 100; }));
    EXPECT_EQ(fixture.link->counters().writes, before.writes + 1);
}

TEST(EnclaveLink, MatchesAnswersInAnyOrder) {
    constexpr int kRequests = 64;
    ScriptedSigner signer([](RawStream& stream) {
        if (!stream.take_hello())
            return;
        std::vector<wire::Request> requests(kRequests);
        for (wire::Request& request : requests) {
            if (!stream.read(request))
                return;
        }
        // Odd ones backwards, then even ones forwards.
        for (int i = kRequests - 1; i > 0; i -= 2) {
            wire::Response response;
            response.set_id(requests[static_cast<std::size_t>(i)].id());
            answer({}, requests[static_cast<std::size_t>(i)], response);
            stream.write(response);
        }
        for (int i = 0; i < kRequests; i += 2) {
            wire::Response response;
            response.set_id(requests[static_cast<std::size_t>(i)].id());
            answer({}, requests[static_cast<std::size_t>(i)], response);
            stream.write(response);
        }
        stream.at_end();
    });
    LinkFixture fixture(signer.endpoint());
    ASSERT_TRUE(fixture.start_and_wait_up());
    std::vector<int> order;
    for (int i = 0; i < kRequests; ++i) {
        fixture.link->send(authenticate(std::to_string(i)), in(20s), [&, i](const Result<wire::Response>& got) {
            ASSERT_TRUE(got);
            EXPECT_EQ(got->authenticate().user_id(), std::to_string(i));
            order.push_back(i);
        });
    }
    ASSERT_TRUE(run_until(fixture.loop, [&] { return order.size() == kRequests; }));
    EXPECT_EQ(order.front(), kRequests - 1);
    EXPECT_EQ(order.back(), kRequests - 2);
    fixture.link->stop();
}

TEST(EnclaveLink, CarriesLargeMessagesBothWays) {
    SignerThread signer;
    LinkFixture fixture(signer.endpoint());
    ASSERT_TRUE(fixture.start_and_wait_up());
    constexpr std::size_t kLarge = kDefaultMaxFrame - 1000;
    const auto large = fixture.exchange(attest(kLarge));
    ASSERT_TRUE(large) << large.error().detail;
    EXPECT_EQ(large->attest().attestation_document().size(), kLarge);
    const auto echoed = fixture.exchange(authenticate(std::string(kLarge, 'z')));
    ASSERT_TRUE(echoed) << echoed.error().detail;
    EXPECT_EQ(echoed->authenticate().user_id().size(), kLarge);

    const auto refused = fixture.exchange(authenticate(std::string(kDefaultMaxFrame, 'z')));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::FrameTooLarge);
    const auto too_large_an_answer = fixture.exchange(attest(kDefaultMaxFrame));
    ASSERT_FALSE(too_large_an_answer);
    EXPECT_EQ(too_large_an_answer.error().code, Errc::FrameTooLarge);
    EXPECT_TRUE(fixture.link->up());
}

TEST(EnclaveLink, RefusesMoreThanItsBounds) {
    std::atomic<bool> go{false};
    ScriptedSigner signer([&](RawStream& stream) {
        stream.take_hello();
        wait_until([&] { return go.load(); });
    });
    LinkOptions options;
    options.max_in_flight = 3;
    LinkFixture few(signer.endpoint(), options);
    ASSERT_TRUE(few.start_and_wait_up());
    std::vector<Errc> errors;
    for (int i = 0; i < 5; ++i)
        few.link->send(authenticate("x"), in(20s), [&](const Result<wire::Response>& got) {
            errors.push_back(got ? Errc::Internal : got.error().code);
        });
    ASSERT_TRUE(run_until(few.loop, [&] { return errors.size() == 2; }));
    EXPECT_EQ(errors, (std::vector<Errc>{Errc::Overloaded, Errc::Overloaded}));
    EXPECT_EQ(few.link->in_flight(), 3u);
    go = true;
    ASSERT_TRUE(run_until(few.loop, [&] { return errors.size() == 5; }));
    EXPECT_EQ(errors.back(), Errc::Disconnected);
}

TEST(EnclaveLink, ASignerThatDoesNotReadMeetsABoundedQueue) {
    std::atomic<bool> go{false};
    ScriptedSigner signer([&](RawStream& stream) {
        stream.take_hello();
        wait_until([&] { return go.load(); });
        wire::Request request;
        while (stream.read(request)) {
            wire::Response response;
            response.set_id(request.id());
            response.mutable_authenticate()->set_signer_index(
                static_cast<std::uint32_t>(request.authenticate().keygen_id().size()));
            stream.write(response);
        }
    });
    constexpr std::size_t kSize = 1u << 20;
    LinkOptions options;
    options.max_unsent = 4 * kSize;
    LinkFixture fixture(signer.endpoint(), options);
    ASSERT_TRUE(fixture.start_and_wait_up());
    int sent = 0;
    int answered = 0;
    int overloaded = 0;
    // Kernel buffers take some; then the link's own queue fills up to its bound and not further.
    while (overloaded == 0 && sent < 200) {
        ++sent;
        fixture.link->send(authenticate(std::string(kSize, 'x')), in(20s), [&](const Result<wire::Response>& got) {
            if (got && got->authenticate().signer_index() == kSize)
                ++answered;
            else if (!got && got.error().code == Errc::Overloaded)
                ++overloaded;
        });
        fixture.loop.restart();
        fixture.loop.poll();
    }
    EXPECT_EQ(overloaded, 1);
    EXPECT_EQ(answered, 0);
    go = true;
    ASSERT_TRUE(run_until(fixture.loop, [&] { return answered == sent - 1; }));
    EXPECT_TRUE(fixture.downs.empty());
    fixture.link->stop();
}

TEST(EnclaveLink, RefusesWhatMustNotBeSent) {
    SignerThread signer;
    LinkFixture fixture(signer.endpoint());
    EXPECT_EQ(fixture.exchange(authenticate("x")).error().code, Errc::Disconnected); // not started
    ASSERT_TRUE(fixture.start_and_wait_up());
    EXPECT_EQ(fixture.exchange(wire::Request()).error().code, Errc::InvalidArgument);
    wire::Request hello;
    hello.mutable_hello();
    EXPECT_EQ(fixture.exchange(hello).error().code, Errc::InvalidArgument);
    EXPECT_EQ(fixture.exchange(authenticate("x"), -1ms).error().code, Errc::DeadlineExceeded);
    EXPECT_TRUE(fixture.link->up());
    EXPECT_EQ(fixture.link->counters().requests, 1u);
}

TEST(EnclaveLink, VerifiesAsynchronously) {
    SignerThread signer;
    LinkFixture fixture(signer.endpoint());
    std::function<void(Status)> done;
    fixture.verify = [&](const SignerHello&, std::function<void(Status)> later) { done = std::move(later); };
    fixture.link->start();
    ASSERT_TRUE(run_until(fixture.loop, [&] { return done != nullptr; }));
    EXPECT_FALSE(fixture.link->up());
    EXPECT_EQ(fixture.exchange(authenticate("x")).error().code, Errc::Disconnected);
    done({});
    EXPECT_TRUE(fixture.link->up());
    done(fail(Errc::AttestationRefused, "a second verdict has no effect"));
    EXPECT_TRUE(fixture.link->up());
    EXPECT_TRUE(fixture.exchange(authenticate("x")));
    fixture.link->stop();
    done({});
    EXPECT_FALSE(fixture.link->up());
}

} // namespace
} // namespace keymeld::protocol
