// The loader against real files: the good plugins of this build, and one that is broken for each
// check.
#include "core/plugin/loader.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "core/base/hex.h"
#include "core/crypto/digest.h"
#include "core/plugin/build_fingerprint.h"
#include "core/plugin/storage.h"
#include "core/plugin/transport.h"
#include "core/plugin/tweak.h"

namespace keymeld::plugin {
namespace {

namespace fs = std::filesystem;

fs::path build_folder(const char* below) {
    return fs::path(std::getenv("KEYMELD_BUILD_DIR")) / below;
}
Loader real() {
    return Loader(build_folder("lib/keymeld/plugins"));
}
Loader broken() {
    return Loader(build_folder("lib/test-plugins"));
}

std::string read(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// Expects `result` to be refused with one line that names the file, a reason and a remedy.
template <class T>
void expect_refused(const Result<T>& result, Errc code, const std::string& name,
                    const std::string& reason, const std::string& remedy) {
    ASSERT_FALSE(result) << name;
    const std::string& detail = result.error().detail;
    EXPECT_EQ(result.error().code, code) << detail;
    EXPECT_NE(detail.find("/" + name + ".so: "), std::string::npos) << detail;
    EXPECT_NE(detail.find(reason), std::string::npos) << detail;
    EXPECT_NE(detail.find("; " + remedy), std::string::npos) << detail;
    EXPECT_EQ(detail.find('\n'), std::string::npos) << detail;
}

/// A folder of its own to put files into.
class LoaderFiles : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = (fs::path(testing::TempDir()) / "keymeld_loader_XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        m_folder = name;
        m_good = read(build_folder("lib/test-plugins/good-plugin.so"));
        ASSERT_GT(m_good.size(), 1000u);
    }
    void TearDown() override {
        fs::permissions(m_folder, fs::perms::owner_all);
        fs::remove_all(m_folder);
    }
    fs::path put(const std::string& name, const std::string& content) const {
        const fs::path file = m_folder / (name + ".so");
        std::ofstream(file, std::ios::binary) << content;
        return file;
    }
    Loader loader() const { return Loader(m_folder); }

    fs::path m_folder;
    std::string m_good;
};

TEST(Loader, LoadsThePluginsOfThisBuild) {
    const auto tweak = real().tweak("tweak-taproot", std::nullopt);
    ASSERT_TRUE(tweak) << tweak.error().detail;
    const auto tweaks =
        (*tweak)->tweaks(ByteArray<33>{2, 1}, {bitcoin::TweakType::PlainTweak, {5}});
    ASSERT_TRUE(tweaks);
    EXPECT_EQ(*tweaks, std::vector<musig::Tweak>({{{5}, musig::TweakMode::Plain}}));
    const auto storage = real().storage("storage-sqlite", std::nullopt);
    ASSERT_TRUE(storage) << storage.error().detail;

    const auto info = real().inspect("storage-sqlite");
    ASSERT_TRUE(info) << info.error().detail;
    EXPECT_EQ(info->kind, PluginKind::Storage);
    EXPECT_EQ(info->name, "storage-sqlite");
    EXPECT_EQ(info->version, "1.0.0");
    EXPECT_EQ(info->sha256, crypto::sha256(as_bytes(read(info->file))));
}

TEST(Loader, AStrippedPluginIsAPlugin) {
    EXPECT_TRUE(broken().tweak("stripped-plugin", std::nullopt));
}

TEST(Loader, ObjectsOutliveTheLoader) {
    std::unique_ptr<TweakPlugin> plugin;
    {
        const Loader loader = broken();
        plugin = std::move(loader.tweak("good-plugin", std::nullopt)).value();
    }
    EXPECT_TRUE(plugin->tweaks({}, {}));
}

TEST(Loader, ListsTheLibrariesOfItsFolder) {
    const auto names = real().names();
    ASSERT_TRUE(names) << names.error().detail;
    EXPECT_NE(std::ranges::find(*names, "storage-sqlite"), names->end());
    EXPECT_TRUE(std::ranges::is_sorted(*names));
    const auto none = Loader("/nonexistent/plugins").names();
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Errc::PluginMissing);
}

TEST(Loader, RefusesNamesThatAreNotFileNames) {
    for (const char* name : {"", ".", "..", "../tweak-taproot", "a/b", "/bin/sh", "Tweak", "a b",
                             "-x", "a\nb", "libc.so.6/"}) {
        const auto result = real().tweak(name, std::nullopt);
        ASSERT_FALSE(result) << name;
        EXPECT_EQ(result.error().code, Errc::ConfigInvalid) << name;
        EXPECT_EQ(result.error().detail.find('\n'), std::string::npos);
    }
    EXPECT_FALSE(real().tweak(std::string(65, 'a'), std::nullopt));
    const auto relative = Loader("lib").tweak("tweak-taproot", std::nullopt);
    ASSERT_FALSE(relative);
    EXPECT_EQ(relative.error().detail, "plugin directory 'lib' must be an absolute path");
}

TEST(Loader, RefusesAMissingFile) {
    expect_refused(real().tweak("tweak-nothing", std::nullopt), Errc::PluginMissing,
                   "tweak-nothing", "there is no such plugin", "check `plugins: directory`");
}

TEST(Loader, RefusesTheWrongKind) {
    expect_refused(real().storage("tweak-taproot", std::nullopt), Errc::PluginWrongKind,
                   "tweak-taproot", "it is a tweak plugin, and a storage plugin is needed here",
                   "name another plugin");
    expect_refused(
        real().transport("storage-sqlite", std::nullopt), Errc::PluginWrongKind, "storage-sqlite",
        "it is a storage plugin, and a transport plugin is needed here", "name another plugin");
}

TEST(Loader, RefusesAPluginThatIsNotOne) {
    expect_refused(broken().tweak("no-alias", std::nullopt), Errc::PluginIncompatible, "no-alias",
                   "does not export keymeld_plugin", "it is a library but not a KeyMeld plugin");
    expect_refused(broken().tweak("wrong-magic", std::nullopt), Errc::PluginIncompatible,
                   "wrong-magic", "does not start with KeyMeld's magic number", "it is not");
}

TEST(Loader, RefusesALibraryThatDoesNotLink) {
    expect_refused(broken().tweak("undefined-symbol", std::nullopt), Errc::PluginIncompatible,
                   "undefined-symbol", "cannot be loaded", "build it again");
}

TEST(Loader, RefusesAShortDescriptor) {
    expect_refused(broken().tweak("short-struct", std::nullopt), Errc::PluginIncompatible,
                   "short-struct", "its descriptor has 16 bytes, expected 56", "build it again");
    expect_refused(broken().tweak("small-size", std::nullopt), Errc::PluginIncompatible,
                   "small-size", "its descriptor has 8 bytes, expected 56", "build it again");
}

TEST(Loader, RefusesAnotherInterfaceVersion) {
    expect_refused(broken().tweak("other-interface", std::nullopt), Errc::PluginIncompatible,
                   "other-interface", "it speaks plugin interface 99, this program speaks 1",
                   "use the plugin that came with this program");
}

TEST(Loader, RefusesAnotherBuild) {
    expect_refused(broken().tweak("other-fingerprint", std::nullopt), Errc::PluginIncompatible,
                   "other-fingerprint",
                   "it was built as 'gcc 1.0, interface 00', this program as "
                   "'" KEYMELD_BUILD_FINGERPRINT "'",
                   "build it again");
    expect_refused(broken().tweak("no-fingerprint", std::nullopt), Errc::PluginIncompatible,
                   "no-fingerprint", "it was built as ''", "build it again");
}

TEST(Loader, FingerprintNamesCompilerLibraryAndInterface) {
    const std::string fingerprint = KEYMELD_BUILD_FINGERPRINT;
    for (const char* part : {"libstdc++ ", " abi ", "boost 1_", "sanitizer ", "interface "})
        EXPECT_NE(fingerprint.find(part), std::string::npos) << fingerprint;
    EXPECT_EQ(fingerprint.size() - fingerprint.find("interface ") - 10, 64u) << fingerprint;
    EXPECT_LT(fingerprint.size(), 300u); // the loader looks no further
}

TEST(Loader, RefusesAFactoryThatFails) {
    expect_refused(broken().tweak("throws", std::nullopt), Errc::PluginFailed, "throws",
                   "its factory failed: no licence", "see the plugin's own documentation");
    expect_refused(broken().tweak("throws-number", std::nullopt), Errc::PluginFailed,
                   "throws-number", "threw something that is not a std::exception", "see");
    expect_refused(broken().tweak("returns-null", std::nullopt), Errc::PluginFailed, "returns-null",
                   "its factory returned nothing", "see");
    expect_refused(broken().tweak("no-factory", std::nullopt), Errc::PluginIncompatible,
                   "no-factory", "it has no factory", "build it again");
}

TEST(Loader, AnUnknownOptionStopsTheStart) {
    const auto storage = real().storage("storage-sqlite", std::nullopt);
    ASSERT_TRUE(storage) << storage.error().detail;
    const auto opened = (*storage)->open(
        Options({{"path", {"/nonexistent/k.db", "k.yaml:4"}}, {"pth", {"x", "k.yaml:5"}}},
                "k.yaml:3", "/"));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::ConfigInvalid);
    EXPECT_EQ(opened.error().detail,
              "k.yaml:5: unknown option 'pth'; known: path, busy_timeout_ms, cache_mib, check");
}

TEST_F(LoaderFiles, RefusesFilesThatAreNoLibrary) {
    put("text", "not a library\n");
    put("empty", "");
    put("cut", m_good.substr(0, 900));
    std::string damaged = m_good;
    std::fill(damaged.begin() + 0x28, damaged.begin() + 0x40,
              '\xff'); // section table of the ELF header
    put("damaged", damaged);
    fs::create_directory(m_folder / "folder.so");
    ASSERT_EQ(::mkfifo((m_folder / "pipe.so").c_str(), 0600), 0);
    for (const char* name : {"text", "empty", "cut", "damaged"})
        expect_refused(loader().tweak(name, std::nullopt), Errc::PluginIncompatible, name,
                       "is not a library of this machine", "put the plugin's library there");
    for (const char* name : {"folder", "pipe"})
        expect_refused(loader().tweak(name, std::nullopt), Errc::PluginIncompatible, name,
                       "is not a regular file", "put the plugin's library there");
}

TEST_F(LoaderFiles, RefusesAnotherName) {
    put("renamed", m_good);
    expect_refused(loader().tweak("renamed", std::nullopt), Errc::PluginIncompatible, "renamed",
                   "it calls itself 'good-plugin'", "a plugin's file must be called <name>.so");
}

TEST_F(LoaderFiles, RefusesWhatEverybodyMayWrite) {
    const fs::path file = put("good-plugin", m_good);
    ASSERT_EQ(::chmod(file.c_str(), 0666), 0);
    expect_refused(loader().tweak("good-plugin", std::nullopt), Errc::PluginIncompatible,
                   "good-plugin", "everybody may write to it", "check where it came from");
    ASSERT_EQ(::chmod(file.c_str(), 0664), 0);
    ASSERT_EQ(::chmod(m_folder.c_str(), 0777), 0);
    expect_refused(loader().tweak("good-plugin", std::nullopt), Errc::PluginIncompatible,
                   "good-plugin", "everybody may write to its folder", "check what is in there");
    ASSERT_EQ(::chmod(m_folder.c_str(), 0755), 0);
    EXPECT_TRUE(loader().tweak("good-plugin", std::nullopt));
}

TEST_F(LoaderFiles, RefusesSymbolicLinks) {
    fs::create_symlink(build_folder("lib/test-plugins/good-plugin.so"),
                       m_folder / "good-plugin.so");
    expect_refused(loader().tweak("good-plugin", std::nullopt), Errc::PluginIncompatible,
                   "good-plugin", "is a symbolic link", "put the file itself there");
    fs::create_symlink("/nonexistent", m_folder / "dangling.so");
    expect_refused(loader().tweak("dangling", std::nullopt), Errc::PluginIncompatible, "dangling",
                   "is a symbolic link", "put the file itself there");
}

TEST_F(LoaderFiles, HoldsFilesToTheirPin) {
    put("good-plugin", m_good);
    ByteArray<32> pin = crypto::sha256(as_bytes(m_good));
    EXPECT_TRUE(loader().tweak("good-plugin", pin));
    const std::string hash = hex_encode(pin);
    pin[31] ^= 1;
    expect_refused(loader().tweak("good-plugin", pin), Errc::PluginIncompatible, "good-plugin",
                   "its SHA-256 is " + hash + " and not the pinned one", "install the pinned file");
}

TEST_F(LoaderFiles, LooksAtThePinBeforeAnyCodeRuns) {
    // This library ends the process when its factory is called, and cannot be linked: neither may
    // happen.
    put("undefined-symbol", read(build_folder("lib/test-plugins/undefined-symbol.so")));
    expect_refused(loader().tweak("undefined-symbol", ByteArray<32>{}), Errc::PluginIncompatible,
                   "undefined-symbol", "and not the pinned one", "install the pinned file");
}

} // namespace
} // namespace keymeld::plugin
