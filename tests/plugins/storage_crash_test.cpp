// kill -9 in the middle of writes: what was answered is there, whole batches only, and the file
// opens.
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/plugins/storage_crash.h"

extern char** environ;

namespace keymeld::test {
namespace {

class StorageCrash : public StorageTest {
  protected:
    /// Runs the writer until it has answered `count` batches, kills it, and gives the last answered
    /// batch of each thread.
    std::vector<std::uint64_t> run_and_kill(int count) {
        int ends[2];
        EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        std::string program =
            std::string(std::getenv("KEYMELD_BUILD_DIR")) + "/bin/tests/storage_writer";
        std::string path = file().string();
        char* arguments[] = {program.data(), path.data(), nullptr};
        pid_t child = 0;
        EXPECT_EQ(::posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environ), 0);
        posix_spawn_file_actions_destroy(&actions);
        ::close(ends[1]);
        FILE* const out = ::fdopen(ends[0], "r");
        std::vector<std::uint64_t> last(kCrashThreads + 1, 0);
        unsigned long long thread = 0, n = 0;
        // Answers that were still in the pipe when it died count as well.
        for (int seen = 0; std::fscanf(out, "%llu %llu", &thread, &n) == 2;) {
            last.at(thread) = n;
            if (++seen == count) {
                EXPECT_EQ(::kill(child, SIGKILL), 0);
            }
        }
        std::fclose(out);
        int status = 0;
        EXPECT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
        return last;
    }

    /// Everything up to the keygen's version is there completely, and nothing of any later batch.
    void expect_whole(std::uint64_t thread, std::uint64_t answered) {
        const auto bundle = keygen(thread);
        if (!bundle) {
            EXPECT_EQ(answered, 0u);
            return;
        }
        const std::uint64_t applied = bundle->record.version - 1;
        EXPECT_GE(applied, answered) << "an answered batch is lost";
        EXPECT_EQ(bundle->record.event_seq, bundle->record.version);
        for (std::uint64_t n = 1; n <= applied + 20; ++n) {
            const bool expected = n <= applied;
            const std::uint64_t number = crash_number(thread, n);
            ASSERT_EQ(nonce_used(hash_of(number)), expected) << thread << " " << n;
            ASSERT_EQ(used(signing_id(number)), expected) << thread << " " << n;
        }
        const auto states = sealed_states(thread, 0);
        if (applied > 0) {
            ASSERT_FALSE(states.empty());
            EXPECT_TRUE(states.front().snapshot);
            EXPECT_EQ(states.back().version, applied);
            EXPECT_EQ(states.size(), states.back().version - states.front().version + 1);
        }
    }
};

TEST_F(StorageCrash, WhatWasAnsweredSurvivesKill9) {
    for (const int count : {1, 500, 1500, 777}) {
        const auto last = run_and_kill(count);
        close();
        storage(); // checks the file
        for (std::uint64_t thread = 1; thread <= kCrashThreads; ++thread)
            expect_whole(thread, last[thread]);
        close();
        EXPECT_EQ(query("PRAGMA integrity_check"), std::vector<std::string>({"ok"}));
        EXPECT_TRUE(query("PRAGMA foreign_key_check").empty());
    }
    EXPECT_GT(stats(storage()).total_sessions, 2700u);
}

} // namespace
} // namespace keymeld::test
