// A blob that opens does so under one key and one AAD only; its binding id needs its length alone.
#include "core/crypto/ecies.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // The corpus holds blobs for this one.
    static const auto key = crypto::SecretKey::parse(ByteArray<32>{1}).value();
    static const auto other = crypto::SecretKey::parse(ByteArray<32>{2}).value();
    const ByteView blob(data, size);
    const auto opened = crypto::ecies_open(key, blob);
    FUZZ_EXPECT(opened || opened.error().code == Errc::DecryptFailed);
    FUZZ_EXPECT(!opened || opened->size() + crypto::kEciesOverhead == size);
    FUZZ_EXPECT(!opened || !crypto::ecies_open(key, blob, as_bytes("x")));
    FUZZ_EXPECT(!crypto::ecies_open(other, blob));
    FUZZ_EXPECT(crypto::ecies_binding_id(blob).has_value() == (size >= crypto::kEciesOverhead));
    return 0;
}
