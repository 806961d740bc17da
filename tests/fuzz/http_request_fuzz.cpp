// Bytes of a connection: however the network cuts them, the same request comes out or none, and never more than the limits allow.
#include "appliance/http/request_parser.h"
#include "core/base/bytes.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;
using namespace keymeld::http;

namespace {

constexpr RequestParser::Limits kLimits{.header_bytes = 512, .body_bytes = 128};

struct Outcome {
    bool done = false;
    std::size_t used = 0;
    Request request;
};

Outcome feed(std::string_view bytes, std::size_t step) {
    RequestParser parser(kLimits);
    Outcome out;
    std::size_t arrived = 0;
    while (!parser.done()) {
        const auto used = parser.feed(bytes.substr(out.used, arrived - out.used));
        if (!used)
            return out;
        FUZZ_EXPECT(*used <= arrived - out.used);
        out.used += *used;
        if (*used > 0)
            continue;
        if (arrived == bytes.size())
            break;
        arrived = std::min(bytes.size(), arrived + step);
    }
    out.done = parser.done();
    FUZZ_EXPECT(!out.done || parser.header_done());
    if (out.done)
        out.request = parser.take();
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    const std::string_view bytes = as_text({data + 1, size - 1});
    const Outcome whole = feed(bytes, bytes.size() + 1);
    const Outcome cut = feed(bytes, std::size_t{data[0]} % 17 + 1);
    if (whole.done) {
        FUZZ_EXPECT(whole.request.body.size() <= kLimits.body_bytes);
        FUZZ_EXPECT(!whole.request.body_too_large || whole.request.body.empty());
        std::size_t header = whole.request.path.size() + whole.request.query.size();
        for (const auto& [name, value] : whole.request.headers)
            header += name.size() + value.size();
        FUZZ_EXPECT(header <= kLimits.header_bytes);
    }
    // Cut into pieces it may be refused later or earlier (limits count what has arrived), but it never becomes another request.
    if (whole.done && cut.done) {
        FUZZ_EXPECT(whole.request.method == cut.request.method);
        FUZZ_EXPECT(whole.request.path == cut.request.path);
        FUZZ_EXPECT(whole.request.query == cut.request.query);
        FUZZ_EXPECT(whole.request.headers == cut.request.headers);
        FUZZ_EXPECT(whole.request.body_too_large == cut.request.body_too_large);
        FUZZ_EXPECT(whole.request.body == cut.request.body);
    }
    return 0;
}
