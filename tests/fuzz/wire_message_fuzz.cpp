// Hostile bytes as Request and Response: no crash, and whatever is accepted says the same after another trip.
#include "core/protocol/enclave_link.h"
#include "core/protocol/failure.h"
#include "core/protocol/frame.h"
#include "core/protocol/hello.h"
#include "core/protocol/message.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;
using namespace keymeld::protocol;

namespace {

template <class Message> void again(const Message& message) {
    FrameWriter writer;
    if (!append_message(writer, message))
        return; // empty
    Message back;
    FUZZ_EXPECT(parse_message(writer.unsent().subspan(kFrameHeader), back));
    FUZZ_EXPECT(back.SerializeAsString() == message.SerializeAsString());
}

void use(const wire::Response& response) {
    SignerHello hello;
    if (read_hello(response, hello)) {
        FUZZ_EXPECT(hello.key_epoch > 0 && !hello.attestation_document.empty());
        FUZZ_EXPECT(hello.signer_version.size() <= 64);
    }
    if (!response.has_failure())
        return;
    const Error error = to_error(response.failure());
    FUZZ_EXPECT(is_known_errc(static_cast<std::uint32_t>(error.code)));
    FUZZ_EXPECT(error.detail.size() <= kMaxFailureText);
    wire::Response sent;
    set_failure(sent, error);
    const Error back = to_error(sent.failure());
    FUZZ_EXPECT(back.code == error.code && back.detail == error.detail && back.facts == error.facts);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView bytes(data, size);
    wire::Request request;
    if (parse_message(bytes, request)) {
        again(request);
        FUZZ_EXPECT(!check_hello(request) || request.hello().nonce().size() == 32);
    }
    wire::Response response;
    if (parse_message(bytes, response)) {
        again(response);
        use(response);
    }
    return 0;
}
