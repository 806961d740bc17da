#include "core/attestation/eif/image.h"

#include <algorithm>
#include <array>

#include "core/attestation/eif/crc32.h"
#include "core/crypto/digest.h"

namespace keymeld::eif {
namespace {

using attestation::PcrIndex;
using attestation::PcrValue;

constexpr std::uint32_t kMagic = 0x2e656966; // ".eif"
constexpr std::uint16_t kVersion = 4;
constexpr std::uint16_t kFlagArm64 = 1;
constexpr std::size_t kMaxSections = 32;
constexpr std::size_t kHeaderSize = 548;
constexpr std::size_t kChecksummedHeader = kHeaderSize - 4;
constexpr std::size_t kSectionHeaderSize = 12;

enum class SectionType : std::uint16_t {
    Kernel = 1,
    Cmdline = 2,
    Ramdisk = 3,
    Signature = 4,
    Metadata = 5,
};

Error invalid_image(std::string what, std::source_location where = std::source_location::current()) {
    return fail(Errc::InvalidArgument, "enclave image: " + std::move(what), where);
}

/// What a section may hold, and how an error calls it.
struct SectionRule {
    const char* name;
    std::size_t max_size;
    std::size_t order; ///< sections come in this order
};

const SectionRule* rule_of(std::uint16_t type) {
    static constexpr SectionRule kernel{"kernel", kMaxKernel, 0};
    static constexpr SectionRule cmdline{"command line", kMaxCmdline, 1};
    static constexpr SectionRule metadata{"metadata", kMaxMetadata, 2};
    static constexpr SectionRule ramdisk{"ramdisk", kMaxRamdisk, 3};
    static constexpr SectionRule signature{"signature", kMaxSignature, 4};
    switch (static_cast<SectionType>(type)) {
    case SectionType::Kernel:
        return &kernel;
    case SectionType::Cmdline:
        return &cmdline;
    case SectionType::Metadata:
        return &metadata;
    case SectionType::Ramdisk:
        return &ramdisk;
    case SectionType::Signature:
        return &signature;
    }
    return nullptr;
}

/// Takes big-endian integers from a view that the caller knows to be long enough.
class FieldReader {
  public:
    explicit FieldReader(ByteView from) : m_rest(from) {}

    template <class T> T next() {
        std::uint64_t value = 0;
        for (const std::uint8_t byte : m_rest.first(sizeof(T)))
            value = (value << 8) | byte;
        m_rest = m_rest.subspan(sizeof(T));
        return static_cast<T>(value);
    }

  private:
    ByteView m_rest;
};

class FieldWriter {
  public:
    template <class T> void add(T value) {
        for (std::size_t shift = sizeof(T) * 8; shift > 0; shift -= 8)
            m_out.push_back(static_cast<std::uint8_t>(value >> (shift - 8)));
    }
    void add_bytes(ByteView bytes) { m_out.insert(m_out.end(), bytes.begin(), bytes.end()); }
    std::size_t size() const { return m_out.size(); }
    Bytes take() && { return std::move(m_out); }

  private:
    Bytes m_out;
};

struct Header {
    std::uint64_t default_memory = 0;
    std::uint64_t default_cpus = 0;
    std::size_t sections = 0;
    std::array<std::uint64_t, kMaxSections> offsets{};
    std::array<std::uint64_t, kMaxSections> sizes{};
    std::uint32_t checksum = 0;
};

Result<Header> read_header(ByteView file) {
    if (file.size() < kHeaderSize || file.size() > kMaxFile)
        return invalid_image("the file is too short for a header, or too long");
    FieldReader fields(file);
    Header header;
    if (fields.next<std::uint32_t>() != kMagic)
        return invalid_image("it does not start with \".eif\"");
    if (const auto version = fields.next<std::uint16_t>(); version != kVersion)
        return fail(Errc::Unsupported, "enclave image: version " + std::to_string(version) +
                                           ", only version 4 is known");
    const auto flags = fields.next<std::uint16_t>();
    if (flags == kFlagArm64)
        return fail(Errc::Unsupported, "enclave image: it is for arm64, only x86-64 is known");
    if (flags != 0)
        return invalid_image("unknown flags in the header");
    header.default_memory = fields.next<std::uint64_t>();
    header.default_cpus = fields.next<std::uint64_t>();
    if (fields.next<std::uint16_t>() != 0)
        return invalid_image("a reserved field of the header is not zero");
    header.sections = fields.next<std::uint16_t>();
    if (header.sections > kMaxSections)
        return invalid_image("more than 32 sections");
    for (std::uint64_t& offset : header.offsets)
        offset = fields.next<std::uint64_t>();
    for (std::uint64_t& size : header.sizes)
        size = fields.next<std::uint64_t>();
    for (std::size_t unused = header.sections; unused < kMaxSections; ++unused)
        if (header.offsets[unused] != 0 || header.sizes[unused] != 0)
            return invalid_image("the header describes more sections than it counts");
    if (fields.next<std::uint32_t>() != 0)
        return invalid_image("an unused field of the header is not zero");
    header.checksum = fields.next<std::uint32_t>();
    return header;
}

std::uint32_t checksum(ByteView file) {
    return Crc32().update(file.first(kChecksummedHeader)).update(file.subspan(kHeaderSize)).value();
}

Status check_cmdline(std::string_view cmdline) {
    if (std::ranges::any_of(
            cmdline, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
        return invalid_image("the command line has a control character");
    return {};
}

std::string text_of(ByteView data) {
    return std::string(as_text(data));
}

void put(Image& image, SectionType type, ByteView data) {
    switch (type) {
    case SectionType::Kernel:
        image.kernel = to_bytes(data);
        return;
    case SectionType::Cmdline:
        image.cmdline = text_of(data);
        return;
    case SectionType::Metadata:
        image.metadata = text_of(data);
        return;
    case SectionType::Ramdisk:
        image.ramdisks.push_back(to_bytes(data));
        return;
    case SectionType::Signature:
        image.signature = to_bytes(data);
        return;
    }
}

/// Once each, in order; only ramdisks may follow one another.
bool may_follow(std::optional<std::size_t> before, std::size_t now) {
    if (!before)
        return now == rule_of(static_cast<std::uint16_t>(SectionType::Kernel))->order;
    return now > *before ||
           (now == *before &&
            now == rule_of(static_cast<std::uint16_t>(SectionType::Ramdisk))->order);
}

} // namespace

Result<Image> Image::read(ByteView file) {
    KEYMELD_TRY(const Header header, read_header(file));
    Image image;
    image.default_memory = header.default_memory;
    image.default_cpus = header.default_cpus;
    std::size_t at = kHeaderSize;
    std::optional<std::size_t> before;
    for (std::size_t number = 0; number < header.sections; ++number) {
        const std::string place = "section " + std::to_string(number);
        if (header.offsets[number] != at)
            return invalid_image(place + " is not where the one before ends");
        if (file.size() - at < kSectionHeaderSize)
            return invalid_image("the file ends before " + place);
        FieldReader fields(file.subspan(at));
        const auto type = fields.next<std::uint16_t>();
        const auto flags = fields.next<std::uint16_t>();
        const auto size = fields.next<std::uint64_t>();
        at += kSectionHeaderSize;
        const SectionRule* rule = rule_of(type);
        if (rule == nullptr)
            return invalid_image(place + " is of unknown type " + std::to_string(type));
        if (flags != 0)
            return invalid_image(place + " (" + rule->name + ") has unknown flags");
        if (size != header.sizes[number])
            return invalid_image(place + " (" + rule->name + ") has another size in the header");
        if (size == 0 || size > rule->max_size)
            return invalid_image(place + " (" + rule->name + ") is empty or too long");
        if (size > file.size() - at)
            return invalid_image("the file ends inside " + place + " (" + rule->name + ")");
        if (!may_follow(before, rule->order))
            return invalid_image(place + " (" + rule->name + ") is repeated or out of order");
        before = rule->order;
        put(image, static_cast<SectionType>(type),
            file.subspan(at, static_cast<std::size_t>(size)));
        at += static_cast<std::size_t>(size);
    }
    if (image.kernel.empty() || image.cmdline.empty() || image.ramdisks.empty())
        return invalid_image("the kernel, the command line or a ramdisk is missing");
    if (image.ramdisks.size() > kMaxRamdisks)
        return invalid_image("too many ramdisks");
    if (at != file.size())
        return invalid_image("there are bytes after the last section");
    KEYMELD_CHECK(check_cmdline(image.cmdline));
    if (checksum(file) != header.checksum)
        return invalid_image("the checksum is wrong: the file is damaged");
    return image;
}

Result<Bytes> Image::write() const {
    std::vector<std::pair<SectionType, ByteView>> sections{
        {SectionType::Kernel, kernel}, {SectionType::Cmdline, as_bytes(cmdline)}};
    if (!metadata.empty())
        sections.emplace_back(SectionType::Metadata, as_bytes(metadata));
    for (const Bytes& ramdisk : ramdisks)
        sections.emplace_back(SectionType::Ramdisk, ramdisk);
    if (signature)
        sections.emplace_back(SectionType::Signature, *signature);
    if (ramdisks.empty() || ramdisks.size() > kMaxRamdisks)
        return invalid_image("it needs 1 to " + std::to_string(kMaxRamdisks) + " ramdisks");
    KEYMELD_CHECK(check_cmdline(cmdline));
    std::size_t total = kHeaderSize;
    for (const auto& [type, data] : sections) {
        const SectionRule* rule = rule_of(static_cast<std::uint16_t>(type));
        if (data.empty() || data.size() > rule->max_size)
            return invalid_image(std::string("the ") + rule->name + " is empty or too long");
        total += kSectionHeaderSize + data.size();
    }
    if (total > kMaxFile)
        return invalid_image("it would be too long");

    FieldWriter out;
    out.add(kMagic);
    out.add(kVersion);
    out.add(std::uint16_t{0});
    out.add(default_memory);
    out.add(default_cpus);
    out.add(std::uint16_t{0});
    out.add(static_cast<std::uint16_t>(sections.size()));
    std::uint64_t offset = kHeaderSize;
    for (std::size_t number = 0; number < kMaxSections; ++number) {
        const bool used = number < sections.size();
        out.add(used ? offset : std::uint64_t{0});
        offset += used ? kSectionHeaderSize + sections[number].second.size() : 0;
    }
    for (std::size_t number = 0; number < kMaxSections; ++number)
        out.add(std::uint64_t{number < sections.size() ? sections[number].second.size() : 0});
    out.add(std::uint32_t{0});
    out.add(std::uint32_t{0}); // the checksum's place
    for (const auto& [type, data] : sections) {
        out.add(static_cast<std::uint16_t>(type));
        out.add(std::uint16_t{0});
        out.add(std::uint64_t{data.size()});
        out.add_bytes(data);
    }
    Bytes file = std::move(out).take();
    const std::uint32_t sum = checksum(file);
    for (std::size_t byte = 0; byte < 4; ++byte)
        file[kChecksummedHeader + byte] = static_cast<std::uint8_t>(sum >> (24 - 8 * byte));
    return file;
}

attestation::PcrSet Image::measure() const {
    crypto::Sha384 whole;
    crypto::Sha384 boot;
    crypto::Sha384 application;
    for (crypto::Sha384* digest : {&whole, &boot})
        digest->update(kernel).update(as_bytes(cmdline));
    for (std::size_t number = 0; number < ramdisks.size(); ++number) {
        whole.update(ramdisks[number]);
        (number == 0 ? boot : application).update(ramdisks[number]);
    }
    const PcrValue zero{};
    return {{PcrIndex::of<0>(), attestation::extend_pcr(zero, whole.finish())},
            {PcrIndex::of<1>(), attestation::extend_pcr(zero, boot.finish())},
            {PcrIndex::of<2>(), attestation::extend_pcr(zero, application.finish())}};
}

} // namespace keymeld::eif
