#include "core/bitcoin/single_key.h"

#include "core/crypto/hkdf.h"
#include "core/crypto/hmac.h"

namespace keymeld::bitcoin {

std::string_view text(SignatureType type) {
    switch (type) {
    case SignatureType::Ecdsa:
        return "ecdsa";
    case SignatureType::SchnorrBip340:
        return "schnorr_bip340";
    }
    return {};
}

Result<SignatureType> parse_signature_type(std::string_view text) {
    for (const SignatureType type : {SignatureType::Ecdsa, SignatureType::SchnorrBip340})
        if (bitcoin::text(type) == text)
            return type;
    return fail(Errc::InvalidArgument, "unknown signature type");
}

Result<AllowedSignatures> AllowedSignatures::from_bits(std::uint64_t bits) {
    if (bits < 1 || bits > 3)
        return fail(Errc::InvalidArgument, "no signature type is allowed, or an unknown one");
    return AllowedSignatures{(bits & 1) != 0, (bits & 2) != 0};
}

std::string AllowedSignatures::text() const {
    std::string out;
    for (const SignatureType type : {SignatureType::Ecdsa, SignatureType::SchnorrBip340})
        if (has(type))
            out.append(out.empty() ? "" : ",").append(bitcoin::text(type));
    return out;
}

Result<SecretKey> derive_auth_key(const SecretKey& signing_key) {
    const auto scalar = crypto::hkdf_sha256_key(
        signing_key.expose(), as_bytes("keymeld-session-auth-v1:single_signer_auth"));
    return SecretKey::parse(scalar.expose());
}

crypto::Hash256 approval_digest(std::string_view encrypted_message, const KeyId& key,
                                std::uint64_t timestamp, const TweakConfig& tweak) {
    ByteArray<8> time{};
    for (std::size_t i = 0; i < time.size(); ++i)
        time[i] = static_cast<std::uint8_t>(timestamp >> (8 * i));
    const std::string tweak_text = tweak.type == TweakType::None ? "" : tweak.params_text();
    const std::string id = key.text();
    return crypto::sha256({as_bytes(encrypted_message), as_bytes(id), time, as_bytes(tweak_text)});
}

std::string import_aad(const KeyId& key, const UserId& user, const PlainPubKey& auth_key) {
    return "keymeld-ecies-v1:single-key:" + key.text() + ":" + user.text() + ":" + auth_key.hex();
}

crypto::Hash256 key_tag(const secure::SecretArray<32>& secret, const KeyId& key, const UserId& user,
                        const PlainPubKey& auth_key, const PlainPubKey& public_key,
                        const AllowedSignatures& allowed) {
    const std::string text = "keymeld-single-key-v1:" + key.text() + ":" + user.text() + ":" +
                             auth_key.hex() + ":" + public_key.hex() + ":" + allowed.text();
    return crypto::hmac_sha256(secret.expose(), as_bytes(text));
}

} // namespace keymeld::bitcoin
