#include "enclave/image/tool/metadata.h"

#include <algorithm>

#include "core/attestation/json_cursor.h"

namespace keymeld::eif {
namespace {

constexpr std::size_t kBootMagicAt = 0x202; ///< "HdrS"
constexpr std::size_t kVersionPointerAt = 0x20e;
constexpr std::size_t kSetupStart = 0x200; ///< the pointer counts from here
constexpr std::size_t kMaxVersion = 64;

} // namespace

std::string kernel_version(ByteView kernel) {
    if (kernel.size() < kVersionPointerAt + 2 || as_text(kernel.subspan(kBootMagicAt, 4)) != "HdrS")
        return "unknown";
    const std::size_t at =
        kSetupStart + kernel[kVersionPointerAt] + 256u * kernel[kVersionPointerAt + 1];
    std::string version;
    for (std::size_t i = at; i < kernel.size() && version.size() < kMaxVersion; ++i) {
        const char c = static_cast<char>(kernel[i]);
        if (c <= ' ' || c > '~')
            break;
        version += c;
    }
    return version.empty() ? "unknown" : version;
}

std::string make_metadata(std::string_view name, std::string_view version,
                          std::string_view tool_version, ByteView kernel) {
    const auto quote = [](std::string_view text) { return attestation::json_quote(text); };
    return "{\"ImageName\":" + quote(name) + ",\"ImageVersion\":" + quote(version) +
           ",\"BuildMetadata\":{\"BuildTime\":\"1970-01-01T00:00:00Z\",\"BuildTool\":"
           "\"keymeld-eif\",\"BuildToolVersion\":" +
           quote(tool_version) +
           ",\"OperatingSystem\":\"Linux\",\"KernelVersion\":" + quote(kernel_version(kernel)) +
           "},\"DockerInfo\":{},\"CustomMetadata\":{}}";
}

} // namespace keymeld::eif
