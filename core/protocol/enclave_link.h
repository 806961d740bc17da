// The gateway's end of one enclave's stream: connect, hello, attestation, then many requests in flight.
//
// One object per enclave, on one event loop of one thread; every function and callback runs there [loop]. All requests made in one turn
// of the loop leave in one write; answers are matched by id, in any order. A request that misses its deadline closes the
// stream, because the enclave may have changed state in an answer that will never be stored (docs/architecture.md); so does
// anything the enclave sends that it should not. A closed stream is connected again with backoff, and attested again.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include "core/base/clock.h"
#include "core/base/uuid.h"
#include "core/protocol/frame.h"

namespace keymeld::wire {
class Request;
class Response;
}

namespace keymeld::protocol {

/// What Transport::connect does: calls the handler exactly once, on the executor, at the latest at the deadline.
using Socket = boost::asio::generic::stream_protocol::socket;
using Connector = std::function<void(boost::asio::any_io_executor, SteadyTime deadline, std::function<void(Result<Socket>)>)>;

/// What the signer said in its Hello. Sizes are checked; nothing is true before the attestation document was verified.
struct SignerHello {
    ByteArray<32> nonce{};              ///< ours, fresh: the document must carry it
    Uuid boot_id;                       ///< another value than last time: the signer restarted and every attempt is void
    std::uint64_t key_epoch = 0;        ///< from 1
    std::uint64_t key_generation_time = 0; ///< Unix seconds
    ByteArray<33> public_key{};         ///< ECIES key; must equal the attested one
    Bytes attestation_document;         ///< COSE_Sign1
    std::string signer_version;         ///< at most 64 printable ASCII characters
    std::string sealing;                ///< how its key survives a restart: "none", "file", "peer"; the same form
    bool may_take_over = false;         ///< its key is new and not in use: it would take over another from a peer
    std::uint64_t incarnation = 0;      ///< of its key, from 1 with peer sealing
};

struct LinkDown {
    Error reason;
    bool was_up = false;                ///< false: an attempt to connect failed
    std::chrono::milliseconds retry_in{0};
};

struct LinkEvents {
    /// Must call the second argument once, at once or later on the loop: success opens the link; an error closes the stream, and the next
    /// attempt comes after the backoff. Required. A call after the link was stopped or the stream closed has no effect.
    std::function<void(const SignerHello&, std::function<void(Status)>)> verify;
    /// Verified: calls are taken from now on.
    std::function<void(const SignerHello&)> on_up;
    /// The stream was lost, or could not be made. Requests in flight get their errors after this. May call any function of the link.
    std::function<void(const LinkDown&)> on_down;
};

struct LinkOptions {
    std::chrono::milliseconds connect_timeout{5000};
    std::chrono::milliseconds hello_timeout{10000};  ///< hello and verification together
    std::chrono::milliseconds backoff_min{50};       ///< doubled with each failed attempt, then jittered down by up to half
    std::chrono::milliseconds backoff_max{5000};
    std::size_t max_in_flight = 1024;                ///< requests without an answer
    std::size_t max_unsent = std::size_t{8} << 20;   ///< bytes that the signer has not taken yet
    std::size_t max_frame = kDefaultMaxFrame;        ///< both directions
};

struct LinkCounters {
    std::uint64_t connects = 0;  ///< streams that came up
    std::uint64_t requests = 0;  ///< sent, hellos included
    std::uint64_t responses = 0; ///< received, hellos included
    std::uint64_t writes = 0;    ///< system calls that wrote something
    std::uint64_t reads = 0;     ///< system calls that read something
    std::chrono::nanoseconds busy{0}; ///< CPU time spent on coding and writing
};

class EnclaveLink {
  public:
    using Done = std::function<void(Result<wire::Response>)>;

    /// Does nothing before start(). `loop` and whatever `connector` refers to must outlive the link.
    EnclaveLink(boost::asio::io_context& loop, Connector connector, LinkEvents events, LinkOptions options = {});
    /// As stop().
    ~EnclaveLink();
    EnclaveLink(const EnclaveLink&) = delete;
    EnclaveLink& operator=(const EnclaveLink&) = delete;

    void start();
    /// Closes the stream. Requests in flight get Cancelled in a later turn of the loop; no event is reported any more. For good.
    void stop();

    /// Sends `request` (its id is set here) and waits for the answer. A refusal by the signer comes as its Error (failure.h).
    /// Own errors: Disconnected (link down, or lost before the answer: the request may or may not have been carried out),
    /// Overloaded (nothing sent), FrameTooLarge (nothing sent), DeadlineExceeded (nothing sent if the deadline had passed
    /// already, else the stream is closed), Cancelled (stop). Ends at the latest at the deadline; not cancellable before.
    boost::asio::awaitable<Result<wire::Response>> call(wire::Request request, SteadyTime deadline);
    /// The same with a callback, never called from inside send(). The request is not needed after the call: it may be in an arena.
    void send(wire::Request&& request, SteadyTime deadline, Done done);

    /// Gives up the stream, as after a batch that storage refused: everything in flight gets Disconnected, then reconnects.
    void reset(Error reason);
    /// Tries now instead of at the end of the backoff.
    void connect_now();

    bool up() const;
    /// The signer at the other end; null while down.
    const SignerHello* signer() const;
    std::size_t in_flight() const;
    LinkCounters counters() const;

  private:
    class Impl;
    std::shared_ptr<Impl> m_impl;
};

} // namespace keymeld::protocol
