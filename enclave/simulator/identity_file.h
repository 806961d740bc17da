// The key of a simulated enclave in a file, so that a simulator survives a restart as an enclave
// with key handover would.
//
// Simulator only: the file is not encrypted, because whatever could decrypt it would lie beside it.
// Whoever reads it has every key that clients gave to this simulated enclave.
#pragma once

#include <filesystem>

#include "core/base/result.h"
#include "enclave/signer/enclave_identity.h"

namespace keymeld::enclave {

/// Reads the identity, or makes one with epoch 1 and writes it (mode 0600, complete or not at all).
/// `Errc::Io`; `Errc::ConfigInvalid` for a file of another form, or that others may read. [startup]
Result<EnclaveIdentity> load_or_create_identity(const std::filesystem::path& file);

} // namespace keymeld::enclave
