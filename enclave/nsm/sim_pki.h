// The simulator's own attestation PKI. Never linked into an image: library keymeld_nsm_sim only.
//
// A directory holds root.pem (for `trust:`), root-key.pem (mode 0600) and pcrs.json (for `pcrs:`).
// Whoever has root-key.pem can forge documents of this simulator; nothing that trusts the AWS root
// believes them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/crypto/cose.h"

namespace keymeld::nsm {

/// A leaf with its key and chain, as one software NSM uses it until `not_after`.
struct SimLeaf {
    Bytes certificate;            ///< DER
    std::vector<Bytes> cabundle;  ///< DER: root, instance
    cose::Es384Sign sign;         ///< holds the private key
    std::uint64_t not_before = 0; ///< seconds since the Unix epoch
    std::uint64_t not_after = 0;
};

/// Thread rule: immutable after load; any thread.
class SimPki {
  public:
    static constexpr std::uint64_t kLeafSeconds = 3 * 3600; ///< as Nitro's leaf
    static constexpr std::uint64_t kInstanceSeconds =
        24 * 3600; ///< as Nitro's instance certificate
    static constexpr const char* kRootName = "KeyMeld simulator root, not for production";

    /// Makes a new root in `directory` (created if missing) and pcrs.json for `executable`.
    /// Existing files are not touched: `Errc::InvalidArgument`. `Errc::Io`. [startup]
    static Result<SimPki> create(const std::filesystem::path& directory,
                                 const std::filesystem::path& executable);

    /// Reads root.pem and root-key.pem. `Errc::Io`; `Errc::ConfigInvalid` if they do not belong
    /// together or the key file is readable by others. [startup]
    static Result<SimPki> load(const std::filesystem::path& directory);

    /// Writes pcrs.json again, after the simulator program was rebuilt. `Errc::Io`. [startup]
    static Status write_pcrs(const std::filesystem::path& directory,
                             const std::filesystem::path& executable);

    /// New instance and leaf keys and certificates for `module_id`, valid from one minute before
    /// `now` (seconds since the Unix epoch). `Errc::Internal` if OpenSSL fails.
    Result<SimLeaf> issue(const std::string& module_id, std::uint64_t now) const;

    const Bytes& root_der() const;

    SimPki(SimPki&&) noexcept;
    SimPki& operator=(SimPki&&) noexcept;
    ~SimPki();

  private:
    struct Impl;
    explicit SimPki(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace keymeld::nsm
