#include "tests/plugins/fault_vfs.h"

#include <sqlite3.h>

#include <new>
#include <stdexcept>

namespace keymeld::test {

std::atomic<int> FaultVfs::s_write_error{0};
std::atomic<int> FaultVfs::s_sync_error{0};
std::atomic<int> FaultVfs::s_wal_syncs{0};

namespace {

sqlite3_vfs* g_real = nullptr;
sqlite3_vfs g_vfs{};

/// The real file follows in memory.
struct File {
    sqlite3_file base;
    bool wal;
    sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

File* of(sqlite3_file* file) {
    return reinterpret_cast<File*>(file);
}
const sqlite3_io_methods* methods(sqlite3_file* file) {
    return of(file)->real()->pMethods;
}

int close_file(sqlite3_file* f) {
    return methods(f)->xClose(of(f)->real());
}
int read_file(sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
    return methods(f)->xRead(of(f)->real(), to, n, at);
}
int write_file(sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
    if (const int error = FaultVfs::s_write_error)
        return error;
    return methods(f)->xWrite(of(f)->real(), from, n, at);
}
int truncate_file(sqlite3_file* f, sqlite3_int64 n) {
    return methods(f)->xTruncate(of(f)->real(), n);
}
int sync_file(sqlite3_file* f, int flags) {
    if (const int error = FaultVfs::s_sync_error)
        return error;
    const int code = methods(f)->xSync(of(f)->real(), flags);
    if (code == SQLITE_OK && of(f)->wal)
        ++FaultVfs::s_wal_syncs;
    return code;
}
int file_size(sqlite3_file* f, sqlite3_int64* n) {
    return methods(f)->xFileSize(of(f)->real(), n);
}
int lock_file(sqlite3_file* f, int kind) {
    return methods(f)->xLock(of(f)->real(), kind);
}
int unlock_file(sqlite3_file* f, int kind) {
    return methods(f)->xUnlock(of(f)->real(), kind);
}
int check_lock(sqlite3_file* f, int* out) {
    return methods(f)->xCheckReservedLock(of(f)->real(), out);
}
int control(sqlite3_file* f, int op, void* arg) {
    return methods(f)->xFileControl(of(f)->real(), op, arg);
}
int sector_size(sqlite3_file* f) {
    return methods(f)->xSectorSize(of(f)->real());
}
int characteristics(sqlite3_file* f) {
    return methods(f)->xDeviceCharacteristics(of(f)->real());
}
int shm_map(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
    return methods(f)->xShmMap(of(f)->real(), page, size, extend, out);
}
int shm_lock(sqlite3_file* f, int at, int n, int flags) {
    return methods(f)->xShmLock(of(f)->real(), at, n, flags);
}
void shm_barrier(sqlite3_file* f) {
    methods(f)->xShmBarrier(of(f)->real());
}
int shm_unmap(sqlite3_file* f, int remove) {
    return methods(f)->xShmUnmap(of(f)->real(), remove);
}

const sqlite3_io_methods g_methods = {
    2,         close_file,  read_file,  write_file, truncate_file, sync_file,       file_size,
    lock_file, unlock_file, check_lock, control,    sector_size,   characteristics, shm_map,
    shm_lock,  shm_barrier, shm_unmap,  nullptr,    nullptr};

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* f, int flags, int* out_flags) {
    File* const file = ::new (f) File{};
    file->wal = (flags & SQLITE_OPEN_WAL) != 0;
    const int code = g_real->xOpen(g_real, name, file->real(), flags, out_flags);
    if (file->real()->pMethods != nullptr)
        file->base.pMethods = &g_methods;
    return code;
}

} // namespace

FaultVfs::FaultVfs() {
    s_write_error = s_sync_error = s_wal_syncs = 0;
    g_real = sqlite3_vfs_find(nullptr);
    g_vfs = *g_real;
    g_vfs.zName = "keymeld-fault";
    g_vfs.szOsFile = g_real->szOsFile + static_cast<int>(sizeof(File));
    g_vfs.xOpen = open_file;
    if (sqlite3_vfs_register(&g_vfs, 1) != SQLITE_OK)
        throw std::runtime_error("cannot register the fault VFS");
}

FaultVfs::~FaultVfs() {
    s_write_error = s_sync_error = 0;
    sqlite3_vfs_unregister(&g_vfs);
    sqlite3_vfs_register(g_real, 1);
}

} // namespace keymeld::test
