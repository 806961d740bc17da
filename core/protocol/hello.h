// The first exchange on a stream, and what else the two ends agree on about single messages.
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/protocol/enclave.pb.h"

namespace keymeld::protocol {

struct SignerHello;

wire::Request hello_request(std::uint64_t id, const ByteArray<32>& nonce);

/// Checks form and version; keeps the nonce of `out`. Errors: ProtocolMismatch, MalformedFrame, or the signer's refusal.
Status read_hello(const wire::Response& response, SignerHello& out);

/// The signer's check of a stream's first request: success if it is a Hello that can be answered.
/// Errors: MalformedFrame (no Hello: close the stream), ProtocolMismatch, InvalidArgument (nonce): refuse, then close.
Status check_hello(const wire::Request& request);

/// True if `response` carries the result of `command`: the two have the same field number.
bool answers(wire::Request::CommandCase command, const wire::Response& response);

} // namespace keymeld::protocol
