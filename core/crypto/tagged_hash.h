// BIP-340 tagged hash: SHA256(SHA256(tag) || SHA256(tag) || data).
#pragma once

#include <initializer_list>
#include <string_view>

#include "core/base/bytes.h"
#include "core/crypto/digest.h"

namespace keymeld::crypto {

/// A tag whose prefix is computed once. Make one per tag as a static constant. [any-thread]
class HashTag {
  public:
    explicit HashTag(std::string_view tag);
    /// The tagged hash of the concatenation of the parts.
    Hash256 hash(std::initializer_list<ByteView> parts) const;
    /// SHA256(tag) || SHA256(tag), for callers that hash incrementally.
    const ByteArray<64>& prefix() const { return m_prefix; }

  private:
    ByteArray<64> m_prefix;
};

/// The tagged hash under a tag that is used rarely.
Hash256 tagged_hash(std::string_view tag, std::initializer_list<ByteView> parts);

} // namespace keymeld::crypto
