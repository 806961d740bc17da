// What decodes must come out of the writer as the same bytes, unless it had indefinite length.
#include <algorithm>

#include "core/crypto/cbor.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;

namespace {

bool write(cbor::Writer& writer, const cbor::Value& value) {
    switch (value.kind()) {
    case cbor::Kind::Unsigned:
        writer.unsigned_integer(*value.as_unsigned());
        return true;
    case cbor::Kind::Negative:
        if (!value.as_integer())
            return false; // below int64: the writer has no call for it
        writer.integer(*value.as_integer());
        return true;
    case cbor::Kind::Bytes:
        writer.bytes(*value.as_bytes());
        return true;
    case cbor::Kind::Text:
        writer.text(*value.as_text());
        return true;
    case cbor::Kind::Boolean:
        writer.boolean(*value.as_boolean());
        return true;
    case cbor::Kind::Null:
        writer.null();
        return true;
    case cbor::Kind::Tag:
        writer.tag(cbor::kTagCoseSign1);
        return write(writer, *value.as_tagged());
    case cbor::Kind::Array:
        writer.array(value.as_array()->size());
        for (const cbor::Value& element : *value.as_array())
            if (!write(writer, element))
                return false;
        return true;
    case cbor::Kind::Map:
        writer.map(value.as_map()->size());
        for (const auto& [key, content] : *value.as_map())
            if (!write(writer, key) || !write(writer, content))
                return false;
        return true;
    }
    return false;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView input(data, size);
    for (const auto indefinite : {cbor::Indefinite::Nowhere, cbor::Indefinite::OutermostMap}) {
        const auto value = cbor::decode(input, {.indefinite = indefinite});
        if (!value)
            continue;
        FUZZ_EXPECT(!value->indefinite() || indefinite == cbor::Indefinite::OutermostMap);
        cbor::Writer writer;
        if (!write(writer, *value))
            continue;
        if (!value->indefinite())
            FUZZ_EXPECT(std::ranges::equal(writer.view(), input));
        FUZZ_EXPECT(cbor::decode(writer.view()));
    }
    return 0;
}
