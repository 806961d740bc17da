// What happens when enclaves and the engine itself go away at any moment, over real storage and real signers.
#include <future>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "core/plugin/loader.h"
#include "core/plugin/storage.h"
#include "tests/integration/engine_rig.h"

namespace keymeld::test {
namespace {

using session::ApprovalPolicy;
using session::FailureType;
using session::SigningStatus;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Each test has its own enclaves: it kills them.
class EngineFailure : public ::testing::Test {
  protected:
    EngineFailure() : signers(3) {}
    void restart(std::uint32_t enclave) {
        signers.kill(enclave);
        signers.start(enclave);
    }
    Signers signers;
    const ByteArray<32> message = some_message(3);
};

TEST_F(EngineFailure, EveryEnclaveMayRestartBeforeEveryStep) {
    Rig rig(signers, 3);
    rig.wait_healthy(3);
    for (std::uint32_t victim = 0; victim < 3; ++victim) {
        SCOPED_TRACE("enclave " + std::to_string(victim));
        Party p(rig, {.participants = 4, .policies = {ApprovalPolicy::Header, ApprovalPolicy::Bound}});
        restart(victim);
        rig.wait_healthy(3); // may still be the state before the restart: then the slots go to the two others
        const auto creation = p.creation();
        const auto opened = rig.run(rig->create_keygen(creation));
        ASSERT_TRUE(opened.has_value()) << opened.error().detail;
        const auto slots = rig.run(rig->slots(creation.id));
        ASSERT_TRUE(slots.has_value()) << slots.error().detail;
        for (std::size_t k = 0; k < 4; ++k) {
            const auto registration = p.registration(k, slots->available[k].enclave_id);
            restart(victim);
            const auto registered = rig.run(rig->register_participant(registration));
            ASSERT_TRUE(registered.has_value()) << "registration " << k << ": " << registered.error().detail;
        }
        restart(victim);
        const auto keygen = p.status();
        ASSERT_TRUE(keygen.has_value()) << keygen.error().detail;
        p.expect_key(*keygen);
        restart(victim);
        const auto signing = p.signing(message);
        const auto created = rig.run(rig->create_signing(signing));
        ASSERT_TRUE(created.has_value()) << created.error().detail;
        restart(victim);
        const auto bound = rig.run(rig->approve(p.bound_approval(signing.id, 1, message, unix_seconds() + 600)));
        ASSERT_TRUE(bound.has_value()) << bound.error().detail;
        restart(victim);
        const auto header = rig.run(rig->approve(p.approval(signing.id, 0)));
        ASSERT_TRUE(header.has_value()) << header.error().detail;
        restart(victim);
        p.expect_signature(p.outcome(signing.id), *keygen, message);
    }
}

TEST_F(EngineFailure, SessionsFinishWhileEnclavesComeAndGo) {
    Rig rig(signers, 3, {{"enclave_retry_max", "100"}});
    rig.wait_healthy(3);
    Party p(rig, {.participants = 5});
    const auto keygen = p.complete();
    std::minstd_rand random(4711);
    std::vector<SigningId> accepted;
    std::vector<ByteArray<32>> messages;
    for (int round = 0; round < 12; ++round) {
        std::vector<std::pair<engine::CreateSigning, std::shared_ptr<std::optional<Result<engine::CreateSigningAnswer>>>>> begun;
        for (int i = 0; i < 10; ++i) {
            auto request = p.signing(some_message(round * 10 + i));
            begun.emplace_back(request, rig.begin(rig->create_signing(request)));
        }
        rig.sleep(milliseconds(random() % 12));
        const auto victim = static_cast<std::uint32_t>(random() % 3);
        signers.kill(victim);
        rig.sleep(milliseconds(random() % 50));
        signers.start(victim);
        for (auto& [request, answer] : begun) {
            const auto created = rig.end(answer);
            ASSERT_TRUE(created.has_value()) << created.error().detail;
            accepted.push_back(request.id);
            messages.push_back(request.message_hash);
        }
    }
    for (std::size_t i = 0; i < accepted.size(); ++i)
        p.expect_signature(p.outcome(accepted[i]), keygen, messages[i]);
}

TEST_F(EngineFailure, NewSigningsAreRefusedWhileThereIsEnoughWorkAndWhatWasAcceptedGoesOn) {
    Rig rig(signers, 3, {{"max_inflight_requests", "12"}}); // a quarter of it may be worked on
    rig.wait_healthy(3);
    Party p(rig, {.participants = 3});
    Party asking(rig, {.participants = 3, .policies = {ApprovalPolicy::Header}});
    const auto keygen = p.complete();
    const auto other = asking.complete();
    // What waits for approvals is no work.
    std::vector<engine::CreateSigning> waiting;
    for (int i = 0; i < 4; ++i) {
        waiting.push_back(asking.signing(some_message(10 + i)));
        ASSERT_TRUE(rig.run(rig->create_signing(waiting.back())).has_value());
    }
    signers.freeze(0);
    std::vector<std::pair<engine::CreateSigning, std::shared_ptr<std::optional<Result<engine::CreateSigningAnswer>>>>> begun;
    for (int i = 0; i < 3; ++i) {
        const auto request = p.signing(some_message(20 + i));
        begun.emplace_back(request, rig.begin(rig->create_signing(request)));
    }
    rig.sleep(milliseconds(300)); // all three have reached the enclaves
    const auto late = p.signing(message);
    const auto refused = rig.run(rig->create_signing(late));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::Overloaded);
    signers.thaw(0);
    for (auto& [request, answer] : begun) {
        const auto created = rig.end(answer);
        ASSERT_TRUE(created.has_value()) << created.error().detail;
        p.expect_signature(p.outcome(request.id), keygen, request.message_hash);
    }
    const auto accepted = rig.run(rig->create_signing(late)); // nothing of it was used up
    ASSERT_TRUE(accepted.has_value()) << accepted.error().detail;
    p.expect_signature(p.outcome(late.id), keygen, message);
    for (const engine::CreateSigning& request : waiting) {
        const auto approved = rig.run(rig->approve(asking.approval(request.id, 0)));
        ASSERT_TRUE(approved.has_value()) << approved.error().detail;
        asking.expect_signature(asking.outcome(request.id), other, request.message_hash);
    }
}

TEST_F(EngineFailure, AFrozenEnclaveIsGivenUpAndTheSessionGoesOnWhenItIsBack) {
    Rig rig(signers, 3);
    rig.wait_healthy(3);
    Party p(rig, {.participants = 3});
    const auto keygen = p.complete();
    for (std::uint32_t victim = 0; victim < 3; ++victim) {
        SCOPED_TRACE("enclave " + std::to_string(victim));
        signers.freeze(victim);
        const auto request = p.signing(message);
        const auto begun = rig.begin(rig->create_signing(request));
        rig.sleep(milliseconds(300));
        EXPECT_FALSE(begun->has_value()) << "accepted without the enclave, or refused at once";
        signers.kill(victim);
        signers.start(victim);
        const auto created = rig.end(begun);
        ASSERT_TRUE(created.has_value()) << created.error().detail;
        p.expect_signature(p.outcome(request.id), keygen, message);
    }
}

TEST_F(EngineFailure, WhatWasAcceptedIsFinishedAfterARestartOfTheAppliance) {
    Rig rig(signers, 3);
    rig.wait_healthy(3);
    Party p(rig, {.participants = 3, .policies = {ApprovalPolicy::Header}});
    Party open(rig, {.participants = 3});
    Party free(rig, {.participants = 3});
    const auto keygen = p.complete();
    const auto free_keygen = free.complete();
    ASSERT_TRUE(rig.run(rig->create_keygen(open.creation())).has_value());
    ASSERT_TRUE(rig.run(rig->register_participant(open.registration(1, 1))).has_value());
    std::minstd_rand random(42);
    for (int round = 0; round < 8; ++round) {
        SCOPED_TRACE("round " + std::to_string(round));
        const auto waiting = p.signing(some_message(round));
        ASSERT_TRUE(rig.run(rig->create_signing(waiting)).has_value());
        std::vector<std::pair<engine::CreateSigning, std::shared_ptr<std::optional<Result<engine::CreateSigningAnswer>>>>> begun;
        for (int i = 0; i < 10; ++i) {
            auto request = free.signing(some_message(1000 + i));
            begun.emplace_back(request, rig.begin(rig->create_signing(request)));
        }
        rig.sleep(milliseconds(random() % 15));
        if (round % 2 == 0)
            rig.crash();
        else
            rig.stop();
        if (round % 3 == 0)
            restart(static_cast<std::uint32_t>(random() % 3));
        rig.start();
        for (auto& [request, answer] : begun)
            if (answer->has_value() && (*answer)->has_value())
                free.expect_signature(free.outcome(request.id), free_keygen, request.message_hash);
        ASSERT_TRUE(rig.run(rig->approve(p.approval(waiting.id, 0))).has_value());
        p.expect_signature(p.outcome(waiting.id), keygen, waiting.message_hash);
    }
    ASSERT_TRUE(rig.run(rig->register_participant(open.registration(0, 0))).has_value());
    ASSERT_TRUE(rig.run(rig->register_participant(open.registration(2, 2))).has_value());
    open.expect_key(*open.status());
}

TEST_F(EngineFailure, SessionsThatExpiredWhileTheApplianceWasDownFail) {
    Rig rig(signers, 3);
    rig.wait_healthy(3);
    Party p(rig, {.participants = 2, .policies = {ApprovalPolicy::Header}});
    p.complete();
    Party open(rig, {.participants = 2, .timeout_secs = 2});
    ASSERT_TRUE(rig.run(rig->create_keygen(open.creation())).has_value());
    const auto request = p.signing(message, 2);
    ASSERT_TRUE(rig.run(rig->create_signing(request)).has_value());
    rig.stop();
    std::this_thread::sleep_for(milliseconds(2300));
    rig.start();
    const auto signing = p.outcome(request.id);
    EXPECT_EQ(signing.failure->type, FailureType::Expired);
    rig.spin([&] { return rig->health().active_sessions == 0; });
    const auto keygen = open.status();
    ASSERT_TRUE(keygen.has_value());
    EXPECT_EQ(keygen->failure->type, FailureType::Expired);
}

TEST_F(EngineFailure, GivesUpOnAnEnclaveThatStaysAway) {
    Rig rig(signers, 3, {{"enclave_wait_max", "1s"}, {"enclave_retry_max", "1"}});
    rig.wait_healthy(3);
    Party p(rig, {.participants = 3});
    p.complete();
    signers.kill(2);
    rig.wait_healthy(2);
    // The coordinator enclave accepts; the other one cannot be had.
    const auto request = p.signing(message);
    const auto created = rig.run(rig->create_signing(request));
    ASSERT_TRUE(created.has_value()) << created.error().detail;
    const auto view = p.outcome(request.id);
    EXPECT_EQ(view.status, SigningStatus::Failed);
    EXPECT_EQ(view.failure->type, FailureType::EnclaveUnavailable);
    // Without the coordinator enclave nothing can be judged.
    signers.kill(0);
    rig.wait_healthy(1);
    const auto refused = rig.run(rig->create_signing(p.signing(message)));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::EnclaveUnavailable);
    signers.start(0);
    signers.start(2);
    rig.wait_healthy(3);
    const auto again = p.signing(message);
    ASSERT_TRUE(rig.run(rig->create_signing(again)).has_value());
    EXPECT_EQ(p.outcome(again.id).status, SigningStatus::Completed);
}

TEST_F(EngineFailure, ACreationThatFailsHalfWayLeavesNothingAndMayBeRepeated) {
    Rig rig(signers, 3, {{"enclave_wait_max", "1s"}});
    rig.wait_healthy(3);
    Party p(rig, {.participants = 3});
    const auto request = p.creation();
    signers.freeze(2); // healthy to the eye, but it does not answer
    const auto begun = rig.begin(rig->create_keygen(request));
    rig.sleep(milliseconds(300));
    signers.kill(2);
    const auto refused = rig.end(begun);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::EnclaveUnavailable);
    EXPECT_EQ(rig.run(rig->keygen_exists(p.id)).error().code, Errc::NotFound);
    signers.start(2);
    rig.wait_healthy(3);
    const auto again = rig.run(rig->create_keygen(request));
    ASSERT_TRUE(again.has_value()) << again.error().detail;
    for (std::uint32_t k = 0; k < 3; ++k)
        ASSERT_TRUE(rig.run(rig->register_participant(p.registration(k, k))).has_value());
    p.expect_key(*p.status());
}

TEST_F(EngineFailure, AnotherKeyIsRefusedUntilTheOperatorAcceptsIt) {
    Rig rig(signers, 3);
    rig.wait_healthy(3);
    Party p(rig, {.participants = 3});
    p.complete();
    signers.kill(1);
    signers.lose_key(1);
    signers.start(1);
    rig.wait_healthy(2);
    rig.sleep(milliseconds(500));
    EXPECT_FALSE(rig->enclave(1)->healthy);
    // The appliance remembers it over a restart, too.
    rig.stop();
    rig.start();
    rig.wait_healthy(2);
    rig.sleep(milliseconds(500));
    EXPECT_FALSE(rig->enclave(1)->healthy);
    rig.stop();
    rig.config().enclaves[1].accept_key_epoch = 1;
    rig.start();
    rig.wait_healthy(3);
    const auto request = p.signing(message);
    ASSERT_TRUE(rig.run(rig->create_signing(request)).has_value());
    const auto view = p.outcome(request.id);
    EXPECT_EQ(view.status, SigningStatus::Failed);
    EXPECT_EQ(view.failure->type, FailureType::EnclaveStateLost);
    // The new key is good for new sessions, and from now on it is the known one.
    rig.stop();
    rig.config().enclaves[1].accept_key_epoch.reset();
    rig.start();
    rig.wait_healthy(3);
    Party next(rig, {.participants = 3});
    next.expect_key(next.complete());
}

TEST_F(EngineFailure, RetentionDeletesWhatIsOldEnough) {
    Rig rig(signers, 3, {{"completed_keygen_retention", "1d"}, {"finished_signing_retention", "1h"}});
    rig.wait_healthy(3);
    Party old(rig, {.participants = 3});
    Party young(rig, {.participants = 3});
    old.complete();
    const auto keygen = young.complete();
    const auto gone = young.signing(message);
    const auto kept = young.signing(message);
    for (const auto& request : {gone, kept}) {
        ASSERT_TRUE(rig.run(rig->create_signing(request)).has_value());
        young.expect_signature(young.outcome(request.id), keygen, message);
    }
    rig.stop();
    // Two of the records become old.
    {
        auto storage = plugin::Loader(rig.config().plugin_directory).storage("storage-sqlite", {}).value()->open(rig.config().storage.options).value();
        std::promise<plugin::ReadAnswer> read;
        plugin::ReadBatch question;
        question.keygen = old.id;
        question.signing = gone.id;
        storage->read(question, [&](Result<plugin::ReadAnswer> answer) { read.set_value(std::move(answer.value())); });
        plugin::ReadAnswer records = read.get_future().get();
        records.keygen->record.updated_at -= 2 * 86400;
        records.signing->record.updated_at -= 7200;
        std::promise<Status> written;
        storage->write({plugin::UpdateKeygen{records.keygen->record}, plugin::UpdateSigning{records.signing->record}},
                       [&](Status status) { written.set_value(std::move(status)); });
        ASSERT_TRUE(written.get_future().get().has_value());
    }
    rig.start();
    rig.wait_healthy(3);
    rig.spin([&] { return !rig.run(rig->keygen_exists(old.id)).has_value(); });
    EXPECT_EQ(rig.run(rig->keygen_exists(old.id)).error().code, Errc::NotFound);
    EXPECT_EQ(rig.run(rig->signing_exists(gone.id)).error().code, Errc::NotFound);
    EXPECT_TRUE(rig.run(rig->signing_exists(kept.id)).has_value());
    // The ids stay retired.
    EXPECT_EQ(rig.run(rig->create_keygen(old.creation())).error().code, Errc::DuplicateId);
    auto reused = young.signing(message);
    reused.id = gone.id;
    EXPECT_EQ(rig.run(rig->create_signing(reused)).error().code, Errc::DuplicateId);
    EXPECT_EQ(young.status(kept.id)->status, SigningStatus::Completed);
}

} // namespace
} // namespace keymeld::test
