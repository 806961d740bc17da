#include "appliance/http/request_parser.h"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "appliance/http/target.h"

namespace keymeld::http {

namespace beast = boost::beast;

class RequestParser::Impl : public beast::http::basic_parser<true> {
  public:
    explicit Impl(Limits limits) : m_limits(limits) {
        header_limit(limits.header_bytes);
        body_limit(boost::none); // ours: a body over the limit is an answer (413), not a broken connection
    }

    const Limits& limits() const { return m_limits; }

    Request request;
    int version = 0;
    bool untouched = true;
    std::size_t header_size = 0;
    bool too_large = false;
    bool bad_target = false;
    bool has_host = false;
    bool expects_continue = false;

  private:
    using string_view = beast::string_view;
    using error_code = beast::error_code;

    void on_request_impl(beast::http::verb, string_view method, string_view target, int http_version, error_code&) override {
        version = http_version;
        request.method.assign(method.data(), method.size());
        auto parts = split_target(std::string_view(target.data(), target.size()));
        if (!parts) {
            bad_target = true;
            return;
        }
        request.path = std::move(parts->path);
        request.query = std::move(parts->query);
    }

    void on_response_impl(int, string_view, int, error_code&) override {}

    void on_field_impl(beast::http::field field, string_view name, string_view value, error_code&) override {
        if (is_header_done())
            return;
        if (field == beast::http::field::host)
            has_host = true;
        if (field == beast::http::field::expect)
            expects_continue = iequals(std::string_view(value.data(), value.size()), "100-continue");
        request.headers.emplace_back(std::string(name.data(), name.size()), std::string(value.data(), value.size()));
    }

    void on_header_impl(error_code&) override {
        const auto length = content_length();
        if (length && *length > m_limits.body_bytes)
            too_large = true;
    }

    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}

    std::size_t append(string_view data, error_code& error) {
        if (data.size() > m_limits.body_bytes - request.body.size()) {
            too_large = true;
            error = beast::http::error::body_limit;
            return 0;
        }
        request.body.append(data.data(), data.size());
        return data.size();
    }

    std::size_t on_body_impl(string_view data, error_code& error) override { return append(data, error); }
    void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, string_view data, error_code& error) override {
        return append(data, error);
    }
    void on_finish_impl(error_code&) override {}

    Limits m_limits;
};

RequestParser::RequestParser(Limits limits) : m_impl(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;

Result<std::size_t> RequestParser::feed(std::string_view data) {
    auto& impl = *m_impl;
    std::size_t used = 0;
    const auto refuse = [](std::string why) { return fail(Errc::ValidationFailed, std::move(why)); };
    while (!done() && used < data.size()) {
        const bool had_header = impl.is_header_done();
        // Beast asserts that the last chunk never comes back to it with less than the shortest end of a body, which all wait for.
        if (had_header && impl.chunked() && data.size() - used < std::string_view("0\r\n\r\n").size())
            break;
        boost::system::error_code error;
        const std::size_t n = impl.put(boost::asio::buffer(data.data() + used, data.size() - used), error);
        used += n;
        if (n > 0)
            impl.untouched = false;
        if (!had_header)
            impl.header_size += n;
        // Beast counts the request line and the fields each for itself.
        if (impl.header_size > impl.limits().header_bytes)
            return refuse("request header is too large");
        if (error == beast::http::error::need_more || (had_header && impl.too_large))
            break;
        if (error == beast::http::error::header_limit)
            return refuse("request header is too large");
        if (error)
            return refuse("not a valid HTTP request");
        if (impl.is_header_done() && !had_header) {
            if (impl.bad_target)
                return refuse("request target has an unknown form");
            if (impl.version == 11 && !impl.has_host)
                return refuse("HTTP/1.1 request without Host");
            break;
        }
        if (n == 0)
            break;
    }
    return used;
}

bool RequestParser::header_done() const { return m_impl->is_header_done(); }
bool RequestParser::done() const { return m_impl->too_large || m_impl->is_done(); }
bool RequestParser::untouched() const { return m_impl->untouched; }
bool RequestParser::expects_continue() const { return m_impl->expects_continue && m_impl->version >= 11; }
bool RequestParser::must_close() const {
    return m_impl->too_large || !m_impl->is_header_done() || m_impl->version < 11 || !m_impl->keep_alive();
}
bool RequestParser::is_head() const { return m_impl->request.method == "HEAD"; }
const Request& RequestParser::request() const { return m_impl->request; }

Request RequestParser::take() {
    Request out = std::move(m_impl->request);
    out.body_too_large = m_impl->too_large;
    if (out.body_too_large)
        out.body.clear();
    return out;
}

} // namespace keymeld::http
