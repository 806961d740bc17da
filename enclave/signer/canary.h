// A whole 2-of-2 MuSig2 signing with throw-away keys: proof that this process can sign, which
// readiness rests on.
#pragma once

#include "core/bitcoin/schnorr.h"

namespace keymeld::enclave {

struct CanarySignature {
    ByteArray<32> x_only_key{};
    ByteArray<32> message{};
    bitcoin::SchnorrSignature signature;
};

/// Fresh keys and message each time; the result was verified. Any error is a defect. About 0.5 ms.
Result<CanarySignature> sign_canary();

} // namespace keymeld::enclave
