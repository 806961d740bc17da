#include "appliance/client/ceremony.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "core/crypto/auth_header.h"
#include "core/secure/compare.h"
#include "core/secure/random.h"

namespace keymeld::client {
namespace {

class ParticipantFilesTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "keymeld-participant-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        m_folder = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(m_folder); }

    std::filesystem::path m_folder;
};

TEST_F(ParticipantFilesTest, KeyComesBackFromItsFile) {
    const Participant made = Participant::generate();
    ASSERT_TRUE(made.save(m_folder / "key"));
    const auto loaded = Participant::load(m_folder / "key");
    ASSERT_TRUE(loaded) << loaded.error().detail;
    EXPECT_EQ(loaded->user_id, made.user_id);
    EXPECT_EQ(loaded->key.public_key(), made.key.public_key());
}

TEST_F(ParticipantFilesTest, InvitationComesBackFromItsFile) {
    for (const auto type : {bitcoin::TweakType::None, bitcoin::TweakType::UnspendableTaproot, bitcoin::TweakType::TaprootWithMerkleRoot}) {
        Invitation made{KeygenId(Participant::generate().user_id), secure::random_secret<32>(), {}};
        made.params.expected_participants = {Participant::generate().user_id, Participant::generate().user_id};
        made.params.tweak.type = type;
        if (made.params.tweak.has_value())
            made.params.tweak.value32 = secure::random_array<32>();
        made.params.key_order = bitcoin::KeyOrder::Bip327Sorted;
        made.params.max_signing_sessions = 4294967295u;
        const auto path = m_folder / std::string(bitcoin::text(type));
        ASSERT_TRUE(made.save(path));
        const auto loaded = Invitation::load(path);
        ASSERT_TRUE(loaded) << loaded.error().detail;
        EXPECT_EQ(loaded->keygen_id, made.keygen_id);
        EXPECT_EQ(loaded->params, made.params);
        EXPECT_TRUE(secure::ct_equal(loaded->session_secret.expose(), made.session_secret.expose()));
    }
}

TEST_F(ParticipantFilesTest, ErrorsDoNotTellTheKey) {
    const std::string secret(64, 'f'); // above the group order: refused
    {
        std::ofstream out(m_folder / "bad");
        out << "keymeld-participant-key-v1\nuser_id: 019a88a3-b765-70f3-8e8d-4311ecac8aa3\nprivate_key: " << secret << "\n";
    }
    ::chmod((m_folder / "bad").c_str(), 0600);
    const auto loaded = Participant::load(m_folder / "bad");
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().detail.find("ffff"), std::string::npos);
}

TEST_F(ParticipantFilesTest, HeadersAreFreshAndVerify) {
    const Participant who = Participant::generate();
    const auto first = who.signing_header()();
    const auto second = who.signing_header()();
    ASSERT_TRUE(first && second);
    EXPECT_NE(*first, *second);
    const auto parsed = crypto::SigningHmacHeader::parse(*first);
    ASSERT_TRUE(parsed);
    EXPECT_TRUE(crypto::verify_signing_hmac(*parsed, who.key.public_key()));
}

} // namespace
} // namespace keymeld::client
