#include "enclave/signer/wire_fields.h"

#include <cstring>

#include "core/protocol/enclave.pb.h"

namespace keymeld::enclave {
namespace {

template <class IdType> Result<IdType> id_of(const std::string& field, const char* what) {
    auto uuid = Uuid::from_bytes(as_bytes(field));
    if (!uuid)
        return fail(Errc::InvalidArgument, what);
    return IdType(*uuid);
}

} // namespace

Result<KeygenId> keygen_id_of(const std::string& field) {
    return id_of<KeygenId>(field, "keygen id is not 16 bytes");
}

Result<SigningId> signing_id_of(const std::string& field) {
    return id_of<SigningId>(field, "signing id is not 16 bytes");
}

Result<UserId> user_id_of(const std::string& field) {
    return id_of<UserId>(field, "user id is not 16 bytes");
}

Result<ByteArray<32>> bytes32_of(const std::string& field) {
    ByteArray<32> out{};
    if (field.size() != out.size())
        return fail(Errc::InvalidArgument, "field is not 32 bytes");
    std::memcpy(out.data(), field.data(), out.size());
    return out;
}

Result<crypto::PlainPubKey> point_of(const std::string& field) {
    if (field.size() != 33)
        return fail(Errc::InvalidArgument, "public key is not 33 bytes");
    return crypto::PlainPubKey::parse(as_bytes(field));
}

Result<session::ApprovalPolicy> policy_of(int number) {
    switch (number) {
    case wire::POLICY_NONE:
        return session::ApprovalPolicy::None;
    case wire::POLICY_HEADER:
        return session::ApprovalPolicy::Header;
    case wire::POLICY_BOUND:
        return session::ApprovalPolicy::Bound;
    default:
        return fail(Errc::InvalidArgument, "unknown approval policy");
    }
}

int policy_number(session::ApprovalPolicy policy) {
    switch (policy) {
    case session::ApprovalPolicy::None:
        return wire::POLICY_NONE;
    case session::ApprovalPolicy::Header:
        return wire::POLICY_HEADER;
    case session::ApprovalPolicy::Bound:
        return wire::POLICY_BOUND;
    }
    return wire::POLICY_BOUND;
}

} // namespace keymeld::enclave
