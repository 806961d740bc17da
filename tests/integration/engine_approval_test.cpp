// Approvals, rejections and expiry through the engine over real storage and real signers.
#include <gtest/gtest.h>

#include "core/base/hex.h"
#include "core/crypto/encrypted_data.h"
#include "tests/integration/engine_rig.h"

namespace keymeld::test {
namespace {

using session::ApprovalPolicy;
using session::SigningStatus;
using Users = std::vector<UserId>;

Signers& signers() {
    static Signers all(3);
    return all;
}

class EngineApproval : public ::testing::Test {
  protected:
    EngineApproval() : rig(signers(), 3) { rig.wait_healthy(3); }

    /// A completed session with these policies.
    Party& party_with(std::vector<ApprovalPolicy> policies, std::optional<std::uint32_t> max_signings = 1000) {
        party = std::make_unique<Party>(
            rig, Party::Options{.participants = static_cast<std::uint32_t>(policies.size()), .policies = policies, .max_signings = max_signings});
        keygen = party->complete();
        return *party;
    }
    SigningId create(const ByteArray<32>& text, std::uint64_t timeout_secs = 600) {
        const auto request = party->signing(text, timeout_secs);
        const auto created = rig.run(rig->create_signing(request));
        EXPECT_TRUE(created.has_value()) << (created ? "" : created.error().detail);
        return request.id;
    }
    Errc refusal(const Status& status) { return status ? Errc::Internal : status.error().code; }

    Rig rig;
    std::unique_ptr<Party> party;
    engine::KeygenView keygen;
    const ByteArray<32> message = some_message(7);
};

TEST_F(EngineApproval, SignsAfterTheLastHeaderApproval) {
    Party& p = party_with({ApprovalPolicy::Header, ApprovalPolicy::None, ApprovalPolicy::Header});
    const SigningId id = create(message);
    auto view = p.status(id, 1);
    ASSERT_TRUE(view.has_value());
    EXPECT_EQ(view->status, SigningStatus::CollectingParticipants);
    EXPECT_EQ(view->participants_requiring_approval, (Users{p.users[0], p.users[2]}));
    EXPECT_TRUE(view->approved_participants.empty());

    const auto changed = rig.begin(rig->wait_signing_event(*view, std::chrono::steady_clock::now() + std::chrono::seconds(30)));
    ASSERT_TRUE(rig.run(rig->approve(p.approval(id, 2))).has_value());
    const auto after_first = rig.end(changed);
    ASSERT_TRUE(after_first.has_value());
    EXPECT_GT(after_first->event_seq, view->event_seq);
    EXPECT_EQ(after_first->approved_participants, (Users{p.users[2]}));
    EXPECT_TRUE(rig.run(rig->approve(p.approval(id, 2))).has_value()) << "a repeated approval";
    EXPECT_TRUE(rig.run(rig->approve(p.approval(id, 1))).has_value()) << "of one who need not";

    ASSERT_TRUE(rig.run(rig->approve(p.approval(id, 0))).has_value());
    view = p.outcome(id);
    p.expect_signature(*view, keygen, message);
    EXPECT_TRUE(view->participants_requiring_approval.empty());
    EXPECT_TRUE(view->approved_participants.empty());
    EXPECT_NE(view->expires_at, 0u);
    EXPECT_TRUE(rig.run(rig->approve(p.approval(id, 0))).has_value()) << "after completion";
    EXPECT_EQ(rig.run(rig->reject(id, p.signing_header(0))).error().code, Errc::WrongState);
}

TEST_F(EngineApproval, ManyApproveAtOnce) {
    Party& p = party_with(std::vector<ApprovalPolicy>(9, ApprovalPolicy::Header));
    const SigningId id = create(message);
    std::vector<std::shared_ptr<std::optional<Status>>> begun;
    for (std::size_t i = 0; i < 9; ++i)
        begun.push_back(rig.begin(rig->approve(p.approval(id, i))));
    for (const auto& one : begun)
        EXPECT_TRUE(rig.end(one).has_value());
    p.expect_signature(p.outcome(id), keygen, message);
}

TEST_F(EngineApproval, TakesOnlyBoundApprovalsWhereTheyWereAskedFor) {
    Party& p = party_with({ApprovalPolicy::Bound, ApprovalPolicy::None, ApprovalPolicy::None});
    const SigningId id = create(message);
    const std::uint64_t later = unix_seconds() + 600;
    EXPECT_EQ(refusal(rig.run(rig->approve(p.approval(id, 0)))), Errc::BoundApprovalRequired);
    EXPECT_EQ(refusal(rig.run(rig->approve(p.bound_approval(id, 0, some_message(8), later)))), Errc::MessageMismatch);
    EXPECT_EQ(refusal(rig.run(rig->approve(p.bound_approval(id, 0, message, unix_seconds() - 1)))), Errc::ApprovalExpired);
    EXPECT_EQ(refusal(rig.run(rig->approve(p.bound_approval(id, 0, message, unix_seconds() + 90000)))), Errc::ValidationFailed);
    auto forged = p.bound_approval(id, 0, message, later);
    forged.bound->signature[5] ^= 1;
    EXPECT_EQ(refusal(rig.run(rig->approve(forged))), Errc::AuthFailed);
    auto moved = p.bound_approval(id, 0, message, later);
    moved.bound->expires_at += 1;
    EXPECT_EQ(refusal(rig.run(rig->approve(moved))), Errc::AuthFailed);
    EXPECT_EQ(p.status(id)->status, SigningStatus::CollectingParticipants);

    ASSERT_TRUE(rig.run(rig->approve(p.bound_approval(id, 0, message, later))).has_value());
    p.expect_signature(p.outcome(id), keygen, message);
    // Nobody waits for it any more, but it must still be one.
    EXPECT_TRUE(rig.run(rig->approve(p.bound_approval(id, 0, message, later))).has_value());
    EXPECT_EQ(refusal(rig.run(rig->approve(p.approval(id, 0)))), Errc::BoundApprovalRequired);
    EXPECT_EQ(refusal(rig.run(rig->approve(p.bound_approval(id, 0, some_message(8), later)))), Errc::MessageMismatch);
}

TEST_F(EngineApproval, ABoundApprovalLapsesAndAnotherReplacesIt) {
    Party& p = party_with({ApprovalPolicy::Bound, ApprovalPolicy::Header});
    const SigningId id = create(message);
    ASSERT_TRUE(rig.run(rig->approve(p.bound_approval(id, 0, message, unix_seconds() + 2))).has_value());
    auto view = p.status(id);
    ASSERT_TRUE(view.has_value());
    EXPECT_EQ(view->approved_participants, (Users{p.users[0]}));
    const auto lapsed =
        rig.run(rig->wait_signing_event(*view, std::chrono::steady_clock::now() + std::chrono::seconds(10)));
    ASSERT_TRUE(lapsed.has_value());
    EXPECT_TRUE(lapsed->approved_participants.empty());
    EXPECT_EQ(lapsed->status, SigningStatus::CollectingParticipants);
    ASSERT_TRUE(rig.run(rig->approve(p.approval(id, 1))).has_value());
    rig.sleep(std::chrono::milliseconds(200));
    EXPECT_EQ(p.status(id)->status, SigningStatus::CollectingParticipants) << "signed with a lapsed approval";
    ASSERT_TRUE(rig.run(rig->approve(p.bound_approval(id, 0, message, unix_seconds() + 600))).has_value());
    p.expect_signature(p.outcome(id), keygen, message);
}

TEST_F(EngineApproval, ARejectionEndsTheSession) {
    Party& p = party_with({ApprovalPolicy::Header, ApprovalPolicy::Header, ApprovalPolicy::None});
    const SigningId id = create(message);
    ASSERT_TRUE(rig.run(rig->approve(p.approval(id, 0))).has_value());
    EXPECT_EQ(rig.run(rig->reject(id, p.signing_header(2))).error().code, Errc::NotPermitted);
    const auto rejected = rig.run(rig->reject(id, p.signing_header(0)));
    ASSERT_TRUE(rejected.has_value()) << rejected.error().detail;
    EXPECT_EQ(rejected->status, SigningStatus::Failed);
    ASSERT_TRUE(rejected->failure.has_value());
    EXPECT_EQ(rejected->failure->type, session::FailureType::Rejected);
    EXPECT_EQ(rejected->expires_at, 0u);
    EXPECT_TRUE(rig.run(rig->reject(id, p.signing_header(1))).has_value()) << "a repeated rejection";
    EXPECT_EQ(refusal(rig.run(rig->approve(p.approval(id, 1)))), Errc::WrongState);
    // The keygen session goes on.
    const SigningId next = create(message);
    ASSERT_TRUE(rig.run(rig->approve(p.approval(next, 0))).has_value());
    ASSERT_TRUE(rig.run(rig->approve(p.approval(next, 1))).has_value());
    p.expect_signature(p.outcome(next), keygen, message);
}

TEST_F(EngineApproval, AnUnfinishedSessionExpires) {
    Party& p = party_with({ApprovalPolicy::Header, ApprovalPolicy::None});
    const SigningId id = create(message, 2);
    const auto view = p.status(id);
    ASSERT_TRUE(view.has_value());
    const auto ended = rig.run(rig->wait_signing_status(*view, std::chrono::steady_clock::now() + std::chrono::seconds(10)));
    ASSERT_TRUE(ended.has_value());
    EXPECT_EQ(ended->status, SigningStatus::Failed);
    EXPECT_EQ(ended->failure->type, session::FailureType::Expired);
    EXPECT_EQ(refusal(rig.run(rig->approve(p.approval(id, 0)))), Errc::WrongState);
}

TEST_F(EngineApproval, AKeygenSessionExpiresAndItsStatusCanStillBeRead) {
    Party p(rig, {.participants = 3, .timeout_secs = 2});
    ASSERT_TRUE(rig.run(rig->create_keygen(p.creation())).has_value());
    ASSERT_TRUE(rig.run(rig->register_participant(p.registration(0, 0))).has_value());
    const auto view = p.status(0);
    ASSERT_TRUE(view.has_value());
    const auto ended = rig.run(rig->wait_keygen_status(*view, std::chrono::steady_clock::now() + std::chrono::seconds(10)));
    ASSERT_TRUE(ended.has_value());
    EXPECT_EQ(ended->status, session::KeygenStatus::Failed);
    EXPECT_EQ(ended->failure->type, session::FailureType::Expired);
    EXPECT_EQ(ended->expires_at, 0u);
    EXPECT_EQ(ended->registered_participants, 1u);
    EXPECT_EQ(rig.run(rig->register_participant(p.registration(1, 1))).error().code, Errc::WrongState);
    EXPECT_EQ(p.status(2)->status, session::KeygenStatus::Failed);
}

TEST_F(EngineApproval, TheQuotaCountsEverySession) {
    Party& p = party_with({ApprovalPolicy::None, ApprovalPolicy::None}, 2);
    for (int i = 0; i < 2; ++i)
        p.expect_signature(p.outcome(create(some_message(i))), keygen, some_message(i));
    EXPECT_EQ(rig.run(rig->create_signing(p.signing(message))).error().code, Errc::QuotaExceeded);
    Party none(rig, {.participants = 2, .max_signings = 0});
    none.complete();
    EXPECT_EQ(rig.run(rig->create_signing(none.signing(message))).error().code, Errc::QuotaExceeded);
}

TEST_F(EngineApproval, ReadsTheMessageInBothForms) {
    Party& p = party_with({ApprovalPolicy::None, ApprovalPolicy::None, ApprovalPolicy::None});
    auto clear = p.signing(message);
    clear.encrypted_message = hex_encode(message);
    ASSERT_TRUE(rig.run(rig->create_signing(clear)).has_value());
    p.expect_signature(p.outcome(clear.id), keygen, message);
    auto secret = p.signing(message);
    secret.encrypted_message = crypto::encrypted_data_seal(p.secret, crypto::DataContext::Message, message);
    ASSERT_TRUE(rig.run(rig->create_signing(secret)).has_value());
    p.expect_signature(p.outcome(secret.id), keygen, message);
    auto other = p.signing(message);
    other.encrypted_message = hex_encode(some_message(9));
    EXPECT_EQ(rig.run(rig->create_signing(other)).error().code, Errc::MessageMismatch);
    EXPECT_EQ(rig.run(rig->signing_exists(other.id)).error().code, Errc::NotFound) << "a refused request left a trace";
}

} // namespace
} // namespace keymeld::test
