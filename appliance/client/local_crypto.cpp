#include "appliance/client/local_crypto.h"

#include <algorithm>

#include "core/bitcoin/schnorr.h"
#include "core/bitcoin/taproot.h"
#include "core/crypto/ecdsa.h"

namespace keymeld::client {
namespace {

constexpr ByteArray<32> kOrder{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
                               0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};

/// order - s, for an s below the order. Public values: not constant time.
void negate(std::span<std::uint8_t, 32> s) {
    int borrow = 0;
    for (std::size_t i = 32; i-- > 0;) {
        const int digit = kOrder[i] - s[i] - borrow;
        borrow = digit < 0 ? 1 : 0;
        s[i] = static_cast<std::uint8_t>(digit & 0xff);
    }
}

} // namespace

ByteArray<32> sha256(ByteView data) { return crypto::sha256(data); }

ByteArray<65> uncompressed(const bitcoin::PlainPubKey& key) { return key.uncompressed(); }

Result<bitcoin::PlainPubKey> taproot_output_key(const bitcoin::PlainPubKey& key, const std::optional<ByteArray<32>>& merkle_root) {
    KEYMELD_TRY(const auto output, bitcoin::taproot_output(bitcoin::XOnlyPubKey::from(key), merkle_root));
    ByteArray<33> even{0x02};
    std::copy(output.key.bytes().begin(), output.key.bytes().end(), even.begin() + 1);
    return bitcoin::PlainPubKey::parse(even);
}

Status verify_ecdsa(const bitcoin::PlainPubKey& key, const ByteArray<32>& hash, ByteView signature64) {
    crypto::EcdsaSignature signature{};
    if (signature64.size() != signature.size())
        return fail(Errc::InvalidSignature, "an ECDSA signature has 64 bytes");
    std::copy(signature64.begin(), signature64.end(), signature.begin());
    if (Status low = crypto::ecdsa_verify(signature, hash, key); low)
        return low;
    const std::span<std::uint8_t, 32> s(signature.data() + 32, 32);
    if (std::lexicographical_compare(s.begin(), s.end(), kOrder.begin(), kOrder.end()))
        negate(s);
    return crypto::ecdsa_verify(signature, hash, key);
}

Status verify_schnorr(const bitcoin::PlainPubKey& key, const ByteArray<32>& message, ByteView signature64) {
    KEYMELD_TRY(const auto signature, bitcoin::SchnorrSignature::parse(signature64));
    return bitcoin::schnorr_verify(signature, message, bitcoin::XOnlyPubKey::from(key));
}

} // namespace keymeld::client
