#include "enclave/image/tool/report.h"

#include <cstdio>

#include "core/attestation/eif/cpio.h"
#include "core/attestation/eif/signature.h"
#include "core/attestation/json_cursor.h"
#include "core/base/hex.h"
#include "core/crypto/digest.h"
#include "enclave/image/tool/metadata.h"

namespace keymeld::eif {
namespace {

using attestation::PcrIndex;

std::string sha256_hex(ByteView data) {
    return hex_encode(crypto::sha256(data));
}

/// JSON text of anything: what cannot stand in a quoted string becomes "?".
std::string quote(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f)
            c = '?';
    return attestation::json_quote(text);
}

std::string printable(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            c = '?';
    return text;
}

std::string mode_text(std::uint32_t mode) {
    char text[16];
    std::snprintf(text, sizeof text, "%06o", mode);
    return text;
}

std::string signature_text(const ImageReport& report) {
    if (!report.signature)
        return "none";
    return *report.signature ? "good" : "BAD: " + report.signature->error().detail;
}

/// Calls `each` with every entry; says in the report when it is no archive that we can list.
template <class Each> bool list(const Bytes& ramdisk, Each each) {
    const auto entries = read_archive(ramdisk);
    if (entries)
        for (const ArchiveEntry& entry : *entries)
            each(entry);
    return entries.has_value();
}

} // namespace

Result<ImageReport> inspect(ByteView file) {
    ImageReport report;
    KEYMELD_TRY(report.image, Image::read(file));
    report.file_size = file.size();
    report.file_sha256 = sha256_hex(file);
    report.pcrs = report.image.measure();
    if (report.image.signature) {
        const auto pcr8 =
            verify_signature(*report.image.signature, report.pcrs.at(PcrIndex::of<0>()));
        report.signature = pcr8 ? Status() : Status(pcr8.error());
        if (pcr8)
            report.pcrs.emplace(PcrIndex::of<8>(), *pcr8);
    }
    return report;
}

std::string pcrs_json(const attestation::PcrSet& pcrs) {
    std::string out = "{";
    for (const auto& [name, value] : attestation::pcr_texts(pcrs))
        out += (out.size() > 1 ? ",\"" : "\"") + name + "\":\"" + value + "\"";
    return out + "}";
}

std::string pcrs_lines(const attestation::PcrSet& pcrs) {
    std::string out;
    for (const auto& [name, value] : attestation::pcr_texts(pcrs))
        out += name + "  " + value + "\n";
    return out;
}

std::string as_lines(const ImageReport& report) {
    const Image& image = report.image;
    std::string out = "size       " + std::to_string(report.file_size) + " bytes\nsha256     " +
                      report.file_sha256 + "\nkernel     " + std::to_string(image.kernel.size()) +
                      " bytes, " + printable(kernel_version(image.kernel)) + ", sha256 " +
                      sha256_hex(image.kernel) + "\ncmdline    " + image.cmdline + "\nmetadata   " +
                      printable(image.metadata) + "  (not measured)\n";
    int number = 0;
    for (const Bytes& ramdisk : image.ramdisks) {
        out += "ramdisk " + std::to_string(++number) + "  " + std::to_string(ramdisk.size()) +
               " bytes, sha256 " + sha256_hex(ramdisk) + "\n";
        const bool listed = list(ramdisk, [&](const ArchiveEntry& entry) {
            out += "           " + mode_text(entry.mode) + " " + std::to_string(entry.uid) + ":" +
                   std::to_string(entry.gid) + " " + printable(entry.path);
            if (!entry.content.empty())
                out += "  " + std::to_string(entry.content.size()) + " bytes, sha256 " +
                       sha256_hex(entry.content);
            out += "\n";
        });
        if (!listed)
            out += "           (not a plain cpio archive)\n";
    }
    return out + "signature  " + signature_text(report) + "\n" + pcrs_lines(report.pcrs);
}

std::string as_json(const ImageReport& report) {
    const Image& image = report.image;
    std::string out = "{\"size\":" + std::to_string(report.file_size) + ",\"sha256\":\"" +
                      report.file_sha256 +
                      "\",\"kernel\":{\"size\":" + std::to_string(image.kernel.size()) +
                      ",\"version\":" + quote(kernel_version(image.kernel)) + ",\"sha256\":\"" +
                      sha256_hex(image.kernel) + "\"},\"cmdline\":" + quote(image.cmdline) +
                      ",\"metadata\":" + quote(image.metadata) + ",\"ramdisks\":[";
    const char* separator = "";
    for (const Bytes& ramdisk : image.ramdisks) {
        out += std::string(separator) + "{\"size\":" + std::to_string(ramdisk.size()) +
               ",\"sha256\":\"" + sha256_hex(ramdisk) + "\",\"files\":";
        std::string files = "[";
        const bool listed = list(ramdisk, [&](const ArchiveEntry& entry) {
            files += std::string(files.size() > 1 ? "," : "") + "{\"path\":" + quote(entry.path) +
                     ",\"mode\":\"" + mode_text(entry.mode) +
                     "\",\"uid\":" + std::to_string(entry.uid) +
                     ",\"gid\":" + std::to_string(entry.gid) +
                     ",\"size\":" + std::to_string(entry.content.size()) + ",\"sha256\":\"" +
                     sha256_hex(entry.content) + "\"}";
        });
        out += (listed ? files + "]" : "null") + "}";
        separator = ",";
    }
    return out + "],\"signature\":" + quote(signature_text(report)) +
           ",\"pcrs\":" + pcrs_json(report.pcrs) + "}\n";
}

} // namespace keymeld::eif
