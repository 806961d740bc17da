#include "core/bitcoin/ecies_aad.h"

#include "core/base/hex.h"
#include "core/crypto/digest.h"

namespace keymeld::bitcoin {

std::string params_id(const SessionParams& params) {
    std::string text = "keymeld-params-v1:";
    text.reserve(text.size() + params.expected_participants.size() * 37 + 160);
    bool first = true;
    for (const UserId& user : params.expected_participants) {
        if (!first)
            text += ',';
        first = false;
        text += user.text();
    }
    text.append(1, ':').append(params.tweak.params_text());
    text.append(1, ':').append(bitcoin::text(params.key_order));
    text.append(1, ':').append(std::to_string(params.max_signing_sessions));
    return hex_encode(crypto::sha256(as_bytes(text)));
}

std::string secret_id(const secure::SecretArray<32>& session_secret) {
    return hex_encode(crypto::sha256({as_bytes("keymeld-secret-id-v1:"), session_secret.expose()}));
}

std::string private_key_aad(const KeygenId& keygen, const UserId& user,
                            std::string_view approval_policy, std::string_view params_id,
                            std::string_view secret_id) {
    std::string out = "keymeld-ecies-v1:private-key:" + keygen.text() + ":" + user.text();
    out.append(1, ':').append(approval_policy);
    out.append(1, ':').append(params_id);
    out.append(1, ':').append(secret_id);
    return out;
}

std::string coordinator_key_aad(const KeygenId& keygen, const UserId& coordinator) {
    return "keymeld-ecies-v1:coordinator-key:" + keygen.text() + ":" + coordinator.text();
}

std::string session_secret_aad(const KeygenId& keygen, const UserId& coordinator,
                               std::string_view params_id) {
    return ("keymeld-ecies-v1:session-secret:" + keygen.text() + ":" + coordinator.text() + ":")
        .append(params_id);
}

} // namespace keymeld::bitcoin
