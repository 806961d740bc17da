// Single keys (rest-keys.md) with every check that a client which does not trust the gateway makes: attestation before anything is encrypted,
// ecies_aad, the enclave's word for a key that it generated, every signature verified.
#pragma once

#include <filesystem>
#include <map>

#include "appliance/client/rest.h"
#include "appliance/client/trust.h"
#include "core/bitcoin/single_key.h"

namespace keymeld::client {

/// What its owner keeps of a single key. The authentication key is all that is needed to use it.
struct OwnedKey {
    KeyId id;
    UserId user_id;
    std::uint32_t enclave_id = 0;
    bitcoin::PlainPubKey public_key;
    bitcoin::SecretKey auth_key;

    /// `keymeld-single-key-v1` (secret_file.h).
    static Result<OwnedKey> load(const std::filesystem::path& path);
    Status save(const std::filesystem::path& path) const;
    OwnedKey clone() const { return {id, user_id, enclave_id, public_key, auth_key.clone()}; }
    /// X-User-Signature over the key id, or over a signing session; the maker refers to this object.
    HeaderMaker header() const { return header(id); }
    HeaderMaker header(const Uuid& scope) const;
};

/// A new version 7 id, for a user who has none.
UserId new_user_id();

struct SignOptions {
    bitcoin::TweakConfig tweak;             ///< none, unspendable_taproot or taproot_with_merkle_root; BIP-340 only
    unsigned repeats = 0;                   ///< times the same request is sent again when the way to the appliance breaks: one signature
};

/// A signature that was made, and under which id it can be read again for as long as the appliance keeps it.
struct SingleSignature {
    SigningId id;
    ByteArray<64> bytes{};                  ///< ECDSA: compact r || s, low S; BIP-340: R.x || s
};

/// One appliance's single keys. References must outlive the calls. Thread rule: as the RestClient.
class SingleKeys {
  public:
    SingleKeys(RestClient& rest, const Trust& trust) : m_rest(rest), m_trust(trust) {}

    /// Has an enclave make a key. `Errc::AttestationRefused`; `Errc::RosterMismatch` if the enclave does not vouch for the key that the appliance
    /// reports, or for what it may be used for.
    Async<Result<OwnedKey>> generate(UserId user, bitcoin::SecretKey auth_key, bitcoin::AllowedSignatures allowed = {},
                                     std::optional<std::string> label = std::nullopt);
    /// Hands a key over, encrypted to a verified enclave. The authentication key is derived from it (bitcoin::derive_auth_key).
    Async<Result<OwnedKey>> import(UserId user, bitcoin::SecretKey key, std::optional<std::string> label = std::nullopt);
    /// All keys of this user with this authentication key, oldest first, as the appliance reports them.
    Async<Result<std::vector<KeyEntry>>> list(const OwnedKey& key);
    Async<Result<KeyStatusEntry>> status(const OwnedKey& key);
    Async<Status> remove(const OwnedKey& key);
    /// Signs 32 bytes. The appliance sees neither them nor the signature. `Errc::InvalidSignature` if what came back does not verify under
    /// `key.public_key` (with the tweak, under its output key).
    Async<Result<SingleSignature>> sign(const OwnedKey& key, const ByteArray<32>& digest, bitcoin::SignatureType type,
                                        SignOptions options = {});
    /// The same for 1..100 digests in one request; a result or an error for each.
    Async<Result<std::vector<Result<SingleSignature>>>> sign_batch(const OwnedKey& key, std::vector<ByteArray<32>> digests,
                                                                   bitcoin::SignatureType type);

  private:
    struct Prepared {
        SignSingleBody body;
        secure::SecretArray<32> secret;
    };
    /// Verified once for the life of this object: an enclave that comes back with another key is refused by the appliance and opens nothing.
    Async<Result<bitcoin::PlainPubKey>> enclave_key(std::uint32_t id);
    static Result<Prepared> prepare(const OwnedKey& key, const bitcoin::PlainPubKey& enclave, const ByteArray<32>& digest,
                                    bitcoin::SignatureType type, const SignOptions& options);
    static Result<SingleSignature> open(const OwnedKey& key, const Prepared& prepared, const SingleSigningEntry& entry,
                                        const ByteArray<32>& digest);

    RestClient& m_rest;
    const Trust& m_trust;
    std::map<std::uint32_t, bitcoin::PlainPubKey> m_enclaves;
};

} // namespace keymeld::client
