// One signature by one key of a token, over the network.
#pragma once

#include "pkcs11/musig_signing.h"
#include "pkcs11/session.h"

namespace keymeld::pkcs11 {

/// Waits for the appliance; at most the token's sign_timeout. Logs the explanation of a failure. OK: `signature` verifies.
CK_RV remote_sign(Token& token, const SignOperation& operation, const ByteArray<32>& hash, ByteArray<64>& signature);

} // namespace keymeld::pkcs11
