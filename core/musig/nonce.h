// Nonces (BIP-327 NonceGen, NonceAgg).
//
// A secret nonce used for two signatures gives away the private key. So a SecNonce is made only by
// nonce_gen() from fresh randomness, lives in locked memory, cannot be copied, serialised, printed
// or rebuilt, and is handed to partial_sign() by value, which ends it on every path.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/musig/key_agg.h"
#include "core/secure/secret.h"

namespace keymeld::musig {

/// Two points, 66 bytes; public. Keeps the parsed form (parsing costs 9 us).
class PubNonce {
  public:
    /// `Errc::InvalidPoint` unless 66 bytes that are two valid points. [any-thread]
    static Result<PubNonce> parse(ByteView bytes66);
    const ByteArray<66>& bytes() const { return m_bytes; }
    bool operator==(const PubNonce& other) const { return m_bytes == other.m_bytes; }

    /// Both points as x || y, 32 bytes each: twice as long, and read back without the two square roots that make parse() dear. For
    /// programs of ours among themselves.
    ByteArray<128> points() const;
    /// `Errc::InvalidPoint` unless 128 bytes that are two points of the curve. [any-thread]
    static Result<PubNonce> parse_points(ByteView bytes128);

    /// libsecp256k1's secp256k1_musig_pubnonce, for sources of core/musig.
    const ByteArray<132>& opaque() const { return m_opaque; }
    static PubNonce from_opaque(const ByteArray<132>& secp256k1_musig_pubnonce);

  private:
    PubNonce() = default;
    ByteArray<66> m_bytes{};
    ByteArray<132> m_opaque{};
};

/// Sum of all public nonces, 66 bytes; public. Each half may be the point at infinity (33 zero
/// bytes).
class AggNonce {
  public:
    /// `Errc::InvalidPoint` unless 66 bytes that are two points. [any-thread]
    static Result<AggNonce> parse(ByteView bytes66);
    const ByteArray<66>& bytes() const { return m_bytes; }
    bool operator==(const AggNonce& other) const { return m_bytes == other.m_bytes; }

    const ByteArray<132>& opaque() const { return m_opaque; }
    static AggNonce from_opaque(const ByteArray<132>& secp256k1_musig_aggnonce);

  private:
    AggNonce() = default;
    ByteArray<66> m_bytes{};
    ByteArray<132> m_opaque{};
};

class SecNonce;
struct NoncePair;
class PartialSignature;
class SessionContext;

/// Makes a nonce pair for one signature by `key` (42 us). The message and the aggregate key, where
/// known, are mixed in as a second line of defence behind the randomness. `Errc::Internal` only on
/// a defect. [any-thread]
Result<NoncePair> nonce_gen(const SecretKey& key, const KeyAggContext* aggregate = nullptr,
                            const ByteArray<32>* message = nullptr);

class SecNonce {
  public:
    SecNonce(SecNonce&&) noexcept = default;
    SecNonce& operator=(SecNonce&&) noexcept = default;
    SecNonce(const SecNonce&) = delete;
    SecNonce& operator=(const SecNonce&) = delete;

    bool operator==(const SecNonce&) const = delete;

    /// False once it was moved from, and so once it was used.
    bool usable() const noexcept { return m_data.holds_value(); }
    /// The only key it can sign for.
    const PlainPubKey& signer() const { return m_signer; }

  private:
    friend Result<NoncePair> nonce_gen(const SecretKey&, const KeyAggContext*,
                                       const ByteArray<32>*);
    friend Result<PartialSignature> partial_sign(SecNonce, const SecretKey&, const KeyAggContext&,
                                                 const SessionContext&);
    SecNonce(secure::SecretArray<132> data, const PlainPubKey& signer)
        : m_data(std::move(data)), m_signer(signer) {}

    secure::SecretArray<132> m_data;
    PlainPubKey m_signer;
};

struct NoncePair {
    SecNonce secret;
    PubNonce pub;
};

/// Adds up the public nonces of all signers, in any order. `Errc::InvalidArgument` for none.
/// [any-thread]
Result<AggNonce> nonce_agg(std::span<const PubNonce> nonces);

} // namespace keymeld::musig
