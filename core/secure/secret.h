// SecretBytes (sized at run time) and SecretArray<N>: where every private key, session secret,
// shared secret and nonce lives.
//
// The bytes are in the locked pool behind a pointer, so a move copies nothing secret. Move-only; a
// copy needs clone(), which can be searched for. There is no ==, no <<, no formatter, no iterator
// and no conversion: compare with ct_equal, and pass expose() only to a function that needs the
// bytes, for the length of the call. A view from expose() dies with the object; copying its bytes
// into a std::string or Bytes is the misuse that costs a key. Allocation throws
// LockedMemoryExhausted. Thread rule: as any value, one thread at a time or read only.
#pragma once

#include <cstring>
#include <stdexcept>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/secure/locked_pool.h"

namespace keymeld::secure {

class SecretBytes {
  public:
    /// Empty; takes no memory.
    SecretBytes() noexcept = default;
    /// `size` zero bytes.
    explicit SecretBytes(std::size_t size)
        : m_data(size == 0 ? nullptr : static_cast<std::uint8_t*>(locked_pool::allocate(size))),
          m_size(size) {}
    /// A copy of bytes that the caller wipes, or that are in a secret already.
    static SecretBytes copy_of(ByteView bytes) {
        SecretBytes out(bytes.size());
        if (!bytes.empty())
            std::memcpy(out.m_data, bytes.data(), bytes.size());
        return out;
    }

    SecretBytes(SecretBytes&& other) noexcept
        : m_data(std::exchange(other.m_data, nullptr)), m_size(std::exchange(other.m_size, 0)) {}
    SecretBytes& operator=(SecretBytes&& other) noexcept {
        if (this != &other) {
            wipe();
            m_data = std::exchange(other.m_data, nullptr);
            m_size = std::exchange(other.m_size, 0);
        }
        return *this;
    }
    SecretBytes(const SecretBytes&) = delete;
    SecretBytes& operator=(const SecretBytes&) = delete;
    ~SecretBytes() { wipe(); }

    bool operator==(const SecretBytes&) const = delete;

    SecretBytes clone() const { return copy_of(expose()); }

    std::size_t size() const noexcept { return m_size; }
    bool empty() const noexcept { return m_size == 0; }

    ByteView expose() const& noexcept { return {m_data, m_size}; }
    ByteView expose() const&& = delete;
    MutableByteView expose_mut() & noexcept { return {m_data, m_size}; }

    /// Erases the bytes now; the object is empty afterwards.
    void wipe() noexcept {
        if (m_data != nullptr)
            locked_pool::deallocate(m_data, m_size);
        m_data = nullptr;
        m_size = 0;
    }

  private:
    std::uint8_t* m_data = nullptr;
    std::size_t m_size = 0;
};

template <std::size_t N> class SecretArray {
    static_assert(N > 0);

  public:
    /// N zero bytes.
    SecretArray() : m_data(static_cast<std::uint8_t*>(locked_pool::allocate(N))) {}
    /// A copy of bytes that the caller wipes, or that are in a secret already.
    static SecretArray copy_of(std::span<const std::uint8_t, N> bytes) {
        SecretArray out;
        std::memcpy(out.m_data, bytes.data(), N);
        return out;
    }
    /// As copy_of; any other length than N is `Errc::InvalidArgument`.
    static Result<SecretArray> from_bytes(ByteView bytes) {
        if (bytes.size() != N)
            return fail(Errc::InvalidArgument, "secret has the wrong length");
        return copy_of(bytes.template first<N>());
    }

    SecretArray(SecretArray&& other) noexcept : m_data(std::exchange(other.m_data, nullptr)) {}
    SecretArray& operator=(SecretArray&& other) noexcept {
        if (this != &other) {
            wipe();
            m_data = std::exchange(other.m_data, nullptr);
        }
        return *this;
    }
    SecretArray(const SecretArray&) = delete;
    SecretArray& operator=(const SecretArray&) = delete;
    ~SecretArray() { wipe(); }

    bool operator==(const SecretArray&) const = delete;

    SecretArray clone() const { return copy_of(expose()); }

    static constexpr std::size_t size() noexcept { return N; }
    /// False once moved from or wiped; then expose() throws std::logic_error.
    bool holds_value() const noexcept { return m_data != nullptr; }

    std::span<const std::uint8_t, N> expose() const& {
        return std::span<const std::uint8_t, N>(checked(), N);
    }
    std::span<const std::uint8_t, N> expose() const&& = delete;
    std::span<std::uint8_t, N> expose_mut() & { return std::span<std::uint8_t, N>(checked(), N); }

    /// Erases the bytes now.
    void wipe() noexcept {
        if (m_data != nullptr)
            locked_pool::deallocate(m_data, N);
        m_data = nullptr;
    }

  private:
    std::uint8_t* checked() const {
        if (m_data == nullptr)
            throw std::logic_error("secret used after it was moved or wiped");
        return m_data;
    }

    std::uint8_t* m_data = nullptr;
};

} // namespace keymeld::secure
