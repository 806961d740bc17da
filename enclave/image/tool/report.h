// What `keymeld-eif describe` and `verify` say about an image.
#pragma once

#include <optional>
#include <string>

#include "core/attestation/eif/image.h"
#include "core/base/result.h"

namespace keymeld::eif {

struct ImageReport {
    Image image;
    std::uint64_t file_size = 0;
    std::string file_sha256; ///< hex
    /// PCR0 to PCR2; PCR8 too if the image is signed and the signature verifies.
    attestation::PcrSet pcrs;
    std::optional<Status> signature; ///< nullopt: unsigned
};

/// Reads and measures. Fails only as Image::read() fails.
Result<ImageReport> inspect(ByteView file);

std::string as_lines(const ImageReport& report);
/// One JSON object and a line end.
std::string as_json(const ImageReport& report);
/// {"PCR0":"...",...} with lower-case hex, and "PCR0  ..." lines.
std::string pcrs_json(const attestation::PcrSet& pcrs);
std::string pcrs_lines(const attestation::PcrSet& pcrs);

} // namespace keymeld::eif
