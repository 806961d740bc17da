#include "core/protocol/failure.h"

#include "core/base/hex.h"
#include "core/base/uuid.h"
#include "core/protocol/enclave.pb.h"

namespace keymeld::protocol {
namespace {

constexpr std::size_t kPublicKeySize = 33;
constexpr std::string_view kBlamedUser = "blamed_user";
constexpr std::string_view kPeerPublicKey = "peer_public_key";
constexpr std::string_view kPointer = "pointer";

/// Cut to the limit, never inside a UTF-8 sequence: a protobuf string must stay valid.
std::string cut(std::string_view text) {
    if (text.size() > kMaxFailureText) {
        std::size_t end = kMaxFailureText;
        while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0u) == 0x80u)
            --end;
        text = text.substr(0, end);
    }
    return std::string(text);
}

} // namespace

bool is_known_errc(std::uint32_t code) {
    // errc_name is exhaustive over the enumerators and names everything else as it names Internal.
    const auto errc = static_cast<Errc>(code);
    return errc == Errc::Internal || errc_name(errc) != errc_name(Errc::Internal);
}

Error to_error(const wire::Failure& failure) {
    Error error = is_known_errc(failure.code())
                      ? fail(static_cast<Errc>(failure.code()), cut(failure.detail()))
                      : fail(Errc::Internal, "the signer failed with the unknown code " + std::to_string(failure.code()));
    if (auto user = Uuid::from_bytes(as_bytes(failure.blamed_user())))
        error.facts.emplace(kBlamedUser, user->text());
    if (failure.peer_public_key().size() == kPublicKeySize)
        error.facts.emplace(kPeerPublicKey, hex_encode(as_bytes(failure.peer_public_key())));
    if (!failure.pointer().empty())
        error.facts.emplace(kPointer, cut(failure.pointer()));
    return error;
}

void set_failure(wire::Response& response, const Error& error) {
    response.clear_result();
    wire::Failure& failure = *response.mutable_failure();
    failure.Clear();
    failure.set_code(static_cast<std::uint32_t>(error.code));
    failure.set_detail(cut(error.detail));
    for (const auto& [key, value] : error.facts) {
        if (key == kBlamedUser) {
            if (auto user = Uuid::parse(value))
                failure.set_blamed_user(std::string(as_text(user->view())));
        } else if (key == kPeerPublicKey) {
            if (auto bytes = hex_decode_array<kPublicKeySize>(value))
                failure.set_peer_public_key(std::string(as_text(*bytes)));
        } else if (key == kPointer) {
            failure.set_pointer(cut(value));
        }
    }
}

} // namespace keymeld::protocol
