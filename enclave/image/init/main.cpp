// The first process of an enclave (PID 1). Whatever goes wrong, it restarts the enclave: an enclave
// that does not work as measured is of no use, and on Nitro a restart ends it.
#include <csignal>

#include <linux/reboot.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "enclave/image/init/console.h"
#include "enclave/image/init/entropy.h"
#include "enclave/image/init/file_systems.h"
#include "enclave/image/init/heartbeat.h"
#include "enclave/image/init/signer_process.h"

namespace keymeld::init {
namespace {

/// Reaps every process until the signer itself is gone.
void wait_for(pid_t signer) {
    for (;;) {
        int status = 0;
        const pid_t ended = ::waitpid(-1, &status, 0);
        if (ended < 0 && errno == EINTR)
            continue;
        if (ended < 0)
            return;
        if (ended != signer)
            continue;
        if (WIFSIGNALED(status))
            ::dprintf(STDERR_FILENO, "keymeld-init: the signer was killed by signal %d\n",
                      WTERMSIG(status));
        else
            ::dprintf(STDERR_FILENO, "keymeld-init: the signer ended with code %d\n",
                      WEXITSTATUS(status));
        return;
    }
}

void run() {
    ::umask(077);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    // The heartbeat says that all is well, so it comes last.
    if (!set_up_file_systems() || !stir_module_entropy() || !send_heartbeat())
        return;
    const pid_t signer = start_signer();
    if (signer > 0)
        wait_for(signer);
}

} // namespace
} // namespace keymeld::init

int main() {
    if (::getpid() != 1) {
        keymeld::init::say(
            "this is the first process of an enclave image; it does nothing elsewhere");
        return 1;
    }
    keymeld::init::run();
    keymeld::init::say("restarting the enclave");
    ::sync();
    ::reboot(LINUX_REBOOT_CMD_RESTART);
    return 1; // the kernel panics, and restarts
}
