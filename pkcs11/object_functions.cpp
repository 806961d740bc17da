// C_* functions of objects, signatures, digests and random numbers (PKCS#11 2.40, 5.7 to 5.15).
#include <cerrno>

#include <sys/random.h>

#include "pkcs11/call.h"
#include "pkcs11/single_signing.h"

using namespace keymeld;
using namespace keymeld::pkcs11;

namespace {

CK_RV refuse_object(const Session& session, CK_OBJECT_HANDLE object) {
    return session.token().find(object).found() ? CKR_ACTION_PROHIBITED : CKR_OBJECT_HANDLE_INVALID;
}

} // namespace

CK_RV C_CreateObject(CK_SESSION_HANDLE handle, CK_ATTRIBUTE* attributes, CK_ULONG count, CK_OBJECT_HANDLE* object) {
    return with_session(handle, [=](Session& session, Module&) -> CK_RV {
        if (object == nullptr || attributes == nullptr)
            return CKR_ARGUMENTS_BAD;
        if (const CK_RV code = check_template(attributes, count); code != CKR_OK)
            return code;
        auto made = std::make_shared<SessionObject>();
        if (const CK_RV code = SessionObject::from_template(std::span(attributes, count), *made); code != CKR_OK)
            return code;
        return session.token().add_session_object(session.handle(), std::move(made), *object);
    });
}

CK_RV C_CopyObject(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE*, CK_ULONG, CK_OBJECT_HANDLE*) {
    return with_session(handle, [object](Session& session, Module&) { return refuse_object(session, object); });
}

CK_RV C_DestroyObject(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object) {
    return with_session(handle, [object](Session& session, Module&) -> CK_RV {
        const Token::Held held = session.token().find(object);
        if (!held.found())
            return CKR_OBJECT_HANDLE_INVALID;
        // Keys end where they were made: keymeld key delete, keymeld credentials remove.
        return held.session_object ? session.token().remove_session_object(object) : CKR_ACTION_PROHIBITED;
    });
}

CK_RV C_GetObjectSize(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ULONG* size) {
    return with_session(handle, [=](Session& session, Module&) -> CK_RV {
        if (size == nullptr)
            return CKR_ARGUMENTS_BAD;
        if (!session.token().find(object).found())
            return CKR_OBJECT_HANDLE_INVALID;
        *size = CK_UNAVAILABLE_INFORMATION;
        return CKR_OK;
    });
}

CK_RV C_GetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE* attributes, CK_ULONG count) {
    return with_session(handle, [=](Session& session, Module&) -> CK_RV {
        if (attributes == nullptr && count != 0)
            return CKR_ARGUMENTS_BAD;
        const Token::Held held = session.token().find(object);
        if (!held.found())
            return CKR_OBJECT_HANDLE_INVALID;
        return read_attributes(held.object, std::span(attributes, count));
    });
}

CK_RV C_SetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE*, CK_ULONG) {
    return with_session(handle, [object](Session& session, Module&) { return refuse_object(session, object); });
}

CK_RV C_FindObjectsInit(CK_SESSION_HANDLE handle, CK_ATTRIBUTE* attributes, CK_ULONG count) {
    return with_session(handle, [=](Session& session, Module&) { return session.find_init(attributes, count); });
}

CK_RV C_FindObjects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE* objects, CK_ULONG max, CK_ULONG* count) {
    return with_session(handle, [=](Session& session, Module&) { return session.find(objects, max, count); });
}

CK_RV C_FindObjectsFinal(CK_SESSION_HANDLE handle) {
    return with_session(handle, [](Session& session, Module&) { return session.find_final(); });
}

CK_RV C_GenerateKeyPair(CK_SESSION_HANDLE handle, CK_MECHANISM* mechanism, CK_ATTRIBUTE* public_template, CK_ULONG public_count,
                        CK_ATTRIBUTE* private_template, CK_ULONG private_count, CK_OBJECT_HANDLE* public_key, CK_OBJECT_HANDLE* private_key) {
    return with_session(handle, [=](Session& session, Module&) -> CK_RV {
        if (public_key == nullptr || private_key == nullptr)
            return CKR_ARGUMENTS_BAD;
        if (const CK_RV code = check_template(public_template, public_count); code != CKR_OK)
            return code;
        if (const CK_RV code = check_template(private_template, private_count); code != CKR_OK)
            return code;
        return generate_key_pair(session, mechanism, std::span(public_template, public_count), std::span(private_template, private_count),
                                 *public_key, *private_key);
    });
}

CK_RV C_DigestInit(CK_SESSION_HANDLE handle, CK_MECHANISM* mechanism) {
    return with_session(handle, [=](Session& session, Module&) { return session.digest_init(mechanism); });
}

CK_RV C_Digest(CK_SESSION_HANDLE handle, unsigned char* data, CK_ULONG size, unsigned char* digest, CK_ULONG* digest_size) {
    return with_session(handle, [=](Session& session, Module&) { return session.digest(data, size, digest, digest_size); });
}

CK_RV C_DigestUpdate(CK_SESSION_HANDLE handle, unsigned char* part, CK_ULONG size) {
    return with_session(handle, [=](Session& session, Module&) { return session.digest_update(part, size); });
}

CK_RV C_DigestFinal(CK_SESSION_HANDLE handle, unsigned char* digest, CK_ULONG* digest_size) {
    return with_session(handle, [=](Session& session, Module&) { return session.digest_final(digest, digest_size); });
}

CK_RV C_SignInit(CK_SESSION_HANDLE handle, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key) {
    return with_session(handle, [=](Session& session, Module&) { return session.sign_init(mechanism, key); });
}

CK_RV C_Sign(CK_SESSION_HANDLE handle, unsigned char* data, CK_ULONG size, unsigned char* signature, CK_ULONG* signature_size) {
    return with_session(handle, [=](Session& session, Module&) { return session.sign(data, size, signature, signature_size); });
}

CK_RV C_SignUpdate(CK_SESSION_HANDLE handle, unsigned char* part, CK_ULONG size) {
    return with_session(handle, [=](Session& session, Module&) { return session.sign_update(part, size); });
}

CK_RV C_SignFinal(CK_SESSION_HANDLE handle, unsigned char* signature, CK_ULONG* signature_size) {
    return with_session(handle, [=](Session& session, Module&) { return session.sign_final(signature, signature_size); });
}

CK_RV C_VerifyInit(CK_SESSION_HANDLE handle, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key) {
    return with_session(handle, [=](Session& session, Module&) { return session.verify_init(mechanism, key); });
}

CK_RV C_Verify(CK_SESSION_HANDLE handle, unsigned char* data, CK_ULONG size, unsigned char* signature, CK_ULONG signature_size) {
    return with_session(handle, [=](Session& session, Module&) { return session.verify(data, size, signature, signature_size); });
}

CK_RV C_VerifyUpdate(CK_SESSION_HANDLE handle, unsigned char* part, CK_ULONG size) {
    return with_session(handle, [=](Session& session, Module&) { return session.verify_update(part, size); });
}

CK_RV C_VerifyFinal(CK_SESSION_HANDLE handle, unsigned char* signature, CK_ULONG signature_size) {
    return with_session(handle, [=](Session& session, Module&) { return session.verify_final(signature, signature_size); });
}

CK_RV C_GenerateRandom(CK_SESSION_HANDLE handle, unsigned char* out, CK_ULONG size) {
    return with_session(handle, [=](Session&, Module&) -> CK_RV {
        if (out == nullptr && size != 0)
            return CKR_ARGUMENTS_BAD;
        for (CK_ULONG done = 0; done < size;) {
            const ssize_t got = ::getrandom(out + done, size - done, 0);
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                return CKR_DEVICE_ERROR;
            done += static_cast<CK_ULONG>(got);
        }
        return CKR_OK;
    });
}

CK_RV C_SeedRandom(CK_SESSION_HANDLE handle, unsigned char*, CK_ULONG) {
    return with_session(handle, [](Session&, Module&) -> CK_RV { return CKR_RANDOM_SEED_NOT_SUPPORTED; });
}
