// Requests as a security module reads them, and its answers. Internal to keymeld_nsm_sim.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <variant>

#include "core/attestation/pcr.h"
#include "core/base/bytes.h"

namespace keymeld::nsm {

/// The error names of the NSM API.
enum class NsmError {
    InvalidArgument,
    InvalidIndex,
    ReadOnlyIndex,
    InvalidOperation,
    InputTooLarge,
    InternalError,
};

struct DescribeNsm {};
struct GetRandom {};
struct DescribePcr {
    std::uint64_t index = 0;
};
struct ExtendPcr {
    std::uint64_t index = 0;
    Bytes data;
};
struct LockPcr {
    std::uint64_t index = 0;
};
struct LockPcrs {
    std::uint64_t count = 0;
};
struct Attest {
    std::optional<Bytes> user_data;
    std::optional<Bytes> nonce;
    std::optional<Bytes> public_key;
};
using NsmRequest =
    std::variant<DescribeNsm, GetRandom, DescribePcr, ExtendPcr, LockPcr, LockPcrs, Attest>;

/// nullopt: not a request (the module answers InvalidOperation).
std::optional<NsmRequest> decode_request(ByteView cbor);

Bytes encode_error(NsmError error);
Bytes encode_description(std::string_view module_id, const std::set<attestation::PcrIndex>& locked);
Bytes encode_random(ByteView random);
Bytes encode_pcr(const attestation::PcrValue& value, bool locked);
Bytes encode_extended(const attestation::PcrValue& value);
/// "LockPCR" or "LockPCRs".
Bytes encode_done(std::string_view request);
Bytes encode_document(ByteView document);

} // namespace keymeld::nsm
