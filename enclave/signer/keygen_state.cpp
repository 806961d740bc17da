#include "enclave/signer/keygen_state.h"

#include <algorithm>

#include "enclave/signer/wire_fields.h"
#include "plugins/tweak-taproot/tweak_rules.h"

namespace keymeld::enclave {
namespace {

constexpr std::uint8_t kStateFormat = 2;
constexpr std::uint8_t kFormatWithoutLives = 1; // of peers: written before there was peer sealing
constexpr std::uint8_t kHasPublicKey = 1;
constexpr std::uint8_t kHasPrivateKey = 2;
// Deltas are cheap to write and dear to read back: at most so many, or as many as the ledger had
// entries at the last snapshot, so that writing snapshots costs a constant share of writing deltas
// however long the ledger gets.
constexpr std::size_t kMinDeltas = 64;

Error broken() {
    return fail(Errc::SealBroken, "sealed state does not have the form that this signer writes");
}

} // namespace

KeygenState::KeygenState(const EnclaveIdentity& identity, const KeygenId& id, const Limits& limits)
    : recent_nonces(limits.max_session_nonces), m_limits(limits), m_id(id),
      m_chain(id, identity.seal_key(id)) {}

KeygenState::KeygenState(const EnclaveIdentity& identity, const KeygenId& id, KeygenParams params,
                         secure::SecretArray<32> session_secret, RosterKey roster_key,
                         const Limits& limits)
    : KeygenState(identity, id, limits) {
    m_params = std::move(params);
    m_own_enclave = m_params.enclave_index(identity.public_key().bytes()).value();
    m_session_secret = std::move(session_secret);
    m_roster_key = std::move(roster_key);
    m_participants.resize(m_params.participants());
    m_ledger = Ledger(m_params.enclaves.size());
    note_sealed_peers();
}

KeygenState::~KeygenState() = default;

void KeygenState::note_sealed_peers() {
    m_sealed_peer_versions = m_ledger.peer_versions();
    m_sealed_peer_lives = m_ledger.peer_incarnations();
}

Result<std::unique_ptr<KeygenState>> KeygenState::restore(const EnclaveIdentity& identity,
                                                          const KeygenId& id,
                                                          std::span<const SealedView> updates,
                                                          const Limits& limits) {
    if (updates.empty() || !updates.front().snapshot)
        return fail(Errc::SealBroken, "sealed state starts with a snapshot");
    std::unique_ptr<KeygenState> state(new KeygenState(identity, id, limits));
    for (const SealedView& update : updates) {
        if (update.snapshot != (&update == &updates.front()))
            return fail(Errc::SealBroken, "sealed state is one snapshot and the deltas after it");
        KEYMELD_TRY(const auto plaintext,
                    state->m_chain.open(update.version, update.snapshot, update.blob));
        if (!(update.snapshot ? state->decode(plaintext.expose(), identity.public_key())
                              : state->apply_delta(plaintext.expose())))
            return broken();
    }
    state->note_sealed_peers();
    return state;
}

Result<std::unique_ptr<KeygenState>> KeygenState::unpark(const EnclaveIdentity& identity,
                                                         const KeygenId& id, std::uint64_t version,
                                                         ByteView blob, const Limits& limits) {
    std::unique_ptr<KeygenState> state(new KeygenState(identity, id, limits));
    KEYMELD_TRY(const auto plaintext, state->m_chain.unpark(version, blob));
    if (!state->decode(plaintext.expose(), identity.public_key()))
        return broken();
    state->note_sealed_peers();
    return state;
}

bool KeygenState::has_registrations() const {
    return private_keys() != 0;
}

std::size_t KeygenState::private_keys() const {
    return static_cast<std::size_t>(std::count_if(
        m_participants.begin(), m_participants.end(),
        [](const Participant& participant) { return participant.private_key.has_value(); }));
}

void KeygenState::set_opening(const Opening& opening) {
    m_opening = opening;
    m_snapshot_due = true;
}

void KeygenState::register_participant(std::uint32_t signer_index,
                                       const crypto::PlainPubKey& public_key,
                                       session::ApprovalPolicy policy,
                                       crypto::SecretKey private_key, Mark blob) {
    m_pending.u8(static_cast<std::uint8_t>(FactTag::Registered));
    m_pending.u32(signer_index);
    m_pending.raw(public_key.bytes());
    m_pending.u8(static_cast<std::uint8_t>(policy_number(policy)));
    m_pending.raw(private_key.expose());
    m_pending.u64(blob);
    m_participants[signer_index] = {public_key, policy, std::move(private_key), blob};
}

void KeygenState::complete(std::span<const crypto::PlainPubKey> keys,
                           std::span<const session::ApprovalPolicy> policies) {
    for (std::size_t i = 0; i < m_participants.size(); ++i) {
        m_participants[i].public_key = keys[i];
        m_participants[i].policy = policies[i];
    }
    m_phase = Phase::Completed;
    m_keys.reset();
    m_snapshot_due = true;
}

void KeygenState::mark_failed() {
    for (Participant& participant : m_participants)
        participant.private_key.reset();
    m_attempts.clear();
    m_phase = Phase::Failed;
    m_snapshot_due = true;
}

bool KeygenState::has_room(std::size_t more) const {
    return core_size() + m_ledger.encoded_size() + more <= m_limits.max_state_bytes;
}

bool KeygenState::needs_update(std::uint64_t stream) const {
    return m_snapshot_due || !m_pending.empty() || m_stream != stream;
}

SealedBlob KeygenState::take_update(std::uint64_t stream) {
    const bool snapshot = m_snapshot_due || m_stream != stream || m_pending.empty() ||
                          m_chain.deltas() >= std::max(kMinDeltas, m_entries_at_snapshot) ||
                          m_chain.delta_bytes() + m_pending.size() > m_limits.max_delta_bytes;
    // Should sealing fail for want of locked memory, the next update must hold everything.
    m_snapshot_due = true;
    SealedBlob out;
    if (snapshot) {
        SecretWriter state(core_size() + m_ledger.encoded_size());
        encode(state);
        out = m_chain.seal_snapshot(state.written());
        m_entries_at_snapshot = m_ledger.entries();
    } else {
        for (std::uint16_t i = 0; i < m_sealed_peer_versions.size(); ++i)
            if (m_ledger.peer_version(i) != m_sealed_peer_versions[i])
                PeerSeen{i, m_ledger.peer_version(i)}.encode(m_pending);
        for (std::uint16_t i = 0; i < m_sealed_peer_lives.size(); ++i)
            if (m_ledger.peer_incarnation(i) != m_sealed_peer_lives[i])
                PeerLife{i, m_ledger.peer_incarnation(i)}.encode(m_pending);
        out = m_chain.seal_delta(m_pending.written());
    }
    m_pending.clear();
    note_sealed_peers();
    m_stream = stream;
    m_snapshot_due = false;
    return out;
}

Bytes KeygenState::park() const {
    SecretWriter state(core_size() + m_ledger.encoded_size());
    encode(state);
    return m_chain.park(state.written());
}

Result<KeygenState::Keys>
KeygenState::keys_for(musig::KeyAggCache& cache,
                      std::span<const crypto::PlainPubKey> by_signer_index) const {
    const auto positions = bitcoin::aggregation_order(m_params.session.expected_participants,
                                                      by_signer_index, m_params.session.key_order);
    std::vector<crypto::PlainPubKey> ordered;
    std::vector<std::uint32_t> order;
    std::vector<std::uint32_t> position(by_signer_index.size());
    for (const std::size_t signer_index : positions) {
        position[signer_index] = static_cast<std::uint32_t>(order.size());
        order.push_back(static_cast<std::uint32_t>(signer_index));
        ordered.push_back(by_signer_index[signer_index]);
    }
    KEYMELD_TRY(const auto untweaked, cache.get(ordered, {}));
    KEYMELD_TRY(const auto tweaks,
                tweak_taproot::tweaks_for(untweaked.key().bytes(), m_params.session.tweak));
    KEYMELD_TRY(auto aggregate, cache.get(ordered, tweaks));
    return Keys{std::move(aggregate), std::move(order), std::move(position)};
}

Result<const KeygenState::Keys*> KeygenState::keys(musig::KeyAggCache& cache) {
    if (!m_keys) {
        std::vector<crypto::PlainPubKey> by_signer_index;
        by_signer_index.reserve(m_participants.size());
        for (const Participant& participant : m_participants)
            by_signer_index.push_back(participant.public_key.value());
        KEYMELD_TRY(auto made, keys_for(cache, by_signer_index));
        m_keys.emplace(std::move(made));
    }
    return &*m_keys;
}

SigningAttempt* KeygenState::attempt(const SigningId& signing) {
    const auto found = m_attempts.find(signing);
    return found == m_attempts.end() ? nullptr : found->second.get();
}

void KeygenState::set_attempt(std::unique_ptr<SigningAttempt> attempt) {
    m_attempts[attempt->id().signing] = std::move(attempt);
}

bool KeygenState::has_active_attempts() const {
    return std::any_of(m_attempts.begin(), m_attempts.end(),
                       [](const auto& entry) { return !entry.second->consumed(); });
}

std::size_t KeygenState::core_size() const {
    return 256 + m_params.participants() * (16 + 2 + 1 + 34 + 40) + m_params.enclaves.size() * 33;
}

void KeygenState::encode(SecretWriter& out) const {
    out.u8(kStateFormat);
    m_params.encode(out);
    out.u8(static_cast<std::uint8_t>(m_phase));
    out.raw(m_session_secret.expose());
    out.raw(m_roster_key.expose());
    out.raw(m_opening.request);
    out.u64(m_opening.key_blob);
    out.u64(m_opening.secret_blob);
    for (const Participant& participant : m_participants) {
        out.u8(static_cast<std::uint8_t>((participant.public_key ? kHasPublicKey : 0) |
                                         (participant.private_key ? kHasPrivateKey : 0)));
        if (participant.public_key) {
            out.raw(participant.public_key->bytes());
            out.u8(static_cast<std::uint8_t>(policy_number(participant.policy)));
            out.u64(participant.blob);
        }
        if (participant.private_key)
            out.raw(participant.private_key->expose());
    }
    m_ledger.encode(out);
}

Status KeygenState::decode(ByteView snapshot, const crypto::PlainPubKey& own_key) {
    SecretReader in(snapshot);
    const std::uint8_t format = in.u8();
    if (format != kStateFormat && format != kFormatWithoutLives)
        return broken();
    KEYMELD_TRY(m_params, KeygenParams::decode(in));
    const auto own = m_params.enclave_index(own_key.bytes());
    if (!own)
        return broken();
    m_own_enclave = *own;
    const std::uint8_t phase = in.u8();
    if (phase < static_cast<std::uint8_t>(Phase::Collecting) ||
        phase > static_cast<std::uint8_t>(Phase::Failed))
        return broken();
    m_phase = static_cast<Phase>(phase);
    KEYMELD_TRY(m_session_secret, secure::SecretArray<32>::from_bytes(in.raw(32)));
    KEYMELD_TRY(m_roster_key, RosterKey::from_bytes(in.raw(32)));
    m_opening.request = in.array<32>();
    m_opening.key_blob = in.u64();
    m_opening.secret_blob = in.u64();
    m_participants.clear();
    m_participants.resize(m_params.participants());
    for (Participant& participant : m_participants) {
        const std::uint8_t flags = in.u8();
        if ((flags & kHasPublicKey) != 0) {
            KEYMELD_TRY(participant.public_key, crypto::PlainPubKey::parse(in.raw(33)));
            KEYMELD_TRY(participant.policy, policy_of(in.u8()));
            participant.blob = in.u64();
        }
        if ((flags & kHasPrivateKey) != 0) {
            KEYMELD_TRY(participant.private_key, crypto::SecretKey::parse(in.raw(32)));
        }
    }
    m_ledger = Ledger(m_params.enclaves.size());
    m_ledger.decode(in, format == kStateFormat);
    return in.done();
}

Status KeygenState::apply_registration(SecretReader& in) {
    const std::uint32_t signer_index = in.u32();
    KEYMELD_TRY(const auto public_key, crypto::PlainPubKey::parse(in.raw(33)));
    KEYMELD_TRY(const auto policy, policy_of(in.u8()));
    KEYMELD_TRY(auto private_key, crypto::SecretKey::parse(in.raw(32)));
    const Mark blob = in.u64();
    if (!in.ok() || signer_index >= m_participants.size() || m_phase != Phase::Collecting)
        return broken();
    m_participants[signer_index] = {public_key, policy, std::move(private_key), blob};
    return {};
}

Status KeygenState::apply_delta(ByteView facts) {
    SecretReader in(facts);
    while (in.ok() && !in.at_end()) {
        switch (static_cast<FactTag>(in.u8())) {
        case FactTag::Registered:
            KEYMELD_CHECK(apply_registration(in));
            continue;
        case FactTag::NonceUsed:
            m_ledger.apply(NonceUsed::decode(in));
            continue;
        case FactTag::SigningAccepted:
            m_ledger.apply(SigningAccepted::decode(in));
            continue;
        case FactTag::Approved:
            m_ledger.apply(Approved::decode(in));
            continue;
        case FactTag::SigningEnded:
            m_ledger.apply(SigningEnded::decode(in));
            continue;
        case FactTag::PeerSeen:
            m_ledger.apply(PeerSeen::decode(in));
            continue;
        case FactTag::PeerLife:
            m_ledger.apply(PeerLife::decode(in));
            continue;
        }
        return broken();
    }
    return in.done();
}

} // namespace keymeld::enclave
