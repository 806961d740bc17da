// Frames of the gateway-enclave stream: a 4-byte big-endian length, then that many bytes of one serialised message.
//
// Both classes are pure (no sockets, no protobuf) and keep no more memory than one frame of the permitted size and what was read
// beyond it. Everything that crosses the stream is public or a ciphertext, so nothing here is wiped. Thread-compatible.
#pragma once

#include <cstddef>
#include <optional>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::protocol {

inline constexpr std::size_t kFrameHeader = 4;
inline constexpr std::size_t kDefaultMaxFrame = std::size_t{4} << 20; ///< bytes of payload
inline constexpr std::size_t kReadChunk = std::size_t{64} << 10;

/// Cuts frames out of a byte stream, whatever the pieces in which it arrives.
///
///     auto span = reader.prepare();              // somewhere to read into
///     reader.commit(socket.read_some(span));
///     while (auto payload = reader.next()) { if (!*payload) break; use(**payload); }
class FrameReader {
  public:
    explicit FrameReader(std::size_t max_frame = kDefaultMaxFrame);

    /// Space for at least one byte, at first kReadChunk; grows with what has arrived of a larger frame.
    /// Invalidates every payload given out before.
    MutableByteView prepare();
    /// The first `size` bytes of the last prepare() were filled.
    void commit(std::size_t size);
    /// The next complete payload, without copying it: valid until prepare() or clear(). Nothing: more bytes are needed.
    /// Errors: FrameTooLarge, judged from the header alone, before any allocation; MalformedFrame for an empty frame (no message
    /// serialises to nothing). After an error the stream has lost its boundaries: it gives the same error until clear().
    Result<std::optional<ByteView>> next();
    /// Bytes that were read and not yet given out.
    std::size_t buffered() const { return m_end - m_begin; }
    void clear();

  private:
    std::size_t m_max_frame;
    Bytes m_buffer;
    std::size_t m_begin = 0;
    std::size_t m_end = 0;
    std::size_t m_needed = 0; ///< size of the incomplete frame at m_begin with its header, 0 if not known yet
    std::optional<Errc> m_broken;
};

/// Collects frames, so that many messages leave in one write.
class FrameWriter {
  public:
    explicit FrameWriter(std::size_t max_frame = kDefaultMaxFrame);

    /// Appends a header and room for `size` bytes of payload, which the caller must fill before the next call.
    /// Errors: FrameTooLarge, MalformedFrame (size 0); nothing was appended then.
    Result<MutableByteView> append(std::size_t size);
    /// What is to be written, and how much of it was.
    ByteView unsent() const { return ByteView(m_buffer).subspan(m_sent); }
    void consume(std::size_t size);
    bool empty() const { return m_sent == m_buffer.size(); }
    void clear();

  private:
    std::size_t m_max_frame;
    Bytes m_buffer;
    std::size_t m_sent = 0;
};

} // namespace keymeld::protocol
