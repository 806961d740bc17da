#include "appliance/api/docs_files.h"

#include <fstream>

#include <gtest/gtest.h>

namespace keymeld::api {
namespace {

namespace fs = std::filesystem;

const char* const kNames[] = {"index.html", "initializer.js", "page.css", "swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"};

class DocsFolder : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = (fs::temp_directory_path() / "keymeld-docs-XXXXXX").string();
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        folder = name;
        for (const char* file : kNames)
            std::ofstream(folder / file) << "content of " << file;
        std::ofstream(folder / "secret.txt") << "not for clients";
    }
    void TearDown() override { fs::remove_all(folder); }
    fs::path folder;
};

std::string header_of(const http::Response& response, const std::string& name) {
    for (const auto& [key, value] : response.headers)
        if (key == name)
            return value;
    return "";
}

TEST_F(DocsFolder, ServesItsOwnFilesUnderAStrictPolicy) {
    const DocsFiles docs = DocsFiles::load(folder);
    ASSERT_TRUE(docs.available());
    const http::Response page = docs.page();
    EXPECT_EQ(*page.file, "content of index.html");
    const std::string policy = header_of(page, "Content-Security-Policy");
    EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
    EXPECT_NE(policy.find("script-src 'self';"), std::string::npos);
    EXPECT_EQ(policy.find("unsafe"), std::string::npos);
    EXPECT_EQ(policy.find("http"), std::string::npos);
    for (const char* name : kNames) {
        const auto file = docs.file(name);
        ASSERT_TRUE(file.has_value());
        EXPECT_EQ(*file->file, "content of " + std::string(name));
        EXPECT_FALSE(file->content_type.empty());
    }
}

TEST_F(DocsFolder, ServesNothingElse) {
    const DocsFiles docs = DocsFiles::load(folder);
    for (const char* name : {"secret.txt", "../" "secret.txt", "", ".", "/etc/passwd", "LICENSE"}) {
        const auto file = docs.file(name);
        ASSERT_FALSE(file.has_value()) << name;
        EXPECT_EQ(file.error().code, Errc::NotFound);
    }
}

TEST_F(DocsFolder, SaysHowToGetAViewerThatIsNotThere) {
    fs::remove(folder / "swagger-ui-bundle.js");
    const DocsFiles docs = DocsFiles::load(folder);
    EXPECT_FALSE(docs.available());
    EXPECT_NE(docs.page().body.find("scripts/setup"), std::string::npos);
    EXPECT_FALSE(docs.file("index.html").has_value());
}

} // namespace
} // namespace keymeld::api
