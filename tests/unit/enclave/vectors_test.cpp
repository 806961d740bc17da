// The REST specification's vectors against the signer: ciphertexts, headers, keys and tags made by
// others.
#include <algorithm>

#include "core/bitcoin/key_order.h"
#include "tests/support/vectors.h"
#include "tests/unit/enclave/signer_fixture.h"

namespace keymeld::test {
namespace {

class SignerVectors : public ::testing::Test {
  protected:
    LocalPki pki;
    std::vector<std::unique_ptr<LocalEnclave>> enclaves;
    std::unique_ptr<TestGateway> gateway;

    void start(const value& vectors) {
        std::vector<TestEnclave*> list;
        for (const value& enclave : vectors.at("keys").at("enclaves").as_array()) {
            enclaves.push_back(std::make_unique<LocalEnclave>(
                pki, LocalEnclave::Options{.secret = unhex_array<32>(enclave.at("secret"))}));
            EXPECT_EQ(enclaves.back()->public_key().hex(), text(enclave.at("public_key_hex")));
            list.push_back(enclaves.back().get());
        }
        gateway = std::make_unique<TestGateway>(list);
    }

    static bitcoin::TweakConfig tweak_of(const value& json_text) {
        const value config = boost::json::parse(text(json_text));
        bitcoin::TweakConfig tweak;
        tweak.type = bitcoin::parse_tweak_type(text(config.at("type"))).value();
        for (const char* const name : {"merkle_root", "tweak"}) {
            if (const value* const bytes = config.as_object().if_contains(name)) {
                std::transform(bytes->as_array().begin(), bytes->as_array().end(),
                               tweak.value32.begin(), [](const value& number) {
                                   return static_cast<std::uint8_t>(number.as_int64());
                               });
            }
        }
        return tweak;
    }

    static KeygenSetup setup_of(const value& vectors) {
        KeygenSetup setup{.slots = {0, 1, 2}};
        const value& keys = vectors.at("keys");
        setup.id = KeygenId(Uuid::parse(text(keys.at("keygen_session_id"))).value());
        setup.secret = unhex_array<32>(keys.at("session_secret_hex"));
        for (const value& user : keys.at("users").as_array()) {
            setup.users.push_back(UserId(Uuid::parse(text(user.at("user_id"))).value()));
            setup.keys.push_back(unhex_array<32>(user.at("secret")));
        }
        return setup;
    }

    void delete_everywhere(const TestKeygen& keygen) {
        for (auto& enclave : enclaves)
            enclave->restart();
        for (std::size_t i = 0; i < enclaves.size(); ++i)
            gateway->stored(i, keygen.id()).clear();
    }
};

TEST_F(SignerVectors, AggregateKeysAndTags) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_rest_vectors());
    start(vectors);
    std::size_t checked = 0;
    for (const char* const order : {"user_id", "bip327_sorted"}) {
        for (const value& vector :
             vectors.at("key_aggregation").at(order).at("vectors").as_array()) {
            KeygenSetup setup = setup_of(vectors);
            setup.tweak = tweak_of(vector.at("taproot_tweak_config_json"));
            setup.key_order = bitcoin::parse_key_order(order).value();
            TestKeygen keygen(gateway->enclaves(), setup);
            gateway->keygen(keygen);
            EXPECT_EQ(hex_encode(as_bytes(keygen.completed->aggregate_public_key())),
                      text(vector.at("aggregate_public_key_hex")));
            EXPECT_EQ(hex_encode(as_bytes(keygen.completed->untweaked_public_key())),
                      text(vector.at("untweaked_public_key_hex")));
            for (const value& tag : vectors.at("aggregate_key_tag").at("vectors").as_array()) {
                if (text(tag.at("key_order")) == order &&
                    text(tag.at("taproot_tweak_config_json")) ==
                        text(vector.at("taproot_tweak_config_json"))) {
                    EXPECT_EQ(hex_encode(as_bytes(keygen.completed->aggregate_key_tag())),
                              text(tag.at("aggregate_key_tag")));
                    ++checked;
                }
            }
            gateway->sign(keygen, gateway->start_signing(keygen));
            delete_everywhere(keygen);
        }
    }
    EXPECT_GE(checked, 2u);
}

TEST_F(SignerVectors, BlobsWithAadOpenForTheirSessionOnly) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_rest_vectors());
    start(vectors);
    KeygenSetup setup = setup_of(vectors);
    setup.tweak.type = bitcoin::TweakType::UnspendableTaproot;
    setup.key_order = bitcoin::KeyOrder::Bip327Sorted;
    setup.ecies_aad = true;
    const auto policy_of = [](const std::string& name) {
        return session::parse_approval_policy(name).value();
    };
    setup.policies = std::vector<ApprovalPolicy>(3, ApprovalPolicy::None);
    std::vector<std::string> blobs(3);
    std::string coordinator_blob;
    std::string secret_blob;
    for (const value& vector : vectors.at("ecies_with_aad").at("vectors").as_array()) {
        const std::string purpose = text(vector.at("purpose"));
        const std::string blob = raw(unhex(vector.at("blob")));
        if (purpose == "coordinator-key")
            coordinator_blob = blob;
        // The vectors with a tweak that has a value belong to another session.
        if (purpose == "coordinator-key" || text(vector.at("key_order")) != "bip327_sorted")
            continue;
        if (purpose == "session-secret") {
            secret_blob = blob;
            continue;
        }
        for (std::size_t i = 0; i < 3; ++i) {
            if (text(vector.at("user_id")) == setup.users[i].text() && blobs[i].empty()) {
                blobs[i] = blob;
                setup.policies[i] = policy_of(text(vector.at("approval_policy")));
            }
        }
    }
    TestKeygen keygen(gateway->enclaves(), setup);
    ASSERT_FALSE(coordinator_blob.empty());
    ASSERT_FALSE(secret_blob.empty());
    keygen.opening.set_coordinator_encrypted_private_key(coordinator_blob);
    keygen.opening.set_encrypted_session_secret(secret_blob);
    std::size_t used = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        if (!blobs[i].empty()) {
            keygen.registering[i].set_encrypted_private_key(blobs[i]);
            ++used;
        }
    }
    EXPECT_EQ(used, 3u);
    gateway->keygen(keygen);
    gateway->sign(keygen, gateway->start_signing(keygen));

    // Under another parameter the same blobs open nowhere.
    delete_everywhere(keygen);
    wire::Request changed = keygen.open();
    changed.mutable_open_keygen()->mutable_params()->set_max_signing_sessions(101);
    EXPECT_TRUE(refused_with(gateway->ask(0, changed), Errc::WrongEnclave));
}

TEST_F(SignerVectors, Headers) {
    KEYMELD_VECTORS_OR_SKIP(vectors, load_rest_vectors());
    start(vectors);
    TestKeygen keygen(gateway->enclaves(), setup_of(vectors));
    gateway->keygen(keygen);
    std::size_t checked = 0;
    wire::Request request;
    wire::Authenticate& authenticate = *request.mutable_authenticate();
    authenticate.set_keygen_id(raw(keygen.id().bytes));
    for (const value& vector : vectors.at("x_session_hmac").at("vectors").as_array()) {
        if (text(vector.at("session_id")) != keygen.id().text())
            continue;
        authenticate.set_session_header(text(vector.at("header_value")));
        const wire::Response response = gateway->send(0, request);
        ASSERT_TRUE(succeeded(response));
        EXPECT_EQ(
            UserId(Uuid::from_bytes(as_bytes(response.authenticate().user_id())).value()).text(),
            text(vector.at("user_id")));
        ++checked;
    }
    for (const value& vector : vectors.at("x_signing_hmac").at("vectors").as_array()) {
        authenticate.set_signing_header(text(vector.at("header_value")));
        const wire::Response response = gateway->send(0, request);
        ASSERT_TRUE(succeeded(response));
        EXPECT_EQ(
            UserId(Uuid::from_bytes(as_bytes(response.authenticate().user_id())).value()).text(),
            text(vector.at("user_id")));
        ++checked;
    }
    EXPECT_GE(checked, 2u);
}

} // namespace
} // namespace keymeld::test
