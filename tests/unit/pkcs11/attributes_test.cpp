#include <random>

#include <gtest/gtest.h>

#include "core/base/hex.h"
#include "pkcs11/attributes.h"
#include "pkcs11/certificate.h"

namespace keymeld::pkcs11 {
namespace {

Bytes hex(std::string_view text) { return *hex_decode(text); }
const std::string kPoint = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
                           "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";

Key test_key(client::KeyKind kind) {
    Key key{.stored = {.public_key = *bitcoin::PlainPubKey::parse(hex("04" + kPoint))}};
    key.stored.kind = kind;
    key.stored.label = "key";
    key.stored.schnorr = true;
    key.stored.ecdsa = kind == client::KeyKind::Single;
    key.point = key.stored.public_key.uncompressed();
    return key;
}

TEST(Attributes, TellOneKeyFromTheOther) {
    const Key musig = test_key(client::KeyKind::MuSig2);
    const Key single = test_key(client::KeyKind::Single);
    EXPECT_FALSE(allows(musig, CKM_ECDSA));
    EXPECT_TRUE(allows(musig, CKM_KEYMELD_SCHNORR_BIP340));
    EXPECT_TRUE(allows(single, CKM_ECDSA_SHA256));
    const ObjectView view{{&musig, 0, CKO_PRIVATE_KEY}, nullptr};
    EXPECT_EQ(attribute(view, CKA_ALLOWED_MECHANISMS)->size(), sizeof(CK_MECHANISM_TYPE));
    EXPECT_EQ(*attribute(view, CKA_COPYABLE), Bytes{0});
    EXPECT_EQ(*attribute(view, CKA_NEVER_EXTRACTABLE), Bytes{1});
    EXPECT_EQ(*attribute(view, CKA_LOCAL), Bytes{0});
    EXPECT_FALSE(attribute(view, CKA_EC_POINT));
    const ObjectView public_view{{&single, 0, CKO_PUBLIC_KEY}, nullptr};
    EXPECT_EQ(*attribute(public_view, CKA_EC_POINT), hex("044104" + kPoint));
    EXPECT_FALSE(attribute(public_view, CKA_KEYMELD_PARTICIPANTS));
}

TEST(Attributes, AreReadToTheEndInSpiteOfFailures) {
    const Key key = test_key(client::KeyKind::Single);
    const ObjectView view{{&key, 0, CKO_PRIVATE_KEY}, nullptr};
    char small[1];
    char label[8];
    CK_ATTRIBUTE wanted[] = {{CKA_VALUE, nullptr, 0}, {CKA_EC_PARAMS, small, sizeof small}, {CKA_LABEL, label, sizeof label}};
    EXPECT_EQ(read_attributes(view, wanted), CKR_BUFFER_TOO_SMALL);
    EXPECT_EQ(wanted[0].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    EXPECT_EQ(wanted[1].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    EXPECT_EQ(std::string_view(label, wanted[2].ulValueLen), "key");
    EXPECT_EQ(read_attributes(view, std::span(wanted, 1)), CKR_ATTRIBUTE_SENSITIVE);
}

TEST(Attributes, MatchARawPointAsWell) {
    const Key key = test_key(client::KeyKind::Single);
    const ObjectView view{{&key, 0, CKO_PUBLIC_KEY}, nullptr};
    Bytes raw = hex("04" + kPoint);
    const CK_ATTRIBUTE wanted[] = {{CKA_EC_POINT, raw.data(), raw.size()}};
    EXPECT_TRUE(matches(view, wanted));
    raw[5] ^= 1;
    EXPECT_FALSE(matches(view, wanted));
}

TEST(Attributes, SurviveHostileTemplates) {
    // The fuzzer of tests/fuzz does this for longer; here it is at every build.
    std::mt19937_64 random(4242);
    const CK_ATTRIBUTE_TYPE types[] = {CKA_CLASS, CKA_KEY_TYPE, CKA_EC_PARAMS, CKA_EC_POINT, CKA_TOKEN, CKA_PRIVATE, CKA_LABEL, CKA_VALUE, 0x80000001};
    const Bytes values[] = {{}, {0}, {1}, hex("0200000000000000"), hex("0300000000000000"), hex("06052b8104000a"), hex("044104" + kPoint),
                            hex("04" + kPoint), Bytes(67, 4), Bytes(1000, 0xff)};
    const struct {
        CK_ATTRIBUTE_TYPE type;
        std::size_t value;
    } fitting[] = {{CKA_CLASS, 3}, {CKA_KEY_TYPE, 4}, {CKA_EC_PARAMS, 5}, {CKA_EC_POINT, 6}, {CKA_TOKEN, 1}, {CKA_LABEL, 9}};
    std::size_t made = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::vector<Bytes> held;
        std::vector<CK_ATTRIBUTE> given;
        const std::size_t count = random() % 8;
        for (std::size_t i = 0; i < count; ++i) {
            // Mostly a value that its attribute may have, or nothing would get past the first check.
            const std::size_t at = random() % std::size(fitting);
            const bool fits = random() % 8 != 0;
            held.push_back(fits ? values[fitting[at].value] : values[random() % std::size(values)]);
            given.push_back({fits ? fitting[at].type : types[random() % std::size(types)], nullptr, 0});
        }
        for (std::size_t i = 0; i < count; ++i) {
            given[i].pValue = held[i].data();
            given[i].ulValueLen = held[i].size();
        }
        ASSERT_EQ(check_template(given.data(), given.size()), CKR_OK);
        SessionObject object;
        if (SessionObject::from_template(given, object) != CKR_OK)
            continue;
        ++made;
        ASSERT_TRUE(object.object_class == CKO_DATA || object.public_key);
        ASSERT_TRUE(matches({{}, &object}, {}));
    }
    EXPECT_GT(made, 0u);
    const CK_ATTRIBUTE null_value[] = {{CKA_LABEL, nullptr, 3}};
    EXPECT_EQ(check_template(null_value, 1), CKR_ATTRIBUTE_VALUE_INVALID);
    EXPECT_EQ(check_template(nullptr, 1), CKR_ARGUMENTS_BAD);
    EXPECT_EQ(check_template(null_value, 100'000), CKR_ARGUMENTS_BAD);
    EXPECT_FALSE(certificate_fields(hex("30820102")));
    EXPECT_FALSE(certificate_fields({}));
}

} // namespace
} // namespace keymeld::pkcs11
