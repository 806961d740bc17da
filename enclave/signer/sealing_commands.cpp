#include "core/crypto/hmac.h"
#include "core/protocol/enclave.pb.h"
#include "core/secure/compare.h"
#include "enclave/signer/commands.h"
#include "enclave/signer/wire_fields.h"

namespace keymeld::enclave {
namespace {

constexpr std::size_t kMaxBox = 256; // an identity and what a box adds

// The channel's two keys are in the box's key already; these tell the two uses apart.
constexpr std::string_view kEscrowContext = "escrow-identity";
constexpr std::string_view kHandOverContext = "hand-over-identity";

Status needs_peers(const SignerCore& core) {
    if (core.parts.sealing->recovers())
        return {};
    return fail(Errc::Unsupported, "this enclave's key is not sealed by its peers");
}

/// The channel to a peer that this enclave has verified itself, from the field that names it.
Result<const crypto::PeerChannel*> verified_peer(SignerCore& core, const std::string& field) {
    KEYMELD_CHECK(needs_peers(core));
    KEYMELD_TRY(const auto key, point_of(field));
    return core.peers.introduced(key);
}

/// An identity with the versions of its states: the box holds a digest of them.
std::string box_identity(const crypto::PeerChannel& channel, std::string_view context,
                         const EnclaveIdentity& identity, ByteView versions) {
    const secure::SecretBytes secret = encode_identity(identity);
    const crypto::Hash256 digest = crypto::sha256(versions);
    secure::SecretBytes content(secret.size() + digest.size());
    const auto out = content.expose_mut();
    std::memcpy(out.data(), secret.expose().data(), secret.size());
    std::memcpy(out.data() + secret.size(), digest.data(), digest.size());
    return wire_bytes(channel.seal(context, content.expose()));
}

Result<SignerCore::TakenOver> open_identity(const crypto::PeerChannel& channel,
                                            std::string_view context, const std::string& box,
                                            const std::string& versions) {
    const auto refuse = [] {
        return fail(Errc::DecryptFailed, "box does not hold an enclave's identity");
    };
    if (box.size() > kMaxBox)
        return refuse();
    KEYMELD_TRY(const auto content, channel.open(context, as_bytes(box)));
    const crypto::Hash256 digest = crypto::sha256(as_bytes(versions));
    if (content.size() < digest.size() ||
        !secure::ct_equal(content.expose().last(digest.size()), digest))
        return refuse();
    KEYMELD_TRY(auto identity,
                decode_identity(content.expose().first(content.size() - digest.size())));
    auto states = StateVersions::decode(as_bytes(versions));
    if (!states)
        return refuse();
    return SignerCore::TakenOver{std::move(identity), std::move(*states)};
}

crypto::Hash256 versions_tag(const crypto::PeerChannel& channel, const crypto::PlainPubKey& owner,
                             ByteView versions) {
    const auto key = channel.derive_key("state-versions");
    return crypto::hmac_sha256(key.expose(),
                               {as_bytes("keymeld-versions-v1"), owner.bytes(), versions});
}

} // namespace

Status escrow_identity(SignerCore& core, const wire::EscrowIdentity& request,
                       wire::EscrowIdentityResult& result) {
    KEYMELD_TRY(const crypto::PeerChannel* const channel,
                verified_peer(core, request.peer_public_key()));
    StateVersions states;
    core.store.put_versions(states);
    core.keys.put_versions(states);
    const Bytes versions = states.encode();
    result.set_box(box_identity(*channel, kEscrowContext, core.parts.identity, versions));
    result.set_versions(wire_bytes(versions));
    return {};
}

Status keep_escrow(SignerCore& core, const wire::KeepEscrow& request) {
    KEYMELD_TRY(const crypto::PeerChannel* const channel,
                verified_peer(core, request.owner_public_key()));
    KEYMELD_TRY(SignerCore::TakenOver escrow,
                open_identity(*channel, kEscrowContext, request.box(), request.versions()));
    // The sender runs our image and gives away no key but its own.
    if (escrow.identity.public_key() != channel->peer())
        return fail(Errc::DecryptFailed, "box holds another key than its sender's");
    core.escrows.keep(std::move(escrow.identity), escrow.versions);
    return {};
}

Status list_escrows(const SignerCore& core, wire::ListEscrowsResult& result) {
    KEYMELD_CHECK(needs_peers(core));
    for (const EscrowFacts& kept : core.escrows.list()) {
        auto& entry = *result.add_escrows();
        entry.set_owner_public_key(wire_bytes(kept.owner.bytes()));
        entry.set_key_epoch(kept.epoch);
        entry.set_incarnation(kept.incarnation);
    }
    return {};
}

Status hand_over(SignerCore& core, const wire::HandOver& request, wire::HandOverResult& result) {
    KEYMELD_TRY(const crypto::PeerChannel* const heir,
                verified_peer(core, request.heir_public_key()));
    KEYMELD_TRY(const auto owner, point_of(request.owner_public_key()));
    KEYMELD_TRY(const EnclaveIdentity next, core.escrows.next_life(owner));
    const Bytes versions = core.escrows.versions(owner)->encode();
    result.set_box(box_identity(*heir, kHandOverContext, next, versions));
    result.set_versions(wire_bytes(versions));
    return {};
}

Status take_over(SignerCore& core, const wire::TakeOver& request, wire::TakeOverResult& result) {
    KEYMELD_TRY(const crypto::PeerChannel* const giver,
                verified_peer(core, request.giver_public_key()));
    if (core.in_use)
        return fail(Errc::WrongState, "this enclave's own key is in use");
    KEYMELD_TRY(SignerCore::TakenOver taken,
                open_identity(*giver, kHandOverContext, request.box(), request.versions()));
    const EnclaveIdentity& identity = taken.identity;
    result.set_public_key(wire_bytes(identity.public_key().bytes()));
    result.set_key_epoch(identity.epoch());
    result.set_incarnation(identity.incarnation());
    core.taken_over.emplace(std::move(taken));
    return {};
}

Status report_versions(SignerCore& core, const wire::ReportVersions& request,
                       wire::ReportVersionsResult& result) {
    if (static_cast<std::size_t>(request.peer_public_keys_size()) > core.parts.limits.max_escrows)
        return fail(Errc::InvalidArgument, "there are more peers than can hold a key");
    // All must be known before anything counts as reported.
    for (const std::string& peer : request.peer_public_keys())
        KEYMELD_CHECK(verified_peer(core, peer));
    StateVersions changed;
    core.store.put_changes(changed);
    core.keys.put_changes(changed);
    const Bytes versions = changed.encode();
    for (const std::string& peer : request.peer_public_keys()) {
        KEYMELD_TRY(const crypto::PeerChannel* const channel, verified_peer(core, peer));
        result.add_tags(
            wire_bytes(versions_tag(*channel, core.parts.identity.public_key(), versions)));
    }
    result.set_versions(wire_bytes(versions));
    return {};
}

Status keep_versions(SignerCore& core, const wire::KeepVersions& request) {
    KEYMELD_TRY(const crypto::PeerChannel* const channel,
                verified_peer(core, request.owner_public_key()));
    const auto tag = versions_tag(*channel, channel->peer(), as_bytes(request.versions()));
    if (!secure::ct_equal(tag, as_bytes(request.tag())))
        return fail(Errc::AuthFailed, "versions are not those that the enclave vouched for");
    KEYMELD_TRY(const StateVersions versions, StateVersions::decode(as_bytes(request.versions())));
    return core.escrows.keep_versions(channel->peer(), versions);
}

} // namespace keymeld::enclave
