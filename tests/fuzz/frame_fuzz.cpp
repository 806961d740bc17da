// However the bytes are cut, the frames are those of one look at the whole; and what the writer makes comes back.
#include <algorithm>
#include <numeric>

#include "core/protocol/frame.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;
using namespace keymeld::protocol;

namespace {

constexpr std::size_t kLimit = 5000;

struct Parsed {
    std::vector<Bytes> payloads;
    std::optional<Errc> broken;
    bool operator==(const Parsed&) const = default;
};

/// The rule of the format, by offsets into one buffer.
Parsed parse_whole(ByteView bytes) {
    Parsed out;
    while (bytes.size() >= 4) {
        const std::size_t length =
            std::accumulate(bytes.begin(), bytes.begin() + 4, std::size_t{0},
                            [](std::size_t sum, std::uint8_t byte) { return sum * 256 + byte; });
        if (length == 0 || length > kLimit) {
            out.broken = length == 0 ? Errc::MalformedFrame : Errc::FrameTooLarge;
            return out;
        }
        if (bytes.size() < 4 + length)
            return out;
        out.payloads.push_back(to_bytes(bytes.subspan(4, length)));
        bytes = bytes.subspan(4 + length);
    }
    return out;
}

Parsed parse_pieces(ByteView cuts, ByteView bytes) {
    FrameReader reader(kLimit);
    Parsed out;
    std::size_t turn = 0;
    while (!bytes.empty() && !out.broken) {
        const MutableByteView space = reader.prepare();
        FUZZ_EXPECT(!space.empty());
        FUZZ_EXPECT(space.size() <= 4 * kReadChunk);
        const std::size_t cut = cuts.empty() ? 1 : std::size_t{1} + cuts[turn++ % cuts.size()];
        const std::size_t size = std::min({space.size(), bytes.size(), cut});
        std::copy_n(bytes.begin(), size, space.begin());
        reader.commit(size);
        bytes = bytes.subspan(size);
        while (true) {
            auto payload = reader.next();
            if (!payload) {
                out.broken = payload.error().code;
                FUZZ_EXPECT(!reader.next());
                break;
            }
            if (!*payload)
                break;
            out.payloads.push_back(to_bytes(**payload));
        }
        FUZZ_EXPECT(out.broken || reader.buffered() < 4 + kLimit);
    }
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1)
        return 0;
    const std::size_t cut_count = std::min<std::size_t>(data[0] % 16, size - 1);
    const ByteView cuts(data + 1, cut_count);
    const ByteView stream(data + 1 + cut_count, size - 1 - cut_count);
    const Parsed whole = parse_whole(stream);
    FUZZ_EXPECT(parse_pieces(cuts, stream) == whole);

    FrameWriter writer(kLimit);
    for (const Bytes& payload : whole.payloads) {
        auto space = writer.append(payload.size());
        FUZZ_EXPECT(space && space->size() == payload.size());
        std::copy(payload.begin(), payload.end(), space->begin());
    }
    const ByteView unsent = writer.unsent();
    FUZZ_EXPECT(unsent.size() <= stream.size() && std::equal(unsent.begin(), unsent.end(), stream.begin()));
    return 0;
}
