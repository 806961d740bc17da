#include "core/base/error.h"

#include <set>

#include <gtest/gtest.h>

namespace keymeld {
namespace {

TEST(Errc, RestGroupHasTheTypesOfTheSpecification) {
    const std::set<std::string_view> specified{"malformed_json",
                                               "validation_failed",
                                               "wrong_enclave",
                                               "key_mismatch",
                                               "message_mismatch",
                                               "auth_missing",
                                               "auth_malformed",
                                               "auth_failed",
                                               "nonce_replayed",
                                               "not_a_participant",
                                               "bound_approval_required",
                                               "approval_expired",
                                               "not_permitted",
                                               "not_found",
                                               "route_not_found",
                                               "method_not_allowed",
                                               "duplicate_id",
                                               "already_registered",
                                               "wrong_state",
                                               "quota_exceeded",
                                               "blob_reused",
                                               "body_too_large",
                                               "unsupported_media_type",
                                               "rate_limited",
                                               "attestation_unavailable",
                                               "enclave_unavailable",
                                               "overloaded",
                                               "not_ready"};
    std::set<std::string_view> named;
    for (std::uint32_t code = 40; code <= 67; ++code)
        named.insert(errc_name(static_cast<Errc>(code)));
    EXPECT_EQ(named, specified);
    EXPECT_EQ(errc_name(Errc::Internal), "internal_error");
}

TEST(Error, CarriesPlaceAndFacts) {
    const Error error =
        Error(Errc::WrongState, "session has ended").with("status", "failed").with("n", "1");
    EXPECT_EQ(error.facts.at("status"), "failed");
    EXPECT_EQ(error.facts.size(), 2u);
    EXPECT_NE(std::string_view(error.where.file_name()).find("error_test.cpp"),
              std::string_view::npos);
}

} // namespace
} // namespace keymeld
