#include "enclave/nsm/vhost/vhost_user.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/secure/cleanse.h"

namespace keymeld::nsm {
namespace {

// Requests of the front-end.
constexpr std::uint32_t kGetFeatures = 1;
constexpr std::uint32_t kSetFeatures = 2;
constexpr std::uint32_t kSetOwner = 3;
constexpr std::uint32_t kResetOwner = 4;
constexpr std::uint32_t kSetMemTable = 5;
constexpr std::uint32_t kSetVringNum = 8;
constexpr std::uint32_t kSetVringAddr = 9;
constexpr std::uint32_t kSetVringBase = 10;
constexpr std::uint32_t kGetVringBase = 11;
constexpr std::uint32_t kSetVringKick = 12;
constexpr std::uint32_t kSetVringCall = 13;
constexpr std::uint32_t kSetVringErr = 14;
constexpr std::uint32_t kGetProtocolFeatures = 15;
constexpr std::uint32_t kSetProtocolFeatures = 16;
constexpr std::uint32_t kGetQueueNum = 17;
constexpr std::uint32_t kSetVringEnable = 18;

constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kVersionMask = 3;
constexpr std::uint32_t kIsReply = 1u << 2;
constexpr std::uint32_t kNeedReply = 1u << 3;

constexpr std::uint64_t kHasProtocolFeatures = 1ull << 30;
constexpr std::uint64_t kVirtioVersion1 = 1ull << 32;
constexpr std::uint64_t kReplyAck = 1ull << 3;

constexpr std::uint64_t kNoFile = 1u << 8; // in the number that comes with a kick or call
constexpr std::size_t kHeader = 12;
constexpr std::size_t kMaxPayload = 4096;
constexpr std::size_t kMaxFiles = 8;

template <class T> T number_at(ByteView bytes, std::size_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

template <class T> void append(Bytes& out, T number) {
    const auto* const first = reinterpret_cast<const std::uint8_t*>(&number);
    out.insert(out.end(), first, first + sizeof number);
}

Error system_error(const char* what) {
    return fail(Errc::Io, std::string(what) + ": " + std::strerror(errno));
}
Error broken(const std::string& what) {
    return fail(Errc::InvalidArgument, "vhost-user: " + what);
}

} // namespace

VhostUserNsm::VhostUserNsm(OwnedFd connection, NsmTransport& module)
    : m_connection(std::move(connection)), m_module(module) {}

Status VhostUserNsm::serve() {
    for (;;) {
        std::array<pollfd, 2> waiting{{{m_connection.get(), POLLIN, 0},
                                       {m_kick.get(), POLLIN, 0}}}; // a negative one is skipped
        if (::poll(waiting.data(), waiting.size(), -1) < 0) {
            if (errno == EINTR)
                continue;
            return system_error("poll");
        }
        if ((waiting[1].revents & POLLIN) != 0) {
            std::uint64_t count = 0;
            if (::read(m_kick.get(), &count, sizeof count) < 0 && errno != EAGAIN)
                return system_error("reading a kick");
            KEYMELD_CHECK(process_queue());
        } else if (waiting[1].revents != 0) {
            return broken("a kick descriptor that is dead: it would be polled for ever");
        }
        if (waiting[0].revents != 0) {
            Message message;
            KEYMELD_TRY(const bool more, receive(message));
            if (!more)
                return {};
            KEYMELD_CHECK(handle(message));
        }
    }
}

Result<bool> VhostUserNsm::receive(Message& out) {
    std::array<std::uint8_t, kHeader> header{};
    iovec part{header.data(), header.size()};
    alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(kMaxFiles * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = 0;
    do
        got = ::recvmsg(m_connection.get(), &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);
    while (got < 0 && errno == EINTR);
    if (got == 0 || (got < 0 && errno == ECONNRESET))
        return false;
    if (got < 0)
        return system_error("receiving from the virtual machine");
    for (cmsghdr* part_of = CMSG_FIRSTHDR(&message); part_of != nullptr;
         part_of = CMSG_NXTHDR(&message, part_of)) {
        if (part_of->cmsg_level != SOL_SOCKET || part_of->cmsg_type != SCM_RIGHTS)
            continue;
        const std::size_t count = (part_of->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part_of) + i * sizeof fd, sizeof fd);
            out.files.emplace_back(fd);
        }
    }
    out.request = number_at<std::uint32_t>(header, 0);
    out.flags = number_at<std::uint32_t>(header, 4);
    const auto size = number_at<std::uint32_t>(header, 8);
    if (static_cast<std::size_t>(got) != kHeader || (out.flags & kVersionMask) != kVersion ||
        size > kMaxPayload || (message.msg_flags & MSG_CTRUNC) != 0)
        return broken("a malformed message");
    out.payload.resize(size);
    if (size > 0 && ::recv(m_connection.get(), out.payload.data(), size, MSG_WAITALL) !=
                        static_cast<ssize_t>(size))
        return broken("a message that ends early");
    return true;
}

Status VhostUserNsm::handle(Message& message) {
    const auto need = [&](std::size_t size) -> Status {
        if (message.payload.size() < size)
            return broken("request " + std::to_string(message.request) + " is too short");
        return {};
    };
    switch (message.request) {
    case kGetFeatures:
        return reply_number(message.request, kVirtioVersion1 | kHasProtocolFeatures);
    case kGetProtocolFeatures:
        return reply_number(message.request, kReplyAck);
    case kGetQueueNum:
        return reply_number(message.request, 1);
    case kSetFeatures:
        KEYMELD_CHECK(need(8));
        m_features = number_at<std::uint64_t>(message.payload, 0);
        if ((m_features & ~(kVirtioVersion1 | kHasProtocolFeatures)) != 0)
            return broken("a feature that was not offered");
        // Without protocol features there is no SET_VRING_ENABLE.
        if ((m_features & kHasProtocolFeatures) == 0)
            m_enabled = true;
        break;
    case kSetOwner:
    case kResetOwner:
    case kSetProtocolFeatures:
    case kSetVringErr:
        break;
    case kSetMemTable:
        KEYMELD_CHECK(set_memory(message));
        break;
    case kSetVringNum:
    case kSetVringAddr:
    case kSetVringBase:
    case kSetVringEnable:
        KEYMELD_CHECK(need(8));
        KEYMELD_CHECK(set_queue(message));
        break;
    case kSetVringKick:
    case kSetVringCall:
        KEYMELD_CHECK(need(8));
        KEYMELD_CHECK(set_event(message));
        break;
    case kGetVringBase: {
        KEYMELD_CHECK(need(8));
        m_started = false;
        m_kick = OwnedFd();
        Bytes state;
        append(state, std::uint32_t{0});
        append(state, std::uint32_t{m_queue.base()});
        return reply(message.request, state);
    }
    default:
        return broken("request " + std::to_string(message.request) + ", which was not offered");
    }
    if ((message.flags & kNeedReply) != 0)
        KEYMELD_CHECK(reply_number(message.request, 0));
    return process_queue();
}

Status VhostUserNsm::set_memory(Message& message) {
    constexpr std::size_t kEntry = 32;
    if (message.payload.size() < 8)
        return broken("a memory table that ends early");
    const auto count = number_at<std::uint32_t>(message.payload, 0);
    if (count > kMaxFiles || count != message.files.size() ||
        message.payload.size() < 8 + count * kEntry)
        return broken("a memory table that ends early");
    std::vector<MemoryRegion> regions;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t at = 8 + i * kEntry;
        regions.push_back({number_at<std::uint64_t>(message.payload, at),
                           number_at<std::uint64_t>(message.payload, at + 8),
                           number_at<std::uint64_t>(message.payload, at + 16),
                           number_at<std::uint64_t>(message.payload, at + 24)});
    }
    m_located = false; // the rings may be elsewhere
    KEYMELD_TRY(m_memory, GuestMemory::map(regions, std::move(message.files)));
    return {};
}

Status VhostUserNsm::set_queue(Message& message) {
    const auto index = number_at<std::uint32_t>(message.payload, 0);
    const auto number = number_at<std::uint32_t>(message.payload, 4);
    if (index != 0)
        return broken("a second queue");
    switch (message.request) {
    case kSetVringNum:
        m_located = false;
        return m_queue.set_size(number);
    case kSetVringBase:
        m_queue.set_base(static_cast<std::uint16_t>(number));
        return {};
    case kSetVringEnable:
        m_enabled = number != 0;
        return {};
    default: // SET_VRING_ADDR: index, flags, descriptors, used, available, log
        if (message.payload.size() < 40)
            return broken("ring addresses that end early");
        m_located = false;
        m_queue.set_addresses(number_at<std::uint64_t>(message.payload, 8),
                              number_at<std::uint64_t>(message.payload, 24),
                              number_at<std::uint64_t>(message.payload, 16));
        return {};
    }
}

Status VhostUserNsm::set_event(Message& message) {
    const auto number = number_at<std::uint64_t>(message.payload, 0);
    const bool has_file = (number & kNoFile) == 0;
    if ((number & 0xff) != 0 || has_file != (message.files.size() == 1))
        return broken("an event for a second queue, or without its descriptor");
    OwnedFd file = has_file ? std::move(message.files.front()) : OwnedFd();
    if (message.request == kSetVringKick) {
        if (!has_file)
            return broken("a queue that wants to be polled");
        m_kick = std::move(file);
        m_started = true;
        return {};
    }
    m_call = std::move(file);
    // What was answered before this descriptor came was announced on another one, or on none.
    interrupt();
    return {};
}

Status VhostUserNsm::reply(std::uint32_t request, ByteView payload) {
    Bytes out;
    append(out, request);
    append(out, kVersion | kIsReply);
    append(out, static_cast<std::uint32_t>(payload.size()));
    out.insert(out.end(), payload.begin(), payload.end());
    if (::send(m_connection.get(), out.data(), out.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(out.size()))
        return system_error("answering the virtual machine");
    return {};
}

Status VhostUserNsm::reply_number(std::uint32_t request, std::uint64_t number) {
    Bytes payload;
    append(payload, number);
    return reply(request, payload);
}

void VhostUserNsm::interrupt() {
    const std::uint64_t one = 1;
    // Full only if the front-end has not looked for 2^64 interrupts.
    if (m_call.open() && ::write(m_call.get(), &one, sizeof one) < 0)
        m_call = OwnedFd();
}

Status VhostUserNsm::process_queue() {
    if (!m_started || !m_enabled)
        return {};
    if (!m_located) {
        KEYMELD_CHECK(m_queue.locate(m_memory));
        m_located = true;
    }
    for (;;) {
        KEYMELD_TRY(const auto request, m_queue.peek(0));
        KEYMELD_TRY(const auto space, m_queue.peek(1));
        if (!request || !space)
            return {};
        if (!request->all(false) || !space->all(true) || space->parts.size() != 1)
            return broken("a request without a buffer for its answer");
        const Chain::Part& target = space->parts.front();
        const MutableByteView memory = m_memory.at_guest(target.guest_address, target.size);
        KEYMELD_TRY(Bytes response, answer(*request));
        const bool fits = response.size() <= memory.size();
        if (fits)
            std::copy(response.begin(), response.end(), memory.begin());
        secure::cleanse(response); // may be random bytes
        if (!fits)
            return broken("a buffer too small for the answer, or outside of the guest's memory");
        m_queue.give_back(*request, 0);
        m_queue.give_back(*space, static_cast<std::uint32_t>(response.size()));
        if (m_queue.wants_interrupt())
            interrupt();
    }
}

Result<Bytes> VhostUserNsm::answer(const Chain& request) {
    Bytes bytes;
    for (const Chain::Part& part : request.parts) {
        if (part.size > kMaxRequest - bytes.size())
            return broken("a request that is too long");
        const MutableByteView memory = m_memory.at_guest(part.guest_address, part.size);
        if (memory.size() != part.size)
            return broken("a request outside of the guest's memory");
        bytes.insert(bytes.end(), memory.begin(), memory.end());
    }
    return m_module.process(bytes);
}

} // namespace keymeld::nsm
