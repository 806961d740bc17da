#include "appliance/demo/regtest_node.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/value.hpp>

#include "appliance/client/http.h"
#include "appliance/json/document.h"
#include "appliance/json/writer.h"
#include "core/base/base64.h"
#include "core/base/hex.h"
#include "core/bitcoin/address.h"
#include "core/bitcoin/sighash.h"

namespace keymeld::demo {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr auto kStartTime = 60s;
constexpr auto kCallTime = 60s;
constexpr std::uint64_t kFee = 1000;
constexpr unsigned kMaturity = 101; ///< blocks until the first block's reward can be spent

/// RPC's BTC amount with eight decimals.
std::string btc(std::uint64_t satoshi) {
    std::string fraction = std::to_string(satoshi % 100'000'000);
    fraction.insert(0, 8 - fraction.size(), '0');
    return std::to_string(satoshi / 100'000'000) + "." + fraction;
}

/// `result` of an RPC answer; an RPC error is Errc::Io with the node's text.
class RpcAnswer {
  public:
    static Result<RpcAnswer> read(std::string_view method, const std::string& body) {
        KEYMELD_TRY(json::Document document, json::Document::parse(body));
        RpcAnswer out(std::move(document));
        KEYMELD_TRY(const json::Object object, out.m_document.object());
        KEYMELD_TRY(const auto error, object.optional_object("error"));
        if (error) {
            KEYMELD_TRY(const std::string message, error->text("message", 4096));
            return fail(Errc::Io, "bitcoind " + std::string(method) + ": " + message);
        }
        return out;
    }
    Result<json::Object> object() const {
        KEYMELD_TRY(const json::Object whole, m_document.object());
        return whole.object("result");
    }
    Result<std::string> text() const {
        KEYMELD_TRY(const json::Object whole, m_document.object());
        return whole.text("result", 8u * 1024 * 1024);
    }
    Result<std::string> first_text() const {
        const auto* const object = m_document.value().if_object();
        const auto* const result = object != nullptr ? object->if_contains("result") : nullptr;
        const auto* const array = result != nullptr ? result->if_array() : nullptr;
        if (array == nullptr || array->empty() || !array->front().is_string())
            return fail(Errc::Io, "bitcoind gave an answer of another form");
        return std::string(array->front().as_string());
    }

  private:
    explicit RpcAnswer(json::Document document) : m_document(std::move(document)) {}
    json::Document m_document;
};

} // namespace

class RegtestNode::Impl {
  public:
    Impl(fleet::TemporaryFolder folder, fleet::ReservedPort port, fleet::ChildProcess process, const asio::any_io_executor& executor)
        : m_folder(std::move(folder)), m_port(std::move(port)), m_process(std::move(process)), m_http(executor, endpoint()) {}
    ~Impl() { m_process.stop(10s); }

    client::Endpoint endpoint() const {
        client::Endpoint out;
        out.port = m_port.number();
        return out;
    }

    /// `params` is a JSON array.
    Async<Result<RpcAnswer>> call(std::string method, std::string params, bool wallet = false) {
        client::HttpRequest request{"POST", wallet ? "/wallet/demo" : "/"};
        request.headers.emplace_back("Authorization", "Basic " + m_credentials);
        json::Writer body;
        body.begin_object().member("jsonrpc", "1.0").member("id", "keymeld").member("method", method).key("params").raw(params).end_object();
        request.body = body.take();
        auto answer = co_await m_http.send(std::move(request), steady_clock::now() + kCallTime);
        if (!answer)
            co_return std::move(answer).error();
        if (answer->status == 401)
            co_return fail(Errc::AuthFailed, "bitcoind refuses the cookie of its own folder");
        co_return RpcAnswer::read(method, answer->body);
    }

    bool read_cookie() {
        std::ifstream in(m_folder.path() / "regtest" / ".cookie");
        std::string cookie;
        if (!std::getline(in, cookie) || cookie.empty())
            return false;
        m_credentials = base64_encode(as_bytes(cookie));
        return true;
    }

    Async<Status> wait_until_it_answers() {
        const SteadyTime deadline = steady_clock::now() + kStartTime;
        asio::steady_timer timer(co_await asio::this_coro::executor);
        for (;;) {
            if (read_cookie()) {
                auto info = co_await call("getnetworkinfo", "[]");
                if (info) {
                    auto object = info->object();
                    auto version = object ? object->text("subversion", 256) : Result<std::string>(std::move(object).error());
                    if (!version)
                        co_return std::move(version).error();
                    m_version = std::move(*version);
                    co_return Status();
                }
            }
            if (!m_process.running())
                co_return fail(Errc::Io, "bitcoind ended (" + m_process.status_text() + ")\n" + m_process.log_tail());
            if (steady_clock::now() >= deadline)
                co_return fail(Errc::DeadlineExceeded, "bitcoind does not answer\n" + m_process.log_tail());
            timer.expires_after(50ms);
            co_await timer.async_wait(asio::use_awaitable);
        }
    }

    /// A wallet with a reward that is old enough to be spent.
    Async<Status> fill_wallet() {
        auto made = co_await call("createwallet", "[\"demo\"]");
        if (!made)
            co_return std::move(made).error();
        auto address = co_await new_address();
        if (!address)
            co_return std::move(address).error();
        m_miner = std::move(*address);
        co_return co_await mine(kMaturity);
    }

    Async<Result<std::string>> new_address() {
        auto answer = co_await call("getnewaddress", "[\"\", \"bech32m\"]", true);
        if (!answer)
            co_return std::move(answer).error();
        co_return answer->text();
    }

    Async<Status> mine(unsigned blocks) {
        auto answer = co_await call("generatetoaddress", "[" + std::to_string(blocks) + ", \"" + m_miner + "\"]");
        if (!answer)
            co_return std::move(answer).error();
        co_return Status();
    }

    fleet::TemporaryFolder m_folder;
    fleet::ReservedPort m_port;
    fleet::ChildProcess m_process;
    client::HttpPool m_http;
    std::string m_credentials;
    std::string m_version;
    std::string m_miner;
};

Result<fs::path> RegtestNode::find_program(const fs::path& wanted) {
    if (!wanted.empty()) {
        if (::access(wanted.c_str(), X_OK) != 0)
            return fail(Errc::Io, wanted.string() + " is not a program; scripts/get-bitcoind fetches a bitcoind");
        return fs::absolute(wanted);
    }
    const char* const path = std::getenv("PATH");
    std::string_view rest = path != nullptr ? path : "";
    while (!rest.empty()) {
        const auto colon = rest.find(':');
        const fs::path candidate = fs::path(rest.substr(0, colon)) / "bitcoind";
        if (::access(candidate.c_str(), X_OK) == 0)
            return fs::absolute(candidate);
        rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
    }
    return fail(Errc::Io, "there is no bitcoind in PATH; run scripts/get-bitcoind and give --bitcoind .cache/bitcoind/bitcoind");
}

RegtestNode::RegtestNode(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
RegtestNode::~RegtestNode() = default;
const std::string& RegtestNode::version() const { return m_impl->m_version; }

Async<Result<std::unique_ptr<RegtestNode>>> RegtestNode::start(fs::path program) {
    auto folder = fleet::TemporaryFolder::make("keymeld-bitcoind");
    if (!folder)
        co_return std::move(folder).error();
    auto port = fleet::ReservedPort::take();
    if (!port)
        co_return std::move(port).error();
    auto process = fleet::ChildProcess::start(
        {.name = "bitcoind",
         .program = program,
         .arguments = {"-regtest", "-server", "-daemon=0", "-datadir=" + folder->path().string(), "-listen=0", "-dnsseed=0",
                       "-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1", "-rpcport=" + std::to_string(port->number()),
                       "-fallbackfee=0.0001", "-dbcache=8", "-maxmempool=5", "-par=1", "-printtoconsole=1", "-debuglogfile=0"},
         .folder = folder->path(),
         .log = folder->path() / "bitcoind.log"});
    if (!process)
        co_return std::move(process).error();
    const auto executor = co_await asio::this_coro::executor;
    std::unique_ptr<RegtestNode> node(
        new RegtestNode(std::make_unique<Impl>(std::move(*folder), std::move(*port), std::move(*process), executor)));
    Status ready = co_await node->m_impl->wait_until_it_answers();
    if (!ready)
        co_return std::move(ready).error();
    Status filled = co_await node->m_impl->fill_wallet();
    if (!filled)
        co_return std::move(filled).error();
    co_return node;
}

Async<Result<Coin>> RegtestNode::fund(const bitcoin::XOnlyPubKey& output_key, std::uint64_t satoshi) {
    return pay(bitcoin::p2tr_address(output_key, bitcoin::Network::Regtest), bitcoin::p2tr_script(output_key), satoshi);
}

Async<Result<Coin>> RegtestNode::fund_descriptor(std::string descriptor, std::uint64_t satoshi) {
    auto address = co_await descriptor_address(std::move(descriptor));
    if (!address)
        co_return std::move(address).error();
    auto script = co_await script_of(*address);
    if (!script)
        co_return std::move(script).error();
    co_return co_await pay(*address, *script, satoshi);
}

Async<Result<Coin>> RegtestNode::pay(std::string address, bitcoin::Script script, std::uint64_t satoshi) {
    auto sent = co_await m_impl->call("sendtoaddress", "[\"" + address + "\", \"" + btc(satoshi) + "\"]", true);
    if (!sent)
        co_return std::move(sent).error();
    auto txid = sent->text();
    if (!txid)
        co_return std::move(txid).error();
    Status mined = co_await m_impl->mine(1);
    if (!mined)
        co_return std::move(mined).error();
    auto shown = co_await m_impl->call("gettransaction", "[\"" + *txid + "\"]", true);
    if (!shown)
        co_return std::move(shown).error();
    const auto find = [&]() -> Result<Coin> {
        KEYMELD_TRY(const json::Object object, shown->object());
        KEYMELD_TRY(const std::string hex, object.text("hex", 8u * 1024 * 1024));
        KEYMELD_TRY(const Bytes raw, hex_decode(hex));
        KEYMELD_TRY(const auto tx, bitcoin::Transaction::parse(raw));
        for (std::uint32_t i = 0; i < tx.outputs.size(); ++i)
            if (tx.outputs[i].script_pub_key == script && tx.outputs[i].amount == satoshi)
                return Coin{{tx.txid(), i}, tx.outputs[i]};
        return fail(Errc::Io, "bitcoind paid to another script than that of " + address);
    };
    co_return find();
}

Async<Result<bitcoin::Script>> RegtestNode::new_wallet_script() {
    auto address = co_await m_impl->new_address();
    if (!address)
        co_return std::move(address).error();
    co_return co_await script_of(std::move(*address));
}

Async<Result<bitcoin::Script>> RegtestNode::script_of(std::string address) {
    auto answer = co_await m_impl->call("getaddressinfo", "[\"" + address + "\"]", true);
    if (!answer)
        co_return std::move(answer).error();
    auto object = answer->object();
    if (!object)
        co_return std::move(object).error();
    auto hex = object->text("scriptPubKey", 1024);
    if (!hex)
        co_return std::move(hex).error();
    co_return hex_decode(*hex);
}

Async<Result<Confirmed>> RegtestNode::broadcast_and_mine(const bitcoin::Transaction& tx) {
    const std::string raw = hex_encode(tx.serialise());
    auto sent = co_await m_impl->call("sendrawtransaction", "[\"" + raw + "\"]");
    if (!sent)
        co_return fail(Errc::InvalidSignature, sent.error().detail);
    const std::string txid = bitcoin::txid_text(tx.txid());
    auto reported = sent->text();
    if (!reported || *reported != txid)
        co_return fail(Errc::Io, "bitcoind names another transaction id than " + txid);
    Status mined = co_await m_impl->mine(1);
    if (!mined)
        co_return std::move(mined).error();
    auto shown = co_await m_impl->call("gettransaction", "[\"" + txid + "\"]", true);
    if (!shown)
        co_return std::move(shown).error();
    const auto read = [&]() -> Result<Confirmed> {
        KEYMELD_TRY(const json::Object object, shown->object());
        Confirmed out;
        out.txid = txid;
        KEYMELD_TRY(out.block_hash, object.text("blockhash", 64));
        KEYMELD_TRY(const auto height, object.number("blockheight", 1, 0xffffffff));
        KEYMELD_TRY(const auto confirmations, object.number("confirmations", 1, 0xffffffff));
        out.height = static_cast<std::uint32_t>(height);
        out.confirmations = static_cast<std::uint32_t>(confirmations);
        return out;
    };
    auto confirmed = read();
    if (!confirmed)
        co_return confirmed;
    // From the block itself, witness and all.
    auto mined_tx = co_await m_impl->call("getrawtransaction", "[\"" + txid + "\", false, \"" + confirmed->block_hash + "\"]");
    if (!mined_tx)
        co_return std::move(mined_tx).error();
    auto mined_hex = mined_tx->text();
    if (!mined_hex || *mined_hex != raw)
        co_return fail(Errc::Io, "the block holds another transaction than the one that was sent");
    co_return confirmed;
}

Async<Result<std::string>> RegtestNode::descriptor_address(std::string descriptor) {
    auto info = co_await m_impl->call("getdescriptorinfo", "[\"" + descriptor + "\"]");
    if (!info)
        co_return std::move(info).error();
    auto object = info->object();
    if (!object)
        co_return std::move(object).error();
    auto canonical = object->text("descriptor", 4096);
    if (!canonical)
        co_return std::move(canonical).error();
    auto addresses = co_await m_impl->call("deriveaddresses", "[\"" + *canonical + "\"]");
    if (!addresses)
        co_return std::move(addresses).error();
    co_return addresses->first_text();
}

Result<UnsignedSpend> make_spend(const Coin& coin, const bitcoin::Script& destination) {
    if (coin.output.amount <= kFee)
        return fail(Errc::InvalidArgument, "the coin does not pay for the fee");
    UnsignedSpend out;
    out.tx.inputs.push_back({.previous = coin.outpoint});
    out.tx.outputs.push_back({coin.output.amount - kFee, destination});
    const std::vector<bitcoin::TxOut> spent{coin.output};
    KEYMELD_TRY(out.sighash, bitcoin::taproot_sighash(out.tx, 0, spent, bitcoin::SighashType::Default));
    return out;
}

bitcoin::Transaction with_signature(bitcoin::Transaction tx, const ByteArray<64>& signature) {
    tx.inputs.front().witness = {bitcoin::taproot_witness_item(signature, bitcoin::SighashType::Default)};
    return tx;
}

} // namespace keymeld::demo
