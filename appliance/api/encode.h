// The engine's answers as the bodies of rest-v1.md section 4: v0 members first, in the order of the specification. Public values and
// ciphertext only. [any-thread]
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine/api.h"

namespace keymeld::api {

std::string encode_enclaves(const std::vector<engine::EnclaveView>& enclaves);
/// `now` in Unix seconds.
std::string encode_public_key(const engine::EnclaveView& enclave, std::uint64_t now);
std::string encode_attestation(const engine::AttestationAnswer& answer);
std::string encode(const engine::CreateKeygenAnswer& answer);
std::string encode(const KeygenId& id, const engine::SlotsAnswer& answer);
std::string encode(const engine::RegisterAnswer& answer);
std::string encode(const engine::KeygenView& view);
std::string encode(const engine::CreateSigningAnswer& answer);
std::string encode(const engine::SigningView& view);
std::string encode(const engine::ReservedKey& key);
/// The answer to import and generate.
std::string encode_made(const engine::KeyView& key);
/// The answer to keep.
std::string encode_kept(const engine::KeyView& key, const KeygenId& keygen);
std::string encode_keys(const UserId& user, const std::vector<engine::KeyView>& keys);
std::string encode_status(const engine::KeyView& key);
std::string encode_deleted(const KeyId& key, const UserId& user);
std::string encode(const engine::SingleSigningView& view);
/// `errors_and_answers`: complete JSON objects.
std::string encode_batch(const std::vector<std::string>& errors_and_answers);
std::string encode(const engine::HealthView& view, std::string_view version);
/// The 200 body of /ready.
std::string encode_ready(const engine::ReadyView& view);
/// The member `"reasons":[...]` of the 503 of /ready.
std::string encode_not_ready(const engine::ReadyView& view);
std::string encode_version(std::string_view version, bool attestation);

/// One server-sent event of 4.8.
std::string encode_event(std::uint64_t id, std::string_view data);

} // namespace keymeld::api
