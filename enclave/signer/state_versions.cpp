#include "enclave/signer/state_versions.h"

#include <algorithm>

namespace keymeld::enclave {
namespace {

constexpr std::size_t kCountSize = 4;
constexpr std::size_t kEntrySize = 16;

void put(Bytes& out, std::uint64_t value, std::size_t size) {
    for (std::size_t i = size; i-- > 0;)
        out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

std::uint64_t take(ByteView& in, std::size_t size) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : in.first(size))
        value = value << 8 | byte;
    in = in.subspan(size);
    return value;
}

Error malformed() {
    return fail(Errc::InvalidArgument, "versions of sealed states do not have their form");
}

} // namespace

void StateVersions::note(Kind kind, Mark mark, std::uint64_t version, bool deleted) {
    MarkMap& words = m_words[static_cast<std::size_t>(kind)];
    const std::uint64_t word = version | (deleted ? kDeleted : 0);
    const auto known = words.find(mark);
    if (known ? *known < word : size() < m_capacity)
        words.set(mark, word);
}

Bytes StateVersions::encode() const {
    Bytes out;
    out.reserve(2 * kCountSize + size() * kEntrySize);
    for (const MarkMap& words : m_words) {
        put(out, words.size(), kCountSize);
        words.for_each([&](Mark mark, std::uint64_t word) {
            put(out, mark, 8);
            put(out, word, 8);
        });
    }
    return out;
}

Result<StateVersions> StateVersions::decode(ByteView bytes) {
    StateVersions out;
    for (const Kind kind : {Kind::Keygen, Kind::SingleKey}) {
        if (bytes.size() < kCountSize)
            return malformed();
        const std::uint64_t count = take(bytes, kCountSize);
        if (count > kMaxEntries - out.size() || bytes.size() < count * kEntrySize)
            return malformed();
        for (std::uint64_t i = 0; i < count; ++i) {
            const Mark mark = take(bytes, 8);
            const std::uint64_t word = take(bytes, 8);
            if (mark == 0 || (word & ~kDeleted) > kMaxVersion)
                return malformed();
            out.note(kind, mark, word & ~kDeleted, word >= kDeleted);
        }
    }
    if (!bytes.empty())
        return malformed();
    return out;
}

void StateVersions::merge(const StateVersions& other) {
    for (const Kind kind : {Kind::Keygen, Kind::SingleKey})
        other.for_each(kind, [&](Mark mark, std::uint64_t version, bool deleted) {
            note(kind, mark, version, deleted);
        });
}

} // namespace keymeld::enclave
