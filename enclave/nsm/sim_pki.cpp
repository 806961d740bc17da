#include "enclave/nsm/sim_pki.h"

#include <fstream>

#include "core/attestation/issuer/certificate_issuer.h"
#include "core/attestation/issuer/signing_key.h"
#include "core/attestation/pcr_policy.h"
#include "core/attestation/read_file.h"
#include "core/attestation/trust_anchor.h"
#include "core/base/clock.h"

namespace keymeld::nsm {
namespace {

using attestation::CertificateName;
using attestation::CertificateProfile;
using attestation::SigningKey;

constexpr const char* kRootFile = "root.pem";
constexpr const char* kKeyFile = "root-key.pem";
constexpr const char* kPcrsFile = "pcrs.json";
constexpr std::size_t kMaxPem = 16 * 1024;
constexpr std::uint64_t kBackdate = 60;
constexpr std::uint64_t kRootSeconds = 10ull * 365 * 24 * 3600;

CertificateName sim_name(std::string common) {
    return {.organization = "KeyMeld simulator",
            .unit = "Not for production",
            .common = std::move(common)};
}

/// Written beside and renamed, so that a reader never sees half a file.
Status write_file(const std::filesystem::path& path, std::string_view content) {
    std::filesystem::path draft = path;
    draft += ".new";
    {
        std::ofstream file(draft, std::ios::binary | std::ios::trunc);
        file.write(content.data(), static_cast<std::streamsize>(content.size()));
        file.close();
        if (!file)
            return fail(Errc::Io, path.string() + ": cannot be written");
    }
    std::error_code error;
    std::filesystem::rename(draft, path, error);
    if (error)
        return fail(Errc::Io, path.string() + ": cannot be written");
    return {};
}

} // namespace

struct SimPki::Impl {
    SigningKey root_key;
    Bytes root;
};

SimPki::SimPki(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
SimPki::SimPki(SimPki&&) noexcept = default;
SimPki& SimPki::operator=(SimPki&&) noexcept = default;
SimPki::~SimPki() = default;

const Bytes& SimPki::root_der() const {
    return m_impl->root;
}

Result<SimPki> SimPki::create(const std::filesystem::path& directory,
                              const std::filesystem::path& executable) {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error)
        return fail(Errc::Io, directory.string() + ": cannot be created");
    for (const char* name : {kRootFile, kKeyFile, kPcrsFile})
        if (std::filesystem::exists(directory / name, error))
            return fail(Errc::InvalidArgument, (directory / name).string() + ": exists already");

    const std::uint64_t now = unix_seconds();
    KEYMELD_TRY(const SigningKey key, SigningKey::generate());
    const CertificateProfile profile{.subject = sim_name(kRootName),
                                     .issuer = sim_name(kRootName),
                                     .not_before = now - kBackdate,
                                     .not_after = now + kRootSeconds,
                                     .ca = true};
    KEYMELD_TRY(const Bytes root, attestation::issue_certificate(profile, key, key));
    KEYMELD_CHECK(write_pcrs(directory, executable));
    KEYMELD_CHECK(key.save(directory / kKeyFile));
    KEYMELD_CHECK(write_file(directory / kRootFile, attestation::certificate_pem(root)));
    return load(directory);
}

Result<SimPki> SimPki::load(const std::filesystem::path& directory) {
    const std::filesystem::path root_path = directory / kRootFile;
    KEYMELD_TRY(SigningKey key, SigningKey::load(directory / kKeyFile));
    KEYMELD_TRY(const std::string pem, attestation::read_file(root_path, kMaxPem));
    // The same rules as a verifier has for it, so that a simulator never starts under a root that
    // nobody can trust.
    if (const auto anchor = attestation::TrustAnchor::from_pem(pem); !anchor)
        return attestation::in_file(root_path, anchor.error());
    KEYMELD_TRY(Bytes root, attestation::certificate_der(pem));
    const auto certified = attestation::certificate_key(root);
    if (!certified || *certified != key.public_key())
        return fail(Errc::ConfigInvalid,
                    root_path.string() + ": not the certificate of " + kKeyFile);
    return SimPki(std::make_unique<Impl>(Impl{std::move(key), std::move(root)}));
}

Status SimPki::write_pcrs(const std::filesystem::path& directory,
                          const std::filesystem::path& executable) {
    KEYMELD_TRY(attestation::PcrSet pcrs, attestation::measure_executable(executable));
    KEYMELD_TRY(const attestation::PcrPolicy policy,
                attestation::PcrPolicy::make(
                    {{.name = "simulator " + executable.filename().string(), .required = pcrs}}));
    return write_file(directory / kPcrsFile, policy.to_json());
}

Result<SimLeaf> SimPki::issue(const std::string& module_id, std::uint64_t now) const {
    KEYMELD_TRY(const SigningKey instance_key, SigningKey::generate());
    KEYMELD_TRY(const SigningKey leaf_key, SigningKey::generate());
    const CertificateName instance_name = sim_name("KeyMeld simulator instance");
    const CertificateProfile instance{.subject = instance_name,
                                      .issuer = sim_name(kRootName),
                                      .not_before = now - kBackdate,
                                      .not_after = now + kInstanceSeconds,
                                      .ca = true,
                                      .path_length = 0};
    const CertificateProfile leaf{.subject = sim_name(module_id),
                                  .issuer = instance_name,
                                  .not_before = now - kBackdate,
                                  .not_after = now + kLeafSeconds};
    SimLeaf result;
    result.not_before = leaf.not_before;
    result.not_after = leaf.not_after;
    result.sign = leaf_key.signer();
    KEYMELD_TRY(result.certificate, attestation::issue_certificate(leaf, leaf_key, instance_key));
    KEYMELD_TRY(Bytes authority,
                attestation::issue_certificate(instance, instance_key, m_impl->root_key));
    result.cabundle = {m_impl->root, std::move(authority)};
    return result;
}

} // namespace keymeld::nsm
