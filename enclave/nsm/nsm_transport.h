// One request and one answer of a Nitro security module, as CBOR: what /dev/nsm carries.
#pragma once

#include <cstddef>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::nsm {

inline constexpr std::size_t kMaxRequest = 0x1000;
inline constexpr std::size_t kMaxResponse = 0x3000;

/// Thread rule: process() may be called from any thread; requests run one at a time.
class NsmTransport {
  public:
    virtual ~NsmTransport() = default;

    /// Sends a CBOR request of at most kMaxRequest bytes, returns the CBOR answer of at most
    /// kMaxResponse bytes. An answer that reports an error of the module is still a value here.
    /// `Errc::InvalidArgument` for a longer request, `Errc::Io` if the device failed. Answers to
    /// GetRandom seed generators: NsmClient wipes them, other callers must.
    virtual Result<Bytes> process(ByteView request) = 0;
};

} // namespace keymeld::nsm
