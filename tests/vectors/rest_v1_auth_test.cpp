// rest-v1-vectors.json: headers, EncryptedData, bound approval.
#include "core/bitcoin/bound_approval.h"
#include "core/crypto/auth_header.h"
#include "core/crypto/encrypted_data.h"
#include "core/crypto/hkdf.h"
#include "core/secure/compare.h"
#include "tests/vectors/rest_v1_support.h"

namespace keymeld::test {
namespace {

using namespace crypto;

TEST(RestV1Vectors, SessionHmac) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_rest_vectors());
    const object& section = vectors.at("x_session_hmac").as_object();
    std::vector<UserId> users;
    const array& valid = section.at("vectors").as_array();
    ASSERT_GE(valid.size(), 3u);
    for (const value& v : valid)
        users.push_back(id_of<UserId>(v.at("user_id")));
    for (std::size_t i = 0; i < valid.size(); ++i) {
        const value& v = valid[i];
        const auto secret = secret32(v.at("hmac_key"));
        const auto keygen = id_of<KeygenId>(v.at("session_id"));
        EXPECT_EQ(make_session_hmac(secret, keygen, users[i], text(v.at("nonce"))),
                  text(v.at("header_value")));
        const auto header = SessionHmacHeader::parse(text(v.at("header_value")));
        ASSERT_TRUE(header);
        EXPECT_EQ(hex_encode(header->hmac), text(v.at("hmac")));
        EXPECT_EQ(verify_session_hmac(*header, secret, keygen, users).value(), i);
    }

    const auto secret = secret32(valid[0].at("hmac_key"));
    const auto keygen = id_of<KeygenId>(valid[0].at("session_id"));
    const array& bad = section.at("must_fail").as_array();
    ASSERT_GE(bad.size(), 6u);
    for (const value& v : bad) {
        const auto header = SessionHmacHeader::parse(text(v.at("header_value")));
        if (index(v.at("status")) == 401) {
            ASSERT_FALSE(header) << v.at("why");
            EXPECT_EQ(header.error().code, Errc::AuthMalformed) << v.at("why");
        } else {
            ASSERT_TRUE(header) << v.at("why");
            EXPECT_EQ(verify_session_hmac(*header, secret, keygen, users).error().code,
                      Errc::AuthFailed)
                << v.at("why");
        }
    }
}

TEST(RestV1Vectors, SigningHmac) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_rest_vectors());
    const object& section = vectors.at("x_signing_hmac").as_object();
    std::map<UserId, PlainPubKey> registered;
    const array& valid = section.at("vectors").as_array();
    ASSERT_GE(valid.size(), 3u);
    for (const value& v : valid) {
        const auto user = id_of<UserId>(v.at("user_id"));
        const auto key = secret_key(v.at("private_key"));
        EXPECT_EQ(key.public_key().hex(), text(v.at("public_key")));
        EXPECT_EQ(make_signing_hmac(key, user, text(v.at("nonce"))).value(),
                  text(v.at("header_value")));
        const auto header = SigningHmacHeader::parse(text(v.at("header_value")));
        ASSERT_TRUE(header);
        EXPECT_EQ(header->user_id, user);
        EXPECT_TRUE(verify_signing_hmac(*header, key.public_key()));
        registered.emplace(user, key.public_key());
    }
    const array& bad = section.at("must_fail").as_array();
    ASSERT_GE(bad.size(), 4u);
    for (const value& v : bad) {
        const auto header = SigningHmacHeader::parse(text(v.at("header_value")));
        if (index(v.at("status")) == 401) {
            ASSERT_FALSE(header) << v.at("why");
            EXPECT_EQ(header.error().code, Errc::AuthMalformed) << v.at("why");
        } else {
            ASSERT_TRUE(header) << v.at("why");
            EXPECT_EQ(verify_signing_hmac(*header, registered.at(header->user_id)).error().code,
                      Errc::AuthFailed)
                << v.at("why");
        }
    }
}

DataContext context_of(const value& v) {
    return text(v) == "signature" ? DataContext::Signature : DataContext::Message;
}

TEST(RestV1Vectors, EncryptedData) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_rest_vectors());
    const auto secret = secret32(vectors.at("keys").at("session_secret_hex"));
    const object& section = vectors.at("encrypted_data").as_object();
    for (const auto& [context, key] : section.at("derived_keys_by_context").as_object()) {
        const auto derived = hkdf_sha256_key(secret.expose(), as_bytes(std::string(context)));
        EXPECT_EQ(hex_encode(derived.expose()), text(key));
    }
    const array& valid = section.at("vectors").as_array();
    ASSERT_GE(valid.size(), 4u);
    for (const value& v : valid) {
        const auto opened =
            encrypted_data_open(secret, context_of(v.at("context")), text(v.at("hex_json")));
        ASSERT_TRUE(opened) << v.at("name");
        EXPECT_EQ(hex_encode(opened->expose()), text(v.at("plaintext"))) << v.at("name");
        // What we write has the same form: only ciphertext and nonce differ.
        const std::string ours =
            encrypted_data_seal(secret, context_of(v.at("context")), opened->expose());
        const object theirs_json = boost::json::parse(as_text(unhex(v.at("hex_json")))).as_object();
        const object ours_json = boost::json::parse(as_text(unhex(ours))).as_object();
        ASSERT_EQ(ours_json.size(), theirs_json.size());
        for (std::size_t i = 0; i < ours_json.size(); ++i)
            EXPECT_EQ((ours_json.begin() + i)->key(), (theirs_json.begin() + i)->key());
        EXPECT_EQ(ours_json.at("ciphertext").as_array().size(),
                  theirs_json.at("ciphertext").as_array().size());
        EXPECT_EQ(ours_json.at("context"), theirs_json.at("context"));
        EXPECT_EQ(boost::json::serialize(ours_json), as_text(unhex(ours))) << "not compact";
    }

    const array& bad = section.at("must_fail").as_array();
    ASSERT_GE(bad.size(), 4u);
    for (const value& v : bad) {
        const auto opened =
            encrypted_data_open(secret, context_of(v.at("expect_context")), text(v.at("hex_json")));
        if (v.as_object().contains("message_hash")) { // opens, but is another message
            ASSERT_TRUE(opened) << v.at("why");
            EXPECT_FALSE(secure::ct_equal(opened->expose(), unhex(v.at("message_hash"))))
                << v.at("why");
            EXPECT_FALSE(secure::ct_equal(opened->expose(), as_bytes(text(v.at("message_hash")))))
                << v.at("why");
        } else {
            ASSERT_FALSE(opened) << v.at("why");
            EXPECT_EQ(opened.error().code, Errc::DecryptFailed) << v.at("why");
        }
    }
}

bitcoin::BoundApproval approval_of(const value& v) {
    bitcoin::BoundApproval out;
    out.keygen = id_of<KeygenId>(v.at("keygen_session_id"));
    out.signing = id_of<SigningId>(v.at("signing_session_id"));
    out.user = id_of<UserId>(v.at("user_id"));
    out.message_hash = unhex_array<32>(v.at("message_hash"));
    out.expires_at = v.at("expires_at").to_number<std::uint64_t>();
    return out;
}

TEST(RestV1Vectors, BoundApproval) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_rest_vectors());
    const object& section = vectors.at("bound_approval").as_object();
    const array& valid = section.at("vectors").as_array();
    ASSERT_GE(valid.size(), 2u);
    for (const value& v : valid) {
        const auto approval = approval_of(v);
        const auto key = secret_key(v.at("private_key"));
        const auto signature = bitcoin::SchnorrSignature::parse(unhex(v.at("signature"))).value();
        EXPECT_EQ(hex_encode(approval.hash()), text(v.at("approval_hash")));
        EXPECT_EQ(
            bitcoin::schnorr_sign(key, approval.hash(), unhex_array<32>(v.at("aux_rand"))).value(),
            signature);
        EXPECT_TRUE(approval.verify(signature, public_key(v.at("public_key"))));
        EXPECT_TRUE(approval.verify(approval.sign(key).value(), public_key(v.at("public_key"))));
    }
    const array& bad = section.at("must_fail").as_array();
    ASSERT_GE(bad.size(), 4u);
    for (const value& v : bad) {
        const auto approval = approval_of(v);
        EXPECT_EQ(hex_encode(approval.hash()), text(v.at("approval_hash"))) << v.at("why");
        const auto key = PlainPubKey::parse(unhex("02" + text(v.at("x_only")))).value();
        const auto status = approval.verify(
            bitcoin::SchnorrSignature::parse(unhex(v.at("signature"))).value(), key);
        ASSERT_FALSE(status) << v.at("why");
        EXPECT_EQ(status.error().code, Errc::AuthFailed);
    }
}

} // namespace
} // namespace keymeld::test
