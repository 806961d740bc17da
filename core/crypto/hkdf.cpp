#include "core/crypto/hkdf.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "core/crypto/hmac.h"
#include "core/secure/cleanse.h"

namespace keymeld::crypto {

void hkdf_sha256(ByteView salt, ByteView ikm, ByteView info, MutableByteView out) {
    if (out.empty() || out.size() > 255 * 32)
        throw std::length_error("HKDF output size");
    static constexpr ByteArray<32> kNoSalt{};
    Hash256 prk = hmac_sha256(salt.empty() ? ByteView(kNoSalt) : salt, ikm);
    const secure::ScopedCleanse wipe_prk(prk);

    Hash256 block;
    const secure::ScopedCleanse wipe_block(block);
    ByteView previous;
    for (std::uint8_t counter = 1; !out.empty(); ++counter) {
        block = hmac_sha256(prk, {previous, info, ByteView(&counter, 1)});
        previous = block;
        const std::size_t part = std::min(out.size(), block.size());
        std::memcpy(out.data(), block.data(), part);
        out = out.subspan(part);
    }
}

secure::SecretArray<32> hkdf_sha256_key(ByteView ikm, ByteView info) {
    secure::SecretArray<32> out;
    hkdf_sha256({}, ikm, info, out.expose_mut());
    return out;
}

} // namespace keymeld::crypto
