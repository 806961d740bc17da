#include "core/crypto/public_key.h"

#include <stdexcept>
#include <string_view>

#include <secp256k1.h>

#include "core/base/hex.h"
#include "core/base/uuid.h"
#include "core/crypto/secp256k1_context.h"

namespace keymeld::crypto {
namespace {

ByteArray<33> serialise(const secp256k1_pubkey& point) {
    ByteArray<33> out{};
    std::size_t length = out.size();
    if (secp256k1_ec_pubkey_serialize(secp_context(), out.data(), &length, &point,
                                      SECP256K1_EC_COMPRESSED) != 1 ||
        misuse_reported())
        throw std::logic_error("public key object without a point");
    return out;
}

} // namespace

Result<PlainPubKey> PlainPubKey::parse(ByteView sec1) {
    // The library would take the hybrid forms 06 and 07 of 65 bytes as well.
    const bool compressed = sec1.size() == 33 && (sec1[0] == 2 || sec1[0] == 3);
    const bool uncompressed = sec1.size() == 65 && sec1[0] == 4;
    secp256k1_pubkey point;
    if ((!compressed && !uncompressed) ||
        secp256k1_ec_pubkey_parse(secp_context(), &point, sec1.data(), sec1.size()) != 1)
        return fail(Errc::InvalidPoint, "not a secp256k1 public key of 33 or 65 bytes");
    PlainPubKey key;
    key.m_opaque = opaque_store(point);
    if (compressed)
        std::memcpy(key.m_bytes.data(), sec1.data(), sec1.size());
    else
        key.m_bytes = serialise(point);
    return key;
}

PlainPubKey PlainPubKey::from_opaque(const ByteArray<64>& opaque) {
    PlainPubKey key;
    key.m_opaque = opaque;
    key.m_bytes = serialise(opaque_load<secp256k1_pubkey>(opaque));
    return key;
}

std::string PlainPubKey::hex() const {
    return hex_encode(m_bytes);
}

ByteArray<65> PlainPubKey::uncompressed() const {
    const auto point = opaque_load<secp256k1_pubkey>(m_opaque);
    ByteArray<65> out{};
    std::size_t length = out.size();
    if (secp256k1_ec_pubkey_serialize(secp_context(), out.data(), &length, &point,
                                      SECP256K1_EC_UNCOMPRESSED) != 1 ||
        misuse_reported())
        throw std::logic_error("public key object without a point");
    return out;
}

} // namespace keymeld::crypto

std::size_t std::hash<keymeld::crypto::PlainPubKey>::operator()(
    const keymeld::crypto::PlainPubKey& key) const noexcept {
    // An x-coordinate can be ground to order; two of its words through the seeded hash of ids
    // cannot be aimed.
    keymeld::Uuid words;
    for (std::size_t i = 0; i < 32; ++i)
        words.bytes[i % 16] = static_cast<std::uint8_t>(words.bytes[i % 16] ^ key.bytes()[i + 1]);
    words.bytes[0] = static_cast<std::uint8_t>(words.bytes[0] ^ key.bytes()[0]);
    return std::hash<keymeld::Uuid>{}(words);
}
