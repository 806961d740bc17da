// Round trips between two processes over EnclaveLink and SignerListener, against a bare blocking ping-pong with messages of the same sizes.
//
// usage: link_bench [SECONDS_PER_CASE]      0.5 by default
//
// Read the ratios, not the absolute figures: both sides of a ratio are measured in the same run. "bare" sends D requests in one write, reads them
// with as few reads as come, and answers likewise: what sockets and scheduler cost, without framing, protobuf, event loop and deadlines.
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/protocol/enclave.pb.h"
#include "core/protocol/enclave_link.h"
#include "core/protocol/endpoint_transport.h"
#include "core/protocol/signer_listener.h"

namespace {

using namespace keymeld;
using namespace keymeld::protocol;
namespace asio = boost::asio;
using std::chrono::steady_clock;

constexpr std::size_t kRequestSize = 300;
constexpr std::size_t kAnswerSize = 200;

double cpu_micros(int who) {
    rusage usage{};
    ::getrusage(who, &usage);
    return 1e6 * static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(cpu), &set);
    ::sched_setaffinity(0, sizeof(set), &set);
}

struct Measured {
    double per_second = 0;
    double client_micros = 0; ///< CPU per round trip
    double server_micros = 0;
};

/// Runs `serve` in a child until `drive` has returned the number of round trips it made.
Measured measure(int server_cpu, const std::function<void()>& serve, const std::function<std::uint64_t()>& drive) {
    const double children_before = cpu_micros(RUSAGE_CHILDREN);
    const pid_t child = ::fork();
    if (child == 0) {
        pin(server_cpu);
        serve();
        ::_exit(0);
    }
    pin(0);
    const double cpu_before = cpu_micros(RUSAGE_SELF);
    const auto begun = steady_clock::now();
    const auto trips = static_cast<double>(drive());
    const double seconds = std::chrono::duration<double>(steady_clock::now() - begun).count();
    const double client = cpu_micros(RUSAGE_SELF) - cpu_before;
    ::kill(child, SIGTERM);
    ::waitpid(child, nullptr, 0);
    return {trips / seconds, client / trips, (cpu_micros(RUSAGE_CHILDREN) - children_before) / trips};
}

// ---- Bare sockets ---------------------------------------------------------------------------------------------------

bool transfer_all(int descriptor, Bytes& buffer, bool write) {
    std::size_t done = 0;
    while (done < buffer.size()) {
        const auto size = write ? ::send(descriptor, buffer.data() + done, buffer.size() - done, MSG_NOSIGNAL)
                                : ::recv(descriptor, buffer.data() + done, buffer.size() - done, 0);
        if (size <= 0)
            return false;
        done += static_cast<std::size_t>(size);
    }
    return true;
}

int connected_to(const Endpoint& endpoint) {
    const int descriptor = ::socket(endpoint.protocol().family(), SOCK_STREAM, 0);
    for (int tries = 0; ::connect(descriptor, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0; ++tries) {
        if (tries == 1000)
            std::abort();
        ::usleep(5000);
    }
    return descriptor;
}

Measured bare(int server_cpu, Endpoint endpoint, std::size_t depth, std::chrono::duration<double> time) {
    const int listening = ::socket(endpoint.protocol().family(), SOCK_STREAM, 0);
    ::bind(listening, endpoint.data(), static_cast<socklen_t>(endpoint.size()));
    ::listen(listening, 1);
    auto size = static_cast<socklen_t>(endpoint.capacity());
    ::getsockname(listening, endpoint.data(), &size);
    endpoint.resize(size);
    auto serve = [&] {
        const int stream = ::accept(listening, nullptr, nullptr);
        Bytes request(kRequestSize * depth);
        Bytes answer(kAnswerSize * depth);
        while (transfer_all(stream, request, false) && transfer_all(stream, answer, true)) {
        }
    };
    auto drive = [&] {
        const int stream = connected_to(endpoint);
        Bytes request(kRequestSize * depth);
        Bytes answer(kAnswerSize * depth);
        std::uint64_t trips = 0;
        for (const auto end = steady_clock::now() + time; steady_clock::now() < end; trips += depth) {
            if (!transfer_all(stream, request, true) || !transfer_all(stream, answer, false))
                std::abort();
        }
        ::close(stream);
        return trips;
    };
    const Measured measured = measure(server_cpu, serve, drive);
    ::close(listening);
    return measured;
}

// ---- The link -------------------------------------------------------------------------------------------------------

wire::Request sample_request() {
    wire::Request request;
    wire::SignRound1& round = *request.mutable_sign_round1();
    round.set_keygen_id(std::string(16, 'k'));
    round.set_signing_id(std::string(16, 's'));
    round.set_attempt(1);
    round.mutable_evidence()->set_session_header(std::string(kRequestSize - 96, 'h'));
    round.mutable_evidence()->set_message_hash(std::string(32, 'm'));
    return request;
}

void answer_sample(const wire::Request& request, wire::Response& response) {
    if (request.has_hello()) {
        wire::HelloResult& hello = *response.mutable_hello();
        hello.set_protocol_version(1);
        hello.set_boot_id(std::string(16, 'b'));
        hello.set_key_epoch(1);
        hello.set_public_key(std::string(33, 'k'));
        hello.set_attestation_document("none");
        return;
    }
    wire::NonceContribution& contribution = *response.mutable_sign_round1()->mutable_contribution();
    contribution.set_enclave(std::string(33, 'e'));
    contribution.set_ledger_version(7);
    contribution.add_nonces()->set_pubnonce(std::string(128, 'n'));
    contribution.set_tag(std::string(kAnswerSize - 128, 't'));
}

asio::awaitable<void> caller(EnclaveLink& link, const wire::Request& request, steady_clock::time_point end,
                             std::uint64_t& trips) {
    while (steady_clock::now() < end) {
        const auto got = co_await link.call(request, end + std::chrono::seconds(30));
        if (!got)
            std::abort();
        ++trips;
    }
}

Measured linked(int server_cpu, const Endpoint& wanted, std::size_t depth, std::chrono::duration<double> time) {
    asio::io_context server_loop{1};
    auto listener = SignerListener::create(
        server_loop, wanted, [](const StreamContext&, const wire::Request& request, wire::Response& response) {
            answer_sample(request, response);
        });
    if (!listener)
        std::abort();
    const Endpoint endpoint = (*listener)->local_endpoint();
    auto serve = [&] {
        server_loop.notify_fork(asio::execution_context::fork_child);
        server_loop.run();
    };
    auto drive = [&] {
        asio::io_context loop{1};
        EndpointTransport transport(endpoint);
        const wire::Request request = sample_request();
        std::uint64_t trips = 0;
        std::size_t ended = 0;
        std::unique_ptr<EnclaveLink> link;
        LinkEvents events;
        events.verify = [](const SignerHello&, const std::function<void(Status)>& done) { done({}); };
        events.on_up = [&](const SignerHello&) {
            const auto end = steady_clock::now() + std::chrono::duration_cast<steady_clock::duration>(time);
            for (std::size_t i = 0; i < depth; ++i)
                asio::co_spawn(loop, caller(*link, request, end, trips), [&](std::exception_ptr) {
                    if (++ended == depth)
                        link->stop();
                });
        };
        link = std::make_unique<EnclaveLink>(
            loop,
            [&](asio::any_io_executor executor, SteadyTime deadline, std::function<void(Result<Socket>)> done) {
                transport.connect(std::move(executor), deadline, std::move(done));
            },
            std::move(events));
        server_loop.notify_fork(asio::execution_context::fork_parent);
        link->start();
        loop.run();
        return trips;
    };
    server_loop.notify_fork(asio::execution_context::fork_prepare);
    return measure(server_cpu, serve, drive);
}

} // namespace

int main(int argc, char** argv) {
    const std::chrono::duration<double> time{argc > 1 ? std::atof(argv[1]) : 0.5};
    const auto folder = std::filesystem::temp_directory_path() / ("keymeld-link-bench-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder);
    const int last_cpu = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)) - 1;
    std::printf("request %zu bytes, answer about %zu; CPU in us per round trip, gateway + signer\n", kRequestSize, kAnswerSize);
    std::printf("%-5s %-6s %5s | %10s %15s | %10s %15s | %7s %9s\n", "", "signer", "depth", "bare/s", "CPU", "link/s", "CPU",
                "link is", "CPU ratio");
    for (const bool tcp : {true, false}) {
        for (const int cpu : {0, last_cpu}) {
            for (const std::size_t depth : {1u, 8u, 32u}) {
                auto endpoint = tcp ? *tcp_endpoint("127.0.0.1", 0) : *unix_endpoint((folder / "bare").string());
                const Measured plain = bare(cpu, endpoint, depth, time);
                endpoint = tcp ? *tcp_endpoint("127.0.0.1", 0) : *unix_endpoint((folder / "link").string());
                const Measured link = linked(cpu, endpoint, depth, time);
                std::printf("%-5s %-6s %5zu | %10.0f %7.1f+%-7.1f | %10.0f %7.1f+%-7.1f | %6.2fx %8.1fx\n", tcp ? "tcp" : "unix",
                            cpu == 0 ? "same" : "other", depth, plain.per_second, plain.client_micros, plain.server_micros,
                            link.per_second, link.client_micros, link.server_micros, link.per_second / plain.per_second,
                            (link.client_micros + link.server_micros) / (plain.client_micros + plain.server_micros));
                std::filesystem::remove(folder / "bare");
            }
        }
    }
    std::filesystem::remove_all(folder);
    return 0;
}
