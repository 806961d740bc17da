// Configuration of the module: pkcs11.yaml, a flat subset of YAML that this reader checks to the letter.
//
//   log: error                       # off, error, info
//   tokens:
//     - credentials: alice.credentials
//       pin-file: alice.pin          # optional: no PIN is asked for
//       sign_timeout: 30             # seconds
//       refresh_secs: 5
//       generate_keys: false
//
// Top-level `name: value` lines, one list of mappings under `tokens`, comments, values plain or in double or single quotes without escapes.
// yaml-cpp is not loaded into strangers' processes (docs/decisions).
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "pkcs11/log.h"

namespace keymeld::pkcs11 {

struct TokenConfig {
    std::filesystem::path credentials; ///< relative to the configuration file's folder
    std::optional<std::filesystem::path> pin_file;
    std::chrono::seconds sign_timeout{30};
    std::chrono::seconds refresh{5};
    bool generate_keys = false;
};

struct Config {
    log::Level log = log::Level::Error;
    std::vector<TokenConfig> tokens; ///< at most kMaxTokens; the slot's number is the place here

    static constexpr std::size_t kMaxTokens = 64;
    static constexpr std::size_t kMaxFile = 64 * 1024;

    /// `Errc::ConfigInvalid`: "<name>:<line>: <key>: <what is wrong>".
    static Result<Config> parse(std::string_view text, const std::filesystem::path& name);
    /// Of the file that find() names; refused if others than its owner and root can write it.
    static Result<Config> load();
    /// $KEYMELD_PKCS11_CONFIG, ~/.config/keymeld/pkcs11.yaml, /etc/keymeld/pkcs11.yaml: the first that exists, or the variable's whether it
    /// exists or not. In a set-user-id program (AT_SECURE) the last only. `Errc::ConfigInvalid` names the places.
    static Result<std::filesystem::path> find();
};

} // namespace keymeld::pkcs11
