// Keeps the enclaves' keys alive across their restarts, with peer sealing (docs/decisions/0007-peer-sealing.md).
//
// Carries boxes between enclaves and is believed by none of them: what it leaves out or mixes up costs a recovery, never a key.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "core/engine/async.h"
#include "core/protocol/enclave_link.h"

namespace keymeld::engine {

struct Hub;

/// [loop]
class IdentityKeeper {
  public:
    explicit IdentityKeeper(Hub& hub) : m_hub(hub) {}

    /// Each enclave gives its key to every other one that is up, once for each life of either.
    void enclave_health_changed(std::uint32_t enclave);
    /// Gives a restarted enclave, which said `hello` with a new key, the key back that is known of it. Errors: EnclaveUnavailable (worth another
    /// try), AttestationRefused (all that are up were asked, and none holds it).
    void recover(std::uint32_t enclave, protocol::SignerHello hello, std::function<void(Status)> done);
    /// Brings what changed in an enclave's sealed states to those that hold its key, so that older ones are refused after its restart.
    void report_versions(std::uint32_t enclave);
    void stop();

  private:
    struct Pair {
        std::uint32_t owner = 0;
        std::uint32_t holder = 0;
        auto operator<=>(const Pair&) const = default;
    };
    struct Lives {
        Uuid owner;
        Uuid holder;
        bool operator==(const Lives&) const = default;
    };
    /// An enclave whose hello was not accepted yet, reached beside its stream.
    struct Side {
        OneShot<Status> up;
        std::unique_ptr<protocol::EnclaveLink> link;
    };
    /// A peer that holds the key that is looked for.
    struct Holder {
        std::uint32_t enclave = 0;
        std::string owner_key;
        std::uint64_t incarnation = 0;
    };
    Async<void> run_escrows(std::uint32_t enclave);
    Async<Status> escrow(std::uint32_t owner, std::uint32_t holder);
    std::optional<Lives> lives(const Pair& pair) const;
    std::vector<std::uint32_t> holders(std::uint32_t owner) const;
    void count_holders();
    Async<void> run_report(std::uint32_t enclave);
    Async<Status> report(std::uint32_t enclave);
    Async<void> run_recovery(std::uint32_t enclave, protocol::SignerHello hello, std::function<void(Status)> done);
    Async<Status> recovery(std::uint32_t enclave, protocol::SignerHello hello);
    Async<Result<std::vector<Holder>>> holders_of(std::uint32_t enclave);
    Async<Result<bool>> is_known_key(std::uint32_t enclave, ByteArray<33> key, std::uint64_t epoch);
    std::shared_ptr<Side> open_side(std::uint32_t enclave, const protocol::SignerHello& hello);
    Async<Status> hand_over(std::shared_ptr<Side> heir, std::string heir_key, Holder holder);

    Hub& m_hub;
    std::map<Pair, Lives> m_escrowed;
    std::set<std::uint32_t> m_reporting;
    std::map<std::uint32_t, std::shared_ptr<Side>> m_sides;
};

} // namespace keymeld::engine
