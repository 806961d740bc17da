// What the engine tells whoever counts: the metrics of rest-v1.md 4.14. Called on the event loop; must be cheap and must not throw.
#pragma once

#include <cstdint>
#include <string_view>

namespace keymeld::engine {

enum class SessionType { Keygen, Signing };

class Observer {
  public:
    virtual ~Observer() = default;
    /// States are the strings of section 6; `from` is "none" for a new session.
    virtual void on_transition(SessionType type, std::string_view from, std::string_view to, bool success) = 0;
    /// `operation` from a fixed set: create, register, complete, round1, round2, finish, approve, reject, store, authenticate, total.
    virtual void on_duration(SessionType type, std::string_view operation, double seconds) = 0;
    virtual void on_active(SessionType type, std::string_view state, std::int64_t change) = 0;
    virtual void on_session_error(SessionType type, std::string_view error_type) = 0;
    virtual void on_enclave_health(std::uint32_t enclave_id, bool healthy) = 0;
    /// With peer sealing: a restarted enclave got its key back, or a peer that held it did not hand it over.
    virtual void on_enclave_recovery(std::uint32_t enclave_id, bool success) = 0;
    /// With peer sealing: how many enclaves that are up now could hand over this one's key.
    virtual void on_enclave_key_holders(std::uint32_t enclave_id, std::uint32_t count) = 0;
    virtual void on_quota_violation() = 0;
    /// `operation`: key_agg, nonce_gen, partial_sign, sig_agg, canary.
    virtual void on_musig(std::string_view operation, bool success) = 0;
};

} // namespace keymeld::engine
