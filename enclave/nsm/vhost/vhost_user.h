// A security module as a vhost-user back-end: the virtio device 33 of a virtual machine, for
// booting an enclave image without Nitro. Sources: QEMU's vhost-user protocol; Linux
// drivers/misc/nsm.c for the shape of the queue (request and answer are two buffers of their own,
// answered together).
//
// Library keymeld_nsm_vhost: a tool for tests and the demo, never part of an image, and never
// installed.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "enclave/nsm/nsm_transport.h"
#include "enclave/nsm/vhost/virtqueue.h"

namespace keymeld::nsm {

/// One virtual machine, from its connection to its end. Thread rule: one thread.
class VhostUserNsm {
  public:
    /// `connection`: an accepted unix stream socket of the front-end. `module` answers the guest
    /// and must outlive this.
    VhostUserNsm(OwnedFd connection, NsmTransport& module);

    /// Serves until the front-end closes the connection. `Errc::Io`; `Errc::InvalidArgument` for
    /// anything that a front-end or a driver must not send: the connection is given up then.
    Status serve();

  private:
    struct Message {
        std::uint32_t request = 0;
        std::uint32_t flags = 0;
        Bytes payload;
        std::vector<OwnedFd> files;
    };

    Result<bool> receive(Message& out);
    Status handle(Message& message);
    Status set_memory(Message& message);
    Status set_queue(Message& message);
    Status set_event(Message& message);
    Status reply(std::uint32_t request, ByteView payload);
    Status reply_number(std::uint32_t request, std::uint64_t number);
    /// Answers what the driver has made available, if the queue is set up and enabled.
    Status process_queue();
    Result<Bytes> answer(const Chain& request);
    void interrupt();

    OwnedFd m_connection;
    NsmTransport& m_module;
    GuestMemory m_memory;
    VirtQueue m_queue;
    OwnedFd m_kick;
    OwnedFd m_call;
    std::uint64_t m_features = 0;
    bool m_located = false; ///< the rings are in the memory of now
    bool m_started = false; ///< a kick descriptor came; GET_VRING_BASE stops it
    bool m_enabled = false;
};

} // namespace keymeld::nsm
