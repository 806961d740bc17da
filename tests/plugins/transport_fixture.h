// Loads a transport plugin as the program does and connects with it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "core/plugin/loader.h"
#include "core/plugin/transport.h"
#include "tests/unit/protocol/peers.h"

namespace keymeld::plugin::test {

using namespace keymeld::protocol::test;
using Settings = std::map<std::string, std::string>;

inline Options options(const Settings& settings) {
    std::map<std::string, Options::Value> values;
    for (const auto& [key, text] : settings)
        values[key] = {text, "test.yaml:7"};
    return Options(std::move(values), "test.yaml:5", "/etc/keymeld");
}

inline std::unique_ptr<TransportPlugin> load(const std::string& name) {
    const char* build = std::getenv("KEYMELD_BUILD_DIR");
    if (build == nullptr)
        throw std::runtime_error("KEYMELD_BUILD_DIR is not set");
    auto plugin = Loader(std::string(build) + "/lib/keymeld/plugins").transport(name, std::nullopt);
    if (!plugin)
        throw std::runtime_error(plugin.error().detail);
    return std::move(*plugin);
}

/// A plugin's own copy of Asio's event loop would crash in the program's (core/protocol/transport.h), so there must be none: looks for
/// the function that every socket of Asio needs.
inline void expect_no_event_loop(const std::string& name) {
    const char* build = std::getenv("KEYMELD_BUILD_DIR");
    ASSERT_NE(build, nullptr);
    auto content = [&](const std::string& file) {
        std::ifstream in(file, std::ios::binary);
        EXPECT_TRUE(in) << file;
        return std::string(std::istreambuf_iterator<char>(in), {});
    };
    constexpr std::string_view kSymbol = "perform_io"; // boost::asio::detail::epoll_reactor::descriptor_state
    EXPECT_EQ(content(std::string(build) + "/lib/keymeld/plugins/" + name + ".so").find(kSymbol), std::string::npos);
    EXPECT_NE(content("/proc/self/exe").find(kSymbol), std::string::npos) << "the symbol has another name: mend this test";
}

/// A transport, a loop and what came of the last connect.
class Connection {
  public:
    Connection(TransportPlugin& plugin, const Settings& settings) {
        auto made = plugin.create(options(settings));
        EXPECT_TRUE(made) << made.error().detail;
        if (made)
            transport = std::move(*made);
    }

    void start(std::chrono::milliseconds time) {
        transport->connect(loop.get_executor(), in(time), [this](Result<Transport::Socket> got) {
            ++calls;
            result.emplace(std::move(got));
        });
    }
    /// Connects; nothing is open when the deadline and a little more have passed.
    const Result<Transport::Socket>& connect(std::chrono::milliseconds time = std::chrono::seconds(20)) {
        start(time);
        EXPECT_EQ(calls, 0) << "the handler ran inside connect()";
        EXPECT_TRUE(run_until(loop, [this] { return calls > 0; }));
        // Whatever else is under way must not call again.
        loop.restart();
        loop.run_for(std::chrono::milliseconds(20));
        EXPECT_EQ(calls, 1);
        return *result;
    }
    Errc error_of_connect(std::chrono::milliseconds time = std::chrono::seconds(20)) {
        const auto& got = connect(time);
        EXPECT_FALSE(got) << "connected";
        return got ? Errc{} : got.error().code;
    }

    boost::asio::io_context loop{1};
    std::unique_ptr<Transport> transport;
    int calls = 0;
    std::optional<Result<Transport::Socket>> result;
};

/// A whole exchange through the transport: link, hello, request.
inline void expect_working_link(Transport& transport) {
    LinkFixture fixture([&](boost::asio::any_io_executor executor, SteadyTime deadline, Transport::Handler done) {
        transport.connect(std::move(executor), deadline, std::move(done));
    });
    ASSERT_TRUE(fixture.start_and_wait_up()) << (fixture.downs.empty() ? "" : fixture.downs[0].reason.detail);
    for (int i = 0; i < 100; ++i) {
        const auto got = fixture.exchange(authenticate(std::to_string(i)));
        ASSERT_TRUE(got) << got.error().detail;
        ASSERT_EQ(got->authenticate().user_id(), std::to_string(i));
    }
    EXPECT_TRUE(fixture.downs.empty());
}

inline void expect_config_error(TransportPlugin& plugin, const Settings& settings, const std::string& about) {
    const auto made = plugin.create(options(settings));
    ASSERT_FALSE(made) << about;
    EXPECT_EQ(made.error().code, Errc::ConfigInvalid);
    EXPECT_NE(made.error().detail.find(about), std::string::npos) << made.error().detail;
    EXPECT_NE(made.error().detail.find("test.yaml:"), std::string::npos) << made.error().detail;
}

} // namespace keymeld::plugin::test
