#include "enclave/signer/authentication.h"

#include "core/crypto/auth_header.h"

namespace keymeld::enclave {
namespace {

Status check_size(const std::string& header) {
    if (header.size() > kMaxHeader)
        return fail(Errc::AuthMalformed, "authentication header is too long");
    return {};
}

} // namespace

Result<Authenticated> verify_session_header(SignerCore& core, KeygenState& keygen,
                                            const std::string& header,
                                            std::span<const UserId> users, NonceUse use) {
    KEYMELD_CHECK(check_size(header));
    KEYMELD_TRY(const auto parsed, crypto::SessionHmacHeader::parse(header));
    KEYMELD_TRY(const std::size_t index,
                crypto::verify_session_hmac(parsed, keygen.session_secret(), keygen.id(), users));
    HeaderNonce nonce = HeaderNonce::session(core, keygen, parsed.nonce, use);
    KEYMELD_CHECK(nonce.check());
    return Authenticated{static_cast<std::uint32_t>(index), std::move(nonce)};
}

Result<Authenticated> verify_signing_header(SignerCore& core, KeygenState& keygen,
                                            const std::string& header, NonceUse use) {
    KEYMELD_CHECK(check_size(header));
    KEYMELD_TRY(const auto parsed, crypto::SigningHmacHeader::parse(header));
    const auto index = keygen.params().signer_index(parsed.user_id);
    if (!index || !keygen.participants()[*index].public_key)
        return fail(Errc::NotAParticipant, "user is not registered in the session");
    const crypto::PlainPubKey& key = *keygen.participants()[*index].public_key;
    KEYMELD_CHECK(crypto::verify_signing_hmac(parsed, key));
    HeaderNonce nonce = HeaderNonce::signing(core, keygen, parsed.user_id, key, parsed.nonce, use);
    KEYMELD_CHECK(nonce.check());
    return Authenticated{*index, std::move(nonce)};
}

} // namespace keymeld::enclave
