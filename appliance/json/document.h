// Strict JSON reading (RFC 8259, rest-v1.md 2.2) without a third-party header: the REST layer and the client library share it.
//
// Stricter than the grammar: a repeated member name, invalid UTF-8 (also as lone surrogates) and anything after the value are refused.
// Bounded before anything is built: depth, members of an object (an attacker chooses the names, and a table of them could be made to
// collide), elements of an array, length of a name. The text itself is the caller's to bound. Nothing read here may be a secret.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/uuid.h"

namespace boost::json {
class value;
class object;
} // namespace boost::json

namespace keymeld::json {

inline constexpr std::size_t kMaxDepth = 16;
inline constexpr std::size_t kMaxMembers = 256;
inline constexpr std::size_t kMaxElements = 65536;

/// `text` as part of an RFC 6901 pointer ("~" and "/" escaped), with the slash before it.
std::string pointer_token(std::string_view text);

/// A failed rule of the field at `pointer`: `Errc::ValidationFailed` with the fact `pointer`.
Error invalid_field(std::string pointer, std::string_view rule);

/// Bytes in a field: which forms a member may have.
enum class BytesForm { Array, Hex, ArrayOrHex };

/// One object of a document; every getter checks one member and names it in its error by its RFC 6901 pointer. A view: valid as long as
/// its Document.
///
/// Getters without "optional" treat absent and null as an error, those with "optional" as nullopt. Unknown members are nobody's business.
/// `Errc::ValidationFailed` is the only error. Integers are JSON integers: 1.0, 1e3 and "1" are refused. [any-thread]
class Object {
  public:
    /// The member is there, null or not.
    bool has(std::string_view name) const;

    Result<std::string> text(std::string_view name, std::size_t max_size) const;
    Result<std::optional<std::string>> optional_text(std::string_view name, std::size_t max_size) const;
    Result<std::uint64_t> number(std::string_view name, std::uint64_t min, std::uint64_t max) const;
    Result<std::optional<std::uint64_t>> optional_number(std::string_view name, std::uint64_t min,
                                                         std::uint64_t max) const;
    /// `fallback` if absent; null is an error.
    Result<bool> boolean(std::string_view name, bool fallback) const;
    Result<bool> required_boolean(std::string_view name) const;
    /// Any form of rest-v1.md 2.2.
    Result<Uuid> uuid(std::string_view name) const;
    /// min..max UUIDs, no two alike (compared as bytes); the error points at the element.
    Result<std::vector<Uuid>> distinct_uuids(std::string_view name, std::size_t min, std::size_t max) const;
    /// As many bytes as one of `sizes` says.
    Result<Bytes> bytes(std::string_view name, BytesForm form, std::initializer_list<std::size_t> sizes) const;
    /// Hex of either case, min..max bytes; also how it was written.
    struct Hex {
        Bytes bytes;
        std::string text;
    };
    Result<Hex> hex(std::string_view name, std::size_t min, std::size_t max) const;
    Result<std::optional<Object>> optional_object(std::string_view name) const;
    Result<Object> object(std::string_view name) const;
    /// An array of at most `max` texts of at most `max_size` bytes each.
    Result<std::vector<std::string>> texts(std::string_view name, std::size_t max, std::size_t max_size) const;
    Result<std::vector<Object>> objects(std::string_view name, std::size_t max) const;

    /// An error about this object's member `name`.
    Error invalid(std::string_view name, std::string_view rule) const;
    std::string pointer_of(std::string_view name) const;

  private:
    friend class Document;
    Object(const boost::json::object& object, std::string pointer)
        : m_object(&object), m_pointer(std::move(pointer)) {}
    /// Null if absent or null.
    const boost::json::value* find(std::string_view name) const;
    Result<const boost::json::value*> require(std::string_view name) const;
    Result<Bytes> array_bytes(std::string_view name, const boost::json::value& value,
                              std::size_t max) const;

    const boost::json::object* m_object;
    std::string m_pointer;
};

/// A parsed text. Move-only owner of everything its views see.
class Document {
  public:
    /// `Errc::MalformedJson` for anything that is not JSON under the rules above. [any-thread]
    static Result<Document> parse(std::string_view text);

    Document(Document&&) noexcept;
    Document& operator=(Document&&) noexcept;
    ~Document();

    /// The value as an object; any other kind is `Errc::ValidationFailed` at the pointer "".
    Result<Object> object() const;
    /// For the few that need the tree itself (sources that include Boost.JSON).
    const boost::json::value& value() const;

  private:
    struct Tree;
    explicit Document(std::unique_ptr<Tree> tree);
    std::unique_ptr<Tree> m_tree;
};

} // namespace keymeld::json
