#include "appliance/bench/sign_load.h"

#include "core/crypto/encrypted_data.h"
#include "core/secure/random.h"

namespace keymeld::bench {
namespace {

constexpr std::uint64_t kSessionSeconds = 300;
constexpr unsigned kWaitSeconds = 60;

Async<Result<std::uint64_t>> one_session(client::RestClient& rest, const BenchKey& key, bool verify) {
    const ByteArray<32> message = secure::random_array<32>();
    const client::Participant& coordinator = key.people.front();
    client::Ceremony ceremony(rest); // no key leaves here
    auto id = co_await ceremony.create_signing(key.invitation, coordinator.user_id, message, kSessionSeconds);
    if (!id)
        co_return std::move(id).error();
    for (;;) {
        auto status = co_await rest.signing_status(*id, coordinator.signing_header(), kWaitSeconds);
        if (!status)
            co_return std::move(status).error();
        if (status->status == "failed")
            co_return fail(Errc::WrongState, "a signing session failed: " + (status->failure ? status->failure->message : "no reason"));
        if (!status->final_signature)
            continue;
        if (verify) {
            auto signature = client::open_signature(key.invitation, *status->final_signature, message, key.key.x_only());
            if (!signature)
                co_return std::move(signature).error();
        } else {
            auto plain =
                crypto::encrypted_data_open(key.invitation.session_secret, crypto::DataContext::Signature, *status->final_signature);
            if (!plain)
                co_return std::move(plain).error();
        }
        co_return std::uint64_t{verify};
    }
}

} // namespace

Job sign_job(client::RestClient& rest, const std::vector<BenchKey>& keys, unsigned verify_every) {
    return [&rest, &keys, verify_every](std::uint64_t number) {
        return one_session(rest, keys[number % keys.size()], number % verify_every == 0);
    };
}

Async<Result<LoadResult>> run_load(client::RestClient& rest, const std::vector<BenchKey>& keys, std::uint64_t sessions,
                                   unsigned concurrency, unsigned verify_every, cli::Progress& progress) {
    return closed_loop(sign_job(rest, keys, verify_every), sessions, concurrency, progress);
}

} // namespace keymeld::bench
