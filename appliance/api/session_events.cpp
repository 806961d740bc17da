#include "appliance/api/session_events.h"

#include "appliance/api/decode.h"
#include "appliance/api/encode.h"

namespace keymeld::api {
namespace {

http::Async<Result<engine::KeygenView>> wait_for_event(engine::Engine& engine, engine::KeygenView from, SteadyTime until) {
    return engine.wait_keygen_event(std::move(from), until);
}
http::Async<Result<engine::SigningView>> wait_for_event(engine::Engine& engine, engine::SigningView from,
                                                        SteadyTime until) {
    return engine.wait_signing_event(std::move(from), until);
}

template <class View> class SessionEvents final : public http::EventStream {
  public:
    SessionEvents(engine::Engine& engine, View view, bool send_first, StreamSlots::Slot slot)
        : m_engine(engine), m_view(std::move(view)), m_send_first(send_first), m_slot(std::move(slot)) {}

    http::Async<std::optional<std::string>> next(SteadyTime until) override {
        if (m_send_first) {
            m_send_first = false;
            co_return encode_event(m_view.event_seq, encode(m_view));
        }
        if (session::is_terminal(m_view.status))
            co_return std::nullopt;
        auto later = co_await wait_for_event(m_engine, m_view, until);
        if (!later) // deleted, or the server stops: the client reconnects and is told
            co_return std::nullopt;
        if (later->event_seq == m_view.event_seq)
            co_return std::string();
        m_view = std::move(*later);
        co_return encode_event(m_view.event_seq, encode(m_view));
    }

    void abandon() override { m_slot.reset(); }

  private:
    engine::Engine& m_engine;
    View m_view;
    bool m_send_first;
    std::optional<StreamSlots::Slot> m_slot;
};

template <class View>
http::Response start(engine::Engine& engine, View view, const http::Request& request, StreamSlots::Slot slot) {
    const std::string* header = request.header("Last-Event-ID");
    const auto last = header == nullptr ? std::nullopt : decode_last_event_id(*header);
    const bool has_it = last && *last == view.event_seq;
    http::Response response;
    if (has_it && session::is_terminal(view.status)) {
        response.status = 204;
        return response;
    }
    response.content_type = "text/event-stream";
    response.headers.emplace_back("X-Accel-Buffering", "no");
    response.stream = std::make_unique<SessionEvents<View>>(engine, std::move(view), !has_it, std::move(slot));
    return response;
}

} // namespace

http::Response start_events(engine::Engine& engine, engine::KeygenView view, const http::Request& request,
                            StreamSlots::Slot slot) {
    return start(engine, std::move(view), request, std::move(slot));
}

http::Response start_events(engine::Engine& engine, engine::SigningView view, const http::Request& request,
                            StreamSlots::Slot slot) {
    return start(engine, std::move(view), request, std::move(slot));
}

} // namespace keymeld::api
