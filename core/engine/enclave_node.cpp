#include "core/engine/enclave_node.h"

#include <cstddef>

#include <boost/asio/post.hpp>
#include <google/protobuf/arena.h>

#include "core/attestation/key_binding.h"
#include "core/base/log.h"
#include "core/protocol/enclave.pb.h"

namespace keymeld::engine {
namespace {

using std::chrono::steady_clock;

// An enclave that takes longer is not well: the link then gives up the stream, and with it everything in flight.
constexpr std::chrono::seconds kCallTimeout{10};
constexpr std::chrono::seconds kPingInterval{2};
constexpr std::chrono::milliseconds kCloseDelay{1000};
constexpr std::chrono::seconds kRecoveryPatience{5};
constexpr std::size_t kMaxWaiting = 65'536;
constexpr std::size_t kCloseBatch = 512; // below what one CloseSigning may hold

} // namespace

wire::SealedUpdate* sealed_update(wire::Response& response) {
    const auto given = [](auto* result) { return result->has_sealed() ? result->mutable_sealed() : nullptr; };
    switch (response.result_case()) {
    case wire::Response::kOpenKeygen: return given(response.mutable_open_keygen());
    case wire::Response::kJoinKeygen: return given(response.mutable_join_keygen());
    case wire::Response::kRegister: return given(response.mutable_register_());
    case wire::Response::kCompleteKeygen: return given(response.mutable_complete_keygen());
    case wire::Response::kFailKeygen: return given(response.mutable_fail_keygen());
    case wire::Response::kSignRound1: return given(response.mutable_sign_round1());
    case wire::Response::kApprove: return given(response.mutable_approve());
    case wire::Response::kReject: return given(response.mutable_reject());
    case wire::Response::kCloseSigning: return given(response.mutable_close_signing());
    case wire::Response::kImportKey: return given(response.mutable_import_key());
    case wire::Response::kGenerateKey: return given(response.mutable_generate_key());
    case wire::Response::kKeepKey: return given(response.mutable_keep_key());
    case wire::Response::kSignSingle: return given(response.mutable_sign_single());
    case wire::Response::kHello:
    case wire::Response::kAttest:
    case wire::Response::kPing:
    case wire::Response::kCanary:
    case wire::Response::kChallenge:
    case wire::Response::kIntroducePeer:
    case wire::Response::kEscrowIdentity:
    case wire::Response::kKeepEscrow:
    case wire::Response::kListEscrows:
    case wire::Response::kHandOver:
    case wire::Response::kTakeOver:
    case wire::Response::kReportVersions:
    case wire::Response::kKeepVersions:
    case wire::Response::kDeleteKeygen:
    case wire::Response::kRestore:
    case wire::Response::kAuthenticate:
    case wire::Response::kSignRound2:
    case wire::Response::kSignFinish:
    case wire::Response::kRestoreKey:
    case wire::Response::kDeleteKey:
    case wire::Response::kAuthenticateKey:
    case wire::Response::RESULT_NOT_SET: return nullptr;
    }
    return nullptr;
}

EnclaveNode::EnclaveNode(asio::io_context& loop, TimerQueue& timers, KnownKeys& known_keys, const config::Enclave& config,
                         std::size_t max_in_flight, std::shared_ptr<plugin::Transport> transport,
                         attestation::AttestationVerifier verifier, Events events)
    : m_loop(loop), m_timers(timers), m_known_keys(known_keys), m_config(config), m_max_in_flight(max_in_flight),
      m_transport(std::move(transport)), m_verifier(std::move(verifier)), m_events(std::move(events)) {
    protocol::LinkOptions options;
    // Some room beyond what pump() allows, for pings and closes.
    options.max_in_flight = max_in_flight + 16 * kCloseBatch + 16;
    m_link = std::make_unique<protocol::EnclaveLink>(
        loop, connector(),
        protocol::LinkEvents{
            [this](const protocol::SignerHello& hello, std::function<void(Status)> done) { verify(hello, std::move(done)); },
            [this](const protocol::SignerHello&) { on_up(); },
            [this](const protocol::LinkDown& down) { on_down(down); }},
        options);
}

protocol::Connector EnclaveNode::connector() const {
    return [shared = m_transport](asio::any_io_executor executor, SteadyTime deadline,
                                  std::function<void(Result<protocol::Socket>)> done) {
        shared->connect(std::move(executor), deadline, std::move(done));
    };
}

std::unique_ptr<protocol::EnclaveLink> EnclaveNode::side_link(protocol::LinkEvents events) const {
    return std::make_unique<protocol::EnclaveLink>(m_loop, connector(), std::move(events));
}

void EnclaveNode::start() { m_link->start(); }

void EnclaveNode::stop() {
    m_stopped = true;
    m_timers.cancel(m_ping_timer);
    m_timers.cancel(m_close_timer);
    m_closes.clear();
    m_close_count = 0;
    m_link->stop();
    for (const EnclaveCallPtr& call : std::exchange(m_queue, {}))
        if (call->queued)
            refuse(call, fail(Errc::Cancelled, "the appliance is stopping"));
}

// ---- Who it is ------------------------------------------------------------------------------------------------------

Result<attestation::VerifiedAttestation> EnclaveNode::attested(const protocol::SignerHello& hello) const {
    attestation::Expectations expected;
    expected.nonce = to_bytes(hello.nonce);
    expected.public_key = to_bytes(hello.public_key);
    expected.now_ms = unix_millis();
    auto verified = m_verifier.verify(hello.attestation_document, expected);
    if (!verified)
        return verified;
    const auto binding = attestation::key_binding(*verified);
    if (!binding)
        return binding.error();
    if (binding->key_epoch != hello.key_epoch || binding->public_key != hello.public_key)
        return fail(Errc::AttestationRefused, "the signer's hello and its attestation document differ");
    return verified;
}

void EnclaveNode::verify(const protocol::SignerHello& hello, std::function<void(Status)> done) {
    const auto verified = attested(hello);
    if (!verified)
        return done(verified.error());
    spawn(m_loop, "confirm_enclave_key", confirm(hello, verified->document().pcrs, std::move(done)));
}

Async<Status> EnclaveNode::known(protocol::SignerHello hello, std::optional<std::uint64_t> accepted_epoch) {
    // Within one life of the appliance a change is refused without asking storage: nothing here may accept it.
    if (m_proof && (m_proof->hello.public_key != hello.public_key || m_proof->hello.key_epoch != hello.key_epoch))
        co_return fail(Errc::AttestationRefused, "the enclave's key changed while the appliance was running");
    co_return co_await m_known_keys.confirm(m_config.id, hello.public_key, hello.key_epoch, accepted_epoch,
                                            steady_clock::now() + kCallTimeout);
}

Async<void> EnclaveNode::confirm(protocol::SignerHello hello, attestation::PcrSet pcrs, std::function<void(Status)> done) {
    // Its peers may hold the key that it had: only if they do not, the operator's word for another one counts.
    const bool hopeful = hello.may_take_over && !given_up(hello.boot_id);
    Status status = co_await known(hello, hopeful ? std::nullopt : m_config.accept_key_epoch);
    if (m_stopped)
        co_return;
    if (status) {
        m_recovery.reset();
        m_proof = EnclaveProof{std::move(hello), std::move(pcrs)};
    } else if (status.error().code == Errc::AttestationRefused && hello.may_take_over) {
        begin_recovery(hello);
        if (hopeful)
            status = fail(Errc::EnclaveUnavailable, "it lost its key with a restart, and its peers are asked for it");
    }
    done(status);
}

bool EnclaveNode::given_up(const Uuid& boot_id) const {
    // At the start of the appliance a peer that holds the key may be up a moment later than this enclave.
    return m_recovery && m_recovery->boot_id == boot_id && m_recovery->nobody_holds_it &&
           steady_clock::now() - m_recovery->since >= kRecoveryPatience;
}

void EnclaveNode::begin_recovery(const protocol::SignerHello& hello) {
    if (!m_recovery || m_recovery->boot_id != hello.boot_id)
        m_recovery = Recovery{hello.boot_id, steady_clock::now(), false, false};
    if (std::exchange(m_recovery->under_way, true))
        return;
    m_events.recover(id(), hello, [this, boot_id = hello.boot_id](const Status& status) { end_recovery(boot_id, status); });
}

void EnclaveNode::end_recovery(const Uuid& boot_id, const Status& status) {
    if (m_stopped || !m_recovery || m_recovery->boot_id != boot_id)
        return;
    m_recovery->under_way = false;
    if (status)
        return m_link->connect_now();
    m_recovery->nobody_holds_it = status.error().code == Errc::AttestationRefused;
}

void EnclaveNode::on_up() {
    const bool restarted = m_boot_id && *m_boot_id != m_proof->hello.boot_id;
    m_boot_id = m_proof->hello.boot_id;
    m_last_health_check = unix_seconds();
    m_was_down_logged = false;
    log::info("enclave", "up",
              {{"enclave", id()}, {"by", m_transport->describe()}, {"restarted", restarted},
               {"key_epoch", m_proof->hello.key_epoch}, {"sealing", m_proof->hello.sealing},
               {"incarnation", m_proof->hello.incarnation}, {"version", m_proof->hello.signer_version}});
    m_events.health(id(), true);
    ping();
    pump();
}

void EnclaveNode::on_down(const protocol::LinkDown& down) {
    if (m_stopped)
        return;
    // Attempts repeat until the enclave is back: the first is worth a line, and what is no mere absence always is.
    if (down.was_up || !m_was_down_logged || down.reason.code == Errc::AttestationRefused)
        log::warn("enclave", down.was_up ? "down" : "unreachable",
                  {{"enclave", id()}, {"by", m_transport->describe()}, {"error", down.reason.code},
                   {"why", down.reason.detail}});
    m_was_down_logged = true;
    m_timers.cancel(m_ping_timer);
    if (down.was_up)
        m_events.health(id(), false);
    // Calls that were queued for room have a link to wait for now.
    const SteadyTime now = steady_clock::now();
    for (const EnclaveCallPtr& call : std::exchange(m_queue, {})) {
        if (!call->queued)
            continue;
        m_timers.cancel(call->waiting);
        call->queued = false;
        if (call->wait_until <= now)
            refuse(call, fail(Errc::EnclaveUnavailable, "enclave " + std::to_string(id()) + " cannot be reached"));
        else
            submit(call);
    }
}

void EnclaveNode::ping() {
    if (m_stopped)
        return;
    wire::Request request;
    request.mutable_ping();
    m_link->send(std::move(request), steady_clock::now() + kCallTimeout, [this](Result<wire::Response> answer) {
        if (!answer || m_stopped)
            return;
        m_ping = answer->ping();
        m_last_health_check = unix_seconds();
        if (m_ping.unreported_states() != 0)
            m_events.has_news(id());
    });
    m_ping_timer = m_timers.after(kPingInterval, [this] { ping(); });
}

EnclaveView EnclaveNode::view() const {
    EnclaveView out;
    out.enclave_id = id();
    out.healthy = healthy();
    if (!m_proof)
        return out;
    out.reached = true;
    out.public_key = m_proof->hello.public_key;
    out.attestation_document = m_proof->hello.attestation_document;
    out.pcrs = attestation::pcr_texts(m_proof->pcrs);
    out.active_sessions = m_ping.active_signings();
    out.uptime_seconds = m_ping.uptime_seconds();
    out.cpu_micros = m_ping.cpu_micros();
    out.command_micros = m_ping.command_micros();
    out.link_time = m_link->counters().busy;
    out.key_epoch = m_proof->hello.key_epoch;
    out.key_generation_time = m_proof->hello.key_generation_time;
    out.last_health_check = m_last_health_check;
    return out;
}

// ---- Calls ----------------------------------------------------------------------------------------------------------

void EnclaveNode::submit(const EnclaveCallPtr& call) {
    if (m_stopped)
        return refuse(call, fail(Errc::Cancelled, "the appliance is stopping"));
    const bool up = m_link->up();
    if (up && m_queue.empty() && m_link->in_flight() < m_max_in_flight)
        return transmit(call);
    const SteadyTime until = up ? call->deadline : std::min(call->deadline, call->wait_until);
    if (until <= steady_clock::now())
        return refuse(call, fail(Errc::EnclaveUnavailable, "enclave " + std::to_string(id()) + " cannot be reached"));
    if (m_queue.size() >= kMaxWaiting)
        return refuse(call, fail(Errc::Overloaded, "too many requests wait for enclave " + std::to_string(id())));
    call->queued = true;
    m_queue.push_back(call);
    call->waiting = m_timers.at(until, [this, call] {
        call->queued = false; // stays in the queue, to be skipped
        refuse(call, fail(Errc::EnclaveUnavailable, "enclave " + std::to_string(id()) + " cannot be reached"));
    });
}

void EnclaveNode::pump() {
    while (!m_queue.empty() && m_link->up() && m_link->in_flight() < m_max_in_flight) {
        const EnclaveCallPtr call = std::move(m_queue.front());
        m_queue.pop_front();
        if (!call->queued)
            continue;
        call->queued = false;
        m_timers.cancel(call->waiting);
        transmit(call);
    }
    while (!m_queue.empty() && !m_queue.front()->queued)
        m_queue.pop_front();
}

void EnclaveNode::transmit(const EnclaveCallPtr& call) {
    alignas(std::max_align_t) char block[4096];
    google::protobuf::ArenaOptions options;
    options.initial_block = block;
    options.initial_block_size = sizeof block;
    google::protobuf::Arena arena(options);
    wire::Request& request = *google::protobuf::Arena::CreateMessage<wire::Request>(&arena);
    call->build(request);
    m_link->send(std::move(request), std::min(call->deadline, steady_clock::now() + kCallTimeout),
                 [this, call](Result<wire::Response> answer) {
                     m_events.answered(call, std::move(answer));
                     if (!m_queue.empty())
                         pump();
                 });
}

void EnclaveNode::refuse(const EnclaveCallPtr& call, Error error) {
    asio::post(m_loop, [call, error = std::move(error)]() mutable { call->done(std::move(error)); });
}

void EnclaveNode::close_later(const KeygenId& keygen, const SigningId& signing) {
    // An enclave forgets what it no longer needs by itself, too: closing only makes it sooner.
    if (m_stopped)
        return;
    m_closes[keygen].push_back(signing);
    if (++m_close_count >= kCloseBatch)
        flush_closes();
    else if (m_close_timer.number == 0)
        m_close_timer = m_timers.after(kCloseDelay, [this] { flush_closes(); });
}

void EnclaveNode::flush_closes() {
    m_timers.cancel(m_close_timer);
    m_close_count = 0;
    const auto closes = std::exchange(m_closes, {});
    if (m_stopped || !m_link->up())
        return;
    const SteadyTime deadline = steady_clock::now() + kCallTimeout;
    for (const auto& [keygen, signings] : closes) {
        auto call = std::make_shared<EnclaveCall>();
        call->enclave = id();
        call->owner = keygen;
        call->restored = call->introduced = UINT32_MAX; // not worth a repair
        call->done = [](const Result<EnclaveAnswer>&) {};
        wire::Request request;
        wire::CloseSigning& command = *request.mutable_close_signing();
        command.set_keygen_id(std::string(as_text(keygen.view())));
        for (const SigningId& signing : signings)
            command.add_signing_ids(std::string(as_text(signing.view())));
        m_link->send(std::move(request), deadline,
                     [this, call](Result<wire::Response> answer) { m_events.answered(call, std::move(answer)); });
    }
}

void EnclaveNode::reset(const std::string& reason) { m_link->reset(fail(Errc::StorageFailed, reason)); }

} // namespace keymeld::engine
