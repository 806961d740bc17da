#include "core/bitcoin/key_order.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace keymeld::bitcoin {

std::string_view text(KeyOrder order) {
    switch (order) {
    case KeyOrder::UserId:
        return "user_id";
    case KeyOrder::Bip327Sorted:
        return "bip327_sorted";
    }
    return {};
}

Result<KeyOrder> parse_key_order(std::string_view name) {
    for (const KeyOrder order : {KeyOrder::UserId, KeyOrder::Bip327Sorted}) {
        if (name == text(order))
            return order;
    }
    return fail(Errc::InvalidArgument, "unknown key order");
}

std::vector<std::size_t> aggregation_order(std::span<const UserId> users,
                                           std::span<const PlainPubKey> keys, KeyOrder order) {
    if (users.size() != keys.size())
        throw std::invalid_argument("as many users as keys are needed");
    std::vector<std::size_t> out(users.size());
    std::iota(out.begin(), out.end(), std::size_t{0});
    std::sort(out.begin(), out.end(), [&](std::size_t a, std::size_t b) {
        if (order == KeyOrder::Bip327Sorted && keys[a] != keys[b])
            return keys[a] < keys[b];
        return users[a] < users[b];
    });
    return out;
}

} // namespace keymeld::bitcoin
