#include "core/config/yaml_tree.h"

#include <algorithm>
#include <istream>
#include <stdexcept>
#include <streambuf>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace keymeld::config {

Node::Node() = default;
Node::~Node() = default;
Node::Node(const Node&) = default;
Node::Node(Node&&) noexcept = default;
Node& Node::operator=(const Node&) = default;
Node& Node::operator=(Node&&) noexcept = default;

namespace {

/// A refusal of ours on its way through the parser, which has no other way to be stopped.
struct Refused {
    int line; ///< from 0, as yaml-cpp counts
    std::string what;
};

/// A view as a stream, without a copy.
class ViewBuffer : public std::streambuf {
  public:
    explicit ViewBuffer(std::string_view text) {
        char* const begin = const_cast<char*>(text.data()); // a get area is never written to
        setg(begin, begin, begin + text.size());
    }
};

class TreeBuilder : public YAML::EventHandler {
  public:
    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        add(mark, "?", anchor, Node::Kind::Null, {});
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        throw Refused{mark.line, "aliases are not allowed; write the value again"};
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        if (value.size() > kMaxScalar)
            throw Refused{mark.line, "the value is too long; at most 4096 bytes"};
        for (const char c : value)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
                throw Refused{mark.line, "control characters and line breaks are not allowed in a "
                                         "value; write it in one line"};
        add(mark, tag, anchor, Node::Kind::Scalar, value);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, Node::Kind::Sequence);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, Node::Kind::Mapping);
    }
    void OnMapEnd() override { close(); }

    Node take_root() { return std::move(m_root); }

  private:
    struct Level {
        Node node;
        bool awaits_key; ///< of a mapping: the next node is a key
        std::string key;
        std::size_t key_line;
    };

    static Node checked(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                        Node::Kind kind) {
        if (anchor != 0)
            throw Refused{mark.line, "anchors are not allowed; write the value where it is needed"};
        if (!tag.empty() && tag != "?" && tag != "!")
            throw Refused{mark.line, "tags are not allowed; write the plain value"};
        Node node;
        node.kind = kind;
        node.line = static_cast<std::size_t>(std::max(mark.line, 0)) + 1;
        return node;
    }

    void count(const YAML::Mark& mark) {
        if (++m_nodes > kMaxNodes)
            throw Refused{mark.line, "the file has too many values; at most 20000"};
    }

    void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
              Node::Kind kind) {
        count(mark);
        if (m_levels.size() >= kMaxDepth)
            throw Refused{mark.line, "nested too deeply; at most 8 levels"};
        if (!m_levels.empty() && m_levels.back().awaits_key)
            throw Refused{mark.line, "a key must be plain text"};
        Node node = checked(mark, tag, anchor, kind);
        m_levels.push_back({std::move(node), kind == Node::Kind::Mapping, {}, 0});
    }

    void close() {
        Node done = std::move(m_levels.back().node);
        m_levels.pop_back();
        attach(std::move(done));
    }

    void add(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind,
             const std::string& text) {
        count(mark);
        Node node = checked(mark, tag, anchor, kind);
        node.text = text;
        if (m_levels.empty() || !m_levels.back().awaits_key)
            return attach(std::move(node));
        if (kind != Node::Kind::Scalar || text.empty())
            throw Refused{mark.line, "a key must be plain text"};
        Level& level = m_levels.back();
        for (const auto& [key, value] : level.node.members)
            if (key == text)
                throw Refused{mark.line, "'" + text + "' is there twice (first in line " +
                                             std::to_string(value.line) + "); remove one"};
        level.key = text;
        level.key_line = node.line;
        level.awaits_key = false;
    }

    void attach(Node&& node) {
        if (m_levels.empty()) {
            m_root = std::move(node);
            return;
        }
        Level& level = m_levels.back();
        if (level.node.kind == Node::Kind::Sequence) {
            level.node.items.push_back(std::move(node));
            return;
        }
        node.line = level.key_line; // where people look for it
        level.node.members.emplace_back(std::move(level.key), std::move(node));
        level.awaits_key = true;
    }

    std::vector<Level> m_levels;
    Node m_root;
    std::size_t m_nodes = 0;
};

/// One line: the parser's own words may quote any character of the file.
std::string located(std::string_view name, int line, std::string_view what) {
    std::string out = std::string(name) + ":" + std::to_string(std::max(line, 0) + 1) + ": ";
    for (const char c : what)
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return out;
}

} // namespace

Result<Node> parse_yaml(std::string_view yaml, std::string_view name) {
    if (yaml.size() > kMaxFile)
        return fail(Errc::ConfigInvalid, std::string(name) + ": larger than 1 MiB");
    TreeBuilder builder;
    try {
        ViewBuffer buffer(yaml);
        std::istream stream(&buffer);
        YAML::Parser parser(stream);
        if (!parser.HandleNextDocument(builder))
            return fail(Errc::ConfigInvalid, located(name, 0, "the file is empty"));
        TreeBuilder rest;
        if (parser.HandleNextDocument(rest))
            return fail(Errc::ConfigInvalid,
                        std::string(name) + ": has more than one document; remove the later ones");
    } catch (const Refused& refused) {
        return fail(Errc::ConfigInvalid, located(name, refused.line, refused.what));
    } catch (const YAML::Exception& error) {
        return fail(Errc::ConfigInvalid,
                    located(name, error.mark.line, "not valid YAML: " + error.msg));
    }
    Node root = builder.take_root();
    if (root.kind != Node::Kind::Mapping)
        return fail(Errc::ConfigInvalid, located(name, static_cast<int>(root.line) - 1,
                                                 "the file must be a mapping of keys to values"));
    return root;
}

} // namespace keymeld::config
