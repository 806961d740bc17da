#include "appliance/demo/independent_verify.h"

#include <initializer_list>
#include <memory>
#include <new>
#include <string_view>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>

namespace keymeld::demo::independent {
namespace {

struct Free {
    void operator()(BIGNUM* p) const { BN_free(p); }
    void operator()(BN_CTX* p) const { BN_CTX_free(p); }
    void operator()(EC_GROUP* p) const { EC_GROUP_free(p); }
    void operator()(EC_POINT* p) const { EC_POINT_free(p); }
    void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
};
template <class T> using Owned = std::unique_ptr<T, Free>;
using Number = Owned<BIGNUM>;
using Point = Owned<EC_POINT>;
using Hash = ByteArray<32>;

/// OpenSSL fails here only when memory is short.
void must(int result) {
    if (result != 1)
        throw std::bad_alloc();
}
template <class T> Owned<T> must(T* made) {
    if (made == nullptr)
        throw std::bad_alloc();
    return Owned<T>(made);
}

Hash sha256(std::initializer_list<ByteView> parts) {
    const auto context = must(EVP_MD_CTX_new());
    must(EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr));
    for (const ByteView part : parts)
        must(EVP_DigestUpdate(context.get(), part.data(), part.size()));
    Hash out{};
    must(EVP_DigestFinal_ex(context.get(), out.data(), nullptr));
    return out;
}

Hash tagged_hash(std::string_view tag, std::initializer_list<ByteView> parts) {
    const Hash prefix = sha256({as_bytes(tag)});
    Bytes data;
    for (const ByteView part : parts)
        data.insert(data.end(), part.begin(), part.end());
    return sha256({prefix, prefix, data});
}

class Curve {
  public:
    Curve() : m_group(must(EC_GROUP_new_by_curve_name(NID_secp256k1))), m_context(must(BN_CTX_new())) {
        m_field = must(BN_new());
        must(EC_GROUP_get_curve(m_group.get(), m_field.get(), nullptr, nullptr, m_context.get()));
    }

    const BIGNUM* order() const { return EC_GROUP_get0_order(m_group.get()); }
    const BIGNUM* field() const { return m_field.get(); }

    static Number number(ByteView big_endian) {
        return must(BN_bin2bn(big_endian.data(), static_cast<int>(big_endian.size()), nullptr));
    }
    /// A hash as a scalar.
    Number scalar(const Hash& hash) const {
        Number out = number(hash);
        must(BN_nnmod(out.get(), out.get(), order(), m_context.get()));
        return out;
    }
    Number negated(const Number& scalar) const {
        Number out = must(BN_new());
        must(BN_sub(out.get(), order(), scalar.get()));
        return out;
    }

    /// The point with this x-coordinate and parity; null if there is none.
    Point lift(ByteView x32, int odd) const {
        const Number x = number(x32);
        if (BN_cmp(x.get(), field()) >= 0)
            return nullptr;
        Point point = must(EC_POINT_new(m_group.get()));
        if (EC_POINT_set_compressed_coordinates(m_group.get(), point.get(), x.get(), odd, m_context.get()) != 1)
            return nullptr;
        return point;
    }
    /// g * G + p * P
    Point combine(const BIGNUM* g, const Point& point, const BIGNUM* p) const {
        Point out = must(EC_POINT_new(m_group.get()));
        must(EC_POINT_mul(m_group.get(), out.get(), g, point.get(), p, m_context.get()));
        return out;
    }
    Point sum(const Point& a, const Point& b) const {
        Point out = must(EC_POINT_new(m_group.get()));
        must(EC_POINT_add(m_group.get(), out.get(), a.get(), b.get(), m_context.get()));
        return out;
    }
    Point infinity() const {
        Point out = must(EC_POINT_new(m_group.get()));
        must(EC_POINT_set_to_infinity(m_group.get(), out.get()));
        return out;
    }
    bool is_infinity(const Point& point) const { return EC_POINT_is_at_infinity(m_group.get(), point.get()) == 1; }

    /// Compressed, 33 bytes; not for the point at infinity.
    ByteArray<33> encode(const Point& point) const {
        ByteArray<33> out{};
        if (EC_POINT_point2oct(m_group.get(), point.get(), POINT_CONVERSION_COMPRESSED, out.data(), out.size(), m_context.get()) !=
            out.size())
            throw std::bad_alloc();
        return out;
    }

  private:
    Owned<EC_GROUP> m_group;
    Owned<BN_CTX> m_context;
    Number m_field;
};

Result<ByteArray<33>> apply_tweak(const Curve& curve, Point point, const bitcoin::TweakConfig& tweak) {
    const auto encoded = curve.encode(point);
    const ByteView x = ByteView(encoded).subspan(1);
    Number t;
    switch (tweak.type) {
    case bitcoin::TweakType::None: return encoded;
    case bitcoin::TweakType::UnspendableTaproot: t = Curve::number(tagged_hash("TapTweak", {x})); break;
    case bitcoin::TweakType::TaprootWithMerkleRoot: t = Curve::number(tagged_hash("TapTweak", {x, tweak.value32})); break;
    case bitcoin::TweakType::PlainTweak:
    case bitcoin::TweakType::XOnlyTweak: t = Curve::number(tweak.value32); break;
    }
    if (BN_cmp(t.get(), curve.order()) >= 0)
        return fail(Errc::InvalidScalar, "the tweak is not below the group order");
    if (tweak.type != bitcoin::TweakType::PlainTweak)
        point = curve.lift(x, 0);
    const Point tweaked = curve.combine(t.get(), point, BN_value_one());
    if (curve.is_infinity(tweaked))
        return fail(Errc::AggregateAtInfinity, "the tweaked key is the point at infinity");
    return curve.encode(tweaked);
}

} // namespace

Status verify_bip340(ByteView signature64, ByteView message, ByteView public_key_x32) {
    const auto invalid = [](std::string_view why) { return fail(Errc::InvalidSignature, std::string(why)); };
    if (signature64.size() != 64 || public_key_x32.size() != 32)
        return invalid("signature or key has the wrong length");
    const Curve curve;
    const Point key = curve.lift(public_key_x32, 0);
    if (!key)
        return invalid("the public key is not the x-coordinate of a point");
    const ByteView r_bytes = signature64.first(32);
    const Number r = Curve::number(r_bytes);
    const Number s = Curve::number(signature64.last(32));
    if (BN_cmp(r.get(), curve.field()) >= 0)
        return invalid("r is not below the field size");
    if (BN_cmp(s.get(), curve.order()) >= 0)
        return invalid("s is not below the group order");
    const Number e = curve.scalar(tagged_hash("BIP0340/challenge", {r_bytes, public_key_x32, message}));
    const Point nonce = curve.combine(s.get(), key, curve.negated(e).get()); // R = s*G - e*P
    if (curve.is_infinity(nonce))
        return invalid("R is the point at infinity");
    const auto encoded = curve.encode(nonce);
    if (encoded[0] != 2)
        return invalid("R has an odd y-coordinate");
    const Number x = Curve::number(ByteView(encoded).subspan(1));
    if (BN_cmp(x.get(), r.get()) != 0)
        return invalid("R is not the nonce of the signature");
    return {};
}

Result<ByteArray<33>> aggregate_key(std::span<const ByteArray<33>> keys_in_order, const bitcoin::TweakConfig& tweak) {
    if (keys_in_order.empty())
        return fail(Errc::InvalidArgument, "no keys to aggregate");
    const Curve curve;
    Bytes list;
    for (const auto& key : keys_in_order)
        list.insert(list.end(), key.begin(), key.end());
    const Hash list_hash = tagged_hash("KeyAgg list", {list});
    // GetSecondKey: the first key that differs from the first one has coefficient 1.
    const ByteArray<33>* second = nullptr;
    for (const auto& key : keys_in_order) {
        if (key != keys_in_order.front()) {
            second = &key;
            break;
        }
    }
    Point aggregate = curve.infinity();
    for (const auto& key : keys_in_order) {
        const Point point = key[0] == 2 || key[0] == 3 ? curve.lift(ByteView(key).subspan(1), key[0] == 3 ? 1 : 0) : nullptr;
        if (!point)
            return fail(Errc::InvalidPoint, "a participant's key is not a point");
        Number coefficient = curve.scalar(tagged_hash("KeyAgg coefficient", {list_hash, key}));
        if (second != nullptr && key == *second)
            must(BN_one(coefficient.get()));
        aggregate = curve.sum(aggregate, curve.combine(nullptr, point, coefficient.get()));
    }
    if (curve.is_infinity(aggregate))
        return fail(Errc::AggregateAtInfinity, "the aggregate key is the point at infinity");
    return apply_tweak(curve, std::move(aggregate), tweak);
}

Result<ByteArray<33>> tweak_key(ByteView x32, const bitcoin::TweakConfig& tweak) {
    const Curve curve;
    Point point = x32.size() == 32 ? curve.lift(x32, 0) : nullptr;
    if (!point)
        return fail(Errc::InvalidPoint, "not the x-coordinate of a point");
    return apply_tweak(curve, std::move(point), tweak);
}

} // namespace keymeld::demo::independent
