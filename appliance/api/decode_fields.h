// Fields that several request bodies have. Errors as decode.h. [any-thread]
#pragma once

#include "appliance/json/document.h"
#include "core/bitcoin/tweak_config.h"

namespace keymeld::api {

/// rest-v1.md 5.1; both kinds of plaintext are far below the upper bound.
inline constexpr std::size_t kMinBlob = 61;
inline constexpr std::size_t kMaxBlob = 1024;
inline constexpr std::size_t kMaxWord = 64;

/// A valid point, compressed from 33 or 65 bytes.
Result<ByteArray<33>> public_key(const json::Object& body, std::string_view name);
Result<ByteArray<32>> bytes32(const json::Object& body, std::string_view name, json::BytesForm form);
/// `none` if absent.
Result<bitcoin::TweakConfig> tweak_config(const json::Object& body, std::string_view name);

/// An error about a path or query parameter.
Error bad_parameter(std::string name, const std::string& rule);

} // namespace keymeld::api
