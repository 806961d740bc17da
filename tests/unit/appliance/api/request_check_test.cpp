#include "appliance/api/request_check.h"

#include <gtest/gtest.h>

#include "tests/support/vectors.h"

namespace keymeld::api {
namespace {

const std::string kKeygenPath = "/api/v1/keygen/019a88a3-b765-70f3-8e8d-43075be1328d";
const std::string kSigningPath = "/api/v1/signing/019a88a3-b765-70f3-8e8d-43075be1328d";
const std::string kSessionHeader = std::string(32, 'a') + ":" + std::string(64, 'b');
const std::string kSigningHeader = "019a88a3-b765-70f3-8e8d-4311ecac8aa3:" + std::string(32, 'a') + ":" + std::string(128, 'b');

struct Given {
    std::string method = "GET";
    std::string path;
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::string body = {};
    bool too_large = false;
    bool token = false;
};

Result<Call> check(const Given& given) {
    http::Request request;
    request.method = given.method;
    request.path = given.path;
    request.headers = given.headers;
    request.body = given.body;
    request.body_too_large = given.too_large;
    return check_request(std::move(request), find_route(given.method, given.path, false, false), {.keygen_token = given.token});
}

Errc code_of(const Given& given) {
    const auto call = check(given);
    return call ? Errc::Internal : call.error().code; // Internal: nothing was wrong
}

constexpr Errc kFine = Errc::Internal;

TEST(RequestCheck, KeepsTheOrderOfTheSpecification) {
    // Everything is wrong at first; each step mends one thing, in the order of 2.3.
    Given given{.method = "PUT", .path = "/api/v1/keygen/not-a-uuid/participant", .body = "x", .too_large = true};
    EXPECT_EQ(code_of(given), Errc::RouteNotFound);
    given.path = "/api/v1/keygen/not-a-uuid/participants";
    EXPECT_EQ(code_of(given), Errc::MethodNotAllowed);
    given.method = "POST";
    EXPECT_EQ(code_of(given), Errc::ValidationFailed);
    given.path = kKeygenPath + "/participants";
    EXPECT_EQ(code_of(given), Errc::AuthMissing);
    given.headers = {{"x-session-hmac", "x"}};
    EXPECT_EQ(code_of(given), Errc::AuthMalformed);
    given.headers = {{"x-session-hmac", kSessionHeader}};
    EXPECT_EQ(code_of(given), Errc::UnsupportedMediaType);
    given.headers.emplace_back("content-type", "application/json");
    EXPECT_EQ(code_of(given), Errc::BodyTooLarge);
    given.too_large = false;
    EXPECT_EQ(code_of(given), kFine);
}

TEST(RequestCheck, NamesTheParameterAndTheMethods) {
    const auto id = check({.path = "/api/v1/keygen/x/slots"});
    EXPECT_EQ(id.error().facts.at("parameter"), "keygen_session_id");
    const auto signing = check({.path = "/api/v1/signing/x/status"});
    EXPECT_EQ(signing.error().facts.at("parameter"), "signing_session_id");
    const auto enclave = check({.path = "/api/v1/enclaves/-1/public-key"});
    EXPECT_EQ(enclave.error().facts.at("parameter"), "enclave_id");
    const auto method = check({.method = "PUT", .path = kSigningPath});
    EXPECT_EQ(method.error().facts.at("allow"), "POST, DELETE");
}

TEST(RequestCheck, PathIdsInEveryForm) {
    for (const char* id : {"019a88a3-b765-70f3-8e8d-43075be1328d", "019A88A3B76570F38E8D43075BE1328D",
                           "%7B019a88a3-b765-70f3-8e8d-43075be1328d%7D", "{019a88a3-b765-70f3-8e8d-43075be1328d}",
                           "urn:uuid:019a88a3-b765-70f3-8e8d-43075be1328d", "URN%3AUUID%3A019a88a3-b765-70f3-8e8d-43075be1328d"}) {
        const auto call = check({.path = "/api/v1/keygen/" + std::string(id) + "/slots"});
        ASSERT_TRUE(call.has_value()) << id;
        EXPECT_EQ(call->session_id.text(), "019a88a3-b765-70f3-8e8d-43075be1328d");
    }
    for (const char* id : {"0", "4294967295"})
        EXPECT_EQ(code_of({.path = "/api/v1/enclaves/" + std::string(id) + "/public-key"}), kFine);
    for (const char* id : {"4294967296", "1x", "0x1", "%31%zz", "+1"})
        EXPECT_EQ(code_of({.path = "/api/v1/enclaves/" + std::string(id) + "/public-key"}), Errc::ValidationFailed) << id;
}

TEST(RequestCheck, FirstHeaderCounts) {
    EXPECT_EQ(code_of({.path = kKeygenPath + "/status", .headers = {{"X-Session-HMAC", "bad"}, {"X-Session-HMAC", kSessionHeader}}}),
              Errc::AuthMalformed);
    const auto call = check({.path = kKeygenPath + "/status", .headers = {{"X-Session-HMAC", kSessionHeader}, {"X-Session-HMAC", "bad"}}});
    ASSERT_TRUE(call.has_value());
    EXPECT_EQ(call->auth_header, kSessionHeader);
    // The other kind of header does not do.
    EXPECT_EQ(code_of({.path = kSigningPath + "/status", .headers = {{"X-Session-HMAC", kSessionHeader}}}), Errc::AuthMissing);
    EXPECT_EQ(code_of({.path = kKeygenPath + "/status", .headers = {{"X-Signing-HMAC", kSigningHeader}}}), Errc::AuthMissing);
    EXPECT_EQ(code_of({.path = kSigningPath + "/status", .headers = {{"X-Signing-HMAC", kSigningHeader}}}), kFine);
}

TEST(RequestCheck, HeaderSyntaxOfTheVectors) {
    KEYMELD_VECTORS_OR_SKIP(vectors, test::load_rest_vectors());
    int refused = 0;
    for (const auto& [kind, path, name] : {std::tuple("x_session_hmac", kKeygenPath + "/status", "X-Session-HMAC"),
                                           std::tuple("x_signing_hmac", kSigningPath + "/status", "X-Signing-HMAC")}) {
        const auto& group = vectors.at(kind);
        for (const auto& good : group.at("vectors").as_array())
            EXPECT_EQ(code_of({.path = path, .headers = {{name, test::text(good.at("header_value"))}}}), kFine);
        for (const auto& bad : group.at("must_fail").as_array()) {
            const bool syntax = test::index(bad.at("status")) == 401;
            refused += syntax ? 1 : 0;
            EXPECT_EQ(code_of({.path = path, .headers = {{name, test::text(bad.at("header_value"))}}}),
                      syntax ? Errc::AuthMalformed : kFine)
                << test::text(bad.at("why"));
        }
    }
    EXPECT_GE(refused, 5);
}

TEST(RequestCheck, ApprovalWithoutBodyNeedsNoContentType) {
    const std::vector<std::pair<std::string, std::string>> auth{{"X-Signing-HMAC", kSigningHeader}};
    EXPECT_EQ(code_of({.method = "POST", .path = kSigningPath, .headers = auth}), kFine);
    auto typed = auth;
    typed.emplace_back("Content-Type", "text/plain");
    EXPECT_EQ(code_of({.method = "POST", .path = kSigningPath, .headers = typed}), kFine);
    EXPECT_EQ(code_of({.method = "POST", .path = kSigningPath, .headers = typed, .body = "{}"}), Errc::UnsupportedMediaType);
    EXPECT_EQ(code_of({.method = "POST", .path = kSigningPath, .headers = auth, .body = "{}"}), Errc::UnsupportedMediaType);
}

TEST(RequestCheck, BodiesOfGetAndDeleteAreIgnored) {
    const auto call = check({.method = "DELETE",
                             .path = kSigningPath,
                             .headers = {{"X-Signing-HMAC", kSigningHeader}, {"Content-Type", "text/plain"}},
                             .body = "ignored"});
    ASSERT_TRUE(call.has_value());
    EXPECT_EQ(call->request.body, "");
    EXPECT_EQ(code_of({.path = "/api/v1/health", .too_large = true}), kFine);
}

TEST(RequestCheck, MediaTypes) {
    for (const char* good : {"application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=\"UTF-8\"",
                             "application/problem+json", "application/json ; a=b; charset=utf8"})
        EXPECT_TRUE(is_json_media_type(good)) << good;
    for (const char* bad : {"", "json", "text/json", "application/jsonp", "application/", "application/+json", "application/xml",
                            "application/json; charset=latin1", "application/json; a=b; charset=utf-16", "text/plain; a=application/json"})
        EXPECT_FALSE(is_json_media_type(bad)) << bad;
}

TEST(RequestCheck, OperatorTokenOnlyWhereOneIsSet) {
    Given given{.method = "POST", .path = "/api/v1/keygen", .headers = {{"Content-Type", "application/json"}}, .body = "{}"};
    EXPECT_EQ(code_of(given), kFine);
    given.token = true;
    EXPECT_EQ(code_of(given), Errc::AuthMissing);
    given.headers.emplace_back("Authorization", "Basic abc");
    EXPECT_EQ(code_of(given), Errc::AuthMalformed);
    given.headers.back().second = "bearer the-token";
    const auto call = check(given);
    ASSERT_TRUE(call.has_value());
    EXPECT_EQ(call->auth_header, "the-token");
}

} // namespace
} // namespace keymeld::api
