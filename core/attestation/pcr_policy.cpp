#include "core/attestation/pcr_policy.h"

#include <algorithm>

#include "core/attestation/json_cursor.h"
#include "core/attestation/read_file.h"
#include "core/base/hex.h"

namespace keymeld::attestation {
namespace {

constexpr PcrIndex kImage = PcrIndex::of<0>();
constexpr PcrIndex kKernel = PcrIndex::of<1>();
constexpr PcrIndex kApplication = PcrIndex::of<2>();
constexpr std::size_t kMaxName = 128;

Error invalid(std::string what, std::source_location where = std::source_location::current()) {
    return fail(Errc::ConfigInvalid, std::move(what), where);
}

Status check_entry(const PcrPolicy::Entry& entry) {
    if (entry.name.empty() || entry.name.size() > kMaxName ||
        std::ranges::any_of(entry.name,
                            [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
        return invalid("an allowed image has no name, or one that is too long or not printable");
    const PcrSet& pcrs = entry.required;
    if (!pcrs.contains(kImage) && !(pcrs.contains(kKernel) && pcrs.contains(kApplication)))
        return invalid(entry.name + ": neither PCR0 nor both PCR1 and PCR2 are given");
    for (const PcrIndex measured : {kImage, kKernel, kApplication})
        if (const auto at = pcrs.find(measured); at != pcrs.end() && is_zero(at->second))
            return invalid(entry.name + ": " + measured.name() +
                           " is zero, which is what enclaves in debug mode report");
    return {};
}

Result<PcrPolicy::Entry> read_entry(JsonCursor& json) {
    PcrPolicy::Entry entry;
    bool named = false;
    KEYMELD_CHECK(json.expect('{'));
    do {
        KEYMELD_TRY(const std::string member, json.string());
        KEYMELD_CHECK(json.expect(':'));
        KEYMELD_TRY(std::string content, json.string());
        if (member == "name") {
            if (named)
                return json.error("name occurs twice");
            named = true;
            entry.name = std::move(content);
            continue;
        }
        const auto index = PcrIndex::parse(member);
        if (!index)
            return json.error("unknown member, expected name or PCR0 to PCR31");
        const auto value = hex_decode_array<PcrValue{}.size()>(content);
        if (!value)
            return json.error(index->name() + " is not 96 hex digits");
        if (!entry.required.emplace(*index, *value).second)
            return json.error(index->name() + " occurs twice");
    } while (json.accept(','));
    KEYMELD_CHECK(json.expect('}'));
    return entry;
}

bool satisfies(const PcrSet& pcrs, const PcrSet& required) {
    return std::ranges::all_of(required, [&](const auto& wanted) {
        const auto found = pcrs.find(wanted.first);
        return found != pcrs.end() && found->second == wanted.second;
    });
}

} // namespace

Result<PcrPolicy> PcrPolicy::make(std::vector<Entry> allowed) {
    if (allowed.empty() || allowed.size() > kMaxEntries)
        return invalid("the list of allowed images is empty or too long");
    for (const Entry& entry : allowed)
        KEYMELD_CHECK(check_entry(entry));
    return PcrPolicy(std::move(allowed));
}

Result<PcrPolicy> PcrPolicy::parse(std::string_view text) {
    if (text.size() > kMaxFile)
        return invalid("the list of allowed images is too long");
    JsonCursor json(text);
    std::vector<Entry> allowed;
    KEYMELD_CHECK(json.expect('{'));
    KEYMELD_TRY(const std::string member, json.string());
    if (member != "allowed")
        return json.error("unknown member, expected allowed");
    KEYMELD_CHECK(json.expect(':'));
    KEYMELD_CHECK(json.expect('['));
    do {
        KEYMELD_TRY(Entry entry, read_entry(json));
        allowed.push_back(std::move(entry));
    } while (allowed.size() <= kMaxEntries && json.accept(','));
    KEYMELD_CHECK(json.expect(']'));
    KEYMELD_CHECK(json.expect('}'));
    KEYMELD_CHECK(json.end());
    return make(std::move(allowed));
}

Result<PcrPolicy> PcrPolicy::from_file(const std::filesystem::path& path) {
    KEYMELD_TRY(const std::string text, read_file(path, kMaxFile));
    auto policy = parse(text);
    if (!policy)
        return in_file(path, std::move(policy).error());
    return policy;
}

const PcrPolicy::Entry* PcrPolicy::match(const PcrSet& pcrs) const {
    const auto image = pcrs.find(kImage);
    if (image == pcrs.end() || is_zero(image->second))
        return nullptr;
    const auto found = std::ranges::find_if(
        m_allowed, [&](const Entry& entry) { return satisfies(pcrs, entry.required); });
    return found == m_allowed.end() ? nullptr : &*found;
}

std::string PcrPolicy::to_json() const {
    std::string out = "{\"allowed\": [";
    const char* separator = "\n";
    for (const Entry& entry : m_allowed) {
        out.append(separator).append("  {\"name\": ").append(json_quote(entry.name));
        for (const auto& [index, value] : entry.required)
            out.append(",\n   \"")
                .append(index.name())
                .append("\": \"")
                .append(hex_encode(value))
                .append("\"");
        out += "}";
        separator = ",\n";
    }
    return out + "\n]}\n";
}

} // namespace keymeld::attestation
