// An image that is read is exactly what writing it gives; an archive that is read lies inside its
// input. The checksum is made right first: it would keep the fuzzer out.
#include "core/attestation/eif/cpio.h"
#include "core/attestation/eif/crc32.h"
#include "core/attestation/eif/image.h"
#include "core/attestation/eif/signature.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;
using namespace keymeld::eif;

namespace {

constexpr std::size_t kChecksumAt = 544;
constexpr std::size_t kHeaderEnd = 548;

void archive(ByteView bytes) {
    const auto entries = read_archive(bytes);
    if (!entries) {
        FUZZ_EXPECT(entries.error().code == Errc::InvalidArgument);
        return;
    }
    for (const ArchiveEntry& entry : *entries)
        FUZZ_EXPECT(entry.content.empty() ||
                    (entry.content.data() >= bytes.data() &&
                     entry.content.data() + entry.content.size() <= bytes.data() + bytes.size()));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    archive({data, size});
    FUZZ_EXPECT(!verify_signature({data, size}, attestation::PcrValue{}));
    Bytes file(data, data + size);
    if (size >= kHeaderEnd) {
        const ByteView view(file);
        const std::uint32_t sum =
            Crc32().update(view.first(kChecksumAt)).update(view.subspan(kHeaderEnd)).value();
        for (std::size_t byte = 0; byte < 4; ++byte)
            file[kChecksumAt + byte] = static_cast<std::uint8_t>(sum >> (24 - 8 * byte));
    }
    const auto image = Image::read(file);
    if (!image) {
        FUZZ_EXPECT(image.error().code == Errc::InvalidArgument ||
                    image.error().code == Errc::Unsupported);
        return 0;
    }
    const auto again = image->write();
    FUZZ_EXPECT(again && *again == file);
    FUZZ_EXPECT(image->measure().size() == 3);
    for (const Bytes& ramdisk : image->ramdisks)
        archive(ramdisk);
    return 0;
}
