#include "tests/support/enclave_harness.h"

#include <algorithm>
#include <stdexcept>

#include "core/base/hex.h"
#include "core/bitcoin/bound_approval.h"
#include "core/crypto/auth_header.h"
#include "core/crypto/ecies.h"
#include "core/crypto/encrypted_data.h"
#include "core/secure/random.h"
#include "core/secure/secret_hex.h"

namespace keymeld::test {
namespace {

[[noreturn]] void refused(const char* what, const wire::Response& response) {
    throw std::runtime_error(std::string(what) + " was refused: " +
                             std::string(errc_name(static_cast<Errc>(response.failure().code()))) +
                             ": " + response.failure().detail());
}

Uuid random_uuid() {
    Uuid uuid;
    uuid.bytes = secure::random_array<16>();
    return uuid;
}

wire::ApprovalPolicy wire_policy(ApprovalPolicy policy) {
    switch (policy) {
    case ApprovalPolicy::None:
        return wire::POLICY_NONE;
    case ApprovalPolicy::Header:
        return wire::POLICY_HEADER;
    case ApprovalPolicy::Bound:
        return wire::POLICY_BOUND;
    }
    throw std::logic_error("policy");
}

const wire::SealedUpdate* sealed_of(const wire::Response& response) {
    switch (response.result_case()) {
    case wire::Response::kOpenKeygen:
        return response.open_keygen().has_sealed() ? &response.open_keygen().sealed() : nullptr;
    case wire::Response::kJoinKeygen:
        return response.join_keygen().has_sealed() ? &response.join_keygen().sealed() : nullptr;
    case wire::Response::kRegister:
        return response.register_().has_sealed() ? &response.register_().sealed() : nullptr;
    case wire::Response::kCompleteKeygen:
        return response.complete_keygen().has_sealed() ? &response.complete_keygen().sealed()
                                                       : nullptr;
    case wire::Response::kFailKeygen:
        return response.fail_keygen().has_sealed() ? &response.fail_keygen().sealed() : nullptr;
    case wire::Response::kSignRound1:
        return response.sign_round1().has_sealed() ? &response.sign_round1().sealed() : nullptr;
    case wire::Response::kApprove:
        return response.approve().has_sealed() ? &response.approve().sealed() : nullptr;
    case wire::Response::kReject:
        return response.reject().has_sealed() ? &response.reject().sealed() : nullptr;
    case wire::Response::kCloseSigning:
        return response.close_signing().has_sealed() ? &response.close_signing().sealed() : nullptr;
    default:
        return nullptr;
    }
}

std::optional<KeygenId> keygen_of(const wire::Request& request) {
    const auto id = [](const std::string& field) -> std::optional<KeygenId> {
        const auto uuid = Uuid::from_bytes(as_bytes(field));
        return uuid ? std::optional(KeygenId(*uuid)) : std::nullopt;
    };
    switch (request.command_case()) {
    case wire::Request::kOpenKeygen:
        return id(request.open_keygen().keygen_id());
    case wire::Request::kJoinKeygen:
        return id(request.join_keygen().keygen_id());
    case wire::Request::kRegister:
        return id(request.register_().keygen_id());
    case wire::Request::kCompleteKeygen:
        return id(request.complete_keygen().keygen_id());
    case wire::Request::kFailKeygen:
        return id(request.fail_keygen().keygen_id());
    case wire::Request::kAuthenticate:
        return id(request.authenticate().keygen_id());
    case wire::Request::kSignRound1:
        return id(request.sign_round1().keygen_id());
    case wire::Request::kSignRound2:
        return id(request.sign_round2().keygen_id());
    case wire::Request::kSignFinish:
        return id(request.sign_finish().keygen_id());
    case wire::Request::kApprove:
        return id(request.approve().keygen_id());
    case wire::Request::kReject:
        return id(request.reject().keygen_id());
    case wire::Request::kCloseSigning:
        return id(request.close_signing().keygen_id());
    default:
        return std::nullopt;
    }
}

} // namespace

UserId random_user() {
    return UserId(random_uuid());
}
SigningId random_signing() {
    return SigningId(random_uuid());
}
ByteArray<32> random_message() {
    return secure::random_array<32>();
}

Errc code_of(const wire::Response& response) {
    return response.has_failure() ? static_cast<Errc>(response.failure().code()) : Errc{0};
}

// ---- Clients ----

TestKeygen::TestKeygen(const std::vector<TestEnclave*>& enclaves, const KeygenSetup& setup)
    : m_enclave_list(enclaves), m_setup(setup),
      m_id(setup.id ? *setup.id : KeygenId(random_uuid())),
      m_secret(setup.secret ? secure::SecretArray<32>::copy_of(*setup.secret)
                            : secure::random_secret<32>()) {
    for (std::size_t i = 0; i < setup.slots.size(); ++i) {
        m_participants.push_back(
            {setup.users.empty() ? random_user() : setup.users.at(i),
             setup.keys.empty() ? crypto::SecretKey::generate()
                                : crypto::SecretKey::parse(setup.keys.at(i)).value(),
             setup.policies.empty() ? ApprovalPolicy::None : setup.policies.at(i)});
        m_params.expected_participants.push_back(m_participants.back().id);
        if (std::find(m_enclaves.begin(), m_enclaves.end(), setup.slots[i]) == m_enclaves.end())
            m_enclaves.push_back(setup.slots[i]);
    }
    m_params.tweak = setup.tweak;
    m_params.key_order = setup.key_order;
    m_params.max_signing_sessions = setup.max_signing_sessions;

    const std::size_t coordinator = setup.slots.front();
    const UserId& user = m_participants.front().id;
    opening.set_keygen_id(raw(m_id.bytes));
    wire::KeygenParams& params = *opening.mutable_params();
    for (std::size_t i = 0; i < size(); ++i) {
        params.add_expected_participants(raw(m_participants[i].id.bytes));
        params.add_slot_enclaves(raw(m_enclave_list[setup.slots[i]]->public_key().bytes()));
    }
    params.mutable_tweak()->set_type(static_cast<wire::TweakConfig::Type>(setup.tweak.type));
    if (setup.tweak.has_value())
        params.mutable_tweak()->set_value(raw(setup.tweak.value32));
    params.set_key_order(static_cast<wire::KeyOrder>(setup.key_order));
    params.set_max_signing_sessions(setup.max_signing_sessions);
    params.set_ecies_aad(setup.ecies_aad);
    opening.set_coordinator_pubkey(raw(m_participants.front().key.public_key().bytes()));
    opening.set_coordinator_encrypted_private_key(
        raw(encrypt(coordinator, m_participants.front().key.expose(),
                    setup.ecies_aad ? bitcoin::coordinator_key_aad(m_id, user) : "")));
    const auto text = secure::secret_to_hex(m_secret.expose());
    opening.set_encrypted_session_secret(raw(encrypt(
        coordinator, text.expose(),
        setup.ecies_aad ? bitcoin::session_secret_aad(m_id, user, bitcoin::params_id(m_params))
                        : "")));
    for (std::size_t i = 0; i < size(); ++i) {
        wire::Register registration;
        registration.set_keygen_id(raw(m_id.bytes));
        registration.set_user_id(raw(m_participants[i].id.bytes));
        registration.set_encrypted_private_key(
            raw(encrypt(setup.slots[i], m_participants[i].key.expose(),
                        setup.ecies_aad ? private_key_aad(i) : "")));
        registration.set_public_key(raw(m_participants[i].key.public_key().bytes()));
        registration.set_policy(wire_policy(m_participants[i].policy));
        registering.push_back(registration);
    }
}

Bytes TestKeygen::encrypt(std::size_t enclave, ByteView plaintext, const std::string& aad) const {
    return crypto::ecies_encrypt(m_enclave_list[enclave]->public_key(), plaintext, as_bytes(aad))
        .value();
}

std::string TestKeygen::private_key_aad(std::size_t i) const {
    return bitcoin::private_key_aad(m_id, m_participants[i].id,
                                    session::text(m_participants[i].policy),
                                    bitcoin::params_id(m_params), bitcoin::secret_id(m_secret));
}

wire::Request TestKeygen::open() const {
    wire::Request request;
    *request.mutable_open_keygen() = opening;
    return request;
}

wire::Request TestKeygen::join(std::size_t enclave, const wire::OpenKeygenResult& opened) const {
    wire::Request request;
    wire::JoinKeygen& join = *request.mutable_join_keygen();
    join.set_keygen_id(raw(m_id.bytes));
    *join.mutable_params() = opening.params();
    join.set_coordinator_enclave(opening.params().slot_enclaves(0));
    for (const auto& handover : opened.handovers())
        if (handover.peer_public_key() == raw(m_enclave_list[enclave]->public_key().bytes()))
            join.set_box(handover.box());
    return request;
}

wire::Request TestKeygen::register_participant(std::size_t i) const {
    wire::Request request;
    *request.mutable_register_() = registering[i];
    request.mutable_register_()->set_session_header(session_header(i));
    return request;
}

wire::Request TestKeygen::complete(const std::vector<wire::Registration>& registrations) const {
    wire::Request request;
    request.mutable_complete_keygen()->set_keygen_id(raw(m_id.bytes));
    for (const wire::Registration& registration : registrations)
        *request.mutable_complete_keygen()->add_registrations() = registration;
    return request;
}

std::string TestKeygen::session_header(std::size_t i) const {
    return crypto::make_session_hmac(m_secret, m_id, m_participants[i].id,
                                     crypto::make_header_nonce());
}

std::string TestKeygen::signing_header(std::size_t i) const {
    return crypto::make_signing_hmac(m_participants[i].key, m_participants[i].id,
                                     crypto::make_header_nonce())
        .value();
}

wire::SigningEvidence TestKeygen::evidence(const ByteArray<32>& message) const {
    wire::SigningEvidence evidence;
    evidence.set_session_header(session_header(0));
    evidence.set_message_hash(raw(message));
    return evidence;
}

wire::Approval TestKeygen::header_approval(std::size_t i) const {
    wire::Approval approval;
    approval.set_signing_header(signing_header(i));
    return approval;
}

wire::Approval TestKeygen::bound_approval(std::size_t i, const SigningId& signing,
                                          const ByteArray<32>& message,
                                          std::uint64_t expires_at) const {
    bitcoin::BoundApproval bound;
    bound.keygen = m_id;
    bound.signing = signing;
    bound.user = m_participants[i].id;
    bound.message_hash = message;
    bound.expires_at = expires_at;
    wire::Approval approval = header_approval(i);
    approval.mutable_bound()->set_message_hash(raw(message));
    approval.mutable_bound()->set_expires_at(expires_at);
    approval.mutable_bound()->set_signature(raw(bound.sign(m_participants[i].key).value().bytes));
    return approval;
}

bitcoin::SchnorrSignature TestKeygen::open_final(const std::string& final_signature,
                                                 const ByteArray<32>& message) const {
    const auto plaintext =
        crypto::encrypted_data_open(m_secret, crypto::DataContext::Signature, final_signature);
    if (!plaintext)
        throw std::runtime_error("final_signature does not decrypt");
    const auto signature = bitcoin::SchnorrSignature::parse(plaintext->expose()).value();
    const auto key =
        crypto::PlainPubKey::parse(as_bytes(completed.value().aggregate_public_key())).value();
    if (!bitcoin::schnorr_verify(signature, message, bitcoin::XOnlyPubKey::from(key)))
        throw std::runtime_error("final signature does not verify");
    return signature;
}

// ---- Gateway ----

void TestGateway::store(std::size_t enclave, const KeygenId& keygen,
                        const wire::SealedUpdate& update) {
    Stored& kept = m_stored[{enclave, keygen}];
    if (update.snapshot())
        kept.clear();
    else if (kept.empty() || kept.back().version() + 1 != update.version())
        throw std::runtime_error("a sealed delta does not follow what is stored");
    kept.push_back(update);
}

wire::Response TestGateway::send(std::size_t enclave, const wire::Request& request) {
    const wire::Response response = m_enclaves[enclave]->call(request);
    const auto keygen = keygen_of(request);
    if (const wire::SealedUpdate* const sealed = sealed_of(response); sealed != nullptr && keygen)
        store(enclave, *keygen, *sealed);
    return response;
}

wire::Response TestGateway::ask(std::size_t enclave, const wire::Request& request) {
    wire::Response response = send(enclave, request);
    if (code_of(response) == Errc::StateUnknown) {
        const wire::Response restored = send(enclave, restore(enclave, keygen_of(request).value()));
        if (restored.has_failure())
            return restored;
        response = send(enclave, request);
    }
    for (std::size_t i = 0; i < m_enclaves.size() && code_of(response) == Errc::PeerUnknown; ++i) {
        for (std::size_t peer = 0; peer < m_enclaves.size(); ++peer)
            if (raw(m_enclaves[peer]->public_key().bytes()) == response.failure().peer_public_key())
                introduce(peer, enclave);
        response = send(enclave, request);
    }
    return response;
}

void TestGateway::introduce(std::size_t whom, std::size_t to) {
    wire::Request request;
    request.mutable_challenge();
    const wire::Response challenge = send(to, request);
    if (challenge.has_failure())
        refused("challenge", challenge);
    request.mutable_attest()->set_nonce(challenge.challenge().nonce());
    const wire::Response attested = send(whom, request);
    if (attested.has_failure())
        refused("attest", attested);
    request.mutable_introduce_peer()->set_attestation_document(
        attested.attest().attestation_document());
    const wire::Response introduced = send(to, request);
    if (introduced.has_failure())
        refused("introduction", introduced);
}

void TestGateway::introduce_all() {
    for (std::size_t whom = 0; whom < m_enclaves.size(); ++whom)
        for (std::size_t to = 0; to < m_enclaves.size(); ++to)
            if (whom != to)
                introduce(whom, to);
}

void TestGateway::keygen(TestKeygen& keygen) {
    const std::size_t coordinator = keygen.enclaves().front();
    const wire::Response opened = ask(coordinator, keygen.open());
    if (opened.has_failure())
        refused("open", opened);
    for (const std::size_t enclave : keygen.enclaves()) {
        if (enclave == coordinator)
            continue;
        const wire::Response joined = ask(enclave, keygen.join(enclave, opened.open_keygen()));
        if (joined.has_failure())
            refused("join", joined);
    }
    std::vector<wire::Registration> registrations;
    for (std::size_t i = 0; i < keygen.size(); ++i) {
        const wire::Response registered = ask(keygen.enclave_of(i), keygen.register_participant(i));
        if (registered.has_failure())
            refused("register", registered);
        registrations.push_back(registered.register_().registration());
    }
    for (const std::size_t enclave : keygen.enclaves()) {
        const wire::Response completed = ask(enclave, keygen.complete(registrations));
        if (completed.has_failure())
            refused("complete", completed);
        if (keygen.completed && (keygen.completed->aggregate_public_key() !=
                                     completed.complete_keygen().aggregate_public_key() ||
                                 keygen.completed->aggregate_key_tag() !=
                                     completed.complete_keygen().aggregate_key_tag()))
            throw std::runtime_error("enclaves report different keys");
        keygen.completed = completed.complete_keygen();
    }
}

TestSigning TestGateway::start_signing(const TestKeygen& keygen,
                                       std::optional<ByteArray<32>> message) {
    TestSigning signing;
    signing.id = random_signing();
    signing.message = message ? *message : random_message();
    signing.evidence = keygen.evidence(signing.message);
    const std::uint64_t expires_at = enclave(keygen.enclaves().front()).unix_seconds() + 600;
    for (std::size_t i = 0; i < keygen.size(); ++i) {
        if (keygen.participant(i).policy == ApprovalPolicy::Header)
            signing.approvals.push_back(keygen.header_approval(i));
        if (keygen.participant(i).policy == ApprovalPolicy::Bound)
            signing.approvals.push_back(
                keygen.bound_approval(i, signing.id, signing.message, expires_at));
    }
    return signing;
}

wire::Request TestGateway::round1(const TestKeygen& keygen, const TestSigning& signing,
                                  std::uint32_t attempt) {
    wire::Request request;
    wire::SignRound1& round = *request.mutable_sign_round1();
    round.set_keygen_id(raw(keygen.id().bytes));
    round.set_signing_id(raw(signing.id.bytes));
    round.set_attempt(attempt);
    *round.mutable_evidence() = signing.evidence;
    for (const wire::Approval& approval : signing.approvals)
        *round.add_approvals() = approval;
    return request;
}

wire::Request TestGateway::round2(const TestKeygen& keygen, const TestSigning& signing,
                                  const RoundTrips& trips, std::uint32_t attempt) {
    wire::Request request;
    wire::SignRound2& round = *request.mutable_sign_round2();
    round.set_keygen_id(raw(keygen.id().bytes));
    round.set_signing_id(raw(signing.id.bytes));
    round.set_attempt(attempt);
    for (const auto& [enclave, result] : trips.round1)
        *round.add_contributions() = result.contribution();
    return request;
}

wire::Request TestGateway::finish(const TestKeygen& keygen, const TestSigning& signing,
                                  const RoundTrips& trips, std::uint32_t attempt) const {
    wire::Request request;
    wire::SignFinish& finish = *request.mutable_sign_finish();
    finish.set_keygen_id(raw(keygen.id().bytes));
    finish.set_signing_id(raw(signing.id.bytes));
    finish.set_attempt(attempt);
    for (const auto& [enclave, result] : trips.round1)
        *finish.add_contributions() = result.contribution();
    for (const auto& [enclave, result] : trips.round2) {
        auto& partial = *finish.add_partials();
        partial.set_enclave(raw(m_enclaves[enclave]->public_key().bytes()));
        partial.set_box(result.box());
    }
    return request;
}

wire::Request TestGateway::approve(const TestKeygen& keygen, const TestSigning& signing,
                                   const wire::Approval& approval) {
    wire::Request request;
    request.mutable_approve()->set_keygen_id(raw(keygen.id().bytes));
    request.mutable_approve()->set_signing_id(raw(signing.id.bytes));
    *request.mutable_approve()->mutable_approval() = approval;
    *request.mutable_approve()->mutable_evidence() = signing.evidence;
    return request;
}

wire::Request TestGateway::reject(const TestKeygen& keygen, const TestSigning& signing,
                                  const std::string& header) {
    wire::Request request;
    request.mutable_reject()->set_keygen_id(raw(keygen.id().bytes));
    request.mutable_reject()->set_signing_id(raw(signing.id.bytes));
    request.mutable_reject()->set_signing_header(header);
    return request;
}

wire::Request TestGateway::close(const TestKeygen& keygen, const TestSigning& signing) {
    wire::Request request;
    request.mutable_close_signing()->set_keygen_id(raw(keygen.id().bytes));
    request.mutable_close_signing()->add_signing_ids(raw(signing.id.bytes));
    return request;
}

wire::Request TestGateway::restore(std::size_t enclave, const KeygenId& keygen) const {
    wire::Request request;
    request.mutable_restore()->set_keygen_id(raw(keygen.bytes));
    const auto kept = m_stored.find({enclave, keygen});
    if (kept != m_stored.end())
        for (const wire::SealedUpdate& update : kept->second)
            *request.mutable_restore()->add_updates() = update;
    return request;
}

RoundTrips TestGateway::rounds(const TestKeygen& keygen, const TestSigning& signing,
                               std::uint32_t attempt) {
    RoundTrips trips;
    for (const std::size_t enclave : keygen.enclaves()) {
        const wire::Response first = ask(enclave, round1(keygen, signing, attempt));
        if (first.has_failure())
            refused("round 1", first);
        if (first.sign_round1().awaiting_size() != 0)
            throw std::runtime_error("round 1 waits for approvals");
        trips.round1[enclave] = first.sign_round1();
    }
    const std::size_t coordinator = keygen.enclaves().front();
    if (keygen.enclaves().size() == 1) {
        trips.final_signature = trips.round1[coordinator].final_signature();
        return trips;
    }
    for (const std::size_t enclave : keygen.enclaves()) {
        if (enclave == coordinator)
            continue;
        const wire::Response second = ask(enclave, round2(keygen, signing, trips, attempt));
        if (second.has_failure())
            refused("round 2", second);
        trips.round2[enclave] = second.sign_round2();
    }
    const wire::Response finished = ask(coordinator, finish(keygen, signing, trips, attempt));
    if (finished.has_failure())
        refused("finish", finished);
    trips.final_signature = finished.sign_finish().final_signature();
    return trips;
}

bitcoin::SchnorrSignature TestGateway::sign(const TestKeygen& keygen, const TestSigning& signing,
                                            std::uint32_t attempt) {
    return keygen.open_final(rounds(keygen, signing, attempt).final_signature, signing.message);
}

} // namespace keymeld::test
