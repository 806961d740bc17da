// Platform configuration registers of a Nitro enclave: 32 registers of 48 bytes, SHA-384.
// Source: nitro enclaves, "cryptographic attestation": PCR = SHA-384(PCR before || data). All of it
// is public data.
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/digest.h"

namespace keymeld::attestation {

/// The content of one register.
using PcrValue = ByteArray<48>;

/// Number of a register: 0 to 31, 32 is not one.
class PcrIndex {
  public:
    static constexpr std::uint64_t kCount = 32;

    /// `Errc::InvalidArgument` from 32 on.
    static Result<PcrIndex> make(std::uint64_t number);
    /// The text form "PCR0" to "PCR31", no leading zero. `Errc::InvalidArgument`.
    static Result<PcrIndex> parse(std::string_view name);
    /// A number fixed in the source; does not compile from 32 on.
    template <std::uint8_t N>
    requires(N < kCount) static constexpr PcrIndex of() { return PcrIndex(N); }

    std::uint8_t number() const { return m_number; }
    /// "PCR0", the name that REST answers and pcrs.json use.
    std::string name() const;
    auto operator<=>(const PcrIndex&) const = default;

  private:
    explicit constexpr PcrIndex(std::uint8_t number) : m_number(number) {}
    std::uint8_t m_number;
};

using PcrSet = std::map<PcrIndex, PcrValue>;

/// True if all 48 bytes are zero (an enclave in debug mode reports PCR0 so).
bool is_zero(const PcrValue& value);

/// SHA-384 of a file's content, read in pieces. `Errc::Io`. [any-thread]
Result<crypto::Hash384> sha384_file(const std::filesystem::path& path);

/// The register after one extension: SHA-384(before || data). [any-thread]
PcrValue extend_pcr(const PcrValue& before, ByteView data);

/// What the simulator reports for a program: PCR0, PCR1 and PCR2 are 48 zero bytes extended once
/// with SHA-384 of the file. `Errc::Io`. [any-thread]
Result<PcrSet> measure_executable(const std::filesystem::path& path);

/// "PCR0" -> lower-case hex, for REST answers. [any-thread]
std::map<std::string, std::string> pcr_texts(const PcrSet& pcrs);

} // namespace keymeld::attestation
