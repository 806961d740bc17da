#include "core/musig/key_agg.h"

#include <algorithm>

#include <secp256k1.h>
#include <secp256k1_musig.h>

#include "core/crypto/secp256k1_context.h"

namespace keymeld::musig {

using crypto::misuse_reported;
using crypto::opaque_load;
using crypto::opaque_store;
using crypto::secp_context;

struct KeyAggContext::State {
    std::vector<PlainPubKey> signer_keys;
    std::vector<Tweak> tweaks;
    PlainPubKey untweaked;
    PlainPubKey key;
    XOnlyPubKey x_only;
    ByteArray<197> cache;
};

namespace {

Error at_infinity(const char* what) {
    return misuse_reported() ? fail(Errc::Internal, "libsecp256k1 refused an argument")
                             : fail(Errc::AggregateAtInfinity, what);
}

} // namespace

void key_sort(std::vector<PlainPubKey>& keys) {
    std::stable_sort(keys.begin(), keys.end());
}

Result<KeyAggContext> KeyAggContext::create(std::span<const PlainPubKey> ordered_keys,
                                            std::span<const Tweak> tweaks) {
    if (ordered_keys.empty() || ordered_keys.size() > kMaxKeys || tweaks.size() > kMaxTweaks)
        return fail(Errc::InvalidArgument, "too few or too many keys or tweaks to aggregate");
    std::vector<secp256k1_pubkey> points;
    std::vector<const secp256k1_pubkey*> pointers;
    points.reserve(ordered_keys.size());
    pointers.reserve(ordered_keys.size());
    for (const PlainPubKey& key : ordered_keys) {
        points.push_back(opaque_load<secp256k1_pubkey>(key.opaque()));
        pointers.push_back(&points.back());
    }
    secp256k1_musig_keyagg_cache cache;
    secp256k1_pubkey untweaked;
    if (secp256k1_musig_pubkey_agg(secp_context(), nullptr, &cache, pointers.data(),
                                   pointers.size()) != 1 ||
        secp256k1_musig_pubkey_get(secp_context(), &untweaked, &cache) != 1)
        return at_infinity("aggregate key is the point at infinity");

    secp256k1_pubkey tweaked = untweaked;
    for (const Tweak& tweak : tweaks) {
        if (!bitcoin::is_below_group_order(tweak.bytes32))
            return fail(Errc::InvalidScalar, "tweak is not below the group order");
        const auto apply = tweak.mode == TweakMode::XOnly ? secp256k1_musig_pubkey_xonly_tweak_add
                                                          : secp256k1_musig_pubkey_ec_tweak_add;
        if (apply(secp_context(), &tweaked, &cache, tweak.bytes32.data()) != 1)
            return at_infinity("tweaked aggregate key is the point at infinity");
    }

    const PlainPubKey key = PlainPubKey::from_opaque(opaque_store(tweaked));
    return KeyAggContext(
        std::make_shared<const State>(State{{ordered_keys.begin(), ordered_keys.end()},
                                            {tweaks.begin(), tweaks.end()},
                                            PlainPubKey::from_opaque(opaque_store(untweaked)),
                                            key,
                                            XOnlyPubKey::from(key),
                                            opaque_store(cache)}));
}

std::size_t KeyAggContext::signer_count() const {
    return m_state->signer_keys.size();
}
const std::vector<PlainPubKey>& KeyAggContext::signer_keys() const {
    return m_state->signer_keys;
}
const PlainPubKey& KeyAggContext::untweaked_key() const {
    return m_state->untweaked;
}
const PlainPubKey& KeyAggContext::key() const {
    return m_state->key;
}
const XOnlyPubKey& KeyAggContext::x_only() const {
    return m_state->x_only;
}
const std::vector<Tweak>& KeyAggContext::tweaks() const {
    return m_state->tweaks;
}
const ByteArray<197>& KeyAggContext::opaque() const {
    return m_state->cache;
}

} // namespace keymeld::musig
