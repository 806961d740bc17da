#include "core/protocol/frame.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

namespace keymeld::protocol {
namespace {

std::uint32_t read_length(const std::uint8_t* at) {
    return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 | at[3];
}

/// A limit that the length field cannot exceed would be none.
std::size_t clamp_limit(std::size_t max_frame) {
    return std::min<std::size_t>(max_frame, std::numeric_limits<std::uint32_t>::max());
}

} // namespace

FrameReader::FrameReader(std::size_t max_frame) : m_max_frame(clamp_limit(max_frame)) {}

MutableByteView FrameReader::prepare() {
    const std::size_t held = m_end - m_begin;
    // A large frame gets its space as it arrives: a header alone costs nothing.
    const bool full = held == m_buffer.size() && m_needed <= held; // prepared again without a look at the frames
    const std::size_t wanted = std::max(kReadChunk, full ? 2 * held : std::min(m_needed, 2 * held));
    if (m_begin > 0) {
        // What remains is less than one frame, so each byte moves at most once for each chunk that is read.
        std::memmove(m_buffer.data(), m_buffer.data() + m_begin, held);
        m_begin = 0;
        m_end = held;
    }
    if (m_buffer.size() < wanted) {
        m_buffer.resize(wanted);
    } else if (m_buffer.size() > 4 * kReadChunk && wanted == kReadChunk && held < kReadChunk) {
        m_buffer.resize(kReadChunk); // a large frame has passed: do not keep its space
        m_buffer.shrink_to_fit();
    }
    return MutableByteView(m_buffer).subspan(m_end);
}

void FrameReader::commit(std::size_t size) { m_end += std::min(size, m_buffer.size() - m_end); }

Result<std::optional<ByteView>> FrameReader::next() {
    if (m_broken)
        return fail(*m_broken, "the stream lost its frame boundaries");
    const std::size_t held = m_end - m_begin;
    if (held < kFrameHeader) {
        m_needed = 0;
        return std::optional<ByteView>();
    }
    const std::size_t length = read_length(m_buffer.data() + m_begin);
    if (length == 0 || length > m_max_frame) {
        m_broken = length == 0 ? Errc::MalformedFrame : Errc::FrameTooLarge;
        return fail(*m_broken, length == 0 ? "empty frame" : "frame of " + std::to_string(length) + " bytes");
    }
    if (held < kFrameHeader + length) {
        m_needed = kFrameHeader + length;
        return std::optional<ByteView>();
    }
    const ByteView payload = ByteView(m_buffer).subspan(m_begin + kFrameHeader, length);
    m_begin += kFrameHeader + length;
    m_needed = 0;
    return std::optional<ByteView>(payload);
}

void FrameReader::clear() {
    m_buffer = {};
    m_begin = m_end = m_needed = 0;
    m_broken.reset();
}

FrameWriter::FrameWriter(std::size_t max_frame) : m_max_frame(clamp_limit(max_frame)) {}

Result<MutableByteView> FrameWriter::append(std::size_t size) {
    if (size == 0)
        return fail(Errc::MalformedFrame, "empty frame");
    if (size > m_max_frame)
        return fail(Errc::FrameTooLarge, "frame of " + std::to_string(size) + " bytes");
    const std::size_t at = m_buffer.size();
    m_buffer.resize(at + kFrameHeader + size);
    const auto length = static_cast<std::uint32_t>(size);
    for (std::size_t i = 0; i < kFrameHeader; ++i)
        m_buffer[at + i] = static_cast<std::uint8_t>(length >> (24 - 8 * i));
    return MutableByteView(m_buffer).subspan(at + kFrameHeader);
}

void FrameWriter::consume(std::size_t size) {
    m_sent += std::min(size, m_buffer.size() - m_sent);
    if (m_sent < m_buffer.size()) {
        // Under back-pressure the sent part would grow without end.
        if (m_sent >= kReadChunk && m_sent >= m_buffer.size() / 2) {
            m_buffer.erase(m_buffer.begin(), m_buffer.begin() + static_cast<std::ptrdiff_t>(m_sent));
            m_sent = 0;
        }
        return;
    }
    if (m_buffer.capacity() > 4 * kReadChunk)
        m_buffer = {};
    m_buffer.clear();
    m_sent = 0;
}

void FrameWriter::clear() {
    m_buffer = {};
    m_sent = 0;
}

} // namespace keymeld::protocol
