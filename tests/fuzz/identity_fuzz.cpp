// What enclaves box for each other, as if the box had held anything: an identity, the versions of
// sealed states, or an error.
#include "enclave/signer/sealing.h"
#include "enclave/signer/state_versions.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;
using namespace keymeld::enclave;

namespace {

void try_identity(ByteView bytes) {
    const auto identity = decode_identity(bytes);
    if (!identity) {
        FUZZ_EXPECT(identity.error().code == Errc::DecryptFailed);
        return;
    }
    FUZZ_EXPECT(identity->epoch() != 0 && identity->incarnation() != 0);
    const auto again = encode_identity(*identity);
    FUZZ_EXPECT(to_bytes(again.expose()) == to_bytes(bytes));
}

void try_versions(ByteView bytes) {
    const auto versions = StateVersions::decode(bytes);
    if (!versions) {
        FUZZ_EXPECT(versions.error().code == Errc::InvalidArgument);
        return;
    }
    // A mark that stands there twice is one.
    FUZZ_EXPECT(versions->encode().size() <= bytes.size());
    FUZZ_EXPECT(StateVersions::decode(versions->encode()));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try_identity({data, size});
    try_versions({data, size});
    return 0;
}
