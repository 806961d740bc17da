// Everything that the signer bounds. Whoever speaks to it can make it busy, never make it grow.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace keymeld::enclave {

struct Limits {
    /// Keygen sessions in clear in memory; beyond, the least recently used without a running
    /// attempt are parked.
    std::size_t max_keygens = 2'000;
    /// Private keys over all of them; beyond, the same. With the nonces below this bounds locked
    /// memory: about 6 MB.
    std::size_t max_private_keys = 20'000;
    /// Ledger entries (open signings, ended signings, used nonces) over all of them; beyond, the
    /// same.
    std::size_t max_ledger_entries = 1'000'000;
    /// Parked sessions are kept sealed in ordinary memory; beyond, the oldest must be given back by
    /// Restore.
    std::size_t max_parked_bytes = std::size_t{64} << 20;
    /// Sessions whose highest version or deletion is remembered; beyond, no new ones (Overloaded)
    /// until a restart.
    std::size_t max_history = 2'000'000;
    /// Blob bindings; beyond, no new ones (Overloaded).
    std::size_t max_bindings = 4'000'000;
    /// Signing nonces over all sessions, of approvals and rejections, and again as many of reads
    /// and failed requests: the latest so many at least. Those of a session in memory are also in
    /// its ledger.
    std::size_t max_signing_nonces = 1'000'000;
    /// Session nonces of reads and failed requests per keygen session: the latest so many.
    std::size_t max_session_nonces = 1'024;
    /// Plaintext of one session's sealed state. A snapshot, and Restore with all its deltas, must
    /// fit into a frame.
    std::size_t max_state_bytes = std::size_t{1'700} << 10;
    /// Bytes of sealed deltas after which a snapshot is due, whatever their number.
    std::size_t max_delta_bytes = std::size_t{1} << 20;
    /// Signing attempts in memory, finished ones included, and secret nonces among them. Beyond,
    /// finished ones and those older than `attempt_age` go; if there are none, Overloaded.
    std::size_t max_attempts = 20'000;
    std::size_t max_secret_nonces = 20'000;
    std::chrono::seconds attempt_age{120};
    /// Single keys in memory; beyond, the least recently used must be given back by RestoreKey.
    std::size_t max_single_keys = 10'000;
    /// Used approvals over all of them; beyond, the same.
    std::size_t max_approvals = 1'000'000;
    /// Used approvals remembered for one single key. Beyond, the oldest are forgotten and whatever
    /// was approved then is refused as expired: a key that signs faster than this many times in 300
    /// s has a shorter window.
    std::size_t max_approvals_per_key = 65'536;
    /// Peer enclaves whose channel is kept; beyond, the least recently used must be introduced
    /// again.
    std::size_t max_peers = 256;
    std::size_t max_challenges = 64;
    /// Peers whose key is kept for their restart; beyond, the one longest not renewed goes.
    std::size_t max_escrows = 256;
    std::chrono::seconds challenge_lifetime{60};
};

/// Fixed by the REST specification and the protocol.
inline constexpr std::size_t kMinParticipants = 2;
inline constexpr std::size_t kMaxParticipants = 1000;
inline constexpr std::size_t kMaxEnclavesOfKeygen = 256;
inline constexpr std::size_t kMaxHeader = 512; ///< characters of an authentication header
inline constexpr std::size_t kMaxEncryptedMessage = 8192; ///< characters of encrypted_message
inline constexpr std::size_t kKeyBlob = 93;               ///< ECIES blob of a private key
inline constexpr std::size_t kSecretBlob = 125;           ///< ECIES blob of a session secret
inline constexpr std::uint64_t kApprovalAge =
    300; ///< seconds that the approval of a single key's signature is good for
inline constexpr std::uint64_t kClockTolerance =
    5; ///< seconds by which it may be ahead of the enclave's clock

} // namespace keymeld::enclave
