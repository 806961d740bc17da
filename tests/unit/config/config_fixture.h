// Configurations for tests: a small valid one, and variants of it.
#pragma once

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "core/config/config.h"

namespace keymeld::test {

inline constexpr char kStorage[] = "storage: { plugin: storage-sqlite, path: data/keymeld.db }\n";
inline constexpr char kTweak[] = "tweak: { plugin: tweak-taproot }\n";
inline constexpr char kEnclave[] =
    "enclaves:\n"
    "  - id: 7\n"
    "    transport: { plugin: transport-tcp-sim, host: 127.0.0.1, port: 5000 }\n"
    "    attestation: { trust: root.pem, pcrs: pcrs.json }\n";

/// Line numbers in expectations count from here: storage 1, tweak 2, enclaves 3 to 6, more from 7.
inline std::string yaml_with(const std::string& more) {
    return std::string(kStorage) + kTweak + kEnclave + more;
}

inline Result<config::Config> load(const std::string& yaml,
                                   std::map<std::string, std::string> environment = {}) {
    return config::load_text(yaml, "k.yaml", "/etc/keymeld",
                             [&](std::string_view name) -> std::optional<std::string> {
                                 const auto found = environment.find(std::string(name));
                                 if (found == environment.end())
                                     return std::nullopt;
                                 return found->second;
                             });
}

/// The one line that a configuration is refused with.
inline std::string refusal(const std::string& yaml,
                           std::map<std::string, std::string> environment = {}) {
    const auto loaded = load(yaml, std::move(environment));
    if (loaded)
        return "(accepted)";
    EXPECT_EQ(loaded.error().code, Errc::ConfigInvalid);
    EXPECT_EQ(loaded.error().detail.find('\n'), std::string::npos) << loaded.error().detail;
    return loaded.error().detail;
}

inline std::string refusal_with(const std::string& more) {
    return refusal(yaml_with(more));
}

} // namespace keymeld::test
