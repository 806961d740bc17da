#include "core/secure/locked_pool.h"

#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include <grp.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/secure/random.h"
#include "core/secure/secret.h"

namespace keymeld::secure {
namespace {

bool all_zero(const void* block, std::size_t size) {
    const auto* bytes = static_cast<const std::uint8_t*>(block);
    return std::all_of(bytes, bytes + size, [](std::uint8_t byte) { return byte == 0; });
}

TEST(LockedPool, BlocksAreZeroAlignedAndApart) {
    std::map<std::uint8_t*, std::size_t> blocks;
    for (std::size_t size = 1; size < 9000; size += size < 300 ? 1 : 997) {
        auto* const block = static_cast<std::uint8_t*>(locked_pool::allocate(size));
        EXPECT_TRUE(all_zero(block, size));
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 16, 0u);
        std::memset(block, 0xee, size);
        blocks.emplace(block, size);
    }
    const std::uint8_t* end = nullptr;
    for (const auto& [block, size] : blocks) {
        EXPECT_GE(block, end);
        end = block + size;
    }
    for (const auto& [block, size] : blocks)
        locked_pool::deallocate(block, size);
}

TEST(LockedPool, ThreadsGetDifferentBlocks) {
    const auto work = [](std::uint8_t mark) {
        for (int round = 0; round < 200; ++round) {
            std::vector<SecretBytes> held;
            for (std::size_t i = 1; i < 60; ++i) {
                held.emplace_back(i);
                std::memset(held.back().expose_mut().data(), mark, i);
            }
            for (const SecretBytes& secret : held) {
                for (const std::uint8_t byte : secret.expose())
                    ASSERT_EQ(byte, mark);
            }
        }
    };
    std::thread first(work, std::uint8_t{1});
    std::thread second(work, std::uint8_t{2});
    first.join();
    second.join();
}

#if !defined(KEYMELD_SANITIZED)

// Runs `check` in a forked child; its text, "" for success, comes back through a pipe.
template <class Check> std::string in_child(Check check) {
    int ends[2];
    if (pipe(ends) != 0)
        return "pipe failed";
    const pid_t child = fork();
    if (child == 0) {
        std::string said;
        try {
            said = check();
        } catch (const std::exception& error) {
            said = std::string("exception: ") + error.what();
        }
        const auto written = write(ends[1], said.data(), said.size());
        _exit(written == static_cast<ssize_t>(said.size()) ? 0 : 1);
    }
    close(ends[1]);
    std::string said;
    char buffer[512];
    for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;)
        said.append(buffer, static_cast<std::size_t>(got));
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return status == 0 ? said : "child failed: " + said;
}

// An ordinary user with the given RLIMIT_MEMLOCK; root may lock without limit.
void become_ordinary_user(rlim_t limit) {
    const rlimit wanted{limit, limit};
    if (setrlimit(RLIMIT_MEMLOCK, &wanted) != 0)
        throw std::runtime_error("setrlimit");
    if (geteuid() == 0 && (setgroups(0, nullptr) != 0 || setresgid(65534, 65534, 65534) != 0 ||
                           setresuid(65534, 65534, 65534) != 0))
        throw std::runtime_error("cannot give up root");
}

TEST(LockedPool, FreedBlocksAreWiped) {
    for (const std::size_t size : {32u, 100u, 4096u}) {
        auto* const block = static_cast<std::uint8_t*>(locked_pool::allocate(size));
        std::memset(block, 0xaa, size);
        locked_pool::deallocate(block, size);
        // The pool keeps the page and links free blocks through their first word.
        EXPECT_TRUE(all_zero(block + sizeof(void*), size - sizeof(void*)));
        void* const again = locked_pool::allocate(size);
        EXPECT_EQ(again, block);
        EXPECT_TRUE(all_zero(again, size));
        locked_pool::deallocate(again, size);
    }
}

// The VmFlags line of the mapping that holds an address.
std::string vm_flags(const void* address) {
    std::ifstream maps("/proc/self/smaps");
    const auto wanted = reinterpret_cast<std::uintptr_t>(address);
    bool inside = false;
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t low = 0;
        std::uintptr_t high = 0;
        char dash = 0;
        std::istringstream head(line);
        if (head >> std::hex >> low >> dash >> high && dash == '-')
            inside = low <= wanted && wanted < high;
        else if (inside && line.starts_with("VmFlags:"))
            return line + " ";
    }
    return "";
}

TEST(LockedPool, PagesAreLockedUndumpableAndEmptyInAChild) {
    const SecretArray<32> small;
    const SecretBytes large(10'000);
    for (const void* const address : {static_cast<const void*>(small.expose().data()),
                                      static_cast<const void*>(large.expose().data())}) {
        const std::string flags = vm_flags(address);
        for (const char* const flag : {" lo ", " dd ", " wf "})
            EXPECT_NE(flags.find(flag), std::string::npos) << flag << "not in " << flags;
    }
}

TEST(LockedPool, LargeBlocksLieBetweenGuardPages) {
    SecretBytes secret(8192);
    volatile std::uint8_t* const data = secret.expose_mut().data();
    EXPECT_EXIT(data[-1] = 1, testing::KilledBySignal(SIGSEGV), "");
    EXPECT_EXIT(data[8192] = 1, testing::KilledBySignal(SIGSEGV), "");
}

TEST(LockedPool, AForkedChildSeesNoSecretsAndCanMakeItsOwn) {
    auto secret = SecretArray<32>::copy_of(ByteArray<32>{0xaa, 0xbb});
    SecretBytes large = SecretBytes::copy_of(Bytes(20'000, 0xcc));
    const std::string said = in_child([&]() -> std::string {
        if (!all_zero(secret.expose().data(), 32) || !all_zero(large.expose().data(), large.size()))
            return "the child sees the parent's secret";
        std::vector<SecretArray<32>> own;
        for (int i = 0; i < 5000; ++i) {
            own.push_back(random_secret<32>());
            if (i % 1000 == 0 &&
                vm_flags(own.back().expose().data()).find(" lo ") == std::string::npos)
                return "the child's memory is not locked";
        }
        secret.wipe();
        large.wipe();
        return own.size() == 5000 ? "" : "lost some";
    });
    EXPECT_EQ(said, "");
    EXPECT_EQ(secret.expose()[1], 0xbb);
    EXPECT_EQ(large.expose()[19'999], 0xcc);
}

TEST(LockedPool, TwentyThousandKeysFitIntoTheLimitOfAnOrdinaryUser) {
    const std::string said = in_child([]() -> std::string {
        become_ordinary_user(8 * 1024 * 1024);
        std::vector<SecretArray<32>> keys;
        for (int i = 0; i < 20'000; ++i)
            keys.push_back(random_secret<32>());
        const auto usage = locked_pool::usage();
        if (usage.locked_bytes > usage.live_bytes * 3)
            return "wasteful: " + std::to_string(usage.locked_bytes);
        return "";
    });
    EXPECT_EQ(said, "");
}

TEST(LockedPool, SaysWhatToDoAtTheLimitAndGoesOnWithWhatItHas) {
    const std::string said = in_child([]() -> std::string {
        become_ordinary_user(1024 * 1024);
        std::vector<SecretArray<128>> keys;
        try {
            for (int i = 0; i < 100'000; ++i)
                keys.emplace_back();
            return "the limit was not reached";
        } catch (const LockedMemoryExhausted& error) {
            const std::string text = error.what();
            for (const char* const part :
                 {"RLIMIT_MEMLOCK", "is 1024 KiB", "ulimit -l", "LimitMEMLOCK="}) {
                if (text.find(part) == std::string::npos)
                    return "no " + std::string(part) + " in: " + text;
            }
        }
        if (keys.size() < 7000) // 1 MiB holds 8192
            return "only " + std::to_string(keys.size()) + " keys fitted";
        keys.pop_back();
        keys.emplace_back(); // memory that was given back can be used again
        if (locked_pool::reserve(4 * 1024 * 1024))
            return "reserve went beyond the limit";
        return "";
    });
    EXPECT_EQ(said, "");
}

#endif

} // namespace
} // namespace keymeld::secure
