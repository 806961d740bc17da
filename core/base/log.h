// Structured logging: a level, a category, an event name and key=value fields.
//
// Only types with a LogField constructor can be logged; secret types have none, so logging one does not compile.
// Untrusted text is escaped, so that it cannot start a line of its own. Ids, x-only keys and PCRs may be logged; header
// values, nonces, ciphertexts, sealed blobs, tokens, PINs and bodies may not.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/uuid.h"

namespace keymeld::log {

enum class Level { Debug, Info, Warn, Error };

/// One key=value pair of a log line.
struct Field {
    std::string_view key;
    std::string value;

    Field(std::string_view k, std::string_view v) : key(k), value(v) {}
    Field(std::string_view k, const char* v) : key(k), value(v) {}
    Field(std::string_view k, const std::string& v) : key(k), value(v) {}
    Field(std::string_view k, bool v) : key(k), value(v ? "true" : "false") {}
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    Field(std::string_view k, T v) : key(k), value(std::to_string(v)) {}
    Field(std::string_view k, const Uuid& v) : key(k), value(v.text()) {}
    Field(std::string_view k, Errc v) : key(k), value(errc_name(v)) {}
};

/// Writes one line to stderr if `level` is enabled. `category` and `event` are constants of the program. [any-thread]
void write(Level level, std::string_view category, std::string_view event,
           std::initializer_list<Field> fields = {});

inline void debug(std::string_view category, std::string_view event,
                  std::initializer_list<Field> fields = {}) {
    write(Level::Debug, category, event, fields);
}
inline void info(std::string_view category, std::string_view event,
                 std::initializer_list<Field> fields = {}) {
    write(Level::Info, category, event, fields);
}
inline void warn(std::string_view category, std::string_view event,
                 std::initializer_list<Field> fields = {}) {
    write(Level::Warn, category, event, fields);
}
inline void error(std::string_view category, std::string_view event,
                  std::initializer_list<Field> fields = {}) {
    write(Level::Error, category, event, fields);
}

/// True if lines of `level` are written: for call sites whose fields cost more than a line that is not written should. [any-thread]
bool enabled(Level level);

/// Lowest level that is written; Info at start. [startup]
void set_level(Level level);

} // namespace keymeld::log
