/* SPDX-License-Identifier: Apache-2.0 */
/* secret_key_ref.command: a child of somebody else's process that must not be noticed there. */
#include "policyengine/config/kt_secret_run.h"
#include "tests/unit/config_fixture.h"

#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

using kt::Loaded;
using kt::Scratch;
using kt::target;

namespace {

struct Got {
    kt_code code;
    std::string value, error;
};

class Command {
  public:
    explicit Command(uint64_t limit_ns = KT_SECRET_TIME_NS) : run_(kt_secret_run_new(limit_ns)) {}
    ~Command()
    {
        kt_secret_run_free(run_);
    }
    Command(const Command &) = delete;
    Command &operator=(const Command &) = delete;
    bool step(const std::string &command)
    {
        return kt_secret_run_step(run_, command.c_str());
    }
    Got get(const std::string &command)
    {
        char *out = nullptr;
        kt_error err = {};
        Got g = {kt_secret_run_get(run_, command.c_str(), &out, &err).code, out ? out : "", err.text};
        kt_free_secret(out);
        return g;
    }

  private:
    kt_secret_run *run_;
};

std::string read(const std::filesystem::path &p)
{
    std::ifstream in(p);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

/* A program that no other test of this process waits for. */
bool no_child_left()
{
    return waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD;
}

TEST(SecretCommand, ItsOutputIsTheKey)
{
    EXPECT_EQ(Command().get("printf 'abc\\n'").value, "abc");
    EXPECT_EQ(Command().get("echo ' a b ' | tr b c").value, "a c") << "a shell's pipe";
    EXPECT_EQ(Command().get("printf %16384s | tr ' ' k").value.size(), 16384u);
    EXPECT_TRUE(no_child_left());
}

TEST(SecretCommand, RunsOnceInTheLifeOfAConfig)
{
    Scratch s;
    std::string log = (s.dir / "log").string();
    Command r;
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(r.get("echo x >>" + log + "; echo key").value, "key");
    EXPECT_EQ(read(log), "x\n");
}

TEST(SecretCommand, Failures)
{
    for (auto [command, code, text] :
         {std::tuple<const char *, kt_code, const char *>{"exit 3", KT_ERR_NOTFOUND, "exited with status 3"},
          {"echo key; exit 1", KT_ERR_NOTFOUND, "exited with status 1"},
          {"exit 255", KT_ERR_NOTFOUND, "exited with status 255"},
          {"exit 193", KT_ERR_NOTFOUND, "exited with status 193"},
          {"kill -9 $$", KT_ERR_NOTFOUND, "was ended by a signal"},
          {"kill -9 $$", KT_ERR_NOTFOUND, "ended by a signal"},
          {"no-such-command-of-anyone", KT_ERR_NOTFOUND, "exited with status 127"},
          {"true", KT_ERR_NOTFOUND, "holds no key"},
          {"printf 'a\\nb'", KT_ERR_USAGE, "more than one line"},
          {"printf 'a\\000b'", KT_ERR_USAGE, "NUL"},
          {"printf '\\001'", KT_ERR_USAGE, "control character"}}) {
        Got g = Command().get(command);
        EXPECT_EQ(g.code, code) << command;
        EXPECT_NE(g.error.find(text), std::string::npos) << command << ": " << g.error;
        EXPECT_EQ(g.value, "");
    }
    EXPECT_TRUE(no_child_left());
}

TEST(SecretCommand, AnErrorNeverQuotesTheOutput)
{
    for (const char *command : {"echo hunter2; exit 1", "printf 'hunter2\\nhunter2'"})
        EXPECT_EQ(Command().get(command).error.find("hunter2"), std::string::npos);
}

TEST(SecretCommand, EndlessOutputAndEndlessTimeAreCut)
{
    Got g = Command().get("yes k | tr -d '\\n'");
    EXPECT_EQ(g.code, KT_ERR_LIMIT) << g.error;
    g = Command(50 * 1000 * 1000).get("sleep 1000 & sleep 1000");
    EXPECT_EQ(g.code, KT_ERR_NOTFOUND);
    EXPECT_NE(g.error.find("too long"), std::string::npos) << g.error;
    EXPECT_TRUE(no_child_left());
}

TEST(SecretCommand, AProgramLeftBehindDoesNotHoldTheAnswerBack)
{
    Scratch s;
    std::string pid = (s.dir / "pid").string();
    EXPECT_EQ(Command().get("sleep 1000 & echo $! >" + pid + "; echo key").value, "key");
    int left = std::stoi(read(pid));
    EXPECT_EQ(kill(left, SIGKILL), 0);
}

TEST(SecretCommand, ThrownAwayWhileUnderWay)
{
    {
        Command r;
        EXPECT_TRUE(r.step("sleep 1000"));
    }
    EXPECT_TRUE(no_child_left());
}

TEST(SecretCommand, StepNeverWaits)
{
    Scratch s;
    std::string gate = (s.dir / "gate").string();
    ASSERT_EQ(mkfifo(gate.c_str(), 0600), 0);
    Command r;
    for (int i = 0; i < 100; i++) /* the command cannot end before the gate opens */
        EXPECT_TRUE(r.step("read line <" + gate + "; echo $line"));
    int fd = open(gate.c_str(), O_WRONLY);
    ASSERT_EQ(write(fd, "key\n", 4), 4);
    close(fd);
    EXPECT_EQ(r.get("not run again").value, "key");
}

TEST(SecretCommand, SeesNothingOfOurs)
{
    Scratch s;
    setenv("LD_PRELOAD_TEST", "kept", 1);
    setenv("KT_TEST_STATE", "x", 1);
    setenv("LD_PRELOAD", "", 1);
    std::string env = (s.dir / "env").string(), fds = (s.dir / "fds").string();
    int leak = open("/dev/null", O_RDONLY); /* a careless host: not close-on-exec */
    EXPECT_EQ(Command().get("env >" + env + "; ls -l /proc/self/fd >" + fds + "; echo key").value, "key");
    EXPECT_EQ(read(env).find("KT_"), std::string::npos) << read(env);
    EXPECT_EQ(("\n" + read(env)).find("\nLD_PRELOAD="), std::string::npos) << read(env);
    EXPECT_NE(read(env).find("LD_PRELOAD_TEST=kept"), std::string::npos);
    EXPECT_EQ(read(fds).find(" " + std::to_string(leak) + " -> /dev/null"), std::string::npos) << read(fds);
    close(leak);
    unsetenv("LD_PRELOAD");
    unsetenv("LD_PRELOAD_TEST");
    unsetenv("KT_TEST_STATE");
    EXPECT_EQ(Command().get("if read x; then echo input; else echo none; fi").value, "none");
    EXPECT_EQ(
        Command().get("if [ -t 0 ] || (exec </dev/tty) 2>/dev/null; then echo tty; else echo none; fi").value,
        "none");
}

TEST(SecretCommand, SignalsAreThoseOfAFreshProgram)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    void (*pipe_before)(int) = signal(SIGPIPE, SIG_IGN);
    EXPECT_EQ(Command().get("yes | head -1 >/dev/null; kill -TERM $$; echo survived").value, "");
    std::string line = Command().get("grep -E 'SigBlk|SigIgn' /proc/self/status | tr -d '\\n\\t'").value;
    ASSERT_EQ(line.size(), 46u) << line;
    EXPECT_EQ(std::stoull(line.substr(7, 16), nullptr, 16), 0u) << "blocked";
    EXPECT_EQ(std::stoull(line.substr(30), nullptr, 16) & ~0x180000000ull, 0u)
        << "ignored; 32 and 33 are glibc's";
    signal(SIGPIPE, pipe_before);
    sigprocmask(SIG_SETMASK, &before, nullptr);
}

/* Hosts that collect every child, or let the kernel do it. */
TEST(SecretCommand, HostsThatCollectAllChildren)
{
    auto before = signal(SIGCHLD, SIG_IGN);
    EXPECT_EQ(Command().get("echo key").value, "key");
    signal(SIGCHLD, [](int) {
        while (waitpid(-1, nullptr, WNOHANG) > 0)
            ;
    });
    EXPECT_EQ(Command().get("echo key").value, "key");
    signal(SIGCHLD, before);
}

std::atomic<int> sigchld;

TEST(SecretCommand, TheHostMeetsNoChildThatItDidNotMake)
{
    auto before = signal(SIGCHLD, [](int) { sigchld++; });
    sigchld = 0;
    Command r;
    bool going = true;
    while (going) {
        going = r.step("sleep 0.05; echo key");
        EXPECT_TRUE(no_child_left());
    }
    EXPECT_EQ(r.get("unused").value, "key");
    EXPECT_EQ(sigchld, 0);
    signal(SIGCHLD, before);
}

TEST(SecretCommand, OtherChildrenOfTheHostStayItsOwn)
{
    pid_t own = fork();
    if (own == 0)
        _exit(7);
    EXPECT_EQ(Command().get("echo key").value, "key");
    int status = 0;
    EXPECT_EQ(waitpid(own, &status, 0), own);
    EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(SecretCommand, AForkOfTheHostRunsItAnew)
{
    Scratch s;
    std::string gate = (s.dir / "gate").string();
    Command r;
    EXPECT_TRUE(r.step("until [ -e " + gate + " ]; do sleep 0.01; done; echo parent"));
    pid_t child = fork();
    if (child == 0)
        _exit(r.get("echo child").value == "child" ? 0 : 1);
    int status = 1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    s.write("gate", "");
    EXPECT_EQ(r.get("").value, "parent");
}

TEST(SecretCommand, ThroughAConfig)
{
    Loaded l(target + "      secret_key_ref: {command: 'echo from-a-command'}\n");
    ASSERT_EQ(l.code, KT_OK) << l.line();
    while (kt_secrets_pending(l.config.get()))
        usleep(1000);
    char *out = nullptr;
    ASSERT_EQ(kt_secret_resolve(&l->providers.targets[0], &out, nullptr).code, KT_OK);
    EXPECT_STREQ(out, "from-a-command");
    kt_free_secret(out);
    EXPECT_FALSE(kt_secrets_pending(Loaded(target).config.get())) << "no command, nothing to wait for";
}

} // namespace
