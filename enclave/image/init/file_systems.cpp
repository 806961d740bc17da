#include "enclave/image/init/file_systems.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "enclave/image/init/console.h"

namespace keymeld::init {
namespace {

bool mount_at(const char* folder, const char* kind, unsigned long flags, const char* options) {
    if (::mkdir(folder, 0755) != 0 && errno != EEXIST)
        return failed(folder);
    if (::mount(kind, folder, kind, flags, options) != 0)
        return failed(folder);
    return true;
}

bool open_console() {
    const int console = ::open("/dev/console", O_RDWR | O_NOCTTY);
    if (console < 0)
        return failed("/dev/console");
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream)
        if (console != stream && ::dup2(console, stream) < 0)
            return failed("/dev/console");
    if (console > STDERR_FILENO)
        ::close(console);
    return true;
}

} // namespace

bool set_up_file_systems() {
    constexpr unsigned long kNoPrograms = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    return mount_at("/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755") && open_console() &&
           mount_at("/proc", "proc", kNoPrograms, "hidepid=2") &&
           mount_at("/sys", "sysfs", kNoPrograms | MS_RDONLY, nullptr) &&
           (::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_RDONLY | MS_NOSUID, nullptr) == 0 ||
            failed("cannot make the root read-only"));
}

} // namespace keymeld::init
