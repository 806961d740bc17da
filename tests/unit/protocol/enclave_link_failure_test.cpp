// What the link does when the signer, the network or the caller does not do its part.
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>

#include "core/protocol/failure.h"
#include "tests/unit/protocol/peers.h"

namespace keymeld::protocol {
namespace {

namespace asio = boost::asio;
using namespace test;

/// Backoffs short enough for a test.
LinkOptions quick() {
    LinkOptions options;
    options.backoff_min = 5ms;
    options.backoff_max = 20ms;
    return options;
}

void ignore(const Result<wire::Response>&) {}

TEST(EnclaveLinkFailure, AMissedDeadlineClosesTheStream) {
    ScriptedSigner signer([](RawStream& stream) {
        if (!stream.take_hello())
            return;
        // The first request is never answered, later ones on the same stream would be.
        wire::Request silent;
        stream.read(silent);
        wire::Request request;
        while (stream.read(request)) {
            wire::Response response;
            response.set_id(request.id());
            answer({}, request, response);
            if (request.authenticate().keygen_id() != "also silent")
                stream.write(response);
        }
    });
    LinkFixture fixture(signer.endpoint(), quick());
    ASSERT_TRUE(fixture.start_and_wait_up());
    std::map<std::string, std::optional<Result<wire::Response>>> results;
    const auto begun = std::chrono::steady_clock::now();
    auto send = [&](const std::string& name, std::chrono::milliseconds time) {
        fixture.link->send(authenticate(name), in(time),
                           [&, name](Result<wire::Response> got) { results[name] = std::move(got); });
    };
    send("silent", 300ms);
    send("answered", 300ms);
    send("also silent", 20s);
    ASSERT_TRUE(run_until(fixture.loop, [&] { return results.size() == 3; }));
    const auto took = std::chrono::steady_clock::now() - begun;
    EXPECT_GE(took, 300ms);
    EXPECT_LT(took, 10s) << "the request with the long deadline waited for it";
    EXPECT_TRUE(results["answered"]->has_value());
    EXPECT_EQ(results["silent"]->error().code, Errc::DeadlineExceeded);
    EXPECT_EQ(results["also silent"]->error().code, Errc::Disconnected);
    ASSERT_EQ(fixture.downs.size(), 1u);
    EXPECT_EQ(fixture.downs[0].reason.code, Errc::DeadlineExceeded);
    EXPECT_TRUE(fixture.downs[0].was_up);
    ASSERT_TRUE(fixture.wait_up());
    EXPECT_EQ(signer.streams(), 2);
    fixture.link->stop();
}

TEST(EnclaveLinkFailure, EachRequestEndsAtItsOwnDeadlineWhateverTheOrder) {
    ScriptedSigner signer([](RawStream& stream) {
        stream.take_hello();
        wire::Request request;
        while (stream.read(request)) {
        }
    });
    LinkFixture fixture(signer.endpoint(), quick());
    ASSERT_TRUE(fixture.start_and_wait_up());
    // The later deadline first: the timer has to be set back.
    const auto begun = std::chrono::steady_clock::now();
    int ended = 0;
    std::optional<Errc> short_one;
    fixture.link->send(authenticate("long"), in(15s), [&](const Result<wire::Response>&) { ++ended; });
    fixture.link->send(authenticate("short"), in(50ms), [&](const Result<wire::Response>& got) {
        ++ended;
        short_one = got.error().code;
    });
    ASSERT_TRUE(run_until(fixture.loop, [&] { return ended == 2; }));
    EXPECT_EQ(short_one, Errc::DeadlineExceeded);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
    fixture.link->stop();
}

TEST(EnclaveLinkFailure, ARefusedAttestationRetriesWithBackoff) {
    SignerThread signer;
    LinkOptions options;
    options.backoff_min = 20ms;
    options.backoff_max = 100ms;
    LinkFixture fixture(signer.endpoint(), options);
    int refusals = 6;
    fixture.verify = [&](const SignerHello&, const std::function<void(Status)>& done) {
        done(refusals-- > 0 ? Status(fail(Errc::AttestationRefused, "PCR0 is not allowed")) : Status());
    };
    ASSERT_TRUE(fixture.start_and_wait_up());
    ASSERT_EQ(fixture.downs.size(), 6u);
    const std::chrono::milliseconds full[] = {20ms, 40ms, 80ms, 100ms, 100ms, 100ms};
    for (std::size_t i = 0; i < 6; ++i) {
        EXPECT_EQ(fixture.downs[i].reason.code, Errc::AttestationRefused);
        EXPECT_EQ(fixture.downs[i].reason.detail, "PCR0 is not allowed");
        EXPECT_FALSE(fixture.downs[i].was_up);
        EXPECT_LE(fixture.downs[i].retry_in, full[i]);
        EXPECT_GE(fixture.downs[i].retry_in, full[i] / 2);
    }
    std::set<ByteArray<32>> nonces;
    for (const SignerHello& hello : fixture.hellos)
        nonces.insert(hello.nonce);
    EXPECT_EQ(nonces.size(), 7u) << "each hello needs a nonce of its own";
    EXPECT_EQ(fixture.ups.size(), 1u);
}

TEST(EnclaveLinkFailure, AVerifierThatNeverAnswersIsGivenUp) {
    SignerThread signer;
    LinkOptions options = quick();
    options.hello_timeout = 100ms;
    LinkFixture fixture(signer.endpoint(), options);
    std::vector<std::function<void(Status)>> waiting;
    fixture.verify = [&](const SignerHello&, std::function<void(Status)> done) { waiting.push_back(std::move(done)); };
    fixture.link->start();
    ASSERT_TRUE(run_until(fixture.loop, [&] { return waiting.size() == 2; }));
    ASSERT_GE(fixture.downs.size(), 1u);
    EXPECT_EQ(fixture.downs[0].reason.code, Errc::DeadlineExceeded);
    waiting[0]({}); // the verdict on a stream that is gone must not open the next one
    EXPECT_FALSE(fixture.link->up());
    waiting[1]({});
    EXPECT_TRUE(fixture.link->up());
}

TEST(EnclaveLinkFailure, ASignerThatNeverSaysHelloIsGivenUp) {
    ScriptedSigner signer([](RawStream& stream) {
        wire::Request request;
        while (stream.read(request)) {
        }
    });
    LinkOptions options = quick();
    options.hello_timeout = 100ms;
    LinkFixture fixture(signer.endpoint(), options);
    fixture.link->start();
    ASSERT_TRUE(run_until(fixture.loop, [&] { return fixture.downs.size() == 2; }));
    EXPECT_EQ(fixture.downs[0].reason.code, Errc::DeadlineExceeded);
    EXPECT_TRUE(fixture.hellos.empty());
    fixture.link->stop();
}

TEST(EnclaveLinkFailure, NobodyListens) {
    Endpoint endpoint;
    { // a port that was free a moment ago
        SignerThread signer;
        endpoint = signer.endpoint();
    }
    LinkFixture fixture(endpoint, quick());
    fixture.link->start();
    ASSERT_TRUE(run_until(fixture.loop, [&] { return fixture.downs.size() == 3; }));
    EXPECT_EQ(fixture.downs[0].reason.code, Errc::Disconnected);
    EXPECT_FALSE(fixture.downs[0].was_up);
}

TEST(EnclaveLinkFailure, ATransportThatNeverAnswersIsGivenUp) {
    int attempts = 0;
    LinkOptions options = quick();
    options.connect_timeout = 10ms;
    const Connector never = [&](const asio::any_io_executor&, SteadyTime, const std::function<void(Result<Socket>)>&) {
        ++attempts;
    };
    LinkFixture fixture(never, options);
    fixture.link->start();
    ASSERT_TRUE(run_until(fixture.loop, [&] { return attempts == 2; }));
    EXPECT_EQ(fixture.downs[0].reason.code, Errc::DeadlineExceeded);
}

/// What a signer may send that closes the stream, and the reason that is reported.
struct Misbehaviour {
    const char* name;
    Errc reason;
    std::function<void(RawStream&, const wire::Request&)> act;
};

class EnclaveLinkMisbehaviour : public testing::TestWithParam<Misbehaviour> {};

TEST_P(EnclaveLinkMisbehaviour, ClosesTheStream) {
    ScriptedSigner signer([](RawStream& stream) {
        if (!stream.take_hello())
            return;
        wire::Request request;
        if (stream.read(request))
            GetParam().act(stream, request);
        stream.at_end();
    });
    LinkFixture fixture(signer.endpoint(), quick());
    ASSERT_TRUE(fixture.start_and_wait_up());
    const auto got = fixture.exchange(authenticate("x"));
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, Errc::Disconnected);
    ASSERT_FALSE(fixture.downs.empty());
    EXPECT_EQ(fixture.downs[0].reason.code, GetParam().reason) << fixture.downs[0].reason.detail;
    ASSERT_TRUE(fixture.wait_up()) << "the link must come back";
    fixture.link->stop();
}

wire::Response response_to(std::uint64_t id) {
    wire::Response response;
    response.set_id(id);
    return response;
}

INSTANTIATE_TEST_SUITE_P(
    Of, EnclaveLinkMisbehaviour,
    testing::Values(
        Misbehaviour{"Garbage", Errc::MalformedFrame,
                     [](RawStream& s, const wire::Request&) { s.write_bytes(Bytes{0, 0, 0, 3, 0xff, 0xff, 0xff}); }},
        Misbehaviour{"EmptyFrame", Errc::MalformedFrame,
                     [](RawStream& s, const wire::Request&) { s.write_bytes(Bytes{0, 0, 0, 0}); }},
        Misbehaviour{"OversizedFrame", Errc::FrameTooLarge,
                     [](RawStream& s, const wire::Request&) { s.write_bytes(Bytes{0xff, 0, 0, 0}); }},
        Misbehaviour{"UnknownId", Errc::MalformedFrame,
                     [](RawStream& s, const wire::Request& r) {
                         wire::Response response = response_to(r.id() + 1);
                         response.mutable_authenticate();
                         s.write(response);
                     }},
        Misbehaviour{"AnotherCommandsAnswer", Errc::MalformedFrame,
                     [](RawStream& s, const wire::Request& r) {
                         wire::Response response = response_to(r.id());
                         response.mutable_ping();
                         s.write(response);
                     }},
        Misbehaviour{"NoResult", Errc::MalformedFrame,
                     [](RawStream& s, const wire::Request& r) { s.write(response_to(r.id())); }},
        Misbehaviour{"EndOfStream", Errc::Disconnected, [](RawStream& s, const wire::Request&) { s.close(); }},
        Misbehaviour{"HalfAFrame", Errc::Disconnected,
                     [](RawStream& s, const wire::Request&) {
                         s.write_bytes(Bytes{0, 0, 1, 0, 1, 2, 3});
                         s.close();
                     }}),
    [](const auto& param) { return param.param.name; });

TEST(EnclaveLinkFailure, TheSameAnswerTwiceClosesTheStream) {
    ScriptedSigner signer([](RawStream& stream) {
        if (!stream.take_hello())
            return;
        wire::Request request;
        if (stream.read(request)) {
            wire::Response response;
            response.set_id(request.id());
            answer({}, request, response);
            stream.write(response);
            stream.write(response);
        }
        stream.at_end();
    });
    LinkFixture fixture(signer.endpoint(), quick());
    ASSERT_TRUE(fixture.start_and_wait_up());
    EXPECT_TRUE(fixture.exchange(authenticate("x")));
    ASSERT_TRUE(run_until(fixture.loop, [&] { return !fixture.downs.empty(); }));
    EXPECT_EQ(fixture.downs[0].reason.code, Errc::MalformedFrame);
    fixture.link->stop();
}

TEST(EnclaveLinkFailure, ARefusedHelloIsTheReason) {
    ScriptedSigner signer([](RawStream& stream) {
        wire::Request request;
        if (!stream.read(request))
            return;
        wire::Response response;
        response.set_id(request.id());
        set_failure(response, fail(Errc::ProtocolMismatch, "version 7 only"));
        stream.write(response);
    });
    LinkFixture fixture(signer.endpoint(), quick());
    fixture.link->start();
    ASSERT_TRUE(run_until(fixture.loop, [&] { return !fixture.downs.empty(); }));
    EXPECT_EQ(fixture.downs[0].reason.code, Errc::ProtocolMismatch);
    EXPECT_EQ(fixture.downs[0].reason.detail, "version 7 only");
    EXPECT_TRUE(fixture.hellos.empty());
    fixture.link->stop();
}

TEST(EnclaveLinkFailure, ResetGivesUpTheStreamAndComesBack) {
    SignerThread signer([](const StreamContext& context, const wire::Request& request, wire::Response& response) {
        answer({}, request, response);
        if (request.has_hello())
            response.mutable_hello()->set_key_epoch(context.stream);
    });
    LinkFixture fixture(signer.endpoint(), quick());
    ASSERT_TRUE(fixture.start_and_wait_up());
    std::optional<Errc> in_flight;
    fixture.link->send(authenticate("x"), in(20s), [&](const Result<wire::Response>& got) { in_flight = got.error().code; });
    fixture.link->reset(fail(Errc::StorageFailed, "a batch was refused"));
    EXPECT_FALSE(fixture.link->up());
    EXPECT_FALSE(in_flight) << "a callback ran inside reset()";
    ASSERT_EQ(fixture.downs.size(), 1u);
    EXPECT_EQ(fixture.downs[0].reason.code, Errc::StorageFailed);
    ASSERT_TRUE(fixture.wait_up());
    EXPECT_EQ(in_flight, Errc::Disconnected);
    ASSERT_EQ(fixture.ups.size(), 2u);
    EXPECT_EQ(fixture.ups[1].key_epoch, fixture.ups[0].key_epoch + 1) << "the signer must see a new stream";
}

TEST(EnclaveLinkFailure, ConnectNowCutsTheBackoffShort) {
    SignerThread signer;
    LinkOptions options;
    options.backoff_min = options.backoff_max = std::chrono::hours(1);
    LinkFixture fixture(signer.endpoint(), options);
    ASSERT_TRUE(fixture.start_and_wait_up());
    fixture.link->reset(fail(Errc::Cancelled, "test"));
    fixture.loop.restart();
    fixture.loop.run_for(50ms);
    EXPECT_FALSE(fixture.link->up());
    fixture.link->connect_now();
    ASSERT_TRUE(fixture.wait_up());
}

TEST(EnclaveLinkFailure, StopEndsEverythingAndSaysNoMore) {
    ScriptedSigner signer([](RawStream& stream) {
        stream.take_hello();
        wire::Request request;
        while (stream.read(request)) {
        }
    });
    LinkFixture fixture(signer.endpoint(), quick());
    ASSERT_TRUE(fixture.start_and_wait_up());
    int cancelled = 0;
    for (int i = 0; i < 5; ++i)
        fixture.link->send(authenticate("x"), in(20s), [&](const Result<wire::Response>& got) {
            cancelled += !got && got.error().code == Errc::Cancelled ? 1 : 0;
        });
    fixture.link->stop();
    EXPECT_EQ(cancelled, 0) << "a callback ran inside stop()";
    EXPECT_EQ(fixture.exchange(authenticate("x")).error().code, Errc::Cancelled);
    EXPECT_EQ(cancelled, 5);
    fixture.link->connect_now();
    fixture.link->reset(fail(Errc::Internal, ""));
    fixture.link->stop();
    // Nothing of the link is left on the loop.
    fixture.loop.restart();
    fixture.loop.run();
    EXPECT_TRUE(fixture.downs.empty());
    EXPECT_FALSE(fixture.link->up());
}

TEST(EnclaveLinkFailure, MayBeDestroyedInsideItsOwnCallbacks) {
    SignerThread signer;
    { // in on_down
        asio::io_context loop{1};
        std::unique_ptr<EnclaveLink> link;
        bool down = false;
        std::optional<Errc> result;
        LinkEvents events;
        events.verify = [](const SignerHello&, const std::function<void(Status)>& done) { done({}); };
        events.on_down = [&](const LinkDown&) {
            down = true;
            link.reset();
        };
        link = std::make_unique<EnclaveLink>(loop, connector_to(signer.endpoint()), std::move(events));
        link->start();
        ASSERT_TRUE(run_until(loop, [&] { return link->up(); }));
        link->send(authenticate("x"), in(20s), [&](const Result<wire::Response>& got) { result = got.error().code; });
        link->reset(fail(Errc::Cancelled, "test"));
        EXPECT_TRUE(down);
        ASSERT_TRUE(run_until(loop, [&] { return result.has_value(); }));
        EXPECT_EQ(result, Errc::Disconnected);
    }
    { // in the callback of an answer, with more answers behind it
        LinkFixture fixture(signer.endpoint());
        ASSERT_TRUE(fixture.start_and_wait_up());
        int good = 0;
        int bad = 0;
        for (int i = 0; i < 10; ++i)
            fixture.link->send(authenticate("x"), in(20s), [&](const Result<wire::Response>& got) {
                ++(got ? good : bad);
                fixture.link.reset();
            });
        ASSERT_TRUE(run_until(fixture.loop, [&] { return good + bad == 10; }));
        EXPECT_EQ(good, 1);
    }
    { // in verify and in on_up
        for (const bool in_verify : {true, false}) {
            asio::io_context loop{1};
            std::unique_ptr<EnclaveLink> link;
            LinkEvents events;
            events.verify = [&](const SignerHello&, const std::function<void(Status)>& done) {
                if (in_verify)
                    link.reset();
                done({});
            };
            events.on_up = [&](const SignerHello&) { link.reset(); };
            link = std::make_unique<EnclaveLink>(loop, connector_to(signer.endpoint()), std::move(events));
            link->start();
            ASSERT_TRUE(run_until(loop, [&] { return link == nullptr; }));
            loop.restart();
            loop.run();
        }
    }
}

asio::awaitable<void> ask_once(EnclaveLink& link, Errc& got) {
    auto answer = co_await link.call(authenticate("x"), in(20s));
    got = answer ? Errc::Unsupported : answer.error().code;
}

TEST(EnclaveLinkFailure, CoroutinesThatWaitAreResumedWhenTheLinkGoes) {
    ScriptedSigner signer([](RawStream& stream) {
        stream.take_hello();
        wire::Request request;
        while (stream.read(request)) {
        }
    });
    LinkFixture fixture(signer.endpoint());
    ASSERT_TRUE(fixture.start_and_wait_up());
    Errc got = Errc::Internal;
    bool ended = false;
    asio::co_spawn(fixture.loop, ask_once(*fixture.link, got), [&](std::exception_ptr thrown) {
        EXPECT_FALSE(thrown);
        ended = true;
    });
    ASSERT_TRUE(run_until(fixture.loop, [&] { return fixture.link->in_flight() == 1; }));
    fixture.link.reset();
    ASSERT_TRUE(run_until(fixture.loop, [&] { return ended; }));
    EXPECT_EQ(got, Errc::Cancelled);
}

TEST(EnclaveLinkFailure, ALoopThatEndsWithWorkLeftLeaksNothing) {
    // AddressSanitizer is the judge here.
    SignerThread signer;
    auto fixture = std::make_unique<LinkFixture>(signer.endpoint());
    ASSERT_TRUE(fixture->start_and_wait_up());
    Errc got = Errc::Internal;
    asio::co_spawn(fixture->loop, ask_once(*fixture->link, got), [](std::exception_ptr) {});
    fixture->link->send(authenticate("x"), in(20s), ignore);
    fixture->loop.restart();
    fixture->loop.poll_one();
    fixture.reset();
    EXPECT_EQ(got, Errc::Internal);
}

} // namespace
} // namespace keymeld::protocol
