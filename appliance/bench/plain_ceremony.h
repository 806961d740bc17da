// What signing costs without an appliance around it: the same MuSig2 ceremony, or one signature, in bare libsecp256k1 calls in one process.
//
// The yardstick of `keymeld bench`: the part of the appliance's CPU time that no design can save. Throw-away keys only.
#pragma once

#include "core/base/result.h"

namespace keymeld::bench {

/// CPU time of one ceremony, microseconds.
struct PlainCost {
    double cached_us = 0;   ///< key aggregation and tweak done once, as the appliance keeps them
    double uncached_us = 0; ///< key aggregation and tweak again in every ceremony
    unsigned rounds = 0;    ///< ceremonies of each kind in one measurement
};

/// For `signers` keys under an `unspendable_taproot` tweak: a fresh nonce and a partial signature for each signer, nonce aggregation and
/// processing once, signature aggregation, verification. The least of `repeats` measurements of `rounds` ceremonies each, of this thread's
/// CPU clock. `Errc::InvalidArgument` unless 2 <= signers <= 1000; `Errc::Internal` if a ceremony gives a signature that does not verify.
Result<PlainCost> measure_plain_ceremony(unsigned signers, unsigned rounds = 100, unsigned repeats = 5);

/// CPU time of one signature by a key that is ready (BIP-340: a keypair), microseconds.
struct PlainSignature {
    double schnorr_us = 0;
    double ecdsa_us = 0;
};

/// The least of `repeats` measurements of `rounds` signatures each, of this thread's CPU clock.
/// `Errc::InvalidArgument` for none of either; `Errc::Internal` if a signature does not verify.
Result<PlainSignature> measure_plain_signature(unsigned rounds = 500, unsigned repeats = 5);

} // namespace keymeld::bench
