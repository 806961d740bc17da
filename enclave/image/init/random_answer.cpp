#include <algorithm>
#include <array>
#include <cstddef>

#include "enclave/image/init/entropy.h"

namespace keymeld::init {
namespace {

// {"GetRandom": {"random": , up to the byte string itself.
constexpr std::array<std::uint8_t, 19> kBefore = {0xa1, 0x69, 'G', 'e', 't',  'R',  'a',
                                                  'n',  'd',  'o', 'm', 0xa1, 0x66, 'r',
                                                  'a',  'n',  'd', 'o', 'm'};
constexpr std::size_t kLeastRandom = 32;

} // namespace

std::span<const std::uint8_t> random_in(std::span<const std::uint8_t> answer) {
    if (answer.size() < kBefore.size() + 3 ||
        !std::equal(kBefore.begin(), kBefore.end(), answer.begin()))
        return {};
    auto rest = answer.subspan(kBefore.size());
    std::size_t length = 0;
    if (rest[0] == 0x58) { // length in one byte
        length = rest[1];
        rest = rest.subspan(2);
    } else if (rest[0] == 0x59) { // in two
        length = rest[1] * std::size_t{256} + rest[2];
        rest = rest.subspan(3);
    }
    if (length < kLeastRandom || rest.size() != length)
        return {};
    return rest;
}

} // namespace keymeld::init
