// Credential stores: what a PKCS#11 token needs to use an appliance's keys, in one file under a PIN.
//
// Two lines. The first is JSON and public: where the appliance is, which enclaves to believe, the keys that a tool may see without a PIN,
// the parameters of scrypt. The second is hex: a nonce and AES-256-GCM of the secrets under scrypt(PIN), with the whole first line
// as associated data, so that a change of either line shows at the next login.
// Secrets of a key: the MuSig2 session secret and the participant's key, or a single key's authentication key. No signing key of an enclave
// is in here: those never leave it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "appliance/client/ceremony.h"
#include "appliance/client/http.h"
#include "appliance/client/trust.h"
#include "core/bitcoin/keys.h"
#include "core/secure/secret.h"

namespace keymeld::client {

enum class KeyKind { MuSig2, Single };

/// The public part of one key.
struct StoredKey {
    KeyKind kind = KeyKind::MuSig2;
    std::string label{};               ///< is_label(), unique in its store
    bitcoin::PlainPubKey public_key;   ///< MuSig2: the tweaked aggregate, as signatures verify
    UserId user_id{};                  ///< whose credentials these are
    Uuid id{};                         ///< keygen session, or key id
    bitcoin::SessionParams params{};   ///< MuSig2
    bool approves = false;             ///< MuSig2: this user's own approval is needed for a signature
    std::uint32_t enclave_id = 0;      ///< single: where it lives
    bool generated = false;            ///< single: made inside an enclave
    bool ecdsa = false;                ///< single: what it may be used for
    bool schnorr = false;
    Bytes certificate{};               ///< DER; empty: none

    bool operator==(const StoredKey&) const = default;
};

/// The secret part of one key.
struct KeySecrets {
    SessionSecret session_secret;           ///< MuSig2; single: unused zeros
    secure::SecretArray<32> authentication; ///< MuSig2: the participant's private key; single: the authentication key

    KeySecrets clone() const { return {session_secret.clone(), authentication.clone()}; }
};

/// A copy for KeySecrets.
inline secure::SecretArray<32> secret_copy(const bitcoin::SecretKey& key) { return secure::SecretArray<32>::copy_of(key.expose()); }

/// scrypt's cost: 2^log_n * 128 * 8 bytes of memory (32 MiB at 15).
struct KdfCost {
    unsigned log_n = 15;
};
inline constexpr unsigned kMinKdfLogN = 10;
inline constexpr unsigned kMaxKdfLogN = 20;
inline constexpr std::size_t kMinPin = 4;
inline constexpr std::size_t kMaxPin = 255;
inline constexpr std::size_t kMaxStoredKeys = 10'000;
inline constexpr std::size_t kMaxTokenLabel = 32;
inline constexpr std::size_t kMaxKeyLabel = 64;

/// Whether it can name a token or a key: 1 to `max` bytes of UTF-8 without control characters. [any-thread]
bool is_label(std::string_view text, std::size_t max);

/// The first line, without the parameters of its encryption.
struct StoreHeader {
    std::string label; ///< the token's: is_label()
    std::string url;
    std::optional<ByteArray<32>> certificate_sha256; ///< TLS pin; unset: the system's roots decide
    std::string trust;       ///< "aws" or the PEM of a simulator's root
    std::string pcrs;        ///< content of an allow-list file
    std::vector<StoredKey> keys;

    bool operator==(const StoreHeader&) const = default;

    Result<Endpoint> endpoint() const;
    Result<Trust> enclave_trust() const;
};

/// A store as its file has it: the public part, and the secrets encrypted. Immutable. Thread rule: any thread may read.
class CredentialStore {
  public:
    /// `Errc::Io` if the file cannot be read, is larger than 16 MiB, or others than its owner can read or write it (the detail says what to do);
    /// `Errc::ConfigInvalid` if it is no credential store or damaged. The detail names the file.
    static Result<CredentialStore> read(const std::filesystem::path& path);

    const StoreHeader& header() const { return m_header; }

    /// The PIN as a key. Takes as long as scrypt does. `Errc::InvalidArgument` for a PIN of a length that no store has. [any-thread]
    Result<secure::SecretArray<32>> derive_key(ByteView pin) const;
    /// The secrets, in the order of header().keys. `Errc::AuthFailed` for a wrong PIN or a changed file: nobody can tell which.
    Result<std::vector<KeySecrets>> open(const secure::SecretArray<32>& key) const;

    /// Creates a store without keys. `Errc::Io` if the file exists, `Errc::InvalidArgument`.
    static Status create(const std::filesystem::path& path, StoreHeader header, ByteView pin, KdfCost cost = {});

    /// Replaces the file by one with these keys, atomically, under the same PIN. The file is locked and read again first:
    /// `change` gets what is in it now. `Errc::AuthFailed` if the PIN is another by now.
    struct Content {
        StoreHeader header;
        std::vector<KeySecrets> secrets;
    };
    using Change = std::function<Status(Content&)>;
    static Status update(const std::filesystem::path& path, const secure::SecretArray<32>& key, const Change& change);
    /// Encrypts anew under another PIN, with another salt.
    static Status change_pin(const std::filesystem::path& path, ByteView old_pin, ByteView new_pin);

  private:
    struct Kdf {
        unsigned log_n = 15;
        ByteArray<16> salt{};
    };
    CredentialStore(StoreHeader header, Kdf kdf, std::string first_line, Bytes sealed)
        : m_header(std::move(header)), m_kdf(kdf), m_first_line(std::move(first_line)), m_sealed(std::move(sealed)) {}
    static Result<CredentialStore> parse(const std::filesystem::path& path, std::string_view text);
    static Status replace(const std::filesystem::path& path, const Content& content, const Kdf& kdf, const secure::SecretArray<32>& key,
                          bool create);
    static Result<secure::SecretArray<32>> derive(const Kdf& kdf, ByteView pin);

    StoreHeader m_header;
    Kdf m_kdf;
    std::string m_first_line;
    Bytes m_sealed; ///< nonce || ciphertext || tag
};

} // namespace keymeld::client
