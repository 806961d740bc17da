#include "core/base/uuid.h"

#include <cstring>

#include "core/base/hex.h"

namespace keymeld {
namespace {

bool has_hyphens(std::string_view text) {
    return text.size() == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-';
}

std::string without_hyphens(std::string_view text) {
    std::string digits;
    digits.reserve(32);
    digits.append(text.substr(0, 8)).append(text.substr(9, 4)).append(text.substr(14, 4));
    digits.append(text.substr(19, 4)).append(text.substr(24, 12));
    return digits;
}

bool starts_with_urn(std::string_view text) {
    static constexpr std::string_view kUrn = "urn:uuid:";
    if (text.size() < kUrn.size())
        return false;
    for (std::size_t i = 0; i < kUrn.size(); ++i) {
        const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
        if (c != kUrn[i])
            return false;
    }
    return true;
}

Error not_a_uuid() { return fail(Errc::InvalidArgument, "not a UUID"); }

} // namespace

std::string Uuid::text() const {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out(36, '-');
    std::size_t at = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            ++at;
        out[at++] = kDigits[bytes[i] >> 4];
        out[at++] = kDigits[bytes[i] & 15];
    }
    return out;
}

Result<Uuid> Uuid::parse(std::string_view text) {
    if (starts_with_urn(text)) {
        text.remove_prefix(9);
        if (!has_hyphens(text))
            return not_a_uuid();
    } else if (text.size() == 38 && text.front() == '{' && text.back() == '}') {
        text = text.substr(1, 36);
        if (!has_hyphens(text))
            return not_a_uuid();
    }
    Uuid uuid;
    const bool parsed = has_hyphens(text)
                            ? hex_decode_into(without_hyphens(text), uuid.bytes).has_value()
                            : hex_decode_into(text, uuid.bytes).has_value();
    if (!parsed)
        return not_a_uuid();
    return uuid;
}

Result<Uuid> Uuid::parse_canonical(std::string_view text) {
    Uuid uuid;
    if (!has_hyphens(text) ||
        !hex_decode_into(without_hyphens(text), uuid.bytes, HexCase::Lower).has_value())
        return not_a_uuid();
    return uuid;
}

Result<Uuid> Uuid::from_bytes(ByteView bytes) {
    Uuid uuid;
    if (bytes.size() != uuid.bytes.size())
        return not_a_uuid();
    std::memcpy(uuid.bytes.data(), bytes.data(), bytes.size());
    return uuid;
}

Uuid Uuid::make_v7(std::uint64_t unix_ms, const ByteArray<10>& random) {
    Uuid uuid;
    for (std::size_t i = 0; i < 6; ++i)
        uuid.bytes[i] = static_cast<std::uint8_t>(unix_ms >> (40 - 8 * i));
    std::memcpy(uuid.bytes.data() + 6, random.data(), random.size());
    uuid.bytes[6] = static_cast<std::uint8_t>((uuid.bytes[6] & 0x0f) | 0x70);
    uuid.bytes[8] = static_cast<std::uint8_t>((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

} // namespace keymeld

std::size_t std::hash<keymeld::Uuid>::operator()(const keymeld::Uuid& id) const noexcept {
    // Clients choose the ids, so a table keyed by them could be made to collide on purpose: mix with a per-process seed.
    static const std::uint64_t seed = reinterpret_cast<std::uintptr_t>(&seed) * 0x9e3779b97f4a7c15ull | 1;
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    std::memcpy(&low, id.bytes.data(), 8);
    std::memcpy(&high, id.bytes.data() + 8, 8);
    std::uint64_t h = (low ^ seed) * 0xff51afd7ed558ccdull;
    h ^= h >> 32;
    h = (h ^ high) * 0xc4ceb9fe1a85ec53ull;
    return static_cast<std::size_t>(h ^ (h >> 29));
}
