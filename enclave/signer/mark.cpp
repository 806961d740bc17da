#include "enclave/signer/mark.h"

#include <algorithm>
#include <cstring>

namespace keymeld::enclave {

Mark Marker::mark(std::uint8_t kind, ByteView a, ByteView b, ByteView c) const {
    const crypto::Hash256 digest = crypto::sha256({m_key.expose(), ByteView(&kind, 1), a, b, c});
    Mark out = 0;
    std::memcpy(&out, digest.data(), sizeof out);
    return std::max<Mark>(out, 1);
}

Mark Marker::keygen(const KeygenId& keygen) const {
    return mark(1, keygen.view(), {});
}

Mark Marker::user(const KeygenId& keygen, const UserId& user) const {
    return mark(2, keygen.view(), user.view());
}

Mark Marker::signing(const KeygenId& keygen, const SigningId& signing) const {
    return mark(3, keygen.view(), signing.view());
}

Mark Marker::blob(const crypto::Hash256& binding_id) const {
    return mark(4, binding_id, {});
}

Mark Marker::session_nonce(const KeygenId& keygen, std::string_view nonce) const {
    return mark(5, keygen.view(), as_bytes(nonce));
}

Mark Marker::signing_nonce(const UserId& user, const crypto::PlainPubKey& key,
                           std::string_view nonce) const {
    return mark(6, user.view(), key.bytes(), as_bytes(nonce));
}

Mark Marker::key(const KeyId& key) const {
    return mark(7, key.view(), {});
}

Mark Marker::key_user(const KeyId& key, const UserId& user) const {
    return mark(8, key.view(), user.view());
}

Mark Marker::key_signing(const KeyId& key, const SigningId& signing) const {
    return mark(9, key.view(), signing.view());
}

Mark Marker::user_nonce(const KeyId& key, std::string_view nonce) const {
    return mark(10, key.view(), as_bytes(nonce));
}

Mark Marker::key_approval(const KeyId& key, const crypto::Hash256& digest) const {
    return mark(11, key.view(), digest);
}

} // namespace keymeld::enclave
