// What signing costs without an appliance around it: the same MuSig2 ceremony, or one signature, in bare libsecp256k1 calls in one process.
//
// The yardstick of `keymeld bench`: the part of the appliance's CPU time that no design can save. Throw-away keys only.
#pragma once

#include "core/base/result.h"

namespace keymeld::bench {

/// CPU time of one ceremony, microseconds.
struct PlainCost {
    double ceremony_us = 0; ///< each signer processes the aggregate nonce itself; keys aggregated and tweaked before
    double shared_us = 0;   ///< as ceremony_us, but one session for all signers: nonces processed once, which only one process that holds all keys can do
    double uncached_us = 0; ///< as ceremony_us, and key aggregation and tweak in every ceremony
    unsigned rounds = 0;    ///< ceremonies of each kind in one measurement
};

/// For `signers` keys under an `unspendable_taproot` tweak, as BIP-327 lets signers and their coordinator work: each signer makes a fresh
/// nonce, processes the aggregate nonce and signs; nonces and partial signatures are aggregated once, the signature is verified once (and
/// partial signatures not one by one). The least of `repeats` measurements of `rounds` ceremonies each, of this thread's
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
