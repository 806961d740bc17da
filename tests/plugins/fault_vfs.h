// A layer under SQLite that counts flushes and lets writes and flushes fail on demand, as a full or
// broken disk does.
//
// It is the default VFS of the process while an object lives, so the plugin uses it without
// knowing.
#pragma once

#include <atomic>

namespace keymeld::test {

class FaultVfs {
  public:
    FaultVfs();
    ~FaultVfs();
    FaultVfs(const FaultVfs&) = delete;
    FaultVfs& operator=(const FaultVfs&) = delete;

    /// An SQLite result code that every write (flush) of a database or WAL file gives; 0: none.
    static std::atomic<int> s_write_error;
    static std::atomic<int> s_sync_error;
    /// Flushes of WAL files that succeeded.
    static std::atomic<int> s_wal_syncs;
};

} // namespace keymeld::test
