// A signature by a MuSig2 key: a whole signing session of the appliance, approvals included.
#pragma once

#include <atomic>
#include <string>

#include "appliance/client/credential_store.h"
#include "pkcs11/cryptoki.h"

namespace keymeld::pkcs11 {

/// What C_Sign returns, and the line for a person if it is not OK.
struct SignOutcome {
    CK_RV code = CKR_DEVICE_ERROR;
    ByteArray<64> signature{};
    std::string explanation;
};

/// Asks for the session of (key, message) that is under way, or for a new one, and waits until `deadline`.
///
/// The session's id is derived from key, user, message and a number, so that every process that wants the same signature finds the same
/// session: it is joined while it waits for approvals, its signature is taken if it was made meanwhile, and the next number begins when
/// it failed. If the user of these credentials has to approve, asking for the signature is the approval, bound to this message.
/// The signature verifies under the key when the code is OK.
client::Async<Result<SignOutcome>> musig_sign(client::RestClient& rest, const client::StoredKey& key, const client::KeySecrets& secrets,
                                              const ByteArray<32>& message, SteadyTime deadline);

/// The id of attempt `number` (RFC 9562 version 8).
SigningId signing_id(const client::StoredKey& key, const ByteArray<32>& message, std::uint32_t number);

} // namespace keymeld::pkcs11
