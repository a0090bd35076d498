// SPDX-License-Identifier: Apache-2.0
// Old files go from the beginning only, and what is left can still be proved.
#include "tests/unit/audit_fixture.h"

namespace {

constexpr uint64_t kDay = 86400ull * 1000000000ull;

class AuditPrune : public Audit {
  protected:
    // Events of that age, some ten per file.
    void old_events(int n, uint64_t age_days, int retention = 0, bool immutable = true)
    {
        kt_audit *a = open(4000);
        for (int i = 0; i < n; i++) {
            kt_event e = event("gpt-4o", immutable);
            e.timestamp_ns = kt_now_real_ns() - age_days * kDay - kDay / 2;
            e.retention_days = retention;
            ASSERT_EQ(kt_audit_append(a, &e, nullptr).code, KT_OK);
        }
        kt_audit_free(a);
    }
    kt_audit_pruning prune(int64_t days, bool dry_run = false)
    {
        kt_audit_pruning p = {};
        kt_error err = {};
        p.days = days;
        p.dry_run = dry_run;
        EXPECT_EQ(kt_audit_prune(state.c_str(), &p, &err).code, KT_OK) << err.text;
        return p;
    }
    void expect_good()
    {
        kt_audit_report r = verify();
        EXPECT_TRUE(r.ok) << r.file << ":" << r.line << " " << r.what;
    }
    void drop(const std::string &name)
    {
        ASSERT_EQ(unlink(path(name).c_str()), 0);
    }
};

TEST_F(AuditPrune, OldFilesGoAndTheRestStaysProved)
{
    old_events(60, 30);
    old_events(60, 3);
    auto before = named("0");
    kt_audit_pruning dry = prune(10, true);
    EXPECT_GT(dry.files, 2u);
    EXPECT_EQ(named("0"), before);
    expect_ok(120);
    kt_audit_pruning p = prune(10);
    EXPECT_EQ(p.files, dry.files);
    EXPECT_EQ(p.events, dry.events);
    EXPECT_EQ(p.bytes, dry.bytes);
    EXPECT_EQ(named("0"),
              std::vector<std::string>(before.begin() + static_cast<long>(p.files), before.end()));
    EXPECT_NE(std::string(p.why).find("younger than 10 days"), std::string::npos);
    EXPECT_EQ(p.stopped_at, before[p.files]);
    kt_audit_report r = verify();
    EXPECT_TRUE(r.ok) << r.file << ":" << r.line << " " << r.what;
    EXPECT_EQ(r.pruned, p.events);
    EXPECT_EQ(r.events, 121 - p.events); // and the note
    EXPECT_EQ(r.last_seq, 121u);
    EXPECT_NE(lines().back().find("\"event_type\":\"audit_pruned\""), std::string::npos);
    EXPECT_EQ(prune(10).files, 0u);
    EXPECT_EQ(lines("checkpoints.jsonl").size(), before.size() + p.files);
    old_events(60, 3); // writers go on
    expect_good();
    EXPECT_GT(prune(1).files, 0u); // and once more, behind the first
    expect_good();
}

TEST_F(AuditPrune, EachFileSaysHowLong)
{
    old_events(30, 40, 30);
    old_events(30, 40, 50); // not yet
    old_events(30, 40, 30); // behind one that stays
    auto before = named("0");
    kt_audit_pruning p = prune(-1);
    EXPECT_GT(p.files, 0u);
    EXPECT_LT(p.files, before.size());
    EXPECT_NE(std::string(p.why).find("younger than 50 days"), std::string::npos) << p.why;
    expect_good();
    // The lines of the first file that stays hold at least one event of 50 days.
    EXPECT_NE(slurp(p.stopped_at).find("\"retention_days\":50"), std::string::npos);
}

TEST_F(AuditPrune, WithoutAWordFilesStay)
{
    old_events(60, 4000);
    kt_audit_pruning p = prune(-1);
    EXPECT_EQ(p.files, 0u);
    EXPECT_NE(std::string(p.why).find("retention_days"), std::string::npos);
    expect_ok(60);
    EXPECT_GT(prune(3999).files, 0u);
    expect_good();
}

TEST_F(AuditPrune, OneYoungEventKeepsItsFileWhereverItStands)
{
    old_events(3, 30);
    old_events(1, 1);
    old_events(60, 30);
    EXPECT_EQ(prune(10).files, 0u);
    expect_ok(64);
}

TEST_F(AuditPrune, EverythingRotatedMayGo)
{
    old_events(60, 30);
    size_t n = named("0").size();
    EXPECT_EQ(prune(10).files, n);
    EXPECT_TRUE(named("0").empty());
    expect_good();
    write_events(3);
    expect_good();
}

TEST_F(AuditPrune, AMissingFileWithoutItsMarkIsStillMissing)
{
    old_events(120, 30);
    auto files = named("0");
    kt_audit_pruning p = prune(31); // nothing
    ASSERT_EQ(p.files, 0u);
    drop(files[0]);
    expect_broken(files[0], 0, "missing");
}

TEST_F(AuditPrune, AMarkCountsAtTheBeginningOnly)
{
    old_events(120, 30);
    auto files = named("0");
    Lines c = lines("checkpoints.jsonl");
    std::string mark = c[2];
    mark.replace(mark.find("\"closed\""), 8, "\"pruned\"");
    Lines marked = c;
    marked.push_back(mark);
    put(marked, "checkpoints.jsonl");
    expect_ok(120); // the file is there: as after a crash between mark and unlink
    drop(files[2]);
    expect_broken(files[2], 0, "missing");
}

TEST_F(AuditPrune, ACrashBetweenMarkAndUnlinkLosesNothing)
{
    old_events(120, 30);
    old_events(60, 1);
    auto files = named("0");
    std::vector<std::string> texts;
    for (const auto &f : files)
        texts.push_back(slurp(f));
    size_t gone = prune(10).files;
    ASSERT_GT(gone, 2u);
    expect_good();
    // Marked, and there again: the last one, then the last two, ... then all.
    for (size_t i = gone; i-- > 0;) {
        spill(files[i], texts[i]);
        expect_good();
    }
    EXPECT_EQ(prune(10).files, gone); // finished by the next run
    expect_good();
    spill(files[gone - 1], ""); // and a wrong one is not taken for it
    EXPECT_FALSE(verify().ok);
}

TEST_F(AuditPrune, MarkAndCheckpointMustAgreeAndTheNextFileMustLinkToThem)
{
    old_events(120, 30);
    old_events(60, 1);
    kt_audit_pruning p = prune(10);
    ASSERT_GT(p.files, 2u);
    const Lines good = lines("checkpoints.jsonl");
    auto spoil = [&](const char *what, size_t which) {
        Lines x = good;
        size_t seen = 0;
        for (auto &l : x)
            if (l.find(what) != std::string::npos && seen++ == which) {
                size_t at = l.find("\"last_hash\":\"") + 13;
                l[at] = l[at] == '0' ? '1' : '0';
            }
        put(x, "checkpoints.jsonl");
    };
    for (size_t i = 0; i < p.files; i++) {
        spoil("\"pruned\"", i);
        EXPECT_FALSE(verify().ok) << i;
        spoil("\"closed\"", i);
        EXPECT_FALSE(verify().ok) << i;
    }
    // Both lines of the last one forged alike: the chain of what is left speaks against them.
    Lines x = good;
    std::string name = "\"file\":\"";
    for (auto &l : good)
        if (l.find("\"pruned\"") != std::string::npos)
            name = l.substr(0, l.find(','));
    for (auto &l : x)
        if (l.rfind(name, 0) == 0) {
            size_t at = l.find("\"last_hash\":\"") + 13;
            l[at] = l[at] == '0' ? '1' : '0';
        }
    put(x, "checkpoints.jsonl");
    expect_broken(p.stopped_at, 1, "does not continue");
    put(good, "checkpoints.jsonl");
    expect_good();
    drop("checkpoints.jsonl");
    EXPECT_FALSE(verify().ok);
}

TEST_F(AuditPrune, WhatWasChangedIsEvidenceAndStays)
{
    old_events(120, 30);
    auto files = named("0");
    const std::string good = slurp(files[1]);
    for (int how = 0; how < 3; how++) {
        std::string bad = good;
        if (how == 0)
            bad.resize(bad.size() - 30);
        else if (how == 1)
            bad.resize(bad.rfind('\n', bad.size() - 2) + 1);
        else
            bad[bad.rfind("gpt-4o")] = 'x';
        spill(files[1], bad);
        kt_audit_pruning p = prune(10, true);
        EXPECT_EQ(p.files, 1u) << how;
        EXPECT_EQ(p.stopped_at, files[1]);
        EXPECT_NE(std::string(p.why).find("checkpoint"), std::string::npos);
    }
    spill(files[1], good);
    Lines c = lines("checkpoints.jsonl");
    c.erase(c.begin());
    put(c, "checkpoints.jsonl");
    EXPECT_EQ(prune(10).files, 0u);
}

TEST_F(AuditPrune, WritersAndVerifiersGoOnMeanwhile)
{
    old_events(200, 30);
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        kt_audit *a = open(4000);
        while (!stop)
            ASSERT_EQ(append(a).code, KT_OK);
        kt_audit_free(a);
    });
    std::thread other([&] { prune(10); });
    EXPECT_GT(prune(10).files, 0u);
    other.join();
    for (int i = 0; i < 5; i++)
        expect_good();
    stop = true;
    writer.join();
    expect_good();
}

TEST_F(AuditPrune, WithoutALogNothingIsMade)
{
    kt_audit_pruning p = {};
    kt_error err = {};
    p.days = 1;
    EXPECT_EQ(kt_audit_prune(state.c_str(), &p, &err).code, KT_ERR_NOTFOUND);
    EXPECT_NE(access(dir.c_str(), F_OK), 0);
}

} // namespace
