#include "core/crypto/aggregate_key_tag.h"

#include <string>

#include "core/crypto/hmac.h"

namespace keymeld::crypto {

Hash256 aggregate_key_tag(const secure::SecretArray<32>& session_secret, const KeygenId& keygen,
                          const PlainPubKey& aggregate,
                          std::span<const AggregatedParticipant> in_aggregation_order) {
    std::string text = "keymeld-aggregate-v1:" + keygen.text() + ":" + aggregate.hex() + ":";
    text.reserve(text.size() + in_aggregation_order.size() * (36 + 1 + 66 + 1));
    bool first = true;
    for (const AggregatedParticipant& participant : in_aggregation_order) {
        if (!first)
            text += ',';
        first = false;
        text.append(participant.user_id.text()).append(1, '=').append(participant.public_key.hex());
    }
    return hmac_sha256(session_secret.expose(), as_bytes(text));
}

} // namespace keymeld::crypto
