#include "core/crypto/auth_header.h"

#include <gtest/gtest.h>

#include "core/secure/random.h"

namespace keymeld::crypto {
namespace {

template <class Id> Id random_id() {
    return Id(Uuid{secure::random_array<16>()});
}

template <class Header> Errc parse_error(std::optional<std::string_view> value) {
    const auto parsed = Header::parse(value);
    return parsed ? Errc{} : parsed.error().code;
}

TEST(HeaderNonce, IsFreshAndValid) {
    const std::string nonce = make_header_nonce();
    EXPECT_EQ(nonce.size(), 32u);
    EXPECT_NE(nonce, make_header_nonce());
}

struct SessionHmac : testing::Test {
    secure::SecretArray<32> secret = secure::random_secret<32>();
    KeygenId keygen = random_id<KeygenId>();
    std::vector<UserId> users{random_id<UserId>(), random_id<UserId>(), random_id<UserId>()};
    std::string nonce = make_header_nonce();

    SessionHmacHeader header_of(const UserId& user) const {
        return SessionHmacHeader::parse(make_session_hmac(secret, keygen, user, nonce)).value();
    }
};

TEST_F(SessionHmac, FindsTheUserWhoMadeIt) {
    for (std::size_t i = 0; i < users.size(); ++i) {
        const auto header = header_of(users[i]);
        EXPECT_EQ(header.nonce, nonce);
        EXPECT_EQ(verify_session_hmac(header, secret, keygen, users).value(), i);
    }
}

TEST_F(SessionHmac, FindsTheLastOfAThousand) {
    std::vector<UserId> many;
    for (int i = 0; i < 1000; ++i)
        many.push_back(random_id<UserId>());
    EXPECT_EQ(verify_session_hmac(header_of(many.back()), secret, keygen, many).value(), 999u);
    EXPECT_EQ(verify_session_hmac(header_of(many.front()), secret, keygen, many).value(), 0u);
}

TEST_F(SessionHmac, RefusesOthers) {
    const auto failed = [](const Result<std::size_t>& result) {
        return !result && result.error().code == Errc::AuthFailed;
    };
    auto header = header_of(users[0]);
    EXPECT_TRUE(failed(verify_session_hmac(header_of(random_id<UserId>()), secret, keygen, users)));
    EXPECT_TRUE(failed(verify_session_hmac(header, secure::random_secret<32>(), keygen, users)));
    EXPECT_TRUE(failed(verify_session_hmac(header, secret, random_id<KeygenId>(), users)));
    EXPECT_TRUE(failed(verify_session_hmac(header, secret, keygen, {})));
    header.nonce = make_header_nonce();
    EXPECT_TRUE(failed(verify_session_hmac(header, secret, keygen, users)));
    header = header_of(users[0]);
    header.hmac[31] = static_cast<std::uint8_t>(header.hmac[31] ^ 1);
    EXPECT_TRUE(failed(verify_session_hmac(header, secret, keygen, users)));
}

TEST_F(SessionHmac, JudgesTheForm) {
    const std::string n16(32, 'a');
    const std::string mac(64, '0');
    EXPECT_EQ(parse_error<SessionHmacHeader>(n16 + ":" + mac), Errc{});
    EXPECT_EQ(parse_error<SessionHmacHeader>(std::string(128, '9') + ":" + mac), Errc{});
    EXPECT_EQ(parse_error<SessionHmacHeader>(std::nullopt), Errc::AuthMissing);
    EXPECT_EQ(parse_error<SessionHmacHeader>(""), Errc::AuthMissing);
    for (const std::string& wrong : {std::string(":"),
                                     n16,
                                     n16 + ":",
                                     ":" + mac,
                                     n16 + mac,
                                     std::string(30, 'a') + ":" + mac,
                                     std::string(33, 'a') + ":" + mac,
                                     std::string(130, 'a') + ":" + mac,
                                     std::string(32, 'A') + ":" + mac,
                                     std::string(32, 'g') + ":" + mac,
                                     n16 + ":" + std::string(64, 'A'),
                                     n16 + ":" + mac.substr(1),
                                     n16 + ":" + mac + "0",
                                     n16 + ":" + mac + ":",
                                     n16 + ":" + mac + ":00",
                                     n16 + "::" + mac,
                                     " " + n16 + ":" + mac,
                                     n16 + ":" + mac + " ",
                                     n16 + ": " + mac,
                                     n16 + ":" + mac + "\n",
                                     "0x" + n16 + ":" + mac})
        EXPECT_EQ(parse_error<SessionHmacHeader>(wrong), Errc::AuthMalformed) << wrong;
}

struct SigningHmac : testing::Test {
    SecretKey key = SecretKey::generate();
    UserId user = random_id<UserId>();
    std::string nonce = make_header_nonce();
    std::string value = make_signing_hmac(key, user, nonce).value();
};

TEST_F(SigningHmac, VerifiesUnderTheRegisteredKeyOnly) {
    const auto header = SigningHmacHeader::parse(value).value();
    EXPECT_EQ(header.user_id, user);
    EXPECT_EQ(header.nonce, nonce);
    EXPECT_TRUE(verify_signing_hmac(header, key.public_key()));
    const auto refused = verify_signing_hmac(header, SecretKey::generate().public_key());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::AuthFailed);
}

TEST_F(SigningHmac, CoversUserAndNonce) {
    auto header = SigningHmacHeader::parse(value).value();
    header.user_id = random_id<UserId>();
    EXPECT_FALSE(verify_signing_hmac(header, key.public_key()));
    header = SigningHmacHeader::parse(value).value();
    header.nonce = make_header_nonce();
    EXPECT_FALSE(verify_signing_hmac(header, key.public_key()));
}

TEST_F(SigningHmac, JudgesTheForm) {
    const std::string id = user.text();
    const std::string simple =
        id.substr(0, 8) + id.substr(9, 4) + id.substr(14, 4) + id.substr(19, 4) + id.substr(24);
    const std::string signature(128, '1');
    const std::string tail = ":" + nonce + ":" + signature;
    EXPECT_EQ(parse_error<SigningHmacHeader>(id + tail), Errc{});
    EXPECT_EQ(parse_error<SigningHmacHeader>(std::nullopt), Errc::AuthMissing);
    EXPECT_EQ(parse_error<SigningHmacHeader>(""), Errc::AuthMissing);
    for (const std::string& wrong : {id,
                                     id + ":",
                                     tail,
                                     id + ":" + signature,
                                     id + ":" + nonce,
                                     id + ":" + nonce + ":",
                                     id + ":" + nonce + ":" + signature.substr(2),
                                     id + tail + "11",
                                     id + tail + ":",
                                     id + tail + ":x",
                                     id + ":" + nonce.substr(2) + ":" + signature,
                                     id + ":" + nonce + "A0:" + signature,
                                     simple + tail,
                                     "{" + id + "}" + tail,
                                     "urn:uuid:" + id + tail,
                                     std::string("019A88A3-B765-70F3-8E8D-4311ECAC8AA3") + tail,
                                     id + ":" + nonce + ":" + std::string(128, 'F'),
                                     " " + id + tail,
                                     id + " " + tail,
                                     id + "::" + signature,
                                     id + ":" + std::string(130, 'a') + ":" + signature})
        EXPECT_EQ(parse_error<SigningHmacHeader>(wrong), Errc::AuthMalformed) << wrong;
}

} // namespace
} // namespace keymeld::crypto
