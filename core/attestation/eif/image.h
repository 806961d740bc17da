// The enclave image file (EIF), version 4: what nitro-cli and QEMU boot. Read, written, measured.
//
// Source: the EIF format of aws-nitro-enclaves-image-format. A header of 548 bytes, then sections
// back to back: kernel, command line, metadata, ramdisks, signature; all integers big-endian.
// All of it is public data. Library keymeld_eif: no enclave image links it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/attestation/pcr.h"
#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::eif {

// Bounds of what is read and written, bytes. Checked against the header before anything is copied.
inline constexpr std::size_t kMaxKernel = 64u * 1024 * 1024;
inline constexpr std::size_t kMaxCmdline = 2047; ///< x86 Linux keeps 2048 with the terminator
inline constexpr std::size_t kMaxMetadata = 64u * 1024;
inline constexpr std::size_t kMaxRamdisk = 128u * 1024 * 1024;
inline constexpr std::size_t kMaxSignature = 32u * 1024;
inline constexpr std::size_t kMaxRamdisks = 28; ///< 32 sections in all
inline constexpr std::size_t kMaxFile = 512u * 1024 * 1024;

/// An x86-64 image. Thread rule: a value.
struct Image {
    std::uint64_t default_memory = 1024u * 1024 * 1024; ///< bytes; a hint that is not measured
    std::uint64_t default_cpus = 2;                     ///< a hint that is not measured
    Bytes kernel;                                       ///< bzImage, as it is
    std::string cmdline;                                ///< no NUL, no line end
    std::string metadata;             ///< JSON or empty; not measured: nothing in it can be trusted
    std::vector<Bytes> ramdisks;      ///< in boot order; 1 to kMaxRamdisks
    std::optional<Bytes> signature{}; ///< the section's content, see signature.h

    /// Reads a whole file: every field of the header, the order and place of every section, no byte
    /// between or after them, and the checksum. `Errc::InvalidArgument` with what is wrong;
    /// `Errc::Unsupported` for another version or processor. [any-thread]
    static Result<Image> read(ByteView file);

    /// The file. The same image always gives the same bytes. `Errc::InvalidArgument` if a part is
    /// missing, empty or out of bounds. [any-thread]
    Result<Bytes> write() const;

    /// PCR0 (kernel, command line, all ramdisks), PCR1 (kernel, command line, first ramdisk) and
    /// PCR2 (the other ramdisks), as the hypervisor extends them before it starts the image.
    /// [any-thread]
    attestation::PcrSet measure() const;
};

} // namespace keymeld::eif
