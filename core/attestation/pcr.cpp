#include "core/attestation/pcr.h"

#include <algorithm>
#include <charconv>
#include <fstream>

#include "core/base/hex.h"

namespace keymeld::attestation {

Result<PcrIndex> PcrIndex::make(std::uint64_t number) {
    if (number >= kCount)
        return fail(Errc::InvalidArgument, "a register index is above 31");
    return PcrIndex(static_cast<std::uint8_t>(number));
}

Result<PcrIndex> PcrIndex::parse(std::string_view name) {
    unsigned number = 0;
    const char* end = name.data() + name.size();
    if (name.starts_with("PCR") && std::from_chars(name.data() + 3, end, number).ptr == end &&
        number < kCount && name.substr(3) == std::to_string(number))
        return PcrIndex(static_cast<std::uint8_t>(number));
    return fail(Errc::InvalidArgument, "not the name of a register (PCR0 to PCR31)");
}

std::string PcrIndex::name() const {
    return "PCR" + std::to_string(m_number);
}

bool is_zero(const PcrValue& value) {
    return std::ranges::all_of(value, [](std::uint8_t byte) { return byte == 0; });
}

Result<crypto::Hash384> sha384_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        return fail(Errc::Io, path.string() + ": cannot be opened");
    crypto::Sha384 hash;
    Bytes piece(64 * 1024);
    while (file.read(reinterpret_cast<char*>(piece.data()),
                     static_cast<std::streamsize>(piece.size())) ||
           file.gcount() > 0)
        hash.update(ByteView(piece).first(static_cast<std::size_t>(file.gcount())));
    if (!file.eof())
        return fail(Errc::Io, path.string() + ": cannot be read");
    return hash.finish();
}

PcrValue extend_pcr(const PcrValue& before, ByteView data) {
    return crypto::sha384({before, data});
}

Result<PcrSet> measure_executable(const std::filesystem::path& path) {
    KEYMELD_TRY(const crypto::Hash384 digest, sha384_file(path));
    const PcrValue value = extend_pcr(PcrValue{}, digest);
    return PcrSet{
        {PcrIndex::of<0>(), value}, {PcrIndex::of<1>(), value}, {PcrIndex::of<2>(), value}};
}

std::map<std::string, std::string> pcr_texts(const PcrSet& pcrs) {
    std::map<std::string, std::string> texts;
    for (const auto& [index, value] : pcrs)
        texts.emplace(index.name(), hex_encode(value));
    return texts;
}

} // namespace keymeld::attestation
