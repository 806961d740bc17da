#include <algorithm>

#include "core/crypto/encrypted_data.h"
#include "core/musig/session_context.h"
#include "core/protocol/enclave.pb.h"
#include "enclave/signer/approvals.h"
#include "enclave/signer/commands.h"
#include "enclave/signer/contributions.h"
#include "enclave/signer/wire_fields.h"

namespace keymeld::enclave {
namespace {

constexpr std::size_t kApprovalFactSize = 64; // what one approval adds to the ledger, rounded up
constexpr std::size_t kPartialSize = 32;

std::string partials_context(const AttemptId& id) {
    return "partials:" + id.keygen.text() + ":" + id.signing.text() + ":" +
           std::to_string(id.attempt);
}

/// Approvals of a round-1 request that are right and not yet recorded.
Result<std::vector<VerifiedApproval>> verify_approvals(SignerCore& core, const Call& call,
                                                       KeygenState& keygen,
                                                       const EvidenceVerdict& verdict,
                                                       const wire::SignRound1& request) {
    if (static_cast<std::size_t>(request.approvals_size()) > keygen.params().participants())
        return fail(Errc::InvalidArgument, "there are more approvals than participants");
    std::vector<VerifiedApproval> fresh;
    for (const wire::Approval& approval : request.approvals()) {
        if (const auto known = known_approval(core, keygen, verdict, approval)) {
            if (known->expires_at <= call.now.unix_seconds())
                return fail(Errc::ApprovalExpired, "approval has expired")
                    .with(
                        "blamed_user",
                        keygen.params().session.expected_participants[known->signer_index].text());
            continue;
        }
        KEYMELD_TRY(auto verified,
                    verify_approval(core, keygen, verdict, approval, call.now.unix_seconds()));
        fresh.push_back(std::move(verified));
    }
    if (!fresh.empty() && !keygen.has_room(fresh.size() * kApprovalFactSize))
        return fail(Errc::QuotaExceeded,
                    "the session has as many signings as an enclave can remember");
    return fresh;
}

std::size_t our_slots(const KeygenState& keygen) {
    const auto& slots = keygen.params().slots;
    return static_cast<std::size_t>(std::count(slots.begin(), slots.end(), keygen.own_enclave()));
}

Result<std::vector<LocalNonce>> make_nonces(const KeygenState& keygen,
                                            const KeygenState::Keys& keys,
                                            const ByteArray<32>& message) {
    std::vector<LocalNonce> nonces;
    for (std::uint32_t i = 0; i < keygen.participants().size(); ++i) {
        if (!keygen.is_ours(i))
            continue;
        KEYMELD_TRY(auto pair, musig::nonce_gen(keygen.participants()[i].private_key.value(),
                                                &keys.aggregate, &message));
        nonces.push_back({i, std::move(pair.secret), std::move(pair.pub)});
    }
    return nonces;
}

struct OurPartial {
    std::uint32_t signer_index = 0;
    musig::PartialSignature signature;
};

/// Ends the nonces, whatever comes of it.
Result<std::vector<OurPartial>> sign_ours(const KeygenState& keygen, const KeygenState::Keys& keys,
                                          const musig::SessionContext& session,
                                          std::vector<LocalNonce> nonces) {
    std::vector<OurPartial> out;
    for (LocalNonce& nonce : nonces) {
        const crypto::SecretKey& key =
            keygen.participants()[nonce.signer_index].private_key.value();
        KEYMELD_TRY(const auto signature,
                    musig::partial_sign(std::move(nonce.secret), key, keys.aggregate, session));
        out.push_back({nonce.signer_index, signature});
    }
    return out;
}

/// `partials` in aggregation order; the result is verified and encrypted for the clients.
Result<std::string> finish(SignerCore& core, const KeygenState& keygen,
                           const KeygenState::Keys& keys, const musig::SessionContext& session,
                           std::span<const musig::PubNonce> nonces,
                           std::span<const std::optional<musig::PartialSignature>> partials) {
    std::vector<musig::PartialSignature> complete;
    for (const auto& partial : partials)
        complete.push_back(partial.value());
    const auto signature = musig::aggregate_and_verify(keys.aggregate, session, nonces, complete);
    if (!signature) {
        const auto blame = musig::blamed(signature.error());
        if (!blame || blame->signer.value >= keys.order.size())
            return signature.error();
        const UserId& culprit =
            keygen.params().session.expected_participants[keys.order[blame->signer.value]];
        return fail(Errc::ContributionInvalid, "a partial signature does not verify")
            .with("blamed_user", culprit.text());
    }
    ++core.signatures;
    return crypto::encrypted_data_seal(keygen.session_secret(), crypto::DataContext::Signature,
                                       signature->bytes);
}

/// The point of no return: from here on the attempt answers `request` and nothing else, and should
/// we not get to an answer, a failure.
std::vector<LocalNonce> begin_signing(SigningAttempt& attempt, const crypto::Hash256& request) {
    attempt.request = request;
    attempt.failure = fail(Errc::AttemptVoid, "this attempt did not end");
    return attempt.take_nonces();
}

void keep(SigningAttempt& attempt, Result<std::string> signature) {
    if (signature) {
        attempt.failure.reset();
        attempt.final_signature = std::move(*signature);
    } else {
        attempt.failure = std::move(signature).error();
    }
}

/// The whole signature at once, where no other enclave takes part.
Result<std::string> sign_alone(SignerCore& core, const KeygenState& keygen,
                               const KeygenState::Keys& keys, SigningAttempt& attempt) {
    std::vector<musig::PubNonce> nonces;
    for (const std::uint32_t signer_index : keys.order)
        nonces.push_back(attempt.nonces()[signer_index].pub);
    KEYMELD_TRY(const auto aggregate_nonce, musig::nonce_agg(nonces));
    KEYMELD_TRY(const auto session, musig::SessionContext::create(
                                        aggregate_nonce, attempt.id().message, keys.aggregate));
    KEYMELD_TRY(const auto ours, sign_ours(keygen, keys, session, begin_signing(attempt, {})));
    std::vector<std::optional<musig::PartialSignature>> partials(ours.size());
    for (const OurPartial& partial : ours)
        partials[keys.position[partial.signer_index]] = partial.signature;
    return finish(core, keygen, keys, session, nonces, partials);
}

/// Makes the nonces of a new attempt; what else it needs was checked.
Result<SigningAttempt*> begin_attempt(SignerCore& core, const Call& call, KeygenState& keygen,
                                      const AttemptId& id, std::uint64_t approvals_expire_at) {
    KEYMELD_TRY(const KeygenState::Keys* const keys, keygen.keys(core.aggregates));
    KEYMELD_TRY(auto nonces, make_nonces(keygen, *keys, id.message));
    auto attempt = std::make_unique<SigningAttempt>(core.attempts, keygen, id, std::move(nonces),
                                                    call.now.steady);
    attempt->least_versions = keygen.ledger().peer_versions();
    attempt->approvals_expire_at = approvals_expire_at;
    SigningAttempt* const out = attempt.get();
    keygen.set_attempt(std::move(attempt));
    return out;
}

Status show_attempt(SignerCore& core, KeygenState& keygen, SigningAttempt& attempt,
                    wire::SignRound1Result& result) {
    if (keygen.holds_all()) {
        if (!attempt.consumed()) {
            KEYMELD_TRY(const KeygenState::Keys* const keys, keygen.keys(core.aggregates));
            keep(attempt, sign_alone(core, keygen, *keys, attempt));
            attempt.take_nonces();
        }
        if (attempt.failure)
            return *attempt.failure;
        result.set_final_signature(attempt.final_signature);
        return {};
    }
    if (attempt.own.nonces.empty()) {
        attempt.own.standing = {keygen.version(), core.incarnation()};
        for (const LocalNonce& nonce : attempt.nonces())
            attempt.own.nonces.push_back({nonce.signer_index, nonce.pub.points()});
        attempt.own.tag = contribution_tag(keygen.roster_key(), attempt.id(),
                                           keygen.params().enclaves[keygen.own_enclave()],
                                           attempt.own.standing, attempt.own.nonces);
    }
    put_contribution(keygen, attempt.own, *result.mutable_contribution());
    return {};
}

/// The attempt that a later round is for, and the digest by which its repetition is known.
struct Round {
    KeygenState* keygen = nullptr;
    SigningAttempt* attempt = nullptr;
    crypto::Hash256 request{};
    std::vector<const wire::NonceContribution*> contributions;
};

template <class Message>
void add_sorted(crypto::Sha256& digest, const google::protobuf::RepeatedPtrField<Message>& items) {
    std::vector<std::string> texts;
    for (const Message& item : items)
        texts.push_back(item.SerializeAsString());
    std::sort(texts.begin(), texts.end());
    for (const std::string& text : texts)
        digest.update(crypto::sha256(as_bytes(text)));
}

template <class Request> Result<Round> find_round(SignerCore& core, const Request& request) {
    KEYMELD_TRY(const KeygenId id, keygen_id_of(request.keygen_id()));
    KEYMELD_TRY(const SigningId signing, signing_id_of(request.signing_id()));
    Round round;
    KEYMELD_TRY(round.keygen, core.store.find(id));
    if (round.keygen->phase() != Phase::Completed)
        return fail(Errc::WrongState, "keygen session is not completed");
    KEYMELD_CHECK(not_ended(*round.keygen, core.marker.signing(id, signing)));
    round.attempt = round.keygen->attempt(signing);
    if (round.attempt == nullptr || round.attempt->id().attempt != request.attempt())
        return fail(Errc::AttemptVoid, "this enclave holds no nonces of that attempt");
    if (request.contributions_size() > static_cast<int>(kMaxEnclavesOfKeygen))
        return fail(Errc::RosterMismatch, "there is not one contribution of each enclave");
    for (const wire::NonceContribution& contribution : request.contributions())
        round.contributions.push_back(&contribution);
    crypto::Sha256 digest;
    add_sorted(digest, request.contributions());
    round.request = digest.finish();
    return round;
}

/// What may be answered to an attempt whose nonces are gone: the same to the same question.
Status repeated(const SigningAttempt& attempt, const crypto::Hash256& request) {
    if (attempt.request != request)
        return fail(Errc::NonceConsumed, "this attempt has signed already");
    if (attempt.failure)
        return *attempt.failure;
    return {};
}

Status approvals_still_stand(const Call& call, Round& round) {
    if (call.now.unix_seconds() < round.attempt->approvals_expire_at)
        return {};
    round.keygen->erase_attempt(round.attempt->id().signing);
    return fail(Errc::ApprovalExpired, "an approval has expired");
}

Result<musig::SessionContext> session_for(const KeygenState::Keys& keys,
                                          const CheckedContributions& checked,
                                          const ByteArray<32>& message) {
    KEYMELD_TRY(const auto aggregate_nonce, musig::nonce_agg(checked.nonces));
    return musig::SessionContext::create(aggregate_nonce, message, keys.aggregate);
}

/// The other enclaves' shares, opened, each in its place of the aggregation.
Result<std::vector<std::optional<musig::PartialSignature>>>
open_partials(SignerCore& core, const Round& round, const KeygenState::Keys& keys,
              const CheckedContributions& checked, const wire::SignFinish& request) {
    const KeygenParams& params = round.keygen->params();
    std::vector<std::optional<musig::PartialSignature>> out(params.participants());
    if (static_cast<std::size_t>(request.partials_size()) != params.enclaves.size() - 1)
        return fail(Errc::RosterMismatch, "there is not one box of each other enclave");
    for (const auto& partial : request.partials()) {
        const auto enclave = params.enclave_index(as_bytes(partial.enclave()));
        if (!enclave || *enclave == round.keygen->own_enclave())
            return fail(Errc::RosterMismatch, "a box is of no other enclave of the session");
        KEYMELD_TRY(const crypto::PeerChannel* const channel,
                    core.peers.of_session(params.enclaves[*enclave]));
        KEYMELD_TRY(const auto content, channel->open(partials_context(round.attempt->id()),
                                                      as_bytes(partial.box()), checked.id));
        std::size_t offset = 0;
        for (std::uint32_t i = 0; i < params.slots.size(); ++i) {
            if (params.slots[i] != *enclave)
                continue;
            if (content.size() < offset + kPartialSize || out[keys.position[i]])
                return fail(Errc::RosterMismatch,
                            "a box does not hold one share for each slot of its enclave");
            auto share =
                musig::PartialSignature::parse(content.expose().subspan(offset, kPartialSize));
            if (!share)
                return fail(Errc::ContributionInvalid, "a partial signature is out of range")
                    .with("blamed_user", params.session.expected_participants[i].text());
            out[keys.position[i]] = *share;
            offset += kPartialSize;
        }
        if (offset != content.size())
            return fail(Errc::RosterMismatch,
                        "a box does not hold one share for each slot of its enclave");
    }
    return out;
}

} // namespace

Status sign_round1(SignerCore& core, const Call& call, const wire::SignRound1& request,
                   wire::SignRound1Result& result) {
    KEYMELD_TRY(const KeygenId id, keygen_id_of(request.keygen_id()));
    KEYMELD_TRY(const SigningId signing, signing_id_of(request.signing_id()));
    if (request.attempt() == 0)
        return fail(Errc::InvalidArgument, "attempts count from 1");
    KEYMELD_TRY(KeygenState* const keygen, core.store.find(id));
    KEYMELD_TRY(EvidenceVerdict verdict,
                judge_evidence(core, *keygen, signing, request.evidence()));
    SigningAttempt* attempt = keygen->attempt(signing);
    if (attempt != nullptr && attempt->id().attempt > request.attempt())
        return fail(Errc::AttemptVoid, "a later attempt has begun");
    KEYMELD_TRY(auto approvals, verify_approvals(core, call, *keygen, verdict, request));
    if (attempt != nullptr && attempt->id().attempt < request.attempt()) {
        keygen->erase_attempt(signing);
        attempt = nullptr;
    }
    if (attempt == nullptr)
        KEYMELD_CHECK(core.attempts.make_room(our_slots(*keygen), call.now.steady));

    // Everything was judged; from here on it is recorded.
    accept(*keygen, verdict);
    for (VerifiedApproval& approval : approvals)
        record_approval(*keygen, signing, approval);
    const ApprovalState approved =
        approval_state(*keygen, *keygen->ledger().open(signing), call.now.unix_seconds());
    const bool ready = approved.awaiting.empty() || (attempt != nullptr && attempt->consumed());
    if (!ready)
        keygen->erase_attempt(signing);
    else if (attempt == nullptr) {
        KEYMELD_TRY(attempt, begin_attempt(core, call, *keygen,
                                           {id, signing, request.attempt(), verdict.message},
                                           approved.expire_at));
    }
    if (keygen->needs_update(call.stream))
        put_sealed(keygen->take_update(call.stream), *result.mutable_sealed());
    if (ready)
        return show_attempt(core, *keygen, *attempt, result);
    for (const std::uint32_t signer_index : approved.awaiting)
        result.add_awaiting(
            wire_bytes(keygen->params().session.expected_participants[signer_index].bytes));
    return {};
}

Status sign_round2(SignerCore& core, const Call& call, const wire::SignRound2& request,
                   wire::SignRound2Result& result) {
    KEYMELD_TRY(Round round, find_round(core, request));
    KeygenState& keygen = *round.keygen;
    SigningAttempt& attempt = *round.attempt;
    if (keygen.is_coordinator())
        return fail(Errc::InvalidArgument, "the coordinator enclave signs in SignFinish");
    if (!attempt.consumed()) {
        KEYMELD_TRY(const KeygenState::Keys* const keys, keygen.keys(core.aggregates));
        KEYMELD_TRY(const auto checked,
                    check_contributions(core.escrows, keygen, attempt, *keys, round.contributions));
        KEYMELD_CHECK(approvals_still_stand(call, round));
        KEYMELD_TRY(const crypto::PeerChannel* const channel,
                    core.peers.of_session(keygen.params().enclaves.front()));
        KEYMELD_TRY(const auto session, session_for(*keys, checked, attempt.id().message));

        std::vector<LocalNonce> nonces = begin_signing(attempt, round.request);
        const auto ours = sign_ours(keygen, *keys, session, std::move(nonces));
        if (!ours) {
            attempt.failure = ours.error();
            return *attempt.failure;
        }
        Bytes shares;
        for (const OurPartial& partial : *ours)
            shares.insert(shares.end(), partial.signature.bytes().begin(),
                          partial.signature.bytes().end());
        attempt.box = channel->seal(partials_context(attempt.id()), shares, checked.id);
        attempt.failure.reset();
    }
    KEYMELD_CHECK(repeated(attempt, round.request));
    result.set_box(wire_bytes(attempt.box));
    return {};
}

Status sign_finish(SignerCore& core, const Call& call, const wire::SignFinish& request,
                   wire::SignFinishResult& result) {
    KEYMELD_TRY(Round round, find_round(core, request));
    KeygenState& keygen = *round.keygen;
    SigningAttempt& attempt = *round.attempt;
    if (!keygen.is_coordinator() || keygen.holds_all())
        return fail(Errc::InvalidArgument, "only a coordinator enclave with peers finishes");
    crypto::Sha256 digest;
    digest.update(round.request);
    add_sorted(digest, request.partials());
    round.request = digest.finish();
    if (!attempt.consumed()) {
        KEYMELD_TRY(const KeygenState::Keys* const keys, keygen.keys(core.aggregates));
        KEYMELD_TRY(const auto checked,
                    check_contributions(core.escrows, keygen, attempt, *keys, round.contributions));
        KEYMELD_CHECK(approvals_still_stand(call, round));
        KEYMELD_TRY(auto partials, open_partials(core, round, *keys, checked, request));
        KEYMELD_TRY(const auto session, session_for(*keys, checked, attempt.id().message));

        std::vector<LocalNonce> nonces = begin_signing(attempt, round.request);
        const auto ours = sign_ours(keygen, *keys, session, std::move(nonces));
        if (!ours) {
            attempt.failure = ours.error();
            return *attempt.failure;
        }
        for (const OurPartial& partial : *ours)
            partials[keys->position[partial.signer_index]] = partial.signature;
        keep(attempt, finish(core, keygen, *keys, session, checked.nonces, partials));
    }
    KEYMELD_CHECK(repeated(attempt, round.request));
    result.set_final_signature(attempt.final_signature);
    return {};
}

} // namespace keymeld::enclave
