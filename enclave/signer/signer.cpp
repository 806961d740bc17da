#include "enclave/signer/signer.h"

#include "core/base/log.h"
#include "core/protocol/enclave.pb.h"
#include "core/protocol/failure.h"
#include "core/secure/locked_pool.h"
#include "core/secure/random.h"
#include "enclave/signer/commands.h"

namespace keymeld::enclave {
namespace {

Status dispatch(SignerCore& core, const Call& call, const wire::Request& request,
                wire::Response& response) {
    switch (request.command_case()) {
    case wire::Request::kHello:
        return hello(core, request.hello(), *response.mutable_hello());
    case wire::Request::kAttest:
        return attest(core, request.attest(), *response.mutable_attest());
    case wire::Request::kPing:
        return ping(core, call, *response.mutable_ping());
    case wire::Request::kCanary:
        return canary(*response.mutable_canary());
    case wire::Request::kChallenge:
        return challenge(core, call, *response.mutable_challenge());
    case wire::Request::kIntroducePeer:
        return introduce_peer(core, call, request.introduce_peer(),
                              *response.mutable_introduce_peer());
    case wire::Request::kEscrowIdentity:
        return escrow_identity(core, request.escrow_identity(),
                               *response.mutable_escrow_identity());
    case wire::Request::kKeepEscrow:
        response.mutable_keep_escrow();
        return keep_escrow(core, request.keep_escrow());
    case wire::Request::kListEscrows:
        return list_escrows(core, *response.mutable_list_escrows());
    case wire::Request::kHandOver:
        return hand_over(core, request.hand_over(), *response.mutable_hand_over());
    case wire::Request::kTakeOver:
        return take_over(core, request.take_over(), *response.mutable_take_over());
    case wire::Request::kReportVersions:
        return report_versions(core, request.report_versions(),
                               *response.mutable_report_versions());
    case wire::Request::kKeepVersions:
        response.mutable_keep_versions();
        return keep_versions(core, request.keep_versions());
    case wire::Request::kOpenKeygen:
        return open_keygen(core, call, request.open_keygen(), *response.mutable_open_keygen());
    case wire::Request::kJoinKeygen:
        return join_keygen(core, call, request.join_keygen(), *response.mutable_join_keygen());
    case wire::Request::kRegister:
        return register_participant(core, call, request.register_(), *response.mutable_register_());
    case wire::Request::kCompleteKeygen:
        return complete_keygen(core, call, request.complete_keygen(),
                               *response.mutable_complete_keygen());
    case wire::Request::kFailKeygen:
        return fail_keygen(core, call, request.fail_keygen(), *response.mutable_fail_keygen());
    case wire::Request::kDeleteKeygen:
        response.mutable_delete_keygen();
        return delete_keygen(core, request.delete_keygen());
    case wire::Request::kRestore:
        return restore(core, request.restore(), *response.mutable_restore());
    case wire::Request::kAuthenticate:
        return authenticate(core, call, request.authenticate(), *response.mutable_authenticate());
    case wire::Request::kSignRound1:
        return sign_round1(core, call, request.sign_round1(), *response.mutable_sign_round1());
    case wire::Request::kSignRound2:
        return sign_round2(core, call, request.sign_round2(), *response.mutable_sign_round2());
    case wire::Request::kSignFinish:
        return sign_finish(core, call, request.sign_finish(), *response.mutable_sign_finish());
    case wire::Request::kApprove:
        return approve(core, call, request.approve(), *response.mutable_approve());
    case wire::Request::kReject:
        return reject(core, call, request.reject(), *response.mutable_reject());
    case wire::Request::kCloseSigning:
        return close_signing(core, call, request.close_signing(),
                             *response.mutable_close_signing());
    case wire::Request::kImportKey:
        return import_key(core, call, request.import_key(), *response.mutable_import_key());
    case wire::Request::kGenerateKey:
        return generate_key(core, call, request.generate_key(), *response.mutable_generate_key());
    case wire::Request::kKeepKey:
        return keep_key(core, call, request.keep_key(), *response.mutable_keep_key());
    case wire::Request::kRestoreKey:
        return restore_key(core, request.restore_key(), *response.mutable_restore_key());
    case wire::Request::kDeleteKey:
        response.mutable_delete_key();
        return delete_key(core, call, request.delete_key());
    case wire::Request::kAuthenticateKey:
        response.mutable_authenticate_key();
        return authenticate_key(core, call, request.authenticate_key());
    case wire::Request::kSignSingle:
        return sign_single(core, call, request.sign_single(), *response.mutable_sign_single());
    case wire::Request::COMMAND_NOT_SET:
        break;
    }
    return fail(Errc::Unsupported, "this signer does not know the command");
}

/// Commands that leave nothing behind that hangs on this enclave's own key.
bool is_preliminary(wire::Request::CommandCase command) {
    switch (command) {
    case wire::Request::kHello:
    case wire::Request::kAttest:
    case wire::Request::kPing:
    case wire::Request::kCanary:
    case wire::Request::kChallenge:
    case wire::Request::kIntroducePeer:
    case wire::Request::kKeepEscrow:
    case wire::Request::kListEscrows:
    case wire::Request::kHandOver:
    case wire::Request::kTakeOver:
    case wire::Request::kKeepVersions:
    case wire::Request::COMMAND_NOT_SET:
        return true;
    default:
        return false;
    }
}

} // namespace

struct Signer::Impl {
    explicit Impl(SignerParts parts) { begin_life(std::move(parts)); }

    void begin_life(SignerParts parts) {
        core = std::make_unique<SignerCore>(std::move(parts));
        core->boot_id.bytes = secure::random_array<16>();
    }
    void take_over() {
        SignerParts parts = std::move(core->parts);
        const StateVersions versions = std::move(core->taken_over->versions);
        parts.identity = std::move(core->taken_over->identity);
        core.reset();
        begin_life(std::move(parts));
        core->store.learn(versions);
        core->keys.learn(versions);
        core->in_use = true;
        log::info("signer", "took_over",
                  {{"public_key", core->parts.identity.public_key().hex()},
                   {"key_epoch", core->parts.identity.epoch()},
                   {"incarnation", core->parts.identity.incarnation()},
                   {"states", versions.size()}});
    }

    std::unique_ptr<SignerCore> core;
    std::uint64_t requests = 0;
    std::map<Errc, std::uint64_t> refused;
};

Signer::Signer(SignerParts parts) : m_impl(std::make_unique<Impl>(std::move(parts))) {}

Signer::~Signer() = default;

void Signer::handle(const StreamContext& stream, const wire::Request& request, Moment now,
                    wire::Response& response) {
    ++m_impl->requests;
    SignerCore& core = *m_impl->core;
    if (!is_preliminary(request.command_case()))
        core.in_use = true;
    // The edge where a defect of ours ends: whatever it was, the process goes on and the caller
    // learns a code.
    const Status status = [&]() -> Status {
        const Stopwatch busy(core.command_time);
        try {
            return dispatch(core, {stream.stream, now}, request, response);
        } catch (const std::bad_alloc&) {
            return fail(Errc::Overloaded, "this enclave has no memory left");
        } catch (const std::exception&) {
            return fail(Errc::Internal, "the signer failed");
        }
    }();
    if (status) {
        if (core.taken_over)
            m_impl->take_over();
        return;
    }
    const Errc code = status.error().code;
    ++m_impl->refused[code];
    if (code == Errc::Internal)
        log::error("signer", "failed",
                   {{"command", static_cast<int>(request.command_case())}, {"code", code}});
    else
        log::debug("signer", "refused",
                   {{"command", static_cast<int>(request.command_case())}, {"code", code}});
    protocol::set_failure(response, status.error());
}

const EnclaveIdentity& Signer::identity() const {
    return m_impl->core->parts.identity;
}

SignerCounters Signer::counters() const {
    const SignerCore& core = *m_impl->core;
    return {m_impl->requests,    m_impl->refused,      core.signatures,       core.store.size(),
            core.store.parked(), core.attempts.size(), core.attempts.active()};
}

} // namespace keymeld::enclave
