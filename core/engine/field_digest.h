// Digest of a request's decoded fields: what makes a repeated request the same (rest-v1.md 2.4).
#pragma once

#include <string_view>

#include "core/crypto/digest.h"
#include "core/plugin/storage.h"

namespace keymeld::engine {

/// Fields with their lengths, so that no two requests give the same bytes.
class FieldDigest {
  public:
    explicit FieldDigest(std::string_view kind) { add(as_bytes(kind)); }

    FieldDigest& add(ByteView field) {
        add(static_cast<std::uint64_t>(field.size()));
        m_digest.update(field);
        return *this;
    }
    FieldDigest& add(std::uint64_t number) {
        ByteArray<8> bytes{};
        for (std::size_t i = 0; i < 8; ++i)
            bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
        m_digest.update(bytes);
        return *this;
    }
    plugin::Hash32 finish() { return m_digest.finish(); }

  private:
    crypto::Sha256 m_digest;
};

} // namespace keymeld::engine
