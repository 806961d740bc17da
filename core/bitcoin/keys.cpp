#include "core/bitcoin/keys.h"

#include <stdexcept>

#include <secp256k1.h>
#include <secp256k1_extrakeys.h>

#include "core/base/hex.h"
#include "core/crypto/secp256k1_context.h"

namespace keymeld::bitcoin {

using crypto::misuse_reported;
using crypto::opaque_load;
using crypto::opaque_store;
using crypto::secp_context;

Result<XOnlyPubKey> XOnlyPubKey::parse(ByteView x32) {
    secp256k1_xonly_pubkey point;
    if (x32.size() != 32 || secp256k1_xonly_pubkey_parse(secp_context(), &point, x32.data()) != 1)
        return fail(Errc::InvalidPoint, "not an x-only public key");
    XOnlyPubKey key;
    std::memcpy(key.m_bytes.data(), x32.data(), x32.size());
    key.m_opaque = opaque_store(point);
    return key;
}

XOnlyPubKey XOnlyPubKey::from(const PlainPubKey& plain) {
    const auto full = opaque_load<secp256k1_pubkey>(plain.opaque());
    secp256k1_xonly_pubkey point;
    if (secp256k1_xonly_pubkey_from_pubkey(secp_context(), &point, nullptr, &full) != 1 ||
        misuse_reported())
        throw std::logic_error("public key object without a point");
    XOnlyPubKey key;
    std::memcpy(key.m_bytes.data(), plain.x_coordinate().data(), key.m_bytes.size());
    key.m_opaque = opaque_store(point);
    return key;
}

XOnlyPubKey XOnlyPubKey::from_opaque(const ByteArray<64>& opaque) {
    const auto point = opaque_load<secp256k1_xonly_pubkey>(opaque);
    XOnlyPubKey key;
    key.m_opaque = opaque;
    if (secp256k1_xonly_pubkey_serialize(secp_context(), key.m_bytes.data(), &point) != 1 ||
        misuse_reported())
        throw std::logic_error("x-only public key object without a point");
    return key;
}

std::string XOnlyPubKey::hex() const {
    return hex_encode(m_bytes);
}

bool is_below_group_order(const ByteArray<32>& scalar) {
    static constexpr ByteArray<32> kOrder{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
                                          0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b,
                                          0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};
    return scalar < kOrder;
}

} // namespace keymeld::bitcoin
