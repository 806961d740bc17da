#include "core/protocol/signer_listener.h"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/protocol/failure.h"
#include "core/protocol/hello.h"
#include "core/protocol/message.h"
#include "tests/unit/protocol/peers.h"

namespace keymeld::protocol {
namespace {

using namespace test;

wire::Request with_id(wire::Request request, std::uint64_t id) {
    request.set_id(id);
    return request;
}

TEST(SignerListener, AnswersEveryFrameOfOneWriteInOneWrite) {
    SignerThread signer;
    RawStream gateway(signer.endpoint());
    ASSERT_TRUE(gateway.greet());
    const ListenerCounters before = signer.counters();
    FrameWriter writer;
    for (std::uint64_t i = 0; i < 50; ++i)
        ASSERT_TRUE(append_message(writer, with_id(authenticate(std::to_string(i)), 100 + i)));
    gateway.write_bytes(writer.unsent());
    for (std::uint64_t i = 0; i < 50; ++i) {
        wire::Response response;
        ASSERT_TRUE(gateway.read(response));
        EXPECT_EQ(response.id(), 100 + i);
        EXPECT_EQ(response.authenticate().user_id(), std::to_string(i));
    }
    const ListenerCounters after = signer.counters();
    EXPECT_EQ(after.requests, before.requests + 50);
    // One write, unless a busy machine stretched the batch over several flush_after intervals.
    EXPECT_LT(after.writes, before.writes + 25);
}

TEST(SignerListener, TakesFramesInAnyPieces) {
    SignerThread signer;
    RawStream gateway(signer.endpoint());
    ASSERT_TRUE(gateway.greet());
    FrameWriter writer;
    ASSERT_TRUE(append_message(writer, with_id(authenticate("pieces"), 1)));
    ASSERT_TRUE(append_message(writer, with_id(authenticate("more"), 2)));
    for (const std::uint8_t byte : writer.unsent()) {
        gateway.write_bytes(ByteView(&byte, 1));
        std::this_thread::sleep_for(1ms);
    }
    wire::Response response;
    ASSERT_TRUE(gateway.read(response));
    EXPECT_EQ(response.authenticate().user_id(), "pieces");
    ASSERT_TRUE(gateway.read(response));
    EXPECT_EQ(response.authenticate().user_id(), "more");
}

TEST(SignerListener, CountsStreamsByTheirHello) {
    std::mutex mutex;
    std::vector<std::uint64_t> streams;
    SignerThread signer([&](const StreamContext& context, const wire::Request& request, wire::Response& response) {
        const std::lock_guard lock(mutex);
        streams.push_back(context.stream);
        answer({}, request, response);
    });
    RawStream never_greets(signer.endpoint());
    RawStream first(signer.endpoint());
    ASSERT_TRUE(first.greet());
    RawStream second(signer.endpoint());
    ASSERT_TRUE(second.greet());
    wire::Response response;
    first.write(with_id(authenticate("x"), 1));
    ASSERT_TRUE(first.read(response));
    second.write(with_id(authenticate("x"), 1));
    ASSERT_TRUE(second.read(response));
    const std::lock_guard lock(mutex);
    EXPECT_EQ(streams, (std::vector<std::uint64_t>{1, 2, 1, 2}));
}

/// What a gateway may send that closes the stream without an answer.
struct Nonsense {
    const char* name;
    bool greet;
    std::function<void(RawStream&)> send;
};
class SignerListenerNonsense : public testing::TestWithParam<Nonsense> {};

TEST_P(SignerListenerNonsense, ClosesTheStream) {
    SignerThread signer;
    RawStream gateway(signer.endpoint());
    if (GetParam().greet) {
        ASSERT_TRUE(gateway.greet());
    }
    GetParam().send(gateway);
    EXPECT_TRUE(gateway.at_end());
    EXPECT_EQ(signer.counters().refused, 1u);
    EXPECT_EQ(signer.counters().open, 0u);
    RawStream next(signer.endpoint());
    EXPECT_TRUE(next.greet()) << "the signer must go on";
}

INSTANTIATE_TEST_SUITE_P(
    Of, SignerListenerNonsense,
    testing::Values(Nonsense{"NoHelloFirst", false, [](RawStream& s) { s.write(with_id(authenticate("x"), 1)); }},
                    Nonsense{"NoCommandFirst", false, [](RawStream& s) { s.write(with_id(wire::Request(), 1)); }},
                    Nonsense{"HelloTwice", true, [](RawStream& s) { s.write(hello_request(2, ByteArray<32>{})); }},
                    Nonsense{"Garbage", true, [](RawStream& s) { s.write_bytes(Bytes{0, 0, 0, 2, 0xff, 0xff}); }},
                    Nonsense{"GarbageFirst", false, [](RawStream& s) { s.write_bytes(Bytes{0, 0, 0, 2, 0xff, 0xff}); }},
                    Nonsense{"EmptyFrame", true, [](RawStream& s) { s.write_bytes(Bytes{0, 0, 0, 0}); }},
                    Nonsense{"OversizedFrame", true, [](RawStream& s) { s.write_bytes(Bytes{0x7f, 0, 0, 0}); }},
                    Nonsense{"Http", false, [](RawStream& s) { s.write_bytes(as_bytes("GET / HTTP/1.1\r\n\r\n")); }}),
    [](const auto& param) { return param.param.name; });

TEST(SignerListener, RefusesAHelloOfAnotherVersionWithAnAnswer) {
    SignerThread signer;
    for (const bool version : {true, false}) {
        RawStream gateway(signer.endpoint());
        wire::Request hello = hello_request(9, ByteArray<32>{});
        if (version)
            hello.mutable_hello()->set_protocol_version(2);
        else
            hello.mutable_hello()->set_nonce("short");
        gateway.write(hello);
        wire::Response response;
        ASSERT_TRUE(gateway.read(response));
        EXPECT_EQ(response.id(), 9u);
        EXPECT_EQ(to_error(response.failure()).code, version ? Errc::ProtocolMismatch : Errc::InvalidArgument);
        EXPECT_TRUE(gateway.at_end());
    }
}

TEST(SignerListener, ARefusedHelloClosesTheStream) {
    std::atomic<int> requests{0};
    SignerThread signer([&](const StreamContext&, const wire::Request&, wire::Response& response) {
        ++requests;
        set_failure(response, fail(Errc::AttestationUnavailable, "no NSM"));
    });
    RawStream gateway(signer.endpoint());
    FrameWriter writer;
    ASSERT_TRUE(append_message(writer, hello_request(1, ByteArray<32>{})));
    ASSERT_TRUE(append_message(writer, with_id(authenticate("in the same write"), 2)));
    gateway.write_bytes(writer.unsent());
    wire::Response response;
    ASSERT_TRUE(gateway.read(response));
    EXPECT_EQ(to_error(response.failure()).code, Errc::AttestationUnavailable);
    EXPECT_TRUE(gateway.at_end());
    EXPECT_EQ(requests, 1);
}

TEST(SignerListener, ADefectOfTheDispatcherIsAnInternalFailure) {
    SignerThread signer([](const StreamContext&, const wire::Request& request, wire::Response& response) {
        if (request.has_ping())
            throw std::runtime_error("a secret could be in here");
        if (request.has_canary())
            return; // no answer at all
        if (request.has_challenge())
            response.mutable_ping(); // another command's answer
        if (request.has_restore()) {
            response.mutable_restore();
            response.mutable_failure()->set_code(static_cast<std::uint32_t>(Errc::SealBroken));
        }
        if (request.has_hello())
            answer({}, request, response);
    });
    RawStream gateway(signer.endpoint());
    ASSERT_TRUE(gateway.greet());
    wire::Request ping;
    ping.mutable_ping();
    wire::Request canary;
    canary.mutable_canary();
    wire::Request challenge;
    challenge.mutable_challenge();
    std::uint64_t id = 5;
    for (const wire::Request& request : {ping, canary, challenge}) {
        gateway.write(with_id(request, ++id));
        wire::Response response;
        ASSERT_TRUE(gateway.read(response));
        EXPECT_EQ(response.id(), id);
        EXPECT_EQ(to_error(response.failure()).code, Errc::Internal);
        EXPECT_EQ(response.failure().detail().find("secret"), std::string::npos);
        EXPECT_EQ(response.result_case(), wire::Response::RESULT_NOT_SET);
    }
    wire::Request restore;
    restore.mutable_restore();
    gateway.write(with_id(restore, 77));
    wire::Response response;
    ASSERT_TRUE(gateway.read(response));
    EXPECT_EQ(to_error(response.failure()).code, Errc::SealBroken);
    EXPECT_FALSE(response.has_restore());
    gateway.write(with_id(wire::Request(), 78));
    ASSERT_TRUE(gateway.read(response));
    EXPECT_EQ(to_error(response.failure()).code, Errc::Unsupported);
}

TEST(SignerListener, AnAnswerAboveTheLimitIsAFailure) {
    ListenerOptions options;
    options.max_frame = 2000;
    SignerThread signer({}, options);
    RawStream gateway(signer.endpoint());
    ASSERT_TRUE(gateway.greet());
    gateway.write(with_id(attest(1900), 1));
    wire::Response response;
    ASSERT_TRUE(gateway.read(response));
    EXPECT_EQ(response.attest().attestation_document().size(), 1900u);
    gateway.write(with_id(attest(2000), 2));
    ASSERT_TRUE(gateway.read(response));
    EXPECT_EQ(response.id(), 2u);
    EXPECT_EQ(to_error(response.failure()).code, Errc::FrameTooLarge);
}

TEST(SignerListener, DoesNotReadAPeerThatDoesNotRead) {
    ListenerOptions options;
    options.max_output = 64 << 10;
    std::atomic<std::uint64_t> dispatched{0};
    SignerThread signer(
        [&](const StreamContext&, const wire::Request& request, wire::Response& response) {
            ++dispatched;
            answer({}, request, response);
        },
        options);
    RawStream gateway(signer.endpoint());
    ASSERT_TRUE(gateway.greet());
    // 4,000 answers of 16 KiB are 64 MB: far more than kernel buffers and max_output hold.
    constexpr std::uint64_t kRequests = 4000;
    constexpr std::size_t kAnswer = 16 << 10;
    std::thread sender([&] {
        for (std::uint64_t i = 0; i < kRequests; ++i)
            gateway.write(with_id(attest(kAnswer), i));
    });
    std::uint64_t seen = 0;
    std::uint64_t settled = 0;
    do { // until the signer stands still
        seen = dispatched;
        std::this_thread::sleep_for(300ms);
        settled = dispatched;
    } while (settled != seen);
    EXPECT_LT(settled, kRequests / 2) << "the signer went on although nobody reads";
    // Another stream is served meanwhile.
    RawStream other(signer.endpoint());
    EXPECT_TRUE(other.greet());
    for (std::uint64_t i = 0; i < kRequests; ++i) {
        wire::Response response;
        ASSERT_TRUE(gateway.read(response)) << i;
        ASSERT_EQ(response.id(), i);
        ASSERT_EQ(response.attest().attestation_document().size(), kAnswer);
    }
    sender.join();
    EXPECT_EQ(dispatched, kRequests + 2);
}

TEST(SignerListener, DoesNotHoldAnswersBackWhileOthersRun) {
    std::atomic<bool> go{false};
    SignerThread signer([&](const StreamContext&, const wire::Request& request, wire::Response& response) {
        if (request.has_authenticate() && request.authenticate().keygen_id() == "waits")
            wait_until([&] { return go.load(); });
        if (request.has_authenticate() && request.authenticate().keygen_id() == "takes long")
            std::this_thread::sleep_for(20ms);
        answer({}, request, response);
    });
    RawStream gateway(signer.endpoint());
    ASSERT_TRUE(gateway.greet());
    FrameWriter writer;
    ASSERT_TRUE(append_message(writer, with_id(authenticate("takes long"), 1)));
    ASSERT_TRUE(append_message(writer, with_id(authenticate("waits"), 2)));
    gateway.write_bytes(writer.unsent());
    wire::Response response;
    ASSERT_TRUE(gateway.read(response)) << "the first answer must not wait for the second";
    EXPECT_EQ(response.id(), 1u);
    go = true;
    ASSERT_TRUE(gateway.read(response));
    EXPECT_EQ(response.id(), 2u);
}

TEST(SignerListener, ClosesAStreamThatNeverSaysHello) {
    ListenerOptions options;
    options.hello_timeout = 50ms;
    SignerThread signer({}, options);
    RawStream greets(signer.endpoint());
    ASSERT_TRUE(greets.greet());
    RawStream silent(signer.endpoint());
    EXPECT_TRUE(silent.at_end());
    std::this_thread::sleep_for(100ms);
    greets.write(with_id(authenticate("x"), 3));
    wire::Response response;
    EXPECT_TRUE(greets.read(response)) << "the limit is for the Hello only";
}

TEST(SignerListener, ANewStreamPushesOutTheQuietest) {
    ListenerOptions options;
    options.max_streams = 3;
    SignerThread signer({}, options);
    RawStream gateway(signer.endpoint());
    ASSERT_TRUE(gateway.greet());
    RawStream old_gateway(signer.endpoint());
    ASSERT_TRUE(old_gateway.greet());
    RawStream silent(signer.endpoint());
    ASSERT_TRUE(wait_until([&] { return signer.counters().open == 3; }));
    wire::Response response;
    gateway.write(with_id(authenticate("x"), 3)); // more recent than old_gateway
    ASSERT_TRUE(gateway.read(response));

    RawStream fourth(signer.endpoint());
    EXPECT_TRUE(silent.at_end()) << "first those that never said Hello";
    ASSERT_TRUE(fourth.greet());
    RawStream fifth(signer.endpoint());
    EXPECT_TRUE(old_gateway.at_end()) << "then the one that was quiet longest";
    gateway.write(with_id(authenticate("x"), 4));
    EXPECT_TRUE(gateway.read(response));
    EXPECT_EQ(signer.counters().evicted, 2u);
    EXPECT_EQ(signer.counters().open, 3u);
}

TEST(SignerListener, ReplacesAStaleSocketFileAndNoOther) {
    TemporaryFolder folder;
    const std::string path = folder.file("signer.sock");
    const Endpoint endpoint = *unix_endpoint(path);
    { // a file whose listener is gone
        const int left_behind = ::socket(AF_UNIX, SOCK_STREAM, 0);
        ASSERT_EQ(::bind(left_behind, endpoint.data(), static_cast<socklen_t>(endpoint.size())), 0);
        ::close(left_behind);
    }
    boost::asio::io_context loop;
    {
        auto first = SignerListener::create(loop, endpoint, [](auto&, auto&, auto&) {});
        ASSERT_TRUE(first) << first.error().detail;
        struct stat status {};
        ASSERT_EQ(::stat(path.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777u, 0600u);
        const auto second = SignerListener::create(loop, endpoint, [](auto&, auto&, auto&) {});
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code, Errc::Io);
        EXPECT_EQ(::stat(path.c_str(), &status), 0) << "the living listener's file was taken away";
    }
    struct stat status {};
    EXPECT_NE(::stat(path.c_str(), &status), 0) << "the file outlived its listener";
    const auto nowhere = SignerListener::create(loop, *unix_endpoint(folder.file("no/such/folder.sock")),
                                                [](auto&, auto&, auto&) {});
    ASSERT_FALSE(nowhere);
    EXPECT_EQ(nowhere.error().code, Errc::Io);
}

TEST(SignerListener, ListensOnVsockWhereTheKernelHasIt) {
    const int probe = ::socket(AF_VSOCK, SOCK_STREAM, 0);
    if (probe < 0)
        GTEST_SKIP() << "this kernel has no AF_VSOCK: listening on it is not tested";
    ::close(probe);
    boost::asio::io_context loop;
    const auto listener = SignerListener::create(loop, vsock_endpoint(kAnyCid, 0xffffffffu), [](auto&, auto&, auto&) {});
    ASSERT_TRUE(listener) << listener.error().detail;
    EXPECT_NE(port_of((*listener)->local_endpoint()), 0xffffffffu);
}

TEST(SignerListener, MayBeStoppedByItsDispatcher) {
    boost::asio::io_context loop{1};
    std::unique_ptr<SignerListener> listener;
    auto created = SignerListener::create(loop, *tcp_endpoint("127.0.0.1", 0),
                                          [&](const StreamContext&, const wire::Request& request, wire::Response& response) {
                                              answer({}, request, response);
                                              listener.reset();
                                          });
    ASSERT_TRUE(created);
    listener = std::move(*created);
    RawStream gateway(listener->local_endpoint());
    gateway.write(hello_request(1, ByteArray<32>{}));
    ASSERT_TRUE(run_until(loop, [&] { return listener == nullptr; }));
    EXPECT_TRUE(gateway.at_end());
    loop.restart();
    loop.run(); // returns: nothing is left
}

} // namespace
} // namespace keymeld::protocol
