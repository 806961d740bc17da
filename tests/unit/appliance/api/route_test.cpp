#include "appliance/api/route.h"

#include <set>

#include <gtest/gtest.h>

namespace keymeld::api {
namespace {

std::string allow_of(const std::string& path) { return find_route("BREW", path, false, false).allow; }

TEST(Routes, AreThoseOfTheSpecification) {
    std::set<std::string> found;
    for (const Route& route : routes())
        EXPECT_TRUE(found.insert(std::string(text(route.method)) + " " + std::string(route.path)).second) << route.path;
    const std::set<std::string> wanted{
        "GET /enclaves", "GET /enclaves/{enclave_id}/public-key", "GET /enclaves/{enclave_id}/attestation", "POST /keygen",
        "GET /keygen/{keygen_session_id}/slots", "POST /keygen/{keygen_session_id}/participants",
        "GET /keygen/{keygen_session_id}/status", "GET /keygen/{keygen_session_id}/events", "POST /signing",
        "POST /signing/{signing_session_id}", "DELETE /signing/{signing_session_id}",
        "GET /signing/{signing_session_id}/status", "GET /signing/{signing_session_id}/events", "GET /health", "GET /ready",
        "POST /keys/reserve", "POST /keys/import", "POST /keys/generate", "GET /keys/{user_id}",
        "GET /keys/{user_id}/{key_id}/status", "DELETE /keys/{user_id}/{key_id}",
        "POST /keys/{user_id}/keygen/{keygen_id}", "POST /sign/single", "POST /sign/single/batch",
        "GET /sign/single/{signing_session_id}/status/{user_id}", "GET /version", "GET /metrics", "GET /openapi.json", "GET /docs", "GET /docs/{file}"};
    EXPECT_EQ(found, wanted);
}

TEST(Routes, AuthenticationIsThatOfTheSpecification) {
    for (const Route& route : routes()) {
        const std::string path(route.path);
        const bool session = path == "/signing" || (path.starts_with("/keygen/") && !path.ends_with("/slots"));
        const bool signing = path.starts_with("/signing/");
        const bool open = path == "/keys/reserve" || path == "/sign/single/batch"; // the items bring their own
        const bool user = (path.starts_with("/keys/") || path.starts_with("/sign/")) && !open;
        const Auth wanted = path.find("/keygen/{keygen_id}") != std::string::npos ? Auth::SessionAndUser
                            : user              ? Auth::UserSignature
                            : session              ? Auth::SessionHmac
                            : signing            ? Auth::SigningHmac
                            : path == "/keygen" ? Auth::OperatorToken
                                                 : Auth::None;
        EXPECT_EQ(route.auth, wanted) << path;
    }
}

TEST(Routes, OperationsAreUniqueAndNamed) {
    std::set<Operation> operations;
    std::set<std::string_view> names;
    for (const Route& route : routes()) {
        EXPECT_TRUE(operations.insert(route.operation).second) << route.path;
        EXPECT_TRUE(names.insert(text(route.operation)).second) << route.path;
    }
}

TEST(FindRoute, TakesArguments) {
    const auto match = find_route("GET", "/api/v1/keygen/%7Bx%7d/status", false, false);
    ASSERT_NE(match.route, nullptr);
    EXPECT_EQ(match.route->operation, Operation::KeygenStatus);
    EXPECT_EQ(match.arguments, std::vector<std::string>{"{x}"});
}

TEST(FindRoute, UnknownPathsMatchNothing) {
    for (const char* path : {"/", "/api/v1", "/api/v1/", "/api/v1x/health", "/api/v2/health", "/health", "/api/v1/healthy",
                             "/api/v1/health/", "/api/v1//health", "/api/v1/keygen/", "/api/v1/keygen//slots",
                             "/api/v1/keygen/x/y/slots", "/api/v1/enclaves/1", "/api/v1/HEALTH", "/api/v1/docs/a/b"})
        EXPECT_EQ(allow_of(path), "") << path;
}

TEST(FindRoute, OtherMethodsAreListed) {
    EXPECT_EQ(allow_of("/api/v1/signing/x"), "POST, DELETE");
    EXPECT_EQ(allow_of("/api/v1/signing"), "POST");
    EXPECT_EQ(allow_of("/api/v1/health"), "GET");
    EXPECT_EQ(find_route("HEAD", "/api/v1/health", false, false).route, nullptr);
    EXPECT_EQ(find_route("get", "/api/v1/health", false, false).route, nullptr);
}

TEST(FindRoute, OperationsMove) {
    const auto served = [](const char* path, bool only, bool moved) {
        return find_route("GET", path, only, moved).route != nullptr;
    };
    // One listener: everything is there.
    EXPECT_TRUE(served("/api/v1/metrics", false, false));
    EXPECT_TRUE(served("/api/v1/docs", false, false));
    // Two: metrics and documentation are on the other one, liveness on both.
    EXPECT_FALSE(served("/api/v1/metrics", false, true));
    EXPECT_FALSE(served("/api/v1/docs", false, true));
    EXPECT_TRUE(served("/api/v1/health", false, true));
    EXPECT_TRUE(served("/api/v1/metrics", true, true));
    EXPECT_TRUE(served("/api/v1/health", true, true));
    EXPECT_FALSE(served("/api/v1/enclaves", true, true));
}

} // namespace
} // namespace keymeld::api
