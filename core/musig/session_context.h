// A MuSig2 signing session (BIP-327 Session Context, Sign, PartialSigVerify, PartialSigAgg).
//
// Order of calls: nonce_gen for each signer, nonce_agg, SessionContext::create, partial_sign, then
// aggregate_and_verify.
#pragma once

#include <span>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/bitcoin/schnorr.h"
#include "core/musig/contribution.h"
#include "core/musig/key_agg.h"
#include "core/musig/nonce.h"
#include "core/musig/partial_signature.h"

namespace keymeld::musig {

using bitcoin::SchnorrSignature;

/// Aggregate nonce, message and aggregate key brought together (37 us, the same for every signer).
/// Public. Thread rule: any thread.
class SessionContext {
  public:
    /// `message` is signed as it is, without a further hash. `Errc::Internal` only on a defect.
    static Result<SessionContext> create(const AggNonce& nonce, const ByteArray<32>& message,
                                         const KeyAggContext& aggregate);
    const ByteArray<32>& message() const { return m_message; }

    /// libsecp256k1's secp256k1_musig_session, for sources of core/musig.
    const ByteArray<133>& opaque() const { return m_opaque; }

  private:
    SessionContext() = default;
    ByteArray<32> m_message{};
    ByteArray<33> m_key{}; // the aggregate key it was made for
    ByteArray<133> m_opaque{};

    friend bool belongs_to(const SessionContext& session, const KeyAggContext& aggregate);
};

/// Whether the session was made for this aggregate key.
bool belongs_to(const SessionContext& session, const KeyAggContext& aggregate);

/// Signs, and ends the nonce whatever happens. `Errc::NonceConsumed` for a nonce that was used or
/// moved from, `Errc::KeyMismatch` if nonce, key and aggregate do not belong together,
/// `Errc::InvalidArgument` if the session is another key's. [any-thread]
Result<PartialSignature> partial_sign(SecNonce nonce, const SecretKey& key,
                                      const KeyAggContext& aggregate,
                                      const SessionContext& session);

/// Checks one signer's share (73 us). `Errc::ContributionInvalid` that blames `signer`;
/// `Errc::InvalidArgument` for an index that is not in the key list or a session of another key.
/// Needed only to find who spoilt a signature.
Status partial_sig_verify(const PartialSignature& signature, const PubNonce& nonce,
                          SignerIndex signer, const KeyAggContext& aggregate,
                          const SessionContext& session);

/// Adds up the shares. Checks nothing: the result need not verify. `Errc::InvalidArgument` for
/// none.
Result<SchnorrSignature> partial_sig_agg(const SessionContext& session,
                                         std::span<const PartialSignature> signatures);

/// Adds up the shares and verifies the result under aggregate.x_only(); only if it does not verify
/// are the shares checked one by one and the first wrong one blamed (`Errc::ContributionInvalid`).
/// nonces[i] and signatures[i] belong to signer i of the key list; another number of them is
/// `Errc::InvalidArgument`. A signature that fails while all shares are right is `Errc::Internal`.
Result<SchnorrSignature> aggregate_and_verify(const KeyAggContext& aggregate,
                                              const SessionContext& session,
                                              std::span<const PubNonce> nonces,
                                              std::span<const PartialSignature> signatures);

} // namespace keymeld::musig
