#include "pkcs11/log.h"

#include <atomic>

#include <unistd.h>

#include "core/base/utf8.h"

namespace keymeld::pkcs11::log {
namespace {

std::atomic<Level> g_level{Level::Error};

void write_line(std::string_view text) {
    const std::string line = "keymeld-pkcs11: " + one_line(text) + "\n";
    // Not through stdio: its buffers are the application's. What cannot be written is lost.
    [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, line.data(), line.size());
}

} // namespace

void set_level(Level level) { g_level = level; }

void error(std::string_view text) {
    if (g_level.load() >= Level::Error)
        write_line(text);
}

void info(std::string_view text) {
    if (g_level.load() >= Level::Info)
        write_line(text);
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

} // namespace keymeld::pkcs11::log
