// Requests of clients about keygen sessions (rest-v1.md 4.4 - 4.8).
#pragma once

#include "core/engine/api.h"
#include "core/engine/async.h"
#include "core/engine/keygen_table.h"

namespace keymeld::engine {

struct Hub;

Async<Result<CreateKeygenAnswer>> create_keygen(Hub& hub, CreateKeygen request);
Async<Result<SlotsAnswer>> keygen_slots(Hub& hub, KeygenId id);
Async<Result<RegisterAnswer>> register_participant(Hub& hub, RegisterParticipant request);
Async<Result<KeygenView>> keygen_status(Hub& hub, KeygenId id, std::string session_header);
/// `by_event`: until event_seq differs, else until the status does.
Async<Result<KeygenView>> wait_keygen(Hub& hub, KeygenView from, SteadyTime until, bool by_event);

/// Who sent a header, by the coordinator enclave's judgement. `signing`: X-Signing-HMAC, else X-Session-HMAC. Consumes nothing here.
Async<Result<std::uint32_t>> authenticate(Hub& hub, KeygenRef keygen, bool signing, std::string header, SteadyTime deadline);

/// Verifies the header by the coordinator enclave, refuses a used nonce, and makes its use durable: what every request does that an
/// enclave does not judge as a whole. `nonce_used`: storage or another request knows it. `expected`: whose header it must be. Returns
/// the signer_index.
Async<Result<std::uint32_t>> authenticate_and_use(Hub& hub, KeygenRef keygen, bool signing, std::string header, bool nonce_used,
                                                  plugin::UseNonce use, std::optional<std::uint32_t> expected,
                                                  SteadyTime deadline);

/// An enclave refused a request with `refusal`: if that says that its header was genuine, the nonce is used up, durably.
Async<Status> remember_nonce(Hub& hub, Errc refusal, plugin::UseNonce use);

} // namespace keymeld::engine
