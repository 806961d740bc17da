#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "enclave/nsm/sim_pki.h"
#include "enclave/nsm/software_nsm.h"
#include "enclave/platform.h"
#include "enclave/simulator/file_sealing.h"

namespace keymeld::enclave {
namespace {

constexpr const char* kSelf = "/proc/self/exe";

/// Holds the folder against other starts of this program for as long as it lives.
class FolderLock {
  public:
    static Result<FolderLock> take(const std::filesystem::path& folder) {
        std::error_code error;
        std::filesystem::create_directories(folder, error);
        const int fd = error ? -1 : ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || ::flock(fd, LOCK_EX) != 0)
            return fail(Errc::Io,
                        "cannot use the folder " + folder.string() + ": " +
                            (error ? error.message() : std::string(std::strerror(errno))));
        return FolderLock(fd);
    }
    FolderLock(FolderLock&& other) noexcept : m_fd(std::exchange(other.m_fd, -1)) {}
    FolderLock& operator=(FolderLock&&) = delete;
    ~FolderLock() {
        if (m_fd >= 0)
            ::close(m_fd);
    }

  private:
    explicit FolderLock(int fd) : m_fd(fd) {}
    int m_fd;
};

/// A root if there is none, and the measurement of this very program.
Status prepare(const std::filesystem::path& folder) {
    KEYMELD_TRY(const auto lock, FolderLock::take(folder));
    if (!std::filesystem::exists(folder / "root.pem")) {
        KEYMELD_TRY(const auto pki, nsm::SimPki::create(folder, kSelf));
        return {};
    }
    KEYMELD_TRY(const auto pki, nsm::SimPki::load(folder));
    KEYMELD_TRY(const auto measured, attestation::measure_executable(kSelf));
    const auto policy = attestation::PcrPolicy::from_file(folder / "pcrs.json");
    if (policy && policy->match(measured) != nullptr)
        return {};
    return nsm::SimPki::write_pcrs(folder, kSelf);
}

class SimulatorBuilder final : public PlatformBuilder {
  public:
    void add_options(CLI::App& app) override {
        app.add_option("--sim-dir", m_directory,
                       "folder with the simulator's root.pem, root-key.pem and pcrs.json (made by "
                       "--sim-init)");
        auto* const with_file = app.add_option(
            "--sim-identity", m_identity_file,
            "file that keeps this simulated enclave's key, made if missing, mode 0600; "
            "NOT encrypted: for "
            "simulation only");
        app.add_option("--sealing", m_sealing,
                       "without --sim-identity, how the key survives a restart: peer (the other "
                       "enclaves keep it in memory and hand it over) or none")
            ->capture_default_str()
            ->excludes(with_file);
        app.add_option("--sim-init", m_init_directory,
                       "make the simulator's root in this folder if it is missing, write the "
                       "measurement of this "
                       "program to pcrs.json, and exit");
    }

    std::optional<Status> setup_only() override {
        if (m_init_directory.empty())
            return std::nullopt;
        return prepare(m_init_directory);
    }

    Result<Platform> build() override {
        if (m_directory.empty())
            return fail(
                Errc::ConfigInvalid,
                "--sim-dir is missing: make the folder with --sim-init DIR, then give it here");
        const std::filesystem::path folder(m_directory);
        KEYMELD_TRY(auto pki, nsm::SimPki::load(folder));
        KEYMELD_TRY(auto anchor, attestation::TrustAnchor::from_pem_file(folder / "root.pem"));
        KEYMELD_TRY(auto policy, attestation::PcrPolicy::from_file(folder / "pcrs.json"));
        KEYMELD_TRY(const auto measured, attestation::measure_executable(kSelf));
        if (policy.match(measured) == nullptr)
            return fail(
                Errc::ConfigInvalid,
                (folder / "pcrs.json").string() +
                    " does not list this program (it was rebuilt?): run it with --sim-init " +
                    folder.string());
        KEYMELD_TRY(auto transport, nsm::SoftwareNsm::create(std::move(pki)));
        auto module = std::make_unique<nsm::NsmClient>(std::move(transport));
        KEYMELD_CHECK(stir_module_randomness(*module));
        std::unique_ptr<SealingProvider> sealing;
        if (!m_identity_file.empty()) {
            sealing = std::make_unique<FileSealing>(m_identity_file);
        } else {
            KEYMELD_TRY(sealing, sealing_of(m_sealing));
        }
        return Platform{std::move(sealing), std::move(module),
                        attestation::AttestationVerifier(std::move(anchor), std::move(policy))};
    }

    bool allows_tcp() const override { return true; }
    std::string name() const override { return "simulator"; }

  private:
    std::string m_directory;
    std::string m_identity_file;
    std::string m_sealing = "peer";
    std::string m_init_directory;
};

} // namespace

std::unique_ptr<PlatformBuilder> make_platform_builder() {
    return std::make_unique<SimulatorBuilder>();
}

} // namespace keymeld::enclave
