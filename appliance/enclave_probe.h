// Asks enclaves who they are, without an engine: for `keymeld enclave list` and `keymeld doctor`. Safe beside a running appliance: it opens a
// stream of its own and asks for nothing that changes state.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/config/config.h"

namespace keymeld::appliance {

struct EnclaveProbe {
    std::uint32_t enclave_id = 0;
    bool enabled = true;
    std::string transport;               ///< "tcp 127.0.0.1:5000"; the plugin's name if it could not be made
    std::optional<Error> transport_error;///< the plugin or its options
    std::optional<Error> reach_error;    ///< no connection, or no hello
    std::optional<Error> attestation_error;
    // When everything went well:
    bool attested = false;
    bool hardware = false;
    std::string image;                   ///< name of the allow-list entry
    std::map<std::string, std::string> pcrs;
    ByteArray<33> public_key{};
    std::uint64_t key_epoch = 0;
    std::string sealing;                 ///< how its key survives a restart: none, file, peer
    std::uint64_t incarnation = 0;       ///< with peer sealing: 1, and one more after each restart
    std::string signer_version;
    std::uint64_t uptime_seconds = 0;
    std::uint32_t known_keygens = 0;
    std::int64_t clock_offset_ms = 0;    ///< time in the document minus this machine's
    std::chrono::milliseconds took{0};   ///< connection, hello and verification

    /// The first thing that went wrong.
    const Error* error() const;
};

/// All enabled enclaves at the same time, each for at most `time`; disabled ones are listed and not asked. Runs an event loop of its own.
/// [startup]
std::vector<EnclaveProbe> probe_enclaves(const config::Config& config, std::chrono::milliseconds time);

} // namespace keymeld::appliance
