// Reads the strict JSON of pcrs.json step by step: objects, arrays and strings. Internal to
// core/attestation.
//
// Strings may hold any UTF-8 text but control characters, and the escapes \" \\ \/ only: names and
// hex need no others.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace keymeld::attestation {

/// Every failure is `Errc::ConfigInvalid` with line and column. Keeps a view of the text.
class JsonCursor {
  public:
    explicit JsonCursor(std::string_view text) : m_text(text) {}

    /// Skips space, then takes this character or fails.
    Status expect(char wanted);
    /// Skips space, then takes this character if it is next.
    bool accept(char wanted);
    Result<std::string> string();
    /// Nothing but space may be left.
    Status end();
    /// A complaint at the present place.
    Error error(std::string_view what,
                std::source_location where = std::source_location::current()) const;

  private:
    void skip_space();
    std::string_view m_text;
    std::size_t m_at = 0;
};

/// `text` as a JSON string, quotes included. The text must hold no control character.
std::string json_quote(std::string_view text);

} // namespace keymeld::attestation
