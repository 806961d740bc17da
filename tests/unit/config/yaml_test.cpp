// The bounds of the YAML subset, and what a hostile or careless file gives.
#include "tests/unit/config/config_fixture.h"

namespace keymeld::test {
namespace {

TEST(Yaml, RefusesRepeatedKeys) {
    EXPECT_EQ(refusal_with("log: { level: info }\nlog: { level: debug }\n"),
              "k.yaml:8: 'log' is there twice (first in line 7); remove one");
    EXPECT_EQ(refusal("storage: { plugin: s, path: a, path: b }\n"),
              "k.yaml:1: 'path' is there twice (first in line 1); remove one");
}

TEST(Yaml, RefusesAliasesAnchorsAndTags) {
    EXPECT_EQ(refusal("a: &x 1\nb: *x\n"),
              "k.yaml:1: anchors are not allowed; write the value where it is needed");
    EXPECT_EQ(refusal("a: *x\n").find("k.yaml:1: "), 0u);
    EXPECT_EQ(refusal("a: !!int 1\n"), "k.yaml:1: tags are not allowed; write the plain value");
    EXPECT_EQ(refusal("a: !secret 1\n"), "k.yaml:1: tags are not allowed; write the plain value");
    // The bomb that grows tenfold with each line.
    EXPECT_NE(refusal("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n"), "(accepted)");
}

TEST(Yaml, RefusesDeepAndHugeFiles) {
    EXPECT_EQ(refusal("a: [[[[[[[[1]]]]]]]]\n"), "k.yaml:1: nested too deeply; at most 8 levels");
    EXPECT_NE(refusal("a: " + std::string(100000, '[')), "(accepted)");
    EXPECT_NE(refusal(std::string(100000, '{')), "(accepted)");
    EXPECT_NE(refusal("? " + std::string(50000, '-')), "(accepted)");
    std::string many = "a: [";
    for (int i = 0; i < 20001; ++i)
        many += "1,";
    EXPECT_EQ(refusal(many + "1]\n"), "k.yaml:1: the file has too many values; at most 20000");
    EXPECT_EQ(refusal("a: " + std::string(4097, 'x') + "\n"),
              "k.yaml:1: the value is too long; at most 4096 bytes");
    EXPECT_EQ(refusal(std::string(1024 * 1024 + 1, ' ')), "k.yaml: larger than 1 MiB");
}

TEST(Yaml, RefusesWhatIsNotOneMapping) {
    EXPECT_EQ(refusal(""), "k.yaml:1: the file is empty");
    EXPECT_EQ(refusal("# nothing\n"), "k.yaml:1: the file is empty");
    EXPECT_EQ(refusal("just text\n"), "k.yaml:1: the file must be a mapping of keys to values");
    EXPECT_EQ(refusal("- a\n"), "k.yaml:1: the file must be a mapping of keys to values");
    EXPECT_EQ(refusal(yaml_with("---\na: 1\n")),
              "k.yaml: has more than one document; remove the later ones");
    EXPECT_EQ(refusal("a: b: c\n").find("k.yaml:1: not valid YAML: "), 0u);
    // The parser quotes what it does not know: that must not break the line.
    EXPECT_EQ(refusal("a: \"\\\x01\"\n").find_first_of("\x01\n"), std::string::npos);
    EXPECT_EQ(refusal("a: [1\n").find("k.yaml:"), 0u);
    EXPECT_EQ(refusal("[a]: 1\n"), "k.yaml:1: a key must be plain text");
    EXPECT_EQ(refusal("{a: 1}: 1\n"), "k.yaml:1: a key must be plain text");
    EXPECT_EQ(refusal("~: 1\n"), "k.yaml:1: a key must be plain text");
}

TEST(Yaml, RefusesControlCharactersInValues) {
    EXPECT_EQ(refusal("a: \"x\\0y\"\n").find("k.yaml:1: control characters"), 0u);
    EXPECT_EQ(refusal("a: \"x\\ny\"\n").find("k.yaml:1: control characters"), 0u);
    EXPECT_EQ(refusal("a: |\n  x\n  y\n").find("k.yaml:1: control characters"), 0u);
}

TEST(Substitution, ReplacesVariablesInValues) {
    const std::string start = "storage: { plugin: storage-sqlite, path: '${DIR}/x-${N}.db' }\n" +
                              std::string(kTweak) + kEnclave;
    auto loaded = load(start, {{"DIR", "/data"}, {"N", "5"}});
    ASSERT_TRUE(loaded) << loaded.error().detail;
    EXPECT_EQ(loaded->storage.options.required_path("path").value(), "/data/x-5.db");
    EXPECT_EQ(refusal(start, {{"DIR", "/data"}}),
              "k.yaml:1: storage.path: environment variable N is not set");
    loaded = load(yaml_with("server: { listen: '127.0.0.1:${PORT}' }\n"), {{"PORT", "99"}});
    ASSERT_TRUE(loaded) << loaded.error().detail;
    EXPECT_EQ(loaded->server.listen.port, 99);
}

TEST(Substitution, NeverChangesTheShapeOfTheFile) {
    // A value that looks like YAML, or like another reference, stays a value.
    auto loaded = load("storage: { plugin: s, a: '${A}' }\n" + std::string(kTweak) + kEnclave,
                       {{"A", "x, b: ${B} }"}, {"B", "no"}});
    ASSERT_TRUE(loaded) << loaded.error().detail;
    EXPECT_EQ(loaded->storage.options.required_text("a").value(), "x, b: ${B} }");
    EXPECT_TRUE(loaded->storage.options.finish());
    EXPECT_EQ(refusal("'${A}': 1\n", {{"A", "storage"}}).find("k.yaml:1: unknown key '${A}'"), 0u);
}

TEST(Substitution, EscapesAndRefusesMalformedReferences) {
    auto loaded =
        load("storage: { plugin: s, a: '$${A} $5 $$ $' }\n" + std::string(kTweak) + kEnclave);
    ASSERT_TRUE(loaded) << loaded.error().detail;
    EXPECT_EQ(loaded->storage.options.required_text("a").value(), "${A} $5 $$ $");
    for (const char* bad : {"${", "${}", "${A", "${1A}", "${A-B}", "${A B}", "${A:-x}"})
        EXPECT_NE(refusal("storage: { plugin: s, a: '" + std::string(bad) + "' }\n")
                      .find("storage.a: a reference must be ${NAME}"),
                  std::string::npos)
            << bad;
    EXPECT_NE(
        refusal("storage: { plugin: s, a: '${A}' }\n", {{"A", "x\ny"}}).find("must be one line"),
        std::string::npos);
    EXPECT_NE(refusal("storage: { plugin: s, a: '${A}' }\n", {{"A", std::string(4097, 'x')}})
                  .find("must be one line"),
              std::string::npos);
}

TEST(Substitution, ReadsTheProcessEnvironment) {
    ASSERT_EQ(::setenv("KEYMELD_CONFIG_TEST", "value", 1), 0);
    EXPECT_EQ(config::process_environment("KEYMELD_CONFIG_TEST"), "value");
    ASSERT_EQ(::unsetenv("KEYMELD_CONFIG_TEST"), 0);
    EXPECT_EQ(config::process_environment("KEYMELD_CONFIG_TEST"), std::nullopt);
}

} // namespace
} // namespace keymeld::test
