// A real Bitcoin node on a private regtest chain, as a child process: funds a key, takes its spend, mines it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "appliance/fleet/child_process.h"
#include "core/bitcoin/keys.h"
#include "core/bitcoin/transaction.h"

namespace keymeld::demo {

template <class T> using Async = boost::asio::awaitable<T>;

/// An output on the chain that the key can spend.
struct Coin {
    bitcoin::OutPoint outpoint;
    bitcoin::TxOut output;
};

struct Confirmed {
    std::string txid;
    std::string block_hash;
    std::uint32_t height = 0;
    std::uint32_t confirmations = 0;
};

/// Thread rule: one thread; the functions run on the caller's executor, one at a time.
class RegtestNode {
  public:
    /// Where bitcoind is: `wanted` if it is not empty, else the one in PATH. `Errc::Io`, with how to get one.
    static Result<std::filesystem::path> find_program(const std::filesystem::path& wanted);

    /// Starts the node in a folder of its own, with a wallet that owns spendable coins. `Errc::Io` if it ends early (with the end of its
    /// log), `Errc::DeadlineExceeded`.
    static Async<Result<std::unique_ptr<RegtestNode>>> start(std::filesystem::path program);
    /// Stops the node and removes its folder. Blocks for at most a few seconds.
    ~RegtestNode();
    RegtestNode(const RegtestNode&) = delete;
    RegtestNode& operator=(const RegtestNode&) = delete;

    /// "/Satoshi:29.0.0/Knots:...".
    const std::string& version() const;

    /// Pays `satoshi` to the P2TR output of `key` and mines the payment.
    Async<Result<Coin>> fund(const bitcoin::XOnlyPubKey& output_key, std::uint64_t satoshi);
    /// The same to the first address of an output descriptor, given without checksum: "wpkh(<33-byte key>)".
    Async<Result<Coin>> fund_descriptor(std::string descriptor, std::uint64_t satoshi);
    /// The script of a new address of the node's wallet.
    Async<Result<bitcoin::Script>> new_wallet_script();
    /// Broadcasts, mines one block and reads the transaction back from it. `Errc::InvalidSignature` if the node refuses the transaction (the
    /// detail is the node's reason).
    Async<Result<Confirmed>> broadcast_and_mine(const bitcoin::Transaction& tx);
    /// What the node itself says is the first address of an output descriptor, given without checksum.
    Async<Result<std::string>> descriptor_address(std::string descriptor);

  private:
    Async<Result<Coin>> pay(std::string address, bitcoin::Script script, std::uint64_t satoshi);
    Async<Result<bitcoin::Script>> script_of(std::string address);

    class Impl;
    explicit RegtestNode(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

/// A transaction that spends `coin` to `destination`, less a fee of 1000 satoshi, and the 32 bytes to sign for it (BIP-341, SIGHASH_DEFAULT).
struct UnsignedSpend {
    bitcoin::Transaction tx;
    ByteArray<32> sighash{};
};
Result<UnsignedSpend> make_spend(const Coin& coin, const bitcoin::Script& destination);
/// The transaction with the signature as its key-path witness.
bitcoin::Transaction with_signature(bitcoin::Transaction tx, const ByteArray<64>& signature);

} // namespace keymeld::demo
