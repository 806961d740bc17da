#include "enclave/image/init/entropy.h"

#include <algorithm>
#include <array>

#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/random.h>

#include "enclave/image/init/console.h"

namespace keymeld::init {
namespace {

using Answer = std::array<std::uint8_t, 0x3000>; // the size that the driver asks for

// The layout of linux/nsm.h, as in enclave/nsm/nsm_device.cpp.
struct Buffer {
    std::uint64_t address;
    std::uint64_t length;
};
struct RawRequest {
    Buffer request;
    Buffer response;
};
constexpr unsigned long kIoctlRaw = _IOWR(0x0A, 0, RawRequest);
static_assert(kIoctlRaw == 0xC0200A00);

// CBOR: the text "GetRandom".
constexpr std::array<std::uint8_t, 10> kGetRandom = {0x69, 'G', 'e', 't', 'R',
                                                     'a',  'n', 'd', 'o', 'm'};
constexpr int kRounds = 4;        ///< answers that are stirred in
constexpr int kBitsPerRound = 64; ///< what each is counted as; 256 make the generator ready
constexpr std::size_t kPoolBytes = 512;

struct PoolBytes {
    int entropy_count;
    int size;
    std::array<std::uint8_t, kPoolBytes> bytes;
};

/// A descriptor that is closed.
class Device {
  public:
    Device(const char* path, int flags) : m_descriptor(::open(path, flags | O_CLOEXEC)) {}
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    ~Device() {
        if (m_descriptor >= 0)
            ::close(m_descriptor);
    }
    bool open() const { return m_descriptor >= 0; }
    int number() const { return m_descriptor; }

  private:
    int m_descriptor;
};

bool kernel_draws_from_module() {
    constexpr const char* kPath = "/sys/class/misc/hw_random/rng_current";
    const Device file(kPath, O_RDONLY);
    char name[32]{};
    if (!file.open() || ::read(file.number(), name, sizeof name - 1) < 0)
        return failed(kPath);
    if (std::strcmp(name, "nsm-hwrng\n") == 0)
        return true;
    say("the kernel's hardware generator is not the Nitro security module");
    return false;
}

std::span<const std::uint8_t> ask(const Device& module, Answer& answer) {
    RawRequest raw{};
    raw.request = {reinterpret_cast<std::uintptr_t>(kGetRandom.data()), kGetRandom.size()};
    raw.response = {reinterpret_cast<std::uintptr_t>(answer.data()), answer.size()};
    int status = 0;
    do
        status = ::ioctl(module.number(), kIoctlRaw, &raw);
    while (status < 0 && errno == EINTR);
    if (status < 0 || raw.response.length > answer.size())
        return {};
    return random_in(std::span(answer).first(static_cast<std::size_t>(raw.response.length)));
}

bool stir(const Device& module, const Device& pool) {
    Answer answer{};
    PoolBytes bytes{};
    const auto random = ask(module, answer);
    const std::size_t size = std::min(random.size(), bytes.bytes.size());
    // The same byte over and over is a broken module.
    const bool good =
        size > 0 && std::ranges::adjacent_find(random, std::ranges::not_equal_to()) != random.end();
    bytes.entropy_count = kBitsPerRound;
    bytes.size = static_cast<int>(size);
    std::copy_n(random.begin(), size, bytes.bytes.begin());
    const bool stirred = good && ::ioctl(pool.number(), RNDADDENTROPY, &bytes) == 0;
    ::explicit_bzero(&answer, sizeof answer);
    ::explicit_bzero(&bytes, sizeof bytes);
    if (!stirred)
        say("the Nitro security module gives no randomness, or the kernel does not take it");
    return stirred;
}

} // namespace

bool stir_module_entropy() {
    if (!kernel_draws_from_module())
        return false;
    const Device module("/dev/nsm", O_RDWR);
    if (!module.open())
        return failed("/dev/nsm");
    const Device pool("/dev/random", O_RDWR);
    if (!pool.open())
        return failed("/dev/random");
    for (int round = 0; round < kRounds; ++round)
        if (!stir(module, pool))
            return false;
    std::uint8_t probe = 0;
    if (::getrandom(&probe, sizeof probe, GRND_NONBLOCK) != sizeof probe)
        return failed("the kernel's random number generator is not ready");
    return true;
}

} // namespace keymeld::init
