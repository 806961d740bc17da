#include "appliance/api/docs_files.h"

#include <array>
#include <fstream>
#include <sstream>

namespace keymeld::api {
namespace {

struct Known {
    std::string_view name;
    std::string_view content_type;
};
constexpr std::array kKnown{
    Known{"index.html", "text/html; charset=utf-8"},
    Known{"initializer.js", "text/javascript; charset=utf-8"},
    Known{"page.css", "text/css; charset=utf-8"},
    Known{"swagger-ui.css", "text/css; charset=utf-8"},
    Known{"swagger-ui-bundle.js", "text/javascript; charset=utf-8"},
    Known{"favicon-32x32.png", "image/png"},
};

/// Nothing but this server's own files; the viewer talks to this server only. The style sheet carries its icons as data: images.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

constexpr std::string_view kMissing =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>KeyMeld Gateway API</title>\n"
    "<h1>KeyMeld Gateway API</h1>\n"
    "<p>The API is described by <a href=\"openapi.json\">openapi.json</a>.</p>\n"
    "<p>The interactive viewer is not installed: it comes from npm when KeyMeld is built. Install Node.js and npm "
    "(<code>scripts/setup</code> does), configure and build again, and restart <code>keymeld serve</code>.</p>\n</html>\n";

void add_policy(http::Response& response) {
    response.headers.emplace_back("Content-Security-Policy", std::string(kPolicy));
    response.headers.emplace_back("Referrer-Policy", "no-referrer");
    response.headers.emplace_back("X-Frame-Options", "DENY");
    response.headers.emplace_back("Cache-Control", "no-cache");
}

} // namespace

DocsFiles DocsFiles::load(const std::filesystem::path& folder) {
    DocsFiles out;
    for (const Known& known : kKnown) {
        std::ifstream in(folder / known.name, std::ios::binary);
        std::ostringstream text;
        text << in.rdbuf();
        if (!in || text.view().empty())
            return {};
        out.m_files.emplace(known.name, File{std::string(known.content_type), std::make_shared<const std::string>(text.str())});
    }
    return out;
}

http::Response DocsFiles::page() const {
    http::Response response;
    response.content_type = "text/html; charset=utf-8";
    add_policy(response);
    if (available())
        response.file = m_files.find("index.html")->second.text;
    else
        response.body = kMissing;
    return response;
}

Result<http::Response> DocsFiles::file(std::string_view name) const {
    const auto found = m_files.find(name);
    if (found == m_files.end())
        return fail(Errc::NotFound, "no such file");
    http::Response response;
    response.content_type = found->second.content_type;
    response.file = found->second.text;
    add_policy(response);
    return response;
}

std::filesystem::path default_docs_folder() {
    std::error_code ignored;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
    return program.parent_path().parent_path() / "share/keymeld/docs";
}

} // namespace keymeld::api
