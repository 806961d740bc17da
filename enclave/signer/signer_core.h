// What the commands share: the parts of the signer and the memories that span keygen sessions.
// Internal to enclave/signer.
#pragma once

#include "core/base/stopwatch.h"
#include "core/musig/key_agg_cache.h"
#include "enclave/signer/escrow_vault.h"
#include "enclave/signer/keygen_store.h"
#include "enclave/signer/peer_directory.h"
#include "enclave/signer/signer.h"
#include "enclave/signer/single_key_store.h"

namespace keymeld::enclave {

struct SignerCore {
    explicit SignerCore(SignerParts given)
        : parts(std::move(given)), marker(parts.identity.mark_key()),
          peers(parts.identity, parts.verifier, parts.limits), escrows(parts.limits.max_escrows),
          signing_nonces(parts.limits.max_signing_nonces),
          signing_reads(parts.limits.max_signing_nonces), bindings(parts.limits.max_bindings),
          attempts(parts.limits),
          store(parts.identity, marker, bindings, signing_nonces, parts.limits),
          keys(marker, bindings, parts.limits) {}

    SignerParts parts;
    Uuid boot_id;
    Marker marker;
    PeerDirectory peers;
    EscrowVault escrows;
    SigningNonces signing_nonces; // of approvals and rejections
    SigningNonces signing_reads;  // of reads and of authentic requests that failed
    BlobBindings bindings;
    AttemptRegister attempts;
    KeygenStore store; // after `attempts`, which its sessions leave when they die
    SingleKeyStore keys;
    musig::KeyAggCache aggregates;
    std::uint64_t signatures = 0;
    BusyTime command_time;
    /// Something hangs on our key, or a peer holds it: no other may take its place.
    bool in_use = false;
    /// What TakeOver brought: whoever holds this core makes a new one of it.
    struct TakenOver {
        EnclaveIdentity identity;
        StateVersions versions;
    };
    std::optional<TakenOver> taken_over;

    /// What tells two lives of this enclave apart.
    Incarnation incarnation() const {
        if (parts.identity.incarnation() == 0)
            return {};
        std::uint64_t instance = 0;
        std::memcpy(&instance, boot_id.bytes.data(), sizeof instance);
        return {parts.identity.incarnation(), instance};
    }
};

/// The circumstances of one request.
struct Call {
    std::uint64_t stream = 0;
    Moment now;
};

} // namespace keymeld::enclave
