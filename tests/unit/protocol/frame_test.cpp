#include "core/protocol/frame.h"

#include <gtest/gtest.h>

#include <numeric>

namespace keymeld::protocol {
namespace {

Bytes pattern(std::size_t size, std::uint8_t seed) {
    Bytes out(size);
    std::iota(out.begin(), out.end(), seed);
    return out;
}

/// The framing written out again, so that reader and writer are not only tested against each other.
Bytes framed(ByteView payload) {
    const std::size_t n = payload.size();
    Bytes out = {static_cast<std::uint8_t>(n >> 24), static_cast<std::uint8_t>(n >> 16),
                 static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n)};
    out.insert(out.end(), payload.begin(), payload.end());
    return out;
}

void feed(FrameReader& reader, ByteView bytes) {
    while (!bytes.empty()) {
        const MutableByteView space = reader.prepare();
        ASSERT_FALSE(space.empty());
        const std::size_t size = std::min(space.size(), bytes.size());
        std::copy_n(bytes.begin(), size, space.begin());
        reader.commit(size);
        bytes = bytes.subspan(size);
    }
}

std::vector<Bytes> drain(FrameReader& reader) {
    std::vector<Bytes> out;
    while (true) {
        auto payload = reader.next();
        if (!payload) {
            ADD_FAILURE() << payload.error().detail;
            return out;
        }
        if (!*payload)
            return out;
        out.push_back(to_bytes(**payload));
    }
}

TEST(FrameReader, GivesWhatTheWriterWrote) {
    FrameWriter writer;
    const std::vector<Bytes> payloads = {pattern(1, 7), pattern(300, 1), pattern(70'000, 9), pattern(2, 3)};
    for (const Bytes& payload : payloads) {
        auto space = writer.append(payload.size());
        ASSERT_TRUE(space);
        ASSERT_EQ(space->size(), payload.size());
        std::copy(payload.begin(), payload.end(), space->begin());
    }
    Bytes expected;
    for (const Bytes& payload : payloads) {
        const Bytes frame = framed(payload);
        expected.insert(expected.end(), frame.begin(), frame.end());
    }
    EXPECT_EQ(to_bytes(writer.unsent()), expected);
    FrameReader reader;
    feed(reader, writer.unsent());
    EXPECT_EQ(drain(reader), payloads);
    EXPECT_EQ(reader.buffered(), 0u);
}

TEST(FrameReader, FindsTheFramesWhateverTheSplit) {
    const std::vector<Bytes> payloads = {pattern(1, 1), pattern(5, 2), pattern(17, 3), pattern(3, 4)};
    Bytes stream;
    for (const Bytes& payload : payloads) {
        const Bytes frame = framed(payload);
        stream.insert(stream.end(), frame.begin(), frame.end());
    }
    for (std::size_t first = 0; first <= stream.size(); ++first) {
        for (std::size_t second = first; second <= stream.size(); ++second) {
            FrameReader reader;
            std::vector<Bytes> got;
            for (const ByteView piece : {ByteView(stream).first(first), ByteView(stream).subspan(first, second - first),
                                         ByteView(stream).subspan(second)}) {
                feed(reader, piece);
                for (Bytes& payload : drain(reader))
                    got.push_back(std::move(payload));
            }
            ASSERT_EQ(got, payloads) << "split at " << first << " and " << second;
        }
    }
}

TEST(FrameReader, FindsTheFramesByteByByte) {
    const std::vector<Bytes> payloads = {pattern(1, 1), pattern(256, 2), pattern(1000, 3)};
    FrameReader reader;
    std::vector<Bytes> got;
    for (const Bytes& payload : payloads) {
        for (const std::uint8_t byte : framed(payload)) {
            feed(reader, ByteView(&byte, 1));
            for (Bytes& out : drain(reader))
                got.push_back(std::move(out));
        }
    }
    EXPECT_EQ(got, payloads);
}

TEST(FrameReader, TakesAFrameOfExactlyTheLimitAndNoMore) {
    constexpr std::size_t kLimit = 1000;
    FrameReader at_limit(kLimit);
    feed(at_limit, framed(pattern(kLimit, 5)));
    EXPECT_EQ(drain(at_limit), std::vector<Bytes>{pattern(kLimit, 5)});

    FrameReader above(kLimit);
    feed(above, framed(pattern(kLimit + 1, 5)));
    const auto refused = above.next();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::FrameTooLarge);
}

TEST(FrameReader, RefusesByTheHeaderAlone) {
    for (const Bytes& header : {Bytes{0xff, 0xff, 0xff, 0xff}, Bytes{0x80, 0, 0, 0}, Bytes{0, 0x40, 0, 1}}) {
        FrameReader reader;
        feed(reader, header);
        const auto refused = reader.next();
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::FrameTooLarge);
        EXPECT_LE(reader.prepare().size(), kReadChunk) << "space was reserved for a frame that was refused";
    }
}

TEST(FrameReader, AHeaderReservesNothing) {
    FrameReader reader;
    feed(reader, Bytes{0, 0x40, 0, 0}); // exactly the limit, 4 MiB
    ASSERT_TRUE(reader.next());
    EXPECT_LE(reader.prepare().size(), kReadChunk);
}

TEST(FrameReader, RefusesAnEmptyFrame) {
    FrameReader reader;
    feed(reader, framed(pattern(2, 1)));
    feed(reader, Bytes(4, 0));
    auto first = reader.next();
    ASSERT_TRUE(first && *first);
    const auto refused = reader.next();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::MalformedFrame);
}

TEST(FrameReader, StaysBrokenUntilCleared) {
    FrameReader reader(10);
    feed(reader, Bytes{0, 0, 0, 11});
    ASSERT_FALSE(reader.next());
    feed(reader, framed(pattern(3, 1)));
    const auto again = reader.next();
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::FrameTooLarge);
    reader.clear();
    EXPECT_EQ(reader.buffered(), 0u);
    feed(reader, framed(pattern(3, 1)));
    EXPECT_EQ(drain(reader), std::vector<Bytes>{pattern(3, 1)});
}

TEST(FrameReader, DoesNotKeepTheSpaceOfALargeFrame) {
    FrameReader reader;
    feed(reader, framed(pattern(std::size_t{3} << 20, 1)));
    ASSERT_EQ(drain(reader).size(), 1u);
    EXPECT_LE(reader.prepare().size(), 2 * kReadChunk);
    feed(reader, framed(pattern(20, 2)));
    EXPECT_EQ(drain(reader), std::vector<Bytes>{pattern(20, 2)});
}

TEST(FrameWriter, RefusesWhatTheReaderWouldRefuse) {
    FrameWriter writer(100);
    ASSERT_FALSE(writer.append(0));
    EXPECT_EQ(writer.append(0).error().code, Errc::MalformedFrame);
    EXPECT_EQ(writer.append(101).error().code, Errc::FrameTooLarge);
    EXPECT_TRUE(writer.empty());
    EXPECT_TRUE(writer.append(100));
    EXPECT_EQ(writer.unsent().size(), 104u);
}

TEST(FrameWriter, GoesOnWhereAPartialWriteStopped) {
    FrameWriter writer;
    Bytes expected;
    Bytes sent;
    // A peer that takes less than is added, for a while: what was sent must not pile up or be repeated.
    for (int round = 0; round < 400; ++round) {
        const Bytes payload = pattern(900, static_cast<std::uint8_t>(round));
        auto space = writer.append(payload.size());
        ASSERT_TRUE(space);
        std::copy(payload.begin(), payload.end(), space->begin());
        const Bytes frame = framed(payload);
        expected.insert(expected.end(), frame.begin(), frame.end());
        const ByteView part = writer.unsent().first(std::min<std::size_t>(writer.unsent().size(), 700));
        sent.insert(sent.end(), part.begin(), part.end());
        writer.consume(part.size());
    }
    EXPECT_FALSE(writer.empty());
    sent.insert(sent.end(), writer.unsent().begin(), writer.unsent().end());
    writer.consume(writer.unsent().size());
    EXPECT_TRUE(writer.empty());
    EXPECT_EQ(sent, expected);
}

} // namespace
} // namespace keymeld::protocol
