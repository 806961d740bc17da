// Unfinished keygen sessions by the client that opened them (rest-v1.md section 9, pending_keygen_sessions_per_client).
//
// Sessions end without telling this list. So it is checked only when a client reaches its limit: whoever asks finds out which of the
// listed sessions are still unfinished and removes the rest.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/uuid.h"

namespace keymeld::api {

/// Thread rule: [loop].
class PendingKeygens {
  public:
    explicit PendingKeygens(std::uint32_t per_client) : m_per_client(per_client) {}

    bool lists(const std::string& client, const KeygenId& id) const;
    bool full(const std::string& client) const;
    /// Of one client, oldest first.
    std::vector<KeygenId> of(const std::string& client) const;
    /// `expires_at` in Unix seconds: no session is unfinished after that.
    void add(const std::string& client, const KeygenId& id, std::uint64_t expires_at, std::uint64_t now);
    void remove(const std::string& client, const KeygenId& id);

    std::size_t clients() const { return m_sessions.size(); }

  private:
    struct Session {
        KeygenId id;
        std::uint64_t expires_at = 0;
    };
    void forget_expired(std::uint64_t now);

    std::uint32_t m_per_client;
    std::uint32_t m_added = 0;
    std::unordered_map<std::string, std::vector<Session>> m_sessions;
};

} // namespace keymeld::api
