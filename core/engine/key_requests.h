// Requests of clients about single keys (rest-keys.md).
//
// The enclave of a key judges every request from the header as it came; what is checked here too only fails earlier, or is the long memory of
// used nonces. All that an enclave changed is stored before a client is answered.
#pragma once

#include "core/engine/api.h"
#include "core/engine/async.h"
#include "core/engine/enclave_call.h"
#include "core/engine/store.h"

namespace keymeld::engine {

struct Hub;

// key_requests.cpp
Async<Result<ReservedKey>> reserve_key(Hub& hub, UserId user);
Async<Result<KeyView>> import_key(Hub& hub, ImportKey request);
Async<Result<KeyView>> generate_key(Hub& hub, GenerateKey request);
Async<Result<KeyView>> keep_key(Hub& hub, KeepKey request);
Async<Result<std::vector<KeyView>>> list_keys(Hub& hub, KeyRequest request);
Async<Result<KeyView>> key_status(Hub& hub, KeyRequest request);
Async<Status> delete_key(Hub& hub, KeyRequest request);

// key_signing_requests.cpp
Async<Result<SingleSigningView>> sign_single(Hub& hub, SignSingle request);
Async<std::vector<Result<SingleSigningView>>> sign_batch(Hub& hub, std::vector<SignSingle> requests);
Async<Result<SingleSigningView>> single_signing_status(Hub& hub, SigningId id, UserId user, std::string user_header);

/// For a request about a key that the enclave does not judge as a whole: the enclave verifies the header over `scope`, a used nonce is refused,
/// and its use is stored. `nonce_used`: storage or another request knows it.
Async<Status> authenticate_owner(Hub& hub, const plugin::KeyRecord& key, Uuid scope, std::string header, bool nonce_used,
                                 plugin::UseKeyNonce use, SteadyTime deadline);
/// A command to the enclave of a key, without its content.
EnclaveCall key_call(Hub& hub, const KeyId& key, std::uint32_t enclave, SteadyTime deadline);
/// An enclave refused a request: if that says that its header was genuine, the nonce is used up, durably.
Async<Status> remember_user_nonce(Hub& hub, Errc refusal, plugin::UseKeyNonce use);
/// The header's nonce was used before: says so only to the owner, to anybody else that the header is wrong.
Error replayed(const ByteArray<33>& auth_pubkey, const Uuid& scope, const UserId& user, std::string_view header);

} // namespace keymeld::engine
