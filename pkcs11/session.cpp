#include "pkcs11/session.h"

#include <algorithm>
#include <cstring>

#include "pkcs11/signing.h"

namespace keymeld::pkcs11 {
namespace {

constexpr CK_ULONG kSignatureSize = 64;
constexpr CK_ULONG kHashSize = 32;

ByteView view(const unsigned char* data, CK_ULONG size) { return {data, data == nullptr ? 0 : size}; }

/// The caller's buffer: nullopt means go on and write; a code ends the call, and the operation unless the caller can call again for the same.
template <class Operation>
std::optional<CK_RV> check_buffer(std::optional<Operation>& operation, const unsigned char* buffer, CK_ULONG* size, CK_ULONG needed) {
    if (size == nullptr) {
        operation.reset();
        return CKR_ARGUMENTS_BAD;
    }
    if (buffer == nullptr) {
        *size = needed;
        return CKR_OK;
    }
    if (*size < needed) {
        *size = needed;
        return CKR_BUFFER_TOO_SMALL;
    }
    return std::nullopt;
}

/// Parameters of a mechanism: none but those of Schnorr.
CK_RV read_schnorr_params(const CK_MECHANISM& mechanism, bool single_key, std::optional<TaprootTweak>& out) {
    if (mechanism.pParameter == nullptr && mechanism.ulParameterLen == 0)
        return CKR_OK;
    SchnorrParams params{};
    if (mechanism.pParameter == nullptr || mechanism.ulParameterLen != sizeof params)
        return CKR_MECHANISM_PARAM_INVALID;
    std::memcpy(&params, mechanism.pParameter, sizeof params);
    if (params.version != 1 || (params.flags & ~CK_FLAGS{1}) != 0 || (params.merkle_root_length != 0 && params.merkle_root_length != 32) ||
        (params.merkle_root_length != 0) != (params.merkle_root != nullptr) || (params.flags == 0 && params.merkle_root != nullptr))
        return CKR_MECHANISM_PARAM_INVALID;
    if (params.flags == 0)
        return CKR_OK;
    // A MuSig2 key has the tweak of its keygen.
    if (!single_key)
        return CKR_MECHANISM_PARAM_INVALID;
    out.emplace();
    if (params.merkle_root != nullptr) {
        out->merkle_root.emplace();
        std::memcpy(out->merkle_root->data(), params.merkle_root, 32);
    }
    return CKR_OK;
}

bool is_signature_mechanism(CK_MECHANISM_TYPE mechanism) {
    return mechanism == CKM_ECDSA || mechanism == CKM_ECDSA_SHA256 || mechanism == CKM_KEYMELD_SCHNORR_BIP340;
}

CK_RV verify_signature(const VerifyOperation& operation, ByteView data, ByteView signature) {
    if (signature.size() != kSignatureSize)
        return CKR_SIGNATURE_LEN_RANGE;
    if (data.size() != kHashSize)
        return CKR_DATA_LEN_RANGE;
    ByteArray<32> hash{};
    std::copy(data.begin(), data.end(), hash.begin());
    const Status verified = operation.mechanism == CKM_KEYMELD_SCHNORR_BIP340 ? client::verify_schnorr(operation.key, hash, signature)
                                                                             : client::verify_ecdsa(operation.key, hash, signature);
    return verified ? CKR_OK : CKR_SIGNATURE_INVALID;
}

} // namespace

CK_STATE Session::state() const {
    const bool user = m_token->logged_in();
    if (read_only())
        return user ? CKS_RO_USER_FUNCTIONS : CKS_RO_PUBLIC_SESSION;
    return user ? CKS_RW_USER_FUNCTIONS : CKS_RW_PUBLIC_SESSION;
}

CK_RV Session::cancel(CK_FLAGS what) {
    const std::lock_guard lock(m_mutex);
    if ((what & CKF_SIGN) != 0)
        m_sign.reset();
    if ((what & CKF_VERIFY) != 0)
        m_verify.reset();
    if ((what & CKF_DIGEST) != 0)
        m_digest.reset();
    if ((what & CKF_FIND_OBJECTS) != 0)
        m_find.reset();
    return CKR_OK;
}

// ---- find -----------------------------------------------------------------------------------------------------------

CK_RV Session::find_init(const CK_ATTRIBUTE* attributes, CK_ULONG count) {
    {
        const std::lock_guard lock(m_mutex);
        if (m_find)
            return CKR_OPERATION_ACTIVE;
    }
    if (const CK_RV code = check_template(attributes, count); code != CKR_OK)
        return code;
    m_token->refresh();
    FindOperation operation{m_token->find_all(std::span(attributes, count)), 0};
    const std::lock_guard lock(m_mutex);
    if (m_find)
        return CKR_OPERATION_ACTIVE;
    m_find = std::move(operation);
    return CKR_OK;
}

CK_RV Session::find(CK_OBJECT_HANDLE* out, CK_ULONG max, CK_ULONG* count) {
    if (count == nullptr || (out == nullptr && max != 0))
        return CKR_ARGUMENTS_BAD;
    const std::lock_guard lock(m_mutex);
    if (!m_find)
        return CKR_OPERATION_NOT_INITIALIZED;
    const std::size_t given = std::min<std::size_t>(max, m_find->found.size() - m_find->next);
    std::copy_n(m_find->found.begin() + static_cast<std::ptrdiff_t>(m_find->next), given, out);
    m_find->next += given;
    *count = given;
    return CKR_OK;
}

CK_RV Session::find_final() {
    const std::lock_guard lock(m_mutex);
    if (!m_find)
        return CKR_OPERATION_NOT_INITIALIZED;
    m_find.reset();
    return CKR_OK;
}

// ---- sign -----------------------------------------------------------------------------------------------------------

CK_RV Session::sign_init(const CK_MECHANISM* mechanism, CK_OBJECT_HANDLE handle) {
    const std::lock_guard lock(m_mutex);
    if (mechanism == nullptr) { // 3.0: ends the operation
        m_sign.reset();
        return CKR_OK;
    }
    if (m_sign || m_signing)
        return CKR_OPERATION_ACTIVE;
    if (!is_signature_mechanism(mechanism->mechanism))
        return CKR_MECHANISM_INVALID;
    if (!m_token->logged_in())
        return CKR_USER_NOT_LOGGED_IN;
    const Token::Held held = m_token->find(handle);
    if (!held.found())
        return CKR_KEY_HANDLE_INVALID;
    if (!held.object.is_private())
        return CKR_KEY_TYPE_INCONSISTENT;
    const Key& key = *held.object.found.key;
    const bool schnorr = mechanism->mechanism == CKM_KEYMELD_SCHNORR_BIP340;
    if (key.stored.kind == client::KeyKind::MuSig2 && !schnorr)
        return CKR_KEY_TYPE_INCONSISTENT;
    if (!allows(key, mechanism->mechanism))
        return CKR_KEY_FUNCTION_NOT_PERMITTED;
    SignOperation operation;
    operation.mechanism = mechanism->mechanism;
    operation.key = handle;
    if (schnorr) {
        if (const CK_RV code = read_schnorr_params(*mechanism, key.stored.kind == client::KeyKind::Single, operation.taproot); code != CKR_OK)
            return code;
    } else if (mechanism->ulParameterLen != 0) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    if (mechanism->mechanism == CKM_ECDSA_SHA256)
        operation.digest.emplace();
    m_sign = std::move(operation);
    return CKR_OK;
}

CK_RV Session::sign(const unsigned char* data, CK_ULONG size, unsigned char* signature, CK_ULONG* signature_size) {
    std::unique_lock lock(m_mutex);
    if (!m_sign)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (m_sign->updated)
        return CKR_OPERATION_ACTIVE;
    if (data == nullptr && size != 0) {
        m_sign.reset();
        return CKR_ARGUMENTS_BAD;
    }
    if (const auto early = check_buffer(m_sign, signature, signature_size, kSignatureSize))
        return *early;
    if (m_sign->digest) {
        m_sign->digest->update(view(data, size));
        const auto hash = m_sign->digest->finish();
        return finish_sign(lock, hash, signature, signature_size);
    }
    return finish_sign(lock, view(data, size), signature, signature_size);
}

CK_RV Session::sign_update(const unsigned char* part, CK_ULONG size) {
    const std::lock_guard lock(m_mutex);
    if (!m_sign)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (part == nullptr && size != 0) {
        m_sign.reset();
        return CKR_ARGUMENTS_BAD;
    }
    m_sign->updated = true;
    if (m_sign->digest) {
        m_sign->digest->update(view(part, size));
        return CKR_OK;
    }
    if (size > kHashSize - m_sign->data.size()) {
        m_sign.reset();
        return CKR_DATA_LEN_RANGE;
    }
    m_sign->data.insert(m_sign->data.end(), part, part + size);
    return CKR_OK;
}

CK_RV Session::sign_final(unsigned char* signature, CK_ULONG* signature_size) {
    std::unique_lock lock(m_mutex);
    if (!m_sign)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (const auto early = check_buffer(m_sign, signature, signature_size, kSignatureSize))
        return *early;
    if (m_sign->digest) {
        const auto hash = m_sign->digest->finish();
        return finish_sign(lock, hash, signature, signature_size);
    }
    const Bytes data = m_sign->data;
    return finish_sign(lock, data, signature, signature_size);
}

CK_RV Session::finish_sign(std::unique_lock<std::mutex>& lock, ByteView data, unsigned char* signature, CK_ULONG* size) {
    const SignOperation operation = std::move(*m_sign);
    m_sign.reset();
    if (data.size() != kHashSize)
        return CKR_DATA_LEN_RANGE;
    ByteArray<32> hash{};
    std::copy(data.begin(), data.end(), hash.begin());
    m_signing = true;
    lock.unlock();
    struct Done {
        std::unique_lock<std::mutex>& lock;
        bool& signing;
        ~Done() {
            lock.lock();
            signing = false;
        }
    } const done{lock, m_signing};
    ByteArray<64> made{};
    const CK_RV code = remote_sign(*m_token, operation, hash, made);
    if (code != CKR_OK)
        return code;
    std::copy(made.begin(), made.end(), signature);
    *size = made.size();
    return CKR_OK;
}

// ---- verify ---------------------------------------------------------------------------------------------------------

CK_RV Session::verify_init(const CK_MECHANISM* mechanism, CK_OBJECT_HANDLE handle) {
    const std::lock_guard lock(m_mutex);
    if (mechanism == nullptr) {
        m_verify.reset();
        return CKR_OK;
    }
    if (m_verify)
        return CKR_OPERATION_ACTIVE;
    if (!is_signature_mechanism(mechanism->mechanism))
        return CKR_MECHANISM_INVALID;
    const Token::Held held = m_token->find(handle);
    if (!held.found())
        return CKR_KEY_HANDLE_INVALID;
    if (held.object.object_class() != CKO_PUBLIC_KEY)
        return CKR_KEY_TYPE_INCONSISTENT;
    const bool schnorr = mechanism->mechanism == CKM_KEYMELD_SCHNORR_BIP340;
    const bool musig = held.object.found.key != nullptr && held.object.found.key->stored.kind == client::KeyKind::MuSig2;
    if (musig && !schnorr)
        return CKR_KEY_TYPE_INCONSISTENT;
    VerifyOperation operation{mechanism->mechanism,
                              held.session_object ? *held.session_object->public_key : held.object.found.key->stored.public_key,
                              std::nullopt,
                              {},
                              false};
    if (schnorr) {
        std::optional<TaprootTweak> taproot;
        if (const CK_RV code = read_schnorr_params(*mechanism, !musig, taproot); code != CKR_OK)
            return code;
        if (taproot) {
            const auto output = client::taproot_output_key(operation.key, taproot->merkle_root);
            if (!output)
                return CKR_MECHANISM_PARAM_INVALID;
            operation.key = *output;
        }
    } else if (mechanism->ulParameterLen != 0) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    if (mechanism->mechanism == CKM_ECDSA_SHA256)
        operation.digest.emplace();
    m_verify = std::move(operation);
    return CKR_OK;
}

CK_RV Session::verify(const unsigned char* data, CK_ULONG size, const unsigned char* signature, CK_ULONG signature_size) {
    const std::lock_guard lock(m_mutex);
    if (!m_verify)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (m_verify->updated)
        return CKR_OPERATION_ACTIVE;
    VerifyOperation operation = std::move(*m_verify);
    m_verify.reset();
    if ((data == nullptr && size != 0) || signature == nullptr)
        return CKR_ARGUMENTS_BAD;
    if (!operation.digest)
        return verify_signature(operation, view(data, size), view(signature, signature_size));
    operation.digest->update(view(data, size));
    const auto hash = operation.digest->finish();
    return verify_signature(operation, hash, view(signature, signature_size));
}

CK_RV Session::verify_update(const unsigned char* part, CK_ULONG size) {
    const std::lock_guard lock(m_mutex);
    if (!m_verify)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (part == nullptr && size != 0) {
        m_verify.reset();
        return CKR_ARGUMENTS_BAD;
    }
    m_verify->updated = true;
    if (m_verify->digest) {
        m_verify->digest->update(view(part, size));
        return CKR_OK;
    }
    if (size > kHashSize - m_verify->data.size()) {
        m_verify.reset();
        return CKR_DATA_LEN_RANGE;
    }
    m_verify->data.insert(m_verify->data.end(), part, part + size);
    return CKR_OK;
}

CK_RV Session::verify_final(const unsigned char* signature, CK_ULONG signature_size) {
    const std::lock_guard lock(m_mutex);
    if (!m_verify)
        return CKR_OPERATION_NOT_INITIALIZED;
    VerifyOperation operation = std::move(*m_verify);
    m_verify.reset();
    if (signature == nullptr)
        return CKR_ARGUMENTS_BAD;
    if (!operation.digest)
        return verify_signature(operation, operation.data, view(signature, signature_size));
    const auto hash = operation.digest->finish();
    return verify_signature(operation, hash, view(signature, signature_size));
}

// ---- digest ---------------------------------------------------------------------------------------------------------

CK_RV Session::digest_init(const CK_MECHANISM* mechanism) {
    const std::lock_guard lock(m_mutex);
    if (mechanism == nullptr) {
        m_digest.reset();
        return CKR_OK;
    }
    if (m_digest)
        return CKR_OPERATION_ACTIVE;
    if (mechanism->mechanism != CKM_SHA256)
        return CKR_MECHANISM_INVALID;
    if (mechanism->ulParameterLen != 0)
        return CKR_MECHANISM_PARAM_INVALID;
    m_digest.emplace();
    return CKR_OK;
}

CK_RV Session::digest(const unsigned char* data, CK_ULONG size, unsigned char* out, CK_ULONG* out_size) {
    const std::lock_guard lock(m_mutex);
    if (!m_digest)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (m_digest->updated)
        return CKR_OPERATION_ACTIVE;
    if (data == nullptr && size != 0) {
        m_digest.reset();
        return CKR_ARGUMENTS_BAD;
    }
    if (const auto early = check_buffer(m_digest, out, out_size, kHashSize))
        return *early;
    m_digest->digest.update(view(data, size));
    const auto hash = m_digest->digest.finish();
    m_digest.reset();
    std::copy(hash.begin(), hash.end(), out);
    *out_size = hash.size();
    return CKR_OK;
}

CK_RV Session::digest_update(const unsigned char* part, CK_ULONG size) {
    const std::lock_guard lock(m_mutex);
    if (!m_digest)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (part == nullptr && size != 0) {
        m_digest.reset();
        return CKR_ARGUMENTS_BAD;
    }
    m_digest->updated = true;
    m_digest->digest.update(view(part, size));
    return CKR_OK;
}

CK_RV Session::digest_final(unsigned char* out, CK_ULONG* out_size) {
    const std::lock_guard lock(m_mutex);
    if (!m_digest)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (const auto early = check_buffer(m_digest, out, out_size, kHashSize))
        return *early;
    const auto hash = m_digest->digest.finish();
    m_digest.reset();
    std::copy(hash.begin(), hash.end(), out);
    *out_size = hash.size();
    return CKR_OK;
}

} // namespace keymeld::pkcs11
