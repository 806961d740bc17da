#include "core/attestation/check.h"

#include <algorithm>

namespace keymeld::attestation {
namespace {

constexpr const char* kFact = "check";

} // namespace

std::string_view check_name(AttestationCheck check) {
    switch (check) {
    case AttestationCheck::Encoding:
        return "encoding";
    case AttestationCheck::CoseStructure:
        return "cose_structure";
    case AttestationCheck::Algorithm:
        return "algorithm";
    case AttestationCheck::PayloadEncoding:
        return "payload_encoding";
    case AttestationCheck::Digest:
        return "digest";
    case AttestationCheck::ModuleId:
        return "module_id";
    case AttestationCheck::Timestamp:
        return "timestamp";
    case AttestationCheck::PcrTable:
        return "pcr_table";
    case AttestationCheck::CertificateSizes:
        return "certificate_sizes";
    case AttestationCheck::FieldSizes:
        return "field_sizes";
    case AttestationCheck::TrustAnchor:
        return "trust_anchor";
    case AttestationCheck::ChainForm:
        return "chain_form";
    case AttestationCheck::ChainNames:
        return "chain_names";
    case AttestationCheck::ChainSignatures:
        return "chain_signatures";
    case AttestationCheck::ChainValidity:
        return "chain_validity";
    case AttestationCheck::ChainConstraints:
        return "chain_constraints";
    case AttestationCheck::ChainKeyUsage:
        return "chain_key_usage";
    case AttestationCheck::Signature:
        return "signature";
    case AttestationCheck::DebugMode:
        return "debug_mode";
    case AttestationCheck::PcrPolicy:
        return "pcr_policy";
    case AttestationCheck::Freshness:
        return "freshness";
    case AttestationCheck::Nonce:
        return "nonce";
    case AttestationCheck::PublicKey:
        return "public_key";
    }
    return "unknown";
}

std::string_view check_text(AttestationCheck check) {
    switch (check) {
    case AttestationCheck::Encoding:
        return "document is strict CBOR within its limits";
    case AttestationCheck::CoseStructure:
        return "document is a COSE_Sign1";
    case AttestationCheck::Algorithm:
        return "signed with ES384";
    case AttestationCheck::PayloadEncoding:
        return "payload holds the known fields";
    case AttestationCheck::Digest:
        return "registers are SHA-384";
    case AttestationCheck::ModuleId:
        return "module is named";
    case AttestationCheck::Timestamp:
        return "document is dated";
    case AttestationCheck::PcrTable:
        return "registers are well formed";
    case AttestationCheck::CertificateSizes:
        return "certificates are within their limits";
    case AttestationCheck::FieldSizes:
        return "fields are within their limits";
    case AttestationCheck::TrustAnchor:
        return "root certificate is the trusted one";
    case AttestationCheck::ChainForm:
        return "certificates are X.509 v3 on P-384";
    case AttestationCheck::ChainNames:
        return "issuer and subject names connect";
    case AttestationCheck::ChainSignatures:
        return "each certificate is signed by the next";
    case AttestationCheck::ChainValidity:
        return "certificates are valid at this time";
    case AttestationCheck::ChainConstraints:
        return "CA flags and path lengths hold";
    case AttestationCheck::ChainKeyUsage:
        return "key usages fit";
    case AttestationCheck::Signature:
        return "document is signed by the leaf certificate's key";
    case AttestationCheck::DebugMode:
        return "enclave is not in debug mode";
    case AttestationCheck::PcrPolicy:
        return "image is on the allow-list";
    case AttestationCheck::Freshness:
        return "document is fresh";
    case AttestationCheck::Nonce:
        return "document answers this challenge";
    case AttestationCheck::PublicKey:
        return "document vouches for the expected key";
    }
    return "unknown";
}

std::string_view verdict_name(Verdict verdict) {
    switch (verdict) {
    case Verdict::Passed:
        return "passed";
    case Verdict::Failed:
        return "failed";
    case Verdict::NotRequested:
        return "not_requested";
    case Verdict::NotReached:
        return "not_reached";
    }
    return "unknown";
}

const std::vector<AttestationCheck>& all_checks() {
    static const std::vector<AttestationCheck> checks = [] {
        std::vector<AttestationCheck> all;
        for (int i = 0; i <= static_cast<int>(AttestationCheck::PublicKey); ++i)
            all.push_back(static_cast<AttestationCheck>(i));
        return all;
    }();
    return checks;
}

Error refuse(AttestationCheck check, std::string_view detail, std::source_location where) {
    std::string text(check_name(check));
    text.append(": ").append(detail);
    return fail(Errc::AttestationRefused, std::move(text), where)
        .with(kFact, std::string(check_name(check)));
}

std::optional<AttestationCheck> failed_check(const Error& error) {
    const auto fact = error.facts.find(kFact);
    if (error.code != Errc::AttestationRefused || fact == error.facts.end())
        return std::nullopt;
    const auto& checks = all_checks();
    const auto found = std::ranges::find(checks, fact->second, check_name);
    return found == checks.end() ? std::nullopt : std::optional(*found);
}

} // namespace keymeld::attestation
