// Writes compact JSON in the order of the calls, straight into a string. Public values only.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/uuid.h"

namespace keymeld::json {

/// begin/end calls and members must be balanced by the caller; commas are put by the writer. Text that is not UTF-8 is written with each
/// wrong byte replaced by U+FFFD, so that the result is always valid JSON. [any-thread]
class Writer {
  public:
    Writer() { m_out.reserve(512); }

    Writer& begin_object();
    Writer& end_object();
    Writer& begin_array();
    Writer& end_array();
    Writer& key(std::string_view name);

    Writer& text(std::string_view value);
    Writer& boolean(bool value);
    Writer& null();
    template <std::unsigned_integral T>
        requires(!std::same_as<T, bool>)
    Writer& number(T value) {
        return write_number(value);
    }
    Writer& number(std::int64_t value);
    Writer& hex(ByteView bytes);
    /// As an array of numbers.
    Writer& byte_array(ByteView bytes);
    Writer& uuid(const Uuid& id) { return text(id.text()); }
    /// `json` is a complete value already.
    Writer& raw(std::string_view json);

    // A member in one call.
    Writer& member(std::string_view name, std::string_view value) { return key(name).text(value); }
    Writer& member(std::string_view name, const char* value) { return key(name).text(value); }
    Writer& member(std::string_view name, const Uuid& value) { return key(name).uuid(value); }
    template <std::unsigned_integral T> Writer& member(std::string_view name, T value) {
        if constexpr (std::same_as<T, bool>)
            return key(name).boolean(value);
        else
            return key(name).number(value);
    }

    const std::string& view() const { return m_out; }
    std::string take() { return std::move(m_out); }

  private:
    void separate();
    Writer& write_number(std::uint64_t value);

    std::string m_out;
    bool m_need_comma = false;
};

} // namespace keymeld::json
