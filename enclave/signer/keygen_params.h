// Everything that is fixed when a keygen session is created (enclave.proto KeygenParams), checked
// and typed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/bitcoin/ecies_aad.h"
#include "core/crypto/digest.h"
#include "core/crypto/public_key.h"
#include "enclave/signer/secret_codec.h"

namespace keymeld::wire {
class KeygenParams;
}

namespace keymeld::enclave {

struct KeygenParams {
    bitcoin::SessionParams session; ///< what clients name in their AAD
    std::vector<crypto::PlainPubKey>
        enclaves; ///< every enclave of the session once; [0] is the coordinator enclave
    std::vector<std::uint16_t> slots; ///< enclave of each participant, index into `enclaves`
    bool ecies_aad = false;
    crypto::Hash256 digest{}; ///< over all of the above, the same at every enclave of the session

    /// 2..1000 participants without duplicates, as many slots, slot 0 at the coordinator enclave, a
    /// known tweak type with the value that it takes. `Errc::InvalidArgument`,
    /// `Errc::InvalidPoint`, `Errc::InvalidScalar` (tweak not below the group order, with pointer).
    static Result<KeygenParams> parse(const wire::KeygenParams& message);

    std::size_t participants() const { return session.expected_participants.size(); }
    /// Position in `enclaves`.
    std::optional<std::uint16_t> enclave_index(ByteView key33) const;
    std::optional<std::uint32_t> signer_index(const UserId& user) const;
    /// `<params>` of rest-v1.md 5.1.
    std::string params_id() const { return bitcoin::params_id(session); }

    void encode(SecretWriter& out) const;
    static Result<KeygenParams> decode(SecretReader& in);

  private:
    void compute_digest();
};

} // namespace keymeld::enclave
