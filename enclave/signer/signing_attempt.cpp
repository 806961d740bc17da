#include "enclave/signer/signing_attempt.h"

#include <utility>

#include "enclave/signer/keygen_state.h"

namespace keymeld::enclave {

Status AttemptRegister::make_room(std::size_t secret_nonces, SteadyTime now) {
    while (m_order.size() + 1 > m_limits.max_attempts ||
           m_secret_nonces + secret_nonces > m_limits.max_secret_nonces) {
        if (m_order.empty())
            return fail(Errc::Overloaded,
                        "this enclave holds too few nonces for a session of that size");
        SigningAttempt& oldest = *m_order.front();
        if (!oldest.consumed() && now - oldest.created() < m_limits.attempt_age)
            return fail(Errc::Overloaded, "too many signatures are under way at this enclave");
        oldest.m_owner.erase_attempt(oldest.id().signing);
    }
    return {};
}

SigningAttempt::SigningAttempt(AttemptRegister& registered, KeygenState& owner, const AttemptId& id,
                               std::vector<LocalNonce> nonces, SteadyTime now)
    : m_register(registered), m_owner(owner), m_id(id), m_nonces(std::move(nonces)), m_created(now),
      m_place(registered.m_order.insert(registered.m_order.end(), this)) {
    ++m_register.m_active;
    m_register.m_secret_nonces += m_nonces.size();
}

SigningAttempt::~SigningAttempt() {
    if (!m_consumed)
        take_nonces();
    m_register.m_order.erase(m_place);
}

std::vector<LocalNonce> SigningAttempt::take_nonces() {
    if (!m_consumed) {
        m_consumed = true;
        --m_register.m_active;
        m_register.m_secret_nonces -= m_nonces.size();
    }
    return std::exchange(m_nonces, {});
}

} // namespace keymeld::enclave
