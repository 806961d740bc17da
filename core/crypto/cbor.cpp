#include "core/crypto/cbor.h"

#include <limits>
#include <set>
#include <string>

#include "core/base/utf8.h"

namespace keymeld::cbor {
namespace {

constexpr unsigned kMajorUnsigned = 0;
constexpr unsigned kMajorNegative = 1;
constexpr unsigned kMajorBytes = 2;
constexpr unsigned kMajorText = 3;
constexpr unsigned kMajorArray = 4;
constexpr unsigned kMajorMap = 5;
constexpr unsigned kMajorTag = 6;
constexpr unsigned kMajorSimple = 7;

constexpr std::uint8_t kIndefinite = 31;
constexpr std::uint8_t kBreak = 0xff;
constexpr std::uint8_t kFalse = 20;
constexpr std::uint8_t kTrue = 21;
constexpr std::uint8_t kNull = 22;

Error malformed(const char* why, std::source_location where = std::source_location::current()) {
    return fail(Errc::InvalidArgument, std::string("CBOR: ") + why, where);
}

} // namespace

class Decoder {
  public:
    Decoder(ByteView input, const Limits& limits) : m_input(input), m_limits(limits) {}

    Result<Value> document() {
        if (m_input.size() > m_limits.max_size)
            return malformed("input is longer than allowed");
        KEYMELD_TRY(Value value, item(0));
        if (m_at != m_input.size())
            return malformed("bytes follow the item");
        return value;
    }

  private:
    struct Head {
        unsigned major = 0;
        std::uint8_t info = 0;
        std::uint64_t argument = 0;
    };

    std::size_t left() const { return m_input.size() - m_at; }

    Result<Head> head() {
        if (left() == 0)
            return malformed("input ends inside an item");
        const std::uint8_t first = m_input[m_at++];
        Head result{.major = static_cast<unsigned>(first >> 5),
                    .info = static_cast<std::uint8_t>(first & 31u)};
        if (result.info < 24) {
            result.argument = result.info;
            return result;
        }
        if (result.info == kIndefinite)
            return result;
        if (result.info > 27)
            return malformed("reserved length form");
        const std::size_t size = std::size_t{1} << (result.info - 24);
        if (left() < size)
            return malformed("input ends inside an item");
        for (std::size_t i = 0; i < size; ++i)
            result.argument = result.argument << 8 | m_input[m_at++];
        // The next shorter form holds up to 23, 2^8-1, 2^16-1 and 2^32-1.
        const std::uint64_t shorter = size == 1 ? 23 : (std::uint64_t{1} << (8 * (size / 2))) - 1;
        if (result.major != kMajorSimple && result.argument <= shorter)
            return malformed("a number is not in its shortest form");
        return result;
    }

    Result<Value> item(std::size_t depth) {
        if (++m_items > m_limits.max_items)
            return malformed("too many items");
        KEYMELD_TRY(const Head h, head());
        if (h.info == kIndefinite && !(h.major == kMajorMap && depth == 0 &&
                                       m_limits.indefinite == Indefinite::OutermostMap))
            return malformed("indefinite length or stray break");
        Value value;
        switch (h.major) {
        case kMajorUnsigned:
        case kMajorNegative:
            value.m_kind = h.major == kMajorUnsigned ? Kind::Unsigned : Kind::Negative;
            value.m_number = h.argument;
            return value;
        case kMajorBytes:
        case kMajorText:
            if (h.argument > left())
                return malformed("input ends inside a string");
            value.m_kind = h.major == kMajorBytes ? Kind::Bytes : Kind::Text;
            value.m_string = m_input.subspan(m_at, static_cast<std::size_t>(h.argument));
            m_at += value.m_string.size();
            if (h.major == kMajorText && !is_utf8(keymeld::as_text(value.m_string)))
                return malformed("a text is not UTF-8");
            return value;
        case kMajorArray:
            KEYMELD_CHECK(enter(depth));
            KEYMELD_CHECK(elements(value, h.argument, depth + 1));
            return value;
        case kMajorMap:
            KEYMELD_CHECK(enter(depth));
            KEYMELD_CHECK(entries(value, h, depth + 1));
            return value;
        case kMajorTag: {
            if (h.argument != kTagCoseSign1)
                return malformed("a tag other than 18");
            KEYMELD_CHECK(enter(depth));
            value.m_kind = Kind::Tag;
            KEYMELD_TRY(Value inner, item(depth + 1));
            value.m_items.push_back(std::move(inner));
            return value;
        }
        default:
            return simple(h);
        }
    }

    Status enter(std::size_t depth) const {
        if (depth >= m_limits.max_depth)
            return malformed("nested too deep");
        return {};
    }

    static Result<Value> simple(const Head& h) {
        Value value;
        if (h.info == kNull)
            return value;
        if (h.info != kFalse && h.info != kTrue)
            return malformed("a float or simple value that is not used here");
        value.m_kind = Kind::Boolean;
        value.m_boolean = h.info == kTrue;
        return value;
    }

    /// Each item takes at least one byte, so a count beyond the input is a lie: nothing is reserved
    /// for it.
    bool too_many(std::uint64_t count, std::uint64_t items_each) const {
        return count > left() / items_each || count > (m_limits.max_items - m_items) / items_each;
    }

    Status elements(Value& array, std::uint64_t count, std::size_t depth) {
        if (too_many(count, 1))
            return malformed("an array is longer than input or limit");
        array.m_kind = Kind::Array;
        array.m_items.reserve(static_cast<std::size_t>(count));
        for (std::uint64_t i = 0; i < count; ++i) {
            KEYMELD_TRY(Value element, item(depth));
            array.m_items.push_back(std::move(element));
        }
        return {};
    }

    Status entries(Value& map, const Head& h, std::size_t depth) {
        map.m_kind = Kind::Map;
        map.m_indefinite = h.info == kIndefinite;
        if (!map.m_indefinite) {
            if (too_many(h.argument, 2))
                return malformed("a map is longer than input or limit");
            map.m_entries.reserve(static_cast<std::size_t>(h.argument));
        }
        // Only shortest forms are read, so two equal keys have equal bytes.
        std::set<std::string_view> seen;
        while (map.m_indefinite ? !at_break() : map.m_entries.size() < h.argument) {
            const std::size_t begin = m_at;
            KEYMELD_TRY(Value key, item(depth));
            if (key.kind() != Kind::Unsigned && key.kind() != Kind::Negative &&
                key.kind() != Kind::Bytes && key.kind() != Kind::Text)
                return malformed("a map key is neither integer nor string");
            if (!seen.insert(as_text(m_input.subspan(begin, m_at - begin))).second)
                return malformed("a map key occurs twice");
            KEYMELD_TRY(Value content, item(depth));
            map.m_entries.emplace_back(std::move(key), std::move(content));
        }
        return {};
    }

    bool at_break() {
        if (left() == 0 || m_input[m_at] != kBreak)
            return false;
        ++m_at;
        return true;
    }

    ByteView m_input;
    Limits m_limits;
    std::size_t m_at = 0;
    std::size_t m_items = 0;
};

std::optional<std::uint64_t> Value::as_unsigned() const {
    return m_kind == Kind::Unsigned ? std::optional(m_number) : std::nullopt;
}

std::optional<std::int64_t> Value::as_integer() const {
    if ((m_kind != Kind::Unsigned && m_kind != Kind::Negative) ||
        m_number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return std::nullopt;
    const auto number = static_cast<std::int64_t>(m_number);
    return m_kind == Kind::Unsigned ? number : -1 - number;
}

std::optional<ByteView> Value::as_bytes() const {
    return m_kind == Kind::Bytes ? std::optional(m_string) : std::nullopt;
}

std::optional<std::string_view> Value::as_text() const {
    return m_kind == Kind::Text ? std::optional(keymeld::as_text(m_string)) : std::nullopt;
}

std::optional<bool> Value::as_boolean() const {
    return m_kind == Kind::Boolean ? std::optional(m_boolean) : std::nullopt;
}

const std::vector<Value>* Value::as_array() const {
    return m_kind == Kind::Array ? &m_items : nullptr;
}

const std::vector<Value::Entry>* Value::as_map() const {
    return m_kind == Kind::Map ? &m_entries : nullptr;
}

const Value* Value::as_tagged() const {
    return m_kind == Kind::Tag ? &m_items.front() : nullptr;
}

const Value* Value::find(std::string_view key) const {
    for (const auto& [name, value] : m_entries)
        if (name.as_text() == key)
            return &value;
    return nullptr;
}

const Value* Value::find(std::int64_t key) const {
    for (const auto& [name, value] : m_entries)
        if (name.as_integer() == key)
            return &value;
    return nullptr;
}

Result<Value> decode(ByteView input, const Limits& limits) {
    return Decoder(input, limits).document();
}

void Writer::head(unsigned major, std::uint64_t argument) {
    const auto type = static_cast<std::uint8_t>(major << 5);
    if (argument < 24) {
        m_out.push_back(static_cast<std::uint8_t>(type | argument));
        return;
    }
    unsigned log2 = 0;
    while (log2 < 3 && argument >> (8u << log2) != 0)
        ++log2;
    m_out.push_back(static_cast<std::uint8_t>(type | (24 + log2)));
    for (unsigned shift = 8u << log2; shift > 0; shift -= 8)
        m_out.push_back(static_cast<std::uint8_t>(argument >> (shift - 8)));
}

Writer& Writer::unsigned_integer(std::uint64_t value) {
    head(kMajorUnsigned, value);
    return *this;
}

Writer& Writer::integer(std::int64_t value) {
    if (value >= 0)
        head(kMajorUnsigned, static_cast<std::uint64_t>(value));
    else
        head(kMajorNegative, static_cast<std::uint64_t>(-1 - value));
    return *this;
}

Writer& Writer::bytes(ByteView value) {
    head(kMajorBytes, value.size());
    m_out.insert(m_out.end(), value.begin(), value.end());
    return *this;
}

Writer& Writer::text(std::string_view utf8) {
    head(kMajorText, utf8.size());
    const ByteView bytes = as_bytes(utf8);
    m_out.insert(m_out.end(), bytes.begin(), bytes.end());
    return *this;
}

Writer& Writer::array(std::size_t count) {
    head(kMajorArray, count);
    return *this;
}

Writer& Writer::map(std::size_t count) {
    head(kMajorMap, count);
    return *this;
}

Writer& Writer::tag(std::uint64_t number) {
    head(kMajorTag, number);
    return *this;
}

Writer& Writer::boolean(bool value) {
    head(kMajorSimple, value ? kTrue : kFalse);
    return *this;
}

Writer& Writer::null() {
    head(kMajorSimple, kNull);
    return *this;
}

Writer& Writer::encoded(ByteView item) {
    m_out.insert(m_out.end(), item.begin(), item.end());
    return *this;
}

} // namespace keymeld::cbor
