#include "appliance/json/document.h"

#include <algorithm>
#include <unordered_set>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_stack.hpp>

#include "core/base/hex.h"

namespace keymeld::json {
namespace {

namespace bj = boost::json;

/// Builds the tree and counts the members that were written: a tree with fewer has lost one to another of the same name.
struct TreeBuilder {
    static constexpr std::size_t max_object_size = kMaxMembers;
    static constexpr std::size_t max_array_size = kMaxElements;
    static constexpr std::size_t max_key_size = 256;
    static constexpr std::size_t max_string_size = 0x7ffffffe;

    /// `space` holds the values of a body of usual size while it is read.
    TreeBuilder(unsigned char* space, std::size_t size) : stack({}, space, size) {}

    bj::value_stack stack;
    std::size_t members = 0;

    bool on_document_begin(bj::error_code&) { return true; }
    bool on_document_end(bj::error_code&) { return true; }
    bool on_object_begin(bj::error_code&) { return true; }
    bool on_object_end(std::size_t n, bj::error_code&) {
        stack.push_object(n);
        return true;
    }
    bool on_array_begin(bj::error_code&) { return true; }
    bool on_array_end(std::size_t n, bj::error_code&) {
        stack.push_array(n);
        return true;
    }
    bool on_key_part(bj::string_view s, std::size_t, bj::error_code&) {
        stack.push_chars(s);
        return true;
    }
    bool on_key(bj::string_view s, std::size_t, bj::error_code&) {
        ++members;
        stack.push_key(s);
        return true;
    }
    bool on_string_part(bj::string_view s, std::size_t, bj::error_code&) {
        stack.push_chars(s);
        return true;
    }
    bool on_string(bj::string_view s, std::size_t, bj::error_code&) {
        stack.push_string(s);
        return true;
    }
    bool on_number_part(bj::string_view, bj::error_code&) { return true; }
    bool on_int64(std::int64_t number, bj::string_view, bj::error_code&) {
        stack.push_int64(number);
        return true;
    }
    bool on_uint64(std::uint64_t number, bj::string_view, bj::error_code&) {
        stack.push_uint64(number);
        return true;
    }
    bool on_double(double number, bj::string_view, bj::error_code&) {
        stack.push_double(number);
        return true;
    }
    bool on_bool(bool b, bj::error_code&) {
        stack.push_bool(b);
        return true;
    }
    bool on_null(bj::error_code&) {
        stack.push_null();
        return true;
    }
    bool on_comment_part(bj::string_view, bj::error_code&) { return true; }
    bool on_comment(bj::string_view, bj::error_code&) { return true; }
};

std::size_t count_members(const bj::value& value) {
    std::size_t members = 0;
    if (const auto* object = value.if_object()) {
        members = object->size();
        for (const auto& member : *object)
            members += count_members(member.value());
    } else if (const auto* array = value.if_array()) {
        for (const auto& element : *array)
            members += count_members(element);
    }
    return members;
}

/// An integer that is not negative, however Boost.JSON holds it.
std::optional<std::uint64_t> unsigned_integer(const bj::value& value) {
    if (const auto* i = value.if_int64())
        return *i >= 0 ? std::optional(static_cast<std::uint64_t>(*i)) : std::nullopt;
    if (const auto* u = value.if_uint64())
        return *u;
    return std::nullopt;
}

std::string range_rule(std::uint64_t min, std::uint64_t max) {
    return "must be an integer of " + std::to_string(min) + ".." + std::to_string(max);
}

std::string sizes_text(std::initializer_list<std::size_t> sizes) {
    std::string out;
    for (const std::size_t size : sizes)
        out += (out.empty() ? "" : " or ") + std::to_string(size);
    return out;
}

} // namespace

std::string pointer_token(std::string_view text) {
    std::string out = "/";
    for (const char c : text) {
        if (c == '~')
            out += "~0";
        else if (c == '/')
            out += "~1";
        else
            out += c;
    }
    return out;
}

Error invalid_field(std::string pointer, std::string_view rule) {
    std::string detail = pointer.empty() ? "body" : pointer.substr(1);
    detail.append(" ").append(rule);
    return fail(Errc::ValidationFailed, std::move(detail)).with("pointer", std::move(pointer));
}

// ---- Document -------------------------------------------------------------------------------------------------------

struct Document::Tree {
    unsigned char space[2048]; ///< enough for a body of usual size
    bj::monotonic_resource memory{space, sizeof space};
    bj::value root;
};

Document::Document(std::unique_ptr<Tree> tree) : m_tree(std::move(tree)) {}
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;

Result<Document> Document::parse(std::string_view text) {
    auto tree = std::make_unique<Tree>();
    bj::parse_options options;
    options.max_depth = kMaxDepth;
    unsigned char space[4096];
    bj::basic_parser<TreeBuilder> parser(options, space, sizeof space);
    bj::error_code error;
    parser.handler().stack.reset(&tree->memory);
    const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
    if (error || used != text.size())
        return fail(Errc::MalformedJson, "body is not valid JSON");
    // The destructor of a value in monotonic memory does nothing, so the root may be replaced in place.
    bj::value root = parser.handler().stack.release();
    const std::size_t kept = count_members(root);
    std::destroy_at(&tree->root);
    std::construct_at(&tree->root, std::move(root));
    if (kept != parser.handler().members)
        return fail(Errc::MalformedJson, "body has a repeated member name");
    return Document(std::move(tree));
}

Result<Object> Document::object() const {
    const auto* object = m_tree->root.if_object();
    if (object == nullptr)
        return invalid_field("", "must be an object");
    return Object(*object, "");
}

const boost::json::value& Document::value() const { return m_tree->root; }

// ---- Object ---------------------------------------------------------------------------------------------------------

std::string Object::pointer_of(std::string_view name) const { return m_pointer + pointer_token(name); }

Error Object::invalid(std::string_view name, std::string_view rule) const {
    return invalid_field(pointer_of(name), rule);
}

bool Object::has(std::string_view name) const { return m_object->if_contains(name) != nullptr; }

const bj::value* Object::find(std::string_view name) const {
    const auto* value = m_object->if_contains(name);
    return value == nullptr || value->is_null() ? nullptr : value;
}

Result<const bj::value*> Object::require(std::string_view name) const {
    const auto* value = m_object->if_contains(name);
    if (value == nullptr)
        return invalid(name, "is required");
    if (value->is_null())
        return invalid(name, "must not be null");
    return value;
}

Result<std::string> Object::text(std::string_view name, std::size_t max_size) const {
    KEYMELD_TRY(const auto* value, require(name));
    const auto* string = value->if_string();
    if (string == nullptr)
        return invalid(name, "must be a string");
    if (string->size() > max_size)
        return invalid(name, "must have at most " + std::to_string(max_size) + " characters");
    return std::string(string->data(), string->size());
}

Result<std::optional<std::string>> Object::optional_text(std::string_view name, std::size_t max_size) const {
    if (find(name) == nullptr)
        return std::optional<std::string>();
    KEYMELD_TRY(auto found, text(name, max_size));
    return std::optional(std::move(found));
}

Result<std::uint64_t> Object::number(std::string_view name, std::uint64_t min, std::uint64_t max) const {
    KEYMELD_TRY(const auto* value, require(name));
    const auto number = unsigned_integer(*value);
    if (!number || *number < min || *number > max)
        return invalid(name, range_rule(min, max));
    return *number;
}

Result<std::optional<std::uint64_t>> Object::optional_number(std::string_view name, std::uint64_t min,
                                                             std::uint64_t max) const {
    if (find(name) == nullptr)
        return std::optional<std::uint64_t>();
    KEYMELD_TRY(const auto found, number(name, min, max));
    return std::optional(found);
}

Result<bool> Object::boolean(std::string_view name, bool fallback) const {
    if (!has(name))
        return fallback;
    return required_boolean(name);
}

Result<bool> Object::required_boolean(std::string_view name) const {
    KEYMELD_TRY(const auto* value, require(name));
    if (!value->is_bool())
        return invalid(name, "must be true or false");
    return value->get_bool();
}

Result<Uuid> Object::uuid(std::string_view name) const {
    KEYMELD_TRY(const auto* value, require(name));
    const auto* string = value->if_string();
    if (string == nullptr)
        return invalid(name, "must be a UUID string");
    auto parsed = Uuid::parse(std::string_view(string->data(), string->size()));
    if (!parsed)
        return invalid(name, "must be a UUID");
    return *parsed;
}

Result<std::vector<Uuid>> Object::distinct_uuids(std::string_view name, std::size_t min, std::size_t max) const {
    KEYMELD_TRY(const auto* value, require(name));
    const auto* array = value->if_array();
    if (array == nullptr)
        return invalid(name, "must be an array of UUIDs");
    if (array->size() < min || array->size() > max)
        return invalid(name, "must have " + std::to_string(min) + ".." + std::to_string(max) + " elements");
    std::vector<Uuid> out;
    out.reserve(array->size());
    std::unordered_set<Uuid> seen;
    for (const auto& element : *array) {
        const auto at = [&] { return pointer_of(name) + "/" + std::to_string(out.size()); };
        const auto* string = element.if_string();
        if (string == nullptr)
            return invalid_field(at(), "must be a UUID string");
        const auto parsed = Uuid::parse(std::string_view(string->data(), string->size()));
        if (!parsed)
            return invalid_field(at(), "must be a UUID");
        if (!seen.insert(*parsed).second)
            return invalid_field(at(), "must not occur twice");
        out.push_back(*parsed);
    }
    return out;
}

Result<Bytes> Object::array_bytes(std::string_view name, const bj::value& value, std::size_t max) const {
    const auto& array = value.get_array();
    if (array.size() > max)
        return invalid(name, "has too many elements");
    Bytes out;
    out.reserve(array.size());
    for (const auto& element : array) {
        const auto number = unsigned_integer(element);
        if (!number || *number > 255)
            return invalid_field(pointer_of(name) + "/" + std::to_string(out.size()), range_rule(0, 255));
        out.push_back(static_cast<std::uint8_t>(*number));
    }
    return out;
}

Result<Bytes> Object::bytes(std::string_view name, BytesForm form,
                            std::initializer_list<std::size_t> sizes) const {
    KEYMELD_TRY(const auto* value, require(name));
    const auto wrong_size = [&] { return invalid(name, "must have " + sizes_text(sizes) + " bytes"); };
    Bytes out;
    if (value->is_array() && form != BytesForm::Hex) {
        if (std::find(sizes.begin(), sizes.end(), value->get_array().size()) == sizes.end())
            return wrong_size();
        KEYMELD_TRY(out, array_bytes(name, *value, std::max(sizes)));
    } else if (value->is_string() && form != BytesForm::Array) {
        const auto& string = value->get_string();
        auto decoded = string.size() <= 2 * std::max(sizes)
                           ? hex_decode(std::string_view(string.data(), string.size()))
                           : Result<Bytes>(wrong_size());
        if (!decoded)
            return decoded.error().code == Errc::ValidationFailed ? decoded.error() : invalid(name, "must be hex");
        out = std::move(*decoded);
    } else {
        switch (form) {
        case BytesForm::Array: return invalid(name, "must be an array of numbers 0..255");
        case BytesForm::Hex: return invalid(name, "must be a hex string");
        case BytesForm::ArrayOrHex: return invalid(name, "must be an array of numbers 0..255 or a hex string");
        }
    }
    if (std::find(sizes.begin(), sizes.end(), out.size()) == sizes.end())
        return wrong_size();
    return out;
}

Result<Object::Hex> Object::hex(std::string_view name, std::size_t min, std::size_t max) const {
    KEYMELD_TRY(const auto* value, require(name));
    const auto* string = value->if_string();
    if (string == nullptr)
        return invalid(name, "must be a hex string");
    const auto rule = [&] {
        return "must be hex of " + std::to_string(min) + ".." + std::to_string(max) + " bytes";
    };
    if (string->size() > 2 * max || string->size() < 2 * min)
        return invalid(name, rule());
    auto decoded = hex_decode(std::string_view(string->data(), string->size()));
    if (!decoded)
        return invalid(name, rule());
    return Hex{std::move(*decoded), std::string(string->data(), string->size())};
}

Result<std::optional<Object>> Object::optional_object(std::string_view name) const {
    if (find(name) == nullptr)
        return std::optional<Object>();
    KEYMELD_TRY(auto found, object(name));
    return std::optional(std::move(found));
}

Result<Object> Object::object(std::string_view name) const {
    KEYMELD_TRY(const auto* value, require(name));
    const auto* object = value->if_object();
    if (object == nullptr)
        return invalid(name, "must be an object");
    return Object(*object, pointer_of(name));
}

Result<std::vector<Object>> Object::objects(std::string_view name, std::size_t max) const {
    KEYMELD_TRY(const auto* value, require(name));
    const auto* array = value->if_array();
    if (array == nullptr || array->size() > max)
        return invalid(name, "must be an array of at most " + std::to_string(max) + " objects");
    std::vector<Object> out;
    out.reserve(array->size());
    for (const auto& element : *array) {
        const std::string pointer = pointer_of(name) + "/" + std::to_string(out.size());
        const auto* object = element.if_object();
        if (object == nullptr)
            return invalid_field(pointer, "must be an object");
        out.push_back(Object(*object, pointer));
    }
    return out;
}

Result<std::vector<std::string>> Object::texts(std::string_view name, std::size_t max, std::size_t max_size) const {
    KEYMELD_TRY(const auto* value, require(name));
    const auto* array = value->if_array();
    if (array == nullptr || array->size() > max)
        return invalid(name, "must be an array of at most " + std::to_string(max) + " texts");
    std::vector<std::string> out;
    out.reserve(array->size());
    for (const auto& element : *array) {
        const auto* text = element.if_string();
        if (text == nullptr || text->size() > max_size)
            return invalid_field(pointer_of(name) + "/" + std::to_string(out.size()), "must be a short text");
        out.emplace_back(text->data(), text->size());
    }
    return out;
}

} // namespace keymeld::json
