#include "core/protocol/failure.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <regex>

#include "core/base/hex.h"
#include "core/base/uuid.h"
#include "core/protocol/enclave.pb.h"

namespace keymeld::protocol {
namespace {

TEST(Failure, KnowsExactlyTheEnumeratorsOfErrc) {
    const char* source = std::getenv("KEYMELD_SOURCE_DIR");
    ASSERT_NE(source, nullptr);
    std::ifstream header(std::string(source) + "/core/base/error.h");
    ASSERT_TRUE(header);
    std::set<std::uint32_t> declared;
    const std::regex enumerator(R"(^\s+\w+ = (\d+),)");
    std::smatch match;
    for (std::string line; std::getline(header, line);) {
        if (std::regex_search(line, match, enumerator))
            declared.insert(static_cast<std::uint32_t>(std::stoul(match[1])));
    }
    ASSERT_GE(declared.size(), 50u);
    for (std::uint32_t code = 0; code < 1000; ++code)
        EXPECT_EQ(is_known_errc(code), declared.contains(code)) << code;
    EXPECT_FALSE(is_known_errc(0xffffffffu));
}

TEST(Failure, CarriesCodeDetailAndTheThreeFacts) {
    const std::string user = "01890a5d-ac96-774b-bcce-b302099a8057";
    const std::string key = "02" + std::string(62, 'a') + "0b";
    wire::Response response;
    response.set_id(99);
    response.mutable_ping();
    set_failure(response, fail(Errc::PeerUnknown, "introduce it")
                              .with("blamed_user", user)
                              .with("peer_public_key", key)
                              .with("pointer", "/expected/0")
                              .with("other", "stays behind"));
    EXPECT_EQ(response.id(), 99u);
    EXPECT_EQ(response.result_case(), wire::Response::RESULT_NOT_SET);
    EXPECT_EQ(response.failure().blamed_user().size(), 16u);
    EXPECT_EQ(response.failure().peer_public_key().size(), 33u);

    const Error error = to_error(response.failure());
    EXPECT_EQ(error.code, Errc::PeerUnknown);
    EXPECT_EQ(error.detail, "introduce it");
    const std::map<std::string, std::string> facts = {
        {"blamed_user", user}, {"peer_public_key", key}, {"pointer", "/expected/0"}};
    EXPECT_EQ(error.facts, facts);
}

TEST(Failure, AnUnknownCodeIsInternal) {
    for (const std::uint32_t code : {0u, 7u, 1000u, 0xffffffffu}) {
        wire::Failure failure;
        failure.set_code(code);
        failure.set_detail("whatever");
        const Error error = to_error(failure);
        EXPECT_EQ(error.code, Errc::Internal);
        EXPECT_NE(error.detail.find(std::to_string(code)), std::string::npos);
    }
}

TEST(Failure, LeavesOutWhatHasTheWrongSize) {
    wire::Failure failure;
    failure.set_code(static_cast<std::uint32_t>(Errc::ContributionInvalid));
    failure.set_blamed_user(std::string(15, 'x'));
    failure.set_peer_public_key(std::string(34, 'x'));
    EXPECT_TRUE(to_error(failure).facts.empty());

    wire::Response response;
    set_failure(response, fail(Errc::PeerUnknown, "").with("blamed_user", "no id").with("peer_public_key", "02ab"));
    EXPECT_TRUE(response.failure().blamed_user().empty());
    EXPECT_TRUE(response.failure().peer_public_key().empty());
}

TEST(Failure, CutsLongTextBetweenCharacters) {
    std::string text(kMaxFailureText - 1, 'a');
    text += "\xc3\xa4\xc3\xa4"; // the limit falls inside the first of them
    wire::Response response;
    set_failure(response, fail(Errc::Internal, text).with("pointer", text));
    EXPECT_EQ(response.failure().detail(), std::string(kMaxFailureText - 1, 'a'));
    EXPECT_EQ(response.failure().pointer(), std::string(kMaxFailureText - 1, 'a'));

    wire::Failure failure;
    failure.set_code(static_cast<std::uint32_t>(Errc::Internal));
    failure.set_detail(std::string(100'000, 'b'));
    EXPECT_EQ(to_error(failure).detail.size(), kMaxFailureText);
}

} // namespace
} // namespace keymeld::protocol
