#include "core/crypto/hmac.h"

#include <algorithm>

#include "core/crypto/digest.h"
#include "core/secure/cleanse.h"

namespace keymeld::crypto {
namespace {

using Block = ByteArray<kHmacBlock>;

/// RFC 2104: the key, hashed if it is longer than a block, padded with zeros.
void fill_block(ByteView key, MutableByteView block) {
    if (key.size() > block.size()) {
        Hash256 hashed = sha256(key);
        const secure::ScopedCleanse wipe(hashed);
        std::copy(hashed.begin(), hashed.end(), block.begin());
    } else {
        std::copy(key.begin(), key.end(), block.begin());
    }
}

void pad(ByteView block, std::uint8_t with, Block& out) {
    for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = static_cast<std::uint8_t>(block[i] ^ with);
}

Hash256 run(ByteView block, std::initializer_list<ByteView> parts) {
    Sha256 digest;
    Block padded;
    const secure::ScopedCleanse wipe_padded(padded);
    pad(block, 0x36, padded);
    digest.update(padded);
    for (const ByteView part : parts)
        digest.update(part);
    Hash256 inner = digest.finish();
    const secure::ScopedCleanse wipe_inner(inner);
    pad(block, 0x5c, padded);
    return digest.update(padded).update(inner).finish();
}

} // namespace

Hash256 hmac_sha256(ByteView key, std::initializer_list<ByteView> parts) {
    Block block{};
    const secure::ScopedCleanse wipe(block);
    fill_block(key, block);
    return run(block, parts);
}

HmacKey::HmacKey(ByteView key) { fill_block(key, m_block.expose_mut()); }

Hash256 HmacKey::mac(std::initializer_list<ByteView> parts) const { return run(m_block.expose(), parts); }

} // namespace keymeld::crypto
