#include "core/protocol/message.h"

#include <limits>

#include <google/protobuf/message_lite.h>

#include "core/protocol/frame.h"

namespace keymeld::protocol {

Status append_message(FrameWriter& out, const google::protobuf::MessageLite& message) {
    KEYMELD_TRY(MutableByteView payload, out.append(message.ByteSizeLong()));
    message.SerializeWithCachedSizesToArray(payload.data());
    return {};
}

Status parse_message(ByteView payload, google::protobuf::MessageLite& message) {
    // The frame limit is far below what int holds; a caller without one is refused.
    if (payload.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
        !message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
        message.Clear();
        return fail(Errc::MalformedFrame, "not a message of the protocol");
    }
    return {};
}

} // namespace keymeld::protocol
