// How many event streams may be open, per client and in total (rest-v1.md section 9).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "core/base/result.h"

namespace keymeld::api {

/// Thread rule: [loop].
class StreamSlots : public std::enable_shared_from_this<StreamSlots> {
  public:
    StreamSlots(std::uint32_t per_client, std::uint32_t total) : m_per_client(per_client), m_total(total) {}

    /// One stream; gives its place back when it is destroyed.
    class Slot {
      public:
        Slot(std::shared_ptr<StreamSlots> owner, std::string client)
            : m_owner(std::move(owner)), m_client(std::move(client)) {}
        Slot(Slot&&) noexcept = default;
        Slot& operator=(Slot&&) = delete;
        Slot(const Slot&) = delete;
        Slot& operator=(const Slot&) = delete;
        ~Slot();

      private:
        std::shared_ptr<StreamSlots> m_owner; ///< null once moved from
        std::string m_client;
    };

    /// `Errc::RateLimited` (per client) or `Errc::Overloaded` (total).
    Result<Slot> take(const std::string& client);

  private:
    std::uint32_t m_per_client;
    std::uint32_t m_total;
    std::uint32_t m_open = 0;
    std::unordered_map<std::string, std::uint32_t> m_open_of;
};

} // namespace keymeld::api
