#include "enclave/image/init/signer_process.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "enclave/image/init/console.h"

namespace keymeld::init {
namespace {

bool limit(int resource, rlim_t value) {
    const rlimit both{value, value};
    return ::setrlimit(resource, &both) == 0;
}

/// The kernel says EINVAL for the first capability that it does not have.
bool drop_capability_bounds() {
    for (unsigned long capability = 0; capability < 64; ++capability)
        if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
            return errno == EINVAL && capability > 0;
    return true;
}

bool become_signer() {
    return limit(RLIMIT_CORE, 0) && limit(RLIMIT_MEMLOCK, RLIM_INFINITY) && ::setsid() >= 0 &&
           drop_capability_bounds() && ::setgroups(0, nullptr) == 0 &&
           ::setresgid(kSignerAccount, kSignerAccount, kSignerAccount) == 0 &&
           ::setresuid(kSignerAccount, kSignerAccount, kSignerAccount) == 0 &&
           ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::chdir("/") == 0;
}

[[noreturn]] void run_signer() {
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (nothing < 0 || ::dup2(nothing, STDIN_FILENO) < 0 || !become_signer()) {
        failed("cannot drop privileges");
        ::_exit(126);
    }
    ::close(nothing);
    char name[] = "keymeld-enclave";
    char option[] = "--listen";
    char place[] = "vsock:5000";
    char* arguments[] = {name, option, place, nullptr};
    char* environment[] = {nullptr};
    ::execve(kSigner, arguments, environment);
    failed(kSigner);
    ::_exit(127);
}

} // namespace

pid_t start_signer() {
    const pid_t signer = ::fork();
    if (signer == 0)
        run_signer();
    if (signer < 0)
        failed("fork");
    return signer;
}

} // namespace keymeld::init
