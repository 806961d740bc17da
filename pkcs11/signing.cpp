#include "pkcs11/signing.h"

#include "pkcs11/log.h"
#include "pkcs11/single_signing.h"

namespace keymeld::pkcs11 {

CK_RV remote_sign(Token& token, const SignOperation& operation, const ByteArray<32>& hash, ByteArray<64>& signature) {
    const Token::Held held = token.find(operation.key);
    if (!held.view.login)
        return CKR_USER_NOT_LOGGED_IN;
    if (held.object.found.key == nullptr)
        return CKR_KEY_HANDLE_INVALID;
    const client::StoredKey& key = held.object.found.key->stored;
    const client::KeySecrets& secrets = held.view.login->secrets[held.object.found.index];
    const SteadyTime deadline = std::chrono::steady_clock::now() + token.config().sign_timeout;
    const auto lease = token.channel(*held.view.store);
    const Result<SignOutcome> outcome =
        key.kind == client::KeyKind::MuSig2
            ? lease->run<SignOutcome>(musig_sign(lease->rest(), key, secrets, hash, deadline))
            : lease->run<SignOutcome>(single_sign(lease->single_keys(held.view.trust), key, secrets, operation, hash));
    if (!outcome || outcome->code != CKR_OK)
        lease->drop();
    const std::string name = "token " + log::quoted(held.view.store->header().label) + ": ";
    if (!outcome) {
        log::error(name + outcome.error().detail);
        return code_of(outcome.error().code, During::Sign);
    }
    if (outcome->code != CKR_OK) {
        log::error(name + outcome->explanation);
        return outcome->code;
    }
    signature = outcome->signature;
    return CKR_OK;
}

} // namespace keymeld::pkcs11
