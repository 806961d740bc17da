#include "core/crypto/ecies.h"
#include "core/protocol/enclave.pb.h"
#include "core/secure/compare.h"
#include "core/secure/random.h"
#include "core/secure/secret_hex.h"
#include "enclave/signer/commands.h"
#include "enclave/signer/wire_fields.h"

namespace keymeld::enclave {
namespace {

constexpr std::size_t kHandoverSize = 32 + 32 + 32; // session secret, roster key, params digest

std::string handover_context(const KeygenId& id) {
    return "handover:" + id.text();
}

crypto::Hash256 open_digest(const KeygenParams& params, const wire::OpenKeygen& request) {
    return crypto::sha256({as_bytes("keymeld-open-keygen-v1"), params.digest,
                           as_bytes(request.coordinator_pubkey()),
                           crypto::sha256(as_bytes(request.coordinator_encrypted_private_key())),
                           crypto::sha256(as_bytes(request.encrypted_session_secret()))});
}

Error wrong_enclave(const char* pointer) {
    return at(fail(Errc::WrongEnclave, "ciphertext does not open with this enclave's key"),
              pointer);
}

/// A blob of the size that the plaintext gives, opened.
Result<secure::SecretBytes> open_blob(const SignerCore& core, const std::string& blob,
                                      std::size_t size, const std::string& aad,
                                      const char* pointer) {
    if (blob.size() != size)
        return wrong_enclave(pointer);
    auto plaintext = crypto::ecies_open(core.parts.identity.key(), as_bytes(blob), as_bytes(aad));
    if (!plaintext)
        return wrong_enclave(pointer);
    return plaintext;
}

Result<Mark> check_binding(SignerCore& core, const std::string& blob, Mark owner,
                           const char* pointer) {
    const auto binding_id = crypto::ecies_binding_id(as_bytes(blob));
    if (!binding_id)
        return wrong_enclave(pointer);
    const Mark mark = core.marker.blob(*binding_id);
    if (auto free = core.bindings.check(mark, owner); !free)
        return at(std::move(free).error(), pointer);
    return mark;
}

Status make_handovers(SignerCore& core, const KeygenState& keygen, wire::OpenKeygenResult& result) {
    if (keygen.holds_all())
        return {};
    secure::SecretBytes content(kHandoverSize);
    const auto bytes = content.expose_mut();
    std::memcpy(bytes.data(), keygen.session_secret().expose().data(), 32);
    std::memcpy(bytes.data() + 32, keygen.roster_key().expose().data(), 32);
    std::memcpy(bytes.data() + 64, keygen.params().digest.data(), 32);
    for (std::size_t i = 1; i < keygen.params().enclaves.size(); ++i) {
        const crypto::PlainPubKey& peer = keygen.params().enclaves[i];
        KEYMELD_TRY(const crypto::PeerChannel* const channel, core.peers.introduced(peer));
        wire::OpenKeygenResult::Handover& handover = *result.add_handovers();
        handover.set_peer_public_key(wire_bytes(peer.bytes()));
        handover.set_box(
            wire_bytes(channel->seal(handover_context(keygen.id()), content.expose())));
    }
    return {};
}

/// The session under this id if it is in memory or parked; null if none ever was here.
Result<KeygenState*> existing(SignerCore& core, const KeygenId& id) {
    auto found = core.store.find(id);
    if (found)
        return found;
    if (found.error().code != Errc::StateUnknown && found.error().code != Errc::NotFound)
        return std::move(found).error();
    KEYMELD_CHECK(core.store.may_create(id));
    return nullptr;
}

Error duplicate() {
    return fail(Errc::DuplicateId, "keygen session id is in use with other content");
}

/// What the coordinator client sent, opened and checked.
struct OpenedSecrets {
    secure::SecretArray<32> session_secret;
    Mark key_blob = 0;
    Mark secret_blob = 0;
};

Result<OpenedSecrets> open_secrets(SignerCore& core, const KeygenId& id, const KeygenParams& params,
                                   const wire::OpenKeygen& request) {
    constexpr const char* kKeyField = "/coordinator_encrypted_private_key";
    constexpr const char* kSecretField = "/encrypted_session_secret";
    const UserId& coordinator = params.session.expected_participants.front();
    auto public_key = point_of(request.coordinator_pubkey());
    if (!public_key)
        return at(std::move(public_key).error(), "/coordinator_pubkey");
    const Mark owner = core.marker.user(id, coordinator);
    OpenedSecrets out;
    KEYMELD_TRY(out.key_blob,
                check_binding(core, request.coordinator_encrypted_private_key(), owner, kKeyField));
    KEYMELD_TRY(out.secret_blob,
                check_binding(core, request.encrypted_session_secret(), owner, kSecretField));

    // Opened only to check coordinator_pubkey, and erased with this block.
    {
        const std::string aad =
            params.ecies_aad ? bitcoin::coordinator_key_aad(id, coordinator) : "";
        KEYMELD_TRY(
            const auto plaintext,
            open_blob(core, request.coordinator_encrypted_private_key(), kKeyBlob, aad, kKeyField));
        const auto key = crypto::SecretKey::parse(plaintext.expose());
        if (!key || key->public_key() != *public_key)
            return at(fail(Errc::KeyMismatch, "public key is not the private key times G"),
                      "/coordinator_pubkey");
    }
    const std::string aad =
        params.ecies_aad ? bitcoin::session_secret_aad(id, coordinator, params.params_id()) : "";
    KEYMELD_TRY(const auto text, open_blob(core, request.encrypted_session_secret(), kSecretBlob,
                                           aad, kSecretField));
    auto secret = secure::secret_from_hex<32>(text.expose());
    if (!secret)
        return at(fail(Errc::ValidationFailed, "session secret is not 64 hex characters"),
                  kSecretField);
    out.session_secret = std::move(*secret);
    return out;
}

} // namespace

void put_sealed(SealedBlob sealed, wire::SealedUpdate& out) {
    out.set_version(sealed.version);
    out.set_snapshot(sealed.snapshot);
    out.set_blob(wire_bytes(sealed.blob));
}

Status open_keygen(SignerCore& core, const Call& call, const wire::OpenKeygen& request,
                   wire::OpenKeygenResult& result) {
    KEYMELD_TRY(const KeygenId id, keygen_id_of(request.keygen_id()));
    KEYMELD_TRY(KeygenParams params, KeygenParams::parse(request.params()));
    if (params.enclaves.front() != core.parts.identity.public_key())
        return fail(Errc::InvalidArgument, "slot 0 is not this enclave's");
    const crypto::Hash256 digest = open_digest(params, request);
    KEYMELD_TRY(KeygenState * keygen, existing(core, id));
    if (keygen != nullptr && keygen->opening().request != digest)
        return duplicate();
    for (std::size_t i = 1; i < params.enclaves.size(); ++i)
        KEYMELD_CHECK(core.peers.introduced(params.enclaves[i]));
    if (keygen == nullptr) {
        KEYMELD_TRY(OpenedSecrets opened, open_secrets(core, id, params, request));
        auto fresh = std::make_unique<KeygenState>(core.parts.identity, id, std::move(params),
                                                   std::move(opened.session_secret),
                                                   secure::random_secret<32>(), core.parts.limits);
        fresh->set_opening({digest, opened.key_blob, opened.secret_blob});
        keygen = &core.store.add(std::move(fresh));
    }
    KEYMELD_CHECK(make_handovers(core, *keygen, result));
    put_sealed(keygen->take_update(call.stream), *result.mutable_sealed());
    return {};
}

Status join_keygen(SignerCore& core, const Call& call, const wire::JoinKeygen& request,
                   wire::JoinKeygenResult& result) {
    KEYMELD_TRY(const KeygenId id, keygen_id_of(request.keygen_id()));
    KEYMELD_TRY(KeygenParams params, KeygenParams::parse(request.params()));
    KEYMELD_TRY(const auto coordinator, point_of(request.coordinator_enclave()));
    if (coordinator != params.enclaves.front())
        return fail(Errc::InvalidArgument, "slot 0 is not the coordinator enclave's");
    const auto own = params.enclave_index(core.parts.identity.public_key().bytes());
    if (!own || *own == 0)
        return fail(Errc::InvalidArgument, "no slot but the coordinator's is this enclave's");
    KEYMELD_TRY(KeygenState * keygen, existing(core, id));
    KEYMELD_TRY(const crypto::PeerChannel* const channel, core.peers.introduced(coordinator));
    KEYMELD_TRY(const auto content, channel->open(handover_context(id), as_bytes(request.box())));
    if (content.size() != kHandoverSize)
        return fail(Errc::DecryptFailed, "handover has the wrong length");
    const ByteView secret = content.expose().first(32);
    const ByteView roster_key = content.expose().subspan(32, 32);
    if (!secure::ct_equal(content.expose().last(32), params.digest))
        return fail(Errc::RosterMismatch,
                    "parameters are not those that the coordinator enclave holds");
    if (keygen != nullptr) {
        const bool same = keygen->params().digest == params.digest &&
                          secure::ct_equal(keygen->session_secret().expose(), secret) &&
                          secure::ct_equal(keygen->roster_key().expose(), roster_key);
        if (!same)
            return duplicate();
    } else {
        keygen = &core.store.add(std::make_unique<KeygenState>(
            core.parts.identity, id, std::move(params),
            secure::SecretArray<32>::copy_of(secret.first<32>()),
            RosterKey::copy_of(roster_key.first<32>()), core.parts.limits));
    }
    put_sealed(keygen->take_update(call.stream), *result.mutable_sealed());
    return {};
}

Status fail_keygen(SignerCore& core, const Call& call, const wire::FailKeygen& request,
                   wire::FailKeygenResult& result) {
    KEYMELD_TRY(const KeygenId id, keygen_id_of(request.keygen_id()));
    KEYMELD_TRY(KeygenState* const keygen, core.store.find(id));
    if (keygen->phase() != Phase::Failed)
        keygen->mark_failed();
    put_sealed(keygen->take_update(call.stream), *result.mutable_sealed());
    return {};
}

Status delete_keygen(SignerCore& core, const wire::DeleteKeygen& request) {
    KEYMELD_TRY(const KeygenId id, keygen_id_of(request.keygen_id()));
    return core.store.remove(id);
}

Status restore(SignerCore& core, const wire::Restore& request, wire::RestoreResult& result) {
    KEYMELD_TRY(const KeygenId id, keygen_id_of(request.keygen_id()));
    if (const auto held = core.store.find(id)) {
        // What is in memory is never older than what was given out.
        result.set_version((*held)->version());
        return {};
    }
    std::vector<SealedView> updates;
    updates.reserve(static_cast<std::size_t>(request.updates_size()));
    for (const wire::SealedUpdate& update : request.updates())
        updates.push_back({update.version(), update.snapshot(), as_bytes(update.blob())});
    if (updates.empty())
        return fail(Errc::SealBroken, "nothing was given back");
    KEYMELD_CHECK(core.store.may_restore(id, updates.back().version));
    KEYMELD_TRY(auto state,
                KeygenState::restore(core.parts.identity, id, updates, core.parts.limits));
    if (!core.bindings.has_room(state->participants().size() + 2))
        return fail(Errc::Overloaded, "this enclave remembers as many ciphertexts as it can");
    result.set_version(core.store.add(std::move(state)).version());
    return {};
}

} // namespace keymeld::enclave
