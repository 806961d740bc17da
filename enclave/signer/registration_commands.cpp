#include "core/crypto/aggregate_key_tag.h"
#include "core/crypto/ecies.h"
#include "core/protocol/enclave.pb.h"
#include "core/secure/compare.h"
#include "enclave/signer/authentication.h"
#include "enclave/signer/commands.h"
#include "enclave/signer/wire_fields.h"

namespace keymeld::enclave {
namespace {

constexpr const char* kBlobField = "/encrypted_private_key";

void put_registration(const KeygenState& keygen, std::uint32_t signer_index,
                      wire::Registration& out) {
    const Participant& participant = keygen.participants()[signer_index];
    const UserId& user = keygen.params().session.expected_participants[signer_index];
    out.set_user_id(wire_bytes(user.bytes));
    out.set_public_key(wire_bytes(participant.public_key->bytes()));
    out.set_policy(static_cast<wire::ApprovalPolicy>(policy_number(participant.policy)));
    out.set_tag(
        wire_bytes(registration_tag(keygen.roster_key(), keygen.id(), keygen.params().digest, user,
                                    *participant.public_key, participant.policy)));
}

/// Opens the participant's key under what this enclave itself holds, and nothing that the gateway
/// says beside it.
Result<crypto::SecretKey> open_private_key(SignerCore& core, const KeygenState& keygen,
                                           const UserId& user, session::ApprovalPolicy policy,
                                           const crypto::PlainPubKey& public_key,
                                           const std::string& blob) {
    const auto wrong = [] {
        return at(fail(Errc::WrongEnclave, "ciphertext does not open with this enclave's key"),
                  kBlobField);
    };
    if (blob.size() != kKeyBlob)
        return wrong();
    const std::string aad =
        keygen.params().ecies_aad
            ? bitcoin::private_key_aad(keygen.id(), user, session::text(policy),
                                       keygen.params().params_id(),
                                       bitcoin::secret_id(keygen.session_secret()))
            : "";
    const auto plaintext =
        crypto::ecies_open(core.parts.identity.key(), as_bytes(blob), as_bytes(aad));
    if (!plaintext)
        return wrong();
    auto key = crypto::SecretKey::parse(plaintext->expose());
    if (!key || key->public_key() != public_key)
        return at(fail(Errc::KeyMismatch, "public key is not the private key times G"),
                  "/public_key");
    return key;
}

/// One registration that an enclave of the session vouches for.
struct Vouched {
    crypto::PlainPubKey key;
    session::ApprovalPolicy policy = session::ApprovalPolicy::None;
};

Error not_vouched(const UserId& user) {
    return fail(Errc::RosterMismatch, "a registration is not the one that its enclave vouched for")
        .with("blamed_user", user.text());
}

Result<Vouched> check_registration(const KeygenState& keygen, std::uint32_t signer_index,
                                   const wire::Registration& registration) {
    const UserId& user = keygen.params().session.expected_participants[signer_index];
    KEYMELD_TRY(const UserId named, user_id_of(registration.user_id()));
    KEYMELD_TRY(const auto policy, policy_of(registration.policy()));
    const auto key = point_of(registration.public_key());
    if (named != user || !key)
        return not_vouched(user);
    const crypto::Hash256 tag = registration_tag(keygen.roster_key(), keygen.id(),
                                                 keygen.params().digest, user, *key, policy);
    if (!secure::ct_equal(tag, as_bytes(registration.tag())))
        return not_vouched(user);
    if (keygen.is_ours(signer_index)) {
        const Participant& ours = keygen.participants()[signer_index];
        if (!ours.private_key || ours.public_key != *key || ours.policy != policy)
            return not_vouched(user);
    }
    return Vouched{*key, policy};
}

} // namespace

Status register_participant(SignerCore& core, const Call& call, const wire::Register& request,
                            wire::RegisterResult& result) {
    KEYMELD_TRY(const KeygenId id, keygen_id_of(request.keygen_id()));
    KEYMELD_TRY(const UserId user, user_id_of(request.user_id()));
    KEYMELD_TRY(const auto policy, policy_of(request.policy()));
    auto public_key = point_of(request.public_key());
    if (!public_key)
        return at(std::move(public_key).error(), "/public_key");
    KEYMELD_TRY(KeygenState* const keygen, core.store.find(id));
    const auto signer_index = keygen->params().signer_index(user);
    if (!signer_index)
        return fail(Errc::NotAParticipant, "user is not one of the expected participants");
    const Mark owner = core.marker.user(id, user);
    KEYMELD_TRY(Authenticated sender,
                verify_session_header(core, *keygen, request.session_header(), {&user, 1},
                                      NonceUse::of(UseKind::Register, owner)));
    if (!keygen->is_ours(*signer_index))
        return at(fail(Errc::WrongEnclave, "the user's slot is at another enclave"), kBlobField);
    const auto binding_id = crypto::ecies_binding_id(as_bytes(request.encrypted_private_key()));
    if (!binding_id)
        return at(fail(Errc::WrongEnclave, "ciphertext is too short"), kBlobField);
    const Mark blob = core.marker.blob(*binding_id);

    const Participant& participant = keygen->participants()[*signer_index];
    if (keygen->phase() == Phase::Failed)
        return fail(Errc::WrongState, "keygen session has failed");
    if (participant.public_key) {
        if (participant.public_key != *public_key || participant.policy != policy ||
            participant.blob != blob)
            return fail(Errc::AlreadyRegistered, "user registered before with other content");
    } else {
        if (auto free = core.bindings.check(blob, owner); !free)
            return at(std::move(free).error(), kBlobField);
        KEYMELD_TRY(auto key, open_private_key(core, *keygen, user, policy, *public_key,
                                               request.encrypted_private_key()));
        core.bindings.bind(blob, owner);
        keygen->register_participant(*signer_index, *public_key, policy, std::move(key), blob);
        sender.nonce.record();
    }
    put_registration(*keygen, *signer_index, *result.mutable_registration());
    put_sealed(keygen->take_update(call.stream), *result.mutable_sealed());
    return {};
}

Status complete_keygen(SignerCore& core, const Call& call, const wire::CompleteKeygen& request,
                       wire::CompleteKeygenResult& result) {
    KEYMELD_TRY(const KeygenId id, keygen_id_of(request.keygen_id()));
    KEYMELD_TRY(KeygenState* const keygen, core.store.find(id));
    if (keygen->phase() == Phase::Failed)
        return fail(Errc::WrongState, "keygen session has failed");
    const auto& users = keygen->params().session.expected_participants;
    if (static_cast<std::size_t>(request.registrations_size()) != users.size())
        return fail(Errc::RosterMismatch, "there is not one registration for each participant");
    std::vector<crypto::PlainPubKey> keys;
    std::vector<session::ApprovalPolicy> policies;
    for (std::uint32_t i = 0; i < users.size(); ++i) {
        KEYMELD_TRY(const Vouched vouched,
                    check_registration(*keygen, i, request.registrations(static_cast<int>(i))));
        if (keygen->phase() == Phase::Completed &&
            (keygen->participants()[i].public_key != vouched.key ||
             keygen->participants()[i].policy != vouched.policy))
            return not_vouched(users[i]);
        keys.push_back(vouched.key);
        policies.push_back(vouched.policy);
    }
    // The key is made before the state changes: an aggregate at infinity leaves the session as it
    // was.
    KEYMELD_TRY(const auto computed, keygen->keys_for(core.aggregates, keys));
    if (keygen->phase() == Phase::Collecting)
        keygen->complete(keys, policies);

    std::vector<crypto::AggregatedParticipant> ordered;
    for (const std::uint32_t signer_index : computed.order)
        ordered.push_back({users[signer_index], keys[signer_index]});
    result.set_aggregate_public_key(wire_bytes(computed.aggregate.key().bytes()));
    result.set_untweaked_public_key(wire_bytes(computed.aggregate.untweaked_key().bytes()));
    result.set_aggregate_key_tag(wire_bytes(crypto::aggregate_key_tag(
        keygen->session_secret(), id, computed.aggregate.key(), ordered)));
    put_sealed(keygen->take_update(call.stream), *result.mutable_sealed());
    return {};
}

} // namespace keymeld::enclave
