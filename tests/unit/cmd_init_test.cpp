// SPDX-License-Identifier: Apache-2.0
// `kt init`: every template, written and linted by the program itself.
#include <sys/stat.h>
#include "tests/unit/tool_fixture.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

class CmdInit : public ::testing::Test {
  protected:
    void SetUp() override
    {
        char t[] = "/tmp/kt-cmdinit-XXXXXX";
        ASSERT_NE(mkdtemp(t), nullptr);
        top = t;
        program = kt::program();
    }
    void TearDown() override
    {
        ASSERT_EQ(system(("rm -rf " + top).c_str()), 0);
    }
    int run(const std::string &args)
    {
        int status = system(("cd " + top + " && " + program + " " + args + " > .out 2> .err").c_str());
        out = slurp(".out");
        err = slurp(".err");
        return WEXITSTATUS(status);
    }
    std::string slurp(const std::string &name) const
    {
        std::ifstream f(top + "/" + name, std::ios::binary);
        return {std::istreambuf_iterator<char>(f), {}};
    }
    std::vector<std::string> templates()
    {
        EXPECT_EQ(run("init --list"), 0);
        std::istringstream in(out);
        std::vector<std::string> v;
        for (std::string l; std::getline(in, l);)
            v.push_back(l);
        return v;
    }
    std::string top, program, out, err;
};

TEST_F(CmdInit, EveryTemplateIsTheFileAndLintsClean)
{
    auto names = templates();
    ASSERT_GE(names.size(), 10u);
    EXPECT_EQ(names[0], "default");
    for (const auto &name : names) {
        ASSERT_EQ(run("init --template " + name + " --output " + name + ".yaml"), 0) << err;
        EXPECT_NE(out.find("kt wrap --policy-config " + name + ".yaml"), std::string::npos);
        std::string source =
            name == "default" ? "/configs/policy-config.yaml" : "/configs/examples/" + name + ".yaml";
        std::ifstream f(KT_SOURCE_DIR + source, std::ios::binary);
        EXPECT_EQ(slurp(name + ".yaml"), std::string(std::istreambuf_iterator<char>(f), {})) << name;
        EXPECT_EQ(run("policy lint --file " + name + ".yaml"), 0) << name << out << err;
        ASSERT_EQ(
            run("init --template " + name + " --hosts '*.example.com,10.0.0.1' --output h-" + name + ".yaml"),
            0);
        EXPECT_EQ(run("policy lint --file h-" + name + ".yaml"), 0) << name << out << err;
        EXPECT_EQ(run("policy explain --effective --file h-" + name + ".yaml"), 0) << name << err;
        EXPECT_NE(out.find("*.example.com"), std::string::npos) << name << out;
    }
}

TEST_F(CmdInit, NothingIsOverwrittenUnasked)
{
    EXPECT_EQ(run("init"), 0) << err;
    std::string first = slurp("policy-config.yaml");
    EXPECT_EQ(run("init --template minimal"), 2);
    EXPECT_NE(err.find("--force"), std::string::npos);
    EXPECT_EQ(slurp("policy-config.yaml"), first);
    EXPECT_EQ(run("init --template minimal --force"), 0);
    EXPECT_NE(slurp("policy-config.yaml"), first);
    EXPECT_EQ(run("init --output -"), 0);
    EXPECT_EQ(out, first);
    EXPECT_EQ(symlink("policy-config.yaml", (top + "/link.yaml").c_str()), 0);
    EXPECT_EQ(run("init --output link.yaml"), 2) << "a link is something that is there";
    EXPECT_EQ(run("init --force --output link.yaml"), 0) << err;
    struct stat st;
    EXPECT_TRUE(lstat((top + "/link.yaml").c_str(), &st) == 0 && S_ISLNK(st.st_mode));
    EXPECT_EQ(slurp("policy-config.yaml"), first);
    EXPECT_EQ(unlink((top + "/link.yaml").c_str()), 0);
    EXPECT_EQ(system(("test $(ls " + top + " | wc -l) = 1").c_str()), 0); // no half of a file
}

TEST_F(CmdInit, ErrorsSayWhatToDo)
{
    const std::vector<std::pair<const char *, const char *>> bad = {
        {"--template none", "kt init --list"}, {"--template", "needs a value"},
        {"--hosts 'a b'", "commas"},           {"--hosts a,,b", "commas"},
        {"--hosts=", "needs a value"},         {"--what", "unknown option"},
        {"--hosts 'a\",\"b'", "commas"},       {"--output no/such/x", "cannot write"}};
    for (const auto &b : bad) {
        EXPECT_EQ(run(std::string("init ") + b.first), 2) << b.first;
        EXPECT_EQ(out, "");
        EXPECT_NE(err.find(b.second), std::string::npos) << err;
    }
    EXPECT_NE(access((top + "/policy-config.yaml").c_str(), F_OK), 0);
    EXPECT_EQ(run("init --help"), 0);
    EXPECT_EQ(out.find("usage: kt init"), 0u);
}

} // namespace
