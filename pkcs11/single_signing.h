// Signatures by single keys, and making such keys.
#pragma once

#include "appliance/client/credential_store.h"
#include "appliance/client/single_keys.h"
#include "pkcs11/musig_signing.h"
#include "pkcs11/session.h"

namespace keymeld::pkcs11 {

/// The form in which the client library uses a key of the store. `Errc::ConfigInvalid` if its credentials are damaged.
Result<client::OwnedKey> owned_key(const client::StoredKey& key, const client::KeySecrets& secrets);

/// One signature by one request, repeated as it is when the way to the appliance breaks. It verifies under the key when the code is OK.
client::Async<Result<SignOutcome>> single_sign(client::SingleKeys& keys, const client::StoredKey& key, const client::KeySecrets& secrets,
                                               const SignOperation& operation, const ByteArray<32>& hash);

/// C_GenerateKeyPair: has an enclave make a key and puts its credentials into the token's store.
CK_RV generate_key_pair(Session& session, const CK_MECHANISM* mechanism, std::span<const CK_ATTRIBUTE> public_template,
                        std::span<const CK_ATTRIBUTE> private_template, CK_OBJECT_HANDLE& public_key, CK_OBJECT_HANDLE& private_key);

} // namespace keymeld::pkcs11
