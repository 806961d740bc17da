// key_order: in which order a session's keys are aggregated (rest-v1.md 5.4).
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/uuid.h"
#include "core/bitcoin/keys.h"

namespace keymeld::bitcoin {

/// Values as in the gateway-enclave protocol.
enum class KeyOrder : std::uint8_t {
    UserId = 0,       ///< by the 16 raw bytes of the user id, no KeySort
    Bip327Sorted = 1, ///< BIP-327 KeySort of the compressed keys, equal keys by user id: the order
                      ///< of musig() descriptors
};

/// `user_id`, `bip327_sorted`. [any-thread]
std::string_view text(KeyOrder order);
/// The inverse; `Errc::InvalidArgument` for any other text.
Result<KeyOrder> parse_key_order(std::string_view text);

/// For users[i] with keys[i]: the indexes i in aggregation order. Throws std::invalid_argument if
/// the lengths differ.
std::vector<std::size_t> aggregation_order(std::span<const UserId> users,
                                           std::span<const PlainPubKey> keys, KeyOrder order);

} // namespace keymeld::bitcoin
