// One attempt at one signature at this enclave, and the bound on how many there are.
//
// Secret nonces live here and nowhere else. They are made with the attempt, moved out once, by
// value, when everything that can be checked before was checked, and die with the attempt on every
// other path. An attempt that has signed keeps only its public answer.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/clock.h"
#include "core/musig/nonce.h"
#include "enclave/signer/limits.h"
#include "enclave/signer/roster.h"

namespace keymeld::enclave {

class KeygenState;
class SigningAttempt;

/// Knows every attempt of the process, oldest first.
class AttemptRegister {
  public:
    explicit AttemptRegister(const Limits& limits) : m_limits(limits) {}

    /// Makes room for one more attempt with `secret_nonces`: those that have signed or are too old
    /// go. `Errc::Overloaded` if that is not enough.
    Status make_room(std::size_t secret_nonces, SteadyTime now);
    std::size_t size() const { return m_order.size(); }
    /// Attempts with secret nonces.
    std::size_t active() const { return m_active; }
    std::size_t secret_nonces() const { return m_secret_nonces; }

  private:
    friend class SigningAttempt;
    const Limits& m_limits;
    std::list<SigningAttempt*> m_order;
    std::size_t m_active = 0;
    std::size_t m_secret_nonces = 0;
};

struct LocalNonce {
    std::uint32_t signer_index = 0;
    musig::SecNonce secret;
    musig::PubNonce pub;
};

/// What an attempt showed the other enclaves.
struct OwnContribution {
    Standing standing;
    std::vector<NonceEntry> nonces; ///< by signer_index
    crypto::Hash256 tag{};
};

class SigningAttempt {
  public:
    /// Enters the register; leaves it when destroyed. `owner` must outlive the attempt.
    SigningAttempt(AttemptRegister& registered, KeygenState& owner, const AttemptId& id,
                   std::vector<LocalNonce> nonces, SteadyTime now);
    ~SigningAttempt();
    SigningAttempt(const SigningAttempt&) = delete;
    SigningAttempt& operator=(const SigningAttempt&) = delete;

    const AttemptId& id() const { return m_id; }
    SteadyTime created() const { return m_created; }
    /// Public nonces in a tag order of signer_index; empty once taken.
    const std::vector<LocalNonce>& nonces() const { return m_nonces; }
    /// True once the secret nonces were taken.
    bool consumed() const { return m_consumed; }
    /// The secret nonces, once: afterwards there are none.
    std::vector<LocalNonce> take_nonces();

    OwnContribution own;
    /// The ledger version of each enclave of the session below which its contribution is refused:
    /// what was known when the nonces were made.
    std::vector<std::uint64_t> least_versions;
    /// When the first of the bound approvals that this attempt rests on lapses, seconds since the
    /// Unix epoch.
    std::uint64_t approvals_expire_at = std::numeric_limits<std::uint64_t>::max();

    // After the nonces were taken: what was asked and what was answered, so that a repetition gets
    // the same.
    crypto::Hash256 request{};
    std::optional<Error> failure;
    Bytes box;                   ///< round 2
    std::string final_signature; ///< finish, or round 1 where this enclave holds all

  private:
    friend class AttemptRegister;
    AttemptRegister& m_register;
    KeygenState& m_owner;
    AttemptId m_id;
    std::vector<LocalNonce> m_nonces;
    SteadyTime m_created;
    bool m_consumed = false;
    std::list<SigningAttempt*>::iterator m_place;
};

} // namespace keymeld::enclave
