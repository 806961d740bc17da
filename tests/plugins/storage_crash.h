// What storage_writer writes and storage_crash_test expects.
#pragma once

#include "tests/plugins/storage_fixture.h"

namespace keymeld::test {

inline constexpr std::uint64_t kCrashThreads = 4;

/// A signing or nonce number that is different for each (thread, batch).
inline std::uint64_t crash_number(std::uint64_t thread, std::uint64_t n) {
    return thread * 1'000'000 + n;
}

/// Batch n of a thread, n = 1, 2, ...: needs version n of keygen `thread` and touches four tables.
inline std::vector<Mutation> crash_batch(std::uint64_t thread, std::uint64_t n) {
    KeygenRecord update = keygen_record(thread);
    update.version = n;
    update.event_seq = n + 1;
    std::vector<Mutation> batch{UpdateKeygen{update}};
    batch.push_back(UseNonce{hash_of(crash_number(thread, n)), keygen_id(thread)});
    batch.push_back(InsertSigning{signing_record(crash_number(thread, n), thread)});
    batch.push_back(PutSealed{sealed(thread, 0, n, n % 10 == 1)});
    return batch;
}

} // namespace keymeld::test
