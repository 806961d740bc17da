// A small enclave image, and a file of it with one thing changed and the checksum made right again.
#pragma once

#include <functional>

#include "core/attestation/eif/crc32.h"
#include "core/attestation/eif/image.h"

namespace keymeld::eif::test {

inline Bytes bytes_of(std::string_view text) {
    return to_bytes(as_bytes(text));
}

inline Image small_image() {
    Image image;
    for (int round = 0; round < 3; ++round)
        for (int byte = 0; byte < 256; ++byte)
            image.kernel.push_back(static_cast<std::uint8_t>(byte));
    image.cmdline = "console=ttyS0 panic=1";
    image.metadata = "{\"ImageName\":\"golden\"}";
    image.ramdisks = {bytes_of("first ramdisk"), bytes_of("second ramdisk!")};
    return image;
}

/// Where a header's field stands, and the size of the header.
inline constexpr std::size_t kChecksumAt = 544;
inline constexpr std::size_t kHeaderEnd = 548;

inline void put_number(Bytes& file, std::size_t at, std::size_t width, std::uint64_t value) {
    for (std::size_t byte = 0; byte < width; ++byte)
        file.at(at + byte) = static_cast<std::uint8_t>(value >> (8 * (width - 1 - byte)));
}

inline Bytes with_right_checksum(Bytes file) {
    const ByteView view(file);
    const std::uint32_t sum =
        Crc32().update(view.first(kChecksumAt)).update(view.subspan(kHeaderEnd)).value();
    put_number(file, kChecksumAt, 4, sum);
    return file;
}

} // namespace keymeld::eif::test
