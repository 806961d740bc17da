#include "enclave/signer/ledger.h"

#include <algorithm>

namespace keymeld::enclave {
namespace {

constexpr std::size_t kOpenSize = 16 + 32 + 8 + 2;
constexpr std::size_t kApprovalSize = 2 + 1 + 8;
constexpr std::size_t kEndedSize = 8 + 1;
constexpr std::size_t kNonceSize = 16;

} // namespace

const ApprovalFact* OpenSigning::approval_of(std::uint32_t signer_index) const {
    for (const ApprovalFact& approval : approvals)
        if (approval.signer_index == signer_index)
            return &approval;
    return nullptr;
}

const OpenSigning* Ledger::open(const SigningId& signing) const {
    const auto found = m_open.find(signing);
    return found == m_open.end() ? nullptr : &found->second;
}

std::optional<Ending> Ledger::ended(Mark signing) const {
    const auto word = m_ended.find(signing);
    if (!word)
        return std::nullopt;
    return static_cast<Ending>(*word);
}

std::optional<NonceUse> Ledger::nonce(Mark nonce) const {
    const auto word = m_nonces.find(nonce);
    if (!word)
        return std::nullopt;
    return NonceUse::from_word(*word);
}

void Ledger::apply(const NonceUsed& fact) {
    m_nonces.set(fact.nonce, fact.use.word());
}

void Ledger::apply(const SigningAccepted& fact) {
    OpenSigning& open = m_open[fact.signing];
    open.message = fact.message;
    open.nonce = fact.nonce;
}

void Ledger::apply(const Approved& fact) {
    const auto found = m_open.find(fact.signing);
    if (found == m_open.end())
        return;
    auto& approvals = found->second.approvals;
    const auto at = std::lower_bound(
        approvals.begin(), approvals.end(), fact.approval.signer_index,
        [](const ApprovalFact& a, std::uint32_t index) { return a.signer_index < index; });
    if (at != approvals.end() && at->signer_index == fact.approval.signer_index) {
        *at = fact.approval;
        return;
    }
    approvals.insert(at, fact.approval);
    ++m_open_approvals;
}

void Ledger::apply(const SigningEnded& fact) {
    const auto found = m_open.find(fact.signing);
    if (found == m_open.end())
        return;
    m_open_approvals -= found->second.approvals.size();
    m_open.erase(found);
    m_ended.set(fact.mark, static_cast<std::uint64_t>(fact.ending));
}

void Ledger::apply(const PeerSeen& fact) {
    if (fact.enclave < m_peer_versions.size())
        m_peer_versions[fact.enclave] = std::max(m_peer_versions[fact.enclave], fact.version);
}

void Ledger::apply(const PeerLife& fact) {
    if (fact.enclave < m_peer_incarnations.size() &&
        fact.incarnation.number > m_peer_incarnations[fact.enclave].number)
        m_peer_incarnations[fact.enclave] = fact.incarnation;
}

std::size_t Ledger::encoded_size() const {
    return 3 * 4 + m_open.size() * kOpenSize + m_open_approvals * kApprovalSize +
           m_ended.size() * kEndedSize + m_nonces.size() * kNonceSize +
           m_peer_versions.size() * (8 + 16);
}

void Ledger::encode(SecretWriter& out) const {
    out.u32(static_cast<std::uint32_t>(m_open.size()));
    for (const auto& [signing, open] : m_open) {
        out.raw(signing.view());
        out.raw(open.message);
        out.u64(open.nonce);
        out.u16(static_cast<std::uint16_t>(open.approvals.size()));
        for (const ApprovalFact& approval : open.approvals)
            approval.encode(out);
    }
    out.u32(static_cast<std::uint32_t>(m_ended.size()));
    m_ended.for_each([&](Mark mark, std::uint64_t ending) {
        out.u64(mark);
        out.u8(static_cast<std::uint8_t>(ending));
    });
    out.u32(static_cast<std::uint32_t>(m_nonces.size()));
    m_nonces.for_each([&](Mark mark, std::uint64_t use) {
        out.u64(mark);
        out.u64(use);
    });
    for (const std::uint64_t version : m_peer_versions)
        out.u64(version);
    for (const Incarnation& incarnation : m_peer_incarnations) {
        out.u64(incarnation.number);
        out.u64(incarnation.instance);
    }
}

void Ledger::decode(SecretReader& in, bool with_lives) {
    *this = Ledger(m_peer_versions.size());
    for (std::uint32_t count = in.u32(); in.fits(count, kOpenSize) && count > 0; --count) {
        const auto signing = in.id<SigningId>();
        SigningAccepted accepted;
        accepted.signing = signing;
        accepted.message = in.array<32>();
        accepted.nonce = in.u64();
        apply(accepted);
        for (std::uint16_t approvals = in.u16(); in.fits(approvals, kApprovalSize) && approvals > 0;
             --approvals)
            apply(Approved{signing, ApprovalFact::decode(in)});
    }
    for (std::uint32_t count = in.u32(); in.fits(count, kEndedSize) && count > 0; --count) {
        const Mark mark = in.u64();
        const std::uint8_t ending = in.u8();
        if (mark == 0 || ending < 1 || ending > 2)
            return in.fail_now();
        m_ended.set(mark, ending);
    }
    for (std::uint32_t count = in.u32(); in.fits(count, kNonceSize) && count > 0; --count) {
        const Mark mark = in.u64();
        const std::uint64_t use = in.u64();
        if (mark == 0)
            return in.fail_now();
        m_nonces.set(mark, use);
    }
    for (std::uint64_t& version : m_peer_versions)
        version = in.u64();
    if (!with_lives)
        return;
    for (Incarnation& incarnation : m_peer_incarnations) {
        incarnation.number = in.u64();
        incarnation.instance = in.u64();
    }
}

} // namespace keymeld::enclave
