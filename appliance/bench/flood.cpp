#include "appliance/bench/flood.h"

#include <charconv>
#include <deque>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "appliance/json/document.h"
#include "core/crypto/auth_header.h"
#include "core/crypto/encrypted_data.h"
#include "core/secure/random.h"

namespace keymeld::bench {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::steady_clock;

namespace {

constexpr std::uint64_t kSessionSeconds = 300;
constexpr std::size_t kReadBytes = 4096;
constexpr std::size_t kMostAnswer = 1 << 20;
constexpr std::chrono::seconds kPatience{240};
constexpr std::chrono::milliseconds kTick{1};

struct Answer {
    unsigned status = 0; ///< 0: the connection broke
    std::optional<unsigned> retry_after;
    std::string body;
};

/// One keep-alive connection.
struct Wire {
    explicit Wire(const asio::any_io_executor& executor) : socket(executor) {}
    tcp::socket socket;
    std::string buffer;
};

std::optional<unsigned> number_after(std::string_view head, std::string_view name) {
    const std::size_t at = head.find(name);
    unsigned value = 0;
    if (at == std::string_view::npos)
        return std::nullopt;
    const std::string_view rest = head.substr(at + name.size());
    if (std::from_chars(rest.data(), rest.data() + rest.size(), value).ec != std::errc())
        return std::nullopt;
    return value;
}

/// Writes the request and reads one answer with Content-Length, as the appliance writes them.
Async<Answer> ask(Wire& wire, std::string request) {
    Answer out;
    boost::system::error_code error;
    co_await asio::async_write(wire.socket, asio::buffer(request), asio::redirect_error(asio::use_awaitable, error));
    std::size_t have = 0;
    std::size_t head_size = std::string::npos;
    std::size_t whole = 0;
    while (!error && (head_size == std::string::npos || have < whole)) {
        if (wire.buffer.size() < have + kReadBytes)
            wire.buffer.resize(have + kReadBytes);
        have += co_await wire.socket.async_read_some(asio::buffer(wire.buffer.data() + have, wire.buffer.size() - have),
                                                     asio::redirect_error(asio::use_awaitable, error));
        const std::string_view text(wire.buffer.data(), have);
        if (head_size != std::string::npos)
            continue;
        if (const std::size_t end = text.find("\r\n\r\n"); end != std::string_view::npos) {
            head_size = end + 4;
            const std::string_view head = text.substr(0, head_size);
            const auto status = number_after(head, "HTTP/1.1 ");
            const auto length = number_after(head, "\r\nContent-Length: ");
            if (!status || !length || *length > kMostAnswer)
                break;
            out.status = *status;
            out.retry_after = number_after(head, "\r\nRetry-After: ");
            whole = head_size + *length;
        }
    }
    if (error || out.status == 0)
        co_return Answer{};
    out.body.assign(wire.buffer, head_size, whole - head_size);
    co_return out;
}

} // namespace

class Flood::Impl : public std::enable_shared_from_this<Flood::Impl> {
  public:
    Impl(client::Endpoint to, const std::vector<BenchKey>& with, unsigned clients, std::size_t most)
        : endpoint(std::move(to)), keys(with), pools(clients), most_connections(most) {}

    struct Pool {
        std::vector<std::unique_ptr<Wire>> idle;
        std::size_t open = 0;
    };

    Result<std::string> status_header(std::size_t key) {
        const client::Participant& who = keys[key].people.front();
        return crypto::make_signing_hmac(who.key, who.user_id, crypto::make_header_nonce());
    }
    Result<std::string> take_header(std::size_t key) {
        if (headers.empty() || headers[key].empty())
            return status_header(key);
        std::string out = std::move(headers[key].back());
        headers[key].pop_back();
        return out;
    }

    std::string head(std::string_view method, std::string_view path) const {
        return std::string(method) + " /api/v1" + std::string(path) + " HTTP/1.1\r\nHost: " + endpoint.host + "\r\n";
    }

    /// An idle connection of this client, or a new one; null if it has as many as it may, or is refused.
    Async<std::unique_ptr<Wire>> take(std::size_t client) {
        Pool& pool = pools[client];
        if (!pool.idle.empty()) {
            auto out = std::move(pool.idle.back());
            pool.idle.pop_back();
            co_return out;
        }
        if (pool.open >= most_connections)
            co_return nullptr;
        ++pool.open;
        auto wire = std::make_unique<Wire>(co_await asio::this_coro::executor);
        boost::system::error_code error;
        wire->socket.open(tcp::v4(), error);
        if (!error)
            wire->socket.bind({asio::ip::address_v4(0x7f000001u + static_cast<std::uint32_t>(client)), 0}, error);
        if (!error)
            co_await wire->socket.async_connect({asio::ip::make_address_v4(endpoint.host), endpoint.port},
                                                asio::redirect_error(asio::use_awaitable, error));
        if (!error)
            wire->socket.set_option(tcp::no_delay(true), error);
        if (error) {
            --pool.open;
            co_return nullptr;
        }
        co_return wire;
    }
    void give_back(std::size_t client, std::unique_ptr<Wire> wire, bool good) {
        if (good)
            pools[client].idle.push_back(std::move(wire));
        else
            --pools[client].open;
    }

    void note(const Answer& answer, std::string_view doing) {
        if (result.trouble.empty())
            result.trouble = std::string(doing) + ": " +
                             (answer.status == 0 ? "the connection broke" : std::to_string(answer.status) + " " + answer.body);
    }

    /// From the accepted session to its signature. False: there is none.
    Async<bool> await_signature(Wire& wire, Offer& offer) {
        const auto limit = steady_clock::now() + kPatience;
        while (steady_clock::now() < limit) {
            auto header = take_header(offer.key);
            if (!header)
                co_return false;
            std::string request =
                head("GET", "/signing/" + offer.id.text() + "/status?wait=60") + "X-Signing-HMAC: " + *header + "\r\n\r\n";
            const Answer answer = co_await ask(wire, std::move(request));
            if (abandoned)
                co_return false;
            const bool later = (answer.status == 503 || answer.status == 429) && answer.retry_after;
            if (later) {
                asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::seconds(*answer.retry_after));
                boost::system::error_code ignored;
                co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
                if (abandoned)
                    co_return false;
                continue;
            }
            const auto document =
                answer.status == 200 ? json::Document::parse(answer.body) : Result<json::Document>(fail(Errc::Internal, ""));
            const auto object = document ? document->object() : Result<json::Object>(fail(Errc::Internal, ""));
            const auto status = object ? object->text("status", 64) : Result<std::string>(fail(Errc::Internal, ""));
            if (status && *status != "completed" && *status != "failed")
                continue;
            const auto sealed = object ? object->optional_text("final_signature", kMostAnswer)
                                       : Result<std::optional<std::string>>(fail(Errc::Internal, ""));
            if (sealed && *sealed) {
                offer.final_signature = **sealed;
                co_return true;
            }
            note(answer, "waiting for a signature");
            co_return false;
        }
        co_return false;
    }

    Async<void> one(Offer& offer, std::size_t client, steady_clock::time_point due) {
        auto wire = co_await take(client);
        if (!wire || abandoned)
            co_return;
        offer.sent = true;
        const Answer answer = co_await ask(*wire, std::move(offer.request));
        if (abandoned)
            co_return;
        bool good = answer.status != 0;
        if (answer.status == 200) {
            const bool signed_ = co_await await_signature(*wire, offer);
            if (abandoned)
                co_return;
            good = signed_;
            offer.end = signed_ ? Offer::End::Completed : Offer::End::Lost;
            offer.latency = steady_clock::now() - due;
            if (signed_)
                ++completed;
        } else if (answer.status == 503 && answer.retry_after) {
            offer.end = Offer::End::Refused503;
        } else if (answer.status == 429 && answer.retry_after) {
            offer.end = Offer::End::Refused429;
        } else {
            offer.end = Offer::End::RefusedOtherwise;
            note(answer, "POST /signing");
        }
        give_back(client, std::move(wire), good);
    }

    static Async<void> offered(std::shared_ptr<Impl> self, Offer& offer, std::size_t client, steady_clock::time_point due) {
        co_await self->one(offer, client, due);
        --self->under_way;
    }
    static Async<void> worker(std::shared_ptr<Impl> self, std::vector<Offer>& offers) {
        while (!self->abandoned && self->next < offers.size()) {
            const std::size_t number = self->next++;
            co_await self->one(offers[number], number % self->pools.size(), steady_clock::now());
        }
        --self->under_way;
    }
    /// Tells those under way when the caller's frame goes away under them: they touch no offer and no key any more.
    struct Abandon {
        std::shared_ptr<Impl> flood;
        ~Abandon() { flood->abandoned = true; }
    };
    void begin() {
        abandoned = false;
        result = {};
        next = 0;
        under_way = 0;
        completed = 0;
    }
    void start(const asio::any_io_executor& executor, Async<void> what) {
        ++under_way;
        asio::co_spawn(executor, std::move(what), [self = shared_from_this()](std::exception_ptr error) {
            if (error)
                std::rethrow_exception(error);
        });
    }
    /// Until nothing is under way.
    Async<Status> settle(std::chrono::milliseconds step) {
        asio::steady_timer timer(co_await asio::this_coro::executor);
        const auto limit = steady_clock::now() + kPatience;
        while (under_way > 0) {
            if (steady_clock::now() > limit)
                co_return fail(Errc::DeadlineExceeded, std::to_string(under_way) + " sessions have no end");
            timer.expires_after(step);
            boost::system::error_code ignored;
            co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        }
        co_return Status();
    }

    client::Endpoint endpoint;
    const std::vector<BenchKey>& keys;
    std::vector<Pool> pools;
    std::size_t most_connections;
    std::vector<std::deque<std::string>> headers; ///< for status requests, by key
    FloodResult result;
    std::size_t next = 0;
    std::uint64_t under_way = 0;
    std::uint64_t completed = 0;
    bool abandoned = false;
};

Flood::Flood(client::Endpoint endpoint, const std::vector<BenchKey>& keys, unsigned clients, std::size_t most_connections)
    : m_impl(std::make_shared<Impl>(std::move(endpoint), keys, clients, most_connections)) {}
Flood::~Flood() = default;

Result<std::vector<Offer>> Flood::make(std::uint64_t count) const {
    std::vector<Offer> out(count);
    for (std::size_t i = 0; i < out.size(); ++i) {
        Offer& offer = out[i];
        offer.key = i % m_impl->keys.size();
        const BenchKey& key = m_impl->keys[offer.key];
        offer.message = secure::random_array<32>();
        client::CreateSigningBody body;
        offer.id = body.signing_id = SigningId(Uuid::make_v7(unix_millis(), secure::random_array<10>()));
        body.keygen_id = key.invitation.keygen_id;
        body.message_hash = offer.message;
        body.encrypted_message = crypto::encrypted_data_seal(key.invitation.session_secret, crypto::DataContext::Message, offer.message);
        body.timeout_secs = kSessionSeconds;
        const std::string json = client::json_of(body);
        const client::HeaderMaker maker = key.invitation.session_header(key.people.front().user_id);
        KEYMELD_TRY(const std::string header, maker());
        offer.request = m_impl->head("POST", "/signing") + "Content-Type: application/json\r\nX-Session-HMAC: " + header +
                        "\r\nContent-Length: " + std::to_string(json.size()) + "\r\n\r\n" + json;
    }
    return out;
}

Status Flood::prepare_headers(std::uint64_t count) {
    m_impl->headers.resize(m_impl->keys.size());
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::size_t key = i % m_impl->keys.size();
        KEYMELD_TRY(std::string header, m_impl->status_header(key));
        m_impl->headers[key].push_back(std::move(header));
    }
    return {};
}

Async<Result<FloodResult>> Flood::closed(std::vector<Offer>& offers, unsigned concurrency) {
    const std::shared_ptr<Impl> impl = m_impl;
    const auto executor = co_await asio::this_coro::executor;
    impl->begin();
    const Impl::Abandon guard{impl};
    const auto began = steady_clock::now();
    for (unsigned i = 0; i < concurrency; ++i)
        impl->start(executor, Impl::worker(impl, offers));
    const Status settled = co_await impl->settle(std::chrono::milliseconds(1));
    if (!settled)
        co_return settled.error();
    impl->result.elapsed = steady_clock::now() - began;
    impl->result.completed_in_time = impl->completed;
    co_return impl->result;
}

Async<Result<FloodResult>> Flood::open(std::vector<Offer>& offers, double rate, cli::Progress& progress) {
    const std::shared_ptr<Impl> impl = m_impl;
    const auto executor = co_await asio::this_coro::executor;
    impl->begin();
    const Impl::Abandon guard{impl};
    const auto began = steady_clock::now();
    for (auto tick = began; impl->next < offers.size(); tick += kTick) {
        // Blocks on purpose: answers gather meanwhile, and are taken in one go.
        std::this_thread::sleep_until(tick);
        const double due_count = std::chrono::duration<double>(steady_clock::now() - began).count() * rate;
        for (; impl->next < offers.size() && static_cast<double>(impl->next) < due_count; ++impl->next) {
            const auto due = began + std::chrono::duration_cast<steady_clock::duration>(
                                         std::chrono::duration<double>(static_cast<double>(impl->next) / rate));
            impl->start(executor, Impl::offered(impl, offers[impl->next], impl->next % impl->pools.size(), due));
        }
        progress.part(impl->next, offers.size());
        // Twice: the first turn asks which sockets are ready, the second comes after what they had to say.
        co_await asio::post(executor, asio::use_awaitable);
        co_await asio::post(executor, asio::use_awaitable);
    }
    impl->result.elapsed = steady_clock::now() - began;
    impl->result.completed_in_time = impl->completed;
    const Status settled = co_await impl->settle(std::chrono::milliseconds(20));
    if (!settled)
        co_return settled.error();
    co_return impl->result;
}

Result<std::uint64_t> Flood::verify(const std::vector<Offer>& offers) const {
    std::uint64_t verified = 0;
    for (const Offer& offer : offers) {
        if (offer.end != Offer::End::Completed)
            continue;
        const BenchKey& key = m_impl->keys[offer.key];
        const auto signature = client::open_signature(key.invitation, offer.final_signature, offer.message, key.key.x_only());
        if (!signature)
            return signature.error();
        ++verified;
    }
    return verified;
}

} // namespace keymeld::bench
