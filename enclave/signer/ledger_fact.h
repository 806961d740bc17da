// The durable facts of a keygen session at one enclave, as they stand in sealed deltas: a tag byte,
// then fixed-size fields.
#pragma once

#include <cstdint>
#include <limits>

#include "enclave/signer/incarnation.h"
#include "enclave/signer/mark.h"
#include "enclave/signer/secret_codec.h"

namespace keymeld::enclave {

enum class FactTag : std::uint8_t {
    Registered = 1, ///< a participant of ours with its private key: written and read by KeygenState
    NonceUsed = 2,
    SigningAccepted = 3,
    Approved = 4,
    SigningEnded = 5,
    PeerSeen = 6,
    PeerLife = 7,
};

/// A header nonce served a use.
struct NonceUsed {
    Mark nonce = 0;
    NonceUse use = NonceUse::from_word(0);

    void encode(SecretWriter& out) const;
    static NonceUsed decode(SecretReader& in);
};

/// A signing session counts against the quota from here on. Its header nonce is a NonceUsed of its
/// own.
struct SigningAccepted {
    SigningId signing;
    ByteArray<32> message{};
    Mark nonce = 0;

    void encode(SecretWriter& out) const;
    static SigningAccepted decode(SecretReader& in);
};

/// What this enclave verified of one participant's approval of one signing session.
struct ApprovalFact {
    static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

    std::uint32_t signer_index = 0;
    bool bound = false;
    std::uint64_t expires_at =
        kNever; ///< seconds since the Unix epoch; a header approval never expires

    bool operator==(const ApprovalFact&) const = default;
    void encode(SecretWriter& out) const;
    static ApprovalFact decode(SecretReader& in);
};

/// Replaces an earlier approval of the same participant.
struct Approved {
    SigningId signing;
    ApprovalFact approval;

    void encode(SecretWriter& out) const;
    static Approved decode(SecretReader& in);
};

enum class Ending : std::uint8_t { Rejected = 1, Closed = 2 };

/// The session never signs again. `mark` is what stays of its id.
struct SigningEnded {
    SigningId signing;
    Mark mark = 0;
    Ending ending = Ending::Closed;

    void encode(SecretWriter& out) const;
    static SigningEnded decode(SecretReader& in);
};

/// The highest ledger version that another enclave of the session has shown.
struct PeerSeen {
    std::uint16_t enclave = 0; ///< index into KeygenParams::enclaves
    std::uint64_t version = 0;

    void encode(SecretWriter& out) const;
    static PeerSeen decode(SecretReader& in);
};

/// The latest life of another enclave of the session that has shown itself.
struct PeerLife {
    std::uint16_t enclave = 0; ///< index into KeygenParams::enclaves
    Incarnation incarnation;

    void encode(SecretWriter& out) const;
    static PeerLife decode(SecretReader& in);
};

} // namespace keymeld::enclave
