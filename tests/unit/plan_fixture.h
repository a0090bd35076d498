/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A folder of its own for each test, with paths, roots and a config in it. */
#include "interceptor/plan/kt_plan.h"

#include "interceptor/abi/kt_plan_key.h"
#include "interceptor/tls/kt_ca.h"
extern "C" {
#include "interceptor/plan/kt_plan_trust.h"
}

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace kt_test {

inline std::string slurp(const std::string &path)
{
    std::ifstream in(path);
    return std::string((std::istreambuf_iterator<char>(in)), {});
}

inline void spill(const std::string &path, const std::string &text)
{
    std::ofstream(path) << text;
}

inline bool exists(const std::string &path)
{
    struct stat st;
    return lstat(path.c_str(), &st) == 0;
}

inline mode_t mode_of(const std::string &path)
{
    struct stat st;
    return stat(path.c_str(), &st) == 0 ? st.st_mode & 07777 : 0;
}

inline std::set<std::string> entries(const std::string &dir)
{
    std::set<std::string> out;
    DIR *d = opendir(dir.c_str());
    while (d) {
        dirent *e = readdir(d);
        if (!e)
            break;
        std::string name = e->d_name;
        if (name != "." && name != ".." && name != ".lock")
            out.insert(name);
    }
    if (d)
        closedir(d);
    return out;
}

inline std::vector<std::string> lines_with(const std::string &text, const std::string &word)
{
    std::vector<std::string> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        if (line.compare(0, word.size() + 1, word + " ") == 0)
            out.push_back(line.substr(word.size() + 1));
    return out;
}

inline size_t count(const std::string &text, const std::string &what)
{
    size_t n = 0;
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
        n++;
    return n;
}

inline std::string some_cert(const char *host = "some.example")
{
    char *items[] = {const_cast<char *>(host)};
    kt_strings s = {items, 1};
    kt_ca *ca = nullptr;
    EXPECT_TRUE(kt_is_ok(kt_ca_new(&s, &ca, nullptr)));
    kt_buf b = KT_BUF_INIT(65536);
    EXPECT_TRUE(kt_is_ok(kt_ca_pem(ca, &b)));
    std::string out(b.data, b.len);
    kt_buf_free(&b);
    kt_ca_free(ca);
    return out;
}

const char *const kBegin = "-----BEGIN CERTIFICATE-----";

class Plan : public ::testing::Test {
  protected:
    void SetUp() override
    {
        char t[] = "/tmp/kt-plan-test-XXXXXX";
        ASSERT_NE(mkdtemp(t), nullptr);
        dir = t;
        for (const char *name : {"KT_STATE_DIR", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "HOME", "SSL_CERT_FILE",
                                 "NODE_EXTRA_CA_CERTS"}) {
            const char *v = getenv(name);
            if (v)
                saved[name] = v;
            unsetenv(name);
        }
        roots = dir + "/roots.pem";
        spill(roots, some_cert("root.example"));
        setenv("SSL_CERT_FILE", roots.c_str(), 1);
        snprintf(paths.state_dir, sizeof paths.state_dir, "%s/state", t);
        snprintf(paths.runtime_dir, sizeof paths.runtime_dir, "%s/run/ktwrap", t);
        memset(&config, 0, sizeof config);
        hosts = {"api.openai.com", "*.openai.azure.com", "api.mistral.ai"};
        yaml = dir + "/policy.yaml";
        spill(yaml, "x");
    }
    void TearDown() override
    {
        for (const char *name : {"KT_STATE_DIR", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "HOME", "SSL_CERT_FILE",
                                 "NODE_EXTRA_CA_CERTS"})
            unsetenv(name);
        for (const auto &e : saved)
            setenv(e.first.c_str(), e.second.c_str(), 1);
        std::string rm = "chmod -R u+rwx '" + dir + "'; rm -rf '" + dir + "'";
        EXPECT_EQ(system(rm.c_str()), 0);
    }
    kt_result make(bool unique, kt_plan_made *out, kt_error *err = nullptr, const char *mode = "enforce",
                   const char *fail_mode = "block")
    {
        point(hosts, host_items, config.intercept.hosts);
        point(exclude, exclude_items, config.intercept.exclude);
        return kt_plan_make(&config, yaml.c_str(), mode, fail_mode, &paths, unique, out, err);
    }
    kt_plan_made made(bool unique = false)
    {
        kt_plan_made m;
        kt_error err = {};
        EXPECT_TRUE(kt_is_ok(make(unique, &m, &err))) << err.text;
        return m;
    }
    static void point(std::vector<std::string> &from, std::vector<char *> &items, kt_strings &to)
    {
        items.clear();
        for (std::string &s : from)
            items.push_back(&s[0]);
        to = {items.data(), items.size()};
    }
    std::string plan_dir()
    {
        return std::string(paths.state_dir) + "/plan";
    }
    /* Runs in a child that is not root; true where the child ended with 0. */
    bool as_nobody(const std::function<bool()> &fn)
    {
        pid_t pid = fork();
        if (pid == 0) {
            if (geteuid() == 0 && (setegid(65534) != 0 || seteuid(65534) != 0))
                _exit(9);
            _exit(fn() ? 0 : 1);
        }
        int status = 0;
        waitpid(pid, &status, 0);
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }

    std::string dir, roots, yaml;
    kt_paths paths;
    kt_config config;
    std::vector<std::string> hosts, exclude;
    std::vector<char *> host_items, exclude_items;
    std::map<std::string, std::string> saved;
};

} // namespace kt_test
