#include "core/crypto/encrypted_data.h"

#include <gtest/gtest.h>

#include "core/base/hex.h"
#include "core/secure/random.h"

namespace keymeld::crypto {
namespace {

struct EncryptedData : testing::Test {
    secure::SecretArray<32> secret = secure::random_secret<32>();
    Bytes plaintext = to_bytes(as_bytes("plain"));
    std::string sealed = encrypted_data_seal(secret, DataContext::Message, plaintext);
    std::string json = std::string(as_text(hex_decode(sealed, HexCase::Lower).value()));

    Errc error_of(std::string_view json_text, DataContext context = DataContext::Message) const {
        const auto opened = encrypted_data_open(secret, context, hex_encode(as_bytes(json_text)));
        return opened ? Errc{} : opened.error().code;
    }
    bool opens(std::string_view json_text) const {
        const auto opened =
            encrypted_data_open(secret, DataContext::Message, hex_encode(as_bytes(json_text)));
        return opened && std::ranges::equal(opened->expose(), plaintext);
    }
    // {"name":value} of the sealed text, without braces and commas.
    std::string member(std::string_view name) const {
        const std::size_t begin = json.find("\"" + std::string(name) + "\":");
        const std::size_t end = name == "context" ? json.size() - 1 : json.find(']', begin) + 1;
        return json.substr(begin, end - begin);
    }
    static std::string replaced(std::string text, std::string_view what, std::string_view with) {
        return text.replace(text.find(what), what.size(), with);
    }
};

TEST_F(EncryptedData, WritesTheCompactFormInOrder) {
    EXPECT_EQ(json,
              "{" + member("ciphertext") + "," + member("nonce") + "," + member("context") + "}");
    EXPECT_TRUE(json.ends_with(",\"context\":\"message\"}")) << json;
    EXPECT_EQ(json.find(' '), std::string::npos);
    EXPECT_TRUE(opens(json));
}

TEST_F(EncryptedData, SealsDifferentlyEachTime) {
    EXPECT_NE(encrypted_data_seal(secret, DataContext::Message, plaintext), sealed);
}

TEST_F(EncryptedData, ReadsHexOfEitherCase) {
    std::string upper = sealed;
    for (char& c : upper)
        c = static_cast<char>(std::toupper(c));
    EXPECT_TRUE(encrypted_data_open(secret, DataContext::Message, upper));
}

TEST_F(EncryptedData, ReadsMembersInAnyOrderWithAnyWhiteSpace) {
    const std::string c = member("ciphertext");
    const std::string n = member("nonce");
    const std::string x = member("context");
    for (const auto& order : {c + "," + n + "," + x, c + "," + x + "," + n, n + "," + c + "," + x,
                              n + "," + x + "," + c, x + "," + c + "," + n, x + "," + n + "," + c})
        EXPECT_TRUE(opens("{" + order + "}")) << order;
    std::string spaced = " \r\n\t";
    for (const char character : json) {
        if (character == ',' || character == '[' || character == ']' || character == ':' ||
            character == '{' || character == '}')
            spaced.append(" \n").append(1, character).append("\t\r ");
        else
            spaced += character;
    }
    EXPECT_TRUE(opens(spaced));
}

TEST_F(EncryptedData, RefusesEverythingThatIsNotOfItsForm) {
    const std::string c = member("ciphertext");
    const std::string n = member("nonce");
    const std::string x = member("context");
    for (const std::string& wrong : {std::string(),
                                     std::string("{}"),
                                     std::string("[]"),
                                     std::string("null"),
                                     json + "x",
                                     json + json,
                                     json.substr(0, json.size() - 1),
                                     "{" + c + "," + n + "}",
                                     "{" + c + "," + n + "," + x + "," + n + "}",
                                     "{" + c + "," + n + "," + x + ",\"more\":1}",
                                     "{" + c + "," + n + "," + x + ",}",
                                     "{" + c + " " + n + "," + x + "}",
                                     replaced(json, "ciphertext", "Ciphertext"),
                                     replaced(json, "\"context\"", "context"),
                                     replaced(json, "ciphertext", "\\u0063iphertext"),
                                     replaced(json, "[", "[,"),
                                     replaced(json, "]", ",]"),
                                     replaced(json, "[", "[256,"),
                                     replaced(json, "[", "[99999999999999999999,"),
                                     replaced(json, "[", "[-1,"),
                                     replaced(json, "[", "[00,"),
                                     replaced(json, "[", "[1.0,"),
                                     replaced(json, "[", "[1e1,"),
                                     replaced(json, "[", "[\"1\","),
                                     replaced(json, "[", "[[],"),
                                     replaced(json, "\"nonce\":[", "\"nonce\":[0,"),
                                     "{" + c + ",\"nonce\":[]," + x + "}",
                                     "{" + c + ",\"nonce\":\"\"," + x + "}",
                                     std::string("\xef\xbb\xbf") + json,
                                     json + std::string(1, '\0')})
        EXPECT_EQ(error_of(wrong), Errc::InvalidArgument) << wrong;
}

TEST_F(EncryptedData, RefusesTextsThatAreNotHex) {
    for (const std::string& wrong :
         {sealed.substr(1), sealed + "0g", "0x" + sealed, json, " " + sealed})
        EXPECT_EQ(encrypted_data_open(secret, DataContext::Message, wrong).error().code,
                  Errc::InvalidArgument);
}

TEST_F(EncryptedData, BoundsTheText) {
    const std::string padded = json + std::string(kMaxEncryptedDataText / 2 - json.size(), ' ');
    EXPECT_TRUE(opens(padded));
    EXPECT_EQ(error_of(padded + " "), Errc::InvalidArgument);
}

TEST_F(EncryptedData, OpensOnlyUnderItsContextAndSecret) {
    EXPECT_EQ(error_of(json, DataContext::Signature), Errc::DecryptFailed);
    EXPECT_EQ(error_of(replaced(json, "message", "signature"), DataContext::Signature),
              Errc::DecryptFailed);
    EXPECT_EQ(error_of(replaced(json, "message", "Message")), Errc::DecryptFailed);
    EXPECT_EQ(error_of(replaced(json, "message", "message ")), Errc::DecryptFailed);
    const auto other = secure::random_secret<32>();
    EXPECT_EQ(encrypted_data_open(other, DataContext::Message, sealed).error().code,
              Errc::DecryptFailed);
}

TEST_F(EncryptedData, RefusesChangedAndShortCiphertexts) {
    EXPECT_EQ(error_of("{\"ciphertext\":[]," + member("nonce") + "," + member("context") + "}"),
              Errc::DecryptFailed);
    EXPECT_EQ(error_of(replaced(json, "[", "[1,")), Errc::DecryptFailed);
}

} // namespace
} // namespace keymeld::crypto
