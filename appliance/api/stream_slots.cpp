#include "appliance/api/stream_slots.h"

namespace keymeld::api {

Result<StreamSlots::Slot> StreamSlots::take(const std::string& client) {
    const auto found = m_open_of.find(client);
    if (found != m_open_of.end() && found->second >= m_per_client)
        return fail(Errc::RateLimited, "this client has too many event streams open").with("retry_after", "5");
    if (m_open >= m_total)
        return fail(Errc::Overloaded, "too many event streams are open").with("retry_after", "5");
    ++m_open;
    ++m_open_of[client];
    return Slot(shared_from_this(), client);
}

StreamSlots::Slot::~Slot() {
    if (!m_owner)
        return;
    --m_owner->m_open;
    const auto found = m_owner->m_open_of.find(m_client);
    if (--found->second == 0)
        m_owner->m_open_of.erase(found);
}

} // namespace keymeld::api
