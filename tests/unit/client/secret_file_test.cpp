#include "appliance/client/secret_file.h"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>

#include <gtest/gtest.h>

namespace keymeld::client {
namespace {

class SecretFileTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "keymeld-secret-file-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        m_folder = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(m_folder); }

    std::filesystem::path write(std::string_view content, ::mode_t mode = 0600) {
        const auto path = m_folder / "file";
        std::ofstream(path) << content;
        ::chmod(path.c_str(), mode);
        return path;
    }

    std::filesystem::path m_folder;
};

TEST_F(SecretFileTest, TakesAwayWhatCouldNotBeWrittenToItsEnd) {
    SecretFileWriter out("kind-v1");
    out.add("long", std::string(5000, 'x'));
    const auto path = m_folder / "new";
    // The next file of this process ends after 100 bytes, as on a full disk.
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{100, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const Status written = out.write(path);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, handler);
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, Errc::Io);
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_TRUE(out.write(path)) << "nothing is in the way of another try";
    EXPECT_FALSE(out.write(path)) << "a file is never overwritten";
}

TEST_F(SecretFileTest, GivesBackWhatWasWritten) {
    SecretFileWriter out("kind-v1");
    out.add("first", "one: two");
    out.add("long", std::string(5000, 'x'));
    const auto path = m_folder / "new";
    ASSERT_TRUE(out.write(path));
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    const auto file = SecretFile::read(path, "kind-v1");
    ASSERT_TRUE(file);
    EXPECT_EQ(file->text("first").value(), "one: two");
    EXPECT_EQ(file->text("long").value(), std::string(5000, 'x'));
    EXPECT_EQ(file->text("absent").error().code, Errc::ConfigInvalid);
}

TEST_F(SecretFileTest, NeverOverwrites) {
    const auto path = write("precious");
    const Status written = SecretFileWriter("kind-v1").write(path);
    ASSERT_FALSE(written);
    EXPECT_NE(written.error().detail.find("not overwritten"), std::string::npos);
    std::string kept;
    std::ifstream(path) >> kept;
    EXPECT_EQ(kept, "precious");
}

TEST_F(SecretFileTest, RefusesFilesThatOthersMayUse) {
    for (const ::mode_t mode : {0640u, 0604u, 0620u, 0660u}) {
        const auto file = SecretFile::read(write("kind-v1\na: b\n", mode), "kind-v1");
        ASSERT_FALSE(file) << mode;
        EXPECT_NE(file.error().detail.find("chmod 600"), std::string::npos);
    }
    EXPECT_TRUE(SecretFile::read(write("kind-v1\na: b\n", 0600), "kind-v1"));
}

TEST_F(SecretFileTest, RefusesOtherForms) {
    EXPECT_FALSE(SecretFile::read(m_folder / "absent", "kind-v1"));
    EXPECT_FALSE(SecretFile::read(m_folder, "kind-v1"));
    for (const char* content : {"", "other-v1\na: b\n", "kind-v1\nno colon\n", "kind-v1\n: empty name\n", "kind-v1\na: 1\na: 2\n", "kind-v1 \na: b\n"})
        EXPECT_FALSE(SecretFile::read(write(content), "kind-v1")) << content;
    EXPECT_FALSE(SecretFile::read(write("kind-v1\na: " + std::string(2 << 20, 'x')), "kind-v1"));
}

} // namespace
} // namespace keymeld::client
