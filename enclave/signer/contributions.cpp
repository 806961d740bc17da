#include "enclave/signer/contributions.h"

#include <algorithm>
#include <optional>

#include "core/protocol/enclave.pb.h"
#include "core/secure/compare.h"
#include "enclave/signer/wire_fields.h"

namespace keymeld::enclave {
namespace {

Error mismatch(const char* what) {
    return fail(Errc::RosterMismatch, what);
}

Result<std::uint16_t> enclave_of(const KeygenParams& params, const std::string& key) {
    if (const auto index = params.enclave_index(as_bytes(key)))
        return *index;
    return mismatch("a contribution is of no enclave of the session");
}

Result<std::vector<NonceEntry>> entries_of(const KeygenParams& params, std::uint16_t enclave,
                                           const wire::NonceContribution& contribution) {
    std::vector<NonceEntry> entries;
    std::size_t slot = 0;
    for (const auto& nonce : contribution.nonces()) {
        while (slot < params.slots.size() && params.slots[slot] != enclave)
            ++slot;
        NonceEntry entry{nonce.signer_index(), {}};
        if (slot != entry.signer_index || slot == params.slots.size() ||
            nonce.pubnonce().size() != entry.pubnonce.size())
            return mismatch("a contribution does not hold one nonce for each slot of its enclave");
        std::copy(nonce.pubnonce().begin(), nonce.pubnonce().end(), entry.pubnonce.begin());
        entries.push_back(entry);
        ++slot;
    }
    if (std::find(params.slots.begin() + static_cast<std::ptrdiff_t>(slot), params.slots.end(),
                  enclave) != params.slots.end())
        return mismatch("a contribution does not hold one nonce for each slot of its enclave");
    return entries;
}

} // namespace

Result<CheckedContributions>
check_contributions(EscrowVault& escrows, KeygenState& keygen, const SigningAttempt& attempt,
                    const KeygenState::Keys& keys,
                    const std::vector<const wire::NonceContribution*>& contributions) {
    const KeygenParams& params = keygen.params();
    if (contributions.size() != params.enclaves.size())
        return mismatch("there is not one contribution of each enclave");
    std::vector<crypto::Hash256> tags(params.enclaves.size());
    std::vector<Standing> standings(params.enclaves.size());
    std::vector<bool> given(params.enclaves.size(), false);
    std::vector<std::vector<NonceEntry>> entries(params.enclaves.size());
    for (const wire::NonceContribution* const contribution : contributions) {
        KEYMELD_TRY(const std::uint16_t enclave, enclave_of(params, contribution->enclave()));
        if (given[enclave])
            return mismatch("an enclave contributes twice");
        given[enclave] = true;
        KEYMELD_TRY(entries[enclave], entries_of(params, enclave, *contribution));
        Standing& standing = standings[enclave];
        standing = {contribution->ledger_version(),
                    {contribution->incarnation(), contribution->instance()}};
        tags[enclave] = contribution_tag(keygen.roster_key(), attempt.id(),
                                         params.enclaves[enclave], standing, entries[enclave]);
        if (!secure::ct_equal(tags[enclave], as_bytes(contribution->tag())))
            return mismatch("a contribution is not the one that its enclave vouched for");
        if (enclave == keygen.own_enclave() && tags[enclave] != attempt.own.tag)
            return mismatch("our own contribution is not the one that we gave");
        if (enclave != keygen.own_enclave() &&
            (!standing.incarnation.may_follow(keygen.ledger().peer_incarnation(enclave)) ||
             standing.incarnation.number < escrows.least_incarnation(params.enclaves[enclave])))
            return fail(Errc::StateRolledBack,
                        "a later enclave has taken over the key of a peer enclave")
                .with("peer_public_key", params.enclaves[enclave].hex());
        if (standing.ledger_version < attempt.least_versions[enclave])
            return fail(Errc::StateRolledBack, "a peer enclave's ledger went back")
                .with("peer_public_key", params.enclaves[enclave].hex());
    }

    std::vector<std::optional<musig::PubNonce>> by_position(params.participants());
    for (const LocalNonce& ours : attempt.nonces())
        by_position[keys.position[ours.signer_index]] = ours.pub;
    for (std::uint16_t enclave = 0; enclave < entries.size(); ++enclave) {
        if (enclave == keygen.own_enclave())
            continue;
        for (const NonceEntry& entry : entries[enclave]) {
            auto nonce = musig::PubNonce::parse_points(entry.pubnonce);
            if (!nonce)
                return fail(Errc::ContributionInvalid, "a public nonce is no pair of points")
                    .with("blamed_user",
                          params.session.expected_participants[entry.signer_index].text());
            by_position[keys.position[entry.signer_index]] = *nonce;
        }
        keygen.note_peer(enclave, standings[enclave]);
        escrows.note_shown(params.enclaves[enclave], keygen.id(),
                           standings[enclave].ledger_version);
    }
    CheckedContributions out;
    for (const auto& nonce : by_position)
        out.nonces.push_back(nonce.value());
    crypto::Sha256 id;
    id.update(as_bytes("keymeld-contributions-v1"));
    for (const crypto::Hash256& tag : tags)
        id.update(tag);
    out.id = id.finish();
    return out;
}

void put_contribution(const KeygenState& keygen, const OwnContribution& own,
                      wire::NonceContribution& out) {
    out.set_enclave(wire_bytes(keygen.params().enclaves[keygen.own_enclave()].bytes()));
    out.set_ledger_version(own.standing.ledger_version);
    out.set_incarnation(own.standing.incarnation.number);
    out.set_instance(own.standing.incarnation.instance);
    for (const NonceEntry& entry : own.nonces) {
        auto& nonce = *out.add_nonces();
        nonce.set_signer_index(entry.signer_index);
        nonce.set_pubnonce(wire_bytes(entry.pubnonce));
    }
    out.set_tag(wire_bytes(own.tag));
}

} // namespace keymeld::enclave
