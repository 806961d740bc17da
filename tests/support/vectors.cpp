#include "tests/support/vectors.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace keymeld::test {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> read_file(const fs::path& file) {
    const fs::path folder = vectors_folder();
    if (!fs::is_directory(folder)) {
        if (std::getenv("KEYMELD_VECTORS") != nullptr)
            throw std::runtime_error("KEYMELD_VECTORS is not a folder: " + folder.string());
        return std::nullopt;
    }
    std::ifstream in(file, std::ios::binary);
    std::ostringstream out;
    if (!in || !(out << in.rdbuf()))
        throw std::runtime_error("vector file cannot be read: " + file.string());
    return out.str();
}

std::optional<value> parse_file(const fs::path& file) {
    const auto content = read_file(file);
    if (!content)
        return std::nullopt;
    return boost::json::parse(*content);
}

} // namespace

std::string vectors_folder() {
    if (const char* const set = std::getenv("KEYMELD_VECTORS"))
        return set;
    const char* const source = std::getenv("KEYMELD_SOURCE_DIR"); // ctest sets it
    return (fs::path(source != nullptr ? source : ".") / "../shared/vectors")
        .lexically_normal()
        .string();
}

std::optional<value> load_json(std::string_view file) {
    return parse_file(fs::path(vectors_folder()) / file);
}

std::optional<value> load_rest_vectors() {
    return parse_file(fs::path(vectors_folder()) / "../spec/rest-v1-vectors.json");
}

std::optional<std::vector<std::vector<std::string>>> load_csv(std::string_view file) {
    const auto content = read_file(fs::path(vectors_folder()) / file);
    if (!content)
        return std::nullopt;
    std::vector<std::vector<std::string>> rows;
    std::istringstream lines(*content);
    for (std::string line; std::getline(lines, line);) {
        while (!line.empty() && line.back() == '\r')
            line.pop_back();
        std::vector<std::string> cells(1);
        for (const char c : line) {
            if (c == ',')
                cells.emplace_back();
            else
                cells.back() += c;
        }
        rows.push_back(std::move(cells));
    }
    return rows;
}

} // namespace keymeld::test
