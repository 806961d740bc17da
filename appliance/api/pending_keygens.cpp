#include "appliance/api/pending_keygens.h"

namespace keymeld::api {

bool PendingKeygens::lists(const std::string& client, const KeygenId& id) const {
    const auto found = m_sessions.find(client);
    return found != m_sessions.end() && std::any_of(found->second.begin(), found->second.end(),
                                                    [&](const Session& session) { return session.id == id; });
}

bool PendingKeygens::full(const std::string& client) const {
    const auto found = m_sessions.find(client);
    return found != m_sessions.end() && found->second.size() >= m_per_client;
}

std::vector<KeygenId> PendingKeygens::of(const std::string& client) const {
    std::vector<KeygenId> out;
    if (const auto found = m_sessions.find(client); found != m_sessions.end())
        for (const Session& session : found->second)
            out.push_back(session.id);
    return out;
}

void PendingKeygens::add(const std::string& client, const KeygenId& id, std::uint64_t expires_at, std::uint64_t now) {
    if (++m_added % 1024 == 0)
        forget_expired(now);
    m_sessions[client].push_back({id, expires_at});
}

void PendingKeygens::remove(const std::string& client, const KeygenId& id) {
    const auto found = m_sessions.find(client);
    if (found == m_sessions.end())
        return;
    std::erase_if(found->second, [&](const Session& session) { return session.id == id; });
    if (found->second.empty())
        m_sessions.erase(found);
}

void PendingKeygens::forget_expired(std::uint64_t now) {
    for (auto entry = m_sessions.begin(); entry != m_sessions.end();) {
        std::erase_if(entry->second, [&](const Session& session) { return session.expires_at <= now; });
        entry = entry->second.empty() ? m_sessions.erase(entry) : std::next(entry);
    }
}

} // namespace keymeld::api
