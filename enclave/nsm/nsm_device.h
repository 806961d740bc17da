// The real module: ioctl on /dev/nsm (Linux drivers/misc/nsm.c, uapi linux/nsm.h).
#pragma once

#include <memory>
#include <string>

#include "enclave/nsm/nsm_transport.h"

namespace keymeld::nsm {

class NsmDevice final : public NsmTransport {
  public:
    /// `Errc::AttestationUnavailable` if the device cannot be opened. [startup]
    static Result<std::unique_ptr<NsmDevice>> open(const std::string& path = "/dev/nsm");

    ~NsmDevice() override;
    NsmDevice(const NsmDevice&) = delete;
    NsmDevice& operator=(const NsmDevice&) = delete;

    Result<Bytes> process(ByteView request) override;

  private:
    explicit NsmDevice(int descriptor) : m_descriptor(descriptor) {}
    int m_descriptor;
};

} // namespace keymeld::nsm
