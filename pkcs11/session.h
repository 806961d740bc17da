// A session of a caller with a token, and the operations that are active in it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "appliance/client/local_crypto.h"
#include "pkcs11/token.h"

namespace keymeld::pkcs11 {

/// SchnorrParams, read.
struct TaprootTweak {
    std::optional<ByteArray<32>> merkle_root;
};

/// What C_SignInit prepared. The key stays usable to its end, also after a logout in between, which makes C_Sign fail.
struct SignOperation {
    CK_MECHANISM_TYPE mechanism = 0;
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    std::optional<client::Sha256> digest; ///< mechanisms that hash
    Bytes data;                           ///< others, from C_SignUpdate
    bool updated = false;
    std::optional<TaprootTweak> taproot;
};

struct VerifyOperation {
    CK_MECHANISM_TYPE mechanism = 0;
    bitcoin::PlainPubKey key;
    std::optional<client::Sha256> digest;
    Bytes data;
    bool updated = false;
};

struct DigestOperation {
    client::Sha256 digest;
    bool updated = false;
};

struct FindOperation {
    std::vector<CK_OBJECT_HANDLE> found;
    std::size_t next = 0;
};

/// One lock; held while operations are looked at and changed, never while a signature is waited for.
class Session {
  public:
    Session(CK_SESSION_HANDLE handle, std::shared_ptr<Token> token, CK_FLAGS flags)
        : m_handle(handle), m_token(std::move(token)), m_flags(flags) {}

    CK_SESSION_HANDLE handle() const { return m_handle; }
    Token& token() const { return *m_token; }
    CK_FLAGS flags() const { return m_flags; }
    bool read_only() const { return (m_flags & CKF_RW_SESSION) == 0; }
    CK_STATE state() const;

    CK_RV find_init(const CK_ATTRIBUTE* attributes, CK_ULONG count);
    CK_RV find(CK_OBJECT_HANDLE* out, CK_ULONG max, CK_ULONG* count);
    CK_RV find_final();

    CK_RV sign_init(const CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key);
    CK_RV sign(const unsigned char* data, CK_ULONG size, unsigned char* signature, CK_ULONG* signature_size);
    CK_RV sign_update(const unsigned char* part, CK_ULONG size);
    CK_RV sign_final(unsigned char* signature, CK_ULONG* signature_size);

    CK_RV verify_init(const CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key);
    CK_RV verify(const unsigned char* data, CK_ULONG size, const unsigned char* signature, CK_ULONG signature_size);
    CK_RV verify_update(const unsigned char* part, CK_ULONG size);
    CK_RV verify_final(const unsigned char* signature, CK_ULONG signature_size);

    CK_RV digest_init(const CK_MECHANISM* mechanism);
    CK_RV digest(const unsigned char* data, CK_ULONG size, unsigned char* out, CK_ULONG* out_size);
    CK_RV digest_update(const unsigned char* part, CK_ULONG size);
    CK_RV digest_final(unsigned char* out, CK_ULONG* out_size);

    /// Ends what is active (C_SessionCancel, a NULL mechanism).
    CK_RV cancel(CK_FLAGS what);

  private:
    /// Takes the operation out, waits for the signature without a lock, and writes it.
    CK_RV finish_sign(std::unique_lock<std::mutex>& lock, ByteView data, unsigned char* signature, CK_ULONG* size);

    const CK_SESSION_HANDLE m_handle;
    const std::shared_ptr<Token> m_token;
    const CK_FLAGS m_flags;

    std::mutex m_mutex;
    std::optional<FindOperation> m_find;
    std::optional<SignOperation> m_sign;
    bool m_signing = false; ///< a C_Sign of another thread waits for its signature
    std::optional<VerifyOperation> m_verify;
    std::optional<DigestOperation> m_digest;
};

} // namespace keymeld::pkcs11
