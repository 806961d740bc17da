#include "plugins/transport-vsock/vsock_transport.h"

#include "core/protocol/endpoint_transport.h"
#include "plugins/transport-vsock/hybrid_opening.h"

namespace keymeld::transport_vsock {
namespace {

constexpr std::uint64_t kLastNumber = 0xfffffffeu; // 0xffffffff stands for "any" in both fields

class HybridTransport final : public protocol::Transport {
  public:
    HybridTransport(std::string path, const protocol::Endpoint& endpoint, std::uint32_t port)
        : m_path(std::move(path)), m_endpoint(endpoint), m_port(port) {}

    std::string describe() const override { return "vsock " + m_path + ":" + std::to_string(m_port); }

  private:
    std::unique_ptr<protocol::StreamOpening> open() override {
        return std::make_unique<HybridOpening>(m_endpoint, m_port);
    }

    std::string m_path;
    protocol::Endpoint m_endpoint;
    std::uint32_t m_port;
};

} // namespace

Result<std::unique_ptr<plugin::Transport>> VsockTransportPlugin::create(plugin::Options options) {
    const std::string where = options.where();
    auto refuse = [&where](const std::string& why) {
        return fail(Errc::ConfigInvalid, where.empty() ? why : where + ": " + why);
    };
    plugin::Options probe = options;
    KEYMELD_TRY(const std::string given_path, probe.text("path", ""));
    KEYMELD_TRY(const std::uint64_t cid, options.number("cid", 0, 1, kLastNumber)); // 0: not given
    if ((cid == 0) == given_path.empty())
        return refuse("vsock needs exactly one of cid (AF_VSOCK) and path (hybrid unix socket)");
    KEYMELD_TRY(const std::uint64_t port, options.required_number("port", 0, kLastNumber));
    if (cid != 0) {
        KEYMELD_CHECK(options.finish());
        return std::unique_ptr<plugin::Transport>(std::make_unique<protocol::EndpointTransport>(
            protocol::vsock_endpoint(static_cast<std::uint32_t>(cid), static_cast<std::uint32_t>(port))));
    }
    KEYMELD_TRY(const std::filesystem::path path, options.required_path("path"));
    KEYMELD_CHECK(options.finish());
    auto endpoint = protocol::unix_endpoint(path.string());
    if (!endpoint)
        return refuse("path: " + endpoint.error().detail);
    return std::unique_ptr<plugin::Transport>(
        std::make_unique<HybridTransport>(path.string(), *endpoint, static_cast<std::uint32_t>(port)));
}

} // namespace keymeld::transport_vsock
