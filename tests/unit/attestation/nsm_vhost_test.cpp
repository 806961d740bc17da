// The security module as a device of a virtual machine: the other end, front-end and driver, is
// played here over a real socket, shared memory and event descriptors.
#include <atomic>
#include <cstring>
#include <thread>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/attestation/verifier.h"
#include "core/base/clock.h"
#include "enclave/nsm/nsm_client.h"
#include "enclave/nsm/software_nsm.h"
#include "enclave/nsm/vhost/vhost_user.h"
#include "tests/unit/attestation/forge.h"

namespace keymeld::nsm {
namespace {

using namespace attestation;
using attestation::test::filled;
using attestation::test::TempDir;

constexpr std::uint64_t kGuestBase = 0x100000;
constexpr std::uint64_t kUserBase = 0x7f0000000000;
constexpr std::uint64_t kFileOffset = 0x120; // need not be a multiple of the page size
constexpr std::size_t kMemory = 0x10000;
constexpr std::size_t kDescriptors = 0, kAvailable = 0x1000, kUsed = 0x2000, kRequest = 0x3000,
                      kAnswer = 0x5000;
constexpr std::uint64_t kFeatures = 1ull << 30 | 1ull << 32;
constexpr std::uint32_t kNeedReply = 8;

/// QEMU and the guest's driver, as far as the device can see them.
class Machine {
  public:
    explicit Machine(NsmTransport& module) {
        int ends[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        m_socket = OwnedFd(ends[0]);
        m_device = std::thread([this, &module, end = ends[1]] {
            m_result = VhostUserNsm(OwnedFd(end), module).serve();
        });
        m_file = OwnedFd(::memfd_create("guest", MFD_CLOEXEC));
        EXPECT_EQ(::ftruncate(m_file.get(), kFileOffset + kMemory), 0);
        m_base = static_cast<std::uint8_t*>(::mmap(
            nullptr, kFileOffset + kMemory, PROT_READ | PROT_WRITE, MAP_SHARED, m_file.get(), 0));
        m_kick = OwnedFd(::eventfd(0, EFD_CLOEXEC));
        m_call = OwnedFd(::eventfd(0, EFD_CLOEXEC));
    }
    ~Machine() {
        static_cast<void>(hang_up());
        ::munmap(m_base, kFileOffset + kMemory);
    }

    /// Ends the connection; what the device made of it.
    Status hang_up() {
        m_socket = OwnedFd();
        if (m_device.joinable())
            m_device.join();
        return m_result;
    }

    void send(std::uint32_t request, const std::vector<std::uint64_t>& words, int file = -1,
              std::uint32_t flags = 0) {
        const std::uint32_t header[3] = {request, 1 | flags,
                                         static_cast<std::uint32_t>(words.size() * 8)};
        iovec parts[2] = {{const_cast<std::uint32_t*>(header), sizeof header},
                          {const_cast<std::uint64_t*>(words.data()), words.size() * 8}};
        msghdr message{};
        message.msg_iov = parts;
        message.msg_iovlen = 2;
        alignas(cmsghdr) std::uint8_t control[CMSG_SPACE(sizeof(int))] = {};
        if (file >= 0) {
            message.msg_control = control;
            message.msg_controllen = sizeof control;
            cmsghdr* const part = CMSG_FIRSTHDR(&message);
            part->cmsg_level = SOL_SOCKET;
            part->cmsg_type = SCM_RIGHTS;
            part->cmsg_len = CMSG_LEN(sizeof(int));
            std::memcpy(CMSG_DATA(part), &file, sizeof file);
        }
        ::sendmsg(m_socket.get(), &message,
                  MSG_NOSIGNAL); // it may have hung up by now: hang_up() tells
    }

    /// The number that answers; nullopt: the device hung up.
    std::optional<std::uint64_t> ask(std::uint32_t request,
                                     const std::vector<std::uint64_t>& words = {},
                                     std::uint32_t flags = 0) {
        send(request, words, -1, flags);
        struct {
            std::uint32_t request, flags, size;
            std::uint8_t number[8];
        } answer{};
        if (::recv(m_socket.get(), &answer, sizeof answer, MSG_WAITALL) != sizeof answer)
            return std::nullopt;
        EXPECT_EQ(answer.request, request);
        EXPECT_EQ(answer.flags, 5u);
        EXPECT_EQ(answer.size, 8u);
        std::uint64_t number = 0;
        std::memcpy(&number, answer.number, sizeof number);
        return number;
    }

    void set_memory() { send(5, {1, kGuestBase, kMemory, kUserBase, kFileOffset}, m_file.get()); }
    void set_rings() {
        send(8, {2ull << 32}); // queue 0, two entries
        send(10, {0});
        send(9, {0, kUserBase + kDescriptors, kUserBase + kUsed, kUserBase + kAvailable, 0});
    }
    void set_events() {
        send(13, {0}, m_call.get());
        send(12, {0}, m_kick.get());
    }
    void enable() { send(18, {1ull << 32}); }
    void boot() {
        EXPECT_EQ(ask(1), kFeatures);
        EXPECT_EQ(ask(15), 8u);
        send(16, {8});
        send(3, {});
        send(2, {kFeatures});
        set_memory();
        set_rings();
        set_events();
        enable();
        EXPECT_EQ(ask(17), 1u); // everything before it has been read
        EXPECT_TRUE(interrupted(0)) << "one interrupt comes with the descriptor";
    }

    bool interrupted(int milliseconds) {
        pollfd entry{m_call.get(), POLLIN, 0};
        std::uint64_t count = 0;
        return ::poll(&entry, 1, milliseconds) == 1 &&
               ::read(m_call.get(), &count, sizeof count) == sizeof count;
    }

    template <class T> void put(std::size_t at, T value) {
        std::memcpy(m_base + kFileOffset + at, &value, sizeof value);
    }
    template <class T> T get(std::size_t at) const {
        T value;
        std::memcpy(&value, m_base + kFileOffset + at, sizeof value);
        return value;
    }
    void describe(std::uint16_t index, std::uint64_t address, std::size_t size, std::uint16_t flags,
                  std::uint16_t next = 0) {
        put(kDescriptors + index * sizeof(RingDescriptor),
            RingDescriptor{address, static_cast<std::uint32_t>(size), flags, next});
    }
    void publish(std::uint16_t descriptor) {
        put(kAvailable + 4 + (m_published % 2) * 2, descriptor);
        index(kAvailable).store(++m_published, std::memory_order_release);
    }
    void kick() {
        const std::uint64_t one = 1;
        EXPECT_EQ(::write(m_kick.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    }
    void request(ByteView bytes, std::size_t answer_size = kMaxResponse) {
        std::memcpy(m_base + kFileOffset + kRequest, bytes.data(), bytes.size());
        describe(0, kGuestBase + kRequest, bytes.size(), 0);
        describe(1, kGuestBase + kAnswer, answer_size, RingDescriptor::kDeviceWrites);
        publish(0);
        publish(1);
        kick();
    }
    std::atomic_ref<std::uint16_t> index(std::size_t ring) const {
        return std::atomic_ref<std::uint16_t>(
            *reinterpret_cast<std::uint16_t*>(m_base + kFileOffset + ring + 2));
    }
    std::uint16_t used() const { return index(kUsed).load(std::memory_order_acquire); }
    RingUsed used_at(std::uint16_t n) const { return get<RingUsed>(kUsed + 4 + (n % 2) * 8); }
    Bytes answer(std::size_t size) const {
        const std::uint8_t* const first = m_base + kFileOffset + kAnswer;
        return {first, first + size};
    }

  private:
    OwnedFd m_socket, m_file, m_kick, m_call;
    std::uint8_t* m_base = nullptr;
    std::uint16_t m_published = 0;
    Status m_result;
    std::thread m_device;
};

/// The driver, as user space sees it.
class Driver final : public NsmTransport {
  public:
    explicit Driver(Machine& machine) : m_machine(machine) {}
    Result<Bytes> process(ByteView request) override {
        const std::uint16_t before = m_machine.used();
        m_machine.request(request);
        if (!m_machine.interrupted(20'000))
            return fail(Errc::Io, "no interrupt");
        EXPECT_EQ(m_machine.used(), static_cast<std::uint16_t>(before + 2));
        EXPECT_EQ(m_machine.used_at(before).head, 0u);
        EXPECT_EQ(m_machine.used_at(before).written, 0u);
        const RingUsed space = m_machine.used_at(static_cast<std::uint16_t>(before + 1));
        EXPECT_EQ(space.head, 1u);
        return m_machine.answer(space.written);
    }

  private:
    Machine& m_machine;
};

class NsmVhost : public testing::Test {
  protected:
    void SetUp() override {
        auto pki = SimPki::create(temp.path() / "pki", "/proc/self/exe");
        ASSERT_TRUE(pki);
        module = SoftwareNsm::create(std::move(*pki),
                                     {.pcrs = {{PcrIndex::of<0>(), filled(1)}}, .clock_ms = {}})
                     .value();
    }
    TempDir temp;
    std::unique_ptr<SoftwareNsm> module;
};

TEST_F(NsmVhost, GivesADriverWhatTheModuleGives) {
    Machine machine(*module);
    machine.boot();
    NsmClient client(std::make_unique<Driver>(machine));
    const auto described = client.describe();
    ASSERT_TRUE(described) << described.error().detail;
    EXPECT_EQ(described->locked_pcrs.size(), 16u);
    for (int i = 0; i < 300; ++i) { // the rings turn round many times
        const auto pcr = client.describe_pcr(PcrIndex::of<0>());
        ASSERT_TRUE(pcr) << pcr.error().detail;
        EXPECT_EQ(pcr->value, filled(1));
    }
    const Bytes nonce(32, 7);
    const auto document = client.attest(Bytes(33, 2), std::nullopt, nonce);
    ASSERT_TRUE(document) << document.error().detail;
    const AttestationVerifier verifier(
        TrustAnchor::from_pem_file(temp.path() / "pki" / "root.pem").value(),
        PcrPolicy::make({{.name = "it", .required = {{PcrIndex::of<0>(), filled(1)}}}}).value());
    const auto verified = verifier.verify(*document, {.nonce = nonce, .now_ms = unix_millis()});
    EXPECT_TRUE(verified) << verified.error().detail;
    // An error of the module is an answer like any other.
    EXPECT_FALSE(client.extend_pcr(PcrIndex::of<0>(), Bytes(3, 1)));
    EXPECT_TRUE(client.extend_pcr(PcrIndex::of<16>(), Bytes(3, 1)));
    EXPECT_TRUE(machine.hang_up());
}

TEST_F(NsmVhost, AnswersNothingBeforeTheQueueIsEnabled) {
    Machine machine(*module);
    machine.send(2, {kFeatures});
    machine.set_memory();
    machine.set_rings();
    machine.set_events();
    machine.request(as_bytes("\x6b"
                             "DescribeNSM"));
    EXPECT_EQ(machine.ask(17), 1u);
    EXPECT_EQ(machine.ask(17), 1u); // two turns of its loop later
    EXPECT_EQ(machine.used(), 0u);
    EXPECT_TRUE(machine.interrupted(0)); // that of the descriptor
    machine.enable();
    EXPECT_TRUE(machine.interrupted(20'000))
        << "what was asked before is answered now, without another kick";
    EXPECT_EQ(machine.used(), 2u);
    // Stopped: it says where it stands, and answers nothing any more.
    EXPECT_EQ(machine.ask(11, {0}), 2ull << 32);
    machine.request(as_bytes("\x6b"
                             "DescribeNSM"));
    EXPECT_EQ(machine.ask(17), 1u);
    EXPECT_EQ(machine.used(), 2u);
    EXPECT_TRUE(machine.hang_up());
}

TEST_F(NsmVhost, ConfirmsWhatItIsAskedToConfirm) {
    Machine machine(*module);
    EXPECT_EQ(machine.ask(3, {}, kNeedReply), 0u);
    EXPECT_EQ(machine.ask(2, {kFeatures}, kNeedReply), 0u);
    EXPECT_TRUE(machine.hang_up());
}

TEST_F(NsmVhost, WaitsForTheBufferOfTheAnswer) {
    Machine machine(*module);
    machine.boot();
    const ByteView request = as_bytes("\x6b"
                                      "DescribeNSM");
    for (std::size_t i = 0; i < request.size(); ++i)
        machine.put(kRequest + i, request[i]);
    machine.describe(0, kGuestBase + kRequest, 5, RingDescriptor::kNext, 1); // in two pieces
    machine.describe(1, kGuestBase + kRequest + 5, request.size() - 5, 0);
    machine.publish(0);
    machine.kick();
    EXPECT_EQ(machine.ask(17), 1u);
    EXPECT_EQ(machine.ask(17), 1u);
    EXPECT_EQ(machine.used(), 0u);
    EXPECT_TRUE(machine.hang_up());
}

/// A driver or front-end that is broken, or means ill.
struct Attack {
    const char* name;
    void (*play)(Machine&);
};
void PrintTo(const Attack& attack, std::ostream* out) {
    *out << attack.name;
}

class NsmVhostAttack : public NsmVhost, public testing::WithParamInterface<Attack> {};

TEST_P(NsmVhostAttack, EndsTheConnectionAndNothingElse) {
    Machine machine(*module);
    machine.boot();
    GetParam().play(machine);
    static_cast<void>(machine.ask(17));
    const Status result = machine.hang_up();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::InvalidArgument) << result.error().detail;
    // The module is unharmed: the next machine is served.
    Machine next(*module);
    next.boot();
    EXPECT_TRUE(NsmClient(std::make_unique<Driver>(next)).describe());
}

const Bytes kAsk = to_bytes(as_bytes("\x6b"
                                     "DescribeNSM"));

INSTANTIATE_TEST_SUITE_P(
    All, NsmVhostAttack,
    testing::Values(
        Attack{"RequestOutsideOfMemory",
               [](Machine& m) {
                   m.describe(0, kGuestBase + kMemory - 4, 5, 0);
                   m.describe(1, kGuestBase + kAnswer, kMaxResponse, RingDescriptor::kDeviceWrites);
                   m.publish(0);
                   m.publish(1);
                   m.kick();
               }},
        Attack{"RequestThatWrapsAround",
               [](Machine& m) {
                   m.describe(0, UINT64_MAX - 2, 5, 0);
                   m.describe(1, kGuestBase + kAnswer, kMaxResponse, RingDescriptor::kDeviceWrites);
                   m.publish(0);
                   m.publish(1);
                   m.kick();
               }},
        Attack{"RequestTooLong",
               [](Machine& m) {
                   m.describe(0, kGuestBase, kMaxRequest + 1, 0);
                   m.describe(1, kGuestBase + kAnswer, kMaxResponse, RingDescriptor::kDeviceWrites);
                   m.publish(0);
                   m.publish(1);
                   m.kick();
               }},
        Attack{"AnswerDoesNotFit", [](Machine& m) { m.request(kAsk, 8); }},
        Attack{"AnswerOutsideOfMemory",
               [](Machine& m) {
                   m.describe(0, kGuestBase + kRequest, 5, 0);
                   m.describe(1, kGuestBase + kMemory - 4, kMaxResponse,
                              RingDescriptor::kDeviceWrites);
                   m.publish(0);
                   m.publish(1);
                   m.kick();
               }},
        Attack{"AnswerThatTheDeviceMayNotWrite",
               [](Machine& m) {
                   m.describe(0, kGuestBase + kRequest, 5, 0);
                   m.describe(1, kGuestBase + kAnswer, kMaxResponse, 0);
                   m.publish(0);
                   m.publish(1);
                   m.kick();
               }},
        Attack{"ChainInACircle",
               [](Machine& m) {
                   m.describe(0, kGuestBase + kRequest, 5, RingDescriptor::kNext, 0);
                   m.publish(0);
                   m.publish(0);
                   m.kick();
               }},
        Attack{"ChainOutOfTheTable",
               [](Machine& m) {
                   m.describe(0, kGuestBase + kRequest, 5, RingDescriptor::kNext, 2);
                   m.publish(0);
                   m.publish(1);
                   m.kick();
               }},
        Attack{"IndirectDescriptor",
               [](Machine& m) {
                   m.describe(0, kGuestBase + kRequest, 16, RingDescriptor::kIndirect);
                   m.publish(0);
                   m.publish(1);
                   m.kick();
               }},
        Attack{"HeadOutOfTheTable",
               [](Machine& m) {
                   m.publish(9);
                   m.publish(1);
                   m.kick();
               }},
        Attack{"MoreAvailableThanThereIs",
               [](Machine& m) {
                   m.index(kAvailable).store(3);
                   m.kick();
               }},
        Attack{"RingsOutsideOfMemory",
               [](Machine& m) {
                   m.send(9, {0, kUserBase + kMemory - 8, kUserBase + kUsed, kUserBase + kAvailable,
                              0});
               }},
        Attack{"RingsAtOddAddresses",
               [](Machine& m) {
                   m.send(9, {0, kUserBase + 4, kUserBase + kUsed, kUserBase + kAvailable, 0});
               }},
        Attack{"QueueOfThree", [](Machine& m) { m.send(8, {3ull << 32}); }},
        Attack{"QueueOfNone", [](Machine& m) { m.send(8, {0}); }},
        Attack{"QueueTooLarge", [](Machine& m) { m.send(8, {512ull << 32}); }},
        Attack{"SecondQueue", [](Machine& m) { m.send(18, {1 | 1ull << 32}); }},
        Attack{"KickWithoutDescriptor", [](Machine& m) { m.send(12, {0}); }},
        Attack{"KickDescriptorThatIsDead",
               [](Machine& m) {
                   int ends[2];
                   ASSERT_EQ(::pipe(ends), 0);
                   ::close(ends[1]);
                   m.send(12, {0}, ends[0]);
                   ::close(ends[0]);
               }},
        Attack{"MemoryBeyondItsFile",
               [](Machine& m) {
                   const OwnedFd file(::memfd_create("small", MFD_CLOEXEC));
                   EXPECT_EQ(::ftruncate(file.get(), 0x1000), 0);
                   m.send(5, {1, kGuestBase, 0x1001, kUserBase, 0}, file.get());
               }},
        Attack{"MemoryThatWrapsAround",
               [](Machine& m) {
                   const OwnedFd file(::memfd_create("small", MFD_CLOEXEC));
                   m.send(5, {1, UINT64_MAX - 2, 0x1000, kUserBase, UINT64_MAX}, file.get());
               }},
        Attack{"MemoryWithoutFiles",
               [](Machine& m) {
                   m.send(5, {1, kGuestBase, kMemory, kUserBase, 0});
               }},
        Attack{"FeatureNotOffered", [](Machine& m) { m.send(2, {kFeatures | 1ull << 28}); }},
        Attack{"RequestNotOffered", [](Machine& m) { m.send(24, {0}); }},
        Attack{"ShortMessage", [](Machine& m) { m.send(2, {}); }}),
    [](const auto& param) { return std::string(param.param.name); });

} // namespace
} // namespace keymeld::nsm
