#include "core/base/clock.h"

#include <cstdio>
#include <ctime>

namespace keymeld {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

std::uint64_t unix_seconds() {
    return static_cast<std::uint64_t>(
        duration_cast<seconds>(system_clock::now().time_since_epoch()).count());
}

std::uint64_t unix_millis() {
    return static_cast<std::uint64_t>(
        duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

std::string rfc3339_now() {
    const auto micros = duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
    const std::time_t whole = static_cast<std::time_t>(micros / 1'000'000);
    std::tm utc{};
    gmtime_r(&whole, &utc);
    char date[32];
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    char out[48];
    std::snprintf(out, sizeof out, "%s.%06lldZ", date, static_cast<long long>(micros % 1'000'000));
    return out;
}

} // namespace keymeld
