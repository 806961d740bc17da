#include "core/protocol/stream_endpoint.h"

#include <arpa/inet.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstring>

namespace keymeld::protocol {
namespace {

template <class Address> Endpoint from_address(const Address& address, std::size_t size = sizeof(Address)) {
    return Endpoint(&address, size, 0);
}

/// A copy with its own type: reading through a cast pointer would break the aliasing rules.
template <class Address> Address to_address(const Endpoint& endpoint) {
    Address address{};
    std::memcpy(&address, endpoint.data(), std::min(sizeof(Address), endpoint.size()));
    return address;
}

int family(const Endpoint& endpoint) { return endpoint.protocol().family(); }

} // namespace

Result<Endpoint> tcp_endpoint(const std::string& address, std::uint16_t port) {
    const std::string literal = address == "localhost" ? "127.0.0.1" : address;
    sockaddr_in v4{};
    if (::inet_pton(AF_INET, literal.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        return from_address(v4);
    }
    sockaddr_in6 v6{};
    if (::inet_pton(AF_INET6, literal.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        return from_address(v6);
    }
    return fail(Errc::InvalidArgument, "not an IPv4 or IPv6 address");
}

Endpoint vsock_endpoint(std::uint32_t cid, std::uint32_t port) {
    sockaddr_vm address{};
    address.svm_family = AF_VSOCK;
    address.svm_cid = cid;
    address.svm_port = port;
    return from_address(address);
}

Result<Endpoint> unix_endpoint(const std::string& path) {
    sockaddr_un address{};
    if (path.empty() || path.size() >= sizeof(address.sun_path) || path.find('\0') != std::string::npos)
        return fail(Errc::InvalidArgument, "path of a unix socket: 1 to 107 bytes");
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return from_address(address, offsetof(sockaddr_un, sun_path) + path.size() + 1);
}

bool is_local(const Endpoint& endpoint) {
    switch (family(endpoint)) {
    case AF_INET: return ntohl(to_address<sockaddr_in>(endpoint).sin_addr.s_addr) >> 24 == 127;
    case AF_INET6: {
        const in6_addr address = to_address<sockaddr_in6>(endpoint).sin6_addr;
        return std::memcmp(&address, &in6addr_loopback, sizeof(address)) == 0;
    }
    case AF_UNIX: return true;
    default: return false;
    }
}

std::uint32_t port_of(const Endpoint& endpoint) {
    switch (family(endpoint)) {
    case AF_INET: return ntohs(to_address<sockaddr_in>(endpoint).sin_port);
    case AF_INET6: return ntohs(to_address<sockaddr_in6>(endpoint).sin6_port);
    case AF_VSOCK: return to_address<sockaddr_vm>(endpoint).svm_port;
    default: return 0;
    }
}

std::string describe(const Endpoint& endpoint) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    switch (family(endpoint)) {
    case AF_INET: {
        const auto address = to_address<sockaddr_in>(endpoint);
        ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
        return std::string("tcp ") + text.data() + ":" + std::to_string(port_of(endpoint));
    }
    case AF_INET6: {
        const auto address = to_address<sockaddr_in6>(endpoint);
        ::inet_ntop(AF_INET6, &address.sin6_addr, text.data(), text.size());
        return std::string("tcp [") + text.data() + "]:" + std::to_string(port_of(endpoint));
    }
    case AF_VSOCK: {
        const auto address = to_address<sockaddr_vm>(endpoint);
        const std::string cid = address.svm_cid == kAnyCid ? "any" : std::to_string(address.svm_cid);
        return "vsock " + cid + ":" + std::to_string(address.svm_port);
    }
    case AF_UNIX: {
        const auto address = to_address<sockaddr_un>(endpoint);
        return std::string("unix ") + std::string(address.sun_path, ::strnlen(address.sun_path, sizeof(address.sun_path)));
    }
    default: return "unknown";
    }
}

} // namespace keymeld::protocol
