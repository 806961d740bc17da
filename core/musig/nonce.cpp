#include "core/musig/nonce.h"

#include <cstring>
#include <optional>
#include <stdexcept>

#include <secp256k1.h>
#include <secp256k1_musig.h>

#include "core/crypto/secp256k1_context.h"
#include "core/secure/cleanse.h"
#include "core/secure/random.h"

namespace keymeld::musig {

using crypto::misuse_reported;
using crypto::opaque_load;
using crypto::opaque_store;
using crypto::secp_context;

namespace {

using Point = ByteArray<64>; // as libsecp256k1 keeps one
constexpr std::size_t kMagic = 4;
static_assert(sizeof(secp256k1_musig_pubnonce) == kMagic + 2 * sizeof(Point));

bool parse_point(ByteView xy, Point& out) {
    ByteArray<65> uncompressed;
    uncompressed[0] = 4;
    std::memcpy(uncompressed.data() + 1, xy.data(), 64);
    secp256k1_pubkey point;
    if (secp256k1_ec_pubkey_parse(secp_context(), &point, uncompressed.data(),
                                  uncompressed.size()) != 1)
        return false;
    out = opaque_store(point);
    return true;
}

void write_point(const secp256k1_pubkey& point, std::uint8_t* xy) {
    ByteArray<65> uncompressed;
    std::size_t length = uncompressed.size();
    if (secp256k1_ec_pubkey_serialize(secp_context(), uncompressed.data(), &length, &point,
                                      SECP256K1_EC_UNCOMPRESSED) != 1 ||
        misuse_reported())
        throw std::logic_error("public nonce object without points");
    std::memcpy(xy, uncompressed.data() + 1, 64);
}

// The library offers no way in but the compressed one. Its object has been a tag and two points as it keeps them in public keys;
// whether this library's is, is found out once, with a nonce read in both ways. Null: it is not.
const ByteArray<kMagic>* magic_of_joined_points() {
    static const std::optional<ByteArray<kMagic>> found = []() -> std::optional<ByteArray<kMagic>> {
        ByteArray<66> compressed{};
        ByteArray<2 * 64> points{};
        for (std::size_t i = 0; i < 2; ++i) {
            ByteArray<32> scalar{};
            scalar.back() = static_cast<std::uint8_t>(i + 2);
            secp256k1_pubkey point;
            std::size_t length = 33;
            if (secp256k1_ec_pubkey_create(secp_context(), &point, scalar.data()) != 1 ||
                secp256k1_ec_pubkey_serialize(secp_context(), compressed.data() + i * 33, &length,
                                              &point, SECP256K1_EC_COMPRESSED) != 1)
                return std::nullopt;
            const Point kept = opaque_store(point);
            std::memcpy(points.data() + i * 64, kept.data(), kept.size());
        }
        secp256k1_musig_pubnonce nonce;
        if (secp256k1_musig_pubnonce_parse(secp_context(), &nonce, compressed.data()) != 1 ||
            std::memcmp(nonce.data + kMagic, points.data(), points.size()) != 0)
            return std::nullopt;
        ByteArray<kMagic> magic;
        std::memcpy(magic.data(), nonce.data, magic.size());
        return magic;
    }();
    return found ? &*found : nullptr;
}

} // namespace

ByteArray<128> PubNonce::points() const {
    ByteArray<128> out;
    for (std::size_t i = 0; i < 2; ++i) {
        secp256k1_pubkey point;
        if (magic_of_joined_points() != nullptr)
            std::memcpy(point.data, m_opaque.data() + kMagic + i * sizeof(Point), sizeof(Point));
        else if (secp256k1_ec_pubkey_parse(secp_context(), &point, m_bytes.data() + i * 33, 33) != 1)
            throw std::logic_error("public nonce object without points");
        write_point(point, out.data() + i * 64);
    }
    return out;
}

Result<PubNonce> PubNonce::parse_points(ByteView bytes128) {
    const auto invalid = [] { return fail(Errc::InvalidPoint, "not a MuSig2 public nonce"); };
    ByteArray<2 * sizeof(Point)> points;
    if (bytes128.size() != points.size())
        return invalid();
    for (std::size_t i = 0; i < 2; ++i) {
        Point point;
        if (!parse_point(bytes128.subspan(i * 64, 64), point))
            return invalid();
        std::memcpy(points.data() + i * sizeof point, point.data(), point.size());
    }
    if (const auto* const magic = magic_of_joined_points()) {
        ByteArray<132> opaque;
        std::memcpy(opaque.data(), magic->data(), magic->size());
        std::memcpy(opaque.data() + kMagic, points.data(), points.size());
        return from_opaque(opaque);
    }
    ByteArray<66> compressed;
    for (std::size_t i = 0; i < 2; ++i) {
        compressed[i * 33] = bytes128[i * 64 + 63] % 2 == 0 ? 2 : 3;
        std::memcpy(compressed.data() + i * 33 + 1, bytes128.data() + i * 64, 32);
    }
    return parse(compressed);
}

Result<PubNonce> PubNonce::parse(ByteView bytes66) {
    secp256k1_musig_pubnonce nonce;
    if (bytes66.size() != 66 ||
        secp256k1_musig_pubnonce_parse(secp_context(), &nonce, bytes66.data()) != 1)
        return fail(Errc::InvalidPoint, "not a MuSig2 public nonce");
    PubNonce out;
    std::memcpy(out.m_bytes.data(), bytes66.data(), bytes66.size());
    out.m_opaque = opaque_store(nonce);
    return out;
}

PubNonce PubNonce::from_opaque(const ByteArray<132>& opaque) {
    const auto nonce = opaque_load<secp256k1_musig_pubnonce>(opaque);
    PubNonce out;
    out.m_opaque = opaque;
    if (secp256k1_musig_pubnonce_serialize(secp_context(), out.m_bytes.data(), &nonce) != 1 ||
        misuse_reported())
        throw std::logic_error("public nonce object without points");
    return out;
}

Result<AggNonce> AggNonce::parse(ByteView bytes66) {
    secp256k1_musig_aggnonce nonce;
    if (bytes66.size() != 66 ||
        secp256k1_musig_aggnonce_parse(secp_context(), &nonce, bytes66.data()) != 1)
        return fail(Errc::InvalidPoint, "not a MuSig2 aggregate nonce");
    AggNonce out;
    std::memcpy(out.m_bytes.data(), bytes66.data(), bytes66.size());
    out.m_opaque = opaque_store(nonce);
    return out;
}

AggNonce AggNonce::from_opaque(const ByteArray<132>& opaque) {
    const auto nonce = opaque_load<secp256k1_musig_aggnonce>(opaque);
    AggNonce out;
    out.m_opaque = opaque;
    if (secp256k1_musig_aggnonce_serialize(secp_context(), out.m_bytes.data(), &nonce) != 1 ||
        misuse_reported())
        throw std::logic_error("aggregate nonce object without points");
    return out;
}

Result<NoncePair> nonce_gen(const SecretKey& key, const KeyAggContext* aggregate,
                            const ByteArray<32>* message) {
    const auto signer = opaque_load<secp256k1_pubkey>(key.public_key().opaque());
    secp256k1_musig_keyagg_cache cache;
    if (aggregate != nullptr)
        cache = opaque_load<secp256k1_musig_keyagg_cache>(aggregate->opaque());
    auto session_random = secure::random_secret<32>();
    secp256k1_musig_secnonce secret;
    const secure::ScopedCleanse wipe_secret(secret);
    secp256k1_musig_pubnonce pub;
    if (secp256k1_musig_nonce_gen(secp_context(), &secret, &pub, session_random.expose_mut().data(),
                                  key.expose().data(), &signer,
                                  message != nullptr ? message->data() : nullptr,
                                  aggregate != nullptr ? &cache : nullptr, nullptr) != 1 ||
        misuse_reported())
        return fail(Errc::Internal, "MuSig2 nonce generation failed");
    static_assert(sizeof secret.data == 132);
    return NoncePair{SecNonce(secure::SecretArray<132>::copy_of(secret.data), key.public_key()),
                     PubNonce::from_opaque(opaque_store(pub))};
}

Result<AggNonce> nonce_agg(std::span<const PubNonce> nonces) {
    if (nonces.empty())
        return fail(Errc::InvalidArgument, "no public nonces to aggregate");
    std::vector<secp256k1_musig_pubnonce> parsed;
    std::vector<const secp256k1_musig_pubnonce*> pointers;
    parsed.reserve(nonces.size());
    pointers.reserve(nonces.size());
    for (const PubNonce& nonce : nonces) {
        parsed.push_back(opaque_load<secp256k1_musig_pubnonce>(nonce.opaque()));
        pointers.push_back(&parsed.back());
    }
    secp256k1_musig_aggnonce out;
    if (secp256k1_musig_nonce_agg(secp_context(), &out, pointers.data(), pointers.size()) != 1 ||
        misuse_reported())
        return fail(Errc::Internal, "MuSig2 nonce aggregation failed");
    return AggNonce::from_opaque(opaque_store(out));
}

} // namespace keymeld::musig
