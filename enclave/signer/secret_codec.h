// The binary form of sealed state: big-endian numbers and fixed-size fields, written and read in
// secret memory only. It is ours on both ends and authenticated before it is read; the reader is
// strict all the same.
#pragma once

#include <cstring>
#include <string_view>

#include "core/base/result.h"
#include "core/base/uuid.h"
#include "core/crypto/public_key.h"
#include "core/secure/secret.h"

namespace keymeld::enclave {

/// Grows by doubling; what it outgrows is wiped.
class SecretWriter {
  public:
    explicit SecretWriter(std::size_t capacity = 0) : m_buffer(capacity) {}

    void u8(std::uint8_t value) { number(value, 1); }
    void u16(std::uint16_t value) { number(value, 2); }
    void u32(std::uint32_t value) { number(value, 4); }
    void u64(std::uint64_t value) { number(value, 8); }
    void raw(ByteView bytes);

    std::size_t size() const { return m_size; }
    bool empty() const { return m_size == 0; }
    ByteView written() const& { return m_buffer.expose().first(m_size); }
    void clear();

  private:
    void number(std::uint64_t value, std::size_t size);
    std::uint8_t* extend(std::size_t size);

    secure::SecretBytes m_buffer;
    std::size_t m_size = 0;
};

/// Over bytes that outlive it. After the first failure every read gives zeros and done() fails, so
/// that a decoder checks once; counts must be checked with fits() before anything is allocated for
/// them.
class SecretReader {
  public:
    explicit SecretReader(ByteView bytes) : m_rest(bytes) {}

    std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
    std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
    std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
    std::uint64_t u64() { return number(8); }
    /// A view of the next bytes; empty after a failure.
    ByteView raw(std::size_t size);
    template <std::size_t N> ByteArray<N> array() {
        ByteArray<N> out{};
        if (const ByteView bytes = raw(N); bytes.size() == N)
            std::memcpy(out.data(), bytes.data(), N);
        return out;
    }
    template <class IdType> IdType id() {
        Uuid uuid;
        uuid.bytes = array<16>();
        return IdType(uuid);
    }
    /// True if `count` items of at least `size` bytes can still follow; else the reader has failed.
    bool fits(std::size_t count, std::size_t size);
    void fail_now() { m_failed = true; }
    bool ok() const { return !m_failed; }
    bool at_end() const { return m_rest.empty(); }
    /// `Errc::SealBroken` unless everything was read and nothing failed.
    Status done() const;

  private:
    std::uint64_t number(std::size_t size);

    ByteView m_rest;
    bool m_failed = false;
};

} // namespace keymeld::enclave
