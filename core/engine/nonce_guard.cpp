#include "core/engine/nonce_guard.h"

#include <cstring>

#include "core/crypto/digest.h"

namespace keymeld::engine {

plugin::Hash32 session_nonce_key(const KeygenId& keygen, std::string_view nonce) {
    return crypto::sha256({as_bytes("keymeld-nonce-session-v1"), keygen.view(), as_bytes(nonce)});
}

plugin::Hash32 signing_nonce_key(const UserId& user, const ByteArray<33>& public_key, std::string_view nonce) {
    return crypto::sha256({as_bytes("keymeld-nonce-signing-v1"), user.view(), public_key, as_bytes(nonce)});
}

plugin::Hash32 user_nonce_key(const KeyId& key, std::string_view nonce) {
    return crypto::sha256({as_bytes("keymeld-nonce-user-v1"), key.view(), as_bytes(nonce)});
}

std::string_view session_header_nonce(std::string_view header) { return header.substr(0, header.find(':')); }

Result<SigningHeaderParts> signing_header_parts(std::string_view header) {
    const std::size_t first = header.find(':');
    const std::size_t second = first == std::string_view::npos ? first : header.find(':', first + 1);
    if (second == std::string_view::npos)
        return fail(Errc::AuthMalformed, "X-Signing-HMAC is not of the form <user_id>:<nonce>:<signature>");
    const auto user = Uuid::parse_canonical(header.substr(0, first));
    if (!user)
        return fail(Errc::AuthMalformed, "X-Signing-HMAC does not start with a user id");
    return SigningHeaderParts{UserId(*user), header.substr(first + 1, second - first - 1)};
}

NonceGuard::Claim::Claim(NonceGuard& guard, const plugin::Hash32& key)
    : m_guard(guard), m_key(key), m_fresh(guard.m_held.insert(key).second) {}

NonceGuard::Claim::~Claim() {
    if (m_fresh)
        m_guard.m_held.erase(m_key);
}

std::size_t NonceGuard::KeyHash::operator()(const plugin::Hash32& key) const noexcept {
    std::size_t hash = 0;
    std::memcpy(&hash, key.data(), sizeof hash); // a SHA-256: its first bytes are as good as any hash
    return hash;
}

} // namespace keymeld::engine
