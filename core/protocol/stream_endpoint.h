// Addresses of signers: TCP, AF_VSOCK and unix sockets as one endpoint type.
#pragma once

#include <cstdint>
#include <string>

#include <boost/asio/generic/stream_protocol.hpp>

#include "core/base/result.h"

namespace keymeld::protocol {

using Endpoint = boost::asio::generic::stream_protocol::endpoint;

inline constexpr std::uint32_t kAnyCid = 0xffffffffu; ///< VMADDR_CID_ANY: to listen on, not to connect to

/// `address` is an IPv4 or IPv6 literal; "localhost" stands for 127.0.0.1. Errors: InvalidArgument. [any-thread]
Result<Endpoint> tcp_endpoint(const std::string& address, std::uint16_t port);
/// AF_VSOCK (Linux vm_sockets.h).
Endpoint vsock_endpoint(std::uint32_t cid, std::uint32_t port);
/// 1..107 bytes without NUL. Errors: InvalidArgument.
Result<Endpoint> unix_endpoint(const std::string& path);

/// True for 127.0.0.0/8, ::1 and unix sockets.
bool is_local(const Endpoint& endpoint);
/// The port of a TCP or vsock endpoint, 0 for others.
std::uint32_t port_of(const Endpoint& endpoint);
/// "tcp 127.0.0.1:5000", "tcp [::1]:5000", "vsock 16:5000", "unix /run/signer.sock".
std::string describe(const Endpoint& endpoint);

} // namespace keymeld::protocol
