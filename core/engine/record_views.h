// What storage holds to what REST clients see, and the digests by which a repeated request is known (rest-v1.md 2.4).
#pragma once

#include "core/engine/api.h"
#include "core/engine/keygen_info.h"

namespace keymeld::engine {

/// Of a session that ended.
KeygenView view_of(const KeygenInfo& keygen, std::uint32_t signer_index);
/// Of a session that ended: both approval lists are empty.
SigningView view_of(const plugin::SigningRecord& record, const KeygenInfo& keygen);

/// failure.message: constants, an error name and the configured number of an enclave.
std::string failure_message(session::FailureType type, std::optional<Errc> code, std::optional<std::uint32_t> enclave);

/// Over all fields after defaults. Equal digests: equal bodies.
plugin::Hash32 digest_of(const CreateKeygen& request, std::uint32_t max_signing_sessions);
plugin::Hash32 digest_of(const RegisterParticipant& request, session::ApprovalPolicy effective);
plugin::Hash32 digest_of(const CreateSigning& request);

/// The policy that results from the fields of the request (4.6).
session::ApprovalPolicy effective_policy(const RegisterParticipant& request);

} // namespace keymeld::engine
