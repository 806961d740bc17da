// The associated data that ties a client's ECIES blobs to one session and its parameters
// (`ecies_aad: true`, rest-v1.md 5.1).
//
// Client and enclave each compute these texts from values they hold; a ready-made text is never
// accepted from anybody. All of it is public but the session secret that goes into secret_id().
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/base/uuid.h"
#include "core/bitcoin/key_order.h"
#include "core/bitcoin/tweak_config.h"
#include "core/secure/secret.h"

namespace keymeld::bitcoin {

/// The four parameters of a session, after defaults.
struct SessionParams {
    std::vector<UserId>
        expected_participants; ///< in the order of the request, the coordinator first
    TweakConfig tweak;
    KeyOrder key_order = KeyOrder::UserId;
    std::uint32_t max_signing_sessions = 0;

    bool operator==(const SessionParams&) const = default;
};

/// `<params>`: hex SHA-256 of
/// `keymeld-params-v1:<participants>:<tweak>:<key_order>:<max_signing_sessions>`. [any-thread]
std::string params_id(const SessionParams& params);

/// `<secret id>`: hex SHA-256 of `keymeld-secret-id-v1:` || the 32 raw bytes of the session secret.
/// Never sent; not secret enough to compare in variable time, so only hash it into an AAD.
std::string secret_id(const secure::SecretArray<32>& session_secret);

/// AAD of `encrypted_private_key`. `approval_policy` is the effective one: `none`, `header` or
/// `bound` (session::text()).
std::string private_key_aad(const KeygenId& keygen, const UserId& user,
                            std::string_view approval_policy, std::string_view params_id,
                            std::string_view secret_id);
/// AAD of `coordinator_encrypted_private_key`; `coordinator` is expected_participants[0].
std::string coordinator_key_aad(const KeygenId& keygen, const UserId& coordinator);
/// AAD of `encrypted_session_secret`.
std::string session_secret_aad(const KeygenId& keygen, const UserId& coordinator,
                               std::string_view params_id);

} // namespace keymeld::bitcoin
