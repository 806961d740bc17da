#include "enclave/nsm/nsm_device.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace keymeld::nsm {
namespace {

// The layout of linux/nsm.h, which the build machine's headers need not have.
struct NsmBuffer {
    std::uint64_t address;
    std::uint64_t length;
};
struct NsmRaw {
    NsmBuffer request;
    NsmBuffer response;
};
static_assert(sizeof(NsmRaw) == 32);

constexpr unsigned long kIoctlRaw = _IOWR(0x0A, 0, NsmRaw);
static_assert(kIoctlRaw == 0xC0200A00);

std::uint64_t address_of(const void* memory) {
    return reinterpret_cast<std::uintptr_t>(memory);
}

} // namespace

Result<std::unique_ptr<NsmDevice>> NsmDevice::open(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
        return fail(Errc::AttestationUnavailable, path + " cannot be opened");
    return std::unique_ptr<NsmDevice>(new NsmDevice(descriptor));
}

NsmDevice::~NsmDevice() {
    ::close(m_descriptor);
}

Result<Bytes> NsmDevice::process(ByteView request) {
    if (request.empty() || request.size() > kMaxRequest)
        return fail(Errc::InvalidArgument, "a request to the NSM device is empty or too long");
    // The driver cuts an answer that does not fit without a word, so the buffer always has the full
    // size.
    Bytes response(kMaxResponse);
    NsmRaw message{.request = {address_of(request.data()), request.size()},
                   .response = {address_of(response.data()), response.size()}};
    int answer = 0;
    do
        answer = ::ioctl(m_descriptor, kIoctlRaw, &message);
    while (answer < 0 && errno == EINTR);
    if (answer < 0 || message.response.length > response.size())
        return fail(Errc::Io, "the NSM device refused a request, errno " + std::to_string(errno));
    response.resize(static_cast<std::size_t>(message.response.length));
    return response;
}

} // namespace keymeld::nsm
