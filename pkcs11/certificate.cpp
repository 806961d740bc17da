#include "pkcs11/certificate.h"

namespace keymeld::pkcs11 {
namespace {

struct Element {
    std::uint8_t tag = 0;
    ByteView whole;
    ByteView content;
};

/// Takes the first element off `rest`. Definite lengths of at most 3 bytes.
std::optional<Element> take(ByteView& rest) {
    if (rest.size() < 2)
        return std::nullopt;
    std::size_t length = rest[1];
    std::size_t header = 2;
    if (length >= 0x80) {
        const std::size_t bytes = length & 0x7f;
        if (bytes == 0 || bytes > 3 || rest.size() < 2 + bytes)
            return std::nullopt;
        length = 0;
        for (std::size_t i = 0; i < bytes; ++i)
            length = length << 8 | rest[2 + i];
        header += bytes;
    }
    if (rest.size() - header < length)
        return std::nullopt;
    const Element out{rest[0], rest.first(header + length), rest.subspan(header, length)};
    rest = rest.subspan(header + length);
    return out;
}

} // namespace

std::optional<CertificateFields> certificate_fields(ByteView der) {
    const auto certificate = take(der);
    if (!certificate || certificate->tag != 0x30 || !der.empty())
        return std::nullopt;
    ByteView inside = certificate->content;
    const auto tbs = take(inside);
    if (!tbs || tbs->tag != 0x30)
        return std::nullopt;
    // version [0], serialNumber, signature, issuer, validity, subject (RFC 5280 4.1)
    ByteView fields = tbs->content;
    auto field = take(fields);
    if (field && field->tag == 0xa0)
        field = take(fields);
    CertificateFields out;
    if (!field || field->tag != 0x02)
        return std::nullopt;
    out.serial_number = field->whole;
    const auto algorithm = take(fields);
    const auto issuer = take(fields);
    const auto validity = take(fields);
    const auto subject = take(fields);
    if (!algorithm || !issuer || !validity || !subject || issuer->tag != 0x30 || subject->tag != 0x30)
        return std::nullopt;
    out.issuer = issuer->whole;
    out.subject = subject->whole;
    return out;
}

} // namespace keymeld::pkcs11
