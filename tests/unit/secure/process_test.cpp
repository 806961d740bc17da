#include "core/secure/process.h"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace keymeld::secure {
namespace {

// 0 if `check` holds in a forked child; hardening cannot be undone.
template <class Check> int child_says(Check check) {
    const pid_t child = fork();
    if (child == 0)
        _exit(check());
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(HardenProcess, TurnsCoreDumpsAndTracingOff) {
    EXPECT_EQ(child_says([] {
                  if (!harden_process())
                      return 1;
                  rlimit core{1, 1};
                  getrlimit(RLIMIT_CORE, &core);
                  if (core.rlim_cur != 0 || core.rlim_max != 0)
                      return 2;
                  return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 3;
              }),
              0);
}

#if !defined(KEYMELD_SANITIZED) && !defined(KEYMELD_DEBUG_BUILD)
TEST(HardenProcess, RefusesToStartWithoutLockedMemory) {
    EXPECT_EQ(child_says([] {
                  const rlimit none{0, 0};
                  if (setrlimit(RLIMIT_MEMLOCK, &none) != 0)
                      return 1;
                  if (geteuid() == 0 &&
                      (setgroups(0, nullptr) != 0 || setresuid(65534, 65534, 65534) != 0))
                      return 2;
                  const Status status = harden_process();
                  if (status)
                      return 3;
                  if (status.error().code != Errc::Io)
                      return 4;
                  return status.error().detail.find("RLIMIT_MEMLOCK") != std::string::npos ? 0 : 5;
              }),
              0);
}
#endif

} // namespace
} // namespace keymeld::secure
