#include "tests/support/test_enclave.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <stdexcept>

#include "core/base/hex.h"
#include "core/protocol/frame.h"
#include "core/protocol/message.h"
#include "core/secure/random.h"
#include "enclave/nsm/sim_pki.h"
#include "enclave/nsm/software_nsm.h"

namespace keymeld::test {
namespace {

[[noreturn]] void broken(const std::string& what) {
    throw std::runtime_error(what);
}

std::filesystem::path enclave_program() {
    const char* const build = std::getenv("KEYMELD_BUILD_DIR");
    if (build == nullptr)
        broken("KEYMELD_BUILD_DIR is not set");
    return std::filesystem::path(build) / "bin" / "keymeld-enclave";
}

attestation::PcrSet measured(std::uint8_t measurement) {
    attestation::PcrValue value{};
    value.fill(measurement);
    return {{attestation::PcrIndex::of<0>(), value},
            {attestation::PcrIndex::of<1>(), value},
            {attestation::PcrIndex::of<2>(), value}};
}

} // namespace

ScratchFolder::ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "keymeld-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr)
        broken("cannot make a scratch folder");
    m_path = pattern;
}

ScratchFolder::~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(m_path, ignored);
}

void TestEnclave::greet() {
    wire::Request request;
    request.mutable_hello()->set_protocol_version(protocol::kProtocolVersion);
    request.mutable_hello()->set_nonce(std::string(as_text(secure::random_array<32>())));
    const wire::Response response = call(request);
    if (!response.has_hello())
        broken("hello was refused: " + response.failure().detail());
    m_public_key = crypto::PlainPubKey::parse(as_bytes(response.hello().public_key())).value();
    m_boot_id = Uuid::from_bytes(as_bytes(response.hello().boot_id())).value();
    m_may_take_over = response.hello().may_take_over();
    m_incarnation = response.hello().incarnation();
}

// ---- In this process ----

struct LocalPki::Impl {
    ScratchFolder folder;
};

LocalPki::LocalPki() : m_impl(std::make_unique<Impl>()) {
    if (auto made = nsm::SimPki::create(m_impl->folder.path(), "/proc/self/exe"); !made)
        broken(made.error().detail);
}

LocalPki::~LocalPki() = default;

LocalEnclave::LocalEnclave(const LocalPki& pki, Options options)
    : m_pki(pki), m_options(options),
      m_key(options.secret ? crypto::SecretKey::parse(*options.secret).value()
                           : crypto::SecretKey::generate()),
      m_now(enclave::Moment::now()) {
    start();
}

void LocalEnclave::start() {
    const auto& folder = m_pki.impl().folder.path();
    nsm::SoftwareNsm::Options options;
    options.pcrs = measured(m_options.measurement);
    options.clock_ms = [this] { return m_now.unix_ms; };
    auto module = std::make_unique<nsm::NsmClient>(
        nsm::SoftwareNsm::create(nsm::SimPki::load(folder).value(), std::move(options)).value());
    attestation::AttestationVerifier verifier(
        attestation::TrustAnchor::from_pem_file(folder / "root.pem").value(),
        attestation::PcrPolicy::make({{"test image", measured(1)}}).value());
    std::unique_ptr<enclave::SealingProvider> sealing = std::make_unique<enclave::NoSealing>();
    auto identity = enclave::EnclaveIdentity::from(m_key.clone(), 1, m_now.unix_seconds());
    if (m_options.peer_sealing) {
        sealing = std::make_unique<enclave::PeerSealing>();
        identity = sealing->begin().value();
    }
    m_signer = std::make_unique<enclave::Signer>(
        enclave::SignerParts{std::move(identity), std::move(module), std::move(verifier),
                             std::move(sealing), m_options.limits, m_now.steady});
    m_stream = 0;
    reconnect();
}

wire::Response LocalEnclave::call(const wire::Request& request) {
    return call_on(m_stream, request);
}

wire::Response LocalEnclave::call_on(std::uint64_t stream, const wire::Request& request) {
    wire::Response response;
    response.set_id(request.id());
    m_signer->handle({stream}, request, m_now, response);
    return response;
}

void LocalEnclave::reconnect() {
    ++m_stream;
    greet();
}

void LocalEnclave::restart() {
    m_signer.reset();
    start();
}

void LocalEnclave::advance(std::chrono::seconds time) {
    m_now.unix_ms += static_cast<std::uint64_t>(time.count()) * 1000;
    m_now.steady += time;
}

// ---- A real process ----

void ProcessEnclave::sim_init(const std::filesystem::path& folder) {
    const std::string command = enclave_program().string() + " --sim-init " + folder.string();
    if (std::system(command.c_str()) != 0)
        broken("keymeld-enclave --sim-init failed");
}

ProcessEnclave::ProcessEnclave(const std::filesystem::path& folder, std::string name,
                               bool peer_sealing)
    : m_folder(folder), m_name(std::move(name)), m_peer_sealing(peer_sealing) {
    start();
}

ProcessEnclave::~ProcessEnclave() {
    stop();
}

void ProcessEnclave::start() {
    int output[2];
    if (::pipe(output) != 0)
        broken("pipe failed");
    const std::string program = enclave_program().string();
    const std::string pki = m_folder.string();
    const std::string identity = (m_folder / (m_name + ".identity")).string();
    m_pid = ::fork();
    if (m_pid < 0)
        broken("fork failed");
    if (m_pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::dup2(output[1], STDOUT_FILENO);
        ::close(output[0]);
        ::close(output[1]);
        ::execl(program.c_str(), program.c_str(), "--listen", "tcp:127.0.0.1:0", "--print-port",
                "--sim-dir", pki.c_str(), m_peer_sealing ? "--sealing" : "--sim-identity",
                m_peer_sealing ? "peer" : identity.c_str(), nullptr);
        ::_exit(127);
    }
    ::close(output[1]);
    std::string line;
    char c = 0;
    while (::read(output[0], &c, 1) == 1 && c != '\n')
        line += c;
    ::close(output[0]);
    if (line.empty())
        broken("keymeld-enclave did not start");
    m_port = static_cast<std::uint16_t>(std::stoul(line));
    reconnect();
}

void ProcessEnclave::stop() {
    disconnect();
    if (m_pid <= 0)
        return;
    ::kill(m_pid, SIGKILL);
    ::waitpid(m_pid, nullptr, 0);
    m_pid = -1;
}

int ProcessEnclave::terminate() {
    disconnect();
    ::kill(m_pid, SIGTERM);
    int status = 0;
    ::waitpid(m_pid, &status, 0);
    m_pid = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void ProcessEnclave::disconnect() {
    if (m_socket >= 0)
        ::close(m_socket);
    m_socket = -1;
}

namespace {

int connect_to(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        broken("cannot connect to the enclave");
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const timeval limit{20, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

} // namespace

void ProcessEnclave::reconnect() {
    disconnect();
    m_socket = connect_to(m_port);
    greet();
}

void ProcessEnclave::restart() {
    stop();
    start();
}

std::uint64_t ProcessEnclave::unix_seconds() const {
    return keymeld::unix_seconds();
}

wire::Response ProcessEnclave::call(const wire::Request& request) {
    wire::Request numbered = request;
    numbered.set_id(m_next_id++);
    protocol::FrameWriter writer;
    if (!protocol::append_message(writer, numbered))
        broken("request does not fit into a frame");
    while (!writer.empty()) {
        const auto sent =
            ::send(m_socket, writer.unsent().data(), writer.unsent().size(), MSG_NOSIGNAL);
        if (sent <= 0)
            broken("the enclave closed the stream");
        writer.consume(static_cast<std::size_t>(sent));
    }
    protocol::FrameReader reader;
    for (;;) {
        const auto payload = reader.next();
        if (!payload)
            broken("the enclave sent no frame");
        if (*payload) {
            wire::Response response;
            if (!protocol::parse_message(**payload, response) || response.id() != numbered.id())
                broken("the enclave sent no response to the request");
            return response;
        }
        const auto space = reader.prepare();
        const auto received = ::recv(m_socket, space.data(), space.size(), 0);
        if (received <= 0)
            broken("the enclave closed the stream");
        reader.commit(static_cast<std::size_t>(received));
    }
}

bool ProcessEnclave::closes_on(ByteView bytes) const {
    const int fd = connect_to(m_port);
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        const auto now = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (now <= 0)
            break;
        sent += static_cast<std::size_t>(now);
    }
    char buffer[4096];
    ssize_t received = 0;
    while ((received = ::recv(fd, buffer, sizeof buffer, 0)) > 0) {
    }
    const bool closed = received == 0 || errno == ECONNRESET;
    ::close(fd);
    return closed;
}

} // namespace keymeld::test
