#include "core/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace keymeld::log {
namespace {

// Never destroyed: threads may log while the process exits.
spdlog::logger& sink() {
    static auto* logger = [] {
        auto* made = new spdlog::logger("keymeld", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
        made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
        made->flush_on(spdlog::level::info);
        return made;
    }();
    return *logger;
}

spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
    case Level::Debug:
        return spdlog::level::debug;
    case Level::Info:
        return spdlog::level::info;
    case Level::Warn:
        return spdlog::level::warn;
    case Level::Error:
        return spdlog::level::err;
    }
    return spdlog::level::err;
}

void append_value(std::string& line, std::string_view value) {
    const bool plain = !value.empty() && value.find_first_of(" =\"\\") == std::string_view::npos;
    if (!plain)
        line.push_back('"');
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            static constexpr char kDigits[] = "0123456789abcdef";
            line.append("\\x").append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15]);
        } else {
            if (c == '"' || c == '\\')
                line.push_back('\\');
            line.push_back(c);
        }
    }
    if (!plain)
        line.push_back('"');
}

} // namespace

void write(Level level, std::string_view category, std::string_view event,
           std::initializer_list<Field> fields) {
    const auto to = to_spdlog(level);
    if (!sink().should_log(to))
        return;
    std::string line;
    line.append(category).append(1, ' ').append(event);
    for (const Field& field : fields) {
        line.append(1, ' ').append(field.key).append(1, '=');
        append_value(line, field.value);
    }
    sink().log(to, std::string_view(line));
}

bool enabled(Level level) { return sink().should_log(to_spdlog(level)); }

void set_level(Level level) { sink().set_level(to_spdlog(level)); }

} // namespace keymeld::log
