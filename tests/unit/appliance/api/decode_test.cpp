#include "appliance/api/decode.h"

#include <gtest/gtest.h>

#include "tests/support/vectors.h"

namespace keymeld::api {
namespace {

namespace bj = boost::json;

const DecodeLimits kLimits;
constexpr std::uint64_t kNow = 1763229022;
const std::string kPoint = "[2,117,141,146,57,55,223,76,5,170,49,199,29,90,237,49,124,49,254,96,241,164,51,14,208,56,111,254,63,180,233,243,175]";
const std::string kBlob(186, 'a');
const KeygenId kId = KeygenId(*Uuid::parse("019a88a3-b765-70f3-8e8d-43075be1328d"));

/// The body of a request as members, so that a test can spoil one.
using Members = std::map<std::string, std::string>;

std::string text_of(const Members& body) {
    std::string out = "{";
    for (const auto& [name, value] : body)
        out += (out.size() == 1 ? "\"" : ",\"") + name + "\":" + value;
    return out + "}";
}

Members keygen_body() {
    return {{"keygen_session_id", "\"019a88a3-b765-70f3-8e8d-43075be1328d\""},
            {"coordinator_pubkey", kPoint},
            {"coordinator_encrypted_private_key", "\"" + kBlob + "\""},
            {"coordinator_enclave_id", "0"},
            {"expected_participants", "[\"019a88a3-b765-70f3-8e8d-4311ecac8aa3\",\"019a88a3-b765-70f3-8e8d-4325010c2e16\"]"},
            {"timeout_secs", "1800"},
            {"encrypted_session_secret", "\"" + std::string(250, 'A') + "\""}};
}

Members register_body() {
    return {{"keygen_session_id", "\"019a88a3-b765-70f3-8e8d-43075be1328d\""},
            {"user_id", "\"019a88a3-b765-70f3-8e8d-4311ecac8aa3\""},
            {"encrypted_private_key", "\"" + kBlob + "\""},
            {"public_key", kPoint}};
}

std::string bytes_text(std::size_t n, int value = 7) {
    std::string out = "[";
    for (std::size_t i = 0; i < n; ++i)
        out += (i == 0 ? "" : ",") + std::to_string(value);
    return out + "]";
}

Members signing_body() {
    return {{"signing_session_id", "\"019a88a3-bb69-7112-8dd0-0a63d0e55bd2\""},
            {"keygen_session_id", "\"019a88a3-b765-70f3-8e8d-43075be1328d\""},
            {"message_hash", bytes_text(32)},
            {"timeout_secs", "1800"}};
}

Members approval_body() {
    return {{"message_hash", "\"" + std::string(64, 'd') + "\""},
            {"expires_at", std::to_string(kNow + 1800)},
            {"signature", "\"" + std::string(128, 'e') + "\""}};
}

template <class R> std::string pointer_of(const R& result) {
    if (result)
        return "no error";
    EXPECT_EQ(result.error().code, Errc::ValidationFailed);
    return result.error().facts.at("pointer");
}

std::string keygen_error(const std::string& name, const std::string& value) {
    Members body = keygen_body();
    body[name] = value;
    return pointer_of(decode_create_keygen(text_of(body), kLimits));
}
std::string register_error(const std::string& name, const std::string& value) {
    Members body = register_body();
    body[name] = value;
    return pointer_of(decode_register(text_of(body), kId));
}
std::string signing_error(const std::string& name, const std::string& value) {
    Members body = signing_body();
    body[name] = value;
    return pointer_of(decode_create_signing(text_of(body), kLimits));
}
std::string approval_error(const std::string& name, const std::string& value) {
    Members body = approval_body();
    body[name] = value;
    return pointer_of(decode_approval(text_of(body), kLimits, kNow));
}

std::string example(const bj::value& vectors, const char* name) { return test::text(vectors.at("example_bodies").at(name)); }

TEST(DecodeVectors, Keygen) {
    KEYMELD_VECTORS_OR_SKIP(vectors, test::load_rest_vectors());
    const auto plain = decode_create_keygen(example(vectors, "POST /api/v1/keygen"), kLimits);
    ASSERT_TRUE(plain.has_value()) << plain.error().detail;
    EXPECT_EQ(plain->id, kId);
    EXPECT_EQ(plain->coordinator_pubkey[0], 2);
    EXPECT_EQ(plain->coordinator_encrypted_private_key.size(), 93u);
    EXPECT_EQ(plain->expected_participants.size(), 3u);
    EXPECT_EQ(plain->expected_participants[2].text(), "019a88a3-b765-70f3-8e8d-43340d57ce04");
    EXPECT_EQ(plain->timeout_secs, 1800u);
    EXPECT_EQ(plain->encrypted_session_secret_hex.size(), 250u);
    EXPECT_EQ(plain->max_signing_sessions, std::nullopt);
    EXPECT_EQ(plain->tweak.type, bitcoin::TweakType::UnspendableTaproot);
    EXPECT_EQ(plain->key_order, bitcoin::KeyOrder::UserId);
    EXPECT_FALSE(plain->ecies_aad);
    const auto extended = decode_create_keygen(example(vectors, "POST /api/v1/keygen (extended: ecies_aad, key_order)"), kLimits);
    ASSERT_TRUE(extended.has_value());
    EXPECT_EQ(extended->key_order, bitcoin::KeyOrder::Bip327Sorted);
    EXPECT_TRUE(extended->ecies_aad);
}

TEST(DecodeVectors, Participants) {
    KEYMELD_VECTORS_OR_SKIP(vectors, test::load_rest_vectors());
    const auto plain = decode_register(example(vectors, "POST /api/v1/keygen/{id}/participants (participant 0)"), kId);
    ASSERT_TRUE(plain.has_value()) << plain.error().detail;
    EXPECT_EQ(plain->user_id.text(), "019a88a3-b765-70f3-8e8d-4325010c2e16");
    EXPECT_TRUE(plain->require_signing_approval);
    EXPECT_EQ(plain->approval_policy, std::nullopt);
    const auto extended = decode_register(
        example(vectors, "POST /api/v1/keygen/{id}/participants (extended: ecies_aad, coordinator with bound approvals)"), kId);
    ASSERT_TRUE(extended.has_value());
    EXPECT_EQ(extended->approval_policy, session::ApprovalPolicy::Bound);
}

TEST(DecodeVectors, SigningAndApproval) {
    KEYMELD_VECTORS_OR_SKIP(vectors, test::load_rest_vectors());
    for (const char* name : {"POST /api/v1/signing", "POST /api/v1/signing (extended: encrypted message)"}) {
        const auto signing = decode_create_signing(example(vectors, name), kLimits);
        ASSERT_TRUE(signing.has_value()) << signing.error().detail;
        EXPECT_EQ(signing->keygen_id, kId);
        EXPECT_EQ(signing->message_hash[0], 215);
        EXPECT_TRUE(signing->encrypted_message.has_value());
    }
    const auto bound = decode_approval(example(vectors, "POST /api/v1/signing/{id} (bound approval of the coordinator)"), kLimits, kNow);
    ASSERT_TRUE(bound.has_value()) << bound.error().detail;
    ASSERT_TRUE(bound->has_value());
    EXPECT_EQ((*bound)->expires_at, 1763230822u);
    EXPECT_EQ((*bound)->message_hash[0], 0xd7);
    EXPECT_EQ((*bound)->signature[63], 0x49);
}

TEST(DecodeKeygen, EveryRule) {
    EXPECT_EQ(pointer_of(decode_create_keygen(text_of(keygen_body()), kLimits)), "no error");
    EXPECT_EQ(keygen_error("unknown_member", "{\"a\":[1,2]}"), "no error");
    for (const auto& [name, value] : keygen_body()) {
        Members body = keygen_body();
        body.erase(name);
        EXPECT_EQ(pointer_of(decode_create_keygen(text_of(body), kLimits)), "/" + name);
        EXPECT_EQ(keygen_error(name, "null"), "/" + name);
        EXPECT_EQ(keygen_error(name, "true"), "/" + name);
    }
    EXPECT_EQ(keygen_error("keygen_session_id", "\"x\""), "/keygen_session_id");
    // Not on the curve; hybrid form; wrong lengths; a number that is no byte.
    EXPECT_EQ(keygen_error("coordinator_pubkey", "[2" + std::string(",255").append(",255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255") + "]"), "/coordinator_pubkey");
    EXPECT_EQ(keygen_error("coordinator_pubkey", bytes_text(33, 6)), "/coordinator_pubkey");
    EXPECT_EQ(keygen_error("coordinator_pubkey", bytes_text(32)), "/coordinator_pubkey");
    EXPECT_EQ(keygen_error("coordinator_pubkey", bytes_text(65)), "/coordinator_pubkey");
    EXPECT_EQ(keygen_error("coordinator_pubkey", bytes_text(33, 256)), "/coordinator_pubkey/0");
    EXPECT_EQ(keygen_error("coordinator_pubkey", "\"" + std::string(66, '0') + "\""), "/coordinator_pubkey");
    for (const char* name : {"coordinator_encrypted_private_key", "encrypted_session_secret"}) {
        EXPECT_EQ(keygen_error(name, "\"" + std::string(122, 'a') + "\""), "no error");
        for (const std::string& bad : {std::string(), std::string(120, 'a'), std::string(123, 'a'), std::string(122, 'g'), std::string(2050, 'a')})
            EXPECT_EQ(keygen_error(name, "\"" + bad + "\""), "/" + std::string(name)) << bad.size();
    }
    for (const char* bad : {"-1", "4294967296", "0.0", "\"0\""})
        EXPECT_EQ(keygen_error("coordinator_enclave_id", bad), "/coordinator_enclave_id") << bad;
    EXPECT_EQ(keygen_error("expected_participants", "[\"019a88a3-b765-70f3-8e8d-4311ecac8aa3\"]"), "/expected_participants");
    EXPECT_EQ(keygen_error("expected_participants", "[]"), "/expected_participants");
    EXPECT_EQ(keygen_error("expected_participants", "[\"019a88a3-b765-70f3-8e8d-4311ecac8aa3\",\"019A88A3B76570F38E8D4311ECAC8AA3\"]"),
              "/expected_participants/1");
    for (const char* bad : {"0", "86401", "1.5", "\"1800\"", "-5"})
        EXPECT_EQ(keygen_error("timeout_secs", bad), "/timeout_secs") << bad;
    EXPECT_EQ(keygen_error("max_signing_sessions", "null"), "no error");
    EXPECT_EQ(keygen_error("max_signing_sessions", "0"), "no error");
    EXPECT_EQ(keygen_error("max_signing_sessions", "4294967295"), "no error");
    for (const char* bad : {"-1", "4294967296", "1.0", "\"1\""})
        EXPECT_EQ(keygen_error("max_signing_sessions", bad), "/max_signing_sessions") << bad;
    for (const char* bad : {"\"sorted\"", "1", "null", "\"\""})
        EXPECT_EQ(keygen_error("key_order", bad), "/key_order") << bad;
    EXPECT_EQ(keygen_error("ecies_aad", "1"), "/ecies_aad");
    EXPECT_EQ(keygen_error("ecies_aad", "null"), "/ecies_aad");
}

TEST(DecodeKeygen, ConfiguredLimits) {
    DecodeLimits limits;
    limits.max_participants = 2;
    limits.timeout_secs_max = 60;
    Members body = keygen_body();
    body["timeout_secs"] = "60";
    EXPECT_EQ(pointer_of(decode_create_keygen(text_of(body), limits)), "no error");
    body["timeout_secs"] = "61";
    EXPECT_EQ(pointer_of(decode_create_keygen(text_of(body), limits)), "/timeout_secs");
    body["timeout_secs"] = "60";
    body["expected_participants"].insert(1, "\"019a88a3-b765-70f3-8e8d-430000000000\",");
    EXPECT_EQ(pointer_of(decode_create_keygen(text_of(body), limits)), "/expected_participants");
}

TEST(DecodeKeygen, Tweaks) {
    const auto type = [](const std::string& tweak) {
        Members body = keygen_body();
        body["taproot_tweak_config"] = tweak;
        return decode_create_keygen(text_of(body), kLimits)->tweak;
    };
    EXPECT_EQ(type("{\"type\":\"none\"}").type, bitcoin::TweakType::None);
    EXPECT_EQ(type("{\"type\":\"unspendable_taproot\",\"tweak\":1}").type, bitcoin::TweakType::UnspendableTaproot);
    const auto root = type("{\"type\":\"taproot_with_merkle_root\",\"merkle_root\":" + bytes_text(32, 255) + "}");
    EXPECT_EQ(root.type, bitcoin::TweakType::TaprootWithMerkleRoot);
    EXPECT_EQ(root.value32[31], 255);
    EXPECT_EQ(type("{\"type\":\"plain_tweak\",\"tweak\":" + bytes_text(32) + "}").type, bitcoin::TweakType::PlainTweak);
    EXPECT_EQ(type("{\"type\":\"x_only_tweak\",\"tweak\":" + bytes_text(32) + "}").value32[0], 7);

    const auto error = [](const std::string& tweak) { return keygen_error("taproot_tweak_config", tweak); };
    EXPECT_EQ(error("null"), "/taproot_tweak_config");
    EXPECT_EQ(error("\"none\""), "/taproot_tweak_config");
    EXPECT_EQ(error("{}"), "/taproot_tweak_config/type");
    EXPECT_EQ(error("{\"type\":\"bip32\"}"), "/taproot_tweak_config/type");
    EXPECT_EQ(error("{\"type\":\"taproot_with_merkle_root\"}"), "/taproot_tweak_config/merkle_root");
    EXPECT_EQ(error("{\"type\":\"taproot_with_merkle_root\",\"merkle_root\":" + bytes_text(31) + "}"), "/taproot_tweak_config/merkle_root");
    EXPECT_EQ(error("{\"type\":\"plain_tweak\",\"merkle_root\":" + bytes_text(32) + "}"), "/taproot_tweak_config/tweak");
    // The group order and above.
    EXPECT_EQ(error("{\"type\":\"plain_tweak\",\"tweak\":" + bytes_text(32, 255) + "}"), "/taproot_tweak_config/tweak");
    EXPECT_EQ(error("{\"type\":\"x_only_tweak\",\"tweak\":" + bytes_text(32, 255) + "}"), "/taproot_tweak_config/tweak");
}

TEST(DecodeRegister, EveryRule) {
    EXPECT_EQ(pointer_of(decode_register(text_of(register_body()), kId)), "no error");
    for (const auto& [name, value] : register_body()) {
        Members body = register_body();
        body.erase(name);
        EXPECT_EQ(pointer_of(decode_register(text_of(body), kId)), "/" + name);
    }
    EXPECT_EQ(register_error("keygen_session_id", "\"019a88a3-b765-70f3-8e8d-4311ecac8aa3\""), "/keygen_session_id");
    EXPECT_EQ(register_error("keygen_session_id", "\"{019A88A3-B765-70F3-8E8D-43075BE1328D}\""), "no error");
    EXPECT_EQ(register_error("public_key", bytes_text(33, 5)), "/public_key");
    EXPECT_EQ(register_error("encrypted_private_key", "\"ab\""), "/encrypted_private_key");
    for (const char* bad : {"null", "1", "\"true\""})
        EXPECT_EQ(register_error("require_signing_approval", bad), "/require_signing_approval") << bad;
    EXPECT_EQ(register_error("approval_policy", "null"), "no error");
    for (const char* bad : {"\"Bound\"", "\"\"", "1", "true"})
        EXPECT_EQ(register_error("approval_policy", bad), "/approval_policy") << bad;
    Members body = register_body();
    body["require_signing_approval"] = "true";
    body["approval_policy"] = "\"none\"";
    EXPECT_EQ(pointer_of(decode_register(text_of(body), kId)), "/approval_policy");
    body["approval_policy"] = "\"header\"";
    EXPECT_EQ(decode_register(text_of(body), kId)->approval_policy, session::ApprovalPolicy::Header);
}

TEST(DecodeRegister, UncompressedKeysAreCompressed) {
    // The generator, uncompressed (SEC 2).
    const Bytes g = test::unhex(std::string_view("0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a6"
                                "8554199c47d08ffb10d4b8"));
    std::string array = "[";
    for (const std::uint8_t byte : g)
        array += (array.size() == 1 ? "" : ",") + std::to_string(byte);
    Members body = register_body();
    body["public_key"] = array + "]";
    const auto decoded = decode_register(text_of(body), kId);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(hex_encode(decoded->public_key), "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
}

TEST(DecodeSigning, EveryRule) {
    EXPECT_EQ(pointer_of(decode_create_signing(text_of(signing_body()), kLimits)), "no error");
    for (const auto& [name, value] : signing_body()) {
        Members body = signing_body();
        body.erase(name);
        EXPECT_EQ(pointer_of(decode_create_signing(text_of(body), kLimits)), "/" + name);
    }
    EXPECT_EQ(signing_error("message_hash", bytes_text(31)), "/message_hash");
    EXPECT_EQ(signing_error("message_hash", "\"" + std::string(64, 'a') + "\""), "/message_hash");
    EXPECT_EQ(signing_error("timeout_secs", "0"), "/timeout_secs");
    EXPECT_EQ(signing_error("encrypted_message", "null"), "no error");
    EXPECT_EQ(signing_error("encrypted_message", "\"" + std::string(64, 'A') + "\""), "no error");
    for (const std::string bad : {"\"\"", "\"a\"", "\"zz\"", "\"ab\"", "1", "[]", "{}"})
        EXPECT_EQ(signing_error("encrypted_message", bad), "/encrypted_message") << bad;
    const auto data = [](const std::string& json) { return signing_error("encrypted_message", "\"" + hex_encode(as_bytes(json)) + "\""); };
    const std::string nonce = ",\"nonce\":" + bytes_text(12);
    const std::string context = ",\"context\":\"message\"}";
    EXPECT_EQ(data("{\"ciphertext\":" + bytes_text(48) + nonce + context), "no error");
    EXPECT_EQ(data("{\"ciphertext\":" + bytes_text(80) + nonce + context), "no error");
    EXPECT_EQ(data("{\"ciphertext\":" + bytes_text(47) + nonce + context), "/encrypted_message");
    EXPECT_EQ(data("{\"ciphertext\":" + bytes_text(48) + ",\"nonce\":" + bytes_text(11) + context), "/encrypted_message");
    EXPECT_EQ(data("{\"ciphertext\":" + bytes_text(80) + nonce + ",\"context\":\"signature\"}"), "/encrypted_message");
    EXPECT_EQ(data("[1,2,3,4,5,6,7,8,9,10,11,12,13,14]"), "/encrypted_message");
}

TEST(DecodeApproval, EveryRule) {
    EXPECT_EQ(*decode_approval("", kLimits, kNow), std::nullopt);
    EXPECT_EQ(pointer_of(decode_approval(text_of(approval_body()), kLimits, kNow)), "no error");
    for (const auto& [name, value] : approval_body()) {
        Members body = approval_body();
        body.erase(name);
        EXPECT_EQ(pointer_of(decode_approval(text_of(body), kLimits, kNow)), "/" + name);
    }
    EXPECT_EQ(approval_error("message_hash", bytes_text(32)), "no error");
    EXPECT_EQ(approval_error("message_hash", bytes_text(33)), "/message_hash");
    EXPECT_EQ(approval_error("signature", bytes_text(64)), "/signature");
    EXPECT_EQ(approval_error("signature", "\"" + std::string(126, 'e') + "\""), "/signature");
    EXPECT_EQ(approval_error("expires_at", "1.5"), "/expires_at");
    // The past is the enclave's to judge (403), too far ahead is ours.
    EXPECT_EQ(approval_error("expires_at", "0"), "no error");
    EXPECT_EQ(approval_error("expires_at", std::to_string(kNow + 86400)), "no error");
    EXPECT_EQ(approval_error("expires_at", std::to_string(kNow + 86401)), "/expires_at");
    EXPECT_EQ(approval_error("expires_at", "18446744073709551615"), "/expires_at");
    EXPECT_EQ(decode_approval(" ", kLimits, kNow).error().code, Errc::MalformedJson);
    EXPECT_EQ(decode_approval("null", kLimits, kNow).error().code, Errc::ValidationFailed);
}

TEST(DecodeBodies, EmptyAndMalformed) {
    for (const char* text : {"", "{", "{\"a\":1,\"a\":2}"}) {
        EXPECT_EQ(decode_create_keygen(text, kLimits).error().code, Errc::MalformedJson);
        EXPECT_EQ(decode_register(text, kId).error().code, Errc::MalformedJson);
        EXPECT_EQ(decode_create_signing(text, kLimits).error().code, Errc::MalformedJson);
    }
}

TEST(DecodeQuery, Wait) {
    EXPECT_EQ(decode_wait("", kLimits)->count(), 0);
    EXPECT_EQ(decode_wait("wait=0", kLimits)->count(), 0);
    EXPECT_EQ(decode_wait("x=1&wait=60", kLimits)->count(), 60);
    for (const char* bad : {"wait=61", "wait=", "wait", "wait=-1", "wait=+1", "wait=1.0", "wait=1s", "wait=%31x", "wait=99999999999999999999"}) {
        const auto wait = decode_wait(bad, kLimits);
        ASSERT_FALSE(wait.has_value()) << bad;
        EXPECT_EQ(wait.error().facts.at("parameter"), "wait");
    }
    DecodeLimits none;
    none.wait_max = std::chrono::seconds(0);
    EXPECT_FALSE(decode_wait("wait=1", none).has_value());
}

TEST(DecodeQuery, AttestationNonce) {
    EXPECT_EQ(decode_attestation_nonce("")->size(), 0u);
    EXPECT_EQ(*decode_attestation_nonce("nonce=00fF"), (Bytes{0, 255}));
    EXPECT_EQ(decode_attestation_nonce("nonce=" + std::string(128, 'a'))->size(), 64u);
    for (const std::string& bad : {std::string("nonce="), std::string("nonce=a"), std::string("nonce=zz"), "nonce=" + std::string(130, 'a')}) {
        const auto nonce = decode_attestation_nonce(bad);
        ASSERT_FALSE(nonce.has_value()) << bad;
        EXPECT_EQ(nonce.error().facts.at("parameter"), "nonce");
    }
}

TEST(DecodeHeader, LastEventId) {
    EXPECT_EQ(decode_last_event_id("0"), 0u);
    EXPECT_EQ(decode_last_event_id("18446744073709551615"), ~std::uint64_t{0});
    for (const char* bad : {"", "x", "1x", "-1", " 1", "18446744073709551616"})
        EXPECT_EQ(decode_last_event_id(bad), std::nullopt) << bad;
}

} // namespace
} // namespace keymeld::api
