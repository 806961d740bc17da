// Attribute templates as a hostile caller of the PKCS#11 module may send them, and certificates as a store may hold them.
#include <cstring>

#include "pkcs11/attributes.h"
#include "pkcs11/certificate.h"
#include "pkcs11/config.h"

using namespace keymeld;
using namespace keymeld::pkcs11;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView all(data, size);
    (void)certificate_fields(all);
    (void)parse_point(all);
    (void)Config::parse(as_text(all), "/fuzz.yaml");
    // type (8 bytes), length (1 byte), value; repeated
    std::vector<CK_ATTRIBUTE> given;
    for (ByteView rest = all; rest.size() >= 9;) {
        CK_ATTRIBUTE one{};
        std::memcpy(&one.type, rest.data(), 8);
        one.ulValueLen = std::min<std::size_t>(rest[8], rest.size() - 9);
        one.pValue = const_cast<std::uint8_t*>(rest.data() + 9);
        given.push_back(one);
        rest = rest.subspan(9 + one.ulValueLen);
    }
    if (check_template(given.data(), given.size()) != CKR_OK)
        return 0;
    SessionObject object;
    if (SessionObject::from_template(given, object) != CKR_OK)
        return 0;
    const ObjectView view{{}, &object};
    if (object.object_class == CKO_PUBLIC_KEY && !object.public_key)
        __builtin_trap();
    (void)matches(view, given);
    std::vector<std::uint8_t> room(64);
    for (CK_ATTRIBUTE& one : given) {
        one.pValue = room.data();
        one.ulValueLen = room.size();
    }
    (void)read_attributes(view, given);
    return 0;
}
