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

} // namespace

struct Signer::Impl {
    explicit Impl(SignerParts parts) : core(std::move(parts)) {}
    SignerCore core;
    std::uint64_t requests = 0;
    std::map<Errc, std::uint64_t> refused;
};

Signer::Signer(SignerParts parts) : m_impl(std::make_unique<Impl>(std::move(parts))) {
    m_impl->core.boot_id.bytes = secure::random_array<16>();
}

Signer::~Signer() = default;

void Signer::handle(const StreamContext& stream, const wire::Request& request, Moment now,
                    wire::Response& response) {
    ++m_impl->requests;
    const Stopwatch busy(m_impl->core.command_time);
    // The edge where a defect of ours ends: whatever it was, the process goes on and the caller
    // learns a code.
    const Status status = [&]() -> Status {
        try {
            return dispatch(m_impl->core, {stream.stream, now}, request, response);
        } catch (const std::bad_alloc&) {
            return fail(Errc::Overloaded, "this enclave has no memory left");
        } catch (const std::exception&) {
            return fail(Errc::Internal, "the signer failed");
        }
    }();
    if (status)
        return;
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
    return m_impl->core.parts.identity;
}

SignerCounters Signer::counters() const {
    const SignerCore& core = m_impl->core;
    return {m_impl->requests,    m_impl->refused,      core.signatures,       core.store.size(),
            core.store.parked(), core.attempts.size(), core.attempts.active()};
}

} // namespace keymeld::enclave
