// Every record comes back as it was written, and every mutation keeps its rules.
#include "core/base/hex.h"
#include "tests/plugins/storage_fixture.h"

namespace keymeld::test {
namespace {

using session::ApprovalPolicy;
using session::FailureType;
using session::KeygenStatus;
using session::SigningStatus;

void expect_equal(const KeygenRecord& a, const KeygenRecord& b) {
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(a.version, b.version);
    EXPECT_EQ(a.status, b.status);
    EXPECT_EQ(a.created_at, b.created_at);
    EXPECT_EQ(a.updated_at, b.updated_at);
    EXPECT_EQ(a.expires_at, b.expires_at);
    EXPECT_EQ(a.event_seq, b.event_seq);
    EXPECT_EQ(a.request_digest, b.request_digest);
    EXPECT_EQ(a.coordinator_enclave_id, b.coordinator_enclave_id);
    EXPECT_EQ(a.encrypted_session_secret, b.encrypted_session_secret);
    EXPECT_EQ(a.tweak, b.tweak);
    EXPECT_EQ(a.key_order, b.key_order);
    EXPECT_EQ(a.max_signing_sessions, b.max_signing_sessions);
    EXPECT_EQ(a.ecies_aad, b.ecies_aad);
    EXPECT_EQ(a.aggregate_public_key, b.aggregate_public_key);
    EXPECT_EQ(a.untweaked_public_key, b.untweaked_public_key);
    EXPECT_EQ(a.aggregate_key_tag, b.aggregate_key_tag);
    ASSERT_EQ(a.failure.has_value(), b.failure.has_value());
    if (a.failure) {
        EXPECT_EQ(a.failure->type, b.failure->type);
        EXPECT_EQ(a.failure->message, b.failure->message);
    }
}

void expect_equal(const ParticipantRecord& a, const ParticipantRecord& b) {
    EXPECT_EQ(a.user_id, b.user_id);
    EXPECT_EQ(a.signer_index, b.signer_index);
    EXPECT_EQ(a.enclave_id, b.enclave_id);
    EXPECT_EQ(a.enclave_public_key, b.enclave_public_key);
    EXPECT_EQ(a.enclave_key_epoch, b.enclave_key_epoch);
    EXPECT_EQ(a.registered, b.registered);
    EXPECT_EQ(a.public_key, b.public_key);
    EXPECT_EQ(a.policy, b.policy);
    EXPECT_EQ(a.registration_tag, b.registration_tag);
    EXPECT_EQ(a.registered_rank, b.registered_rank);
    EXPECT_EQ(a.request_digest, b.request_digest);
}

void expect_equal(const SigningRecord& a, const SigningRecord& b) {
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(a.keygen_id, b.keygen_id);
    EXPECT_EQ(a.version, b.version);
    EXPECT_EQ(a.status, b.status);
    EXPECT_EQ(a.attempt, b.attempt);
    EXPECT_EQ(a.created_at, b.created_at);
    EXPECT_EQ(a.updated_at, b.updated_at);
    EXPECT_EQ(a.expires_at, b.expires_at);
    EXPECT_EQ(a.event_seq, b.event_seq);
    EXPECT_EQ(a.request_digest, b.request_digest);
    EXPECT_EQ(a.session_header, b.session_header);
    EXPECT_EQ(a.message_hash, b.message_hash);
    EXPECT_EQ(a.encrypted_message, b.encrypted_message);
    EXPECT_EQ(a.final_signature, b.final_signature);
    ASSERT_EQ(a.failure.has_value(), b.failure.has_value());
    if (a.failure) {
        EXPECT_EQ(a.failure->type, b.failure->type);
        EXPECT_EQ(a.failure->message, b.failure->message);
    }
}

class StorageRecords : public StorageTest {};

TEST_F(StorageRecords, KeygenComesBackAsWritten) {
    InsertKeygen first = insert_keygen(1);
    InsertKeygen second = insert_keygen(2);
    second.record.tweak = {};
    second.record.key_order = bitcoin::KeyOrder::UserId;
    second.record.ecies_aad = false;
    second.record.status = KeygenStatus::Failed;
    second.record.failure = FailureRecord{FailureType::Expired, "nobody came"};
    second.participants[1] = registered(second.participants[1], 77, 1);
    must({first, second});
    first.record.version = second.record.version = 1;
    for (int opened = 0; opened < 2; ++opened, close()) {
        const auto a = keygen(1);
        ASSERT_TRUE(a);
        expect_equal(a->record, first.record);
        ASSERT_EQ(a->participants.size(), 2u);
        expect_equal(a->participants[0], first.participants[0]);
        const auto b = keygen(2);
        ASSERT_TRUE(b);
        expect_equal(b->record, second.record);
        expect_equal(b->participants[0], second.participants[0]);
        expect_equal(b->participants[1], second.participants[1]);
    }
    EXPECT_FALSE(keygen(3));
}

TEST_F(StorageRecords, ParticipantsComeBackBySignerIndex) {
    InsertKeygen insert{keygen_record(1), {}};
    for (std::uint32_t i = 0; i < 300; ++i)
        insert.participants.push_back(participant(1000 - i, 299 - i));
    must({insert});
    const auto found = keygen(1);
    ASSERT_EQ(found->participants.size(), 300u);
    for (std::uint32_t i = 0; i < 300; ++i)
        EXPECT_EQ(found->participants[i].signer_index, i);
}

TEST_F(StorageRecords, EveryEnumeratorComesBack) {
    std::uint64_t n = 0;
    for (const auto type : {bitcoin::TweakType::None, bitcoin::TweakType::UnspendableTaproot,
                            bitcoin::TweakType::TaprootWithMerkleRoot,
                            bitcoin::TweakType::PlainTweak, bitcoin::TweakType::XOnlyTweak}) {
        InsertKeygen insert = insert_keygen(++n);
        insert.record.tweak = {type, {}};
        if (insert.record.tweak.has_value())
            insert.record.tweak.value32 = hash_of(n);
        must({insert});
        EXPECT_EQ(keygen(n)->record.tweak, insert.record.tweak);
    }
    for (const auto policy :
         {ApprovalPolicy::None, ApprovalPolicy::Header, ApprovalPolicy::Bound}) {
        ParticipantRecord p = registered(participant(10, 0), 1);
        p.policy = policy;
        must({UpdateParticipant{keygen_id(1), p}});
        EXPECT_EQ(keygen(1)->participants[0].policy, policy);
    }
    using enum SigningStatus;
    for (const auto status :
         {CollectingParticipants, SessionFull, GeneratingNonces, CollectingNonces,
          AggregatingNonces, GeneratingPartialSignatures, CollectingPartialSignatures,
          FinalizingSignature, Completed, Failed}) {
        SigningRecord r = signing_record(++n, 1);
        r.status = status;
        must({InsertSigning{r}});
        EXPECT_EQ(signing(n)->record.status, status);
    }
    using enum FailureType;
    for (const auto type :
         {Expired, Rejected, EnclaveUnavailable, EnclaveStateLost, ProtocolError, Internal}) {
        SigningRecord r = signing_record(++n, 1);
        r.failure = FailureRecord{type, "m"};
        must({InsertSigning{r}});
        EXPECT_EQ(signing(n)->record.failure->type, type);
    }
}

TEST_F(StorageRecords, UpdateKeygenWritesWhatMayChangeAndNothingElse) {
    must({insert_keygen(1)});
    KeygenRecord changed = keygen_record(99); // other values everywhere
    changed.id = keygen_id(1);
    changed.version = 1;
    changed.status = KeygenStatus::Completed;
    changed.updated_at = 5000;
    changed.event_seq = 7;
    changed.aggregate_public_key = bytes_of<33>(1, 20);
    changed.untweaked_public_key = bytes_of<33>(1, 21);
    changed.aggregate_key_tag = bytes_of<32>(1, 22);
    changed.failure = FailureRecord{FailureType::Internal, "x"};
    must({UpdateKeygen{changed}});
    KeygenRecord expected = keygen_record(1);
    expected.version = 2;
    expected.status = changed.status;
    expected.updated_at = changed.updated_at;
    expected.event_seq = changed.event_seq;
    expected.aggregate_public_key = changed.aggregate_public_key;
    expected.untweaked_public_key = changed.untweaked_public_key;
    expected.aggregate_key_tag = changed.aggregate_key_tag;
    expected.failure = changed.failure;
    expect_equal(keygen(1)->record, expected);
}

TEST_F(StorageRecords, UpdateNeedsTheStoredVersion) {
    must({insert_keygen(1), InsertSigning{signing_record(5, 1)}});
    KeygenRecord keygen_update = keygen_record(1);
    SigningRecord signing_update = signing_record(5, 1);
    for (std::uint64_t version = 1; version <= 3; ++version) {
        keygen_update.version = version;
        keygen_update.event_seq = version + 1;
        signing_update.version = version;
        must({UpdateKeygen{keygen_update}, UpdateSigning{signing_update}});
    }
    EXPECT_EQ(keygen(1)->record.version, 4u);
    EXPECT_EQ(signing(5)->record.version, 4u);
    for (const std::uint64_t stale : {0u, 1u, 3u, 5u}) {
        keygen_update.version = stale;
        expect_conflict({UpdateKeygen{keygen_update}}, "keygen " + keygen_id(1).text() +
                                                           " is not at version " +
                                                           std::to_string(stale));
        signing_update.version = stale;
        expect_conflict({UpdateSigning{signing_update}}, "signing " + signing_id(5).text());
    }
    keygen_update.id = keygen_id(2);
    expect_conflict({UpdateKeygen{keygen_update}}, "keygen " + keygen_id(2).text());
}

TEST_F(StorageRecords, UpdateParticipantSetsTheRegistration) {
    must({insert_keygen(1)});
    ParticipantRecord p = registered(participant(11, 1), 42, 2);
    ParticipantRecord sent = p;
    sent.enclave_id = 999; // not of the registration
    must({UpdateParticipant{keygen_id(1), sent}});
    expect_equal(keygen(1)->participants[1], p);
    expect_equal(keygen(1)->participants[0], participant(10, 0));
    expect_conflict({UpdateParticipant{keygen_id(1), registered(participant(11, 0), 42)}},
                    "is not at signer index 0");
    expect_conflict({UpdateParticipant{keygen_id(9), p}},
                    "there is no keygen " + keygen_id(9).text());
}

TEST_F(StorageRecords, SigningComesBackAsWritten) {
    SigningRecord r = signing_record(5, 1);
    r.encrypted_message = "";
    must({insert_keygen(1), InsertSigning{r}});
    r.version = 1;
    const ReadAnswer answer = read(storage(), {.signing = signing_id(5)});
    expect_equal(answer.signing->record, r);
    ASSERT_TRUE(answer.keygen); // of the session it found
    EXPECT_EQ(answer.keygen->record.id, keygen_id(1));
    EXPECT_FALSE(read(storage(), {.signing = signing_id(6)}).keygen);

    SigningRecord changed = signing_record(99, 1);
    changed.id = signing_id(5);
    changed.version = 1;
    changed.status = SigningStatus::Completed;
    changed.attempt = 3;
    changed.updated_at = 6000;
    changed.event_seq = 9;
    changed.final_signature = "beef";
    changed.failure = FailureRecord{FailureType::Rejected, "no"};
    must({UpdateSigning{changed}});
    r.version = 2;
    r.status = changed.status;
    r.attempt = 3;
    r.updated_at = 6000;
    r.event_seq = 9;
    r.final_signature = "beef";
    r.failure = changed.failure;
    expect_equal(signing(5)->record, r);
}

TEST_F(StorageRecords, AnExplicitKeygenQuestionWins) {
    must({insert_keygen(1), insert_keygen(2), InsertSigning{signing_record(5, 1)}});
    const ReadAnswer answer = read(storage(), {.keygen = keygen_id(2), .signing = signing_id(5)});
    EXPECT_EQ(answer.keygen->record.id, keygen_id(2));
    EXPECT_EQ(answer.signing->record.keygen_id, keygen_id(1));
}

TEST_F(StorageRecords, ApprovalsAreReplacedAndDeleted) {
    must({insert_keygen(1), InsertSigning{signing_record(5, 1)}});
    ApprovalRecord a{signing_id(5), user_id(10), "u:n:s", std::nullopt};
    ApprovalRecord b{signing_id(5), user_id(11), "u:n:t",
                     ApprovalRecord::Bound{hash_of(1), 12345, bytes_of<64>(1, 30)}};
    must({PutApproval{b}, PutApproval{a}});
    auto found = signing(5)->approvals;
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].user_id, a.user_id);
    EXPECT_EQ(found[0].signing_id, signing_id(5));
    EXPECT_EQ(found[0].signing_header, "u:n:s");
    EXPECT_FALSE(found[0].bound);
    ASSERT_TRUE(found[1].bound);
    EXPECT_EQ(found[1].bound->message_hash, hash_of(1));
    EXPECT_EQ(found[1].bound->expires_at, 12345u);
    EXPECT_EQ(found[1].bound->signature, (bytes_of<64>(1, 30)));
    b.signing_header = "later";
    b.bound.reset();
    must({PutApproval{b}, DeleteApproval{signing_id(5), user_id(10)}});
    found = signing(5)->approvals;
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].signing_header, "later");
    EXPECT_FALSE(found[0].bound);
    must({DeleteApproval{signing_id(5), user_id(10)}, DeleteApproval{signing_id(6), user_id(10)}});
    a.signing_id = signing_id(6);
    expect_conflict({PutApproval{a}}, "there is no signing " + signing_id(6).text());
}

TEST_F(StorageRecords, SnapshotReplacesWhatIsOlder) {
    must({insert_keygen(1), PutSealed{sealed(1, 0, 1, true)}, PutSealed{sealed(1, 1, 1, true)}});
    must({PutSealed{sealed(1, 0, 2, false)}, PutSealed{sealed(1, 0, 3, false)}});
    auto states = sealed_states(1, 0);
    ASSERT_EQ(states.size(), 3u);
    for (std::uint64_t i = 0; i < 3; ++i) {
        EXPECT_EQ(states[i].keygen_id, keygen_id(1));
        EXPECT_EQ(states[i].enclave_id, 0u);
        EXPECT_EQ(states[i].version, i + 1);
        EXPECT_EQ(states[i].snapshot, i == 0);
        EXPECT_EQ(states[i].blob, sealed(1, 0, i + 1, false).blob);
    }
    must({PutSealed{sealed(1, 0, 4, true)}, PutSealed{sealed(1, 0, 5, false)}});
    states = sealed_states(1, 0);
    ASSERT_EQ(states.size(), 2u);
    EXPECT_EQ(states[0].version, 4u);
    EXPECT_TRUE(states[0].snapshot);
    EXPECT_EQ(states[1].version, 5u);
    EXPECT_EQ(sealed_states(1, 1).size(), 1u); // another enclave's
    EXPECT_TRUE(sealed_states(1, 2).empty());
    EXPECT_TRUE(sealed_states(2, 0).empty());
}

TEST_F(StorageRecords, SealedUpdatesMayComeOutOfOrder) {
    must({insert_keygen(1), PutSealed{sealed(1, 0, 1, true)}, PutSealed{sealed(1, 0, 3, false)}});
    must({PutSealed{sealed(1, 0, 2, false)}});
    EXPECT_EQ(sealed_states(1, 0).size(), 3u);
    must({PutSealed{sealed(1, 0, 6, true)}});
    must({PutSealed{sealed(1, 0, 5, false)}}); // covered by the snapshot
    must({PutSealed{sealed(1, 0, 4, true)}});  // so is this
    must({PutSealed{sealed(1, 0, 8, false)},
          PutSealed{sealed(1, 0, 7, true)}}); // a late snapshot keeps newer deltas
    const auto states = sealed_states(1, 0);
    ASSERT_EQ(states.size(), 2u);
    EXPECT_EQ(states[0].version, 7u);
    EXPECT_TRUE(states[0].snapshot);
    EXPECT_EQ(states[1].version, 8u);
    EXPECT_FALSE(states[1].snapshot);
}

TEST_F(StorageRecords, ASealedVersionIsWrittenOnce) {
    must({insert_keygen(1), PutSealed{sealed(1, 0, 1, true)}, PutSealed{sealed(1, 0, 2, false)}});
    const std::string reason =
        " of enclave 0 for keygen " + keygen_id(1).text() + " is there already";
    expect_conflict({PutSealed{sealed(1, 0, 2, false)}}, "sealed state 2" + reason);
    expect_conflict({PutSealed{sealed(1, 0, 2, true)}}, "sealed state 2" + reason);
    expect_conflict({PutSealed{sealed(1, 0, 1, false)}}, "sealed state 1" + reason);
    EXPECT_EQ(sealed_states(1, 0).size(), 2u);
    expect_conflict({PutSealed{sealed(2, 0, 1, true)}}, "there is no keygen");
}

TEST_F(StorageRecords, AnEmptyBlobIsABlob) {
    SealedRecord empty = sealed(1, 0, 1, true);
    empty.blob.clear();
    must({insert_keygen(1), PutSealed{empty}});
    ASSERT_EQ(sealed_states(1, 0).size(), 1u);
    EXPECT_TRUE(sealed_states(1, 0)[0].blob.empty());
}

TEST_F(StorageRecords, ANonceIsUsedOnce) {
    must({insert_keygen(1), insert_keygen(2), UseNonce{hash_of(1), keygen_id(1)}});
    EXPECT_TRUE(nonce_used(hash_of(1)));
    EXPECT_FALSE(nonce_used(hash_of(2)));
    EXPECT_EQ(read(storage(), {.nonces = {hash_of(2), hash_of(1), hash_of(3)}}).nonces_used,
              std::vector<bool>({false, true, false}));
    expect_conflict({UseNonce{hash_of(1), keygen_id(1)}}, "a nonce of keygen");
    expect_conflict({UseNonce{hash_of(1), keygen_id(2)}},
                    "a nonce of keygen"); // whatever the keygen
    expect_conflict({UseNonce{hash_of(1), keygen_id(2), user_id(1)}}, "a nonce of keygen");
    expect_conflict({UseNonce{hash_of(5), keygen_id(3)}}, "there is no keygen");
}

TEST_F(StorageRecords, ABlobIsBoundToItsFirstUser) {
    // No keygen: a binding may be older than the session, and outlives it.
    must({BindBlob{hash_of(1), keygen_id(1), user_id(10)}});
    must({BindBlob{hash_of(1), keygen_id(1), user_id(10)}});
    EXPECT_EQ(read(storage(), {.binding = hash_of(1)}).binding,
              std::pair(keygen_id(1), user_id(10)));
    EXPECT_FALSE(read(storage(), {.binding = hash_of(2)}).binding);
    expect_conflict({BindBlob{hash_of(1), keygen_id(2), user_id(10)}}, "first used for another");
    expect_conflict({BindBlob{hash_of(1), keygen_id(1), user_id(11)}}, "first used for another");
}

TEST_F(StorageRecords, NumbersAbove63BitsAreRefused) {
    InsertKeygen insert = insert_keygen(1);
    insert.record.expires_at = UINT64_MAX;
    const Status done = put({insert});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::InvalidArgument);
    insert.record.expires_at = INT64_MAX;
    must({insert});
    EXPECT_EQ(keygen(1)->record.expires_at, static_cast<std::uint64_t>(INT64_MAX));
}

TEST_F(StorageRecords, AUserOrIndexTwiceInOneKeygenIsAConflict) {
    InsertKeygen insert = insert_keygen(1);
    insert.participants[1].user_id = insert.participants[0].user_id;
    expect_conflict({insert}, "is twice in keygen");
    insert = insert_keygen(1);
    insert.participants[1].signer_index = 0;
    expect_conflict({insert}, "signer index 0 is twice in keygen");
    EXPECT_FALSE(keygen(1));
    EXPECT_EQ(stats(storage()).total_participants, 0u);
}

TEST_F(StorageRecords, PeopleCanReadTheDatabase) {
    InsertKeygen insert = insert_keygen(1);
    insert.participants[0] = registered(insert.participants[0], 42);
    must({insert, InsertSigning{signing_record(5, 1)}, PutSealed{sealed(1, 0, 1, true)},
          UseNonce{hash_of(1), keygen_id(1), user_id(10)}, UseNonce{hash_of(2), keygen_id(1)},
          PutApproval{{signing_id(5), user_id(10), "h", std::nullopt}},
          BindBlob{hash_of(3), keygen_id(1), user_id(10)}, InsertSigning{signing_record(6, 1)},
          DeleteSigning{signing_id(6)}});
    const std::string id = "00000000-0000-0001-aaaa-aaaaaaaaaaaa";
    EXPECT_EQ(keygen_id(1).text(), id);
    EXPECT_EQ(
        query(
            "SELECT id, status, created_at, tweak_type, participants, registered FROM keygen_view"),
        std::vector<std::string>(
            {id, "collecting_participants", "1970-01-01 00:16:41", "plain_tweak", "2", "1"}));
    EXPECT_EQ(
        query("SELECT keygen_id, user_id, approval_policy, public_key FROM participant_view"),
        std::vector<std::string>({id, user_id(10).text(), "bound", hex_encode(bytes_of<33>(42, 5)),
                                  id, user_id(11).text(), "NULL", "NULL"}));
    EXPECT_EQ(query("SELECT id, keygen_id, status FROM signing_view"),
              std::vector<std::string>({signing_id(5).text(), id, "collecting_participants"}));
    EXPECT_EQ(query("SELECT signing_id, user_id, policy FROM approval_view"),
              std::vector<std::string>({signing_id(5).text(), user_id(10).text(), "header"}));
    EXPECT_EQ(query("SELECT keygen_id, enclave_id, version, kind, bytes FROM sealed_view"),
              std::vector<std::string>({id, "0", "1", "snapshot", "11"}));
    EXPECT_EQ(query("SELECT keygen_id, signer FROM nonce_view ORDER BY key"),
              std::vector<std::string>({id, user_id(10).text(), id, "NULL"}));
    EXPECT_EQ(query("SELECT keygen_id, user_id FROM blob_binding_view"),
              std::vector<std::string>({id, user_id(10).text()}));
    EXPECT_EQ(query("SELECT id, kind FROM retired_id_view"),
              std::vector<std::string>({signing_id(6).text(), "signing"}));
}

} // namespace
} // namespace keymeld::test
