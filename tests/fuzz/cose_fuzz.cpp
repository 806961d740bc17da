// No input verifies under a key that signed nothing of it, and the parts lie inside the input.
#include "core/base/hex.h"
#include "core/crypto/cose.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;

namespace {

// The base point of P-384 (SEC 2 section 2.5.1) as a public key.
const cose::Es384PublicKey& some_key() {
    static const auto key =
        hex_decode_array<97>("04aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a38"
                             "5502f25dbf55296c3a545e3872760ab73617de4a96262c6f5d9e98bf9292dc29f8"
                             "f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f")
            .value();
    return key;
}

bool inside(ByteView part, ByteView whole) {
    return part.empty() || (part.data() >= whole.data() &&
                            part.data() + part.size() <= whole.data() + whole.size());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView input(data, size);
    const auto parts = cose::Sign1::parse(input);
    if (!parts)
        return 0;
    FUZZ_EXPECT(inside(parts->protected_header, input));
    FUZZ_EXPECT(inside(parts->payload, input));
    FUZZ_EXPECT(inside(parts->signature, input));
    const auto verified = parts->verify(some_key());
    FUZZ_EXPECT(!verified);
    FUZZ_EXPECT(verified.error().code == Errc::InvalidSignature);
    return 0;
}
