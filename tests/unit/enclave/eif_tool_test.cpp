// keymeld-eif as people run it: real files in, real files out.
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "core/attestation/eif/cpio.h"
#include "core/attestation/eif/image.h"
#include "core/attestation/issuer/certificate_issuer.h"
#include "core/attestation/pcr_policy.h"
#include "enclave/image/tool/metadata.h"

namespace keymeld::eif {
namespace {

namespace fs = std::filesystem;
using attestation::PcrIndex;

struct Outcome {
    int code = -1;
    std::string out;
    std::string err;
};

std::string content(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void write(const fs::path& path, std::string_view text, fs::perms rights = fs::perms(0644)) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    fs::permissions(path, rights);
}

class EifTool : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/keymeld-eif-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        folder = name;
        write(folder / "kernel", "not a bzImage, but measured all the same");
        write(folder / "init" / "init", "first", fs::perms(0700));
        write(folder / "app" / "app" / "signer", "second", fs::perms(0755));
        write(folder / "app" / "app" / "root.pem", "PEM", fs::perms(0600));
    }
    void TearDown() override { fs::remove_all(folder); }

    Outcome run(const std::string& arguments) const {
        const std::string program =
            std::string(std::getenv("KEYMELD_BUILD_DIR")) + "/bin/keymeld-eif";
        const std::string command = "cd '" + folder.string() + "' && exec </dev/null && '" +
                                    program + "' " + arguments + " >out 2>err";
        const int status = std::system(command.c_str());
        return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content(folder / "out"),
                content(folder / "err")};
    }
    Outcome build(const std::string& more = "") const {
        return run("build --kernel kernel --cmdline 'panic=1' --ramdisk init --ramdisk app --out "
                   "image.eif --pcrs pcrs.json " +
                   more);
    }
    Image image() const { return Image::read(as_bytes(content(folder / "image.eif"))).value(); }

    fs::path folder;
};

TEST_F(EifTool, BuildsAnImageThatItsListAllows) {
    const Outcome built = build();
    ASSERT_EQ(built.code, 0) << built.err;
    const Image made = image();
    EXPECT_EQ(made.cmdline, "panic=1");
    ASSERT_EQ(made.ramdisks.size(), 2u);
    const auto files = read_archive(made.ramdisks[1]).value();
    ASSERT_EQ(files.size(), 3u);
    EXPECT_EQ(files[1].path, "app/root.pem");
    EXPECT_EQ(files[1].mode, 0100644u);
    EXPECT_EQ(files[2].path, "app/signer");
    EXPECT_EQ(files[2].mode, 0100755u);

    const auto policy = attestation::PcrPolicy::from_file(folder / "pcrs.json");
    ASSERT_TRUE(policy) << policy.error().detail;
    EXPECT_EQ(policy->entries()[0].required, made.measure());
    for (const auto& [name, value] : attestation::pcr_texts(made.measure()))
        EXPECT_NE(built.out.find(name + "  " + value + "\n"), std::string::npos) << built.out;

    EXPECT_EQ(run("verify image.eif --pcrs pcrs.json").code, 0);
    EXPECT_EQ(run("verify image.eif").code, 0);
}

TEST_F(EifTool, GivesTheSameFileWhateverDatesOwnersAndOrder) {
    ASSERT_EQ(build().code, 0);
    const std::string first = content(folder / "image.eif");
    fs::rename(folder / "app", folder / "other");
    write(folder / "app" / "app" / "signer", "second", fs::perms(0711));
    write(folder / "app" / "app" / "root.pem", "PEM", fs::perms(0666));
    fs::last_write_time(folder / "app" / "app" / "signer", fs::file_time_type{});
    ASSERT_EQ(build().code, 0);
    EXPECT_EQ(content(folder / "image.eif"), first);
    write(folder / "app" / "app" / "root.pem", "PEN");
    ASSERT_EQ(build().code, 0);
    EXPECT_NE(content(folder / "image.eif"), first);
}

TEST_F(EifTool, RefusesAnImageThatIsNotInTheList) {
    ASSERT_EQ(build().code, 0);
    fs::rename(folder / "pcrs.json", folder / "old.json");
    write(folder / "app" / "app" / "signer", "third");
    ASSERT_EQ(build().code, 0);
    const Outcome verified = run("verify image.eif --pcrs old.json");
    EXPECT_EQ(verified.code, 1);
    EXPECT_NE(verified.err.find("old.json does not allow this image"), std::string::npos)
        << verified.err;
    EXPECT_EQ(verified.out, "");
}

TEST_F(EifTool, RefusesADamagedImage) {
    ASSERT_EQ(build().code, 0);
    std::string file = content(folder / "image.eif");
    file.back() = static_cast<char>(file.back() ^ 1);
    write(folder / "image.eif", file);
    for (const char* command : {"verify image.eif", "describe image.eif"}) {
        const Outcome outcome = run(command);
        EXPECT_EQ(outcome.code, 1) << command;
        EXPECT_NE(outcome.err.find("checksum"), std::string::npos) << outcome.err;
        EXPECT_EQ(outcome.out, "");
    }
}

TEST_F(EifTool, SignsWithoutChangingTheOtherRegisters) {
    ASSERT_EQ(build().code, 0);
    const Image plain = image();
    const auto key = attestation::SigningKey::generate().value();
    ASSERT_TRUE(key.save(folder / "key.pem"));
    attestation::CertificateProfile profile;
    profile.subject.common = profile.issuer.common = "release";
    profile.not_after = 4'000'000'000;
    const Bytes der = attestation::issue_certificate(profile, key, key).value();
    write(folder / "certificate.pem", attestation::certificate_pem(der));

    const Outcome signed_build = build("--sign-key key.pem --sign-certificate certificate.pem");
    ASSERT_EQ(signed_build.code, 0) << signed_build.err;
    EXPECT_NE(signed_build.out.find("PCR8  "), std::string::npos);
    EXPECT_EQ(image().measure(), plain.measure());
    ASSERT_TRUE(image().signature);
    EXPECT_EQ(run("verify image.eif --pcrs pcrs.json").code, 0);
    const auto policy = attestation::PcrPolicy::from_file(folder / "pcrs.json").value();
    EXPECT_TRUE(policy.entries()[0].required.contains(PcrIndex::of<8>()));

    // The signature of one image under another.
    Image moved = image();
    moved.ramdisks[1][0] ^= 1;
    const Bytes file = moved.write().value();
    write(folder / "image.eif", as_text(file));
    const Outcome verified = run("verify image.eif");
    EXPECT_EQ(verified.code, 1);
    EXPECT_NE(verified.err.find("signature"), std::string::npos) << verified.err;

    // An unsigned image does not satisfy the list of a signed one.
    fs::rename(folder / "pcrs.json", folder / "signed.json");
    ASSERT_EQ(build().code, 0);
    EXPECT_EQ(run("verify image.eif --pcrs signed.json").code, 1);
}

TEST_F(EifTool, DescribesAsTextAndAsJson) {
    ASSERT_EQ(build("--image-version '1.2 \"rc\"'").code, 0);
    const Outcome text = run("describe image.eif");
    EXPECT_EQ(text.code, 0);
    EXPECT_NE(text.out.find("100755 0:0 app/signer  6 bytes"), std::string::npos) << text.out;
    const Outcome json =
        run("describe image.eif --json | python3 -c 'import json,sys; "
            "d=json.load(sys.stdin); print(d[\"cmdline\"], d[\"ramdisks\"][1]["
            "\"files\"][2][\"path\"], json.loads(d[\"metadata\"])[\"ImageVersion\"],"
            "len(d[\"pcrs\"]))'");
    EXPECT_EQ(json.code, 0) << json.err;
    EXPECT_EQ(json.out, "panic=1 app/signer 1.2 \"rc\" 3\n");
}

TEST_F(EifTool, SaysWhatIsWrongWithItsInput) {
    const auto complains = [&](const std::string& command, std::string_view about) {
        const Outcome outcome = run(command);
        EXPECT_NE(outcome.code, 0) << command;
        EXPECT_NE(outcome.err.find(about), std::string::npos) << outcome.err;
        EXPECT_FALSE(fs::exists(folder / "image.eif"));
    };
    const std::string start = "build --out image.eif --cmdline panic=1 ";
    complains(start + "--kernel none --ramdisk init", "none");
    complains(start + "--kernel kernel --ramdisk none", "none");
    complains(start + "--kernel kernel", "--ramdisk");
    complains(start + "--kernel kernel --ramdisk init --sign-key key.pem", "--sign-certificate");
    complains("build --out image.eif --cmdline 'a\tb' --kernel kernel --ramdisk init", "control");
    fs::create_directory(folder / "empty");
    complains(start + "--kernel kernel --ramdisk empty", "no file in it");
    fs::create_symlink("/etc/passwd", folder / "app" / "link");
    complains(start + "--kernel kernel --ramdisk app", "only files and folders");
    fs::remove(folder / "app" / "link");
    ASSERT_EQ(::mkfifo((folder / "app" / "pipe").c_str(), 0600), 0);
    complains(start + "--kernel kernel --ramdisk app", "only files and folders");
    complains("verify none", "none");
    complains("verify kernel", "enclave image");
}

TEST(EifMetadata, FindsTheVersionOfAKernelAndNothingElsewhere) {
    Bytes kernel(0x400);
    const auto put = [&](std::size_t at, std::string_view text) {
        std::copy(text.begin(), text.end(), kernel.begin() + static_cast<std::ptrdiff_t>(at));
    };
    put(0x202, "HdrS");
    kernel[0x20f] = 1; // 0x100 + 0x200
    put(0x300, "6.12.117 (keymeld@keymeld) #1");
    EXPECT_EQ(kernel_version(kernel), "6.12.117");
    kernel[0x20f] = 0xff; // behind the end
    EXPECT_EQ(kernel_version(kernel), "unknown");
    kernel[0x20f] = 1;
    kernel[0x300] = '\n';
    EXPECT_EQ(kernel_version(kernel), "unknown");
    std::fill(kernel.begin() + 0x300, kernel.end(), std::uint8_t{'x'});
    EXPECT_EQ(kernel_version(kernel), std::string(64, 'x'));
    kernel[0x202] = 'h';
    EXPECT_EQ(kernel_version(kernel), "unknown");
    EXPECT_EQ(kernel_version({}), "unknown");
    EXPECT_EQ(kernel_version(ByteView(kernel).first(0x20f)), "unknown");
}

} // namespace
} // namespace keymeld::eif
