#include "core/crypto/peer_channel.h"

#include <algorithm>

#include "core/crypto/aead.h"
#include "core/crypto/ecdh.h"
#include "core/crypto/hkdf.h"
#include "core/secure/random.h"

namespace keymeld::crypto {
namespace {

Bytes joined(std::initializer_list<ByteView> parts) {
    Bytes out;
    for (const ByteView part : parts)
        out.insert(out.end(), part.begin(), part.end());
    return out;
}

} // namespace

Result<PeerChannel> PeerChannel::create(const SecretKey& mine, const PlainPubKey& peer) {
    const PlainPubKey& self = mine.public_key();
    if (self == peer)
        return fail(Errc::InvalidArgument, "a peer channel needs two different keys");
    KEYMELD_TRY(const auto shared, ecdh(mine, peer));
    const Bytes info = joined(
        {as_bytes("keymeld-peer-v1"), std::min(self, peer).bytes(), std::max(self, peer).bytes()});
    return PeerChannel(hkdf_sha256_key(shared.expose(), info), self, peer);
}

secure::SecretArray<32> PeerChannel::message_key(const PlainPubKey& sender,
                                                 std::string_view context) const {
    const Bytes info = joined({as_bytes("keymeld-peer-box-v1"), sender.bytes(), as_bytes(context)});
    return hkdf_sha256_key(m_key.expose(), info);
}

secure::SecretArray<32> PeerChannel::derive_key(std::string_view purpose) const {
    const Bytes info = joined({as_bytes("keymeld-peer-key-v1"), as_bytes(purpose)});
    return hkdf_sha256_key(m_key.expose(), info);
}

Bytes PeerChannel::seal(std::string_view context, ByteView plaintext, ByteView aad) const {
    const AeadNonce nonce = secure::random_array<kAeadNonceSize>();
    return joined({nonce, aes256gcm_seal(message_key(m_mine, context), nonce, plaintext, aad)});
}

Result<secure::SecretBytes> PeerChannel::open(std::string_view context, ByteView box,
                                              ByteView aad) const {
    if (box.size() < kAeadNonceSize + kAeadTagSize)
        return fail(Errc::DecryptFailed, "peer box is too short");
    AeadNonce nonce;
    std::copy_n(box.begin(), nonce.size(), nonce.begin());
    return aes256gcm_open(message_key(m_peer, context), nonce, box.subspan(kAeadNonceSize), aad);
}

} // namespace keymeld::crypto
