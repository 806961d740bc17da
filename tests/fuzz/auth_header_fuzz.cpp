// Whatever is taken for a header is written back as the same text, and none proves anything.
#include <array>

#include "core/base/hex.h"
#include "core/crypto/auth_header.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;

namespace {

template <class Id> Id id(std::uint8_t last) {
    Id out;
    out.bytes.back() = last;
    return out;
}

bool form_error(const Error& error) {
    return error.code == Errc::AuthMissing || error.code == Errc::AuthMalformed;
}

void session_header(std::string_view text) {
    static const auto secret = secure::SecretArray<32>::copy_of(ByteArray<32>{1});
    static const std::array users{id<UserId>(1), id<UserId>(2)};
    const auto header = crypto::SessionHmacHeader::parse(text);
    if (!header) {
        FUZZ_EXPECT(form_error(header.error()));
        return;
    }
    FUZZ_EXPECT(header->nonce + ":" + hex_encode(header->hmac) == text);
    FUZZ_EXPECT(header->nonce.size() >= 32 && header->nonce.size() <= 128 && header->nonce.size() % 2 == 0);
    const auto verified = crypto::verify_session_hmac(*header, secret, id<KeygenId>(3), users);
    FUZZ_EXPECT(!verified && verified.error().code == Errc::AuthFailed);
}

void signing_header(std::string_view text) {
    static const auto key = crypto::SecretKey::generate().public_key();
    const auto header = crypto::SigningHmacHeader::parse(text);
    if (!header) {
        FUZZ_EXPECT(form_error(header.error()));
        return;
    }
    FUZZ_EXPECT(header->user_id.text() + ":" + header->nonce + ":" + hex_encode(header->signature) == text);
    const auto verified = crypto::verify_signing_hmac(*header, key);
    FUZZ_EXPECT(!verified && verified.error().code == Errc::AuthFailed);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    session_header(text);
    signing_header(text);
    return 0;
}
