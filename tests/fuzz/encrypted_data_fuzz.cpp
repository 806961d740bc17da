// A text that opens does so for one context and one secret only.
#include "core/crypto/encrypted_data.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;

namespace {

bool refusal(const Error& error) {
    return error.code == Errc::InvalidArgument || error.code == Errc::DecryptFailed;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // The corpus holds texts under this one.
    static const auto secret = secure::SecretArray<32>::copy_of(ByteArray<32>{1});
    static const auto other = secure::SecretArray<32>::copy_of(ByteArray<32>{2});
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto signature = crypto::encrypted_data_open(secret, crypto::DataContext::Signature, text);
    const auto message = crypto::encrypted_data_open(secret, crypto::DataContext::Message, text);
    FUZZ_EXPECT(!signature || !message);
    FUZZ_EXPECT(signature || refusal(signature.error()));
    FUZZ_EXPECT(message || refusal(message.error()));
    FUZZ_EXPECT(!crypto::encrypted_data_open(other, crypto::DataContext::Signature, text));
    if (signature)
        FUZZ_EXPECT(signature->size() < size / 2);
    return 0;
}
