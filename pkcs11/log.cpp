#include "pkcs11/log.h"

#include <atomic>

#include <unistd.h>

namespace keymeld::pkcs11::log {
namespace {

std::atomic<Level> g_level{Level::Error};

void write_line(std::string_view text) {
    std::string line = "keymeld-pkcs11: ";
    for (const char c : text)
        line.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
    line.push_back('\n');
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
