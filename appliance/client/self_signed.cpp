#include "appliance/client/self_signed.h"

#include <algorithm>
#include <ctime>

#include "core/base/utf8.h"

namespace keymeld::client {
namespace {

// AlgorithmIdentifier of ecdsa-with-SHA256 and of a secp256k1 key; the OID of commonName.
constexpr std::uint8_t kEcdsaSha256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
constexpr std::uint8_t kSecp256k1[] = {0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a};
constexpr std::uint8_t kCommonName[] = {0x06, 0x03, 0x55, 0x04, 0x03};
constexpr std::uint8_t kVersion3[] = {0xa0, 0x03, 0x02, 0x01, 0x02};

void append(Bytes& out, ByteView more) { out.insert(out.end(), more.begin(), more.end()); }

Bytes element(std::uint8_t tag, std::initializer_list<ByteView> parts) {
    std::size_t length = 0;
    for (const ByteView part : parts)
        length += part.size();
    Bytes out{tag};
    if (length < 0x80) {
        out.push_back(static_cast<std::uint8_t>(length));
    } else if (length < 0x100) {
        out.push_back(0x81);
        out.push_back(static_cast<std::uint8_t>(length));
    } else {
        out.push_back(0x82);
        out.push_back(static_cast<std::uint8_t>(length >> 8));
        out.push_back(static_cast<std::uint8_t>(length));
    }
    for (const ByteView part : parts)
        append(out, part);
    return out;
}

/// A positive INTEGER in its shortest form.
Bytes integer(ByteView big_endian) {
    while (big_endian.size() > 1 && big_endian[0] == 0)
        big_endian = big_endian.subspan(1);
    static constexpr std::uint8_t kZero[] = {0};
    return element(0x02, {big_endian[0] >= 0x80 ? ByteView(kZero) : ByteView(), big_endian});
}

Result<Bytes> utc_time(std::uint64_t seconds) {
    const std::time_t time = static_cast<std::time_t>(seconds);
    std::tm parts{};
    char text[16] = {};
    if (::gmtime_r(&time, &parts) == nullptr || parts.tm_year < 70 || parts.tm_year > 149 ||
        std::strftime(text, sizeof text, "%y%m%d%H%M%SZ", &parts) != 13)
        return fail(Errc::InvalidArgument, "a certificate's time is out of range");
    return element(0x17, {as_bytes(std::string_view(text, 13))});
}

} // namespace

Result<Bytes> certificate_body(const bitcoin::PlainPubKey& key, std::string_view common_name, const ByteArray<16>& serial,
                               std::uint64_t not_before, std::uint64_t not_after) {
    if (common_name.empty() || common_name.size() > 64 || !is_utf8(common_name))
        return fail(Errc::InvalidArgument, "a certificate's name has 1 to 64 bytes of UTF-8");
    KEYMELD_TRY(const Bytes from, utc_time(not_before));
    KEYMELD_TRY(const Bytes until, utc_time(not_after));
    const Bytes text = element(0x0c, {as_bytes(common_name)});
    const Bytes attribute = element(0x30, {kCommonName, text});
    const Bytes relative = element(0x31, {attribute});
    const Bytes name = element(0x30, {relative});
    static constexpr std::uint8_t kNoUnusedBits[] = {0};
    const auto point = key.uncompressed();
    const Bytes bits = element(0x03, {kNoUnusedBits, point});
    const Bytes key_info = element(0x30, {kSecp256k1, bits});
    const Bytes number = integer(serial);
    const Bytes validity = element(0x30, {from, until});
    return element(0x30, {kVersion3, number, kEcdsaSha256, name, validity, name, key_info});
}

Bytes certificate_of(ByteView body, const ByteArray<64>& signature) {
    const Bytes r = integer(ByteView(signature).first(32));
    const Bytes s = integer(ByteView(signature).subspan(32));
    const Bytes pair = element(0x30, {r, s});
    static constexpr std::uint8_t kNoUnusedBits[] = {0};
    const Bytes bits = element(0x03, {kNoUnusedBits, pair});
    return element(0x30, {body, kEcdsaSha256, bits});
}

} // namespace keymeld::client
