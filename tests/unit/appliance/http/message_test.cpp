#include "appliance/http/message.h"

#include <gtest/gtest.h>

namespace keymeld::http {
namespace {

TEST(HttpRequest, FirstHeaderOfThatNameCounts) {
    Request request;
    request.headers = {{"x-session-hmac", "first"}, {"X-Session-HMAC", "second"}};
    ASSERT_NE(request.header("X-SESSION-HMAC"), nullptr);
    EXPECT_EQ(*request.header("X-SESSION-HMAC"), "first");
    EXPECT_EQ(request.header("X-Signing-HMAC"), nullptr);
}

TEST(HttpMessage, EveryStatusOfTheApiHasAPhrase) {
    for (const unsigned status : {200u, 204u, 400u, 401u, 403u, 404u, 405u, 409u, 413u, 415u, 429u, 500u, 501u, 503u})
        EXPECT_NE(reason_phrase(status), "Answer") << status;
}

} // namespace
} // namespace keymeld::http
