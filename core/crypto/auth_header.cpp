#include "core/crypto/auth_header.h"

#include "core/base/hex.h"
#include "core/crypto/hmac.h"
#include "core/secure/compare.h"
#include "core/secure/random.h"

namespace keymeld::crypto {
namespace {

constexpr std::size_t kMinNonceText = 32;
constexpr std::size_t kMaxNonceText = 128;
constexpr std::size_t kUuidText = 36;

Error missing() {
    return fail(Errc::AuthMissing, "authentication header is missing");
}
Error malformed() {
    return fail(Errc::AuthMalformed, "authentication header is malformed");
}

bool is_lower_hex(std::string_view text) {
    for (const char c : text) {
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

bool is_nonce(std::string_view text) {
    return text.size() >= kMinNonceText && text.size() <= kMaxNonceText && text.size() % 2 == 0 &&
           is_lower_hex(text);
}

Result<Hash256> user_signature_digest(const Uuid& scope, const UserId& user,
                                      std::string_view nonce) {
    const auto raw = hex_decode(nonce);
    if (!raw || !is_nonce(nonce))
        return malformed();
    return sha256({as_bytes(scope.text()), as_bytes(user.text()), *raw});
}

} // namespace

std::string make_header_nonce() {
    return hex_encode(secure::random_array<kMinNonceText / 2>());
}

Result<SessionHmacHeader> SessionHmacHeader::parse(std::optional<std::string_view> value) {
    if (!value || value->empty())
        return missing();
    const std::size_t colon = value->find(':');
    if (colon == std::string_view::npos || !is_nonce(value->substr(0, colon)))
        return malformed();
    SessionHmacHeader header;
    // A further colon is no hex digit.
    if (!hex_decode_into(value->substr(colon + 1), header.hmac, HexCase::Lower))
        return malformed();
    header.nonce = value->substr(0, colon);
    return header;
}

Result<std::size_t> verify_session_hmac(const SessionHmacHeader& header,
                                        const secure::SecretArray<32>& session_secret,
                                        const KeygenId& session, std::span<const UserId> users) {
    const HmacKey key(session_secret.expose());
    const std::string before = session.text() + ":";
    const std::string after = ":" + header.nonce;
    std::size_t match = users.size();
    for (std::size_t i = 0; i < users.size(); ++i) {
        const std::string user = users[i].text();
        const Hash256 expected = key.mac({as_bytes(before), as_bytes(user), as_bytes(after)});
        if (secure::ct_equal(expected, header.hmac))
            match = i;
    }
    if (match == users.size())
        return fail(Errc::AuthFailed, "session HMAC is wrong");
    return match;
}

std::string make_session_hmac(const secure::SecretArray<32>& session_secret,
                              const KeygenId& session, const UserId& user, std::string_view nonce) {
    const std::string ids = session.text() + ":" + user.text() + ":";
    const Hash256 mac = hmac_sha256(session_secret.expose(), {as_bytes(ids), as_bytes(nonce)});
    return std::string(nonce) + ":" + hex_encode(mac);
}

Result<SigningHmacHeader> SigningHmacHeader::parse(std::optional<std::string_view> value) {
    if (!value || value->empty())
        return missing();
    if (value->size() <= kUuidText || (*value)[kUuidText] != ':')
        return malformed();
    const auto user = Uuid::parse_canonical(value->substr(0, kUuidText));
    const std::string_view rest = value->substr(kUuidText + 1);
    const std::size_t colon = rest.find(':');
    if (!user || colon == std::string_view::npos || !is_nonce(rest.substr(0, colon)))
        return malformed();
    SigningHmacHeader header;
    if (!hex_decode_into(rest.substr(colon + 1), header.signature, HexCase::Lower))
        return malformed();
    header.user_id = UserId(*user);
    header.nonce = rest.substr(0, colon);
    return header;
}

Status verify_signing_hmac(const SigningHmacHeader& header, const PlainPubKey& key) {
    const Hash256 digest = sha256(as_bytes(header.user_id.text() + ":" + header.nonce));
    if (!ecdsa_verify(header.signature, digest, key))
        return fail(Errc::AuthFailed, "signing header's signature is wrong");
    return {};
}

Result<std::string> make_signing_hmac(const SecretKey& key, const UserId& user,
                                      std::string_view nonce) {
    std::string signed_text = user.text() + ":" + std::string(nonce);
    KEYMELD_TRY(const EcdsaSignature signature, ecdsa_sign(key, sha256(as_bytes(signed_text))));
    return signed_text + ":" + hex_encode(signature);
}

Result<UserSignatureHeader> UserSignatureHeader::parse(std::optional<std::string_view> value) {
    if (!value || value->empty())
        return missing();
    const std::size_t colon = value->find(':');
    if (colon == std::string_view::npos || !is_nonce(value->substr(0, colon)))
        return malformed();
    UserSignatureHeader header;
    if (!hex_decode_into(value->substr(colon + 1), header.signature, HexCase::Lower))
        return malformed();
    header.nonce = value->substr(0, colon);
    return header;
}

Status verify_user_signature(const UserSignatureHeader& header, const PlainPubKey& auth_key,
                             const Uuid& scope, const UserId& user) {
    KEYMELD_TRY(const Hash256 digest, user_signature_digest(scope, user, header.nonce));
    if (!ecdsa_verify(header.signature, digest, auth_key))
        return fail(Errc::AuthFailed, "user signature is wrong");
    return {};
}

Result<std::string> make_user_signature(const SecretKey& auth_key, const Uuid& scope,
                                        const UserId& user, std::string_view nonce) {
    KEYMELD_TRY(const Hash256 digest, user_signature_digest(scope, user, nonce));
    KEYMELD_TRY(const EcdsaSignature signature, ecdsa_sign(auth_key, digest));
    return std::string(nonce) + ":" + hex_encode(signature);
}

} // namespace keymeld::crypto
