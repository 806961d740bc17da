// Keygen and signing ceremonies over enclaves: the clients' side (keys, secrets, headers,
// ciphertexts) and an honest gateway (storing, restoring, introducing, repeating). Hostile tests
// take the honest requests and change them.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "core/bitcoin/ecies_aad.h"
#include "core/bitcoin/schnorr.h"
#include "core/secure/secret.h"
#include "core/session/status.h"
#include "tests/support/test_enclave.h"

namespace keymeld::test {

using session::ApprovalPolicy;

struct TestParticipant {
    UserId id;
    crypto::SecretKey key;
    ApprovalPolicy policy = ApprovalPolicy::None;
};

struct KeygenSetup {
    /// Enclave of each participant, the coordinator first.
    std::vector<std::size_t> slots = {0, 1};
    std::vector<ApprovalPolicy> policies = {}; ///< empty: none
    bitcoin::TweakConfig tweak = {};
    bitcoin::KeyOrder key_order = bitcoin::KeyOrder::UserId;
    std::uint32_t max_signing_sessions = 100;
    bool ecies_aad = false;
    // Given by test vectors; otherwise random.
    std::optional<KeygenId> id = {};
    std::vector<UserId> users = {};
    std::vector<ByteArray<32>> keys = {};
    std::optional<ByteArray<32>> secret = {};
};

/// The clients of one keygen session, and the requests that an honest gateway makes of what they
/// send.
class TestKeygen {
  public:
    TestKeygen(const std::vector<TestEnclave*>& enclaves, const KeygenSetup& setup);

    const KeygenId& id() const { return m_id; }
    std::size_t size() const { return m_participants.size(); }
    std::vector<TestParticipant>& participants() { return m_participants; }
    const TestParticipant& participant(std::size_t i) const { return m_participants[i]; }
    const secure::SecretArray<32>& secret() const { return m_secret; }
    /// The distinct enclaves of the session, the coordinator's first.
    const std::vector<std::size_t>& enclaves() const { return m_enclaves; }
    std::size_t enclave_of(std::size_t participant) const { return m_setup.slots[participant]; }
    const bitcoin::SessionParams& params() const { return m_params; }

    wire::Request open() const;
    wire::Request join(std::size_t enclave, const wire::OpenKeygenResult& opened) const;
    wire::Request register_participant(std::size_t i) const;
    wire::Request complete(const std::vector<wire::Registration>& registrations) const;

    /// Fresh headers.
    std::string session_header(std::size_t i) const;
    std::string signing_header(std::size_t i) const;
    Bytes encrypt(std::size_t enclave, ByteView plaintext, const std::string& aad = "") const;
    std::string private_key_aad(std::size_t i) const;

    wire::SigningEvidence evidence(const ByteArray<32>& message) const;
    wire::Approval header_approval(std::size_t i) const;
    wire::Approval bound_approval(std::size_t i, const SigningId& signing,
                                  const ByteArray<32>& message, std::uint64_t expires_at) const;
    /// The signature inside `final_signature`; throws unless it decrypts and verifies under the key
    /// that the enclaves reported.
    bitcoin::SchnorrSignature open_final(const std::string& final_signature,
                                         const ByteArray<32>& message) const;

    /// What the enclaves reported at completion.
    std::optional<wire::CompleteKeygenResult> completed;
    /// Kept to say the same again: blobs are made once.
    wire::OpenKeygen opening;
    std::vector<wire::Register> registering;

  private:
    std::vector<TestEnclave*> m_enclave_list;
    KeygenSetup m_setup;
    KeygenId m_id;
    std::vector<TestParticipant> m_participants;
    std::vector<std::size_t> m_enclaves;
    secure::SecretArray<32> m_secret;
    bitcoin::SessionParams m_params;
};

/// A signing session of a keygen session, with its clients' evidence.
struct TestSigning {
    SigningId id;
    ByteArray<32> message{};
    wire::SigningEvidence evidence;
    std::vector<wire::Approval> approvals;
};

/// Everything that one signing ceremony exchanged, for tests that repeat or mix parts of it.
struct RoundTrips {
    std::map<std::size_t, wire::SignRound1Result> round1;
    std::map<std::size_t, wire::SignRound2Result> round2;
    std::string final_signature;
};

class TestGateway {
  public:
    explicit TestGateway(std::vector<TestEnclave*> enclaves) : m_enclaves(std::move(enclaves)) {}

    TestEnclave& enclave(std::size_t i) { return *m_enclaves[i]; }
    const std::vector<TestEnclave*>& enclaves() const { return m_enclaves; }

    /// One request, as it is; sealed updates of the answer are stored.
    wire::Response send(std::size_t enclave, const wire::Request& request);
    /// With the repairs of an honest gateway: gives back state, introduces peers, and repeats, once
    /// each.
    wire::Response ask(std::size_t enclave, const wire::Request& request);
    /// Every enclave to every other.
    void introduce_all();
    void introduce(std::size_t whom, std::size_t to);

    /// Runs a keygen; throws on any refusal. The registrations are kept in the keygen.
    void keygen(TestKeygen& keygen);
    /// A signing session of participant 0, with approvals of everybody who requires one.
    TestSigning start_signing(const TestKeygen& keygen,
                              std::optional<ByteArray<32>> message = std::nullopt);
    /// Runs all rounds; throws on any refusal. The result was decrypted and verified.
    bitcoin::SchnorrSignature sign(const TestKeygen& keygen, const TestSigning& signing,
                                   std::uint32_t attempt = 1);
    RoundTrips rounds(const TestKeygen& keygen, const TestSigning& signing,
                      std::uint32_t attempt = 1);

    static wire::Request round1(const TestKeygen& keygen, const TestSigning& signing,
                                std::uint32_t attempt = 1);
    static wire::Request round2(const TestKeygen& keygen, const TestSigning& signing,
                                const RoundTrips& trips, std::uint32_t attempt = 1);
    wire::Request finish(const TestKeygen& keygen, const TestSigning& signing,
                         const RoundTrips& trips, std::uint32_t attempt = 1) const;
    static wire::Request approve(const TestKeygen& keygen, const TestSigning& signing,
                                 const wire::Approval& approval);
    static wire::Request reject(const TestKeygen& keygen, const TestSigning& signing,
                                const std::string& header);
    static wire::Request close(const TestKeygen& keygen, const TestSigning& signing);
    wire::Request restore(std::size_t enclave, const KeygenId& keygen) const;

    using Stored = std::vector<wire::SealedUpdate>;
    Stored& stored(std::size_t enclave, const KeygenId& keygen) {
        return m_stored[{enclave, keygen}];
    }

  private:
    void store(std::size_t enclave, const KeygenId& keygen, const wire::SealedUpdate& update);

    std::vector<TestEnclave*> m_enclaves;
    std::map<std::pair<std::size_t, Uuid>, Stored> m_stored;
};

UserId random_user();
SigningId random_signing();
ByteArray<32> random_message();
/// Raw bytes of ids and keys as the wire has them.
template <class T> std::string raw(const T& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
/// The code of a refusal; Errc{0} for a success.
Errc code_of(const wire::Response& response);

} // namespace keymeld::test
