#include "appliance/client/ceremony.h"

#include <algorithm>
#include <charconv>

#include "appliance/client/secret_file.h"
#include "core/base/hex.h"
#include "core/bitcoin/bound_approval.h"
#include "core/bitcoin/key_order.h"
#include "core/crypto/aggregate_key_tag.h"
#include "core/crypto/auth_header.h"
#include "core/crypto/ecies.h"
#include "core/crypto/encrypted_data.h"
#include "core/musig/key_agg.h"
#include "core/secure/compare.h"
#include "core/secure/random.h"
#include "core/secure/secret_hex.h"
#include "plugins/tweak-taproot/tweak_rules.h"

namespace keymeld::client {

namespace {

constexpr std::string_view kKeyFile = "keymeld-participant-key-v1";
constexpr std::string_view kInvitationFile = "keymeld-invitation-v1";

Uuid new_id() { return Uuid::make_v7(unix_millis(), secure::random_array<10>()); }

unsigned wait_seconds(SteadyTime deadline) {
    const auto left = std::chrono::duration_cast<std::chrono::seconds>(deadline - std::chrono::steady_clock::now()).count();
    return static_cast<unsigned>(std::clamp<long long>(left, 1, 30));
}

Result<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size())
        return fail(Errc::ConfigInvalid, "not a number");
    return number;
}

/// Tag, own key and aggregate, as rest-v1.md 5.6 asks of a client that verifies.
Result<AggregateKey> check_aggregate(const Invitation& invitation, const Participant& who, const KeygenStatusEntry& status) {
    const auto wrong = [](std::string_view what) { return fail(Errc::RosterMismatch, std::string(what)); };
    const auto& expected = invitation.params.expected_participants;
    if (!status.aggregate_public_key || !status.aggregate_key_tag || status.participants.size() != expected.size())
        return wrong("the appliance reports an incomplete key");
    std::vector<bitcoin::PlainPubKey> keys;
    bool own_key_listed = false;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const auto& listed = status.participants[i];
        if (listed.user_id != expected[i] || !listed.public_key)
            return wrong("the appliance reports other participants than the invitation names");
        keys.push_back(*listed.public_key);
        own_key_listed = own_key_listed || (listed.user_id == who.user_id && *listed.public_key == who.key.public_key());
    }
    if (!own_key_listed)
        return wrong("this participant's key is not part of the aggregate key");
    const auto order = bitcoin::aggregation_order(expected, keys, invitation.params.key_order);
    std::vector<bitcoin::PlainPubKey> ordered;
    std::vector<crypto::AggregatedParticipant> roster;
    for (const std::size_t i : order) {
        ordered.push_back(keys[i]);
        roster.push_back({expected[i], keys[i]});
    }
    KEYMELD_TRY(const auto plain, musig::KeyAggContext::create(ordered));
    KEYMELD_TRY(const auto tweaks, tweak_taproot::tweaks_for(plain.untweaked_key().bytes(), invitation.params.tweak));
    KEYMELD_TRY(const auto tweaked, musig::KeyAggContext::create(ordered, tweaks));
    if (tweaked.key() != *status.aggregate_public_key)
        return wrong("the reported aggregate key is not that of the listed keys and the tweak");
    const auto tag = crypto::aggregate_key_tag(invitation.session_secret, invitation.keygen_id, tweaked.key(), roster);
    if (!secure::ct_equal(tag, *status.aggregate_key_tag))
        return wrong("no enclave of this session vouches for the aggregate key");
    return AggregateKey{tweaked.key(), tweaked.untweaked_key()};
}

} // namespace

std::string_view text(Approval policy) {
    switch (policy) {
    case Approval::None: return "none";
    case Approval::Header: return "header";
    case Approval::Bound: return "bound";
    }
    return "bound";
}

Result<Approval> parse_approval(std::string_view given) {
    for (const Approval policy : {Approval::None, Approval::Header, Approval::Bound})
        if (text(policy) == given)
            return policy;
    return fail(Errc::InvalidArgument, "approval is one of none, header, bound");
}

// ---- Participant ----------------------------------------------------------------------------------------------------

Participant Participant::generate() { return {UserId(new_id()), bitcoin::SecretKey::generate()}; }

Result<Participant> Participant::load(const std::filesystem::path& path) {
    KEYMELD_TRY(const SecretFile file, SecretFile::read(path, kKeyFile));
    KEYMELD_TRY(const auto user_text, file.text("user_id"));
    KEYMELD_TRY(const Uuid user, Uuid::parse(user_text));
    KEYMELD_TRY(const ByteView hex, file.value("private_key"));
    KEYMELD_TRY(const auto bytes, secure::secret_from_hex<32>(hex));
    KEYMELD_TRY(bitcoin::SecretKey key, bitcoin::SecretKey::parse(bytes.expose()));
    return Participant{UserId(user), std::move(key)};
}

Status Participant::save(const std::filesystem::path& path) const {
    SecretFileWriter out(kKeyFile);
    out.add("user_id", user_id.text());
    const secure::SecretBytes hex = secure::secret_to_hex(key.expose());
    out.add("private_key", hex.expose());
    return out.write(path);
}

HeaderMaker Participant::signing_header() const {
    return [this] { return crypto::make_signing_hmac(key, user_id, crypto::make_header_nonce()); };
}

// ---- Invitation -----------------------------------------------------------------------------------------------------

Result<Invitation> Invitation::load(const std::filesystem::path& path) {
    KEYMELD_TRY(const SecretFile file, SecretFile::read(path, kInvitationFile));
    KEYMELD_TRY(const auto id_text, file.text("keygen_id"));
    KEYMELD_TRY(const Uuid id, Uuid::parse(id_text));
    KEYMELD_TRY(const ByteView secret_hex, file.value("session_secret"));
    KEYMELD_TRY(auto secret, secure::secret_from_hex<32>(secret_hex));
    Invitation out{KeygenId(id), std::move(secret), {}};
    KEYMELD_TRY(std::string_view participants, file.text("participants"));
    while (!participants.empty()) {
        const auto comma = participants.find(',');
        KEYMELD_TRY(const Uuid user, Uuid::parse(participants.substr(0, comma)));
        out.params.expected_participants.emplace_back(user);
        participants = comma == std::string_view::npos ? std::string_view() : participants.substr(comma + 1);
    }
    KEYMELD_TRY(const std::string_view tweak, file.text("tweak"));
    const auto equals = tweak.find('=');
    KEYMELD_TRY(out.params.tweak.type, bitcoin::parse_tweak_type(tweak.substr(0, equals)));
    if (out.params.tweak.has_value() != (equals != std::string_view::npos))
        return fail(Errc::ConfigInvalid, path.string() + ": the tweak has a value it should not have, or lacks one");
    if (equals != std::string_view::npos)
        KEYMELD_CHECK(hex_decode_into(tweak.substr(equals + 1), out.params.tweak.value32));
    KEYMELD_TRY(const auto order, file.text("key_order"));
    KEYMELD_TRY(out.params.key_order, bitcoin::parse_key_order(order));
    KEYMELD_TRY(const auto sessions_text, file.text("max_signing_sessions"));
    KEYMELD_TRY(const auto sessions, parse_number(sessions_text));
    out.params.max_signing_sessions = static_cast<std::uint32_t>(std::min<std::uint64_t>(sessions, UINT32_MAX));
    return out;
}

Status Invitation::save(const std::filesystem::path& path) const {
    SecretFileWriter out(kInvitationFile);
    out.add("keygen_id", keygen_id.text());
    const secure::SecretBytes hex = secure::secret_to_hex(session_secret.expose());
    out.add("session_secret", hex.expose());
    std::string participants;
    for (const UserId& user : params.expected_participants)
        participants += (participants.empty() ? "" : ",") + user.text();
    out.add("participants", participants);
    out.add("tweak", params.tweak.params_text());
    out.add("key_order", bitcoin::text(params.key_order));
    out.add("max_signing_sessions", std::to_string(params.max_signing_sessions));
    return out.write(path);
}

HeaderMaker Invitation::session_header(const UserId& user) const {
    return [this, user]() -> Result<std::string> {
        return crypto::make_session_hmac(session_secret, keygen_id, user, crypto::make_header_nonce());
    };
}

// ---- Ceremony -------------------------------------------------------------------------------------------------------

Async<Result<VerifiedEnclave>> Ceremony::verified(std::uint32_t enclave_id) {
    if (m_trust == nullptr)
        co_return fail(Errc::AttestationRefused, "no root and no measurements were given to judge enclaves by");
    co_return co_await m_trust->verify(m_rest, enclave_id);
}

Async<Result<Invitation>> Ceremony::create_keygen(const Participant& coordinator, std::vector<UserId> expected,
                                                  KeygenOptions options) {
    if (expected.empty() || expected.front() != coordinator.user_id)
        co_return fail(Errc::InvalidArgument, "the coordinator must be the first of the participants");
    if (!options.coordinator_enclave) {
        auto enclaves = co_await m_rest.enclaves();
        if (!enclaves)
            co_return std::move(enclaves).error();
        const auto healthy = std::find_if(enclaves->begin(), enclaves->end(), [](const EnclaveEntry& e) { return e.healthy; });
        if (healthy == enclaves->end())
            co_return fail(Errc::EnclaveUnavailable, "no enclave of this appliance is healthy");
        options.coordinator_enclave = healthy->id;
    }
    auto enclave = co_await verified(*options.coordinator_enclave);
    if (!enclave)
        co_return std::move(enclave).error();

    Invitation invitation{KeygenId(new_id()), secure::random_secret<32>(),
                          {std::move(expected), options.tweak, options.key_order, options.max_signing_sessions}};
    CreateKeygenBody body;
    body.keygen_id = invitation.keygen_id;
    body.params = invitation.params;
    body.coordinator_enclave_id = enclave->id();
    body.timeout_secs = options.timeout_secs;
    body.coordinator_pubkey = coordinator.key.public_key().bytes();
    const std::string key_aad = bitcoin::coordinator_key_aad(invitation.keygen_id, coordinator.user_id);
    auto key_blob = crypto::ecies_encrypt(enclave->key(), coordinator.key.expose(), as_bytes(key_aad));
    const secure::SecretBytes secret_hex = secure::secret_to_hex(invitation.session_secret.expose());
    const std::string secret_aad = bitcoin::session_secret_aad(invitation.keygen_id, coordinator.user_id,
                                                               bitcoin::params_id(invitation.params));
    auto secret_blob = crypto::ecies_encrypt(enclave->key(), secret_hex.expose(), as_bytes(secret_aad));
    if (!key_blob || !secret_blob)
        co_return fail(Errc::Internal, "encryption to the enclave failed");
    body.coordinator_encrypted_private_key = std::move(*key_blob);
    body.encrypted_session_secret = std::move(*secret_blob);
    Status created = co_await m_rest.create_keygen(body);
    if (!created)
        co_return std::move(created).error();
    co_return invitation;
}

Async<Result<VerifiedEnclave>> Ceremony::join_keygen(const Invitation& invitation, const Participant& who, Approval policy) {
    auto slots = co_await m_rest.slots(invitation.keygen_id);
    if (!slots)
        co_return std::move(slots).error();
    const auto slot = std::find_if(slots->begin(), slots->end(), [&](const SlotEntry& s) { return s.user_id == who.user_id; });
    if (slot == slots->end())
        co_return fail(Errc::NotAParticipant, "there is no open slot for this participant: not invited, or registered already");
    auto enclave = co_await verified(slot->enclave_id);
    if (!enclave)
        co_return std::move(enclave).error();
    RegisterBody body;
    body.keygen_id = invitation.keygen_id;
    body.user_id = who.user_id;
    body.public_key = who.key.public_key().bytes();
    body.approval_policy = text(policy);
    const std::string aad = bitcoin::private_key_aad(invitation.keygen_id, who.user_id, body.approval_policy,
                                                     bitcoin::params_id(invitation.params),
                                                     bitcoin::secret_id(invitation.session_secret));
    auto blob = crypto::ecies_encrypt(enclave->key(), who.key.expose(), as_bytes(aad));
    if (!blob)
        co_return std::move(blob).error();
    body.encrypted_private_key = std::move(*blob);
    Status registered = co_await m_rest.register_participant(body, invitation.session_header(who.user_id));
    if (!registered)
        co_return std::move(registered).error();
    co_return std::move(*enclave);
}

Async<Result<AggregateKey>> Ceremony::aggregate_key(const Invitation& invitation, const Participant& who, SteadyTime deadline) {
    unsigned wait = 0;
    for (;;) {
        auto status = co_await m_rest.keygen_status(invitation.keygen_id, invitation.session_header(who.user_id), wait);
        if (!status)
            co_return std::move(status).error();
        if (status->status == "completed")
            co_return check_aggregate(invitation, who, *status);
        if (status->status == "failed")
            co_return fail(Errc::WrongState, "the keygen session failed: " +
                                                 (status->failure ? status->failure->type + ": " + status->failure->message : "no reason"));
        if (std::chrono::steady_clock::now() >= deadline)
            co_return fail(Errc::DeadlineExceeded, "not every participant has registered yet");
        wait = wait_seconds(deadline);
    }
}

Async<Result<SigningId>> Ceremony::create_signing(const Invitation& invitation, const UserId& as, const ByteArray<32>& message,
                                                  std::uint64_t timeout_secs, std::optional<SigningId> id) {
    CreateSigningBody body;
    body.signing_id = id ? *id : SigningId(new_id());
    body.keygen_id = invitation.keygen_id;
    body.message_hash = message;
    body.encrypted_message = crypto::encrypted_data_seal(invitation.session_secret, crypto::DataContext::Message, message);
    body.timeout_secs = timeout_secs;
    Status created = co_await m_rest.create_signing(body, invitation.session_header(as));
    if (!created)
        co_return std::move(created).error();
    co_return body.signing_id;
}

Async<Status> Ceremony::approve(const Invitation& invitation, const Participant& who, SigningId id, const ByteArray<32>& message,
                                Approval form, std::uint64_t valid_secs) {
    std::optional<BoundApprovalBody> body;
    if (form == Approval::Bound) {
        const bitcoin::BoundApproval approval{invitation.keygen_id, id, who.user_id, message, unix_seconds() + valid_secs};
        auto signature = approval.sign(who.key);
        if (!signature)
            co_return std::move(signature).error();
        body = BoundApprovalBody{message, approval.expires_at, *signature};
    }
    co_return co_await m_rest.approve(id, who.signing_header(), std::move(body));
}

Async<Result<bitcoin::SchnorrSignature>> Ceremony::signature(const Invitation& invitation, const Participant& who, SigningId id,
                                                             const ByteArray<32>& message, const AggregateKey& key,
                                                             SteadyTime deadline) {
    unsigned wait = wait_seconds(deadline);
    for (;;) {
        auto status = co_await m_rest.signing_status(id, who.signing_header(), wait);
        if (!status)
            co_return std::move(status).error();
        if (status->status == "completed" && status->final_signature)
            co_return open_signature(invitation, *status->final_signature, message, key.x_only());
        if (status->status == "failed")
            co_return fail(Errc::WrongState, "the signing session failed: " +
                                                 (status->failure ? status->failure->type + ": " + status->failure->message : "no reason"));
        if (std::chrono::steady_clock::now() >= deadline)
            co_return fail(Errc::DeadlineExceeded, "the session is still " + status->status);
        wait = wait_seconds(deadline);
    }
}

Result<bitcoin::SchnorrSignature> open_signature(const Invitation& invitation, std::string_view final_signature,
                                                 const ByteArray<32>& message, const bitcoin::XOnlyPubKey& key) {
    KEYMELD_TRY(const auto plain,
                crypto::encrypted_data_open(invitation.session_secret, crypto::DataContext::Signature, final_signature));
    KEYMELD_TRY(const auto signature, bitcoin::SchnorrSignature::parse(plain.expose()));
    KEYMELD_CHECK(bitcoin::schnorr_verify(signature, message, key));
    return signature;
}

} // namespace keymeld::client
