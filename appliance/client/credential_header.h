// The first line of a credential store, as JSON. Internal to credential_store.
#pragma once

#include <string>
#include <string_view>

#include "appliance/client/credential_store.h"

namespace keymeld::client::credential_header {

struct Line {
    StoreHeader header;
    unsigned log_n = 15;
    ByteArray<16> salt{};
};

/// `Errc::ConfigInvalid`; strict about every member that it knows, and about check().
Result<Line> parse(std::string_view line);
std::string write(const Line& line);
/// Labels, URL, trust, no label twice, no key twice. `Errc::InvalidArgument`.
Status check(const StoreHeader& header);

} // namespace keymeld::client::credential_header
