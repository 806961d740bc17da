// Messages of enclave.proto to frames and back.
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace google::protobuf {
class MessageLite;
}

namespace keymeld::protocol {

class FrameWriter;

/// The version of Hello that this code speaks.
inline constexpr std::uint32_t kProtocolVersion = 1;

/// Serialises `message` straight into the next frame of `out`. Errors: FrameTooLarge, MalformedFrame (empty message).
Status append_message(FrameWriter& out, const google::protobuf::MessageLite& message);

/// Replaces the content of `message`; leaves it empty on failure. Errors: MalformedFrame. [any-thread]
Status parse_message(ByteView payload, google::protobuf::MessageLite& message);

} // namespace keymeld::protocol
