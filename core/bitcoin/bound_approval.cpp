#include "core/bitcoin/bound_approval.h"

#include "core/crypto/tagged_hash.h"

namespace keymeld::bitcoin {

crypto::Hash256 BoundApproval::hash() const {
    static const crypto::HashTag tag("KeyMeld/approval/v1");
    ByteArray<8> expiry;
    for (std::size_t i = 0; i < expiry.size(); ++i)
        expiry[i] = static_cast<std::uint8_t>(expires_at >> (56 - 8 * i));
    return tag.hash({keygen.bytes, signing.bytes, user.bytes, message_hash, expiry});
}

Result<SchnorrSignature> BoundApproval::sign(const SecretKey& key) const {
    return schnorr_sign(key, hash());
}

Status BoundApproval::verify(const SchnorrSignature& signature,
                             const PlainPubKey& registered_key) const {
    if (!schnorr_verify(signature, hash(), XOnlyPubKey::from(registered_key)))
        return fail(Errc::AuthFailed, "bound approval's signature is wrong");
    return {};
}

} // namespace keymeld::bitcoin
