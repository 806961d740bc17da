#include "appliance/api/encode.h"

#include <gtest/gtest.h>

#include "appliance/api/schemas.h"
#include "tests/support/vectors.h"

namespace keymeld::api {
namespace {

namespace bj = boost::json;

Uuid uuid(const char* text) { return *Uuid::parse(text); }
const KeygenId kKeygen{uuid("019a88a3-b765-70f3-8e8d-43075be1328d")};
const SigningId kSigning{uuid("019a88a3-bb69-7112-8dd0-0a63d0e55bd2")};
const UserId kUsers[3] = {UserId(uuid("019a88a3-b765-70f3-8e8d-4311ecac8aa3")), UserId(uuid("019a88a3-b765-70f3-8e8d-4325010c2e16")),
                          UserId(uuid("019a88a3-b765-70f3-8e8d-43340d57ce04"))};

template <std::size_t N> ByteArray<N> hex_array(std::string_view text) { return hex_decode_array<N>(text).value(); }

bj::value schema(std::string_view name) {
    for (const Schema& candidate : schemas())
        if (candidate.name == name)
            return bj::parse(bj::string_view(candidate.json.data(), candidate.json.size()));
    ADD_FAILURE() << "no schema " << name;
    return {};
}

/// The members of `text` are exactly those that the schema requires, and no others.
void expect_members(const std::string& text, std::string_view name) {
    const bj::value parsed = bj::parse(text);
    std::set<std::string> found;
    for (const auto& member : parsed.as_object())
        found.insert(std::string(member.key_c_str()));
    std::set<std::string> wanted;
    const bj::value described = schema(name);
    for (const auto& member : described.at("required").as_array())
        wanted.insert(test::text(member));
    EXPECT_EQ(found, wanted) << name;
}

void expect_example(const std::string& text, const bj::value& vectors, const char* name) {
    EXPECT_EQ(bj::parse(text), bj::parse(test::text(vectors.at("example_bodies").at(name)))) << text;
}

engine::KeygenView completed_view() {
    engine::KeygenView view;
    view.id = kKeygen;
    view.status = session::KeygenStatus::Completed;
    view.event_seq = 5;
    view.expected_participants = view.registered_participants = 3;
    view.aggregate_public_key = hex_array<33>("024f6a734bdedb5c22407f910ca08a1754983f5d8a6ce605aedcb6ac1feaf4e546");
    const char* keys[3] = {"02758d923937df4c05aa31c71d5aed317c31fe60f1a4330ed0386ffe3fb4e9f3af",
                           "03ef6243571a980b1be31bf6abc1c847c0e56fd465c2f9ef6067e175bea242015d",
                           "02bfd1dbfccd6f3c205cd2213d2c75d2c771abde285605599d8f0ad46eadce2bd6"};
    for (std::uint32_t i = 0; i < 3; ++i)
        view.participants.push_back({kUsers[i], i, hex_array<33>(keys[i]), i, i < 2, true});
    view.enclave_key_epoch = 1;
    view.tweak.type = bitcoin::TweakType::UnspendableTaproot;
    view.untweaked_public_key = hex_array<33>("03cadcf1295919e18ee4bb97daea0ce2e4473cc600d8e212cec4c5fccb000c4ef0");
    view.aggregate_key_tag = hex_array<32>("e0c2eb09c32288058bf770f13eaac60c7f84bdfd251832c55f74f1894a258d6d");
    view.created_at = 1763229022;
    view.updated_at = 1763229023;
    return view;
}

TEST(Encode, KeygenStatusOfTheVectors) {
    KEYMELD_VECTORS_OR_SKIP(vectors, test::load_rest_vectors());
    expect_example(encode(completed_view()), vectors, "GET /api/v1/keygen/{id}/status 200");
}

TEST(Encode, OtherAnswersOfTheVectors) {
    KEYMELD_VECTORS_OR_SKIP(vectors, test::load_rest_vectors());
    engine::SlotsAnswer slots;
    for (std::uint32_t i = 0; i < 3; ++i)
        slots.available.push_back({kUsers[i], i, i});
    slots.total = 3;
    expect_example(encode(kKeygen, slots), vectors, "GET /api/v1/keygen/{id}/slots 200 (before any registration)");

    const engine::RegisterAnswer registered{kKeygen, kUsers[1], 2, 3, 1, 1, true, 1};
    expect_example(encode(registered), vectors, "POST /api/v1/keygen/{id}/participants 200 (participant 0 registered second)");

    engine::SigningView signing;
    signing.id = kSigning;
    signing.keygen_id = kKeygen;
    signing.status = session::SigningStatus::Completed;
    signing.participants_registered = signing.expected_participants = 3;
    signing.final_signature =
        test::text(bj::parse(test::text(vectors.at("example_bodies").at("GET /api/v1/signing/{id}/status 200 (completed)"))).at("final_signature"));
    signing.expires_at = 1763230823;
    signing.created_at = 1763229023;
    signing.updated_at = 1763229024;
    expect_example(encode(signing), vectors, "GET /api/v1/signing/{id}/status 200 (completed)");

    signing.status = session::SigningStatus::Failed;
    signing.final_signature.reset();
    signing.expires_at = 0;
    signing.failure = engine::Failure{session::FailureType::Rejected, "rejected by a participant"};
    signing.updated_at = 1763229060;
    expect_example(encode(signing), vectors, "GET /api/v1/signing/{id}/status 200 (failed)");
}

TEST(Encode, UnfinishedKeygenHasNulls) {
    engine::KeygenView view = completed_view();
    view.status = session::KeygenStatus::CollectingParticipants;
    view.aggregate_public_key.reset();
    view.untweaked_public_key.reset();
    view.aggregate_key_tag.reset();
    view.participants[2].public_key.reset();
    view.participants[2].registered = false;
    view.tweak = {bitcoin::TweakType::PlainTweak, {}};
    view.tweak.value32[31] = 9;
    const bj::value parsed = bj::parse(encode(view));
    EXPECT_TRUE(parsed.at("aggregate_public_key").is_null());
    EXPECT_TRUE(parsed.at("untweaked_public_key").is_null());
    EXPECT_TRUE(parsed.at("aggregate_key_tag").is_null());
    EXPECT_TRUE(parsed.at("participants").at(2).at("public_key").is_null());
    EXPECT_EQ(parsed.at("tweak").at("tweak").as_array().size(), 32u);
    EXPECT_EQ(parsed.at("tweak").at("tweak").at(31), 9);
    view.tweak.type = bitcoin::TweakType::TaprootWithMerkleRoot;
    EXPECT_TRUE(bj::parse(encode(view)).at("tweak").as_object().contains("merkle_root"));
}

TEST(Encode, V0MembersComeFirst) {
    const std::string text = encode(completed_view());
    EXPECT_EQ(text.find("{\"keygen_session_id\":\"019a88a3-b765-70f3-8e8d-43075be1328d\",\"status\":\"completed\",\"expected_participants\":3,"
                        "\"registered_participants\":3,\"aggregate_public_key\":[2,"),
              0u);
    EXPECT_LT(text.find("\"expires_at\""), text.find("\"participants\""));
}

TEST(Encode, MembersAreThoseOfTheSchemas) {
    expect_members(encode(completed_view()), "KeygenStatus");
    expect_members(encode(engine::CreateKeygenAnswer{kKeygen, 0, 3, 5, "ab"}), "CreateKeygenAnswer");
    expect_members(encode(kKeygen, engine::SlotsAnswer{}), "Slots");
    expect_members(encode(engine::RegisterAnswer{}), "RegisterParticipantAnswer");
    expect_members(encode(engine::CreateSigningAnswer{}), "CreateSigningAnswer");
    expect_members(encode(engine::SigningView{}), "SigningStatus");
    expect_members(encode(engine::HealthView{}, "1"), "Health");
    expect_members(encode_ready({}), "Ready");
    expect_members(encode_version("1", true), "Version");
    expect_members(encode_attestation({}), "Attestation");
    expect_members(encode_public_key({}, 1), "EnclavePublicKey");
    expect_members(encode_enclaves({}), "EnclaveList");
    const std::string list = encode_enclaves({engine::EnclaveView{}});
    expect_members(bj::serialize(bj::parse(list).at("enclaves").at(0)), "Enclave");
}

TEST(Encode, AnEnclaveThatWasNeverReached) {
    engine::EnclaveView never;
    never.enclave_id = 4;
    never.healthy = true; // whatever it says
    engine::EnclaveView good;
    good.enclave_id = 5;
    good.healthy = good.reached = true;
    good.public_key[0] = 3;
    good.attestation_document = {0, 1, 2};
    good.key_epoch = 2;
    const bj::value list = bj::parse(encode_enclaves({never, good}));
    EXPECT_EQ(list.at("total_enclaves"), 2);
    EXPECT_EQ(list.at("healthy_enclaves"), 1);
    EXPECT_EQ(test::text(list.at("enclaves").at(0).at("public_key")), "unavailable");
    EXPECT_EQ(list.at("enclaves").at(0).at("healthy"), false);
    EXPECT_EQ(test::text(list.at("enclaves").at(0).at("attestation_document")), "");
    EXPECT_EQ(test::text(list.at("enclaves").at(1).at("attestation_document")), "AAEC");
    EXPECT_EQ(test::text(list.at("enclaves").at(1).at("public_key")).substr(0, 4), "0300");
}

TEST(Encode, Health) {
    engine::HealthView view;
    const auto status = [&](std::uint32_t healthy, std::uint32_t total) {
        view.healthy_enclaves = healthy;
        view.total_enclaves = total;
        return test::text(bj::parse(encode(view, "0.1")).at("status"));
    };
    EXPECT_EQ(status(3, 3), "healthy");
    EXPECT_EQ(status(2, 3), "degraded");
    EXPECT_EQ(status(0, 3), "unhealthy");
    EXPECT_TRUE(bj::parse(encode(view, "0.1")).at("database_stats").at("database_size_bytes").is_null());
    view.database_size_bytes = 4096;
    EXPECT_EQ(bj::parse(encode(view, "0.1")).at("database_stats").at("database_size_bytes"), 4096);
}

TEST(Encode, Version) {
    const bj::value version = bj::parse(encode_version("1.2.3", false));
    EXPECT_EQ(test::text(version.at("service")), "KeyMeld Gateway");
    EXPECT_EQ(test::text(version.at("api_version")), "v1");
    for (const char* feature : {"service_participation", "user_authentication", "enclave_isolation", "bound_approvals", "ecies_aad",
                                "key_order", "long_poll", "events"})
        EXPECT_EQ(version.at("features").at(feature), true) << feature;
    EXPECT_EQ(version.at("features").at("attestation"), false);
}

TEST(Encode, Events) {
    EXPECT_EQ(encode_event(7, "{\"a\":1}"), "id: 7\nevent: status\ndata: {\"a\":1}\n\n");
    // One line of data, whatever a message holds.
    engine::SigningView view;
    view.failure = engine::Failure{session::FailureType::Internal, "a\nb\r\nc"};
    const std::string data = encode(view);
    EXPECT_EQ(data.find('\n'), std::string::npos);
    EXPECT_EQ(data.find('\r'), std::string::npos);
}

} // namespace
} // namespace keymeld::api
