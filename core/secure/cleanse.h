// Wiping memory so that the compiler keeps the write. The one wiping function of KeyMeld.
#pragma once

#include <type_traits>

#include "core/base/bytes.h"

namespace keymeld::secure {

/// Overwrites the bytes with zeros; never optimised away. [any-thread]
void cleanse(MutableByteView bytes) noexcept;

/// Wipes a value on the stack when the scope ends, on every path. For library structures that have
/// to be on the stack for the length of one call (an unpacked keypair); secrets that live longer
/// belong in SecretBytes or SecretArray.
template <class T>
requires std::is_trivially_copyable_v<T>
class ScopedCleanse {
  public:
    explicit ScopedCleanse(T& value) noexcept : m_value(value) {}
    ScopedCleanse(const ScopedCleanse&) = delete;
    ScopedCleanse& operator=(const ScopedCleanse&) = delete;
    ~ScopedCleanse() { cleanse({reinterpret_cast<std::uint8_t*>(&m_value), sizeof m_value}); }

  private:
    T& m_value;
};

} // namespace keymeld::secure
