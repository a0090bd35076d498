// SPDX-License-Identifier: Apache-2.0
// `kt env`: what it prints is read back by the program that will read it, or by the rules of its format.
#include "tests/unit/tool_fixture.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

class CmdEnv : public ::testing::Test {
  protected:
    void SetUp() override
    {
        char t[] = "/tmp/kt-cmdenv-XXXXXX";
        ASSERT_NE(mkdtemp(t), nullptr);
        top = t;
        program = kt::program();
        for (const char *name : {"KT_POLICY_CONFIG", "KT_STATE_DIR", "KT_MODE", "KT_FAIL_MODE", "LD_PRELOAD"})
            unsetenv(name);
    }
    void TearDown() override
    {
        ASSERT_EQ(system(("rm -rf " + top).c_str()), 0);
    }
    // A folder whose name is hostile to every format, without what LD_PRELOAD cannot name.
    std::string nasty(const char *extra = "")
    {
        std::string d = top + "/it's$HOME`id`%h\"q\\n#;" + extra;
        EXPECT_EQ(mkdir(d.c_str(), 0700), 0);
        return d;
    }
    static void write(const std::string &path, const std::string &text)
    {
        std::ofstream f(path);
        f << text;
        ASSERT_TRUE(f.good());
    }
    // In folder `top`, without a shell between us and it.
    int run(std::vector<std::string> args)
    {
        std::string o = top + "/.out", e = top + "/.err";
        pid_t pid = fork();
        if (pid == 0) {
            if (!freopen(o.c_str(), "w", stdout) || !freopen(e.c_str(), "w", stderr) || chdir(top.c_str()))
                _exit(126);
            std::vector<char *> argv{const_cast<char *>("kt"), const_cast<char *>("env")};
            for (auto &a : args)
                argv.push_back(const_cast<char *>(a.c_str()));
            argv.push_back(nullptr);
            execv(program.c_str(), argv.data());
            _exit(127);
        }
        int status = -1;
        waitpid(pid, &status, 0);
        out = kt::slurp(o);
        err = kt::slurp(e);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
    }
    std::string top, program, out, err;
};

const char kConfig[] = "pack: {name: p, version: 1.0.0, enabled: true}\npolicies: {chain: [audit-logger]}\n"
                       "policy: {audit-logger: {retention_days: 7}}\n"
                       "providers: {strategy: single, targets: [{id: a, provider: mistral, model: m, "
                       "secret_key_ref: {env: X}}]}\n";

TEST_F(CmdEnv, TheShellReadsBackWhatWasMeant)
{
    std::string dir = nasty(), lib = dir + "/libkt.so", config = dir + "/a b.yaml", state = dir + "/s t";
    write(lib, "");
    std::string engine = program.substr(0, program.rfind('/')) + "/../lib/libktengine.so";
    ASSERT_EQ(symlink(engine.c_str(), (dir + "/libktengine.so").c_str()), 0);
    write(config, kConfig);
    setenv("KT_LIB", lib.c_str(), 1);
    int status =
        run({"--policy-config", config, "--state-dir", state, "--mode=observe", "--fail-mode", "allow"});
    unsetenv("KT_LIB");
    ASSERT_EQ(status, 0) << err;
    for (const char *old : {"", "/old.so"}) {
        write(top + "/x.sh", "LD_PRELOAD='" + std::string(old) + "'\n" + out +
                                 "printf '%s|' \"$LD_PRELOAD\" \"$KT_POLICY_CONFIG\" \"$KT_STATE_DIR\" "
                                 "\"$KT_MODE\" \"$KT_FAIL_MODE\"\n");
        // printf is the shell's own: nothing is loaded with that LD_PRELOAD.
        ASSERT_EQ(system(("sh " + top + "/x.sh > " + top + "/x.out 2> " + top + "/x.err").c_str()), 0);
        EXPECT_EQ(kt::slurp(top + "/x.out"),
                  lib + (*old ? ":/old.so" : "") + "|" + config + "|" + state + "|observe|allow|");
        EXPECT_EQ(kt::slurp(top + "/x.err"), "");
    }
}

TEST_F(CmdEnv, SystemdFormIsEscaped)
{
    std::string dir = nasty(), config = dir + "/a b.yaml";
    write(config, kConfig);
    ASSERT_EQ(run({"--format", "systemd", "--policy-config", config, "--state-dir", "/var/lib/kt"}), 0)
        << err;
    EXPECT_EQ(out.find("[Service]\nEnvironment=\"LD_PRELOAD=/"), 0u) << out;
    EXPECT_NE(
        out.find("\nEnvironment=\"KT_POLICY_CONFIG=" + top + "/it's$HOME`id`%%h\\\"q\\\\n#;/a b.yaml\"\n"),
        std::string::npos)
        << out;
    EXPECT_NE(out.find("\nEnvironment=\"KT_STATE_DIR=/var/lib/kt\"\n"), std::string::npos) << out;
    EXPECT_EQ(out.find("MODE"), std::string::npos) << "the config decides, also when it changes: " << out;
}

TEST_F(CmdEnv, DockerFormIsPlain)
{
    std::string dir = nasty(" x"), config = dir + "/c.yaml";
    write(config, kConfig);
    ASSERT_EQ(run({"--format=docker", "--policy-config", config, "--state-dir", "/s"}), 0) << err;
    EXPECT_NE(out.find("\nKT_POLICY_CONFIG=" + config + "\nKT_STATE_DIR=/s\n"), std::string::npos) << out;
}

TEST_F(CmdEnv, FilesAreFoundAsWrapFindsThem)
{
    EXPECT_EQ(run({}), 0);
    EXPECT_EQ(out.find("KT_POLICY_CONFIG"), std::string::npos);
    EXPECT_NE(err.find("no policy config"), std::string::npos);
    EXPECT_NE(out.find("/libkt.so'"), std::string::npos);
    write(top + "/policy-config.yaml", std::string(kConfig) + "mode: observe\nfail_mode: allow\n");
    EXPECT_EQ(run({}), 0) << err;
    EXPECT_NE(out.find("KT_POLICY_CONFIG='" + top + "/policy-config.yaml'\n"), std::string::npos) << out;
    EXPECT_EQ(out.find("MODE"), std::string::npos) << out;
    write(top + "/b.yaml", "mode: enforce\n");
    EXPECT_EQ(run({"--policy-config", "policy-config.yaml", "--policy-config", "b.yaml"}), 0) << err;
    EXPECT_NE(out.find("'" + top + "/policy-config.yaml:" + top + "/b.yaml'\n"), std::string::npos) << out;
}

TEST_F(CmdEnv, ErrorsSayWhatToDo)
{
    write(top + "/bad.yaml", "policies: [\n");
    const std::vector<std::pair<std::vector<std::string>, const char *>> bad = {
        {{"--format", "fish"}, "shell, systemd or docker"},
        {{"--format"}, "needs a value"},
        {{"--mode", "on"}, "enforce or observe"},
        {{"--fail-mode", "on"}, "block or allow"},
        {{"--policy-config", "a:b"}, "':'"},
        {{"--policy-config", "bad.yaml"}, "cannot be used"},
        {{"--policy-config", "none.yaml"}, "cannot be used"},
        {{"--state-dir", ""}, "folder"},
        {{"--state-dir", "/a\nb"}, "control character"},
        {{"--what"}, "unknown option"},
        {{"what"}, "unknown option"}};
    for (const auto &b : bad) {
        EXPECT_EQ(run(b.first), 2) << b.first[0];
        EXPECT_EQ(out, "");
        EXPECT_NE(err.find(b.second), std::string::npos) << err;
        EXPECT_NE(err.find("kt env --help"), std::string::npos) << err;
    }
    setenv("KT_LIB", "/no/such/libkt.so", 1);
    EXPECT_EQ(run({}), 2);
    EXPECT_NE(err.find("/no/such/libkt.so"), std::string::npos);
    std::string spaced = top + "/a b.so";
    write(spaced, "");
    setenv("KT_LIB", spaced.c_str(), 1);
    EXPECT_EQ(run({}), 2);
    EXPECT_NE(err.find("spaces"), std::string::npos);
    unsetenv("KT_LIB");
    EXPECT_EQ(run({"--help"}), 0);
    EXPECT_EQ(out.find("usage: kt env"), 0u);
}

} // namespace
