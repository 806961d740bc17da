#include "enclave/nsm/software_nsm.h"

#include <mutex>
#include <set>
#include <utility>

#include "core/attestation/document.h"
#include "core/base/clock.h"
#include "core/base/hex.h"
#include "core/secure/cleanse.h"
#include "core/secure/random.h"
#include "enclave/nsm/nsm_message.h"

namespace keymeld::nsm {
namespace {

using attestation::PcrIndex;
using attestation::PcrSet;

constexpr std::uint8_t kLockedAtStart = 16;
constexpr std::size_t kRandomSize = 256;
// A document made under a leaf must stay verifiable for longer than it is fresh.
constexpr std::uint64_t kRenewSeconds = 30 * 60;

std::string make_module_id() {
    const auto instance = secure::random_array<8>();
    const auto enclave = secure::random_array<8>();
    return "i-" + hex_encode(instance) + "0-enc" + hex_encode(enclave);
}

} // namespace

struct SoftwareNsm::Impl {
    SimPki pki;
    std::function<std::uint64_t()> clock_ms;
    std::string module_id;
    std::mutex mutex;
    PcrSet pcrs;
    std::set<PcrIndex> locked;
    SimLeaf leaf;

    Impl(SimPki authority, Options options)
        : pki(std::move(authority)), clock_ms(std::move(options.clock_ms)),
          module_id(make_module_id()), pcrs(std::move(options.pcrs)) {
        for (std::uint8_t number = 0; number < PcrIndex::kCount; ++number) {
            const PcrIndex index = *PcrIndex::make(number);
            pcrs.try_emplace(index);
            if (number < kLockedAtStart)
                locked.insert(index);
        }
    }

    Status renew_leaf(std::uint64_t now_seconds) {
        if (leaf.not_before <= now_seconds && now_seconds + kRenewSeconds < leaf.not_after)
            return {};
        KEYMELD_TRY(leaf, pki.issue(module_id, now_seconds));
        return {};
    }

    Bytes answer(const DescribeNsm&) { return encode_description(module_id, locked); }

    Bytes answer(const GetRandom&) {
        ByteArray<kRandomSize> random{};
        const secure::ScopedCleanse wipe(random);
        secure::random_bytes(random);
        return encode_random(random);
    }

    Bytes answer(const DescribePcr& request) {
        const auto index = PcrIndex::make(request.index);
        if (!index)
            return encode_error(NsmError::InvalidIndex);
        return encode_pcr(pcrs.at(*index), locked.contains(*index));
    }

    Bytes answer(const ExtendPcr& request) {
        const auto index = PcrIndex::make(request.index);
        if (!index)
            return encode_error(NsmError::InvalidIndex);
        if (locked.contains(*index))
            return encode_error(NsmError::ReadOnlyIndex);
        attestation::PcrValue& value = pcrs.at(*index);
        value = attestation::extend_pcr(value, request.data);
        return encode_extended(value);
    }

    Bytes answer(const LockPcr& request) {
        const auto index = PcrIndex::make(request.index);
        if (!index)
            return encode_error(NsmError::InvalidIndex);
        if (!locked.insert(*index).second)
            return encode_error(NsmError::ReadOnlyIndex);
        return encode_done("LockPCR");
    }

    Bytes answer(const LockPcrs& request) {
        if (request.count > PcrIndex::kCount)
            return encode_error(NsmError::InvalidIndex);
        for (std::uint64_t number = 0; number < request.count; ++number)
            locked.insert(*PcrIndex::make(number));
        return encode_done("LockPCRs");
    }

    Bytes answer(const Attest& request) {
        const auto too_long = [](const std::optional<Bytes>& field, std::size_t max) {
            return field && field->size() > max;
        };
        if (too_long(request.public_key, attestation::kMaxPublicKey) ||
            too_long(request.user_data, attestation::kMaxUserData) ||
            too_long(request.nonce, attestation::kMaxNonce))
            return encode_error(NsmError::InputTooLarge);
        const std::uint64_t now_ms = clock_ms();
        if (!renew_leaf(now_ms / 1000))
            return encode_error(NsmError::InternalError);
        attestation::AttestationDocument document;
        document.module_id = module_id;
        document.timestamp_ms = now_ms;
        for (const PcrIndex index : locked)
            document.pcrs.emplace(index, pcrs.at(index));
        document.certificate = leaf.certificate;
        document.cabundle = leaf.cabundle;
        document.public_key = request.public_key;
        document.user_data = request.user_data;
        document.nonce = request.nonce;
        const auto signed_document = cose::sign1(document.encode_payload(), leaf.sign);
        if (!signed_document)
            return encode_error(NsmError::InternalError);
        return encode_document(*signed_document);
    }
};

SoftwareNsm::SoftwareNsm(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
SoftwareNsm::~SoftwareNsm() = default;

Result<std::unique_ptr<SoftwareNsm>> SoftwareNsm::create(SimPki pki) {
    KEYMELD_TRY(PcrSet pcrs, attestation::measure_executable("/proc/self/exe"));
    return create(std::move(pki), {.pcrs = std::move(pcrs)});
}

Result<std::unique_ptr<SoftwareNsm>> SoftwareNsm::create(SimPki pki, Options options) {
    if (!options.clock_ms)
        options.clock_ms = unix_millis;
    auto impl = std::make_unique<Impl>(std::move(pki), std::move(options));
    KEYMELD_CHECK(impl->renew_leaf(impl->clock_ms() / 1000));
    return std::unique_ptr<SoftwareNsm>(new SoftwareNsm(std::move(impl)));
}

Result<Bytes> SoftwareNsm::process(ByteView request) {
    if (request.empty() || request.size() > kMaxRequest)
        return fail(Errc::InvalidArgument, "a request to the NSM is empty or too long");
    const auto decoded = decode_request(request);
    if (!decoded)
        return encode_error(NsmError::InvalidOperation);
    const std::scoped_lock lock(m_impl->mutex);
    return std::visit([this](const auto& call) { return m_impl->answer(call); }, *decoded);
}

} // namespace keymeld::nsm
