#include "appliance/enclave_probe.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "appliance/load_parts.h"
#include "core/attestation/key_binding.h"
#include "core/attestation/verifier.h"
#include "core/base/clock.h"
#include "core/plugin/storage.h"
#include "core/plugin/transport.h"
#include "core/plugin/tweak.h"
#include "core/protocol/enclave.pb.h"
#include "core/protocol/enclave_link.h"

namespace keymeld::appliance {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

Result<attestation::AttestationVerifier> make_verifier(const config::AttestationChoice& choice) {
    KEYMELD_TRY(auto anchor, attestation::TrustAnchor::from_config(choice.trust(), {}));
    KEYMELD_TRY(auto policy, attestation::PcrPolicy::from_file(choice.pcrs));
    return attestation::AttestationVerifier(std::move(anchor), std::move(policy));
}

/// One enclave being asked.
class Probe {
  public:
    /// `open` counts the probes that have not finished; the last one stops the loop.
    Probe(asio::io_context& loop, std::size_t& open, const config::Config& config, const config::Enclave& enclave,
          EnclaveProbe& out)
        : m_loop(loop), m_open(open), m_out(out) {
        auto transport = load_transport(config, enclave);
        if (!transport) {
            out.transport_error = transport.error();
            return;
        }
        m_transport = std::move(*transport);
        out.transport = m_transport->describe();
        auto verifier = make_verifier(enclave.attestation);
        if (!verifier)
            out.attestation_error = verifier.error();
        else
            m_verifier = std::move(*verifier);
    }

    void start(SteadyTime deadline) {
        if (!m_transport)
            return;
        m_started = Clock::now();
        m_deadline = deadline;
        protocol::LinkEvents events;
        events.verify = [this](const protocol::SignerHello& hello, std::function<void(Status)> done) {
            done(verify(hello));
        };
        events.on_up = [this](const protocol::SignerHello&) { ask(); };
        events.on_down = [this](const protocol::LinkDown& down) {
            // An enclave that was attested or refused has been asked; everything else may be tried again until the deadline.
            if (!m_out.attested && !m_out.attestation_error)
                m_out.reach_error = down.reason;
            if (m_out.attestation_error)
                finish();
        };
        auto* transport = m_transport.get();
        m_link = std::make_unique<protocol::EnclaveLink>(
            m_loop,
            [transport](asio::any_io_executor executor, SteadyTime until, auto done) {
                transport->connect(std::move(executor), until, std::move(done));
            },
            std::move(events));
        m_link->start();
        ++m_open;
    }

  private:
    Status verify(const protocol::SignerHello& hello) {
        m_out.reach_error.reset();
        m_out.signer_version = hello.signer_version;
        if (!m_verifier)
            return *m_out.attestation_error;
        const std::uint64_t now = unix_millis();
        auto verified = m_verifier->verify(hello.attestation_document, {.nonce = to_bytes(hello.nonce),
                                                                        .public_key = to_bytes(hello.public_key),
                                                                        .now_ms = now});
        if (!verified) {
            m_out.attestation_error = verified.error();
            return verified.error();
        }
        const auto& document = verified->document();
        m_out.attested = true;
        m_out.hardware = verified->hardware();
        m_out.image = verified->image_name();
        m_out.pcrs = attestation::pcr_texts(document.pcrs);
        m_out.public_key = hello.public_key;
        m_out.key_epoch = hello.key_epoch;
        m_out.sealing = hello.sealing;
        m_out.incarnation = hello.incarnation;
        m_out.clock_offset_ms = static_cast<std::int64_t>(document.timestamp_ms) - static_cast<std::int64_t>(now);
        m_out.took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - m_started);
        return {};
    }

    void ask() {
        wire::Request request;
        request.mutable_ping();
        m_link->send(std::move(request), m_deadline, [this](Result<wire::Response> response) {
            if (response) {
                m_out.uptime_seconds = response->ping().uptime_seconds();
                m_out.known_keygens = response->ping().known_keygens();
            } else {
                m_out.reach_error = response.error();
            }
            finish();
        });
    }

    void finish() {
        if (m_finished)
            return;
        m_finished = true;
        if (--m_open == 0)
            m_loop.stop();
    }

    asio::io_context& m_loop;
    std::size_t& m_open;
    EnclaveProbe& m_out;
    std::unique_ptr<protocol::Transport> m_transport;
    std::optional<attestation::AttestationVerifier> m_verifier;
    std::unique_ptr<protocol::EnclaveLink> m_link;
    SteadyTime m_started{};
    SteadyTime m_deadline{};
    bool m_finished = false;
};

} // namespace

const Error* EnclaveProbe::error() const {
    for (const auto* error : {&transport_error, &attestation_error, &reach_error})
        if (*error)
            return &**error;
    return nullptr;
}

std::vector<EnclaveProbe> probe_enclaves(const config::Config& config, std::chrono::milliseconds time) {
    std::vector<EnclaveProbe> out(config.enclaves.size());
    asio::io_context loop(1);
    std::size_t open = 0;
    std::vector<std::unique_ptr<Probe>> probes;
    for (std::size_t i = 0; i < out.size(); ++i) {
        const config::Enclave& enclave = config.enclaves[i];
        out[i].enclave_id = enclave.id;
        out[i].enabled = enclave.enabled;
        out[i].transport = enclave.transport.plugin;
        if (enclave.enabled)
            probes.push_back(std::make_unique<Probe>(loop, open, config, enclave, out[i]));
    }
    const SteadyTime deadline = Clock::now() + time;
    for (const auto& probe : probes)
        probe->start(deadline);
    if (open > 0)
        loop.run_until(deadline);
    probes.clear();
    loop.restart();
    loop.run_for(std::chrono::milliseconds(50)); // callbacks of links that were stopped
    return out;
}

} // namespace keymeld::appliance
