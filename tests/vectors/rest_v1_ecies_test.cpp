// rest-v1-vectors.json: ECIES, its associated data, and HKDF/HMAC values.
#include "core/bitcoin/ecies_aad.h"
#include "core/crypto/aead.h"
#include "core/crypto/ecdh.h"
#include "core/crypto/ecies.h"
#include "core/crypto/hkdf.h"
#include "core/crypto/hmac.h"
#include "tests/vectors/rest_v1_support.h"

namespace keymeld::test {
namespace {

using namespace crypto;

// Every step of a blob, forwards and backwards.
void check_blob(const value& v, ByteView aad) {
    const auto enclave = secret_key(v.at("enclave_secret"));
    const auto ephemeral = secret_key(v.at("ephemeral_secret"));
    const Bytes blob = unhex(v.at("blob"));
    EXPECT_EQ(enclave.public_key().hex(), text(v.at("enclave_public_key")));
    EXPECT_EQ(ephemeral.public_key().hex(), text(v.at("ephemeral_public")));
    EXPECT_EQ(blob.size(), index(v.at("blob_len")));

    const auto shared = ecdh(ephemeral, enclave.public_key()).value();
    EXPECT_EQ(hex_encode(shared.expose()), text(v.at("ecdh_secret")));
    const AeadKey key = hkdf_sha256_key(shared.expose(), as_bytes("keymeld-ecies-encrypt"));
    EXPECT_EQ(hex_encode(key.expose()), text(v.at("aes_key")));
    const Bytes sealed =
        aes256gcm_seal(key, unhex_array<12>(v.at("aes_nonce")), unhex(v.at("plaintext_hex")), aad);
    EXPECT_EQ(text(v.at("ephemeral_public")) + text(v.at("aes_nonce")) + hex_encode(sealed),
              text(v.at("blob")));

    const auto opened = ecies_open(enclave, blob, aad);
    ASSERT_TRUE(opened) << v.at("name");
    EXPECT_EQ(hex_encode(opened->expose()), text(v.at("plaintext_hex")));
    EXPECT_EQ(hex_encode(ecies_binding_id(blob).value()), text(v.at("binding_id")));
    const Bytes again = ecies_encrypt(enclave.public_key(), opened->expose(), aad).value();
    EXPECT_EQ(again.size(), blob.size());
    const auto reopened = ecies_open(enclave, again, aad);
    ASSERT_TRUE(reopened);
    EXPECT_EQ(hex_encode(reopened->expose()), text(v.at("plaintext_hex")));
}

TEST(RestV1Vectors, Ecies) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_rest_vectors());
    const object& section = vectors.at("ecies").as_object();
    const array& valid = section.at("vectors").as_array();
    ASSERT_GE(valid.size(), 6u);
    for (const value& v : valid)
        check_blob(v, {});
    const array& bad = section.at("must_fail").as_array();
    ASSERT_GE(bad.size(), 3u);
    for (const value& v : bad) {
        const auto opened = ecies_open(secret_key(v.at("enclave_secret")), unhex(v.at("blob")));
        ASSERT_FALSE(opened) << v.at("why");
        EXPECT_EQ(opened.error().code, Errc::DecryptFailed) << v.at("why");
    }
}

TEST(RestV1Vectors, ParamsAndSecretId) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_rest_vectors());
    const object& section = vectors.at("ecies_with_aad").as_object();
    const array& params = section.at("params_vectors").as_array();
    ASSERT_GE(params.size(), 5u);
    for (const value& v : params)
        EXPECT_EQ(bitcoin::params_id(session_params(v.as_object())), text(v.at("params")))
            << v.at("params_ascii");
    const array& secrets = section.at("secret_id_vectors").as_array();
    ASSERT_GE(secrets.size(), 3u);
    for (const value& v : secrets)
        EXPECT_EQ(bitcoin::secret_id(secret32(v.at("session_secret_hex"))),
                  text(v.at("secret_id")));
}

// The AAD from the parameters of a vector, as client and enclave each compute it.
std::string aad_of(const object& v) {
    const auto keygen = id_of<KeygenId>(v.at("keygen_session_id"));
    const auto user = id_of<UserId>(v.at("user_id"));
    const std::string purpose = text(v.at("purpose"));
    if (purpose == "coordinator-key")
        return bitcoin::coordinator_key_aad(keygen, user);
    const std::string params = bitcoin::params_id(session_params(v));
    if (purpose == "session-secret")
        return bitcoin::session_secret_aad(keygen, user, params);
    EXPECT_EQ(purpose, "private-key");
    return bitcoin::private_key_aad(keygen, user, text(v.at("approval_policy")), params,
                                    bitcoin::secret_id(secret32(v.at("session_secret_hex"))));
}

TEST(RestV1Vectors, EciesWithAad) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_rest_vectors());
    const object& section = vectors.at("ecies_with_aad").as_object();
    const array& valid = section.at("vectors").as_array();
    ASSERT_GE(valid.size(), 7u);
    for (const value& v : valid) {
        const std::string aad = aad_of(v.as_object());
        ASSERT_EQ(aad, text(v.at("aad_ascii"))) << v.at("name");
        check_blob(v, as_bytes(aad));
    }
    const array& bad = section.at("must_fail").as_array();
    ASSERT_GE(bad.size(), 20u);
    for (const value& v : bad) {
        const auto enclave = secret_key(v.at("enclave_secret"));
        const auto opened =
            ecies_open(enclave, unhex(v.at("blob")), as_bytes(text(v.at("aad_ascii"))));
        ASSERT_FALSE(opened) << v.at("why");
        EXPECT_EQ(opened.error().code, Errc::DecryptFailed) << v.at("why");
        // Where the substituted parameters are given, they lead to the substituted texts.
        if (v.as_object().contains("params")) {
            EXPECT_EQ(bitcoin::params_id(session_params(v.as_object())), text(v.at("params")))
                << v.at("why");
        }
        if (v.as_object().contains("secret_id")) {
            EXPECT_EQ(bitcoin::secret_id(secret32(v.at("session_secret_hex"))),
                      text(v.at("secret_id")))
                << v.at("why");
        }
    }
}

TEST(RestV1Vectors, ReservedDerivations) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_rest_vectors());
    const object& section = vectors.at("reserved_derivations_not_used_on_the_v1_wire").as_object();
    const object& key = section.at("session_encryption_key").as_object();
    ByteArray<32> derived{};
    hkdf_sha256(as_bytes(text(key.at("salt_ascii"))), as_bytes(text(key.at("ikm_ascii"))),
                as_bytes(text(key.at("info_ascii"))), derived);
    EXPECT_EQ(hex_encode(derived), text(key.at("key")));
    const object& mac = section.at("message_hmac").as_object();
    EXPECT_EQ(hex_encode(hmac_sha256(unhex(mac.at("hmac_key")), unhex(mac.at("data_hex")))),
              text(mac.at("hmac_sha256")));
}

} // namespace
} // namespace keymeld::test
