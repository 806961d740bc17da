#include "core/plugin/export.h"
#include "plugins/transport-tcp-sim/tcp_transport.h"

KEYMELD_PLUGIN(Transport, "transport-tcp-sim", "1.0.0", [] { return new keymeld::transport_tcp_sim::TcpSimTransportPlugin; });
