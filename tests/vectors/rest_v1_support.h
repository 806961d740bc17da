// Reading of rest-v1-vectors.json shared by the tests of its sections.
#pragma once

#include "core/base/uuid.h"
#include "core/bitcoin/ecies_aad.h"
#include "core/crypto/secret_key.h"
#include "tests/support/vectors.h"

namespace keymeld::test {

template <class Id> Id id_of(const value& v) {
    return Id(Uuid::parse_canonical(text(v)).value());
}
inline crypto::SecretKey secret_key(const value& v) {
    return crypto::SecretKey::parse(unhex(v)).value();
}
inline crypto::PlainPubKey public_key(const value& v) {
    return crypto::PlainPubKey::parse(unhex(v)).value();
}
inline secure::SecretArray<32> secret32(const value& v) {
    return secure::SecretArray<32>::from_bytes(unhex(v)).value();
}

/// A taproot_tweak_config as JSON text.
inline bitcoin::TweakConfig tweak_config(const value& json_text) {
    const object config = boost::json::parse(text(json_text)).as_object();
    bitcoin::TweakConfig out;
    out.type = bitcoin::parse_tweak_type(text(config.at("type"))).value();
    if (out.has_value()) {
        const array& bytes =
            config.at(config.contains("merkle_root") ? "merkle_root" : "tweak").as_array();
        for (std::size_t i = 0; i < 32; ++i)
            out.value32.at(i) = bytes.at(i).to_number<std::uint8_t>();
    }
    return out;
}

inline bitcoin::SessionParams session_params(const object& v) {
    bitcoin::SessionParams out;
    for (const value& user : v.at("expected_participants").as_array())
        out.expected_participants.push_back(id_of<UserId>(user));
    out.tweak = tweak_config(v.at("taproot_tweak_config_json"));
    out.key_order = bitcoin::parse_key_order(text(v.at("key_order"))).value();
    out.max_signing_sessions = v.at("max_signing_sessions").to_number<std::uint32_t>();
    return out;
}

} // namespace keymeld::test
