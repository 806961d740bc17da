#include "core/musig/partial_signature.h"

#include <stdexcept>

#include <secp256k1.h>
#include <secp256k1_musig.h>

#include "core/crypto/secp256k1_context.h"

namespace keymeld::musig {

using crypto::misuse_reported;
using crypto::opaque_load;
using crypto::opaque_store;
using crypto::secp_context;

Result<PartialSignature> PartialSignature::parse(ByteView bytes32) {
    secp256k1_musig_partial_sig signature;
    if (bytes32.size() != 32 ||
        secp256k1_musig_partial_sig_parse(secp_context(), &signature, bytes32.data()) != 1)
        return fail(Errc::InvalidScalar, "not a MuSig2 partial signature");
    PartialSignature out;
    std::memcpy(out.m_bytes.data(), bytes32.data(), bytes32.size());
    out.m_opaque = opaque_store(signature);
    return out;
}

PartialSignature PartialSignature::from_opaque(const ByteArray<36>& opaque) {
    const auto signature = opaque_load<secp256k1_musig_partial_sig>(opaque);
    PartialSignature out;
    out.m_opaque = opaque;
    if (secp256k1_musig_partial_sig_serialize(secp_context(), out.m_bytes.data(), &signature) !=
            1 ||
        misuse_reported())
        throw std::logic_error("partial signature object without a scalar");
    return out;
}

} // namespace keymeld::musig
