// Fields of wire messages to typed values. Every size is checked here; what breaks a rule is
// `Errc::InvalidArgument` unless said otherwise.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/base/uuid.h"
#include "core/crypto/public_key.h"
#include "core/session/status.h"

namespace keymeld::enclave {

Result<KeygenId> keygen_id_of(const std::string& field);
Result<SigningId> signing_id_of(const std::string& field);
Result<UserId> user_id_of(const std::string& field);
Result<ByteArray<32>> bytes32_of(const std::string& field);
/// 33 bytes compressed. `Errc::InvalidPoint` for bytes that are no point.
Result<crypto::PlainPubKey> point_of(const std::string& field);
/// The wire's ApprovalPolicy number.
Result<session::ApprovalPolicy> policy_of(int number);
int policy_number(session::ApprovalPolicy policy);

template <std::size_t N> std::string wire_bytes(const ByteArray<N>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::string wire_bytes(ByteView bytes) {
    return std::string(as_text(bytes));
}

/// This error with the body field at fault (RFC 6901), for REST clients.
inline Error at(Error error, std::string pointer) {
    return std::move(error).with("pointer", std::move(pointer));
}

} // namespace keymeld::enclave
