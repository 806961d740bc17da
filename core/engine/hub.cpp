#include "core/engine/hub.h"

#include "core/session/call_outcome.h"

namespace keymeld::engine {
namespace {

class NullObserver final : public Observer {
  public:
    void on_transition(SessionType, std::string_view, std::string_view, bool) override {}
    void on_duration(SessionType, std::string_view, double) override {}
    void on_active(SessionType, std::string_view, std::int64_t) override {}
    void on_session_error(SessionType, std::string_view) override {}
    void on_enclave_health(std::uint32_t, bool) override {}
    void on_enclave_recovery(std::uint32_t, bool) override {}
    void on_enclave_key_holders(std::uint32_t, std::uint32_t) override {}
    void on_quota_violation() override {}
    void on_musig(std::string_view, bool) override {}
};

Observer& or_null(Observer* observer) {
    static NullObserver null;
    return observer != nullptr ? *observer : null;
}

} // namespace

Hub::Hub(asio::io_context& the_loop, const config::Config& the_config, Parts parts, Observer* the_observer)
    : loop(the_loop), config(the_config), observer(or_null(the_observer)), tweak(std::move(parts.tweak)),
      transports(std::move(parts.transports)), timers(the_loop), store(the_loop, timers, std::move(parts.storage)),
      locks(the_loop, timers), known_keys(store), fleet(*this), sealed(*this), keygens(*this), signings(*this),
      cleaner(*this), identities(*this) {}

Hub::~Hub() = default;

void Hub::shut_down() {
    stopping = true;
    fleet.stop();
    identities.stop();
    keygens.stop();
    signings.stop();
    sealed.stop();
    timers.stop();
}

Async<void> Hub::pause(std::chrono::milliseconds time) {
    const OneShot<bool> over(loop);
    co_await over.wait_until(timers, std::chrono::steady_clock::now() + time, true);
}

Result<Operation> Operation::begin(Hub& hub) {
    if (hub.stopping || !hub.started)
        return fail(Errc::Overloaded, "the appliance is not taking requests now");
    if (hub.operations >= hub.config.limits.max_inflight_requests)
        return fail(Errc::Overloaded, "too many requests are under way");
    return Operation(hub);
}

Operation::Operation(Hub& hub)
    : m_hub(hub.shared_from_this()), m_began(std::chrono::steady_clock::now()),
      m_deadline(m_began + hub.config.limits.request_deadline) {
    ++m_hub->operations;
}

Operation::~Operation() {
    if (m_hub)
        --m_hub->operations;
}

Error for_client(Error error) {
    const auto as = [&](Errc code) {
        error.code = code;
        return std::move(error);
    };
    switch (error.code) {
    case Errc::Io:
    case Errc::DeadlineExceeded:
    case Errc::Disconnected:
    case Errc::MalformedFrame:
    case Errc::ProtocolMismatch:
    case Errc::AttestationRefused:
    case Errc::StateUnknown:
    case Errc::PeerUnknown: return as(Errc::EnclaveUnavailable);
    case Errc::Cancelled:
    case Errc::StorageFailed: return as(Errc::Overloaded);
    case Errc::InvalidArgument:
    case Errc::Unsupported:
    case Errc::DecryptFailed:
    case Errc::InvalidSignature:
    case Errc::ContributionInvalid:
    case Errc::AggregateAtInfinity:
    case Errc::FrameTooLarge:
    case Errc::StateRolledBack:
    case Errc::SealBroken:
    case Errc::AttemptVoid:
    case Errc::NonceConsumed:
    case Errc::RosterMismatch:
    case Errc::ConfigInvalid:
    case Errc::PluginMissing:
    case Errc::PluginIncompatible:
    case Errc::PluginWrongKind:
    case Errc::PluginFailed:
    case Errc::StorageConflict:
    case Errc::StorageCorrupt: return as(Errc::Internal);
    case Errc::InvalidPoint:
    case Errc::InvalidScalar: return as(Errc::ValidationFailed);
    case Errc::Internal:
    case Errc::MalformedJson:
    case Errc::ValidationFailed:
    case Errc::WrongEnclave:
    case Errc::KeyMismatch:
    case Errc::MessageMismatch:
    case Errc::AuthMissing:
    case Errc::AuthMalformed:
    case Errc::AuthFailed:
    case Errc::NonceReplayed:
    case Errc::NotAParticipant:
    case Errc::BoundApprovalRequired:
    case Errc::ApprovalExpired:
    case Errc::NotPermitted:
    case Errc::NotFound:
    case Errc::RouteNotFound:
    case Errc::MethodNotAllowed:
    case Errc::DuplicateId:
    case Errc::AlreadyRegistered:
    case Errc::WrongState:
    case Errc::QuotaExceeded:
    case Errc::BlobReused:
    case Errc::BodyTooLarge:
    case Errc::UnsupportedMediaType:
    case Errc::RateLimited:
    case Errc::AttestationUnavailable:
    case Errc::EnclaveUnavailable:
    case Errc::Overloaded:
    case Errc::NotReady: return error;
    }
    return error;
}

} // namespace keymeld::engine
