// 4.4 - 4.8
#include "appliance/api/api.h"
#include "appliance/api/encode.h"
#include "appliance/api/error_body.h"
#include "appliance/api/session_events.h"
#include "core/base/clock.h"

namespace keymeld::api {

http::Async<Status> Api::admit_keygen(const std::string& client, const engine::CreateKeygen& request) {
    if (m_pending.lists(client, request.id))
        co_return Status();
    if (m_pending.full(client)) {
        const auto listed = m_pending.of(client);
        for (const KeygenId& id : listed) {
            const auto slots = co_await m_engine.slots(id);
            // Completed, failed and deleted sessions have no slots to show.
            if (!slots)
                m_pending.remove(client, id);
        }
    }
    if (m_pending.full(client))
        co_return fail(Errc::RateLimited, "this client has too many unfinished keygen sessions").with("retry_after", "10");
    const std::uint64_t now = unix_seconds();
    m_pending.add(client, request.id, now + request.timeout_secs, now);
    co_return Status();
}

Api::Answer Api::create_keygen(Call& call) {
    auto request = decode_create_keygen(call.request.body, m_settings.decode);
    if (!request)
        co_return request.error();
    if (auto token = check_token(call); !token)
        co_return token.error();
    const std::string client = call.request.client;
    const KeygenId id = request->id;
    const bool known = m_pending.lists(client, id);
    auto admitted = co_await admit_keygen(client, *request);
    if (!admitted)
        co_return admitted.error();
    const auto answer = co_await m_engine.create_keygen(std::move(*request));
    if (!answer) {
        if (!known)
            m_pending.remove(client, id);
        co_return answer.error();
    }
    co_return json_response(encode(*answer));
}

Api::Answer Api::keygen_slots(Call& call) {
    const KeygenId id(call.session_id);
    const auto answer = co_await m_engine.slots(id);
    if (!answer)
        co_return answer.error();
    co_return json_response(encode(id, *answer));
}

Api::Answer Api::register_participant(Call& call) {
    auto request = decode_register(call.request.body, KeygenId(call.session_id));
    if (!request)
        co_return request.error();
    request->session_header = std::move(call.auth_header);
    const auto answer = co_await m_engine.register_participant(std::move(*request));
    if (!answer)
        co_return answer.error();
    co_return json_response(encode(*answer));
}

Api::Answer Api::keygen_status(Call& call) {
    const auto wait = decode_wait(call.request.query, m_settings.decode);
    if (!wait)
        co_return wait.error();
    auto view = co_await m_engine.keygen_status(KeygenId(call.session_id), std::move(call.auth_header));
    if (!view)
        co_return view.error();
    if (wait->count() > 0 && !session::is_terminal(view->status)) {
        auto later = co_await m_engine.wait_keygen_status(*view, std::chrono::steady_clock::now() + *wait);
        if (later)
            view = std::move(later);
        else if (!is_passing(later.error()))
            co_return later.error();
    }
    co_return json_response(encode(*view));
}

Api::Answer Api::keygen_events(Call& call) {
    auto slot = m_streams->take(call.request.client);
    if (!slot)
        co_return slot.error();
    auto view = co_await m_engine.keygen_status(KeygenId(call.session_id), std::move(call.auth_header));
    if (!view)
        co_return view.error();
    co_return start_events(m_engine, std::move(*view), call.request, std::move(*slot));
}

} // namespace keymeld::api
