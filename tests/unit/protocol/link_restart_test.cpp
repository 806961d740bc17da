// A signer process that dies and another that takes its place.
#include <gtest/gtest.h>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "core/secure/random.h"
#include "tests/unit/protocol/peers.h"

namespace keymeld::protocol {
namespace {

using namespace test;

/// A process that serves the endpoint until it is killed. Authenticate "die" kills it before the answer.
class SignerProcess {
  public:
    explicit SignerProcess(const Endpoint& endpoint) : m_pid(::fork()) {
        if (m_pid != 0)
            return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const Uuid boot_id{secure::random_array<16>()};
        boost::asio::io_context loop{1};
        auto listener = SignerListener::create(
            loop, endpoint, [&](const StreamContext&, const wire::Request& request, wire::Response& response) {
                if (request.has_authenticate() && request.authenticate().keygen_id() == "die")
                    ::kill(::getpid(), SIGKILL);
                answer(boot_id, request, response);
            });
        if (listener)
            loop.run();
        ::_exit(1);
    }
    ~SignerProcess() { kill(); }
    SignerProcess(const SignerProcess&) = delete;
    SignerProcess& operator=(const SignerProcess&) = delete;

    void kill() {
        if (m_pid <= 0)
            return;
        ::kill(m_pid, SIGKILL);
        ::waitpid(std::exchange(m_pid, -1), nullptr, 0);
    }

  private:
    pid_t m_pid;
};

TEST(EnclaveLinkRestart, ComesBackToANewSignerProcess) {
    TemporaryFolder folder;
    const Endpoint endpoint = *unix_endpoint(folder.file("signer.sock"));
    LinkOptions options;
    options.backoff_min = 5ms;
    options.backoff_max = 50ms;
    LinkFixture fixture(endpoint, options);
    fixture.link->start(); // before there is a signer
    ASSERT_TRUE(run_until(fixture.loop, [&] { return !fixture.downs.empty(); }));
    EXPECT_EQ(fixture.downs[0].reason.code, Errc::Disconnected);

    auto signer = std::make_unique<SignerProcess>(endpoint);
    ASSERT_TRUE(fixture.wait_up());
    ASSERT_TRUE(fixture.exchange(authenticate("x")));
    const Uuid first_boot = fixture.link->signer()->boot_id;

    int lost = 0;
    int answered = 0;
    for (int i = 0; i < 20; ++i)
        fixture.link->send(authenticate(i == 10 ? "die" : "x"), in(20s), [&](const Result<wire::Response>& got) {
            ++(got ? answered : lost);
            EXPECT_TRUE(got || got.error().code == Errc::Disconnected);
        });
    ASSERT_TRUE(run_until(fixture.loop, [&] { return lost + answered == 20; }));
    EXPECT_GE(lost, 10) << "the request that killed the signer, and those behind it";
    EXPECT_FALSE(fixture.link->up());
    EXPECT_TRUE(std::any_of(fixture.downs.begin(), fixture.downs.end(), [](const LinkDown& d) { return d.was_up; }));

    signer->kill();
    signer = std::make_unique<SignerProcess>(endpoint);
    ASSERT_TRUE(fixture.wait_up());
    ASSERT_EQ(fixture.ups.size(), 2u);
    EXPECT_NE(fixture.link->signer()->boot_id, first_boot);
    EXPECT_NE(fixture.ups[0].nonce, fixture.ups[1].nonce);
    EXPECT_TRUE(fixture.exchange(authenticate("x")));
}

} // namespace
} // namespace keymeld::protocol
