// The key of a simulated enclave in a file, so that a simulator survives a restart without peers.
//
// Simulator only: the file is not encrypted, because whatever could decrypt it would lie beside it.
// Whoever reads it has every key that clients gave to this simulated enclave.
#pragma once

#include <filesystem>

#include "enclave/signer/sealing.h"

namespace keymeld::enclave {

class FileSealing final : public SealingProvider {
  public:
    explicit FileSealing(std::filesystem::path file) : m_file(std::move(file)) {}
    std::string_view name() const override { return "file"; }
    /// Reads the identity, or makes one with epoch 1 and writes it (mode 0600, complete or not at
    /// all). `Errc::Io`; `Errc::ConfigInvalid` for a file of another form, or that others may read.
    Result<EnclaveIdentity> begin() override;

  private:
    std::filesystem::path m_file;
};

} // namespace keymeld::enclave
