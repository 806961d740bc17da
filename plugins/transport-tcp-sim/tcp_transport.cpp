#include "plugins/transport-tcp-sim/tcp_transport.h"

#include <boost/asio/ip/tcp.hpp>

#include "core/protocol/connect_attempt.h"
#include "core/protocol/stream_endpoint.h"

namespace keymeld::transport_tcp_sim {
namespace {

namespace asio = boost::asio;
using protocol::ConnectAttempt;
using protocol::Endpoint;

/// Finds the addresses of a host name first; asio resolves on a thread of its own.
class ResolvingAttempt final : public ConnectAttempt {
  public:
    ResolvingAttempt(asio::any_io_executor executor, SteadyTime deadline, Handler done)
        : ConnectAttempt(executor, deadline, std::move(done)), m_resolver(executor) {}

    void resolve(const std::string& host, std::uint16_t port) {
        begin_deadline();
        m_resolver.async_resolve(host, std::to_string(port), asio::ip::resolver_base::numeric_service,
                                 [self = shared_from_this(), this](boost::system::error_code error,
                                                                   const asio::ip::tcp::resolver::results_type& found) {
                                     if (finished())
                                         return;
                                     if (error)
                                         return finish(fail(Errc::Disconnected, "host not found: " + error.message()));
                                     std::vector<Endpoint> endpoints;
                                     for (const auto& entry : found)
                                         endpoints.emplace_back(entry.endpoint());
                                     connect_to(std::move(endpoints));
                                 });
    }

  private:
    asio::ip::tcp::resolver m_resolver;
};

class TcpTransport final : public plugin::Transport {
  public:
    TcpTransport(std::string host, std::uint16_t port, std::optional<Endpoint> endpoint)
        : m_host(std::move(host)), m_port(port), m_endpoint(std::move(endpoint)) {}

    void connect(asio::any_io_executor executor, SteadyTime deadline, Handler done) override {
        const auto attempt = std::make_shared<ResolvingAttempt>(executor, deadline, std::move(done));
        m_attempts.add(attempt);
        if (m_endpoint)
            attempt->start({*m_endpoint});
        else
            attempt->resolve(m_host, m_port);
    }

    std::string describe() const override {
        return m_endpoint ? protocol::describe(*m_endpoint) : "tcp " + m_host + ":" + std::to_string(m_port);
    }

  private:
    std::string m_host;
    std::uint16_t m_port;
    std::optional<Endpoint> m_endpoint;
    protocol::ConnectAttempts m_attempts;
};

} // namespace

Result<std::unique_ptr<plugin::Transport>> TcpSimTransportPlugin::create(plugin::Options options) {
    const std::string where = options.where();
    auto refuse = [&where](const std::string& why) {
        return fail(Errc::ConfigInvalid, where.empty() ? why : where + ": " + why);
    };
    KEYMELD_TRY(const std::string host, options.text("host", "127.0.0.1"));
    KEYMELD_TRY(const std::uint64_t port, options.required_number("port", 1, 65535));
    KEYMELD_TRY(const bool allow_remote, options.flag("allow_remote", false));
    KEYMELD_CHECK(options.finish());
    if (host.empty() || host.size() > 253)
        return refuse("host: a name or address of 1 to 253 characters");
    std::optional<Endpoint> endpoint;
    if (auto literal = protocol::tcp_endpoint(host, static_cast<std::uint16_t>(port)))
        endpoint = std::move(*literal);
    if (!allow_remote && !(endpoint && protocol::is_local(*endpoint)))
        return refuse("host: not a loopback address; the simulator is for one machine (allow_remote: true permits others)");
    return std::unique_ptr<plugin::Transport>(
        std::make_unique<TcpTransport>(host, static_cast<std::uint16_t>(port), std::move(endpoint)));
}

} // namespace keymeld::transport_tcp_sim
