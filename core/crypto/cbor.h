// CBOR (RFC 8949), the bounded strict subset that the Nitro security module and COSE_Sign1 use.
//
// Read: unsigned and negative integers, byte strings, UTF-8 text, arrays, maps, null, booleans,
// tag 18. Refused: every other tag and simple value, floats, a length or integer not in its
// shortest form, a duplicate map key, a map key that is not an integer or a string, input after the
// item, and an indefinite length except where the caller allows it. Everything here is public data:
// never encode a secret with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::cbor {

/// The one tag that is read: COSE_Sign1 (RFC 9052 section 2).
inline constexpr std::uint64_t kTagCoseSign1 = 18;

/// Where an indefinite-length item is accepted. Nitro documents since about January 2026 have one
/// as payload map.
enum class Indefinite { Nowhere, OutermostMap };

/// Bounds, checked before anything is allocated.
struct Limits {
    std::size_t max_size = 64 * 1024; ///< bytes of input
    std::size_t max_depth = 6;        ///< containers and tags inside each other
    std::size_t max_items = 1024;     ///< data items in all, map keys counted
    Indefinite indefinite = Indefinite::Nowhere;
};

enum class Kind { Unsigned, Negative, Bytes, Text, Array, Map, Tag, Boolean, Null };

/// One decoded item. Byte strings and texts are views into the decoded input and valid as long as
/// that is.
class Value {
  public:
    using Entry = std::pair<Value, Value>;

    Kind kind() const { return m_kind; }
    bool is_null() const { return m_kind == Kind::Null; }
    /// True for an array or map that was written with indefinite length.
    bool indefinite() const { return m_indefinite; }

    /// Each gives the content if the item is of that kind, else nullopt or nullptr.
    std::optional<std::uint64_t> as_unsigned() const;
    /// A negative or unsigned integer that fits int64.
    std::optional<std::int64_t> as_integer() const;
    std::optional<ByteView> as_bytes() const;
    std::optional<std::string_view> as_text() const;
    std::optional<bool> as_boolean() const;
    const std::vector<Value>* as_array() const;
    const std::vector<Entry>* as_map() const;
    /// The item inside tag 18.
    const Value* as_tagged() const;

    /// The value of a text or integer key of a map; nullptr if this is no map or has no such key.
    const Value* find(std::string_view key) const;
    const Value* find(std::int64_t key) const;

  private:
    friend class Decoder;
    Kind m_kind = Kind::Null;
    bool m_indefinite = false;
    bool m_boolean = false;
    std::uint64_t m_number = 0; ///< n of Unsigned, or of -1 - n
    ByteView m_string;
    std::vector<Value> m_items; ///< elements of an array, or the one item inside a tag
    std::vector<Entry> m_entries;
};

/// Decodes exactly one item that is the whole of `input`. Keeps views into `input`.
/// `Errc::InvalidArgument` for anything outside the subset or beyond the limits. [any-thread]
Result<Value> decode(ByteView input, const Limits& limits = {});

/// Writes items one after another in their shortest form. The caller keeps the counts that array()
/// and map() announced.
class Writer {
  public:
    Writer& unsigned_integer(std::uint64_t value);
    Writer& integer(std::int64_t value);
    Writer& bytes(ByteView value);
    Writer& text(std::string_view utf8);
    Writer& array(std::size_t count);
    /// `count` pairs follow.
    Writer& map(std::size_t count);
    Writer& tag(std::uint64_t number);
    Writer& boolean(bool value);
    Writer& null();
    /// An item encoded before.
    Writer& encoded(ByteView item);

    const Bytes& view() const { return m_out; }
    Bytes take() && { return std::move(m_out); }

  private:
    void head(unsigned major, std::uint64_t argument);
    Bytes m_out;
};

} // namespace keymeld::cbor
