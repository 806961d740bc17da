// The allow-list of measurements: which images a verifier accepts.
//
// File pcrs.json: {"allowed":[{"name":"keymeld-enclave 1.0","PCR0":"<96 hex>","PCR8":"<96 hex>"},
// ...]}. An entry matches if every register that it names has that value; it must name PCR0, or
// both PCR1 and PCR2. Zero PCR0, PCR1 or PCR2 cannot be written.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/attestation/pcr.h"
#include "core/base/result.h"

namespace keymeld::attestation {

class PcrPolicy {
  public:
    struct Entry {
        std::string name;
        PcrSet required;
    };

    static constexpr std::size_t kMaxEntries = 256;
    static constexpr std::size_t kMaxFile = 256 * 1024;

    /// `Errc::ConfigInvalid` for an empty list, an entry without PCR0 and without PCR1+PCR2, or a
    /// zero register among these.
    static Result<PcrPolicy> make(std::vector<Entry> allowed);
    /// Strict JSON: no unknown or repeated member, nothing after it. `Errc::ConfigInvalid` with
    /// line and column. [startup]
    static Result<PcrPolicy> parse(std::string_view json);
    /// `Errc::Io`, `Errc::ConfigInvalid`; the detail names the file.
    static Result<PcrPolicy> from_file(const std::filesystem::path& path);

    /// The first entry that the registers satisfy, or nullptr. A document whose PCR0 is zero or
    /// absent satisfies none.
    const Entry* match(const PcrSet& pcrs) const;
    const std::vector<Entry>& entries() const { return m_allowed; }
    /// The file form, readable by parse().
    std::string to_json() const;

  private:
    explicit PcrPolicy(std::vector<Entry> allowed) : m_allowed(std::move(allowed)) {}
    std::vector<Entry> m_allowed;
};

} // namespace keymeld::attestation
