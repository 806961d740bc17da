// Typed values to fields of wire messages.
#pragma once

#include "core/engine/keygen_info.h"
#include "core/protocol/enclave.pb.h"

namespace keymeld::engine {

inline std::string wire_bytes(ByteView bytes) { return std::string(as_text(bytes)); }
inline std::string wire_bytes(const Uuid& id) { return wire_bytes(id.view()); }
/// nullopt unless the field has exactly N bytes: an enclave may answer anything.
template <std::size_t N> std::optional<ByteArray<N>> fixed_bytes(const std::string& field) {
    if (field.size() != N)
        return std::nullopt;
    ByteArray<N> out{};
    std::copy_n(reinterpret_cast<const std::uint8_t*>(field.data()), N, out.begin());
    return out;
}

wire::ApprovalPolicy wire_policy(session::ApprovalPolicy policy);
void fill_params(const plugin::KeygenRecord& record, const std::vector<plugin::ParticipantRecord>& participants,
                 wire::KeygenParams& out);
void fill_registration(const plugin::ParticipantRecord& participant, wire::Registration& out);
void fill_approval(const plugin::ApprovalRecord& approval, wire::Approval& out);
void fill_evidence(const plugin::SigningRecord& record, wire::SigningEvidence& out);

} // namespace keymeld::engine
