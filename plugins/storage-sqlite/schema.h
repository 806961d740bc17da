// The tables, and the steps from each older version of them to the newest.
//
// PRAGMA user_version holds the version, PRAGMA application_id says that a file is ours. Ids are
// 16-byte blobs, hashes 32, public keys 33, times Unix seconds, states the texts of the REST
// specification; no column holds JSON or a list. For people with the sqlite3 shell the views *_view
// show the same with UUIDs, hex and dates.
#pragma once

#include <cstdint>

#include "plugins/storage-sqlite/database.h"

namespace keymeld::storage_sqlite {

inline constexpr std::uint32_t kSchemaVersion = 4;
inline constexpr std::uint32_t kApplicationId = 0x4b4d4c44; // "KMLD"

/// Makes an empty file a database of kSchemaVersion, or brings an older one up to it, one
/// transaction a step. StorageFailed for a file of a newer version or of another application.
Status migrate(Connection& connection);

enum class CheckDepth { Quick, Full };
/// StorageCorrupt unless SQLite finds the file sound and every reference leads somewhere.
Status check_integrity(Connection& connection, CheckDepth depth);

} // namespace keymeld::storage_sqlite
