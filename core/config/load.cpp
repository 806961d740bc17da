// From the tree of the file to Config: one function for each mapping of the file.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <limits>

#include "core/base/hex.h"
#include "core/config/config.h"
#include "core/config/scalar.h"
#include "core/config/yaml_tree.h"

namespace keymeld::config {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxEnclaves = 1024;
constexpr std::size_t kMaxOrigins = 64;
constexpr std::uint64_t kDay = 86400;

struct Context {
    std::string name;
    fs::path base;
    const Environment& environment;

    std::string place(const Node& node) const { return name + ":" + std::to_string(node.line); }
    Error error(const Node& node, std::string_view what) const {
        return fail(Errc::ConfigInvalid, place(node) + ": " + std::string(what));
    }
};

std::string joined(std::initializer_list<std::string_view> words) {
    std::string out;
    for (const auto word : words)
        out.append(out.empty() ? "" : ", ").append(word);
    return out;
}

/// One mapping of the file, whose keys are known beforehand. Values are read by key; an absent key
/// leaves the default.
class Mapping {
  public:
    /// `title` names the mapping in messages.
    static Result<Mapping> open(const Context& context, const Node& node, std::string title,
                                std::initializer_list<std::string_view> known) {
        if (node.kind != Node::Kind::Mapping)
            return context.error(node, title + " must be a mapping; its keys are " + joined(known));
        for (const auto& [key, value] : node.members)
            if (std::ranges::find(known, key) == known.end())
                return context.error(value, "unknown key '" + key + "' in " + title +
                                                "; known keys: " + joined(known));
        return Mapping(context, node, std::move(title));
    }

    const Context& context() const { return *m_context; }
    const Node& node() const { return *m_node; }
    Error error(std::string_view what) const { return m_context->error(*m_node, what); }
    Error error(const Node& node, std::string_view key, std::string_view allowed) const {
        return m_context->error(node, m_title + "." + std::string(key) + " must be " +
                                          std::string(allowed));
    }

    const Node* find(std::string_view key) const {
        for (const auto& [name, value] : m_node->members)
            if (name == key)
                return &value;
        return nullptr;
    }
    Result<const Node*> require(std::string_view key) const {
        if (const Node* const node = find(key))
            return node;
        return error(m_title + "." + std::string(key) + " is missing");
    }

    Result<std::string> scalar(const Node& node, std::string_view key) const {
        if (node.kind != Node::Kind::Scalar)
            return error(node, key, "a single value");
        auto text = substitute(node.text, m_context->environment);
        if (!text)
            return m_context->error(node,
                                    m_title + "." + std::string(key) + ": " + text.error().detail);
        return text;
    }

    /// Parses the value of `key`, if it is there, into `out`; `parse` gives an optional.
    template <class T, class Parse>
    Status read(std::string_view key, T& out, std::string_view allowed, Parse&& parse) const {
        const Node* const node = find(key);
        if (node == nullptr)
            return {};
        KEYMELD_TRY(const std::string text, scalar(*node, key));
        auto value = parse(text);
        if (!value)
            return error(*node, key, allowed);
        out = *std::move(value);
        return {};
    }

    template <class T>
    Status integer(std::string_view key, T& out, std::uint64_t min,
                   std::uint64_t max = std::numeric_limits<T>::max()) const {
        const std::string allowed =
            "a whole number from " + std::to_string(min) + " to " + std::to_string(max);
        return read(key, out, allowed, [&](std::string_view text) -> std::optional<T> {
            const auto number = parse_integer(text);
            if (!number || *number < min || *number > max)
                return std::nullopt;
            return static_cast<T>(*number);
        });
    }

    Status duration(std::string_view key, seconds& out, std::uint64_t min, std::uint64_t max,
                    std::string_view allowed) const {
        return read(key, out, allowed, [&](std::string_view text) -> std::optional<seconds> {
            const auto value = parse_duration(text);
            if (!value || value->count() < static_cast<std::int64_t>(min) ||
                value->count() > static_cast<std::int64_t>(max))
                return std::nullopt;
            return value;
        });
    }

    Status flag(std::string_view key, bool& out) const {
        return read(key, out, "true or false", [](std::string_view text) -> std::optional<bool> {
            if (text == "true")
                return true;
            if (text == "false")
                return false;
            return std::nullopt;
        });
    }

    Result<fs::path> required_path(std::string_view key) const {
        KEYMELD_TRY(const Node* const node, require(key));
        return path_of(*node, key);
    }
    Status optional_path(std::string_view key, std::optional<fs::path>& out) const {
        if (const Node* const node = find(key)) {
            KEYMELD_TRY(out, path_of(*node, key));
        }
        return {};
    }

  private:
    Mapping(const Context& context, const Node& node, std::string title)
        : m_context(&context), m_node(&node), m_title(std::move(title)) {}

    Result<fs::path> path_of(const Node& node, std::string_view key) const {
        KEYMELD_TRY(const std::string text, scalar(node, key));
        if (text.empty())
            return error(node, key, "a path");
        return (m_context->base / text).lexically_normal();
    }

    const Context* m_context;
    const Node* m_node;
    std::string m_title;
};

Result<PluginChoice> read_plugin(const Context& context, const Node& node, std::string_view title) {
    const std::string prefix(title);
    if (node.kind != Node::Kind::Mapping)
        return context.error(node, prefix + " must be a mapping with the key 'plugin'");
    PluginChoice choice;
    choice.where = context.place(node);
    std::map<std::string, plugin::Options::Value> options;
    for (const auto& [key, value] : node.members) {
        if (value.kind != Node::Kind::Scalar)
            return context.error(value, prefix + "." + key + " must be a single value");
        auto text = substitute(value.text, context.environment);
        if (!text)
            return context.error(value, prefix + "." + key + ": " + text.error().detail);
        if (key == "plugin") {
            choice.plugin = *std::move(text);
        } else if (key == "sha256") {
            const auto pin = hex_decode_array<32>(*text);
            if (!pin)
                return context.error(value, prefix +
                                                ".sha256 must be the SHA-256 of the plugin's file: "
                                                "64 hex digits");
            choice.sha256 = *pin;
        } else {
            options.emplace(key, plugin::Options::Value{*std::move(text), context.place(value)});
        }
    }
    if (choice.plugin.empty())
        return context.error(node, prefix + ".plugin is missing; it is the name of a plugin's file "
                                            "without .so");
    choice.options = plugin::Options(std::move(options), choice.where, context.base);
    return choice;
}

Result<AttestationChoice> read_attestation(const Context& context, const Node& node) {
    KEYMELD_TRY(const Mapping in, Mapping::open(context, node, "attestation", {"trust", "pcrs"}));
    AttestationChoice out;
    KEYMELD_TRY(const Node* const trust, in.require("trust"));
    KEYMELD_TRY(const std::string text, in.scalar(*trust, "trust"));
    out.aws = text == "aws";
    if (!out.aws) {
        KEYMELD_TRY(out.root_pem, in.required_path("trust"));
    }
    KEYMELD_TRY(out.pcrs, in.required_path("pcrs"));
    return out;
}

Result<Enclave> read_enclave(const Context& context, const Node& node) {
    KEYMELD_TRY(const Mapping in, Mapping::open(context, node, "enclave",
                                                {"id", "transport", "attestation", "enabled",
                                                 "required", "accept_key_epoch"}));
    Enclave out;
    out.where = context.place(node);
    KEYMELD_CHECK(in.require("id"));
    KEYMELD_CHECK(in.integer("id", out.id, 0));
    KEYMELD_TRY(const Node* const transport, in.require("transport"));
    KEYMELD_TRY(out.transport, read_plugin(context, *transport, "transport"));
    KEYMELD_TRY(const Node* const attestation, in.require("attestation"));
    KEYMELD_TRY(out.attestation, read_attestation(context, *attestation));
    KEYMELD_CHECK(in.flag("enabled", out.enabled));
    KEYMELD_CHECK(in.flag("required", out.required));
    if (in.find("accept_key_epoch") != nullptr) {
        std::uint64_t epoch = 0;
        KEYMELD_CHECK(in.integer("accept_key_epoch", epoch, 1));
        out.accept_key_epoch = epoch;
    }
    return out;
}

/// A session spread over enclaves of several kinds is only as good as the weakest: one root for
/// all, unless the file says that it is meant.
Status check_mixture(const Config& config) {
    if (config.allow_mixed_fleet)
        return {};
    const Enclave* first = nullptr;
    for (const Enclave& enclave : config.enclaves) {
        if (!enclave.enabled)
            continue;
        if (first == nullptr)
            first = &enclave;
        if (enclave.attestation.trust() == first->attestation.trust())
            continue;
        const Enclave& own_root = enclave.attestation.aws ? *first : enclave;
        const bool aws = enclave.attestation.aws || first->attestation.aws;
        return fail(Errc::ConfigInvalid,
                    own_root.where + ": enclave " + std::to_string(own_root.id) + " trusts " +
                        (aws ? "a root of its own and others trust AWS"
                             : "another root than enclave " + std::to_string(first->id)) +
                        "; disable one kind, or set "
                        "allow_mixed_fleet: true if keys may rest on the weaker of the two");
    }
    return {};
}

Status read_enclaves(const Context& context, const Node& node, Config& out) {
    if (node.kind != Node::Kind::Sequence || node.items.empty() || node.items.size() > kMaxEnclaves)
        return context.error(node, "enclaves must be a list of 1 to 1024 enclaves");
    for (const Node& item : node.items) {
        KEYMELD_TRY(Enclave enclave, read_enclave(context, item));
        for (const Enclave& other : out.enclaves)
            if (other.id == enclave.id)
                return context.error(item, "enclave.id " + std::to_string(enclave.id) +
                                               " is there twice (first at " + other.where +
                                               "); ids must differ");
        out.enclaves.push_back(std::move(enclave));
    }
    std::ranges::sort(out.enclaves, {}, &Enclave::id);
    if (std::ranges::none_of(out.enclaves, &Enclave::enabled))
        return context.error(node, "every enclave is disabled; at least one must be enabled");
    return check_mixture(out);
}

Status read_listen(const Mapping& in, std::string_view key, Listen& out) {
    return in.read(key, out, "a literal address and port such as 127.0.0.1:8080 or [::1]:8080",
                   parse_listen);
}

Status check_plain_http(const Mapping& in, std::string_view key, const Listen& listen,
                        const Server& server) {
    if (listen.loopback() || server.allow_plain_http)
        return {};
    const Node* const node = in.find(key);
    return in.context().error(node ? *node : in.node(),
                              "server." + std::string(key) + " " + listen.text() +
                                  " is not loopback and would be plain HTTP; configure server.tls, "
                                  "listen on 127.0.0.1, or set allow_plain_http: true");
}

Status read_origins(const Mapping& in, const Node& node, std::vector<std::string>& out) {
    static constexpr std::string_view kAllowed =
        "a list of at most 64 origins such as https://app.example (scheme, host and port only)";
    if (node.kind != Node::Kind::Sequence || node.items.size() > kMaxOrigins)
        return in.error(node, "cors_origins", kAllowed);
    for (const Node& item : node.items) {
        KEYMELD_TRY(std::string origin, in.scalar(item, "cors_origins"));
        if (!valid_origin(origin))
            return in.error(item, "cors_origins", kAllowed);
        out.push_back(std::move(origin));
    }
    return {};
}

Status read_server(const Context& context, const Node& node, Server& out) {
    KEYMELD_TRY(const Mapping in,
                Mapping::open(context, node, "server",
                              {"listen", "tls", "allow_plain_http", "cors_origins",
                               "keygen_token_file", "ops_listen"}));
    KEYMELD_CHECK(read_listen(in, "listen", out.listen));
    KEYMELD_CHECK(in.flag("allow_plain_http", out.allow_plain_http));
    if (const Node* const tls_node = in.find("tls")) {
        KEYMELD_TRY(const Mapping tls, Mapping::open(context, *tls_node, "server.tls",
                                                     {"certificate", "key", "client_ca"}));
        out.tls.emplace();
        KEYMELD_TRY(out.tls->certificate, tls.required_path("certificate"));
        KEYMELD_TRY(out.tls->key, tls.required_path("key"));
        KEYMELD_CHECK(tls.optional_path("client_ca", out.tls->client_ca));
    }
    if (const Node* const origins = in.find("cors_origins"))
        KEYMELD_CHECK(read_origins(in, *origins, out.cors_origins));
    KEYMELD_CHECK(in.optional_path("keygen_token_file", out.keygen_token_file));
    if (in.find("ops_listen") != nullptr) {
        KEYMELD_CHECK(read_listen(in, "ops_listen", out.ops_listen.emplace()));
        KEYMELD_CHECK(check_plain_http(in, "ops_listen", *out.ops_listen, out));
    }
    if (!out.tls)
        KEYMELD_CHECK(check_plain_http(in, "listen", out.listen, out));
    return {};
}

Status read_retention(const Mapping& in, std::string_view key, std::optional<seconds>& out) {
    return in.read(key, out, "none, or at least 1d",
                   [](std::string_view text) -> std::optional<std::optional<seconds>> {
                       if (text == "none")
                           return std::optional<seconds>();
                       const auto value = parse_duration(text);
                       if (!value || *value < seconds(kDay))
                           return std::nullopt;
                       return value;
                   });
}

Status read_limits(const Context& context, const Node& node, Limits& out) {
    static constexpr std::uint64_t kForever = 100 * 365 * kDay;
    KEYMELD_TRY(const Mapping in, Mapping::open(context, node, "limits",
                                                {"max_body_bytes",
                                                 "max_participants",
                                                 "timeout_secs_max",
                                                 "default_max_signing_sessions",
                                                 "wait_max_secs",
                                                 "event_streams_per_client",
                                                 "event_streams_total",
                                                 "rate_per_client",
                                                 "rate_burst",
                                                 "rate_delay_max",
                                                 "pending_keygen_sessions_per_client",
                                                 "pending_keygen_sessions_total",
                                                 "max_inflight_requests",
                                                 "request_deadline",
                                                 "enclave_wait_max",
                                                 "enclave_retry_max",
                                                 "approval_max_validity",
                                                 "completed_keygen_retention",
                                                 "finished_signing_retention",
                                                 "failed_retention",
                                                 "canary_interval",
                                                 "canary_max_age"}));
    KEYMELD_CHECK(in.read("max_body_bytes", out.max_body_bytes, "a size from 64KiB to 16MiB",
                          [](std::string_view text) -> std::optional<std::uint64_t> {
                              const auto size = parse_size(text);
                              if (!size || *size < 64 * 1024 || *size > 16 * 1024 * 1024)
                                  return std::nullopt;
                              return size;
                          }));
    KEYMELD_CHECK(in.integer("max_participants", out.max_participants, 2, 1000));
    KEYMELD_CHECK(in.integer("timeout_secs_max", out.timeout_secs_max, 1, 86400));
    KEYMELD_CHECK(in.integer("default_max_signing_sessions", out.default_max_signing_sessions, 0));
    KEYMELD_CHECK(in.duration("wait_max_secs", out.wait_max_secs, 0, 60, "a time from 0s to 60s"));
    KEYMELD_CHECK(in.integer("event_streams_per_client", out.event_streams_per_client, 1));
    KEYMELD_CHECK(in.integer("event_streams_total", out.event_streams_total, 1));
    KEYMELD_CHECK(in.integer("rate_per_client", out.rate_per_client, 1));
    if (in.find("rate_burst") == nullptr)
        out.rate_burst = std::max(out.rate_burst, out.rate_per_client);
    // A burst below the rate would refuse clients that keep to the rate.
    KEYMELD_CHECK(in.integer("rate_burst", out.rate_burst, out.rate_per_client));
    KEYMELD_CHECK(
        in.duration("rate_delay_max", out.rate_delay_max, 0, 10, "a time from 0s to 10s"));
    KEYMELD_CHECK(in.integer("pending_keygen_sessions_per_client",
                             out.pending_keygen_sessions_per_client, 1));
    KEYMELD_CHECK(
        in.integer("pending_keygen_sessions_total", out.pending_keygen_sessions_total, 1));
    KEYMELD_CHECK(in.integer("max_inflight_requests", out.max_inflight_requests, 1));
    KEYMELD_CHECK(
        in.duration("request_deadline", out.request_deadline, 1, 300, "a time from 1s to 300s"));
    if (in.find("enclave_wait_max") == nullptr)
        out.enclave_wait_max = std::min(out.enclave_wait_max, out.request_deadline);
    const auto deadline = static_cast<std::uint64_t>(out.request_deadline.count());
    KEYMELD_CHECK(
        in.duration("enclave_wait_max", out.enclave_wait_max, 0, deadline,
                    "a time from 0s to request_deadline (" + std::to_string(deadline) + "s)"));
    KEYMELD_CHECK(in.integer("enclave_retry_max", out.enclave_retry_max, 1, 100));
    KEYMELD_CHECK(in.duration("approval_max_validity", out.approval_max_validity, 60, 604800,
                              "a time from 60s to 7d"));
    KEYMELD_CHECK(read_retention(in, "completed_keygen_retention", out.completed_keygen_retention));
    KEYMELD_CHECK(in.duration("finished_signing_retention", out.finished_signing_retention, 3600,
                              kForever, "a time of at least 1h"));
    KEYMELD_CHECK(in.duration("failed_retention", out.failed_retention, 3600, kForever,
                              "a time of at least 1h"));
    KEYMELD_CHECK(
        in.duration("canary_interval", out.canary_interval, 5, kForever, "a time of at least 5s"));
    if (in.find("canary_max_age") == nullptr)
        out.canary_max_age = std::max(out.canary_max_age, 3 * out.canary_interval);
    const auto interval = static_cast<std::uint64_t>(out.canary_interval.count());
    return in.duration("canary_max_age", out.canary_max_age, interval, kForever,
                       "a time of at least canary_interval (" + std::to_string(interval) + "s)");
}

Status read_log(const Context& context, const Node& node, log::Level& out) {
    KEYMELD_TRY(const Mapping in, Mapping::open(context, node, "log", {"level"}));
    return in.read("level", out, "debug, info, warn or error",
                   [](std::string_view text) -> std::optional<log::Level> {
                       if (text == "debug")
                           return log::Level::Debug;
                       if (text == "info")
                           return log::Level::Info;
                       if (text == "warn")
                           return log::Level::Warn;
                       if (text == "error")
                           return log::Level::Error;
                       return std::nullopt;
                   });
}

Result<Config> read_config(const Context& context, const Node& root, const fs::path& name) {
    KEYMELD_TRY(const Mapping in, Mapping::open(context, root, "the file",
                                                {"plugins", "storage", "tweak", "enclaves",
                                                 "allow_mixed_fleet", "server", "limits", "log"}));
    Config out;
    out.file = name;
    out.plugin_directory = default_plugin_directory();
    if (const Node* const node = in.find("plugins")) {
        KEYMELD_TRY(const Mapping plugins, Mapping::open(context, *node, "plugins", {"directory"}));
        KEYMELD_TRY(out.plugin_directory, plugins.required_path("directory"));
    }
    KEYMELD_TRY(const Node* const storage, in.require("storage"));
    KEYMELD_TRY(out.storage, read_plugin(context, *storage, "storage"));
    KEYMELD_TRY(const Node* const tweak, in.require("tweak"));
    KEYMELD_TRY(out.tweak, read_plugin(context, *tweak, "tweak"));
    KEYMELD_CHECK(in.flag("allow_mixed_fleet", out.allow_mixed_fleet));
    KEYMELD_TRY(const Node* const enclaves, in.require("enclaves"));
    KEYMELD_CHECK(read_enclaves(context, *enclaves, out));
    if (const Node* const node = in.find("server"))
        KEYMELD_CHECK(read_server(context, *node, out.server));
    if (const Node* const node = in.find("limits"))
        KEYMELD_CHECK(read_limits(context, *node, out.limits));
    if (const Node* const node = in.find("log"))
        KEYMELD_CHECK(read_log(context, *node, out.log_level));
    return out;
}

} // namespace

fs::path default_plugin_directory() {
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error);
    return (program.parent_path() / "../lib/keymeld/plugins").lexically_normal();
}

Result<Config> load_text(std::string_view yaml, const fs::path& name, const fs::path& base,
                         const Environment& environment) {
    KEYMELD_TRY(const Node root, parse_yaml(yaml, name.string()));
    return read_config(Context{name.string(), base, environment}, root, name);
}

Result<Config> load_file(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in)
        return fail(Errc::Io, file.string() + ": cannot be opened: " + std::strerror(errno));
    std::string yaml(kMaxFile + 1, '\0');
    in.read(yaml.data(), static_cast<std::streamsize>(yaml.size()));
    if (in.bad() || (in.gcount() == 0 && !in.eof()))
        return fail(Errc::Io, file.string() + ": cannot be read");
    yaml.resize(static_cast<std::size_t>(in.gcount()));
    std::error_code error;
    const fs::path absolute = fs::absolute(file, error);
    if (error)
        return fail(Errc::Io, file.string() + ": " + error.message());
    return load_text(yaml, file, absolute.parent_path(), process_environment);
}

} // namespace keymeld::config
