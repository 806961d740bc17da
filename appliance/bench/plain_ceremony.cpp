#include "appliance/bench/plain_ceremony.h"

#include <ctime>
#include <limits>
#include <memory>
#include <vector>

#include <secp256k1.h>
#include <secp256k1_extrakeys.h>
#include <secp256k1_musig.h>
#include <secp256k1_schnorrsig.h>

#include "core/bitcoin/taproot.h"
#include "core/secure/cleanse.h"
#include "core/secure/random.h"

namespace keymeld::bench {
namespace {

struct FreeContext {
    void operator()(secp256k1_context* context) const { secp256k1_context_destroy(context); }
};

double thread_cpu_us() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

enum class Sessions { OfEachSigner, Shared };

class Ceremony {
  public:
    explicit Ceremony(unsigned signers)
        : m_context(secp256k1_context_create(SECP256K1_CONTEXT_NONE)), m_keypairs(signers), m_keys(signers), m_secret_nonces(signers),
          m_public_nonces(signers), m_partials(signers) {}
    ~Ceremony() { secure::cleanse({reinterpret_cast<std::uint8_t*>(m_keypairs.data()), m_keypairs.size() * sizeof(secp256k1_keypair)}); }

    bool make_keys() {
        ByteArray<32> seed = secure::random_array<32>();
        const secure::ScopedCleanse wipe_seed(seed);
        if (secp256k1_context_randomize(m_context.get(), seed.data()) != 1)
            return false;
        for (std::size_t i = 0; i < m_keypairs.size(); ++i) {
            secure::random_bytes(seed);
            if (secp256k1_keypair_create(m_context.get(), &m_keypairs[i], seed.data()) != 1 ||
                secp256k1_keypair_pub(m_context.get(), &m_keys[i], &m_keypairs[i]) != 1)
                return false;
        }
        return true;
    }

    /// Key aggregation and the taproot tweak.
    bool aggregate_keys() {
        std::vector<const secp256k1_pubkey*> keys;
        for (const auto& key : m_keys)
            keys.push_back(&key);
        secp256k1_xonly_pubkey internal;
        if (secp256k1_musig_pubkey_agg(m_context.get(), &internal, &m_cache, keys.data(), keys.size()) != 1)
            return false;
        ByteArray<32> internal_x{};
        secp256k1_xonly_pubkey_serialize(m_context.get(), internal_x.data(), &internal);
        const auto tweak = bitcoin::tap_tweak_hash(internal_x, std::nullopt);
        secp256k1_pubkey output;
        return secp256k1_musig_pubkey_xonly_tweak_add(m_context.get(), &output, &m_cache, tweak.data()) == 1 &&
               secp256k1_xonly_pubkey_from_pubkey(m_context.get(), &m_output_key, nullptr, &output) == 1;
    }

    bool sign_and_verify(const ByteArray<32>& message, Sessions sessions) {
        const std::size_t n = m_keypairs.size();
        std::vector<const secp256k1_musig_pubnonce*> nonces(n);
        std::vector<const secp256k1_musig_partial_sig*> partials(n);
        for (std::size_t i = 0; i < n; ++i) {
            ByteArray<32> randomness = secure::random_array<32>();
            ByteArray<32> scalar{};
            const secure::ScopedCleanse wipe(scalar);
            if (secp256k1_keypair_sec(m_context.get(), scalar.data(), &m_keypairs[i]) != 1 ||
                secp256k1_musig_nonce_gen(m_context.get(), &m_secret_nonces[i], &m_public_nonces[i], randomness.data(), scalar.data(),
                                          &m_keys[i], message.data(), &m_cache, nullptr) != 1)
                return false;
            nonces[i] = &m_public_nonces[i];
        }
        secp256k1_musig_aggnonce aggregate;
        secp256k1_musig_session session;
        if (secp256k1_musig_nonce_agg(m_context.get(), &aggregate, nonces.data(), n) != 1)
            return false;
        for (std::size_t i = 0; i < n; ++i) {
            if ((i == 0 || sessions == Sessions::OfEachSigner) &&
                secp256k1_musig_nonce_process(m_context.get(), &session, &aggregate, message.data(), &m_cache) != 1)
                return false;
            if (secp256k1_musig_partial_sign(m_context.get(), &m_partials[i], &m_secret_nonces[i], &m_keypairs[i], &m_cache, &session) != 1)
                return false;
            partials[i] = &m_partials[i];
        }
        ByteArray<64> signature{};
        return secp256k1_musig_partial_sig_agg(m_context.get(), signature.data(), &session, partials.data(), n) == 1 &&
               secp256k1_schnorrsig_verify(m_context.get(), signature.data(), message.data(), message.size(), &m_output_key) == 1;
    }

  private:
    std::unique_ptr<secp256k1_context, FreeContext> m_context;
    std::vector<secp256k1_keypair> m_keypairs;
    std::vector<secp256k1_pubkey> m_keys;
    std::vector<secp256k1_musig_secnonce> m_secret_nonces;
    std::vector<secp256k1_musig_pubnonce> m_public_nonces;
    std::vector<secp256k1_musig_partial_sig> m_partials;
    secp256k1_musig_keyagg_cache m_cache{};
    secp256k1_xonly_pubkey m_output_key{};
};

} // namespace

Result<PlainCost> measure_plain_ceremony(unsigned signers, unsigned rounds, unsigned repeats) {
    if (signers < 2 || signers > 1000 || rounds == 0 || repeats == 0)
        return fail(Errc::InvalidArgument, "2 to 1000 signers, at least one round and one repeat");
    Ceremony ceremony(signers);
    const auto broken = [] { return fail(Errc::Internal, "a plain ceremony failed"); };
    if (!ceremony.make_keys() || !ceremony.aggregate_keys())
        return broken();
    constexpr double kNone = std::numeric_limits<double>::max();
    PlainCost best{kNone, kNone, kNone, rounds};
    const struct {
        double& least;
        Sessions sessions;
        bool aggregate;
    } kinds[] = {{best.ceremony_us, Sessions::OfEachSigner, false},
                 {best.shared_us, Sessions::Shared, false},
                 {best.uncached_us, Sessions::OfEachSigner, true}};
    for (unsigned repeat = 0; repeat < repeats; ++repeat) {
        for (const auto& kind : kinds) {
            const ByteArray<32> message = secure::random_array<32>();
            const double before = thread_cpu_us();
            for (unsigned round = 0; round < rounds; ++round)
                if ((kind.aggregate && !ceremony.aggregate_keys()) || !ceremony.sign_and_verify(message, kind.sessions))
                    return broken();
            kind.least = std::min(kind.least, (thread_cpu_us() - before) / rounds);
        }
    }
    return best;
}

Result<PlainSignature> measure_plain_signature(unsigned rounds, unsigned repeats) {
    if (rounds == 0 || repeats == 0)
        return fail(Errc::InvalidArgument, "at least one round and one repeat");
    const auto broken = [] { return fail(Errc::Internal, "a plain signature failed"); };
    const std::unique_ptr<secp256k1_context, FreeContext> context(secp256k1_context_create(SECP256K1_CONTEXT_NONE));
    auto seed = secure::random_array<32>();
    auto scalar = secure::random_array<32>();
    const secure::ScopedCleanse wipe_seed(seed), wipe_scalar(scalar);
    secp256k1_keypair pair;
    const secure::ScopedCleanse wipe_pair(pair.data);
    secp256k1_pubkey key;
    secp256k1_xonly_pubkey x_only;
    if (secp256k1_context_randomize(context.get(), seed.data()) != 1 ||
        secp256k1_keypair_create(context.get(), &pair, scalar.data()) != 1 || secp256k1_keypair_pub(context.get(), &key, &pair) != 1 ||
        secp256k1_keypair_xonly_pub(context.get(), &x_only, nullptr, &pair) != 1)
        return broken();
    const auto message = secure::random_array<32>();
    ByteArray<64> schnorr{};
    secp256k1_ecdsa_signature ecdsa;
    PlainSignature best{std::numeric_limits<double>::max(), std::numeric_limits<double>::max()};
    for (unsigned repeat = 0; repeat < repeats; ++repeat) {
        double before = thread_cpu_us();
        for (unsigned round = 0; round < rounds; ++round) {
            const auto aux = secure::random_array<32>();
            if (secp256k1_schnorrsig_sign32(context.get(), schnorr.data(), message.data(), &pair, aux.data()) != 1)
                return broken();
        }
        best.schnorr_us = std::min(best.schnorr_us, (thread_cpu_us() - before) / rounds);
        before = thread_cpu_us();
        for (unsigned round = 0; round < rounds; ++round)
            if (secp256k1_ecdsa_sign(context.get(), &ecdsa, message.data(), scalar.data(), nullptr, nullptr) != 1)
                return broken();
        best.ecdsa_us = std::min(best.ecdsa_us, (thread_cpu_us() - before) / rounds);
    }
    if (secp256k1_schnorrsig_verify(context.get(), schnorr.data(), message.data(), message.size(), &x_only) != 1 ||
        secp256k1_ecdsa_verify(context.get(), &ecdsa, message.data(), &key) != 1)
        return broken();
    return best;
}

} // namespace keymeld::bench
