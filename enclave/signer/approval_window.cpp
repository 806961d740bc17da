#include "enclave/signer/approval_window.h"

#include <algorithm>

namespace keymeld::enclave {
namespace {

// Equals no use that a request can have, but by a chance of 2^-61.
NonceUse unknown_use() {
    return NonceUse::of(UseKind::SignSingle, 0);
}

} // namespace

void ApprovalUsed::encode(SecretWriter& out) const {
    out.u64(timestamp);
    out.u64(approval);
    out.u64(nonce);
}

ApprovalUsed ApprovalUsed::decode(SecretReader& in) {
    ApprovalUsed fact;
    fact.timestamp = in.u64();
    fact.approval = in.u64();
    fact.nonce = in.u64();
    if (fact.approval == 0 || fact.nonce == 0)
        in.fail_now();
    return fact;
}

std::optional<NonceUse> ApprovalWindow::find(Mark mark) const {
    const auto word = m_uses.find(mark);
    if (!word)
        return std::nullopt;
    return NonceUse::from_word(*word);
}

void ApprovalWindow::note(const ApprovalUsed& fact, NonceUse use) {
    m_by_time[fact.timestamp].push_back({fact.approval, fact.nonce, use});
    m_uses.set(fact.approval, use.word());
    m_uses.set(fact.nonce, use.word());
    ++m_size;
    while (m_size > m_capacity)
        forget_oldest();
}

void ApprovalWindow::forget_before(std::uint64_t timestamp) {
    while (!m_by_time.empty() && m_by_time.begin()->first < timestamp)
        forget_oldest();
}

void ApprovalWindow::forget_oldest() {
    const auto oldest = m_by_time.begin();
    m_floor = std::max(m_floor, oldest->first);
    m_size -= oldest->second.size();
    m_stale += 2 * oldest->second.size();
    m_by_time.erase(oldest);
    if (m_stale > m_uses.size() / 2)
        rebuild();
}

void ApprovalWindow::rebuild() {
    m_uses = MarkMap();
    m_stale = 0;
    for (const auto& [time, entries] : m_by_time) {
        for (const Entry& entry : entries) {
            m_uses.set(entry.approval, entry.use.word());
            m_uses.set(entry.nonce, entry.use.word());
        }
    }
}

void ApprovalWindow::encode(SecretWriter& out) const {
    out.u64(m_floor);
    out.u32(static_cast<std::uint32_t>(m_size));
    for (const auto& [time, entries] : m_by_time)
        for (const Entry& entry : entries)
            ApprovalUsed{time, entry.approval, entry.nonce}.encode(out);
}

void ApprovalWindow::decode(SecretReader& in) {
    *this = ApprovalWindow(m_capacity);
    const std::uint64_t floor = in.u64();
    for (std::uint32_t count = in.u32(); in.fits(count, kFactSize) && count > 0; --count)
        note_restored(ApprovalUsed::decode(in));
    m_floor = std::max(m_floor, floor);
}

void ApprovalWindow::note_restored(const ApprovalUsed& fact) {
    note(fact, unknown_use());
}

} // namespace keymeld::enclave
