#include "enclave/signer/single_key.h"

#include <algorithm>

namespace keymeld::enclave {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kCoreSize = 1 + 16 + 33 + 1 + 32 + 8 + 32;
constexpr std::size_t kMinKeyDeltas = 64; // as KeygenState, for the same reason

Error key_broken() {
    return fail(Errc::SealBroken, "sealed state does not have the form that this signer writes");
}

} // namespace

SingleKey::SingleKey(const KeyId& id, crypto::SecretKey key, const KeyFacts& facts,
                     SealedChain chain, const Limits& limits)
    : recent_nonces(limits.max_session_nonces), m_id(id), m_facts(facts), m_key(std::move(key)),
      m_approvals(limits.max_approvals_per_key), m_limits(limits), m_chain(std::move(chain)) {}

SingleKey::SingleKey(const EnclaveIdentity& identity, const KeyId& id, const KeyFacts& facts,
                     crypto::SecretKey key, const Limits& limits)
    : SingleKey(id, std::move(key), facts, SealedChain(id, identity.seal_key(id)), limits) {}

Result<std::unique_ptr<SingleKey>> SingleKey::restore(const EnclaveIdentity& identity,
                                                      const KeyId& id,
                                                      std::span<const SealedView> updates,
                                                      const Limits& limits) {
    if (updates.empty() || !updates.front().snapshot)
        return fail(Errc::SealBroken, "sealed state starts with a snapshot");
    SealedChain chain(id, identity.seal_key(id));
    KEYMELD_TRY(const auto snapshot,
                chain.open(updates.front().version, true, updates.front().blob));
    SecretReader in(snapshot.expose());
    if (in.u8() != kFormat)
        return key_broken();
    const auto user = in.id<UserId>();
    const auto auth_key = crypto::PlainPubKey::parse(in.raw(33));
    const auto allowed = bitcoin::AllowedSignatures::from_bits(in.u8());
    const auto origin = in.array<32>();
    const Mark blob = in.u64();
    auto secret = crypto::SecretKey::parse(in.raw(32));
    if (!in.ok() || !auth_key || !allowed || !secret)
        return key_broken();
    ApprovalWindow approvals(limits.max_approvals_per_key);
    approvals.decode(in);
    if (!in.done())
        return key_broken();
    for (const SealedView& update : updates.subspan(1)) {
        if (update.snapshot)
            return fail(Errc::SealBroken, "sealed state is one snapshot and the deltas after it");
        KEYMELD_TRY(const auto delta, chain.open(update.version, false, update.blob));
        SecretReader facts_in(delta.expose());
        while (facts_in.ok() && !facts_in.at_end())
            approvals.note_restored(ApprovalUsed::decode(facts_in));
        if (!facts_in.done())
            return key_broken();
    }
    std::unique_ptr<SingleKey> key(new SingleKey(id, std::move(*secret),
                                                 {user, *auth_key, *allowed, origin, blob},
                                                 std::move(chain), limits));
    key->m_approvals = std::move(approvals);
    return key;
}

void SingleKey::record(const ApprovalUsed& fact, NonceUse use) {
    fact.encode(m_pending);
    m_approvals.note(fact, use);
}

SealedBlob SingleKey::take_update(std::uint64_t stream) {
    const bool snapshot = m_snapshot_due || m_stream != stream || m_pending.empty() ||
                          m_chain.deltas() >= std::max(kMinKeyDeltas, m_approvals_at_snapshot) ||
                          m_chain.delta_bytes() + m_pending.size() > m_limits.max_delta_bytes;
    // Should sealing fail for want of locked memory, the next update must hold everything.
    m_snapshot_due = true;
    SealedBlob out;
    if (snapshot) {
        SecretWriter state(kCoreSize + m_approvals.encoded_size());
        encode(state);
        out = m_chain.seal_snapshot(state.written());
        m_approvals_at_snapshot = m_approvals.size();
    } else {
        out = m_chain.seal_delta(m_pending.written());
    }
    m_pending.clear();
    m_stream = stream;
    m_snapshot_due = false;
    return out;
}

void SingleKey::encode(SecretWriter& out) const {
    out.u8(kFormat);
    out.raw(m_facts.user.view());
    out.raw(m_facts.auth_key.bytes());
    out.u8(m_facts.allowed.bits());
    out.raw(m_facts.origin);
    out.u64(m_facts.blob);
    out.raw(m_key.expose());
    m_approvals.encode(out);
}

} // namespace keymeld::enclave
