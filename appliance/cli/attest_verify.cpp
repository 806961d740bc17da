#include <algorithm>
#include <ctime>
#include <fstream>
#include <iostream>

#include <CLI/CLI.hpp>

#include "appliance/cli/client_options.h"
#include "appliance/cli/command.h"
#include "appliance/cli/command_loop.h"
#include "appliance/json/writer.h"
#include "core/attestation/key_binding.h"
#include "core/attestation/verifier.h"
#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/hex.h"
#include "core/secure/random.h"

namespace keymeld::cli {

namespace asio = boost::asio;
using attestation::AttestationCheck;
using attestation::Evidence;
using attestation::Verdict;

namespace {

constexpr std::size_t kMaxDocument = 64 * 1024;

struct AttestOptions {
    ClientOptions client;      ///< url: what --enclave names, without the enclave
    std::string enclave;
    std::filesystem::path document;
    std::string nonce;         ///< hex
    std::string public_key;    ///< hex
    bool archived = false;
};

/// One document and what became of it.
struct Judged {
    std::string subject;                  ///< "enclave 0", or the file
    std::optional<std::uint32_t> enclave;
    attestation::AttestationReport report;
    std::optional<attestation::KeyBinding> binding;
    std::optional<Error> error;           ///< no document, or no key of a KeyMeld enclave in it
    bool hardware = false;

    bool accepted() const { return !error && report.accepted(); }
};

std::string utc(std::uint64_t unix_ms) {
    const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
    std::tm parts{};
    char text[32] = "";
    if (gmtime_r(&seconds, &parts) == nullptr || std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        return "an impossible time";
    return text;
}

// ---- Judging --------------------------------------------------------------------------------------------------------

/// `live` enclaves must be KeyMeld's, whose key is in the document; a file may be anybody's.
void judge(const attestation::AttestationVerifier& verifier, ByteView document, const attestation::Expectations& expected,
           bool must_bind, Judged& out) {
    out.report = verifier.report(document, expected);
    const auto verified = verifier.verify(document, expected);
    if (!verified)
        return;
    out.hardware = verified->hardware();
    const auto binding = attestation::key_binding(*verified);
    if (binding)
        out.binding = *binding;
    else if (must_bind)
        out.error = binding.error();
}

/// "http://host:port" with nothing, "/api/v1", or "/api/v1/enclaves/N" after it.
Result<std::optional<std::uint32_t>> split_enclave(const std::string& text, std::string& url) {
    const auto wrong = [&] {
        return fail(Errc::InvalidArgument, "--enclave " + text + ": expected http://HOST:PORT for every enclave of an appliance, or "
                                           "http://HOST:PORT/api/v1/enclaves/N for one");
    };
    const std::size_t scheme = text.find("://");
    const std::size_t slash = scheme == std::string::npos ? scheme : text.find('/', scheme + 3);
    url = text.substr(0, slash);
    std::string path = slash == std::string::npos ? "" : text.substr(slash);
    while (path.ends_with('/'))
        path.pop_back();
    if (path.empty() || path == "/api/v1" || path == "/api/v1/enclaves")
        return std::optional<std::uint32_t>();
    constexpr std::string_view kPrefix = "/api/v1/enclaves/";
    if (!path.starts_with(kPrefix))
        return wrong();
    const std::string number = path.substr(kPrefix.size());
    if (number.empty() || number.size() > 9 || number.find_first_not_of("0123456789") != std::string::npos)
        return wrong();
    return std::optional(static_cast<std::uint32_t>(std::stoul(number)));
}

/// A fresh document of one enclave.
asio::awaitable<Judged> ask(client::RestClient& rest, const attestation::AttestationVerifier& verifier, std::uint32_t id) {
    Judged out;
    out.subject = "enclave " + std::to_string(id);
    out.enclave = id;
    const ByteArray<32> nonce = secure::random_array<32>();
    auto answer = co_await rest.attestation(id, nonce);
    if (!answer) {
        out.error = answer.error();
        co_return out;
    }
    attestation::Expectations expected;
    expected.nonce = to_bytes(nonce);
    expected.now_ms = unix_millis();
    judge(verifier, answer->document, expected, true, out);
    co_return out;
}

asio::awaitable<Result<std::vector<Judged>>> ask_enclaves(const AttestOptions& options, std::optional<std::uint32_t> only) {
    const auto executor = co_await asio::this_coro::executor;
    auto session = ClientSession::open(options.client, executor, true);
    if (!session)
        co_return std::move(session).error();
    std::vector<std::uint32_t> ids;
    if (only) {
        ids.push_back(*only);
    } else {
        auto listed = co_await session->rest->enclaves();
        if (!listed)
            co_return std::move(listed).error();
        for (const client::EnclaveEntry& entry : *listed)
            ids.push_back(entry.id);
    }
    std::vector<Judged> out;
    for (const std::uint32_t id : ids) {
        Judged judged = co_await ask(*session->rest, session->trust->verifier(), id);
        out.push_back(std::move(judged));
    }
    if (out.empty())
        co_return fail(Errc::EnclaveUnavailable, "this appliance has no enclave");
    co_return out;
}

/// Raw COSE_Sign1, or its base64, as REST answers have it.
Result<Bytes> read_document(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::string content(kMaxDocument + 1, '\0');
    in.read(content.data(), static_cast<std::streamsize>(content.size()));
    content.resize(static_cast<std::size_t>(in.gcount()));
    if (content.empty() || content.size() > kMaxDocument || in.bad())
        return fail(Errc::Io, file.string() + ": cannot be read, is empty, or larger than any attestation document");
    std::string text = content;
    std::erase_if(text, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
    if (const auto decoded = base64_decode(text); decoded && !decoded->empty())
        return *decoded;
    return to_bytes(as_bytes(content));
}

Result<std::optional<Bytes>> optional_hex(std::string_view option, const std::string& hex) {
    if (hex.empty())
        return std::optional<Bytes>();
    auto bytes = hex_decode(hex);
    if (!bytes || bytes->empty())
        return fail(Errc::InvalidArgument, std::string(option) + ": hex digits are needed");
    return std::optional(std::move(*bytes));
}

Result<std::vector<Judged>> judge_file(const AttestOptions& options) {
    KEYMELD_TRY(const auto trust, client::Trust::load(options.client.trust, options.client.pcrs));
    KEYMELD_TRY(const Bytes document, read_document(options.document));
    attestation::Expectations expected;
    KEYMELD_TRY(expected.nonce, optional_hex("--nonce", options.nonce));
    KEYMELD_TRY(expected.public_key, optional_hex("--public-key", options.public_key));
    expected.now_ms = unix_millis();
    expected.evidence = options.archived ? Evidence::Archived : Evidence::Live;
    Judged out;
    out.subject = options.document.string();
    judge(trust.verifier(), document, expected, false, out);
    std::vector<Judged> all;
    all.push_back(std::move(out));
    return all;
}

// ---- Showing --------------------------------------------------------------------------------------------------------

void write_json(json::Writer& w, const Judged& judged) {
    w.begin_object();
    if (judged.enclave)
        w.member("enclave_id", *judged.enclave);
    else
        w.member("document", judged.subject);
    w.member("accepted", judged.accepted());
    if (judged.error)
        w.member("error", judged.error->detail).member("error_type", errc_name(judged.error->code));
    if (judged.accepted())
        w.member("image", judged.report.image_name).member("hardware", judged.hardware);
    if (judged.binding)
        w.member("public_key", hex_encode(judged.binding->public_key)).member("key_epoch", judged.binding->key_epoch);
    if (const auto& document = judged.report.document) {
        w.member("module_id", document->module_id).member("timestamp_ms", document->timestamp_ms).key("pcrs").begin_object();
        for (const auto& [name, value] : attestation::pcr_texts(document->pcrs))
            w.member(name, value);
        w.end_object();
    }
    w.key("checks").begin_array();
    for (const attestation::CheckResult& result : judged.report.checks)
        w.begin_object()
            .member("check", attestation::check_name(result.check))
            .member("verdict", attestation::verdict_name(result.verdict))
            .member("detail", result.detail)
            .end_object();
    w.end_array().end_object();
}

std::string_view mark(Verdict verdict) {
    switch (verdict) {
    case Verdict::Passed: return "ok  ";
    case Verdict::Failed: return "FAIL";
    case Verdict::NotRequested: return "-   ";
    case Verdict::NotReached: return "?   ";
    }
    return "?   ";
}

void print(const Judged& judged, const AttestOptions& options) {
    std::cout << judged.subject << "\n";
    for (const attestation::CheckResult& result : judged.report.checks) {
        std::string name(attestation::check_name(result.check));
        name.resize(18, ' ');
        std::cout << "  " << mark(result.verdict) << "  " << name << attestation::check_text(result.check);
        if (result.verdict == Verdict::NotRequested)
            std::cout << ": not asked for" << (result.detail.empty() ? "" : " (" + result.detail + ")");
        else if (result.verdict == Verdict::NotReached)
            std::cout << ": not reached";
        else if (!result.detail.empty())
            std::cout << ": " << result.detail;
        std::cout << "\n";
    }
    if (const auto& document = judged.report.document) {
        std::cout << "  made " << utc(document->timestamp_ms) << " by " << document->module_id << "\n";
        for (const auto& [index, value] : document->pcrs)
            if (!attestation::is_zero(value))
                std::cout << "  " << index.name() << " " << hex_encode(value) << "\n";
    }
    if (judged.error)
        std::cout << "  " << judged.error->detail << "\n";
    if (judged.binding)
        std::cout << "  key " << hex_encode(judged.binding->public_key) << ", epoch " << judged.binding->key_epoch << "\n";
    if (!judged.accepted()) {
        std::cout << "  REFUSED\n";
        return;
    }
    std::cout << "  ACCEPTED: image \"" << judged.report.image_name << "\""
              << (judged.hardware ? "" : ", vouched for by a simulator, which protects nothing") << "\n";
    if (options.archived)
        std::cout << "  Judged at the document's own time: it was genuine then. That says nothing about today.\n";
    else if (!judged.enclave && options.nonce.empty())
        std::cout << "  Without --nonce nothing shows that it was made for you.\n";
}

int show(const AttestOptions& options, const std::vector<Judged>& all) {
    const bool accepted = std::ranges::all_of(all, &Judged::accepted);
    if (options.client.json) {
        json::Writer w;
        w.begin_object().member("accepted", accepted).member("evidence", options.archived ? "archived" : "live");
        w.key("documents").begin_array();
        for (const Judged& judged : all)
            write_json(w, judged);
        w.end_array().end_object();
        std::cout << w.view() << std::endl;
    } else {
        for (const Judged& judged : all)
            print(judged, options);
        std::cout.flush();
    }
    return accepted && std::cout ? 0 : kFailed;
}

asio::awaitable<int> attest(AttestOptions options) {
    if (!options.document.empty()) {
        const auto judged = judge_file(options);
        co_return judged ? show(options, *judged) : report(judged.error());
    }
    if (options.archived || !options.nonce.empty() || !options.public_key.empty())
        co_return report(fail(Errc::InvalidArgument, "--archived, --nonce and --public-key are for --document: an enclave is asked for a "
                                                     "fresh document over a nonce of ours, and its key is shown"));
    std::optional<std::uint32_t> only;
    if (!options.enclave.empty()) {
        const auto split = split_enclave(options.enclave, options.client.url);
        if (!split)
            co_return report(split.error());
        only = *split;
    }
    const auto judged = co_await ask_enclaves(options, only);
    if (!judged) {
        co_await unless_interrupted();
        co_return report(judged.error());
    }
    co_return show(options, *judged);
}

} // namespace

Run prepare_attest_verify(CLI::App& app) {
    auto options = std::make_shared<AttestOptions>();
    options->client.trust = "aws";
    add_connection_options(app, options->client);
    add_trust_options(app, options->client);
    app.get_option("--trust")->required(false)->default_str("aws");
    CLI::Option* const enclave =
        app.add_option("--enclave", options->enclave,
                       "An appliance, whose every enclave is asked, or one enclave: http://HOST:PORT/api/v1/enclaves/N (default: --url)")
            ->type_name("URL");
    app.add_option("--document", options->document, "A document from a file instead: raw COSE_Sign1, or base64")
        ->excludes(enclave)
        ->type_name("FILE");
    app.add_option("--nonce", options->nonce, "With --document: the nonce that it must answer")->type_name("HEX");
    app.add_option("--public-key", options->public_key, "With --document: the key that it must vouch for")->type_name("HEX");
    app.add_flag("--archived", options->archived,
                 "With --document: old evidence. Certificates are judged at the document's own time, and it need not be fresh");
    app.footer("Shows every check of an attestation document with its verdict; the exit code is 0 only if all hold. Commands that send a key make\n"
               "the same checks by themselves and cannot be told not to: this one is for looking.\n\n"
               "Examples:\n"
               "  keymeld attest verify --enclave http://127.0.0.1:8080 --trust var/sim/root.pem --pcrs var/sim/pcrs.json\n"
               "  keymeld attest verify --enclave https://keymeld.example/api/v1/enclaves/0 --pcrs pcrs.json\n"
               "  keymeld attest verify --document evidence.cbor --archived --pcrs pcrs.json");
    return [options] { return run_command([options] { return attest(*options); }); };
}

} // namespace keymeld::cli
