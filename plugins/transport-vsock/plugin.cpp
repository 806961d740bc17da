#include "core/plugin/export.h"
#include "plugins/transport-vsock/vsock_transport.h"

KEYMELD_PLUGIN(Transport, "transport-vsock", "1.0.0", [] { return new keymeld::transport_vsock::VsockTransportPlugin; });
