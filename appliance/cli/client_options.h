// Options of the commands that are clients of an appliance: where it is, which enclaves to believe, key material in files.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "appliance/cli/progress.h"
#include "appliance/client/ceremony.h"

namespace CLI {
class App;
}

namespace keymeld::cli {

struct ClientOptions {
    std::string url = "http://127.0.0.1:8080";
    std::filesystem::path tls_roots;
    std::string tls_pin;               ///< 64 hex
    std::string trust;
    std::filesystem::path pcrs;
    std::filesystem::path key;
    std::filesystem::path invitation;
    bool json = false;
    bool quiet = false;

    Result<client::Endpoint> endpoint() const;
    Progress::Style style() const { return quiet || json ? Progress::Style::Silent : Progress::Style::Shown; }
};

/// --url, --tls-roots, --tls-pin, --json, --quiet.
void add_connection_options(CLI::App& app, ClientOptions& options);
/// --trust and --pcrs, both required: there is no way to leave attestation out.
void add_trust_options(CLI::App& app, ClientOptions& options);
/// --key FILE.
void add_key_option(CLI::App& app, ClientOptions& options);
/// --invitation FILE.
void add_invitation_option(CLI::App& app, ClientOptions& options, bool required);

/// What a client command works with, opened in the order in which mistakes are cheapest.
struct ClientSession {
    std::unique_ptr<client::RestClient> rest;
    std::optional<client::Trust> trust;           ///< only if asked for
    std::optional<client::Participant> who;
    std::optional<client::Invitation> invitation; ///< if a file was named

    /// Hardens the process first: it is about to hold keys. `Errc::Io`, `Errc::ConfigInvalid`, `Errc::InvalidArgument`.
    static Result<ClientSession> open(const ClientOptions& options, boost::asio::any_io_executor executor, bool with_trust,
                                      client::RestClient::Options rest = {});
};

/// Reports an error unless it is only a Ctrl-C; the exit code.
boost::asio::awaitable<int> failed(Error error);

/// 32 bytes as 64 hex digits.
Result<ByteArray<32>> parse_message(std::string_view hex);

} // namespace keymeld::cli
