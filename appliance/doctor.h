// What `keymeld doctor` checks: everything that `serve` needs, one after the other, each with what to do when it is not there.
#pragma once

#include <string>
#include <vector>

#include "core/config/config.h"

namespace keymeld::appliance {

enum class Finding { Ok, Warning, Failed };

struct CheckLine {
    Finding finding = Finding::Ok;
    std::string name;    ///< "plugin storage-sqlite"
    std::string detail;  ///< what was found, or what is wrong
    std::string remedy;  ///< what to do; empty if Ok
};

/// Runs every check that can be run; a failed one does not stop the others. Opens the database as `serve` does (and so creates it), binds the
/// ports for a moment, speaks to the enclaves for at most `enclave_time`. [startup]
std::vector<CheckLine> examine(const config::Config& config, std::chrono::milliseconds enclave_time);

} // namespace keymeld::appliance
