#include "enclave/signer/signing_evidence.h"

#include "core/base/hex.h"
#include "core/crypto/auth_header.h"
#include "core/crypto/encrypted_data.h"
#include "core/protocol/enclave.pb.h"
#include "core/secure/compare.h"
#include "core/secure/secret_hex.h"
#include "enclave/signer/wire_fields.h"

namespace keymeld::enclave {
namespace {

constexpr const char* kMessageField = "/message_hash";
constexpr const char* kEncryptedField = "/encrypted_message";
constexpr std::size_t kAcceptedSize =
    128; // what one accepted session adds to the ledger, rounded up

Error mismatch() {
    return at(
        fail(Errc::MessageMismatch, "message_hash is not the message that encrypted_message holds"),
        kMessageField);
}

/// Both forms of rest-v1.md 4.9.
Status check_message(const KeygenState& keygen, const ByteArray<32>& message,
                     const std::string& encrypted) {
    if (encrypted.empty() || encrypted.size() > kMaxEncryptedMessage)
        return at(fail(Errc::ValidationFailed, "encrypted_message has the wrong length"),
                  kEncryptedField);
    if (encrypted.size() == 2 * message.size()) {
        const auto clear = hex_decode_array<32>(encrypted);
        if (!clear)
            return at(fail(Errc::ValidationFailed, "encrypted_message is no hex"), kEncryptedField);
        return *clear == message ? Status{} : Status{mismatch()};
    }
    const auto plaintext = crypto::encrypted_data_open(keygen.session_secret(),
                                                       crypto::DataContext::Message, encrypted);
    if (!plaintext && plaintext.error().code == Errc::InvalidArgument)
        return at(fail(Errc::ValidationFailed, "encrypted_message is neither of the two forms"),
                  kEncryptedField);
    if (!plaintext)
        return mismatch();
    if (plaintext->size() == message.size())
        return secure::ct_equal(plaintext->expose(), message) ? Status{} : Status{mismatch()};
    const auto decoded = secure::secret_from_hex<32>(plaintext->expose());
    if (!decoded || !secure::ct_equal(decoded->expose(), message))
        return mismatch();
    return {};
}

} // namespace

Status not_ended(const KeygenState& keygen, Mark signing) {
    const auto ending = keygen.ledger().ended(signing);
    if (!ending)
        return {};
    if (*ending == Ending::Rejected)
        return fail(Errc::WrongState, "signing session was rejected").with("status", "failed");
    return fail(Errc::WrongState, "signing session has ended");
}

Result<EvidenceVerdict> judge_evidence(SignerCore& core, KeygenState& keygen,
                                       const SigningId& signing,
                                       const wire::SigningEvidence& evidence) {
    EvidenceVerdict verdict{signing, core.marker.signing(keygen.id(), signing), {}, std::nullopt};
    auto message = bytes32_of(evidence.message_hash());
    if (!message)
        return at(std::move(message).error(), kMessageField);
    verdict.message = *message;
    const OpenSigning* const open = keygen.ledger().open(signing);
    if (open != nullptr && open->message == verdict.message) {
        // The evidence that was accepted needs no second look; its nonce tells it.
        const auto header =
            evidence.session_header().size() > kMaxHeader
                ? Result<crypto::SessionHmacHeader>(fail(Errc::AuthMalformed, "header is too long"))
                : crypto::SessionHmacHeader::parse(evidence.session_header());
        if (header && core.marker.session_nonce(keygen.id(), header->nonce) == open->nonce)
            return verdict;
    }

    const NonceUse use = NonceUse::of(UseKind::CreateSigning, verdict.mark);
    KEYMELD_TRY(Authenticated sender,
                verify_session_header(core, keygen, evidence.session_header(),
                                      keygen.params().session.expected_participants, use));
    if (keygen.phase() != Phase::Completed)
        return fail(Errc::WrongState, "keygen session is not completed");
    KEYMELD_CHECK(not_ended(keygen, verdict.mark));
    if (open != nullptr && open->message != verdict.message)
        return fail(Errc::DuplicateId, "signing session id is in use with another message");
    if (open == nullptr) {
        if (keygen.ledger().accepted() >= keygen.params().session.max_signing_sessions)
            return fail(Errc::QuotaExceeded, "max_signing_sessions is reached");
        if (!keygen.has_room(kAcceptedSize))
            return fail(Errc::QuotaExceeded,
                        "the session has as many signings as an enclave can remember");
    }
    if (evidence.has_encrypted_message())
        KEYMELD_CHECK(check_message(keygen, verdict.message, evidence.encrypted_message()));
    if (open == nullptr)
        verdict.nonce.emplace(std::move(sender.nonce));
    return verdict;
}

void accept(KeygenState& keygen, EvidenceVerdict& verdict) {
    if (!verdict.nonce)
        return;
    keygen.record(SigningAccepted{verdict.signing, verdict.message, verdict.nonce->mark()});
    verdict.nonce->record();
    verdict.nonce.reset();
}

} // namespace keymeld::enclave
