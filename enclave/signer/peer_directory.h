// Peer enclaves: whose attestation this enclave has verified itself, and the channels to them.
#pragma once

#include <unordered_map>
#include <vector>

#include "core/attestation/verifier.h"
#include "core/crypto/peer_channel.h"
#include "enclave/signer/enclave_identity.h"
#include "enclave/signer/limits.h"
#include "enclave/signer/moment.h"

namespace keymeld::enclave {

struct IntroducedPeer {
    crypto::PlainPubKey key;
    std::uint64_t epoch = 0;
};

class PeerDirectory {
  public:
    /// `verifier` holds the trust anchor and the measurements that a peer must have. All must
    /// outlive the directory.
    PeerDirectory(const EnclaveIdentity& identity, const attestation::AttestationVerifier& verifier,
                  const Limits& limits);

    /// A nonce for one document, good for one introduction within `challenge_lifetime`.
    /// `Errc::Overloaded` if too many are outstanding.
    Result<ByteArray<32>> challenge(SteadyTime now);
    /// Verifies a peer's document, which must carry an outstanding nonce (used up even if it is
    /// refused), and remembers the key that it vouches for. `Errc::AttestationRefused`;
    /// `Errc::InvalidArgument` for our own key.
    Result<IntroducedPeer> introduce(ByteView document, Moment now);

    /// The channel to a peer that was introduced, else `Errc::PeerUnknown` with the fact
    /// peer_public_key. Valid until the next call.
    Result<const crypto::PeerChannel*> introduced(const crypto::PlainPubKey& key);
    /// The channel to a peer that our own sealed state names: it was introduced when the session
    /// was made.
    Result<const crypto::PeerChannel*> of_session(const crypto::PlainPubKey& key);

  private:
    struct Peer {
        crypto::PeerChannel channel;
        bool introduced = false;
        std::uint64_t last_used = 0;
    };
    struct Outstanding {
        ByteArray<32> nonce{};
        SteadyTime expires{};
    };
    Result<Peer*> channel_to(const crypto::PlainPubKey& key);
    void forget_expired(SteadyTime now);

    const EnclaveIdentity& m_identity;
    const attestation::AttestationVerifier& m_verifier;
    const Limits& m_limits;
    std::unordered_map<crypto::PlainPubKey, Peer> m_peers;
    std::uint64_t m_uses = 0;
    std::vector<Outstanding> m_outstanding;
};

} // namespace keymeld::enclave
