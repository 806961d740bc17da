// Storage on one SQLite file: a writer thread that gathers batches into common commits, and a
// reader thread.
//
// WAL with synchronous=FULL: a callback means that the commit was flushed to the disk. If a batch
// of a group conflicts, the group is done again with a savepoint around each, so that it does not
// hurt the others. After a flush that failed nothing is known about the disk, so further writes are
// refused until the program is started again.
#pragma once

#include <filesystem>
#include <memory>

#include "core/plugin/storage.h"
#include "plugins/storage-sqlite/schema.h"

namespace keymeld::storage_sqlite {

struct Settings {
    std::filesystem::path path; ///< absolute
    /// How long another program (sqlite3 shell, backup) may hold a lock.
    std::uint32_t busy_timeout_ms = 5000;
    std::uint32_t cache_mib = 64;         ///< page cache of each of the two connections
    CheckDepth check = CheckDepth::Quick; ///< at open
};

/// StorageFailed, StorageCorrupt. May take seconds on a large file (integrity check).
Result<std::unique_ptr<plugin::Storage>> open_storage(const Settings& settings);

} // namespace keymeld::storage_sqlite
