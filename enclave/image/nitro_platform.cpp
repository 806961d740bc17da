#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/secure/process.h"
#include "enclave/image/image_trust.h"
#include "enclave/nsm/nsm_device.h"
#include "enclave/platform.h"

namespace keymeld::enclave {
namespace {

/// Peers must run the very image that this enclave runs: PCR0 to PCR2 as our own module reports
/// them. Debug mode, whose PCR0 is zero, is refused by PcrPolicy::make().
Result<attestation::PcrPolicy> own_image(nsm::NsmClient& module) {
    attestation::PcrPolicy::Entry entry{"this image", {}};
    for (const auto index : {attestation::PcrIndex::of<0>(), attestation::PcrIndex::of<1>(),
                             attestation::PcrIndex::of<2>()}) {
        KEYMELD_TRY(const auto pcr, module.describe_pcr(index));
        entry.required.emplace(index, pcr.value);
    }
    return attestation::PcrPolicy::make({std::move(entry)});
}

/// What lies beside the signer in the second ramdisk, measured with it. An image without the file
/// (scripts/build-image makes one for --sealing none) has its key sealed by its peers.
Result<std::unique_ptr<SealingProvider>> image_sealing() {
    const int file = ::open("/app/sealing", O_RDONLY | O_CLOEXEC);
    if (file < 0 && errno == ENOENT)
        return sealing_of("peer");
    std::array<char, 32> text{};
    const ssize_t size = file < 0 ? -1 : ::read(file, text.data(), text.size());
    if (file >= 0)
        ::close(file);
    if (size < 0)
        return fail(Errc::Io, "cannot read /app/sealing");
    return sealing_of({text.data(), static_cast<std::size_t>(size)});
}

class NitroBuilder final : public PlatformBuilder {
  public:
    void add_options(CLI::App&) override {}
    std::optional<Status> setup_only() override { return std::nullopt; }

    Result<Platform> build() override {
        KEYMELD_TRY(auto anchor, image_trust_anchor());
        KEYMELD_TRY(auto device, nsm::NsmDevice::open());
        auto module = std::make_unique<nsm::NsmClient>(std::move(device));
        KEYMELD_TRY(auto policy, own_image(*module));
        KEYMELD_CHECK(stir_module_randomness(*module));
        KEYMELD_TRY(auto sealing, image_sealing());
        return Platform{std::move(sealing), std::move(module),
                        attestation::AttestationVerifier(std::move(anchor), std::move(policy))};
    }

    bool allows_tcp() const override { return false; }
    std::string name() const override { return image_kind(); }
};

} // namespace

std::unique_ptr<PlatformBuilder> make_platform_builder() {
    secure::ignore_openssl_configuration();
    return std::make_unique<NitroBuilder>();
}

} // namespace keymeld::enclave
