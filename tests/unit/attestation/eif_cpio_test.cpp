#include "core/attestation/eif/cpio.h"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

#include "core/base/hex.h"
#include "core/crypto/digest.h"
#include "tests/unit/attestation/eif_fixture.h"

namespace keymeld::eif::test {
namespace {

std::vector<ArchiveFile> some_files() {
    return {{"init", true, bytes_of("init")},
            {"app/root.pem", false, bytes_of("PEM")},
            {"app/program", true, bytes_of("#!x\n!")}};
}

bool refused(std::vector<ArchiveFile> files) {
    const auto archive = write_archive(std::move(files));
    return !archive && archive.error().code == Errc::InvalidArgument;
}

/// The archive of some_files() after a change: refused with this reason.
void expect_unreadable(const std::function<void(Bytes&)>& change, std::string_view reason) {
    Bytes archive = write_archive(some_files()).value();
    change(archive);
    const auto entries = read_archive(archive);
    ASSERT_FALSE(entries) << "accepted, but: " << reason;
    EXPECT_EQ(entries.error().code, Errc::InvalidArgument);
    EXPECT_NE(entries.error().detail.find(reason), std::string::npos) << entries.error().detail;
}

std::size_t place_of(const Bytes& archive, std::string_view text) {
    const auto at = std::ranges::search(archive, as_bytes(text)).begin();
    return static_cast<std::size_t>(at - archive.begin());
}

// Expected value: a separate program, written from the kernel's description in another language.
TEST(Cpio, WritesTheGoldenArchive) {
    const Bytes archive = write_archive(some_files()).value();
    EXPECT_EQ(archive.size(), 1024u);
    EXPECT_EQ(hex_encode(crypto::sha256(archive)),
              "75567799a750c67ed17f35ce560cc326274064210ed845f65327c372acc1fbd6");
}

TEST(Cpio, GivesTheSameBytesInWhateverOrderFilesCome) {
    std::vector<ArchiveFile> files = some_files();
    const Bytes first = write_archive(files).value();
    std::ranges::reverse(files);
    EXPECT_EQ(write_archive(files).value(), first);
    files[0].content.push_back('x');
    EXPECT_NE(write_archive(files).value(), first);
}

TEST(Cpio, ListsWhatItWrote) {
    const Bytes archive = write_archive(some_files()).value();
    const auto entries = read_archive(archive);
    ASSERT_TRUE(entries) << entries.error().detail;
    ASSERT_EQ(entries->size(), 4u);
    const std::vector<std::pair<std::string, std::uint32_t>> expected{
        {"app", 0040755}, {"app/program", 0100755}, {"app/root.pem", 0100644}, {"init", 0100755}};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const ArchiveEntry& entry = (*entries)[i];
        EXPECT_EQ(entry.path, expected[i].first);
        EXPECT_EQ(entry.mode, expected[i].second);
        EXPECT_EQ(entry.uid + entry.gid + entry.mtime, 0u);
    }
    EXPECT_EQ(as_text((*entries)[1].content), "#!x\n!");

    // An archive of nothing is its trailer alone.
    const Bytes empty = write_archive({}).value();
    EXPECT_EQ(empty.size(), 512u);
    EXPECT_TRUE(read_archive(empty).value().empty());
}

TEST(Cpio, RefusesPathsThatLeadElsewhere) {
    for (const std::string path :
         {"", "/init", "a//b", "a/", ".", "..", "./a", "a/../b", "a/.", "a\nb", "TRAILER!!!"})
        EXPECT_TRUE(refused({{path, false, {}}})) << path;
    EXPECT_TRUE(refused({{std::string("a\0b", 3), false, {}}}));
    EXPECT_TRUE(refused({{std::string(kMaxArchivePath + 1, 'a'), false, {}}}));
    EXPECT_TRUE(
        read_archive(write_archive({{std::string(kMaxArchivePath, 'a'), false, {}}}).value()));
    EXPECT_TRUE(write_archive({{"..a", false, {}}, {"a..", false, {}}, {".a", false, {}}}));
}

TEST(Cpio, RefusesFilesThatCannotStandTogether) {
    EXPECT_TRUE(refused({{"a", false, {}}, {"a", true, {}}}));
    EXPECT_TRUE(refused({{"a", false, {}}, {"a/b", false, {}}}));
    EXPECT_TRUE(refused({{"a/b/c", false, {}}, {"a/b", false, {}}}));
    std::vector<ArchiveFile> many(kMaxArchiveEntries + 1);
    for (std::size_t i = 0; i < many.size(); ++i)
        many[i].path = std::to_string(i);
    EXPECT_TRUE(refused(many));
    many.pop_back();
    EXPECT_TRUE(write_archive(many));
    many.back().path = "folder/file";
    EXPECT_TRUE(refused(many));
}

TEST(Cpio, RefusesADamagedArchive) {
    expect_unreadable([](Bytes& a) { a[5] = '2'; }, "070701");
    expect_unreadable([](Bytes& a) { a[0] = 0x1f; }, "packed");
    expect_unreadable([](Bytes& a) { a[6] = 'g'; }, "hexadecimal");
    expect_unreadable([](Bytes& a) { a[6] = ' '; }, "hexadecimal");
    expect_unreadable([](Bytes& a) { a.back() = 1; }, "after its trailer");
    // The trailer is gone: what follows it is read as an entry.
    expect_unreadable([](Bytes& a) { a[place_of(a, "TRAILER")] = 't'; }, "070701");
    expect_unreadable([](Bytes& a) { a.resize(place_of(a, "TRAILER") - 110); },
                      "before its trailer");
    const auto number = [](std::size_t entry_at, std::size_t field, const char* digits) {
        return [=](Bytes& a) { std::memcpy(a.data() + entry_at + 6 + 8 * field, digits, 8); };
    };
    expect_unreadable(number(0, 6, "ffffffff"), "inside an entry");
    expect_unreadable(number(0, 6, "00000400"), "inside an entry");
    expect_unreadable(number(0, 11, "00000000"), "empty or too long");
    expect_unreadable(number(0, 11, "00000001"), "empty or too long");
    expect_unreadable(number(0, 11, "00000101"), "empty or too long");
    expect_unreadable(number(0, 11, "ffffffff"), "empty or too long");
    expect_unreadable(number(0, 11, "00000003"), "does not end where it should");
    expect_unreadable([](Bytes& a) { a[110 + 1] = 0; }, "does not end where it should");
    expect_unreadable([&](Bytes& a) { number(place_of(a, "TRAILER") - 110, 6, "00000004")(a); },
                      "trailer has content");
    EXPECT_FALSE(read_archive({}));
}

TEST(Cpio, RefusesEveryShortenedArchive) {
    const Bytes archive = write_archive(some_files()).value();
    const std::size_t end = place_of(archive, "TRAILER") + 11;
    for (std::size_t size = 0; size < end; ++size)
        EXPECT_FALSE(read_archive(ByteView(archive).first(size))) << size;
}

} // namespace
} // namespace keymeld::eif::test
