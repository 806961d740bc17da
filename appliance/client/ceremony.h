// What participants do: keygen and signing over the REST API, with every check that a client which does not trust the gateway makes
// (rest-v1.md 3.5): attestation before encryption, ecies_aad, encrypted messages, bound approvals, tag and recomputed aggregate, final signature.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "appliance/client/rest.h"
#include "appliance/client/trust.h"
#include "core/bitcoin/ecies_aad.h"
#include "core/bitcoin/keys.h"
#include "core/secure/secret.h"

namespace keymeld::client {

using SessionSecret = secure::SecretArray<32>;

enum class Approval { None, Header, Bound };
std::string_view text(Approval policy);
Result<Approval> parse_approval(std::string_view text);

/// A participant's id and private key.
struct Participant {
    UserId user_id;
    bitcoin::SecretKey key;

    /// A new key and a new version 7 id.
    static Participant generate();
    /// `keymeld-participant-key-v1` (secret_file.h).
    static Result<Participant> load(const std::filesystem::path& path);
    Status save(const std::filesystem::path& path) const;
    /// For X-Signing-HMAC; the maker refers to this object.
    HeaderMaker signing_header() const;
};

/// What the coordinator passes to the other participants, over a channel of their own: it holds the session secret.
struct Invitation {
    KeygenId keygen_id;
    SessionSecret session_secret;
    bitcoin::SessionParams params;

    /// `keymeld-invitation-v1` (secret_file.h).
    static Result<Invitation> load(const std::filesystem::path& path);
    Status save(const std::filesystem::path& path) const;
    /// For X-Session-HMAC in the name of `user`; the maker refers to this object.
    HeaderMaker session_header(const UserId& user) const;
};

struct KeygenOptions {
    bitcoin::TweakConfig tweak{bitcoin::TweakType::UnspendableTaproot, {}};
    bitcoin::KeyOrder key_order = bitcoin::KeyOrder::UserId;
    std::uint32_t max_signing_sessions = 100;
    std::uint64_t timeout_secs = 1800;
    /// The coordinator's enclave; unset: the first healthy one.
    std::optional<std::uint32_t> coordinator_enclave;
};

/// An aggregate key that this client has recomputed.
struct AggregateKey {
    bitcoin::PlainPubKey key;      ///< tweaked, as signatures verify (x-only)
    bitcoin::PlainPubKey untweaked;
    bitcoin::XOnlyPubKey x_only() const { return bitcoin::XOnlyPubKey::from(key); }
};

/// One participant's view of an appliance. References must outlive the calls.
class Ceremony {
  public:
    Ceremony(RestClient& rest, const Trust& trust) : m_rest(rest), m_trust(&trust) {}
    /// For everything after registration: no key leaves, so there is nothing to trust. create_keygen() and join_keygen() are then
    /// `Errc::AttestationRefused`.
    explicit Ceremony(RestClient& rest) : m_rest(rest) {}

    /// POST /keygen for a session of `expected` (the coordinator first, which must be `coordinator`), with ecies_aad.
    Async<Result<Invitation>> create_keygen(const Participant& coordinator, std::vector<UserId> expected, KeygenOptions options);
    /// Registers `who` at the enclave of its slot, after verifying that enclave.
    Async<Result<VerifiedEnclave>> join_keygen(const Invitation& invitation, const Participant& who, Approval policy);
    /// Waits until the keygen is completed (at most until `deadline`), then checks tag, own key and aggregate.
    /// `Errc::WrongState` if it failed (detail: its reason), `Errc::RosterMismatch` if what the appliance reports is not what the enclaves vouch for.
    Async<Result<AggregateKey>> aggregate_key(const Invitation& invitation, const Participant& who, SteadyTime deadline);

    /// POST /signing with the message encrypted under the session secret. The id may be given to make a repeat idempotent.
    Async<Result<SigningId>> create_signing(const Invitation& invitation, const UserId& as, const ByteArray<32>& message,
                                            std::uint64_t timeout_secs, std::optional<SigningId> id = std::nullopt);
    /// Bound: signs over session, message and expiry, so that the approval is good for nothing else.
    Async<Status> approve(const Invitation& invitation, const Participant& who, SigningId id, const ByteArray<32>& message,
                          Approval form, std::uint64_t valid_secs = 3600);
    /// Waits for the end; decrypts and verifies. `Errc::WrongState` if the session failed (detail: its reason),
    /// `Errc::InvalidSignature` if what came is not a signature of `message` under `key`, `Errc::DeadlineExceeded`.
    Async<Result<bitcoin::SchnorrSignature>> signature(const Invitation& invitation, const Participant& who, SigningId id,
                                                       const ByteArray<32>& message, const AggregateKey& key, SteadyTime deadline);

  private:
    RestClient& m_rest;
    Async<Result<VerifiedEnclave>> verified(std::uint32_t enclave_id);
    const Trust* m_trust = nullptr;
};

/// Decrypts `final_signature` and verifies it. Errors as Ceremony::signature.
Result<bitcoin::SchnorrSignature> open_signature(const Invitation& invitation, std::string_view final_signature,
                                                 const ByteArray<32>& message, const bitcoin::XOnlyPubKey& key);

} // namespace keymeld::client
