// Request bodies of single keys (rest-keys.md) into the engine's types. Headers are the caller's to fill in. Errors as decode.h. [any-thread]
#pragma once

#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/engine/api.h"

namespace keymeld::api {

inline constexpr std::size_t kMaxBatch = 100;

Result<UserId> decode_reserve_key(std::string_view body);
Result<engine::ImportKey> decode_import_key(std::string_view body);
Result<engine::GenerateKey> decode_generate_key(std::string_view body);
/// Ids of the path are the caller's.
Result<engine::KeepKey> decode_keep_key(std::string_view body);
Result<engine::SignSingle> decode_sign_single(std::string_view body);
/// 1..100 items, each with its header in `user_signature`; what is wrong with one concerns that one only.
Result<std::vector<Result<engine::SignSingle>>> decode_sign_batch(std::string_view body);
/// `key_id` of the query.
Result<KeyId> decode_key_id(std::string_view query);

} // namespace keymeld::api
