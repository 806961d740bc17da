#include "plugins/transport-tcp-sim/tcp_transport.h"

#include <netdb.h>
#include <sys/socket.h>

#include "core/protocol/endpoint_transport.h"

namespace keymeld::transport_tcp_sim {
namespace {

using protocol::Endpoint;
constexpr std::size_t kMaxHostName = 253; // RFC 1035 2.3.4, without the last dot

/// Errors: InvalidArgument.
Result<std::vector<Endpoint>> resolve(const std::string& host, std::uint16_t port) {
    addrinfo wanted{};
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found);
    if (error != 0)
        return fail(Errc::InvalidArgument, std::string("cannot be resolved: ") + ::gai_strerror(error));
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
    std::vector<Endpoint> endpoints;
    for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next)
        endpoints.emplace_back(entry->ai_addr, entry->ai_addrlen, 0);
    return endpoints;
}

} // namespace

Result<std::unique_ptr<plugin::Transport>> TcpSimTransportPlugin::create(plugin::Options options) {
    const std::string where = options.where();
    auto refuse = [&where](const std::string& why) {
        return fail(Errc::ConfigInvalid, where.empty() ? why : where + ": " + why);
    };
    KEYMELD_TRY(const std::string host, options.text("host", "127.0.0.1"));
    KEYMELD_TRY(const std::uint64_t wide_port, options.required_number("port", 1, 65535));
    KEYMELD_TRY(const bool allow_remote, options.flag("allow_remote", false));
    KEYMELD_CHECK(options.finish());
    const auto port = static_cast<std::uint16_t>(wide_port);
    if (host.empty() || host.size() > kMaxHostName || host.find('\0') != std::string::npos)
        return refuse("host must be a name or address of 1 to 253 characters");

    const auto literal = protocol::tcp_endpoint(host, port);
    if (!allow_remote && !(literal && protocol::is_local(*literal)))
        return refuse("host is not a loopback address; the simulator is for one machine (allow_remote: true permits others)");
    if (literal)
        return std::unique_ptr<plugin::Transport>(std::make_unique<protocol::EndpointTransport>(*literal));
    auto endpoints = resolve(host, port);
    if (!endpoints)
        return refuse("host " + endpoints.error().detail);
    return std::unique_ptr<plugin::Transport>(std::make_unique<protocol::EndpointTransport>(
        std::move(*endpoints), "tcp " + host + ":" + std::to_string(port)));
}

} // namespace keymeld::transport_tcp_sim
