// UUIDs as 16 bytes (RFC 9562). Session and user ids are made by clients; ours (boot ids, request ids) are version 7.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld {

/// 16 raw bytes, ordered byte by byte (the order of rest-v1.md 5.4).
struct Uuid {
    ByteArray<16> bytes{};

    auto operator<=>(const Uuid&) const = default;

    /// Canonical text: lower case, hyphenated, 36 characters.
    std::string text() const;
    ByteView view() const { return bytes; }

    /// Accepts the hyphenated, simple (32 hex), braced and `urn:uuid:` forms, any letter case, any version
    /// (rest-v1.md 2.2). Anything else is `Errc::InvalidArgument`. [any-thread]
    static Result<Uuid> parse(std::string_view text);
    /// Only the canonical text (authentication headers, rest-v1.md 3.3).
    static Result<Uuid> parse_canonical(std::string_view text);
    /// Exactly 16 bytes, else `Errc::InvalidArgument`.
    static Result<Uuid> from_bytes(ByteView bytes);
    /// Version 7 of a time in ms since the Unix epoch and 10 random bytes of the caller.
    static Uuid make_v7(std::uint64_t unix_ms, const ByteArray<10>& random);
};

/// Ids that must not be mixed up. Same bytes, different types.
template <class Tag> struct Id : Uuid {
    Id() = default;
    explicit Id(const Uuid& uuid) : Uuid(uuid) {}
    auto operator<=>(const Id&) const = default;
};
using KeygenId = Id<struct KeygenTag>;
using SigningId = Id<struct SigningTag>;
using UserId = Id<struct UserTag>;
using KeyId = Id<struct KeyTag>; ///< of a single key (rest-keys)

} // namespace keymeld

template <> struct std::hash<keymeld::Uuid> {
    std::size_t operator()(const keymeld::Uuid& id) const noexcept;
};
template <class Tag> struct std::hash<keymeld::Id<Tag>> : std::hash<keymeld::Uuid> {};
