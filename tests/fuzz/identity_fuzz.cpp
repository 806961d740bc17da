// What enclaves box for each other, as if the box had held anything: an identity, or an error.
#include "enclave/signer/sealing.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;
using namespace keymeld::enclave;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto identity = decode_identity({data, size});
    if (!identity) {
        FUZZ_EXPECT(identity.error().code == Errc::DecryptFailed);
        return 0;
    }
    FUZZ_EXPECT(identity->epoch() != 0 && identity->incarnation() != 0);
    const auto again = encode_identity(*identity);
    FUZZ_EXPECT(to_bytes(again.expose()) == to_bytes({data, size}));
    return 0;
}
