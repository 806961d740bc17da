#include "core/musig/contribution.h"

#include <charconv>

namespace keymeld::musig {
namespace {

constexpr const char* kSignerFact = "musig_signer";
constexpr const char* kContributionFact = "musig_contribution";
constexpr Contribution kAll[] = {Contribution::PubKey, Contribution::PubNonce,
                                 Contribution::AggNonce, Contribution::PartialSig};

std::string_view text(Contribution contribution) {
    switch (contribution) {
    case Contribution::PubKey:
        return "pubkey";
    case Contribution::PubNonce:
        return "pubnonce";
    case Contribution::AggNonce:
        return "aggnonce";
    case Contribution::PartialSig:
        return "partial_sig";
    }
    return {};
}

} // namespace

Error contribution_error(const InvalidContribution& blame, std::source_location where) {
    const std::string signer = std::to_string(blame.signer.value);
    const std::string what(text(blame.contribution));
    return Error(Errc::ContributionInvalid, "signer " + signer + " contributed an invalid " + what,
                 where)
        .with(kSignerFact, signer)
        .with(kContributionFact, what);
}

std::optional<InvalidContribution> blamed(const Error& error) {
    const auto signer = error.facts.find(kSignerFact);
    const auto what = error.facts.find(kContributionFact);
    if (error.code != Errc::ContributionInvalid || signer == error.facts.end() ||
        what == error.facts.end())
        return std::nullopt;
    InvalidContribution out;
    const std::string& digits = signer->second;
    const auto parsed =
        std::from_chars(digits.data(), digits.data() + digits.size(), out.signer.value);
    if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size())
        return std::nullopt;
    for (const Contribution contribution : kAll) {
        if (what->second == text(contribution)) {
            out.contribution = contribution;
            return out;
        }
    }
    return std::nullopt;
}

} // namespace keymeld::musig
