#include <sys/resource.h>

#include "core/attestation/key_binding.h"
#include "core/protocol/enclave.pb.h"
#include "core/protocol/message.h"
#include "enclave/signer/canary.h"
#include "enclave/signer/commands.h"
#include "enclave/signer/wire_fields.h"

namespace keymeld::enclave {
namespace {

constexpr std::size_t kMaxAttestNonce = 64; // rest-v1.md 4.3

Result<Bytes> attestation_document(SignerCore& core, const std::string& nonce) {
    const EnclaveIdentity& identity = core.parts.identity;
    const std::string user_data = attestation::make_user_data(identity.epoch());
    std::optional<Bytes> nonce_field;
    if (!nonce.empty())
        nonce_field = to_bytes(as_bytes(nonce));
    return core.parts.nsm->attest(to_bytes(identity.public_key().bytes()),
                                  to_bytes(as_bytes(user_data)), nonce_field);
}

std::uint64_t micros(const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 +
           static_cast<std::uint64_t>(time.tv_usec);
}

} // namespace

Status hello(SignerCore& core, const wire::Hello& request, wire::HelloResult& result) {
    if (request.protocol_version() != protocol::kProtocolVersion)
        return fail(Errc::ProtocolMismatch, "this signer speaks version 1 of the protocol");
    if (request.nonce().size() != 32)
        return fail(Errc::InvalidArgument, "hello needs a nonce of 32 bytes");
    KEYMELD_TRY(const Bytes document, attestation_document(core, request.nonce()));
    const EnclaveIdentity& identity = core.parts.identity;
    result.set_protocol_version(protocol::kProtocolVersion);
    result.set_boot_id(wire_bytes(core.boot_id.bytes));
    result.set_key_epoch(identity.epoch());
    result.set_key_generation_time(identity.generated_at());
    result.set_public_key(wire_bytes(identity.public_key().bytes()));
    result.set_attestation_document(wire_bytes(document));
    result.set_signer_version(KEYMELD_SIGNER_VERSION);
    result.set_sealing(std::string(core.parts.sealing->name()));
    result.set_may_take_over(core.parts.sealing->recovers() && !core.in_use);
    result.set_incarnation(identity.incarnation());
    return {};
}

Status attest(SignerCore& core, const wire::Attest& request, wire::AttestResult& result) {
    if (request.nonce().size() > kMaxAttestNonce)
        return fail(Errc::InvalidArgument, "nonce is longer than 64 bytes");
    KEYMELD_TRY(const Bytes document, attestation_document(core, request.nonce()));
    result.set_attestation_document(wire_bytes(document));
    return {};
}

Status ping(SignerCore& core, const Call& call, wire::PingResult& result) {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto uptime =
        std::chrono::duration_cast<std::chrono::seconds>(call.now.steady - core.parts.started);
    result.set_uptime_seconds(
        static_cast<std::uint64_t>(std::max<std::int64_t>(uptime.count(), 0)));
    result.set_known_keygens(static_cast<std::uint32_t>(core.store.size()));
    result.set_active_signings(static_cast<std::uint32_t>(core.attempts.active()));
    if (core.parts.sealing->recovers())
        result.set_unreported_states(
            static_cast<std::uint32_t>(core.store.changes() + core.keys.changes()));
    result.set_cpu_micros(micros(usage.ru_utime) + micros(usage.ru_stime));
    result.set_command_micros(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(core.command_time.total()).count()));
    return {};
}

Status canary(wire::CanaryResult& result) {
    KEYMELD_TRY(const CanarySignature canary, sign_canary());
    result.set_x_only_key(wire_bytes(canary.x_only_key));
    result.set_message(wire_bytes(canary.message));
    result.set_signature(wire_bytes(canary.signature.bytes));
    return {};
}

Status challenge(SignerCore& core, const Call& call, wire::ChallengeResult& result) {
    KEYMELD_TRY(const auto nonce, core.peers.challenge(call.now.steady));
    result.set_nonce(wire_bytes(nonce));
    return {};
}

Status introduce_peer(SignerCore& core, const Call& call, const wire::IntroducePeer& request,
                      wire::IntroducePeerResult& result) {
    KEYMELD_TRY(const IntroducedPeer peer,
                core.peers.introduce(as_bytes(request.attestation_document()), call.now));
    result.set_peer_public_key(wire_bytes(peer.key.bytes()));
    result.set_peer_key_epoch(peer.epoch);
    return {};
}

} // namespace keymeld::enclave
