// The other end of a stream, for the tests of link and listener: real sockets, real threads.
#pragma once

#include <atomic>
#include <concepts>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include <boost/asio/io_context.hpp>

#include "core/protocol/enclave.pb.h"
#include "core/protocol/enclave_link.h"
#include "core/protocol/signer_listener.h"
#include "core/protocol/stream_endpoint.h"

namespace keymeld::protocol::test {

using namespace std::chrono_literals;

/// Runs the loop until `done` is true; false after 20 s.
bool run_until(boost::asio::io_context& loop, const std::function<bool()>& done);
/// Waits in this thread; false after 20 s.
bool wait_until(const std::function<bool()>& done);

/// How the tests' signers answer: Hello completely; Authenticate with the keygen id as user id; Attest with a document of
/// as many bytes as the nonce says in decimal; Restore with the number of updates; Challenge with the failure NotPermitted.
void answer(const Uuid& boot_id, const wire::Request& request, wire::Response& response);

wire::Request authenticate(const std::string& keygen_id);
wire::Request attest(std::size_t size);

Connector connector_to(const Endpoint& endpoint);
inline SteadyTime in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

/// A folder that disappears with its content.
class TemporaryFolder {
  public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    std::string file(const std::string& name) const { return m_path + "/" + name; }

  private:
    std::string m_path;
};

/// A SignerListener on a loop and thread of its own; TCP on a free port unless an endpoint is given.
class SignerThread {
  public:
    explicit SignerThread(Dispatcher dispatcher = {}, ListenerOptions options = {}, std::optional<Endpoint> endpoint = {});
    ~SignerThread();
    SignerThread(const SignerThread&) = delete;
    SignerThread& operator=(const SignerThread&) = delete;

    const Endpoint& endpoint() const { return m_endpoint; }
    const Uuid& boot_id() const { return m_boot_id; }
    ListenerCounters counters();

  private:
    Uuid m_boot_id;
    boost::asio::io_context m_loop{1};
    std::unique_ptr<SignerListener> m_listener;
    Endpoint m_endpoint;
    std::thread m_thread;
};

/// A blocking socket with frames on it. Reads give up after 20 s.
class RawStream {
  public:
    /// Takes over a connected descriptor.
    explicit RawStream(int descriptor);
    /// Connects.
    explicit RawStream(const Endpoint& endpoint);
    ~RawStream();
    RawStream(const RawStream&) = delete;
    RawStream& operator=(const RawStream&) = delete;

    void write_bytes(ByteView bytes);
    void write(const google::protobuf::MessageLite& message);
    /// False: closed, or nothing came in time.
    bool read(google::protobuf::MessageLite& message);
    /// Waits for the end of the stream; false if something else came.
    bool at_end();
    /// Bytes that can be read now, and whether there are more than that is not known.
    std::size_t readable() const;
    void close();

    // As gateway: says Hello; as signer: takes and answers it.
    bool greet();
    bool take_hello(const Uuid& boot_id = {});

  private:
    int m_descriptor;
    FrameReader m_reader;
};

/// Accepts streams on a thread of its own, one after another, and gives each to `script`.
class ScriptedSigner {
  public:
    explicit ScriptedSigner(std::function<void(RawStream&)> script);
    ~ScriptedSigner();
    ScriptedSigner(const ScriptedSigner&) = delete;
    ScriptedSigner& operator=(const ScriptedSigner&) = delete;

    const Endpoint& endpoint() const { return m_endpoint; }
    int streams() const { return m_streams; }

  private:
    std::function<void(RawStream&)> m_script;
    int m_listening;
    Endpoint m_endpoint;
    std::atomic<int> m_streams{0};
    std::atomic<bool> m_stop{false};
    std::thread m_thread;
};

/// A link with a loop, and a record of its events.
class LinkFixture {
  public:
    explicit LinkFixture(Connector connector, LinkOptions options = {});
    /// A template, because Endpoint would convert from anything.
    template <std::same_as<Endpoint> Address>
    explicit LinkFixture(const Address& endpoint, LinkOptions options = {})
        : LinkFixture(connector_to(endpoint), options) {}

    bool start_and_wait_up();
    bool wait_up() {
        return run_until(loop, [&] { return link->up(); });
    }
    /// Sends and waits.
    Result<wire::Response> exchange(wire::Request request, std::chrono::milliseconds time = 20s);

    boost::asio::io_context loop{1};
    std::vector<SignerHello> ups;
    std::vector<LinkDown> downs;
    std::vector<SignerHello> hellos;
    /// What verify does; success at once unless replaced.
    std::function<void(const SignerHello&, std::function<void(Status)>)> verify;
    std::unique_ptr<EnclaveLink> link;
};

} // namespace keymeld::protocol::test
