#include "enclave/signer/roster.h"

#include "core/crypto/hmac.h"
#include "enclave/signer/wire_fields.h"

namespace keymeld::enclave {
namespace {

template <class T> ByteArray<sizeof(T)> big_endian(T value) {
    ByteArray<sizeof(T)> out;
    for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >>
                                           (8 * (out.size() - 1 - i)));
    return out;
}

} // namespace

crypto::Hash256 registration_tag(const RosterKey& key, const KeygenId& keygen,
                                 const crypto::Hash256& params_digest, const UserId& user,
                                 const crypto::PlainPubKey& public_key,
                                 session::ApprovalPolicy policy) {
    const auto policy_byte = big_endian(static_cast<std::uint8_t>(policy_number(policy)));
    return crypto::hmac_sha256(key.expose(),
                               {as_bytes("keymeld-registration-v1"), keygen.view(), params_digest,
                                user.view(), public_key.bytes(), policy_byte});
}

crypto::Hash256 contribution_tag(const RosterKey& key, const AttemptId& attempt,
                                 const crypto::PlainPubKey& enclave, const Standing& standing,
                                 std::span<const NonceEntry> nonces) {
    Bytes list;
    list.reserve(nonces.size() * 132);
    for (const NonceEntry& entry : nonces) {
        const auto index = big_endian(entry.signer_index);
        list.insert(list.end(), index.begin(), index.end());
        list.insert(list.end(), entry.pubnonce.begin(), entry.pubnonce.end());
    }
    return crypto::hmac_sha256(
        key.expose(),
        {as_bytes("keymeld-contribution-v2"), attempt.keygen.view(), attempt.signing.view(),
         big_endian(attempt.attempt), attempt.message, enclave.bytes(),
         big_endian(standing.ledger_version), big_endian(standing.incarnation.number),
         big_endian(standing.incarnation.instance),
         big_endian(static_cast<std::uint32_t>(nonces.size())), list});
}

} // namespace keymeld::enclave
