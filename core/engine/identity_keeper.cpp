#include "core/engine/identity_keeper.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/engine/hub.h"

namespace keymeld::engine {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kStepTimeout{10};
constexpr std::chrono::seconds kEscrowPause{2};
constexpr int kEscrowTries = 3;
constexpr std::string_view kPeerSealing = "peer";

std::string key_bytes(const ByteArray<33>& key) { return std::string(as_text(key)); }

/// What may pass, or not: what an enclave says about itself is final, everything else is worth another try.
Error unavailable(const Error& error) { return fail(Errc::EnclaveUnavailable, error.detail); }

EnclaveCall command(std::uint32_t enclave, std::function<void(wire::Request&)> build) {
    EnclaveCall call;
    call.enclave = enclave;
    call.deadline = steady_clock::now() + kStepTimeout;
    call.build = std::move(build);
    return call;
}

} // namespace

void IdentityKeeper::stop() {
    for (const auto& [enclave, side] : std::exchange(m_sides, {})) {
        side->link->stop();
        side->up.set(fail(Errc::Cancelled, "the appliance is stopping"));
    }
}

// ---- Escrow ---------------------------------------------------------------------------------------------------------

void IdentityKeeper::enclave_health_changed(std::uint32_t enclave) {
    count_holders();
    const EnclaveNode* const node = m_hub.fleet.find(enclave);
    if (node->healthy() && node->proof()->hello.sealing == kPeerSealing)
        spawn(m_hub.loop, "escrow", run_escrows(enclave));
}

std::optional<IdentityKeeper::Lives> IdentityKeeper::lives(const Pair& pair) const {
    const EnclaveNode* const owner = m_hub.fleet.find(pair.owner);
    const EnclaveNode* const holder = m_hub.fleet.find(pair.holder);
    if (owner->proof() == nullptr || holder->proof() == nullptr || owner->proof()->hello.sealing != kPeerSealing ||
        holder->proof()->hello.sealing != kPeerSealing)
        return std::nullopt;
    return Lives{owner->proof()->hello.boot_id, holder->proof()->hello.boot_id};
}

Async<void> IdentityKeeper::run_escrows(std::uint32_t enclave) {
    const BackgroundTask task(m_hub);
    for (int tries = 0; tries < kEscrowTries && !m_hub.stopping && m_hub.fleet.find(enclave)->healthy(); ++tries) {
        bool complete = true;
        for (const auto& [peer, node] : m_hub.fleet.nodes()) {
            for (const Pair& pair : {Pair{enclave, peer}, Pair{peer, enclave}}) {
                const auto now = lives(pair);
                if (peer == enclave || !node->healthy() || !now)
                    continue;
                const auto done = m_escrowed.find(pair);
                if (done != m_escrowed.end() && done->second == *now)
                    continue;
                m_escrowed[pair] = *now; // also keeps another run from doing the same
                const Status kept = co_await escrow(pair.owner, pair.holder);
                if (kept)
                    continue;
                complete = false;
                m_escrowed.erase(pair);
                log::warn("enclave", "escrow_failed",
                          {{"enclave", pair.owner}, {"holder", pair.holder}, {"error", kept.error().code}, {"why", kept.error().detail}});
            }
        }
        count_holders();
        if (complete)
            co_return;
        co_await m_hub.pause(kEscrowPause);
    }
}

Async<Status> IdentityKeeper::escrow(std::uint32_t owner, std::uint32_t holder) {
    const std::string owner_key = key_bytes(m_hub.fleet.find(owner)->proof()->hello.public_key);
    const std::string holder_key = key_bytes(m_hub.fleet.find(holder)->proof()->hello.public_key);
    EnclaveCall give = command(owner, [holder_key](wire::Request& request) {
        request.mutable_escrow_identity()->set_peer_public_key(holder_key);
    });
    const auto given = co_await m_hub.fleet.ask(std::move(give));
    if (!given)
        co_return given.error();
    // A holder must not hear of a version that could still be lost.
    const Status stored = co_await m_hub.sealed.settled();
    if (!stored)
        co_return stored;
    const wire::EscrowIdentityResult& escrow = given->response.escrow_identity();
    EnclaveCall keep = command(holder, [owner_key, escrow](wire::Request& request) {
        request.mutable_keep_escrow()->set_owner_public_key(owner_key);
        request.mutable_keep_escrow()->set_box(escrow.box());
        request.mutable_keep_escrow()->set_versions(escrow.versions());
    });
    const auto kept = co_await m_hub.fleet.ask(std::move(keep));
    if (!kept)
        co_return kept.error();
    log::info("enclave", "key_escrowed", {{"enclave", owner}, {"holder", holder}});
    co_return Status{};
}

std::vector<std::uint32_t> IdentityKeeper::holders(std::uint32_t owner) const {
    std::vector<std::uint32_t> out;
    for (const auto& [pair, escrowed] : m_escrowed)
        if (pair.owner == owner && lives(pair) == escrowed && m_hub.fleet.find(pair.holder)->healthy())
            out.push_back(pair.holder);
    return out;
}

void IdentityKeeper::count_holders() {
    for (const auto& [owner, node] : m_hub.fleet.nodes())
        if (node->proof() != nullptr && node->proof()->hello.sealing == kPeerSealing)
            m_hub.observer.on_enclave_key_holders(owner, static_cast<std::uint32_t>(holders(owner).size()));
}

// ---- Versions -------------------------------------------------------------------------------------------------------

void IdentityKeeper::report_versions(std::uint32_t enclave) {
    if (!m_hub.stopping && !holders(enclave).empty() && m_reporting.insert(enclave).second)
        spawn(m_hub.loop, "report_versions", run_report(enclave));
}

Async<void> IdentityKeeper::run_report(std::uint32_t enclave) {
    const BackgroundTask task(m_hub);
    const Status reported = co_await report(enclave);
    m_reporting.erase(enclave);
    if (reported || m_hub.stopping)
        co_return;
    log::warn("enclave", "report_failed", {{"enclave", enclave}, {"error", reported.error().code}, {"why", reported.error().detail}});
    // An escrow brings all versions there are.
    std::erase_if(m_escrowed, [enclave](const auto& entry) { return entry.first.owner == enclave; });
    enclave_health_changed(enclave);
}

Async<Status> IdentityKeeper::report(std::uint32_t enclave) {
    const std::vector<std::uint32_t> peers = holders(enclave);
    const std::string owner_key = key_bytes(m_hub.fleet.find(enclave)->proof()->hello.public_key);
    std::vector<std::string> keys;
    for (const std::uint32_t peer : peers)
        keys.push_back(key_bytes(m_hub.fleet.find(peer)->proof()->hello.public_key));
    EnclaveCall ask = command(enclave, [keys](wire::Request& request) {
        for (const std::string& key : keys)
            request.mutable_report_versions()->add_peer_public_keys(key);
    });
    const auto answer = co_await m_hub.fleet.ask(std::move(ask));
    if (!answer)
        co_return answer.error();
    const wire::ReportVersionsResult& report = answer->response.report_versions();
    if (static_cast<std::size_t>(report.tags_size()) != peers.size())
        co_return fail(Errc::MalformedFrame, "an enclave did not vouch for its versions to every peer");
    const Status stored = co_await m_hub.sealed.settled();
    if (!stored)
        co_return stored;
    Status last;
    for (std::size_t i = 0; i < peers.size(); ++i) {
        EnclaveCall keep =
            command(peers[i], [owner_key, versions = report.versions(), tag = report.tags(static_cast<int>(i))](wire::Request& request) {
                request.mutable_keep_versions()->set_owner_public_key(owner_key);
                request.mutable_keep_versions()->set_versions(versions);
                request.mutable_keep_versions()->set_tag(tag);
            });
        const auto kept = co_await m_hub.fleet.ask(std::move(keep));
        if (!kept)
            last = kept.error();
    }
    co_return last;
}

// ---- Recovery -------------------------------------------------------------------------------------------------------

void IdentityKeeper::recover(std::uint32_t enclave, protocol::SignerHello hello, std::function<void(Status)> done) {
    spawn(m_hub.loop, "recover", run_recovery(enclave, std::move(hello), std::move(done)));
}

Async<void> IdentityKeeper::run_recovery(std::uint32_t enclave, protocol::SignerHello hello, std::function<void(Status)> done) {
    const BackgroundTask task(m_hub);
    const Status recovered = co_await recovery(enclave, std::move(hello));
    const auto side = m_sides.extract(enclave);
    if (!side.empty())
        side.mapped()->link->stop();
    if (!m_hub.stopping)
        done(recovered);
}

Async<Status> IdentityKeeper::recovery(std::uint32_t enclave, protocol::SignerHello hello) {
    auto holders = co_await holders_of(enclave);
    if (!holders)
        co_return holders.error();
    if (holders->empty())
        co_return fail(Errc::AttestationRefused, "no enclave that is up holds the key of enclave " + std::to_string(enclave));
    const std::string heir_key = key_bytes(hello.public_key);
    const std::shared_ptr<Side> side = open_side(enclave, hello);
    Status last = co_await side->up.wait_until(m_hub.timers, steady_clock::now() + kStepTimeout,
                                               fail(Errc::EnclaveUnavailable, "the enclave did not answer"));
    if (!last)
        co_return unavailable(last.error());
    for (const Holder& holder : *holders) {
        last = co_await hand_over(side, heir_key, holder);
        if (last) {
            log::info("enclave", "key_recovered",
                      {{"enclave", enclave}, {"from", holder.enclave}, {"incarnation", holder.incarnation + 1}});
            m_hub.observer.on_enclave_recovery(enclave, true);
            co_return Status{};
        }
        log::warn("enclave", "hand_over_failed",
                  {{"enclave", enclave}, {"from", holder.enclave}, {"error", last.error().code}, {"why", last.error().detail}});
    }
    m_hub.observer.on_enclave_recovery(enclave, false);
    co_return unavailable(last.error());
}

Async<Result<std::vector<IdentityKeeper::Holder>>> IdentityKeeper::holders_of(std::uint32_t enclave) {
    std::vector<Holder> out;
    for (const auto& [peer, node] : m_hub.fleet.nodes()) {
        if (peer == enclave || !node->healthy() || node->proof()->hello.sealing != kPeerSealing)
            continue;
        EnclaveCall list = command(peer, [](wire::Request& request) { request.mutable_list_escrows(); });
        const auto listed = co_await m_hub.fleet.ask(std::move(list));
        if (!listed)
            co_return unavailable(listed.error());
        for (const auto& entry : listed->response.list_escrows().escrows()) {
            ByteArray<33> key{};
            if (entry.owner_public_key().size() != key.size())
                continue;
            std::copy(entry.owner_public_key().begin(), entry.owner_public_key().end(), key.begin());
            const auto known = co_await is_known_key(enclave, key, entry.key_epoch());
            if (!known)
                co_return unavailable(known.error());
            if (*known)
                out.push_back({peer, entry.owner_public_key(), entry.incarnation()});
        }
    }
    // The one that has seen the latest life gives the number that all will accept.
    std::sort(out.begin(), out.end(), [](const Holder& a, const Holder& b) { return a.incarnation > b.incarnation; });
    co_return out;
}

Async<Result<bool>> IdentityKeeper::is_known_key(std::uint32_t enclave, ByteArray<33> key, std::uint64_t epoch) {
    if (const EnclaveProof* const proof = m_hub.fleet.find(enclave)->proof())
        co_return proof->hello.public_key == key && proof->hello.key_epoch == epoch;
    co_return co_await m_hub.known_keys.is_latest(enclave, key, epoch, steady_clock::now() + kStepTimeout);
}

std::shared_ptr<IdentityKeeper::Side> IdentityKeeper::open_side(std::uint32_t enclave, const protocol::SignerHello& hello) {
    const auto side = std::make_shared<Side>(Side{OneShot<Status>(m_hub.loop), nullptr});
    const OneShot<Status> up = side->up;
    EnclaveNode* const node = m_hub.fleet.find(enclave);
    side->link = node->side_link(
        {[node, wanted = hello.public_key](const protocol::SignerHello& said, std::function<void(Status)> done) {
             // The same enclave as on the stream, attested again for this one.
             const auto verified = node->attested(said);
             if (!verified)
                 return done(verified.error());
             done(said.public_key == wanted && said.may_take_over
                      ? Status{}
                      : fail(Errc::EnclaveUnavailable, "the enclave has another key by now"));
         },
         [up](const protocol::SignerHello&) { up.set({}); },
         [up](const protocol::LinkDown& down) { up.set(down.reason); }});
    m_sides.insert_or_assign(enclave, side);
    side->link->start();
    return side;
}

Async<Status> IdentityKeeper::hand_over(std::shared_ptr<Side> heir, std::string heir_key, Holder holder) {
    const SteadyTime deadline = steady_clock::now() + kStepTimeout;
    const std::string giver_key = key_bytes(m_hub.fleet.find(holder.enclave)->proof()->hello.public_key);

    // The heir believes the giver ...
    wire::Request challenge;
    challenge.mutable_challenge();
    const auto heirs_nonce = co_await heir->link->call(std::move(challenge), deadline);
    if (!heirs_nonce)
        co_return heirs_nonce.error();
    EnclaveCall attest = command(holder.enclave, [nonce = heirs_nonce->challenge().nonce()](wire::Request& request) {
        request.mutable_attest()->set_nonce(nonce);
    });
    const auto giver = co_await m_hub.fleet.ask(std::move(attest));
    if (!giver)
        co_return giver.error();
    wire::Request introduce;
    introduce.mutable_introduce_peer()->set_attestation_document(giver->response.attest().attestation_document());
    const auto introduced = co_await heir->link->call(std::move(introduce), deadline);
    if (!introduced)
        co_return introduced.error();

    // ... and the giver the heir.
    EnclaveCall ask_nonce = command(holder.enclave, [](wire::Request& request) { request.mutable_challenge(); });
    const auto givers_nonce = co_await m_hub.fleet.ask(std::move(ask_nonce));
    if (!givers_nonce)
        co_return givers_nonce.error();
    wire::Request prove;
    prove.mutable_attest()->set_nonce(givers_nonce->response.challenge().nonce());
    const auto proof = co_await heir->link->call(std::move(prove), deadline);
    if (!proof)
        co_return proof.error();
    EnclaveCall present = command(holder.enclave, [document = proof->attest().attestation_document()](wire::Request& request) {
        request.mutable_introduce_peer()->set_attestation_document(document);
    });
    const auto presented = co_await m_hub.fleet.ask(std::move(present));
    if (!presented)
        co_return presented.error();

    EnclaveCall give = command(holder.enclave, [owner = holder.owner_key, heir_key](wire::Request& request) {
        request.mutable_hand_over()->set_owner_public_key(owner);
        request.mutable_hand_over()->set_heir_public_key(heir_key);
    });
    const auto given = co_await m_hub.fleet.ask(std::move(give));
    if (!given)
        co_return given.error();
    wire::Request take;
    take.mutable_take_over()->set_giver_public_key(giver_key);
    take.mutable_take_over()->set_box(given->response.hand_over().box());
    take.mutable_take_over()->set_versions(given->response.hand_over().versions());
    const auto taken = co_await heir->link->call(std::move(take), deadline);
    if (!taken)
        co_return taken.error();
    co_return Status{};
}

} // namespace keymeld::engine
