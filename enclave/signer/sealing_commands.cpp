#include "core/protocol/enclave.pb.h"
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

Result<EnclaveIdentity> open_identity(const crypto::PeerChannel& channel, std::string_view context,
                                      const std::string& box) {
    if (box.size() > kMaxBox)
        return fail(Errc::DecryptFailed, "box does not hold an enclave's identity");
    KEYMELD_TRY(const auto content, channel.open(context, as_bytes(box)));
    return decode_identity(content.expose());
}

} // namespace

Status escrow_identity(SignerCore& core, const wire::EscrowIdentity& request,
                       wire::EscrowIdentityResult& result) {
    KEYMELD_TRY(const crypto::PeerChannel* const channel,
                verified_peer(core, request.peer_public_key()));
    const secure::SecretBytes identity = encode_identity(core.parts.identity);
    result.set_box(wire_bytes(channel->seal(kEscrowContext, identity.expose())));
    return {};
}

Status keep_escrow(SignerCore& core, const wire::KeepEscrow& request) {
    KEYMELD_TRY(const crypto::PeerChannel* const channel,
                verified_peer(core, request.owner_public_key()));
    KEYMELD_TRY(EnclaveIdentity identity, open_identity(*channel, kEscrowContext, request.box()));
    // The sender runs our image and gives away no key but its own.
    if (identity.public_key() != channel->peer())
        return fail(Errc::DecryptFailed, "box holds another key than its sender's");
    core.escrows.keep(std::move(identity));
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
    const secure::SecretBytes identity = encode_identity(next);
    result.set_box(wire_bytes(heir->seal(kHandOverContext, identity.expose())));
    return {};
}

Status take_over(SignerCore& core, const wire::TakeOver& request, wire::TakeOverResult& result) {
    KEYMELD_TRY(const crypto::PeerChannel* const giver,
                verified_peer(core, request.giver_public_key()));
    if (core.in_use)
        return fail(Errc::WrongState, "this enclave's own key is in use");
    KEYMELD_TRY(EnclaveIdentity identity, open_identity(*giver, kHandOverContext, request.box()));
    result.set_public_key(wire_bytes(identity.public_key().bytes()));
    result.set_key_epoch(identity.epoch());
    result.set_incarnation(identity.incarnation());
    core.taken_over.emplace(std::move(identity));
    return {};
}

} // namespace keymeld::enclave
