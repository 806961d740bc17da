#include "core/attestation/read_file.h"

#include <fstream>

namespace keymeld::attestation {

Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_size) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        return fail(Errc::Io, path.string() + ": cannot be opened");
    std::string content(max_size + 1, '\0');
    file.read(content.data(), static_cast<std::streamsize>(content.size()));
    if (file.bad() || (file.fail() && !file.eof()))
        return fail(Errc::Io, path.string() + ": cannot be read");
    content.resize(static_cast<std::size_t>(file.gcount()));
    if (content.size() > max_size)
        return fail(Errc::ConfigInvalid,
                    path.string() + ": longer than " + std::to_string(max_size) + " bytes");
    return content;
}

Error in_file(const std::filesystem::path& path, Error error) {
    error.detail = path.string() + ": " + error.detail;
    return error;
}

} // namespace keymeld::attestation
