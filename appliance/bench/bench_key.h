// A key to sign with under load: all participants played by the load generator.
#pragma once

#include <vector>

#include "appliance/client/ceremony.h"

namespace keymeld::bench {

template <class T> using Async = client::Async<T>;

struct BenchKey {
    std::vector<client::Participant> people;
    client::Invitation invitation;
    client::AggregateKey key;
};

/// Creates a key of `participants`, of whom the last `approvers` require approval by header. `quota` signing sessions.
Async<Result<BenchKey>> make_key(client::RestClient& rest, const client::Trust& trust, unsigned participants, unsigned approvers,
                                 std::uint32_t quota);

} // namespace keymeld::bench
