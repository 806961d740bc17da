// keymeld-nsm-device: the security module of one virtual machine that runs an enclave image without
// Nitro.
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "core/attestation/eif/image.h"
#include "core/attestation/eif/signature.h"
#include "core/secure/process.h"
#include "enclave/nsm/software_nsm.h"
#include "enclave/nsm/vhost/vhost_user.h"

namespace keymeld::nsm {
namespace {

struct Options {
    std::string socket;
    std::string pki;
    std::string eif;
};

Result<OwnedFd> listen_at(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return fail(Errc::ConfigInvalid, "--socket: the path is empty or too long for a socket");
    path.copy(address.sun_path, path.size());
    OwnedFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::unlink(path.c_str()); // of a machine that is gone
    if (!socket.open() ||
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket.get(), 1) != 0)
        return fail(Errc::Io, "cannot listen at " + path + ": " + std::strerror(errno));
    return socket;
}

/// What the hypervisor would measure: PCR0 to PCR2, and PCR8 of a signed image.
Result<attestation::PcrSet> measure(const std::string& path) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    if (error || size > eif::kMaxFile)
        return fail(Errc::Io, path + ": cannot be read, or is too large for an image");
    std::ifstream in(path, std::ios::binary);
    const Bytes file{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const auto image = eif::Image::read(file);
    if (!image)
        return fail(image.error().code, path + ": " + image.error().detail);
    attestation::PcrSet pcrs = image->measure();
    if (image->signature) {
        const auto pcr8 =
            eif::verify_signature(*image->signature, pcrs.at(attestation::PcrIndex::of<0>()));
        if (!pcr8)
            return fail(pcr8.error().code, path + ": " + pcr8.error().detail);
        pcrs.emplace(attestation::PcrIndex::of<8>(), *pcr8);
    }
    return pcrs;
}

Status serve(const Options& options) {
    KEYMELD_CHECK(secure::harden_process());
    KEYMELD_TRY(auto pcrs, measure(options.eif));
    KEYMELD_TRY(auto pki, SimPki::load(options.pki));
    KEYMELD_TRY(const auto module,
                SoftwareNsm::create(std::move(pki), {.pcrs = std::move(pcrs), .clock_ms = {}}));
    KEYMELD_TRY(const OwnedFd listener, listen_at(options.socket));
    std::cout << "listening" << std::endl;
    OwnedFd connection;
    do
        connection = OwnedFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    while (!connection.open() && errno == EINTR);
    ::unlink(options.socket.c_str());
    if (!connection.open())
        return fail(Errc::Io,
                    std::string("accepting the virtual machine: ") + std::strerror(errno));
    VhostUserNsm device(std::move(connection), *module);
    return device.serve();
}

int run(int argc, char** argv) {
    Options options;
    CLI::App app("Security module of a virtual machine that runs an enclave image, for tests and "
                 "the demo. It protects nothing: its "
                 "documents lead to a simulator's root.",
                 "keymeld-nsm-device");
    app.add_option("--socket", options.socket, "unix socket for QEMU's vhost-user-test-device")
        ->required()
        ->type_name("PATH");
    app.add_option("--pki", options.pki,
                   "folder with root.pem and root-key.pem (made by keymeld-enclave --sim-init)")
        ->required()
        ->type_name("DIR");
    app.add_option("--eif", options.eif,
                   "the image that the machine boots: measured into the registers")
        ->required()
        ->type_name("FILE");
    app.footer(
        "Serves one virtual machine and ends with it. Prints \"listening\" when QEMU may connect.");
    CLI11_PARSE(app, argc, argv);
    const Status status = serve(options);
    if (status)
        return 0;
    std::cerr << "keymeld-nsm-device: " << status.error().detail << "\n";
    return 1;
}

} // namespace
} // namespace keymeld::nsm

int main(int argc, char** argv) {
    try {
        return keymeld::nsm::run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "keymeld-nsm-device: " << error.what() << "\n";
        return 1;
    }
}
