// SPDX-License-Identifier: Apache-2.0
#pragma once
// A log in a folder of its own, and hands to read and spoil it.
#include "policyengine/audit/kt_audit.h"
#include "policyengine/audit/kt_audit_files.h"
#include "policyengine/base/kt_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using Lines = std::vector<std::string>;

class Audit : public ::testing::Test {
  protected:
    void SetUp() override
    {
        char t[] = "/tmp/kt-audit-XXXXXX";
        ASSERT_NE(mkdtemp(t), nullptr);
        state = t;
        dir = state + "/audit";
    }
    void TearDown() override
    {
        std::string cmd = "chmod -R u+rwx " + state + " && rm -rf " + state;
        ASSERT_EQ(system(cmd.c_str()), 0);
    }

    kt_audit *open(uint64_t max = 0)
    {
        kt_audit *a = nullptr;
        kt_error err = {};
        EXPECT_EQ(kt_audit_open(state.c_str(), max, &a, &err).code, KT_OK) << err.text;
        return a;
    }

    static kt_event event(const char *model = "gpt-4o", bool immutable = true)
    {
        kt_event e = {};
        EXPECT_EQ(kt_event_new_id(e.id).code, KT_OK);
        e.timestamp_ns = kt_now_real_ns();
        e.event_type = "decision";
        e.verdict = "allow";
        e.model = model;
        e.status = 200;
        e.cost_usd = -1;
        e.immutable = immutable;
        return e;
    }

    static kt_result append(kt_audit *a, bool immutable = true, const char *model = "gpt-4o")
    {
        kt_event e = event(model, immutable);
        return kt_audit_append(a, &e, nullptr);
    }

    void write_events(int n, uint64_t max = 0, bool immutable = true)
    {
        kt_audit *a = open(max);
        for (int i = 0; i < n; i++)
            ASSERT_EQ(append(a, immutable).code, KT_OK);
        kt_audit_free(a);
    }

    kt_audit_report verify()
    {
        kt_audit_report r;
        kt_error err = {};
        EXPECT_EQ(kt_audit_verify(state.c_str(), &r, &err).code, KT_OK) << err.text;
        return r;
    }

    void expect_ok(uint64_t events)
    {
        kt_audit_report r = verify();
        EXPECT_TRUE(r.ok) << r.file << ":" << r.line << " " << r.what;
        EXPECT_EQ(r.events, events);
        EXPECT_EQ(r.last_seq, events);
    }

    void expect_broken(const std::string &file, uint64_t line, const std::string &what)
    {
        kt_audit_report r = verify();
        EXPECT_FALSE(r.ok);
        EXPECT_EQ(r.file, file) << r.what;
        EXPECT_EQ(r.line, line) << r.what;
        EXPECT_NE(std::string(r.what).find(what), std::string::npos) << r.what;
    }

    std::string path(const std::string &name) const
    {
        return dir + "/" + name;
    }

    std::string slurp(const std::string &name) const
    {
        std::ifstream f(path(name), std::ios::binary);
        std::stringstream s;
        s << f.rdbuf();
        return s.str();
    }

    void spill(const std::string &name, const std::string &text) const
    {
        std::ofstream f(path(name), std::ios::binary | std::ios::trunc);
        f << text;
        ASSERT_TRUE(f.good());
    }

    Lines lines(const std::string &name = "current.jsonl") const
    {
        std::istringstream in(slurp(name));
        Lines out;
        for (std::string l; std::getline(in, l);)
            out.push_back(l);
        return out;
    }

    void put(const Lines &all, const std::string &name = "current.jsonl") const
    {
        std::string text;
        for (const auto &l : all)
            text += l + "\n";
        spill(name, text);
    }

    std::vector<std::string> named(const std::string &prefix) const
    {
        std::vector<std::string> out;
        DIR *d = opendir(dir.c_str());
        for (dirent *e; (e = readdir(d)) != nullptr;)
            if (std::string(e->d_name).rfind(prefix, 0) == 0)
                out.push_back(e->d_name);
        closedir(d);
        std::sort(out.begin(), out.end());
        return out;
    }

    std::string state, dir;
};
