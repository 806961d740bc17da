#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "appliance/client/credential_store.h"
#include "appliance/client/local_crypto.h"
#include "appliance/client/self_signed.h"
#include "core/base/hex.h"
#include "core/crypto/ecdsa.h"

namespace keymeld::client {
namespace {

constexpr std::string_view kPcrs = R"({"allowed":[{"name":"image","PCR0":"010101010101010101010101010101010101010101010101)"
                                   R"(010101010101010101010101010101010101010101010101"}]})";

class CredentialStoreTest : public testing::Test {
  protected:
    CredentialStoreTest() {
        char name[] = "/tmp/keymeld-store-XXXXXX";
        m_folder = ::mkdtemp(name);
    }
    ~CredentialStoreTest() override { std::filesystem::remove_all(m_folder); }

    std::filesystem::path path() const { return m_folder / "store"; }
    static StoreHeader header() {
        StoreHeader out;
        out.label = "treasury";
        out.url = "http://127.0.0.1:8080";
        out.trust = "aws";
        out.pcrs = kPcrs;
        return out;
    }
    static StoredKey key(const Participant& who, std::string label) {
        StoredKey out{.public_key = who.key.public_key()};
        out.label = std::move(label);
        out.user_id = who.user_id;
        out.params.expected_participants = {who.user_id};
        out.schnorr = true;
        return out;
    }
    Status add(const Participant& who, const std::string& label) {
        const auto store = CredentialStore::read(path());
        const auto derived = store->derive_key(as_bytes("1234"));
        return CredentialStore::update(path(), *derived, [&](CredentialStore::Content& content) -> Status {
            content.header.keys.push_back(key(who, label));
            content.secrets.push_back({SessionSecret(), secret_copy(who.key)});
            return {};
        });
    }
    std::string content() const {
        std::ifstream file(path());
        return {std::istreambuf_iterator<char>(file), {}};
    }
    void put(const std::string& text) const { std::ofstream(path(), std::ios::trunc) << text; }
    Errc open_error(std::string_view pin) const {
        const auto store = CredentialStore::read(path());
        if (!store)
            return store.error().code;
        const auto derived = store->derive_key(as_bytes(pin));
        if (!derived)
            return derived.error().code;
        const auto opened = store->open(*derived);
        return opened ? Errc::Internal : opened.error().code;
    }

    std::filesystem::path m_folder;
};

TEST_F(CredentialStoreTest, KeepsWhatWasPutInUnderThePin) {
    ASSERT_TRUE(CredentialStore::create(path(), header(), as_bytes("1234"), {kMinKdfLogN}));
    struct stat info {};
    ASSERT_EQ(::stat(path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    const Participant alice = Participant::generate();
    const Participant bob = Participant::generate();
    ASSERT_TRUE(add(alice, "one"));
    ASSERT_TRUE(add(bob, "two"));
    const auto store = CredentialStore::read(path());
    ASSERT_TRUE(store) << store.error().detail;
    ASSERT_EQ(store->header().keys.size(), 2u);
    EXPECT_EQ(store->header().keys[0], key(alice, "one"));
    const auto derived = store->derive_key(as_bytes("1234"));
    const auto secrets = store->open(*derived);
    ASSERT_TRUE(secrets);
    EXPECT_EQ(hex_encode((*secrets)[1].authentication.expose()), hex_encode(bob.key.expose()));
    EXPECT_EQ(content().find(hex_encode(alice.key.expose())), std::string::npos);
    EXPECT_EQ(open_error("1235"), Errc::AuthFailed);
    EXPECT_EQ(open_error("123"), Errc::InvalidArgument);
    EXPECT_FALSE(CredentialStore::create(path(), header(), as_bytes("1234"), {kMinKdfLogN}));
}

TEST_F(CredentialStoreTest, RefusesAKeyOrALabelTwice) {
    ASSERT_TRUE(CredentialStore::create(path(), header(), as_bytes("1234"), {kMinKdfLogN}));
    const Participant alice = Participant::generate();
    ASSERT_TRUE(add(alice, "one"));
    const std::string before = content();
    EXPECT_FALSE(add(alice, "two"));
    EXPECT_FALSE(add(Participant::generate(), "one"));
    EXPECT_FALSE(add(Participant::generate(), ""));
    EXPECT_FALSE(add(Participant::generate(), "line\nbreak"));
    EXPECT_EQ(content(), before);
}

TEST_F(CredentialStoreTest, StaysReadableWhateverItIsAskedToKeep) {
    ASSERT_TRUE(CredentialStore::create(path(), header(), as_bytes("1234"), {kMinKdfLogN}));
    EXPECT_TRUE(add(Participant::generate(), "Tr\xc3\xa9sor"));
    const std::string before = content();
    // Written as JSON, the first two would be the same text, and the third three times as long.
    for (const std::string& label : {std::string("\xff"), std::string("\xfe"), std::string(64, '\xff'), std::string("\xed\xa0\x80")}) {
        EXPECT_EQ(add(Participant::generate(), label).error().code, Errc::InvalidArgument);
        ASSERT_TRUE(CredentialStore::read(path()));
    }
    EXPECT_EQ(content(), before);
    StoreHeader other = header();
    other.pcrs.replace(other.pcrs.find("image"), 5, "im\xff" "ge");
    EXPECT_EQ(CredentialStore::create(m_folder / "other", other, as_bytes("1234"), {kMinKdfLogN}).error().code, Errc::InvalidArgument);
    EXPECT_FALSE(std::filesystem::exists(m_folder / "other"));
}

TEST_F(CredentialStoreTest, ChangesTheStoreBehindALinkAndNotTheLink) {
    const auto real = m_folder / "elsewhere";
    ASSERT_TRUE(CredentialStore::create(real, header(), as_bytes("1234"), {kMinKdfLogN}));
    std::filesystem::create_symlink(real, path());
    ASSERT_TRUE(add(Participant::generate(), "one"));
    ASSERT_TRUE(CredentialStore::change_pin(path(), as_bytes("1234"), as_bytes("5678")));
    EXPECT_TRUE(std::filesystem::is_symlink(path()));
    EXPECT_EQ(CredentialStore::read(real)->header().keys.size(), 1u);
    EXPECT_EQ(open_error("5678"), Errc::Internal) << "opened";
    EXPECT_EQ(CredentialStore::change_pin(m_folder / "none", as_bytes("1234"), as_bytes("5678")).error().code, Errc::Io);
}

TEST_F(CredentialStoreTest, ChangesThePinAndTheSaltWithIt) {
    ASSERT_TRUE(CredentialStore::create(path(), header(), as_bytes("1234"), {kMinKdfLogN}));
    ASSERT_TRUE(add(Participant::generate(), "one"));
    const std::string before = content();
    EXPECT_EQ(CredentialStore::change_pin(path(), as_bytes("0000"), as_bytes("5678")).error().code, Errc::AuthFailed);
    EXPECT_EQ(content(), before);
    ASSERT_TRUE(CredentialStore::change_pin(path(), as_bytes("1234"), as_bytes("5678")));
    EXPECT_EQ(open_error("1234"), Errc::AuthFailed);
    EXPECT_EQ(open_error("5678"), Errc::Internal) << "opened";
    const auto salt = [](const std::string& text) { return text.substr(text.find("\"salt\":"), 44); };
    EXPECT_NE(salt(before), salt(content()));
}

TEST_F(CredentialStoreTest, NoticesEveryChangedByte) {
    ASSERT_TRUE(CredentialStore::create(path(), header(), as_bytes("1234"), {kMinKdfLogN}));
    ASSERT_TRUE(add(Participant::generate(), "one"));
    const std::string whole = content();
    for (std::size_t at = 0; at < whole.size(); at += 7) {
        std::string changed = whole;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        put(changed);
        const Errc code = open_error("1234");
        EXPECT_TRUE(code == Errc::AuthFailed || code == Errc::ConfigInvalid) << "byte " << at;
    }
    put(whole.substr(0, whole.size() / 2));
    EXPECT_EQ(open_error("1234"), Errc::ConfigInvalid);
    put(whole);
    ASSERT_EQ(::chmod(path().c_str(), 0622), 0);
    EXPECT_EQ(open_error("1234"), Errc::Io);
}

TEST(LocalCrypto, VerifiesAHighSAsWell) {
    const auto key = bitcoin::SecretKey::generate();
    const ByteArray<32> hash{7};
    auto signature = *crypto::ecdsa_sign(key, hash);
    EXPECT_TRUE(verify_ecdsa(key.public_key(), hash, signature));
    // order - s
    const auto order = *hex_decode("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
    int borrow = 0;
    for (std::size_t i = 32; i-- > 0;) {
        const int digit = order[i] - signature[32 + i] - borrow;
        borrow = digit < 0 ? 1 : 0;
        signature[32 + i] = static_cast<std::uint8_t>(digit & 0xff);
    }
    EXPECT_FALSE(crypto::ecdsa_verify(signature, hash, key.public_key()));
    EXPECT_TRUE(verify_ecdsa(key.public_key(), hash, signature));
    signature[40] ^= 1;
    EXPECT_FALSE(verify_ecdsa(key.public_key(), hash, signature));
    EXPECT_FALSE(verify_ecdsa(key.public_key(), hash, ByteArray<64>{}));
    EXPECT_FALSE(verify_ecdsa(key.public_key(), hash, ByteView(signature).first(63)));
}

TEST(SelfSigned, RefusesNamesAndTimesThatDoNotFit) {
    const auto key = bitcoin::SecretKey::generate();
    EXPECT_TRUE(certificate_body(key.public_key(), "KeyMeld", {1}, 1, 2));
    EXPECT_FALSE(certificate_body(key.public_key(), "", {1}, 1, 2));
    EXPECT_FALSE(certificate_body(key.public_key(), "\xff", {1}, 1, 2));
    EXPECT_FALSE(certificate_body(key.public_key(), std::string(65, 'a'), {1}, 1, 2));
    EXPECT_FALSE(certificate_body(key.public_key(), "KeyMeld", {1}, 1, 2'600'000'000));
}

} // namespace
} // namespace keymeld::client
