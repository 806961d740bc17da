// Requests of clients about signing sessions (rest-v1.md 4.9 - 4.13).
#pragma once

#include "core/engine/api.h"
#include "core/engine/async.h"

namespace keymeld::engine {

struct Hub;

Async<Result<CreateSigningAnswer>> create_signing(Hub& hub, CreateSigning request);
Async<Status> approve_signing(Hub& hub, ApproveSigning request);
Async<Result<SigningView>> reject_signing(Hub& hub, SigningId id, std::string signing_header);
Async<Result<SigningView>> signing_status(Hub& hub, SigningId id, std::string signing_header);
/// `by_event`: until event_seq differs, else until the status does.
Async<Result<SigningView>> wait_signing(Hub& hub, SigningView from, SteadyTime until, bool by_event);

} // namespace keymeld::engine
