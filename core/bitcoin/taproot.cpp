#include "core/bitcoin/taproot.h"

#include <secp256k1.h>
#include <secp256k1_extrakeys.h>

#include "core/bitcoin/transaction.h"
#include "core/crypto/secp256k1_context.h"
#include "core/crypto/tagged_hash.h"
#include "core/secure/cleanse.h"

namespace keymeld::bitcoin {

using crypto::misuse_reported;
using crypto::opaque_load;
using crypto::opaque_store;
using crypto::secp_context;

crypto::Hash256 tap_tweak_hash(const ByteArray<32>& internal_x,
                               const std::optional<MerkleRoot>& root) {
    static const crypto::HashTag tag("TapTweak");
    return tag.hash({internal_x, root ? ByteView(*root) : ByteView()});
}

crypto::Hash256 tap_tweak_hash(const InternalKey& internal, const std::optional<MerkleRoot>& root) {
    return tap_tweak_hash(internal.bytes(), root);
}

crypto::Hash256 tap_leaf_hash(std::uint8_t leaf_version, ByteView script) {
    static const crypto::HashTag tag("TapLeaf");
    Bytes head{leaf_version};
    append_compact_size(head, script.size());
    return tag.hash({head, script});
}

crypto::Hash256 tap_branch_hash(const ByteArray<32>& a, const ByteArray<32>& b) {
    static const crypto::HashTag tag("TapBranch");
    return a < b ? tag.hash({a, b}) : tag.hash({b, a});
}

Result<TaprootOutput> taproot_output(const InternalKey& internal,
                                     const std::optional<MerkleRoot>& root) {
    const crypto::Hash256 tweak = tap_tweak_hash(internal, root);
    const auto point = opaque_load<secp256k1_xonly_pubkey>(internal.opaque());
    secp256k1_pubkey full;
    secp256k1_xonly_pubkey output;
    int odd_y = 0;
    if (secp256k1_xonly_pubkey_tweak_add(secp_context(), &full, &point, tweak.data()) != 1 ||
        secp256k1_xonly_pubkey_from_pubkey(secp_context(), &output, &odd_y, &full) != 1)
        return fail(misuse_reported() ? Errc::Internal : Errc::AggregateAtInfinity,
                    "internal key has no taproot output key");
    return TaprootOutput{OutputKey::from_opaque(opaque_store(output)), odd_y != 0};
}

Result<SecretKey> taproot_output_secret(const SecretKey& key,
                                        const std::optional<MerkleRoot>& root) {
    const crypto::Hash256 tweak = tap_tweak_hash(XOnlyPubKey::from(key.public_key()), root);
    secp256k1_keypair pair;
    const secure::ScopedCleanse wipe_pair(pair);
    std::memcpy(pair.data, key.keypair().data(), sizeof pair.data);
    secure::SecretArray<32> secret;
    if (secp256k1_keypair_xonly_tweak_add(secp_context(), &pair, tweak.data()) != 1 ||
        secp256k1_keypair_sec(secp_context(), secret.expose_mut().data(), &pair) != 1)
        return fail(misuse_reported() ? Errc::Internal : Errc::AggregateAtInfinity,
                    "private key has no taproot output key");
    return SecretKey::parse(secret.expose());
}

} // namespace keymeld::bitcoin
