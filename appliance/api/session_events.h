// Event streams of sessions (rest-v1.md 4.8, 4.13).
#pragma once

#include "appliance/api/stream_slots.h"
#include "appliance/http/message.h"
#include "core/engine/engine.h"

namespace keymeld::api {

/// The answer to a verified request for events: a stream that starts with `view` unless the request's Last-Event-ID shows that the client
/// has it, or 204 if it has and the session has ended. No older event is retained, so the current state stands for those that were missed.
http::Response start_events(engine::Engine& engine, engine::KeygenView view, const http::Request& request,
                            StreamSlots::Slot slot);
http::Response start_events(engine::Engine& engine, engine::SigningView view, const http::Request& request,
                            StreamSlots::Slot slot);

} // namespace keymeld::api
