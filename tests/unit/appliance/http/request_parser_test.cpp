#include "appliance/http/request_parser.h"

#include <gtest/gtest.h>

namespace keymeld::http {
namespace {

constexpr RequestParser::Limits kSmall{.header_bytes = 1024, .body_bytes = 64};

struct Outcome {
    std::optional<Request> request;
    std::string rest;
    std::optional<Error> error;
    bool must_close = false;
};

/// Feeds `text` in pieces of `step` bytes until the parser is done or refuses.
Outcome feed(const std::string& text, std::size_t step, RequestParser::Limits limits = kSmall) {
    RequestParser parser(limits);
    Outcome out;
    std::string pending;
    std::size_t at = 0;
    for (;;) {
        while (!pending.empty() && !parser.done()) {
            const auto used = parser.feed(pending);
            if (!used) {
                out.error = used.error();
                return out;
            }
            pending.erase(0, *used);
            if (*used == 0)
                break;
        }
        if (parser.done() || at >= text.size())
            break;
        pending += text.substr(at, step);
        at += step;
    }
    out.must_close = parser.must_close();
    if (parser.done())
        out.request = parser.take();
    out.rest = pending + (at < text.size() ? text.substr(at) : "");
    return out;
}

const std::string kPost = "POST /api/v1/keygen?x=1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                          "Content-Length: 11\r\nX-A:  spaced value \r\n\r\n{\"a\":\"b c\"}";

TEST(RequestParser, ReadsARequestHoweverItIsCut) {
    for (std::size_t step = 1; step <= kPost.size(); ++step) {
        const auto out = feed(kPost + "GET /next", step);
        ASSERT_TRUE(out.request.has_value()) << step;
        EXPECT_EQ(out.request->method, "POST");
        EXPECT_EQ(out.request->path, "/api/v1/keygen");
        EXPECT_EQ(out.request->query, "x=1");
        EXPECT_EQ(*out.request->header("x-a"), "spaced value");
        EXPECT_EQ(out.request->body, "{\"a\":\"b c\"}");
        EXPECT_FALSE(out.request->body_too_large);
        EXPECT_FALSE(out.must_close);
        EXPECT_EQ(out.rest, "GET /next") << step;
    }
}

TEST(RequestParser, ReadsChunkedBodiesAndDropsTrailers) {
    const std::string text = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Session-HMAC: smuggled\r\n\r\nREST";
    for (std::size_t step = 1; step <= text.size(); ++step) {
        const auto out = feed(text, step);
        ASSERT_TRUE(out.request.has_value()) << step;
        EXPECT_EQ(out.request->body, "abcde");
        EXPECT_EQ(out.request->header("X-Session-HMAC"), nullptr);
        EXPECT_EQ(out.rest, "REST");
    }
}

TEST(RequestParser, TheEndOfAChunkedBodyMayComeByteByByte) {
    const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (const std::string body : {"0\r\n\r\n", "0\r\nd: e\r\n\r\n", "0;a=b\r\nd: e\r\n\r\n", "1\r\nx\r\n0\r\nd: e\r\n\r\n"})
        for (std::size_t step = 1; step <= body.size(); ++step) {
            const auto out = feed(head + body + "next", step);
            ASSERT_TRUE(out.request.has_value()) << body << step;
            EXPECT_EQ(out.rest, "next") << body << step;
        }
    for (std::size_t step = 1; step <= 8; ++step)
        EXPECT_TRUE(feed(head + "0\r\nd\r\n\r\n", step).error.has_value()) << step;
}

TEST(RequestParser, RequestLineAndFieldsCountTogether) {
    const auto header = [](std::size_t size) {
        const std::string rest = " HTTP/1.1\r\nHost: a\r\nX: " + std::string(size / 2, 'x') + "\r\n\r\n";
        const std::string line = "GET /";
        return line + std::string(size - line.size() - rest.size(), 'p') + rest;
    };
    for (const std::size_t step : {std::size_t{7}, std::size_t{4096}}) {
        EXPECT_TRUE(feed(header(kSmall.header_bytes), step).request.has_value());
        const auto refused = feed(header(kSmall.header_bytes + 1), step);
        ASSERT_TRUE(refused.error.has_value());
        EXPECT_EQ(refused.error->detail, "request header is too large");
    }
}

TEST(RequestParser, BodyOverTheLimitIsMarkedAndTheConnectionLost) {
    const std::string head = "POST / HTTP/1.1\r\nHost: a\r\n";
    const auto announced = feed(head + "Content-Length: 65\r\n\r\n", 7);
    ASSERT_TRUE(announced.request.has_value());
    EXPECT_TRUE(announced.request->body_too_large);
    EXPECT_TRUE(announced.must_close);
    const auto huge = feed(head + "Content-Length: 18446744073709551615\r\n\r\n", 7);
    ASSERT_TRUE(huge.request.has_value());
    EXPECT_TRUE(huge.request->body_too_large);
    const auto chunked = feed(head + "Transfer-Encoding: chunked\r\n\r\n20\r\n" + std::string(32, 'a') + "\r\n21\r\n" +
                                  std::string(33, 'a') + "\r\n0\r\n\r\n",
                              5);
    ASSERT_TRUE(chunked.request.has_value());
    EXPECT_TRUE(chunked.request->body_too_large);
    EXPECT_TRUE(chunked.request->body.empty());
    EXPECT_TRUE(chunked.must_close);
    const auto exact = feed(head + "Content-Length: 64\r\n\r\n" + std::string(64, 'a'), 5);
    ASSERT_TRUE(exact.request.has_value());
    EXPECT_FALSE(exact.request->body_too_large);
    EXPECT_EQ(exact.request->body.size(), 64u);
}

TEST(RequestParser, RefusesWhatIsNotHttp) {
    for (const std::string text : {
             "hello\r\n\r\n",
             "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
             "GET / HTTP/1.1\r\n\r\n",
             "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
             "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
             "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
             "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
             "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
             "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
             "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
             "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n\r\n",
             "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
         }) {
        for (const std::size_t step : {std::size_t{1}, text.size()}) {
            const auto out = feed(text, step);
            ASSERT_TRUE(out.error.has_value()) << text;
            EXPECT_EQ(out.error->code, Errc::ValidationFailed);
        }
    }
}

TEST(RequestParser, BareLineFeedsEndNothing) {
    EXPECT_FALSE(feed("GET / HTTP/1.1\nHost: a\n\n", 100).request.has_value());
    const auto out = feed("GET / HTTP/1.1\nHost: a\n\nGET /admin HTTP/1.1\r\nHost: b\r\n\r\n", 100);
    EXPECT_FALSE(out.request.has_value());
}

TEST(RequestParser, BoundsTheHeader) {
    const auto large = feed("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(1024, 'x') + "\r\n\r\n", 100);
    ASSERT_TRUE(large.error.has_value());
    EXPECT_EQ(large.error->detail, "request header is too large");
    const auto line = feed("GET /" + std::string(2000, 'x'), 100);
    EXPECT_TRUE(line.error.has_value());
    std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (int i = 0; i < 400; ++i)
        many += "a: b\r\n";
    EXPECT_TRUE(feed(many + "\r\n", 100).error.has_value());
}

TEST(RequestParser, KnowsWhenToCloseAndWhenToContinue) {
    EXPECT_TRUE(feed("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 100).must_close);
    EXPECT_TRUE(feed("GET / HTTP/1.0\r\n\r\n", 100).must_close);
    EXPECT_FALSE(feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 100).must_close);
    RequestParser parser(kSmall);
    ASSERT_TRUE(parser.untouched());
    ASSERT_TRUE(parser.feed("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n").has_value());
    EXPECT_TRUE(parser.header_done());
    EXPECT_FALSE(parser.done());
    EXPECT_TRUE(parser.expects_continue());
    EXPECT_FALSE(parser.untouched());
}

} // namespace
} // namespace keymeld::http
