#include "core/secure/random.h"

#include <algorithm>
#include <limits>

#include <openssl/rand.h>

namespace keymeld::secure {

void random_bytes(MutableByteView out) {
    while (!out.empty()) {
        const std::size_t part = std::min<std::size_t>(out.size(), std::numeric_limits<int>::max());
        if (RAND_priv_bytes(out.data(), static_cast<int>(part)) != 1)
            throw std::runtime_error("the random number generator failed");
        out = out.subspan(part);
    }
}

void stir_random(ByteView bytes) {
    while (!bytes.empty()) {
        const std::size_t part =
            std::min<std::size_t>(bytes.size(), std::numeric_limits<int>::max());
        RAND_add(bytes.data(), static_cast<int>(part), 0.0);
        bytes = bytes.subspan(part);
    }
}

} // namespace keymeld::secure
