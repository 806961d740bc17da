#include "appliance/cli/client_options.h"

#include <CLI/CLI.hpp>

#include "appliance/cli/command.h"
#include "appliance/cli/command_loop.h"
#include "core/base/hex.h"
#include "core/secure/process.h"

namespace keymeld::cli {

void add_connection_options(CLI::App& app, ClientOptions& options) {
    app.add_option("--url", options.url, "The appliance ($KEYMELD_URL)")
        ->envname("KEYMELD_URL")
        ->capture_default_str()
        ->type_name("URL");
    app.add_option("--tls-roots", options.tls_roots, "Root certificates for https, PEM (default: the system's)")->type_name("FILE");
    app.add_option("--tls-pin", options.tls_pin, "SHA-256 of the appliance's certificate: accept exactly that one")->type_name("HEX");
    app.add_flag("--json", options.json, "Print one JSON object");
    app.add_flag("-q,--quiet", options.quiet, "Show no progress on standard error");
}

void add_trust_options(CLI::App& app, ClientOptions& options) {
    app.add_option("--trust", options.trust,
                   "Root that enclaves must be attested under: aws, or a PEM file with a simulator's root ($KEYMELD_TRUST)")
        ->envname("KEYMELD_TRUST")
        ->required()
        ->type_name("aws|FILE");
    app.add_option("--pcrs", options.pcrs, "Measurements of the enclave images that may hold your key ($KEYMELD_PCRS)")
        ->envname("KEYMELD_PCRS")
        ->required()
        ->type_name("FILE");
}

void add_key_option(CLI::App& app, ClientOptions& options) {
    app.add_option("--key", options.key, "Your participant key, made by `keymeld keygen new-key` ($KEYMELD_KEY)")
        ->envname("KEYMELD_KEY")
        ->required()
        ->type_name("FILE");
}

void add_invitation_option(CLI::App& app, ClientOptions& options, bool required) {
    app.add_option("--invitation", options.invitation, "The invitation of the keygen session ($KEYMELD_INVITATION)")
        ->envname("KEYMELD_INVITATION")
        ->required(required)
        ->type_name("FILE");
}

Result<client::Endpoint> ClientOptions::endpoint() const {
    auto out = client::Endpoint::parse(url);
    if (!out)
        return fail(Errc::InvalidArgument, "--url: " + out.error().detail);
    if (!tls_roots.empty())
        out->tls_roots = tls_roots;
    if (!tls_pin.empty()) {
        const auto pin = hex_decode_array<32>(tls_pin);
        if (!pin)
            return fail(Errc::InvalidArgument, "--tls-pin: 64 hex digits are needed");
        out->certificate_sha256 = *pin;
    }
    if ((!tls_roots.empty() || !tls_pin.empty()) && !out->tls)
        return fail(Errc::InvalidArgument, "--tls-roots and --tls-pin need an https URL");
    return out;
}

Result<ClientSession> ClientSession::open(const ClientOptions& options, boost::asio::any_io_executor executor, bool with_trust,
                                          client::RestClient::Options rest) {
    KEYMELD_CHECK(secure::harden_process());
    ClientSession out;
    KEYMELD_TRY(auto endpoint, options.endpoint());
    if (with_trust) {
        KEYMELD_TRY(out.trust, client::Trust::load(options.trust, options.pcrs));
    }
    if (!options.key.empty()) {
        KEYMELD_TRY(out.who, client::Participant::load(options.key));
    }
    if (!options.invitation.empty()) {
        KEYMELD_TRY(out.invitation, client::Invitation::load(options.invitation));
    }
    out.rest = std::make_unique<client::RestClient>(std::move(executor), std::move(endpoint), std::move(rest));
    return out;
}

Result<ByteArray<32>> parse_message(std::string_view hex) {
    const auto message = hex_decode_array<32>(hex);
    if (!message)
        return fail(Errc::InvalidArgument, "--message: 32 bytes as 64 hex digits are needed");
    return *message;
}

boost::asio::awaitable<int> failed(Error error) {
    co_await unless_interrupted();
    co_return report(error);
}

} // namespace keymeld::cli
