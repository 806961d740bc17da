// The plugin: options of the `storage:` mapping.
//
//   path              the database; made with its folder if it is not there
//   busy_timeout_ms   how long another program may hold a lock on it, 0..60000, default 5000
//   cache_mib         page cache of each of the two connections, 1..4096, default 64
//   check             integrity check at the start: quick (default) or full
#include "core/plugin/export.h"
#include "core/plugin/storage.h"
#include "plugins/storage-sqlite/sqlite_storage.h"

namespace keymeld::storage_sqlite {
namespace {

class SqlitePlugin final : public plugin::StoragePlugin {
  public:
    Result<std::unique_ptr<plugin::Storage>> open(plugin::Options options) override {
        Settings settings;
        KEYMELD_TRY(settings.path, options.required_path("path"));
        KEYMELD_TRY(const auto busy, options.number("busy_timeout_ms", 5000, 0, 60000));
        settings.busy_timeout_ms = static_cast<std::uint32_t>(busy);
        KEYMELD_TRY(const auto cache, options.number("cache_mib", 64, 1, 4096));
        settings.cache_mib = static_cast<std::uint32_t>(cache);
        KEYMELD_TRY(const auto check, options.text("check", "quick"));
        if (check != "quick" && check != "full")
            return fail(Errc::ConfigInvalid, options.where() + ": check must be quick or full");
        settings.check = check == "full" ? CheckDepth::Full : CheckDepth::Quick;
        KEYMELD_CHECK(options.finish());
        return open_storage(settings);
    }
};

} // namespace
} // namespace keymeld::storage_sqlite

KEYMELD_PLUGIN(Storage, "storage-sqlite", "1.0.0",
               [] { return new keymeld::storage_sqlite::SqlitePlugin; });
