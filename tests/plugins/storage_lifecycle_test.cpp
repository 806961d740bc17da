// Atomic batches, ids that are never used again, deletion, retention, leases, totals.
#include "tests/plugins/storage_fixture.h"

#include "core/base/clock.h"

namespace keymeld::test {
namespace {

using session::KeygenStatus;
using session::SigningStatus;

class StorageLifecycle : public StorageTest {};

TEST_F(StorageLifecycle, ABatchIsAllOrNothing) {
    must({insert_keygen(1), PutSealed{sealed(1, 0, 1, true)}});
    KeygenRecord update = keygen_record(1);
    update.version = 1;
    update.event_seq = 50;
    // The last mutation conflicts; everything before it must be undone.
    expect_conflict({UpdateKeygen{update}, insert_keygen(2), InsertSigning{signing_record(5, 1)},
                     PutSealed{sealed(1, 0, 2, true)}, UseNonce{hash_of(1), keygen_id(1)},
                     BindBlob{hash_of(2), keygen_id(1), user_id(10)}, DeleteKeygen{keygen_id(1)},
                     UseNonce{hash_of(9), keygen_id(77)}},
                    "there is no keygen " + keygen_id(77).text());
    EXPECT_EQ(keygen(1)->record.event_seq, 1u);
    EXPECT_EQ(keygen(1)->record.version, 1u);
    EXPECT_FALSE(keygen(2));
    EXPECT_FALSE(signing(5));
    EXPECT_EQ(sealed_states(1, 0).size(), 1u);
    EXPECT_EQ(sealed_states(1, 0)[0].version, 1u);
    EXPECT_FALSE(nonce_used(hash_of(1)));
    EXPECT_FALSE(read(storage(), {.binding = hash_of(2)}).binding);
    const StorageStats totals = stats(storage());
    EXPECT_EQ(totals.total_sessions, 1u);
    EXPECT_EQ(totals.total_participants, 2u);
    // And the same batch without the bad end goes through.
    must({UpdateKeygen{update}, insert_keygen(2), InsertSigning{signing_record(5, 1)}});
    EXPECT_TRUE(signing(5));
}

TEST_F(StorageLifecycle, AnEmptyBatchIsDone) {
    must({});
}

TEST_F(StorageLifecycle, LaterMutationsSeeEarlierOnes) {
    KeygenRecord update = keygen_record(1);
    update.version = 1;
    must({insert_keygen(1), UpdateKeygen{update}, InsertSigning{signing_record(5, 1)},
          PutApproval{{signing_id(5), user_id(10), "h", std::nullopt}},
          DeleteSigning{signing_id(5)}});
    EXPECT_EQ(keygen(1)->record.version, 2u);
    EXPECT_FALSE(signing(5));
    expect_conflict({DeleteKeygen{keygen_id(1)}, UseNonce{hash_of(1), keygen_id(1)}},
                    "there is no keygen");
    EXPECT_TRUE(keygen(1));
}

TEST_F(StorageLifecycle, AnIdIsUsedOnceForWhatever) {
    must({insert_keygen(1), InsertSigning{signing_record(5, 1)}});
    expect_conflict({insert_keygen(1)}, "id " + keygen_id(1).text() + " was used before");
    expect_conflict({InsertSigning{signing_record(5, 1)}}, "was used before");
    SigningRecord as_keygen = signing_record(6, 1);
    as_keygen.id = SigningId(keygen_id(1));
    expect_conflict({InsertSigning{as_keygen}}, "was used before");
    InsertKeygen as_signing = insert_keygen(2);
    as_signing.record.id = KeygenId(signing_id(5));
    expect_conflict({as_signing}, "was used before");
    EXPECT_TRUE(used(keygen_id(1)));
    EXPECT_TRUE(used(signing_id(5)));
    EXPECT_FALSE(used(keygen_id(2)));

    must({DeleteKeygen{keygen_id(1)}});
    EXPECT_TRUE(used(keygen_id(1)));
    EXPECT_TRUE(used(signing_id(5)));
    expect_conflict({insert_keygen(1)}, "was used before");
    expect_conflict({as_signing}, "was used before");
    must({insert_keygen(3)});
    expect_conflict({InsertSigning{signing_record(5, 3)}}, "was used before");
    reopened();
    expect_conflict({insert_keygen(1)}, "was used before");
}

TEST_F(StorageLifecycle, ASigningNeedsItsKeygen) {
    expect_conflict({InsertSigning{signing_record(5, 1)}},
                    "there is no keygen " + keygen_id(1).text());
    EXPECT_FALSE(used(signing_id(5)));
}

TEST_F(StorageLifecycle, DeletingAKeygenDeletesAllThatBelongsToItAndNothingElse) {
    for (std::uint64_t n : {1u, 2u})
        must({insert_keygen(n), InsertSigning{signing_record(n * 10, n)},
              InsertSigning{signing_record(n * 10 + 1, n)},
              PutApproval{{signing_id(n * 10), user_id(n * 10), "h", std::nullopt}},
              PutSealed{sealed(n, 0, 1, true)}, UseNonce{hash_of(n), keygen_id(n)},
              BindBlob{hash_of(50 + n), keygen_id(n), user_id(n * 10)}});
    must({DeleteKeygen{keygen_id(1)}});
    EXPECT_FALSE(keygen(1));
    EXPECT_FALSE(signing(10));
    EXPECT_FALSE(signing(11));
    EXPECT_TRUE(sealed_states(1, 0).empty());
    EXPECT_FALSE(nonce_used(hash_of(1)));
    EXPECT_TRUE(
        read(storage(), {.binding = hash_of(51)}).binding); // beyond the life of the session
    EXPECT_TRUE(keygen(2));
    EXPECT_EQ(signing(20)->approvals.size(), 1u);
    EXPECT_TRUE(signing(21));
    EXPECT_EQ(sealed_states(2, 0).size(), 1u);
    EXPECT_TRUE(nonce_used(hash_of(2)));
    EXPECT_EQ(stats(storage()).total_sessions, 3u);
    EXPECT_EQ(stats(storage()).total_participants, 2u);
    must({DeleteKeygen{keygen_id(1)}, DeleteSigning{signing_id(10)}}); // what is gone is gone
    EXPECT_EQ(stats(storage()).total_sessions, 3u);
    close();
    EXPECT_EQ(
        query(
            "SELECT (SELECT count(*) FROM participants) || ' ' || (SELECT count(*) FROM approvals) "
            "|| ' ' || (SELECT count(*) FROM sealed) || ' ' || (SELECT count(*) FROM nonces)"),
        std::vector<std::string>({"2 1 1 1"}));
    EXPECT_TRUE(query("PRAGMA foreign_key_check").empty());
}

TEST_F(StorageLifecycle, DeletingASigningKeepsItsKeygen) {
    must({insert_keygen(1), InsertSigning{signing_record(5, 1)},
          PutApproval{{signing_id(5), user_id(10), "h", std::nullopt}}});
    must({DeleteSigning{signing_id(5)}});
    EXPECT_TRUE(keygen(1));
    EXPECT_FALSE(signing(5));
    EXPECT_TRUE(used(signing_id(5)));
    EXPECT_EQ(stats(storage()).total_sessions, 1u);
}

TEST_F(StorageLifecycle, ASignersNonceLivesAsLongAsTheKeyIsRegisteredSomewhere) {
    // User 500 with key 7 is in keygens 1, 2 and 3; user 600 with the same key in 2 only.
    for (std::uint64_t n : {1u, 2u, 3u})
        must({InsertKeygen{
            keygen_record(n),
            {registered(participant(500, 0), 7), registered(participant(600 + n, 1), 100 + n)}}});
    must({UseNonce{hash_of(1), keygen_id(1), user_id(500)}, // follows the user's key
          UseNonce{hash_of(2), keygen_id(1)}, // of the session secret: dies with the session
          UseNonce{hash_of(3), keygen_id(1), user_id(601)}}); // nobody else has this key
    must({DeleteKeygen{keygen_id(1)}});
    EXPECT_TRUE(nonce_used(hash_of(1)));
    EXPECT_FALSE(nonce_used(hash_of(2)));
    EXPECT_FALSE(nonce_used(hash_of(3)));
    must({DeleteKeygen{keygen_id(3)}});
    EXPECT_TRUE(nonce_used(hash_of(1)));
    expect_conflict({UseNonce{hash_of(1), keygen_id(2), user_id(500)}}, "was used before");
    must({DeleteKeygen{keygen_id(2)}});
    EXPECT_FALSE(nonce_used(hash_of(1)));
}

TEST_F(StorageLifecycle, ASignersNonceDoesNotFollowAnotherKeyOrUser) {
    must({InsertKeygen{keygen_record(1), {registered(participant(500, 0), 7)}},
          InsertKeygen{keygen_record(2),
                       {registered(participant(500, 0), 8)}}, // same user, other key
          InsertKeygen{keygen_record(3),
                       {registered(participant(501, 0), 7)}},    // other user, same key
          InsertKeygen{keygen_record(4), {participant(500, 0)}}, // not registered
          UseNonce{hash_of(1), keygen_id(1), user_id(500)}});
    must({DeleteKeygen{keygen_id(1)}});
    EXPECT_FALSE(nonce_used(hash_of(1)));
}

TEST_F(StorageLifecycle, RetentionFindsWhatEndedBefore) {
    const auto put_keygen = [&](std::uint64_t n, KeygenStatus status, std::uint64_t updated) {
        InsertKeygen insert = insert_keygen(n);
        insert.record.status = status;
        insert.record.updated_at = updated;
        must({insert});
    };
    put_keygen(1, KeygenStatus::Completed, 300);
    put_keygen(2, KeygenStatus::Completed, 100);
    put_keygen(3, KeygenStatus::Completed, 200);
    put_keygen(4, KeygenStatus::Failed, 150);
    put_keygen(5, KeygenStatus::CollectingParticipants, 1);
    using enum EndedKind;
    EXPECT_EQ(ended(storage(), CompletedKeygens, 300),
              std::vector<Uuid>({keygen_id(2), keygen_id(3)}));
    EXPECT_EQ(ended(storage(), CompletedKeygens, 301, 2),
              std::vector<Uuid>({keygen_id(2), keygen_id(3)}));
    EXPECT_EQ(ended(storage(), CompletedKeygens, 301, 3),
              std::vector<Uuid>({keygen_id(2), keygen_id(3), keygen_id(1)}));
    EXPECT_EQ(ended(storage(), FailedKeygens, UINT64_MAX), std::vector<Uuid>({keygen_id(4)}));
    EXPECT_TRUE(ended(storage(), FailedKeygens, 150).empty());
    EXPECT_TRUE(ended(storage(), CompletedKeygens, 301, 0).empty());

    std::uint64_t n = 10;
    for (const auto status :
         {SigningStatus::Completed, SigningStatus::Failed, SigningStatus::CollectingParticipants,
          SigningStatus::FinalizingSignature}) {
        SigningRecord r = signing_record(n, 1);
        r.status = status;
        r.updated_at = 1000 - n++;
        must({InsertSigning{r}});
    }
    EXPECT_EQ(ended(storage(), FinishedSignings, 2000),
              std::vector<Uuid>({signing_id(11), signing_id(10)}));
    // An update moves a session into and along the list.
    SigningRecord done = signing_record(12, 1);
    done.version = 1;
    done.status = SigningStatus::Failed;
    done.updated_at = 1;
    must({UpdateSigning{done}});
    EXPECT_EQ(ended(storage(), FinishedSignings, 2000).front(), signing_id(12));
}

TEST_F(StorageLifecycle, UnfinishedSessionsAreClaimedByOneOwner) {
    const Uuid a = user_id(1), b = user_id(2);
    const std::uint64_t now = unix_seconds();
    InsertKeygen done = insert_keygen(2);
    done.record.status = KeygenStatus::Completed;
    SigningRecord finished = signing_record(6, 2);
    finished.status = SigningStatus::Completed;
    SigningRecord midway = signing_record(7, 2);
    midway.status = SigningStatus::CollectingNonces;
    must({insert_keygen(1), done, InsertSigning{signing_record(5, 2)}, InsertSigning{finished},
          InsertSigning{midway}, PutApproval{{signing_id(7), user_id(20), "h", std::nullopt}}});

    Unfinished mine = claim(storage(), a, now + 1000);
    ASSERT_EQ(mine.keygens.size(), 1u);
    EXPECT_EQ(mine.keygens[0].record.id, keygen_id(1));
    EXPECT_EQ(mine.keygens[0].participants.size(), 2u);
    ASSERT_EQ(mine.signings.size(), 2u);
    EXPECT_EQ(mine.signings[0].record.id, signing_id(5));
    EXPECT_EQ(mine.signings[1].record.status, SigningStatus::CollectingNonces);
    EXPECT_EQ(mine.signings[1].approvals.size(), 1u);
    EXPECT_EQ(mine.signings[1].record.version, 1u); // nobody had it before

    // New sessions belong to the claimer too; another owner gets nothing while the lease runs.
    must({insert_keygen(3), InsertSigning{signing_record(8, 2)}});
    Unfinished none = claim(storage(), b, now + 1000);
    EXPECT_TRUE(none.keygens.empty());
    EXPECT_TRUE(none.signings.empty());

    mine = claim(storage(), a, now - 1); // renewed, with an end that has passed
    EXPECT_EQ(mine.keygens.size(), 2u);
    EXPECT_EQ(mine.signings.size(), 3u);
    EXPECT_EQ(mine.keygens[0].record.version, 1u);
    Unfinished taken = claim(storage(), b, now + 1000);
    EXPECT_EQ(taken.keygens.size(), 2u);
    EXPECT_EQ(taken.signings.size(), 3u);
    // What the first owner still writes is refused.
    EXPECT_EQ(taken.keygens[0].record.version, 2u);
    KeygenRecord stale = keygen_record(1);
    stale.version = 1;
    expect_conflict({UpdateKeygen{stale}}, "is not at version 1");
    EXPECT_TRUE(claim(storage(), a, now + 1000).keygens.empty());
}

TEST_F(StorageLifecycle, LeasesEndWithTheProcessThatHeldThem) {
    const std::uint64_t far = unix_seconds() + 100000;
    must({insert_keygen(1)});
    EXPECT_EQ(claim(storage(), user_id(1), far).keygens.size(), 1u);
    reopened();
    EXPECT_EQ(claim(storage(), user_id(2), far).keygens.size(), 1u);
}

TEST_F(StorageLifecycle, TotalsFollowEveryChangeAndSurviveReopening) {
    must({insert_keygen(1), insert_keygen(2), InsertSigning{signing_record(5, 1)},
          InsertSigning{signing_record(6, 1)}});
    StorageStats found = stats(storage());
    EXPECT_EQ(found.total_sessions, 4u);
    EXPECT_EQ(found.active_sessions, 4u);
    EXPECT_EQ(found.total_participants, 4u);
    ASSERT_TRUE(found.database_size_bytes);
    EXPECT_GT(*found.database_size_bytes, 4096u);
    SigningRecord done = signing_record(5, 1);
    done.version = 1;
    done.status = SigningStatus::Failed;
    KeygenRecord completed = keygen_record(2);
    completed.version = 1;
    completed.status = KeygenStatus::Completed;
    must({UpdateSigning{done}, UpdateKeygen{completed}});
    EXPECT_EQ(stats(storage()).active_sessions, 2u);
    EXPECT_EQ(stats(storage()).total_sessions, 4u);
    must({DeleteSigning{signing_id(5)}});
    for (int opened = 0; opened < 2; ++opened, close()) {
        found = stats(storage());
        EXPECT_EQ(found.total_sessions, 3u);
        EXPECT_EQ(found.active_sessions, 2u);
        EXPECT_EQ(found.total_participants, 4u);
    }
    must({DeleteKeygen{keygen_id(1)}});
    EXPECT_EQ(stats(storage()).total_sessions, 1u);
    EXPECT_EQ(stats(storage()).total_participants, 2u);
}

} // namespace
} // namespace keymeld::test
