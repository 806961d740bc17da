// Approvals, rejections and the nonces of their headers.
#include <algorithm>

#include "tests/unit/enclave/signer_fixture.h"

namespace keymeld::test {
namespace {

class ApprovalRules : public SignerTest {
  protected:
    TestKeygen keygen = ready({.slots = {0, 1, 2}, .policies = {kBound, kHeader, kNone}});
    TestSigning signing = gateway.start_signing(keygen);

    std::uint64_t in(std::int64_t seconds) const {
        return static_cast<std::uint64_t>(static_cast<std::int64_t>(first.unix_seconds()) +
                                          seconds);
    }
    /// Round 1 with these approvals only, at an enclave that is not the coordinator's.
    wire::Response with(std::vector<wire::Approval> approvals, std::size_t enclave = 1,
                        std::uint32_t attempt = 1) {
        TestSigning changed = signing;
        changed.approvals = std::move(approvals);
        return gateway.send(enclave, gateway.round1(keygen, changed, attempt));
    }
    wire::Approval bound(std::int64_t seconds = 600) {
        return keygen.bound_approval(0, signing.id, signing.message, in(seconds));
    }
    wire::Response approve(const wire::Approval& approval) {
        return gateway.send(0, gateway.approve(keygen, signing, approval));
    }
};

TEST_F(ApprovalRules, NoEnclaveSignsWithoutEveryApproval) {
    for (const std::size_t enclave : keygen.enclaves()) {
        const wire::Response none = with({}, enclave);
        ASSERT_TRUE(succeeded(none));
        EXPECT_FALSE(none.sign_round1().has_contribution());
        ASSERT_EQ(none.sign_round1().awaiting_size(), 2);
        EXPECT_EQ(none.sign_round1().awaiting(0), raw(keygen.participant(0).id.bytes));
        EXPECT_EQ(none.sign_round1().awaiting(1), raw(keygen.participant(1).id.bytes));
        const wire::Response one = with({keygen.header_approval(1)}, enclave);
        EXPECT_FALSE(one.sign_round1().has_contribution());
        ASSERT_EQ(one.sign_round1().awaiting_size(), 1);
        EXPECT_EQ(one.sign_round1().awaiting(0), raw(keygen.participant(0).id.bytes));
        // The other approval is a fact of this enclave's ledger by now.
        EXPECT_TRUE(with({bound()}, enclave).sign_round1().has_contribution());
    }
}

TEST_F(ApprovalRules, BoundMeansBound) {
    EXPECT_TRUE(refused_with(with({keygen.header_approval(0), keygen.header_approval(1)}),
                             Errc::BoundApprovalRequired));
    EXPECT_TRUE(refused_with(approve(keygen.header_approval(0)), Errc::BoundApprovalRequired));
}

TEST_F(ApprovalRules, BoundApprovalNamesSessionMessageUserAndExpiry) {
    const auto refused = [&](auto&& change, Errc code) {
        wire::Approval approval = bound();
        change(approval);
        approval.set_signing_header(keygen.signing_header(0));
        return refused_with(with({approval}), code) && refused_with(approve(approval), code);
    };
    const auto with_bound_of = [&](const wire::Approval& other) {
        return [&other](wire::Approval& approval) { *approval.mutable_bound() = other.bound(); };
    };
    const auto other_session = keygen.bound_approval(0, random_signing(), signing.message, in(600));
    const auto other_user = keygen.bound_approval(1, signing.id, signing.message, in(600));
    const auto other_message = keygen.bound_approval(0, signing.id, random_message(), in(600));
    TestKeygen other_keygen(gateway.enclaves(),
                            {.slots = {0, 1, 2}, .policies = {kBound, kHeader, kNone}});
    const auto other_keygens = other_keygen.bound_approval(0, signing.id, signing.message, in(600));
    EXPECT_TRUE(refused(with_bound_of(other_session), Errc::AuthFailed));
    EXPECT_TRUE(refused(with_bound_of(other_user), Errc::AuthFailed));
    EXPECT_TRUE(refused(with_bound_of(other_keygens), Errc::AuthFailed));
    EXPECT_TRUE(refused(with_bound_of(other_message), Errc::MessageMismatch));
    EXPECT_TRUE(refused(
        [&](auto& a) {
            a.mutable_bound()->set_message_hash(other_message.bound().message_hash());
            a.mutable_bound()->set_signature(other_message.bound().signature());
        },
        Errc::MessageMismatch));
    EXPECT_TRUE(
        refused([&](auto& a) { a.mutable_bound()->set_expires_at(in(601)); }, Errc::AuthFailed));
    EXPECT_TRUE(refused([&](auto& a) { a.mutable_bound()->mutable_signature()->front() ^= 1; },
                        Errc::AuthFailed));
    EXPECT_TRUE(refused([&](auto& a) { a.mutable_bound()->set_signature("x"); }, Errc::AuthFailed));
    EXPECT_TRUE(
        refused([&](auto& a) { a.mutable_bound()->set_message_hash("x"); }, Errc::InvalidArgument));
    EXPECT_TRUE(refused(
        [&](auto& a) {
            *a.mutable_bound() =
                keygen.bound_approval(0, signing.id, signing.message, in(0)).bound();
        },
        Errc::ApprovalExpired));
    EXPECT_TRUE(refused(
        [&](auto& a) {
            *a.mutable_bound() =
                keygen.bound_approval(0, signing.id, signing.message, ~std::uint64_t{0}).bound();
        },
        Errc::ApprovalExpired));
    // A header participant's body must be valid too.
    wire::Approval of_header_user = keygen.header_approval(1);
    *of_header_user.mutable_bound() = bound().bound();
    EXPECT_TRUE(refused_with(with({of_header_user}), Errc::AuthFailed));
}

TEST_F(ApprovalRules, AHeaderApprovesOneSession) {
    const wire::Approval approval = keygen.header_approval(1);
    ASSERT_TRUE(succeeded(with({bound(), approval})));
    // At the same enclave for another session; at another enclave for the same session it is no
    // replay.
    TestSigning other = gateway.start_signing(keygen);
    other.approvals = {keygen.bound_approval(0, other.id, other.message, in(600)), approval};
    EXPECT_TRUE(refused_with(gateway.send(1, gateway.round1(keygen, other)), Errc::NonceReplayed));
    EXPECT_TRUE(succeeded(with({bound(), approval}, 2)));
    EXPECT_TRUE(refused_with(gateway.send(2, gateway.round1(keygen, other)), Errc::NonceReplayed));
    second.restart();
    EXPECT_TRUE(refused_with(gateway.ask(1, gateway.round1(keygen, other)), Errc::NonceReplayed));
    // Neither for a rejection nor for a read.
    EXPECT_TRUE(
        refused_with(gateway.send(1, gateway.reject(keygen, signing, approval.signing_header())),
                     Errc::NonceReplayed));
    wire::Request read;
    read.mutable_authenticate()->set_keygen_id(raw(keygen.id().bytes));
    read.mutable_authenticate()->set_signing_header(approval.signing_header());
    EXPECT_TRUE(refused_with(gateway.send(1, read), Errc::NonceReplayed));
}

TEST_F(ApprovalRules, AHeaderIsUsedUpOverAllSessionsOfAKey) {
    // The same user with the same key in a second keygen session at the same enclaves.
    KeygenSetup setup{.slots = {0, 1, 2}, .policies = {kHeader, kHeader, kHeader}};
    for (std::size_t i = 0; i < 3; ++i) {
        setup.users.push_back(keygen.participant(i).id);
        ByteArray<32> key{};
        std::copy_n(keygen.participant(i).key.expose().begin(), 32, key.begin());
        setup.keys.push_back(key);
    }
    TestKeygen twin = ready(setup);
    const wire::Approval approval = keygen.header_approval(1);
    ASSERT_TRUE(succeeded(with({approval})));
    TestSigning other = gateway.start_signing(twin);
    other.approvals = {approval};
    EXPECT_TRUE(refused_with(gateway.send(1, gateway.round1(twin, other)), Errc::NonceReplayed));
    // The same for a header of a read in the other session.
    wire::Request read;
    read.mutable_authenticate()->set_keygen_id(raw(keygen.id().bytes));
    read.mutable_authenticate()->set_signing_header(keygen.signing_header(1));
    ASSERT_TRUE(succeeded(gateway.send(1, read)));
    TestSigning from_read = gateway.start_signing(twin);
    from_read.approvals[0].set_signing_header(read.authenticate().signing_header());
    EXPECT_TRUE(
        refused_with(gateway.send(1, gateway.round1(twin, from_read)), Errc::NonceReplayed));
    // Also when the first session came back from storage before the second one is asked.
    second.restart();
    ASSERT_TRUE(succeeded(gateway.send(1, gateway.restore(1, keygen.id()))));
    EXPECT_TRUE(refused_with(gateway.ask(1, gateway.round1(twin, other)), Errc::NonceReplayed));
}

TEST_F(ApprovalRules, AReadOrRejectionHeaderApprovesNothing) {
    wire::Request read;
    read.mutable_authenticate()->set_keygen_id(raw(keygen.id().bytes));
    read.mutable_authenticate()->set_signing_header(keygen.signing_header(1));
    ASSERT_TRUE(succeeded(gateway.send(1, read)));
    wire::Approval approval;
    approval.set_signing_header(read.authenticate().signing_header());
    EXPECT_TRUE(refused_with(with({approval}), Errc::NonceReplayed));
}

TEST_F(ApprovalRules, ApproveRecordsAndRoundOneRestsOnIt) {
    ASSERT_TRUE(succeeded(with({}, 0)));
    const wire::Approval first_approval = bound();
    const wire::Response approved = approve(first_approval);
    ASSERT_TRUE(succeeded(approved));
    EXPECT_TRUE(approved.approve().counts());
    EXPECT_TRUE(approved.approve().has_sealed());
    EXPECT_EQ(approved.approve().user_id(), raw(keygen.participant(0).id.bytes));
    // A retry says the same and changes nothing.
    const wire::Response again = approve(first_approval);
    ASSERT_TRUE(succeeded(again));
    EXPECT_TRUE(again.approve().counts());
    EXPECT_FALSE(again.approve().has_sealed());
    EXPECT_TRUE(approve(keygen.header_approval(1)).approve().counts());
    // Without effect, but its nonce is used.
    const wire::Approval nobody_asked = keygen.header_approval(2);
    EXPECT_FALSE(approve(nobody_asked).approve().counts());
    EXPECT_TRUE(refused_with(
        gateway.send(0, gateway.reject(keygen, signing, nobody_asked.signing_header())),
        Errc::NonceReplayed));
    // The approvals survive in the ledger: round 1 needs no evidence of them here.
    first.restart();
    ASSERT_TRUE(succeeded(gateway.send(0, gateway.restore(0, keygen.id()))));
    EXPECT_TRUE(with({}, 0).sign_round1().has_contribution());
}

TEST_F(ApprovalRules, ApproveMayBringTheSession) {
    // The enclave has not seen the session: without evidence there is none, with it the session is
    // accepted first.
    wire::Request request = gateway.approve(keygen, signing, bound());
    request.mutable_approve()->clear_evidence();
    EXPECT_TRUE(refused_with(gateway.send(0, request), Errc::NotFound));
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.reject(keygen, signing, keygen.signing_header(0))),
                     Errc::NotFound));
    EXPECT_TRUE(succeeded(approve(bound())));
    EXPECT_TRUE(succeeded(approve(keygen.header_approval(1))));
    gateway.sign(keygen, signing);
}

TEST_F(ApprovalRules, OnlyParticipantsApprove) {
    TestKeygen other = ready({.slots = {0, 1}, .policies = {kHeader, kHeader}});
    EXPECT_TRUE(refused_with(approve(other.header_approval(0)), Errc::NotAParticipant));
    wire::Approval approval = keygen.header_approval(1);
    approval.mutable_signing_header()->replace(0, 36, keygen.participant(0).id.text());
    EXPECT_TRUE(refused_with(approve(approval), Errc::AuthFailed));
    approval.set_signing_header("x");
    EXPECT_TRUE(refused_with(approve(approval), Errc::AuthMalformed));
    approval.clear_signing_header();
    EXPECT_TRUE(refused_with(approve(approval), Errc::AuthMissing));
    approval.set_signing_header(std::string(1'000'000, '1'));
    EXPECT_TRUE(refused_with(approve(approval), Errc::AuthMalformed));
    EXPECT_TRUE(refused_with(with(std::vector<wire::Approval>(4, keygen.header_approval(1))),
                             Errc::InvalidArgument));
}

TEST_F(ApprovalRules, ALapsedApprovalIsNone) {
    ASSERT_TRUE(succeeded(with({}, 0)));
    const wire::Approval short_lived = bound(10);
    ASSERT_TRUE(succeeded(approve(short_lived)));
    ASSERT_TRUE(succeeded(approve(keygen.header_approval(1))));
    for (LocalEnclave* const enclave : {&first, &second, &third})
        enclave->advance(std::chrono::seconds(10));
    // From the ledger it is missing; as evidence it is refused.
    const wire::Response waiting = with({}, 0);
    ASSERT_TRUE(succeeded(waiting));
    EXPECT_EQ(waiting.sign_round1().awaiting_size(), 1);
    EXPECT_TRUE(refused_with(with({short_lived}, 0), Errc::ApprovalExpired));
    EXPECT_TRUE(refused_with(with({short_lived}, 1), Errc::ApprovalExpired));
    // A later one replaces it.
    const wire::Approval fresh = bound();
    EXPECT_TRUE(approve(fresh).approve().counts());
    signing.approvals = {fresh, keygen.header_approval(1)};
    gateway.sign(keygen, signing);
}

TEST_F(ApprovalRules, ExpiryIsCheckedAgainBeforeEachShare) {
    signing.approvals = {bound(10), keygen.header_approval(1)};
    RoundTrips trips;
    for (const std::size_t enclave : keygen.enclaves())
        trips.round1[enclave] = gateway.ask(enclave, gateway.round1(keygen, signing)).sign_round1();
    trips.round2[1] = gateway.send(1, gateway.round2(keygen, signing, trips)).sign_round2();
    for (LocalEnclave* const enclave : {&first, &second, &third})
        enclave->advance(std::chrono::seconds(10));
    EXPECT_TRUE(refused_with(gateway.send(2, gateway.round2(keygen, signing, trips)),
                             Errc::ApprovalExpired));
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.finish(keygen, signing, trips)),
                             Errc::ApprovalExpired));
    // The nonces are gone with it.
    EXPECT_TRUE(
        refused_with(gateway.send(2, gateway.round2(keygen, signing, trips)), Errc::AttemptVoid));
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.finish(keygen, signing, trips)), Errc::AttemptVoid));
}

TEST_F(ApprovalRules, RejectionIsFinal) {
    ASSERT_TRUE(succeeded(with({}, 0)));
    ASSERT_TRUE(succeeded(approve(bound())));
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.reject(keygen, signing, keygen.signing_header(2))),
                     Errc::NotPermitted));
    const std::string header = keygen.signing_header(0);
    const wire::Response rejected = gateway.send(0, gateway.reject(keygen, signing, header));
    ASSERT_TRUE(succeeded(rejected));
    EXPECT_TRUE(rejected.reject().has_sealed());
    EXPECT_TRUE(succeeded(gateway.send(0, gateway.reject(keygen, signing, header))));
    EXPECT_TRUE(
        succeeded(gateway.send(0, gateway.reject(keygen, signing, keygen.signing_header(1)))));

    EXPECT_TRUE(refused_with(approve(keygen.header_approval(1)), Errc::WrongState));
    signing.approvals = {bound(), keygen.header_approval(1)};
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.round1(keygen, signing)), Errc::WrongState));
    first.restart();
    EXPECT_TRUE(refused_with(gateway.ask(0, gateway.round1(keygen, signing, 2)), Errc::WrongState));
    EXPECT_TRUE(succeeded(gateway.send(0, gateway.close(keygen, signing))));
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.round1(keygen, signing, 3)), Errc::WrongState));
    // The rejection header approves nothing else.
    TestSigning other = gateway.start_signing(keygen);
    wire::Approval approval;
    approval.set_signing_header(header);
    EXPECT_TRUE(refused_with(gateway.send(0, gateway.approve(keygen, other, approval)),
                             Errc::NonceReplayed));
}

TEST_F(ApprovalRules, NoRejectionOnceSigningHasBegun) {
    ASSERT_TRUE(succeeded(gateway.send(0, gateway.round1(keygen, signing))));
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.reject(keygen, signing, keygen.signing_header(0))),
                     Errc::WrongState));
    gateway.sign(keygen, signing);
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.reject(keygen, signing, keygen.signing_header(0))),
                     Errc::WrongState));
    // An approval that nobody needs any more is a success without effect.
    const wire::Response late = approve(keygen.header_approval(1));
    ASSERT_TRUE(succeeded(late));
    EXPECT_FALSE(late.approve().counts());
    ASSERT_TRUE(succeeded(gateway.send(0, gateway.close(keygen, signing))));
    const wire::Response later = approve(keygen.header_approval(1));
    ASSERT_TRUE(succeeded(later));
    EXPECT_FALSE(later.approve().counts());
    EXPECT_TRUE(later.approve().has_sealed());
    EXPECT_TRUE(
        refused_with(gateway.send(0, gateway.reject(keygen, signing, keygen.signing_header(0))),
                     Errc::WrongState));
}

} // namespace
} // namespace keymeld::test
