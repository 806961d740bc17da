#include "core/secure/cleanse.h"

#include <openssl/crypto.h>

namespace keymeld::secure {

void cleanse(MutableByteView bytes) noexcept {
    if (!bytes.empty())
        OPENSSL_cleanse(bytes.data(), bytes.size());
}

} // namespace keymeld::secure
