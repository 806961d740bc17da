// Who is to blame: BIP-327's InvalidContributionError as an Error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/error.h"

namespace keymeld::musig {

/// Position in the ordered key list of the KeyAggContext, from 0. Not the signer_index of the REST
/// API.
struct SignerIndex {
    std::uint32_t value = 0;
    auto operator<=>(const SignerIndex&) const = default;
};

enum class Contribution { PubKey, PubNonce, AggNonce, PartialSig };

struct InvalidContribution {
    SignerIndex signer;
    Contribution contribution = Contribution::PartialSig;
    bool operator==(const InvalidContribution&) const = default;
};

/// `Errc::ContributionInvalid` with the signer and the contribution in its detail and facts.
/// [any-thread]
Error contribution_error(const InvalidContribution& blame,
                         std::source_location where = std::source_location::current());

/// Reads the blame back from an error of contribution_error().
std::optional<InvalidContribution> blamed(const Error& error);

} // namespace keymeld::musig
