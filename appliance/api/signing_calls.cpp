// 4.9 - 4.13
#include "appliance/api/api.h"
#include "appliance/api/encode.h"
#include "appliance/api/error_body.h"
#include "appliance/api/session_events.h"
#include "core/base/clock.h"

namespace keymeld::api {

Api::Answer Api::create_signing(Call& call) {
    auto request = decode_create_signing(call.request.body, m_settings.decode);
    if (!request)
        co_return request.error();
    request->session_header = std::move(call.auth_header);
    const auto answer = co_await m_engine.create_signing(std::move(*request));
    if (!answer)
        co_return answer.error();
    co_return json_response(encode(*answer));
}

Api::Answer Api::approve_signing(Call& call) {
    auto bound = decode_approval(call.request.body, m_settings.decode, unix_seconds());
    if (!bound)
        co_return bound.error();
    engine::ApproveSigning request;
    request.id = SigningId(call.session_id);
    request.signing_header = std::move(call.auth_header);
    request.bound = std::move(*bound);
    const auto done = co_await m_engine.approve(std::move(request));
    if (!done)
        co_return done.error();
    co_return http::Response();
}

Api::Answer Api::reject_signing(Call& call) {
    const auto view = co_await m_engine.reject(SigningId(call.session_id), std::move(call.auth_header));
    if (!view)
        co_return view.error();
    co_return json_response(encode(*view));
}

Api::Answer Api::signing_status(Call& call) {
    const auto wait = decode_wait(call.request.query, m_settings.decode);
    if (!wait)
        co_return wait.error();
    auto view = co_await m_engine.signing_status(SigningId(call.session_id), std::move(call.auth_header));
    if (!view)
        co_return view.error();
    if (wait->count() > 0 && !session::is_terminal(view->status)) {
        auto later = co_await m_engine.wait_signing_status(*view, std::chrono::steady_clock::now() + *wait);
        if (later)
            view = std::move(later);
        else if (!is_passing(later.error()))
            co_return later.error();
    }
    co_return json_response(encode(*view));
}

Api::Answer Api::signing_events(Call& call) {
    auto slot = m_streams->take(call.request.client);
    if (!slot)
        co_return slot.error();
    auto view = co_await m_engine.signing_status(SigningId(call.session_id), std::move(call.auth_header));
    if (!view)
        co_return view.error();
    co_return start_events(m_engine, std::move(*view), call.request, std::move(*slot));
}

} // namespace keymeld::api
