#include "core/crypto/cose.h"

#include <memory>
#include <utility>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

namespace keymeld::cose {
namespace {

template <auto Free> struct Freer {
    template <class T> void operator()(T* object) const { Free(object); }
};
using PkeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using PkeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, Freer<EVP_PKEY_CTX_free>>;
using DigestContextPtr = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>>;
using EcdsaSigPtr = std::unique_ptr<ECDSA_SIG, Freer<ECDSA_SIG_free>>;

Error malformed(const char* why, std::source_location where = std::source_location::current()) {
    return fail(Errc::InvalidArgument, std::string("COSE_Sign1: ") + why, where);
}

PkeyPtr p384_key(const Es384PublicKey& point) {
    // "EC" by its number: under its name an engine that an application has made its default for EC
    // keys would be taken, where the client library runs inside one, instead of the provider.
    const PkeyContextPtr context(
        EVP_PKEY_CTX_new_from_name(nullptr, "1.2.840.10045.2.1", nullptr));
    if (!context || EVP_PKEY_fromdata_init(context.get()) != 1)
        return nullptr;
    char group[] = "P-384";
    Es384PublicKey copy = point;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy.data(), copy.size()),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY* key = nullptr;
    if (EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return nullptr;
    return PkeyPtr(key);
}

/// r || s as the DER form that OpenSSL verifies; empty on failure.
Bytes der_signature(ByteView signature) {
    const EcdsaSigPtr parts(ECDSA_SIG_new());
    const int half = static_cast<int>(signature.size() / 2);
    BIGNUM* r = BN_bin2bn(signature.data(), half, nullptr);
    BIGNUM* s = BN_bin2bn(signature.data() + half, half, nullptr);
    if (!parts || !r || !s || ECDSA_SIG_set0(parts.get(), r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return {};
    }
    const int size = i2d_ECDSA_SIG(parts.get(), nullptr);
    if (size <= 0)
        return {};
    Bytes der(static_cast<std::size_t>(size));
    unsigned char* out = der.data();
    i2d_ECDSA_SIG(parts.get(), &out);
    return der;
}

} // namespace

Result<Sign1> Sign1::parse(ByteView document) {
    KEYMELD_TRY(const cbor::Value outer, cbor::decode(document, kSign1Limits));
    Sign1 result;
    const cbor::Value* body = &outer;
    if (const cbor::Value* inner = outer.as_tagged()) {
        result.tagged = true;
        body = inner;
    }
    const auto* parts = body->as_array();
    if (!parts || parts->size() != 4)
        return malformed("not an array of four");
    const auto protected_header = (*parts)[0].as_bytes();
    const auto* unprotected = (*parts)[1].as_map();
    const auto payload = (*parts)[2].as_bytes();
    const auto signature = (*parts)[3].as_bytes();
    if (!protected_header)
        return malformed("protected header is not a byte string");
    if (!unprotected || !unprotected->empty())
        return malformed("unprotected header is not an empty map");
    if (!payload || payload->empty())
        return malformed("no payload attached");
    if (!signature)
        return malformed("signature is not a byte string");
    result.protected_header = *protected_header;
    result.payload = *payload;
    result.signature = *signature;
    return result;
}

Status Sign1::require_es384() const {
    if (!std::ranges::equal(protected_header, kProtectedEs384))
        return fail(Errc::InvalidSignature, "the protected header is not exactly alg ES384");
    if (signature.size() != Es384Signature{}.size())
        return fail(Errc::InvalidSignature, "the signature is not 96 bytes long");
    return {};
}

Status Sign1::verify(const Es384PublicKey& key) const {
    KEYMELD_CHECK(require_es384());
    const PkeyPtr pkey = p384_key(key);
    if (!pkey) {
        ERR_clear_error();
        return fail(Errc::InvalidPoint, "the public key is not a point of P-384");
    }
    const Bytes der = der_signature(signature);
    const Bytes message = sig_structure(protected_header, payload);
    const DigestContextPtr context(EVP_MD_CTX_new());
    const bool good =
        !der.empty() && context &&
        EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha384(), nullptr, pkey.get()) == 1 &&
        EVP_DigestVerify(context.get(), der.data(), der.size(), message.data(), message.size()) ==
            1;
    ERR_clear_error();
    if (!good)
        return fail(Errc::InvalidSignature, "the COSE signature does not verify");
    return {};
}

Bytes sig_structure(ByteView protected_header, ByteView payload) {
    cbor::Writer writer;
    writer.array(4).text("Signature1").bytes(protected_header).bytes({}).bytes(payload);
    return std::move(writer).take();
}

Result<Bytes> sign1(ByteView payload, const Es384Sign& sign) {
    KEYMELD_TRY(const Es384Signature signature, sign(sig_structure(kProtectedEs384, payload)));
    cbor::Writer writer;
    writer.array(4).bytes(kProtectedEs384).map(0).bytes(payload).bytes(signature);
    return std::move(writer).take();
}

} // namespace keymeld::cose
