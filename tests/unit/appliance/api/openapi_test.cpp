#include "appliance/api/openapi.h"

#include <gtest/gtest.h>

#include "appliance/api/route.h"
#include "appliance/api/schemas.h"
#include "tests/support/vectors.h"

namespace keymeld::api {
namespace {

namespace bj = boost::json;

void collect_references(const bj::value& value, std::set<std::string>& out) {
    if (const auto* object = value.if_object()) {
        for (const auto& member : *object) {
            if (member.key() == "$ref")
                out.insert(test::text(member.value()));
            collect_references(member.value(), out);
        }
    } else if (const auto* array = value.if_array()) {
        for (const auto& element : *array)
            collect_references(element, out);
    }
}

TEST(OpenApi, DescribesEveryRoute) {
    const bj::value document = bj::parse(make_openapi("1.2.3", false));
    EXPECT_EQ(test::text(document.at("openapi")), "3.1.0");
    EXPECT_EQ(test::text(document.at("info").at("title")), "KeyMeld Gateway API");
    EXPECT_EQ(test::text(document.at("servers").at(0).at("url")), "/api/v1");
    std::size_t operations = 0;
    for (const auto& path : document.at("paths").as_object())
        operations += path.value().as_object().size();
    EXPECT_EQ(operations, routes().size());
    for (const Route& route : routes()) {
        std::string method(text(route.method));
        std::transform(method.begin(), method.end(), method.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        const bj::value& operation = document.at("paths").at(std::string(route.path)).at(method);
        EXPECT_EQ(test::text(operation.at("operationId")), text(route.operation));
        EXPECT_EQ(operation.as_object().contains("requestBody"), route.body != Body::None) << route.path;
        EXPECT_EQ(operation.as_object().contains("security"), route.auth != Auth::None && route.auth != Auth::OperatorToken)
            << route.path;
        EXPECT_GE(operation.at("parameters").as_array().size(), placeholders(route.path).size());
    }
}

TEST(OpenApi, HasTheSecuritySchemes) {
    const bj::value schemes = bj::parse(make_openapi("1", false)).at("components").at("securitySchemes");
    EXPECT_EQ(test::text(schemes.at("SessionHmac").at("name")), "X-Session-HMAC");
    EXPECT_EQ(test::text(schemes.at("SigningHmac").at("name")), "X-Signing-HMAC");
    EXPECT_EQ(test::text(schemes.at("UserSignature").at("name")), "X-User-Signature");
    EXPECT_EQ(schemes.as_object().size(), 3u);
    const bj::value with_token = bj::parse(make_openapi("1", true));
    EXPECT_TRUE(with_token.at("components").at("securitySchemes").as_object().contains("OperatorToken"));
    EXPECT_TRUE(with_token.at("paths").at("/keygen").at("post").as_object().contains("security"));
}

TEST(OpenApi, EveryReferenceLeadsSomewhereAndEverySchemaIsUsed) {
    const bj::value document = bj::parse(make_openapi("1", true));
    std::set<std::string> used;
    collect_references(document, used);
    std::set<std::string> defined;
    for (const auto& schema : document.at("components").at("schemas").as_object())
        defined.insert("#/components/schemas/" + std::string(schema.key_c_str()));
    EXPECT_EQ(used, defined);
    EXPECT_EQ(defined.size(), schemas().size());
}

} // namespace
} // namespace keymeld::api
