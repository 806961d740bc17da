// Whose sealed state: a keygen session's at one enclave, or a single key's.
#pragma once

#include <functional>

#include "core/base/uuid.h"

namespace keymeld::engine {

struct SealedOwner {
    enum class Kind : std::uint8_t { Keygen, SingleKey };

    SealedOwner(const KeygenId& keygen) : kind(Kind::Keygen), id(keygen) {}    // NOLINT: meant to be implicit
    SealedOwner(const KeyId& key) : kind(Kind::SingleKey), id(key) {}          // NOLINT
    auto operator<=>(const SealedOwner&) const = default;

    /// For log fields.
    std::string_view name() const { return kind == Kind::Keygen ? "keygen" : "key"; }

    Kind kind;
    Uuid id;
};

} // namespace keymeld::engine

template <> struct std::hash<keymeld::engine::SealedOwner> {
    std::size_t operator()(const keymeld::engine::SealedOwner& owner) const noexcept {
        return std::hash<keymeld::Uuid>()(owner.id) ^ static_cast<std::size_t>(owner.kind);
    }
};
