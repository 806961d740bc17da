#include "core/secure/process.h"

#include <cerrno>
#include <cstring>

#include <sys/prctl.h>
#include <sys/resource.h>

#include <openssl/crypto.h>

#include "core/secure/locked_pool.h"

namespace keymeld::secure {

Status harden_process(std::size_t locked_bytes) {
    const rlimit no_core{0, 0};
    if (setrlimit(RLIMIT_CORE, &no_core) != 0)
        return fail(Errc::Io, std::string("cannot turn core dumps off (RLIMIT_CORE): ") +
                                  std::strerror(errno));
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return fail(Errc::Io,
                    std::string("cannot make the process non-dumpable: ") + std::strerror(errno));
    return locked_pool::reserve(locked_bytes);
}

void ignore_openssl_configuration() {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
}

} // namespace keymeld::secure
