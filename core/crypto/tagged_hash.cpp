#include "core/crypto/tagged_hash.h"

#include <cstring>

namespace keymeld::crypto {
namespace {

ByteArray<64> prefix_of(std::string_view tag) {
    const Hash256 hashed = sha256(as_bytes(tag));
    ByteArray<64> out;
    std::memcpy(out.data(), hashed.data(), 32);
    std::memcpy(out.data() + 32, hashed.data(), 32);
    return out;
}

} // namespace

HashTag::HashTag(std::string_view tag) : m_prefix(prefix_of(tag)) {}

Hash256 HashTag::hash(std::initializer_list<ByteView> parts) const {
    Sha256 digest;
    digest.update(m_prefix);
    for (const ByteView part : parts)
        digest.update(part);
    return digest.finish();
}

Hash256 tagged_hash(std::string_view tag, std::initializer_list<ByteView> parts) {
    return HashTag(tag).hash(parts);
}

} // namespace keymeld::crypto
