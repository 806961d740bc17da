#include "appliance/fleet/virtual_enclave.h"

#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "core/attestation/eif/image.h"

namespace keymeld::fleet {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using boost::system::error_code;
using std::chrono::steady_clock;
using Unix = asio::local::stream_protocol;

namespace {

constexpr auto kValues = asio::as_tuple(asio::use_awaitable);
constexpr auto kDeviceTime = 10s; ///< until a device process takes connections
constexpr auto kAskTime = 2s;     ///< for one attempt at the signer
constexpr auto kPause = 50ms;
constexpr std::uint8_t kBeat = 0xb7;
// Beside the image's own command line, as a hypervisor adds what its machine needs; not measured. An emulated machine that gets no processor
// time for a while fails the kernel's test of its timer, and the kernel gives up. And it has no keyboard controller: the restart that the image
// asks for would boot it again in the same machine, where a triple fault ends QEMU.
constexpr const char* kMachineArguments = " no_timer_check reboot=t";
constexpr unsigned kFirstCid = 16; // each machine has a vsock device of its own: the number may be the same

Async<void> machine_pause(std::chrono::milliseconds time) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    timer.expires_after(time);
    co_await timer.async_wait(kValues);
}

Status write_file(const fs::path& path, ByteView content) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
    out.close();
    if (!out)
        return fail(Errc::Io, "cannot write " + path.string());
    return {};
}

Error ended(ChildProcess& child) {
    return fail(Errc::Io, child.name() + " ended (" + child.status_text() + ")\n" + child.log_tail());
}

/// Closes the socket of an attempt that takes too long.
Async<void> close_later(std::shared_ptr<Unix::socket> socket, std::shared_ptr<asio::steady_timer> timer) {
    const auto [error] = co_await timer->async_wait(kValues);
    if (!error) {
        error_code ignored;
        socket->close(ignored);
    }
}

/// Whether the hybrid handshake leads to somebody who listens on `port` inside.
Async<bool> listens(fs::path path, std::uint32_t port) {
    const auto executor = co_await asio::this_coro::executor;
    const auto socket = std::make_shared<Unix::socket>(executor);
    const auto timer = std::make_shared<asio::steady_timer>(executor, kAskTime);
    asio::co_spawn(executor, close_later(socket, timer), asio::detached);
    const Unix::endpoint endpoint(path.string());
    const std::string request = "CONNECT " + std::to_string(port) + "\n";
    std::array<char, 3> answer{};
    bool open = false;
    const auto [refused] = co_await socket->async_connect(endpoint, kValues);
    if (!refused) {
        const auto [unsent, sent] = co_await asio::async_write(*socket, asio::buffer(request), kValues);
        if (!unsent && sent == request.size()) {
            const auto [unread, got] = co_await asio::async_read(*socket, asio::buffer(answer), kValues);
            open = !unread && got == answer.size() && std::string_view(answer.data(), 3) == "OK ";
        }
    }
    timer->cancel();
    co_return open;
}

} // namespace

Status MachineOptions::check() const {
    for (const fs::path& file : {eif(), pcrs(), pki() / "root.pem", pki() / "root-key.pem"})
        if (::access(file.c_str(), R_OK) != 0)
            return fail(Errc::Io, "there is no " + file.string() + ": scripts/build-image --test makes it");
    for (const char* program : {"qemu-system-x86_64", "vhost-device-vsock"})
        if (::access((qemu / program).c_str(), X_OK) != 0)
            return fail(Errc::Io, "there is no program " + (qemu / program).string() + ": scripts/get-qemu fetches it");
    return {};
}

Result<BootFiles> BootFiles::extract(const fs::path& eif, const fs::path& folder) {
    std::error_code error;
    const std::uintmax_t size = fs::file_size(eif, error);
    if (error || size > eif::kMaxFile)
        return fail(Errc::Io, eif.string() + ": cannot be read, or is too large for an image");
    std::ifstream in(eif, std::ios::binary);
    const Bytes file{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    auto image = eif::Image::read(file);
    if (!image)
        return fail(image.error().code, eif.string() + ": " + image.error().detail);
    BootFiles out{folder / "kernel", folder / "ramdisk", image->cmdline};
    Bytes all;
    for (const Bytes& ramdisk : image->ramdisks)
        all.insert(all.end(), ramdisk.begin(), ramdisk.end());
    KEYMELD_CHECK(write_file(out.kernel, image->kernel));
    KEYMELD_CHECK(write_file(out.ramdisk, all));
    return out;
}

/// Answers what an enclave's init asks its parent: one byte, sent back.
class VirtualEnclave::Heartbeat : public std::enable_shared_from_this<Heartbeat> {
  public:
    explicit Heartbeat(const asio::any_io_executor& executor) : m_acceptor(executor) {}

    Status listen(const fs::path& path) {
        try {
            m_acceptor.open();
            m_acceptor.bind(Unix::endpoint(path.string()));
            m_acceptor.listen();
        } catch (const boost::system::system_error& error) {
            return fail(Errc::Io, "cannot listen at " + path.string() + ": " + error.what());
        }
        asio::co_spawn(m_acceptor.get_executor(), serve(shared_from_this()), asio::detached);
        return {};
    }
    void stop() {
        error_code ignored;
        m_acceptor.close(ignored);
    }

  private:
    static Async<void> serve(std::shared_ptr<Heartbeat> self) {
        while (self->m_acceptor.is_open()) {
            auto [error, socket] = co_await self->m_acceptor.async_accept(kValues);
            if (error)
                co_return;
            asio::co_spawn(self->m_acceptor.get_executor(), answer(std::make_shared<Unix::socket>(std::move(socket))), asio::detached);
        }
    }
    static Async<void> answer(std::shared_ptr<Unix::socket> socket) {
        std::array<std::uint8_t, 1> byte{};
        const auto [error, got] = co_await asio::async_read(*socket, asio::buffer(byte), kValues);
        if (error || got != 1 || byte[0] != kBeat)
            co_return;
        const auto [unsent, sent] = co_await asio::async_write(*socket, asio::buffer(byte), kValues);
        static_cast<void>(unsent);
        static_cast<void>(sent);
    }

    Unix::acceptor m_acceptor;
};

VirtualEnclave::VirtualEnclave(Options options) : m_options(std::move(options)) {}

VirtualEnclave::~VirtualEnclave() {
    if (m_heartbeat)
        m_heartbeat->stop();
}

Status VirtualEnclave::start_devices() {
    std::error_code error;
    fs::create_directories(m_options.folder, error);
    if (error)
        return fail(Errc::Io, "cannot make the folder " + m_options.folder.string() + ": " + error.message());
    const fs::path& folder = m_options.folder;
    for (const char* left : {"nsm.sock", "vhu.sock", "v.sock", "v.sock_9000"})
        fs::remove(folder / left, error);
    KEYMELD_TRY(m_nsm, ChildProcess::start({.name = m_options.name + " security module",
                                            .program = m_options.programs / "keymeld-nsm-device",
                                            .arguments = {"--socket", (folder / "nsm.sock").string(), "--pki",
                                                          m_options.machine.pki().string(), "--eif", m_options.machine.eif().string()},
                                            .folder = {},
                                            .log = folder / "nsm.log",
                                            .pipe_output = true}));
    KEYMELD_TRY(m_vsock, ChildProcess::start({.name = m_options.name + " vsock device",
                                              .program = m_options.machine.qemu / "vhost-device-vsock",
                                              .arguments = {"--vm", "guest-cid=" + std::to_string(kFirstCid) + ",socket=" +
                                                                        (folder / "vhu.sock").string() + ",uds-path=" +
                                                                        (folder / "v.sock").string()},
                                              .folder = {},
                                              .log = folder / "vsock.log"}));
    return {};
}

Async<Status> VirtualEnclave::start() {
    const SteadyTime deadline = steady_clock::now() + kDeviceTime;
    Status started = start_devices();
    if (!started)
        co_return started;
    auto line = co_await m_nsm->read_line(deadline);
    if (!line)
        co_return std::move(line).error();
    while (!fs::exists(m_options.folder / "vhu.sock")) {
        if (!m_vsock->running())
            co_return ended(*m_vsock);
        if (steady_clock::now() >= deadline)
            co_return fail(Errc::DeadlineExceeded, m_vsock->name() + " does not come up\n" + m_vsock->log_tail());
        co_await machine_pause(kPause);
    }
    if (m_heartbeat)
        m_heartbeat->stop();
    const auto executor = co_await asio::this_coro::executor;
    m_heartbeat = std::make_shared<Heartbeat>(executor);
    Status listening = m_heartbeat->listen(m_options.folder / "v.sock_9000");
    if (!listening)
        co_return listening;

    const std::string memory = std::to_string(m_options.machine.memory_mib) + "M";
    ChildProcess::Command qemu{.name = m_options.name,
                               .program = m_options.machine.qemu / "qemu-system-x86_64",
                               .arguments = {},
                               .folder = {},
                               .log = m_options.log};
    // The guest's memory is shared with both devices. Nothing but them and a serial port is in the machine.
    qemu.arguments = {"-M", "microvm,acpi=off,memory-backend=ram",
                      "-object", "memory-backend-memfd,id=ram,size=" + memory + ",share=on", "-m", memory, "-smp", "1",
                      "-accel", "tcg,thread=multi", "-cpu", "max",
                      "-nodefaults", "-no-user-config", "-nographic", "-serial", "stdio", "-no-reboot",
                      "-global", "virtio-mmio.force-legacy=false",
                      "-kernel", m_options.boot.kernel.string(), "-initrd", m_options.boot.ramdisk.string(),
                      "-append", m_options.boot.command_line + kMachineArguments,
                      "-chardev", "socket,id=vsock,path=" + (m_options.folder / "vhu.sock").string(),
                      "-device", "vhost-user-vsock-device,chardev=vsock",
                      "-chardev", "socket,id=nsm,path=" + (m_options.folder / "nsm.sock").string(),
                      "-device", "vhost-user-test-device,chardev=nsm,virtio-id=33,num_vqs=1,vq_size=2"};
    auto machine = ChildProcess::start(qemu);
    if (!machine)
        co_return std::move(machine).error();
    m_qemu = std::move(*machine);
    co_return Status();
}

Async<Status> VirtualEnclave::wait_listening(SteadyTime deadline) {
    for (;;) {
        const bool open = co_await listens(socket(), kSignerPort);
        if (open)
            break;
        // Whichever went first, the console says why.
        for (ChildProcess* child : children())
            if (!child->running())
                co_return fail(Errc::Io, child->name() + " ended (" + child->status_text() + ")\n" + m_qemu->log_tail());
        if (steady_clock::now() >= deadline)
            co_return fail(Errc::DeadlineExceeded, m_options.name + " does not come up\n" + m_qemu->log_tail());
        co_await machine_pause(kPause);
    }
    m_heartbeat->stop();
    co_return Status();
}

void VirtualEnclave::kill() {
    for (ChildProcess* child : children())
        child->kill();
}

std::vector<ChildProcess*> VirtualEnclave::children() {
    std::vector<ChildProcess*> out;
    for (auto* child : {&m_qemu, &m_nsm, &m_vsock})
        if (*child)
            out.push_back(&**child);
    return out;
}

} // namespace keymeld::fleet
