#include "appliance/api/error_body.h"

#include <gtest/gtest.h>

#include "tests/support/vectors.h"

namespace keymeld::api {
namespace {

namespace bj = boost::json;

std::string header(const http::Response& response, const std::string& name) {
    for (const auto& [key, value] : response.headers)
        if (key == name)
            return value;
    return "none";
}

/// Every type of 2.5 with its status.
const std::map<std::string, unsigned> kTable{
    {"malformed_json", 400}, {"validation_failed", 400}, {"wrong_enclave", 400}, {"key_mismatch", 400}, {"message_mismatch", 400},
    {"auth_missing", 401}, {"auth_malformed", 401}, {"auth_failed", 403}, {"nonce_replayed", 403}, {"not_a_participant", 403},
    {"bound_approval_required", 403}, {"approval_expired", 403}, {"not_permitted", 403}, {"not_found", 404}, {"route_not_found", 404},
    {"method_not_allowed", 405}, {"duplicate_id", 409}, {"already_registered", 409}, {"wrong_state", 409}, {"quota_exceeded", 409},
    {"blob_reused", 409}, {"body_too_large", 413}, {"unsupported_media_type", 415}, {"rate_limited", 429}, {"internal_error", 500},
    {"attestation_unavailable", 501}, {"enclave_unavailable", 503}, {"overloaded", 503}, {"not_ready", 503}};

TEST(ErrorBody, EveryCodeBecomesAnEntryOfTheTable) {
    std::set<std::string> seen;
    for (std::uint32_t code = 0; code < 200; ++code) {
        const auto errc = static_cast<Errc>(code);
        const http::Response response = error_response(fail(errc, "detail"));
        const bj::value body = bj::parse(response.body);
        const std::string type = test::text(body.at("error").at("type"));
        ASSERT_TRUE(kTable.contains(type)) << code << " " << type;
        EXPECT_EQ(response.status, kTable.at(type)) << type;
        EXPECT_EQ(body.at("error").at("code"), response.status);
        EXPECT_EQ(response.content_type, "application/json");
        const bool retryable = response.status == 429 || response.status == 503;
        EXPECT_EQ(body.at("error").at("retryable"), retryable) << type;
        EXPECT_EQ(header(response, "Retry-After"), retryable ? "1" : "none");
        EXPECT_EQ(header(response, "WWW-Authenticate"), response.status == 401 ? "KeyMeld" : "none");
        EXPECT_TRUE(body.at("error").at("details").is_object());
        seen.insert(type);
    }
    EXPECT_EQ(seen.size(), kTable.size());
}

TEST(ErrorBody, ExamplesOfTheVectors) {
    KEYMELD_VECTORS_OR_SKIP(vectors, test::load_rest_vectors());
    const auto same = [&](const Error& error, const char* name) {
        bj::value body = bj::parse(error_response(error).body);
        bj::value wanted = bj::parse(test::text(vectors.at("example_bodies").at(name)));
        EXPECT_EQ(test::text(body.at("timestamp")).size(), test::text(wanted.at("timestamp")).size());
        body.as_object().erase("timestamp");
        wanted.as_object().erase("timestamp");
        EXPECT_EQ(body, wanted);
    };
    same(fail(Errc::DuplicateId, "signing session id already used with another body").with("pointer", "/signing_session_id"), "error 409");
    same(fail(Errc::WrongEnclave, "ciphertext does not open with the key of the assigned enclave")
             .with("pointer", "/encrypted_private_key")
             .with("assigned_enclave_id", "1")
             .with("enclave_key_epoch", "1"),
         "error 400");
}

TEST(ErrorBody, HidesWhatIsNotForClients) {
    for (const Errc code : {Errc::Internal, Errc::StorageFailed, Errc::SealBroken, Errc::DecryptFailed, Errc::Disconnected, Errc::InvalidArgument,
                            Errc::DeadlineExceeded, Errc::Io}) {
        const http::Response response = error_response(fail(code, "/var/lib/secret-path").with("path", "/var/lib/secret-path"));
        EXPECT_EQ(response.body.find("secret-path"), std::string::npos) << response.body;
    }
}

TEST(ErrorBody, FactsAndHeaders) {
    const http::Response method = error_response(fail(Errc::MethodNotAllowed, "no").with("allow", "GET, POST"));
    EXPECT_EQ(header(method, "Allow"), "GET, POST");
    EXPECT_EQ(bj::parse(method.body).at("error").at("details").as_object().size(), 0u);
    const http::Response limited = error_response(fail(Errc::RateLimited, "slow").with("retry_after", "7"));
    EXPECT_EQ(header(limited, "Retry-After"), "7");
    const http::Response state = error_response(fail(Errc::WrongState, "no").with("status", "failed"));
    EXPECT_EQ(test::text(bj::parse(state.body).at("error").at("details").at("status")), "failed");
    // Only what is a number in JSON too is written as one.
    const http::Response odd = error_response(fail(Errc::WrongEnclave, "no").with("assigned_enclave_id", "007").with("enclave_key_epoch", "0"));
    EXPECT_EQ(test::text(bj::parse(odd.body).at("error").at("details").at("assigned_enclave_id")), "007");
    EXPECT_EQ(bj::parse(odd.body).at("error").at("details").at("enclave_key_epoch"), 0);
    const http::Response ready = error_response(fail(Errc::NotReady, "no"), "\"reasons\":[{\"enclave_id\":1}]");
    EXPECT_EQ(bj::parse(ready.body).at("error").at("details").at("reasons").at(0).at("enclave_id"), 1);
    const http::Response both = error_response(fail(Errc::NotReady, "no").with("a", "b"), "\"reasons\":[]");
    EXPECT_EQ(bj::parse(both.body).at("error").at("details").as_object().size(), 2u);
}

} // namespace
} // namespace keymeld::api
