#include "core/attestation/eif/image.h"

#include <gtest/gtest.h>

#include "core/base/hex.h"
#include "core/crypto/digest.h"
#include "tests/unit/attestation/eif_fixture.h"

namespace keymeld::eif::test {
namespace {

using attestation::PcrIndex;

std::string hex_of(const attestation::PcrSet& pcrs, PcrIndex index) {
    return hex_encode(pcrs.at(index));
}

void expect_refused(const Bytes& file, std::string_view reason, Errc code = Errc::InvalidArgument) {
    const auto image = Image::read(file);
    ASSERT_FALSE(image) << "accepted, but: " << reason;
    EXPECT_EQ(image.error().code, code) << image.error().detail;
    EXPECT_NE(image.error().detail.find(reason), std::string::npos)
        << "expected \"" << reason << "\", got \"" << image.error().detail << "\"";
}

/// The small image's file with one change, and a checksum that agrees with it.
Bytes changed(const std::function<void(Bytes&)>& change) {
    Bytes file = small_image().write().value();
    change(file);
    return with_right_checksum(std::move(file));
}

Bytes with_number(std::size_t at, std::size_t width, std::uint64_t value) {
    return changed([&](Bytes& file) { put_number(file, at, width, value); });
}

TEST(Crc32, HasTheCheckValueOfItsFamily) {
    EXPECT_EQ(Crc32().update(as_bytes("123456789")).value(), 0xcbf43926u);
    EXPECT_EQ(Crc32().update(as_bytes("1234")).update(as_bytes("56789")).value(), 0xcbf43926u);
    EXPECT_EQ(Crc32().value(), 0u);
}

// Expected values: a separate program, written from the format's description in another language.
TEST(EifImage, WritesTheGoldenFile) {
    const Bytes file = small_image().write().value();
    EXPECT_EQ(file.size(), 1447u);
    EXPECT_EQ(hex_encode(crypto::sha256(file)),
              "4cf088ea77c5f9f1c6c83b436809f57e22d20f682b9724ab7b57cac9dc5173ac");
    EXPECT_EQ(hex_encode(ByteView(file).subspan(kChecksumAt, 4)), "a32f2ba9");
}

TEST(EifImage, MeasuresTheGoldenFile) {
    const attestation::PcrSet pcrs = small_image().measure();
    ASSERT_EQ(pcrs.size(), 3u);
    EXPECT_EQ(hex_of(pcrs, PcrIndex::of<0>()), "89d6d141be23abe860f344ac6ff54746c7bee47e2c53cddb1ae"
                                               "0958d7131639bfcbdd1cfd05922d9ede5c74e55340a81");
    EXPECT_EQ(hex_of(pcrs, PcrIndex::of<1>()), "03eb14590efc55b6ca8d0948bb6c1e144bf3efaf18b1872eb69"
                                               "3a547a9b7b7e3519814fea6cdc7268f0323aa870159ec");
    EXPECT_EQ(hex_of(pcrs, PcrIndex::of<2>()), "892f2f74fda112f398198eec46d36dfb6969eb2686b8c1c922b"
                                               "b6665784fa8aab7f3f1079d2a223a8d201bacfd967992");
}

TEST(EifImage, MeasuresOneRamdiskAsAnEmptyApplication) {
    Image image = small_image();
    image.ramdisks.pop_back();
    const attestation::PcrSet pcrs = image.measure();
    EXPECT_EQ(hex_of(pcrs, PcrIndex::of<2>()), "21b9efbc184807662e966d34f390821309eeac6802309798826"
                                               "296bf3e8bec7c10edb30948c90ba67310f7b964fc500a");
    EXPECT_EQ(pcrs.at(PcrIndex::of<0>()), pcrs.at(PcrIndex::of<1>()));
}

TEST(EifImage, MeasuresEveryPartWhereItBelongs) {
    const attestation::PcrSet before = small_image().measure();
    const auto differing = [&](const std::function<void(Image&)>& change) {
        Image image = small_image();
        change(image);
        std::string found;
        for (const auto& [index, value] : image.measure())
            if (value != before.at(index))
                found += index.name() + " ";
        return found;
    };
    EXPECT_EQ(differing([](Image& image) { image.kernel[0] ^= 1; }), "PCR0 PCR1 ");
    EXPECT_EQ(differing([](Image& image) { image.cmdline += " quiet"; }), "PCR0 PCR1 ");
    EXPECT_EQ(differing([](Image& image) { image.ramdisks[0][0] ^= 1; }), "PCR0 PCR1 ");
    EXPECT_EQ(differing([](Image& image) { image.ramdisks[1][0] ^= 1; }), "PCR0 PCR2 ");
    EXPECT_EQ(differing([](Image& image) { image.ramdisks.push_back({1}); }), "PCR0 PCR2 ");
    EXPECT_EQ(differing([](Image& image) { image.metadata = "{}"; }), "");
    EXPECT_EQ(differing([](Image& image) { image.default_memory = 1; }), "");
}

TEST(EifImage, ReadsWhatItWrites) {
    Image image = small_image();
    image.ramdisks.push_back(bytes_of("third"));
    image.signature = bytes_of("anything");
    image.default_memory = 256u << 20;
    image.default_cpus = 4;
    const Bytes file = image.write().value();
    const auto again = Image::read(file);
    ASSERT_TRUE(again) << again.error().detail;
    EXPECT_EQ(again->kernel, image.kernel);
    EXPECT_EQ(again->cmdline, image.cmdline);
    EXPECT_EQ(again->metadata, image.metadata);
    EXPECT_EQ(again->ramdisks, image.ramdisks);
    EXPECT_EQ(again->signature, image.signature);
    EXPECT_EQ(again->default_memory, image.default_memory);
    EXPECT_EQ(again->default_cpus, image.default_cpus);
    EXPECT_EQ(again->write().value(), file);

    Image bare = small_image();
    bare.metadata.clear();
    const auto bare_again = Image::read(bare.write().value());
    ASSERT_TRUE(bare_again) << bare_again.error().detail;
    EXPECT_EQ(bare_again->metadata, "");
}

TEST(EifImage, RefusesEveryFlippedByte) {
    const Bytes good = small_image().write().value();
    ASSERT_TRUE(Image::read(good));
    for (std::size_t at = 0; at < good.size(); ++at) {
        Bytes bad = good;
        bad[at] ^= 0x10;
        EXPECT_FALSE(Image::read(bad)) << "byte " << at;
    }
}

TEST(EifImage, RefusesEveryShortenedFile) {
    const Bytes good = small_image().write().value();
    for (std::size_t size = 0; size < good.size(); ++size) {
        const Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_FALSE(Image::read(cut)) << size << " bytes";
        if (size >= kHeaderEnd) {
            EXPECT_FALSE(Image::read(with_right_checksum(cut))) << size << " bytes, right checksum";
        }
    }
}

TEST(EifImage, RefusesADamagedBody) {
    Bytes file = small_image().write().value();
    file[kHeaderEnd + 100] ^= 1;
    expect_refused(file, "checksum");
}

TEST(EifImage, RefusesAWrongHeader) {
    expect_refused(with_number(0, 4, 0x7f454c46), "\".eif\"");
    expect_refused(with_number(4, 2, 3), "version 3", Errc::Unsupported);
    expect_refused(with_number(6, 2, 1), "arm64", Errc::Unsupported);
    expect_refused(with_number(6, 2, 2), "unknown flags");
    expect_refused(with_number(24, 2, 1), "reserved");
    expect_refused(with_number(26, 2, 33), "more than 32 sections");
    expect_refused(with_number(26, 2, 0), "more sections than it counts");
    expect_refused(with_number(26, 2, 4), "more sections than it counts");
    expect_refused(with_number(26, 2, 6), "not where the one before ends");
    expect_refused(with_number(28 + 31 * 8, 8, 1), "more sections than it counts");
    expect_refused(with_number(284 + 31 * 8, 8, 1), "more sections than it counts");
    expect_refused(with_number(540, 4, 1), "unused");
}

TEST(EifImage, RefusesSectionsThatAreNotWhereTheyShouldBe) {
    expect_refused(with_number(28, 8, kHeaderEnd + 1), "section 0 is not where");
    expect_refused(with_number(28 + 8, 8, kHeaderEnd), "section 1 is not where");
    expect_refused(with_number(28, 8, ~std::uint64_t{0}), "section 0 is not where");
    // Sizes that would run past the end, or around it.
    for (const std::uint64_t size :
         {std::uint64_t{769}, std::uint64_t{1} << 25, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
        const Bytes file = changed([&](Bytes& bytes) {
            put_number(bytes, 284, 8, size);
            put_number(bytes, kHeaderEnd + 4, 8, size);
        });
        EXPECT_FALSE(Image::read(file)) << size;
    }
    expect_refused(with_number(kHeaderEnd + 4, 8, 700), "another size in the header");
    expect_refused(with_number(284, 8, 700), "another size in the header");
    expect_refused(changed([](Bytes& file) { file.push_back(0); }), "after the last section");
}

TEST(EifImage, RefusesSectionsOfTheWrongKind) {
    const auto retyped = [](std::initializer_list<std::pair<std::size_t, unsigned>> types) {
        return changed([&](Bytes& file) {
            // kernel, command line, metadata, ramdisk, ramdisk
            const std::size_t sizes[] = {768, 21, 22, 13, 15};
            for (const auto& [number, type] : types) {
                std::size_t at = kHeaderEnd;
                for (std::size_t before = 0; before < number; ++before)
                    at += 12 + sizes[before];
                put_number(file, at, 2, type);
            }
        });
    };
    expect_refused(retyped({{0, 0}}), "unknown type 0");
    expect_refused(retyped({{0, 6}}), "unknown type 6");
    expect_refused(retyped({{0, 2}}), "out of order");
    expect_refused(retyped({{1, 1}}), "repeated or out of order");
    expect_refused(retyped({{2, 2}}), "repeated or out of order");
    expect_refused(retyped({{3, 5}}), "repeated or out of order");
    expect_refused(retyped({{1, 3}}), "out of order");
    expect_refused(retyped({{3, 4}}), "out of order");
    expect_refused(retyped({{3, 4}, {4, 4}}), "repeated or out of order");
    expect_refused(with_number(kHeaderEnd + 2, 2, 1), "(kernel) has unknown flags");
}

TEST(EifImage, RefusesMissingParts) {
    const auto only = [](std::size_t sections) {
        return changed([&](Bytes& file) {
            std::size_t end = kHeaderEnd;
            const std::size_t sizes[] = {768, 21, 22, 13, 15};
            for (std::size_t number = 0; number < 5; ++number) {
                if (number < sections) {
                    end += 12 + sizes[number];
                    continue;
                }
                put_number(file, 28 + number * 8, 8, 0);
                put_number(file, 284 + number * 8, 8, 0);
            }
            put_number(file, 26, 2, sections);
            file.resize(end);
        });
    };
    for (const std::size_t sections : {0u, 1u, 2u, 3u})
        expect_refused(only(sections), "is missing");
    EXPECT_TRUE(Image::read(only(4)));
}

TEST(EifImage, RefusesControlCharactersInTheCommandLine) {
    for (const char c : {'\0', '\n', '\x1f', '\x7f'}) {
        Image image = small_image();
        image.cmdline[3] = c;
        EXPECT_FALSE(image.write());
        expect_refused(changed([&](Bytes& file) {
                           file[kHeaderEnd + 12 + 768 + 12 + 3] = static_cast<std::uint8_t>(c);
                       }),
                       "control character");
    }
}

TEST(EifImage, WritesNothingThatItWouldNotRead) {
    const auto refused = [](const std::function<void(Image&)>& change) {
        Image image = small_image();
        change(image);
        const auto file = image.write();
        return !file && file.error().code == Errc::InvalidArgument;
    };
    EXPECT_TRUE(refused([](Image& image) { image.kernel.clear(); }));
    EXPECT_TRUE(refused([](Image& image) { image.kernel.resize(kMaxKernel + 1); }));
    EXPECT_TRUE(refused([](Image& image) { image.cmdline.clear(); }));
    EXPECT_TRUE(refused([](Image& image) { image.cmdline.assign(kMaxCmdline + 1, 'x'); }));
    EXPECT_TRUE(refused([](Image& image) { image.metadata.assign(kMaxMetadata + 1, ' '); }));
    EXPECT_TRUE(refused([](Image& image) { image.ramdisks.clear(); }));
    EXPECT_TRUE(refused([](Image& image) { image.ramdisks[1].clear(); }));
    EXPECT_TRUE(refused([](Image& image) { image.ramdisks.resize(kMaxRamdisks + 1, {1}); }));
    EXPECT_TRUE(refused([](Image& image) { image.signature = Bytes(kMaxSignature + 1); }));
    EXPECT_TRUE(refused([](Image& image) { image.signature = Bytes{}; }));

    Image largest = small_image();
    largest.cmdline.assign(kMaxCmdline, 'x');
    largest.ramdisks.resize(kMaxRamdisks, {1});
    largest.signature = Bytes(kMaxSignature);
    EXPECT_TRUE(Image::read(largest.write().value()));
}

} // namespace
} // namespace keymeld::eif::test
