// The transport to an address: TCP, AF_VSOCK or a unix socket.
#pragma once

#include <utility>

#include "core/protocol/transport.h"

namespace keymeld::protocol {

/// Tries the endpoints in their order.
class EndpointTransport final : public Transport {
  public:
    explicit EndpointTransport(const Endpoint& endpoint)
        : EndpointTransport({endpoint}, protocol::describe(endpoint)) {}
    EndpointTransport(std::vector<Endpoint> endpoints, std::string description)
        : m_endpoints(std::move(endpoints)), m_description(std::move(description)) {}

    std::string describe() const override { return m_description; }

  private:
    std::unique_ptr<StreamOpening> open() override { return std::make_unique<ConnectOpening>(m_endpoints); }

    std::vector<Endpoint> m_endpoints;
    std::string m_description;
};

} // namespace keymeld::protocol
