// What a KeyMeld enclave puts into its document: its ECIES key in public_key, the key's epoch in
// user_data. Source: rest-v1.md section 4.3.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace keymeld::attestation {

class VerifiedAttestation;

/// The enclave key that a verified document vouches for.
struct KeyBinding {
    ByteArray<33> public_key{};  ///< compressed secp256k1 point; its form is checked here, not that
                                 ///< it is on the curve
    std::uint64_t key_epoch = 0; ///< 1 or above
};

/// {"key_epoch":<epoch>,"protocol":"keymeld-v1"}, compact, members in this order.
std::string make_user_data(std::uint64_t key_epoch);

/// The epoch of exactly that text; any other byte, leading zeros and epoch 0 are
/// `Errc::InvalidArgument`. [any-thread]
Result<std::uint64_t> parse_user_data(ByteView user_data);

/// The key of a verified document: public_key of 33 bytes starting 02 or 03 and a well-formed
/// user_data, else `Errc::AttestationRefused` (check public_key). [any-thread]
Result<KeyBinding> key_binding(const VerifiedAttestation& verified);

} // namespace keymeld::attestation
