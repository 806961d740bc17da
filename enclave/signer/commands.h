// One function per command of enclave.proto: checks the request, changes the state, fills the
// result. Internal to enclave/signer.
//
// The errors of each are listed in enclave.proto; on an error the result is thrown away. Durable
// changes of a keygen session reach the gateway in the result's SealedUpdate.
#pragma once

#include "enclave/signer/signer_core.h"

namespace keymeld::wire {
class Attest;
class AttestResult;
class Authenticate;
class AuthenticateKey;
class AuthenticateResult;
class Approve;
class ApproveResult;
class CanaryResult;
class ChallengeResult;
class CloseSigning;
class CloseSigningResult;
class CompleteKeygen;
class CompleteKeygenResult;
class DeleteKey;
class DeleteKeygen;
class EscrowIdentity;
class EscrowIdentityResult;
class FailKeygen;
class FailKeygenResult;
class GenerateKey;
class HandOver;
class HandOverResult;
class Hello;
class HelloResult;
class ImportKey;
class IntroducePeer;
class IntroducePeerResult;
class JoinKeygen;
class JoinKeygenResult;
class KeepEscrow;
class KeepKey;
class KeepVersions;
class KeyResult;
class ListEscrowsResult;
class OpenKeygen;
class OpenKeygenResult;
class PingResult;
class Register;
class RegisterResult;
class Reject;
class ReportVersions;
class ReportVersionsResult;
class RejectResult;
class Restore;
class RestoreKey;
class RestoreKeyResult;
class RestoreResult;
class SealedUpdate;
class SignFinish;
class SignFinishResult;
class SignRound1;
class SignRound1Result;
class SignRound2;
class SignRound2Result;
class SignSingle;
class SignSingleResult;
class TakeOver;
class TakeOverResult;
} // namespace keymeld::wire

namespace keymeld::enclave {

// identity_commands.cpp
Status hello(SignerCore& core, const wire::Hello& request, wire::HelloResult& result);
Status attest(SignerCore& core, const wire::Attest& request, wire::AttestResult& result);
Status ping(SignerCore& core, const Call& call, wire::PingResult& result);
Status canary(wire::CanaryResult& result);
Status challenge(SignerCore& core, const Call& call, wire::ChallengeResult& result);
Status introduce_peer(SignerCore& core, const Call& call, const wire::IntroducePeer& request,
                      wire::IntroducePeerResult& result);

// sealing_commands.cpp
Status escrow_identity(SignerCore& core, const wire::EscrowIdentity& request,
                       wire::EscrowIdentityResult& result);
Status keep_escrow(SignerCore& core, const wire::KeepEscrow& request);
Status list_escrows(const SignerCore& core, wire::ListEscrowsResult& result);
Status hand_over(SignerCore& core, const wire::HandOver& request, wire::HandOverResult& result);
Status take_over(SignerCore& core, const wire::TakeOver& request, wire::TakeOverResult& result);
Status report_versions(SignerCore& core, const wire::ReportVersions& request,
                       wire::ReportVersionsResult& result);
Status keep_versions(SignerCore& core, const wire::KeepVersions& request);

// keygen_commands.cpp
Status open_keygen(SignerCore& core, const Call& call, const wire::OpenKeygen& request,
                   wire::OpenKeygenResult& result);
Status join_keygen(SignerCore& core, const Call& call, const wire::JoinKeygen& request,
                   wire::JoinKeygenResult& result);
Status fail_keygen(SignerCore& core, const Call& call, const wire::FailKeygen& request,
                   wire::FailKeygenResult& result);
Status delete_keygen(SignerCore& core, const wire::DeleteKeygen& request);
Status restore(SignerCore& core, const wire::Restore& request, wire::RestoreResult& result);

// registration_commands.cpp
Status register_participant(SignerCore& core, const Call& call, const wire::Register& request,
                            wire::RegisterResult& result);
Status complete_keygen(SignerCore& core, const Call& call, const wire::CompleteKeygen& request,
                       wire::CompleteKeygenResult& result);

// session_commands.cpp
Status authenticate(SignerCore& core, const Call& call, const wire::Authenticate& request,
                    wire::AuthenticateResult& result);
Status approve(SignerCore& core, const Call& call, const wire::Approve& request,
               wire::ApproveResult& result);
Status reject(SignerCore& core, const Call& call, const wire::Reject& request,
              wire::RejectResult& result);
Status close_signing(SignerCore& core, const Call& call, const wire::CloseSigning& request,
                     wire::CloseSigningResult& result);

// round_commands.cpp
Status sign_round1(SignerCore& core, const Call& call, const wire::SignRound1& request,
                   wire::SignRound1Result& result);
Status sign_round2(SignerCore& core, const Call& call, const wire::SignRound2& request,
                   wire::SignRound2Result& result);
Status sign_finish(SignerCore& core, const Call& call, const wire::SignFinish& request,
                   wire::SignFinishResult& result);

// key_commands.cpp
Status import_key(SignerCore& core, const Call& call, const wire::ImportKey& request,
                  wire::KeyResult& result);
Status generate_key(SignerCore& core, const Call& call, const wire::GenerateKey& request,
                    wire::KeyResult& result);
Status keep_key(SignerCore& core, const Call& call, const wire::KeepKey& request,
                wire::KeyResult& result);
Status restore_key(SignerCore& core, const wire::RestoreKey& request,
                   wire::RestoreKeyResult& result);
Status delete_key(SignerCore& core, const Call& call, const wire::DeleteKey& request);
Status authenticate_key(SignerCore& core, const Call& call, const wire::AuthenticateKey& request);
Status sign_single(SignerCore& core, const Call& call, const wire::SignSingle& request,
                   wire::SignSingleResult& result);

/// For results that carry an update.
void put_sealed(SealedBlob sealed, wire::SealedUpdate& out);

} // namespace keymeld::enclave
