// SPDX-License-Identifier: Apache-2.0
// Attacks on a finished log: each is named by file and line.
#include "tests/unit/audit_fixture.h"

namespace {

class AuditVerify : public Audit {};

TEST_F(AuditVerify, EveryEditedByteOfAChainedLineIsNamed)
{
    write_events(5);
    const std::string good = slurp("current.jsonl");
    const Lines l = lines();
    size_t begin = l[0].size() + 1 + l[1].size() + 1;
    for (size_t i = 0; i < l[2].size(); i++) {
        std::string bad = good;
        bad[begin + i] = static_cast<char>(bad[begin + i] ^ 1);
        spill("current.jsonl", bad);
        kt_audit_report r = verify();
        ASSERT_FALSE(r.ok) << i;
        EXPECT_STREQ(r.file, "current.jsonl");
        EXPECT_EQ(r.line, 3u) << i << " " << r.what;
    }
}

TEST_F(AuditVerify, DeletedSwappedInsertedAndRepeatedLines)
{
    write_events(6);
    const Lines l = lines();
    Lines x = l;
    x.erase(x.begin() + 2);
    put(x);
    expect_broken("current.jsonl", 3, "missing");
    x = l;
    x.erase(x.begin());
    put(x);
    expect_broken("current.jsonl", 1, "missing");
    x = l;
    std::swap(x[2], x[3]);
    put(x);
    expect_broken("current.jsonl", 3, "missing or moved");
    x = l;
    x.insert(x.begin() + 3, l[2]);
    put(x);
    expect_broken("current.jsonl", 4, "repeated");
    x = l;
    x.insert(x.begin() + 3, "{\"id\":\"a\",\"seq\":4,\"event_type\":\"decision\"}");
    put(x);
    EXPECT_FALSE(verify().ok); // a plain line may stand there, but then the next one gives it away
    EXPECT_EQ(verify().line, 5u);
    x = l;
    x.insert(x.begin() + 3, "not json");
    put(x);
    expect_broken("current.jsonl", 4, "no event");
    x = l;
    x.push_back("");
    put(x);
    expect_broken("current.jsonl", 7, "no event");
}

TEST_F(AuditVerify, CutTail)
{
    write_events(6);
    Lines x = lines();
    x.pop_back();
    put(x);
    expect_broken("current.jsonl", 6, "the tail is cut: events 6-6");
    spill("current.jsonl", "");
    expect_broken("current.jsonl", 1, "the tail is cut: events 1-6");
    ASSERT_EQ(unlink(path("current.jsonl").c_str()), 0);
    expect_broken("current.jsonl", 1, "the tail is cut");
}

TEST_F(AuditVerify, CutTailStaysInSightBehindNewEvents)
{
    write_events(6);
    Lines x = lines();
    x.resize(3);
    put(x);
    write_events(4);
    expect_broken("current.jsonl", 4, "event 7 follows event 3");
    EXPECT_NE(lines()[3].find("\"event_type\":\"audit_cut\""), std::string::npos);
}

TEST_F(AuditVerify, CutInTheMiddleOfALineDoesNotGlueLines)
{
    write_events(6);
    std::string s = slurp("current.jsonl");
    spill("current.jsonl", s.substr(0, s.size() - 40));
    write_events(1);
    Lines l = lines();
    ASSERT_EQ(l.size(), 7u);
    EXPECT_EQ(named("torn-").size(), 1u);
    expect_broken("current.jsonl", 6, "follows event 5");
}

TEST_F(AuditVerify, RehashedLineBreaksTheNextOne)
{
    write_events(5);
    Lines x = lines();
    size_t cut = x[2].find(",\"hash\":\"");
    std::string body = x[2].substr(0, cut);
    body.replace(body.find("allow"), 5, "block");
    char hex[KT_SHA256_HEX];
    ASSERT_EQ(kt_sha256_hex(body.data(), body.size(), hex).code, KT_OK);
    x[2] = body + ",\"hash\":\"" + hex + "\"}";
    put(x);
    expect_broken("current.jsonl", 4, "does not continue");
    x.resize(3); // and as the last one, the head knows better
    put(x);
    EXPECT_FALSE(verify().ok);
}

TEST_F(AuditVerify, LastLineRehashedIsCaughtByTheHead)
{
    write_events(3);
    Lines x = lines();
    std::string body = x[2].substr(0, x[2].find(",\"hash\":\""));
    body.replace(body.find("allow"), 5, "block");
    char hex[KT_SHA256_HEX];
    ASSERT_EQ(kt_sha256_hex(body.data(), body.size(), hex).code, KT_OK);
    x[2] = body + ",\"hash\":\"" + hex + "\"}";
    put(x);
    expect_broken("current.jsonl", 3, "the head names another hash");
}

TEST_F(AuditVerify, ChainStrippedFromALineIsNoticed)
{
    write_events(5);
    Lines x = lines();
    x[2] = x[2].substr(0, x[2].find(",\"prev_hash\"")) + "}";
    put(x);
    expect_broken("current.jsonl", 3, "event 4 names another hash");
    x = lines();
    x[2] = lines()[2];
    x[4] = x[4].substr(0, x[4].find(",\"prev_hash\"")) + "}";
    put(x);
    EXPECT_FALSE(verify().ok);
}

TEST_F(AuditVerify, PlainEventIsHeldByTheChainedOneBehindIt)
{
    write_events(2, 0, false);
    write_events(2, 0, true);
    expect_ok(4);
    Lines x = lines();
    x[1].replace(x[1].find("allow"), 5, "block");
    put(x);
    expect_broken("current.jsonl", 2, "event 3 names another hash");
}

TEST_F(AuditVerify, PlainLastEventIsHeldByTheHead)
{
    write_events(2, 0, false);
    expect_ok(2);
    Lines x = lines();
    x[1].replace(x[1].find("allow"), 5, "block");
    put(x);
    expect_broken("current.jsonl", 2, "head names another hash");
}

TEST_F(AuditVerify, DeletedFilesAreNamed)
{
    write_events(100, 4000);
    auto files = named("0");
    for (size_t i : {size_t{0}, size_t{2}, files.size() - 1}) {
        ASSERT_EQ(rename(path(files[i]).c_str(), (state + "/away").c_str()), 0);
        expect_broken(files[i], 0, "missing");
        ASSERT_EQ(rename((state + "/away").c_str(), path(files[i]).c_str()), 0);
    }
    expect_ok(100);
    // Together with its checkpoint the gap still shows.
    Lines c = lines("checkpoints.jsonl"), without = c;
    without.erase(without.begin() + 2);
    put(without, "checkpoints.jsonl");
    expect_broken("checkpoints.jsonl", 0, files[2]);
    ASSERT_EQ(unlink(path(files[2]).c_str()), 0);
    expect_broken(files[3], 1, "missing");
}

TEST_F(AuditVerify, CutTailOfARotatedFile)
{
    write_events(100, 4000);
    auto files = named("0");
    Lines x = lines(files[1]);
    x.pop_back();
    put(x, files[1]);
    expect_broken(files[1], x.size() + 1, "the tail is cut");
    // Renamed to fit, its checkpoint speaks against it.
    std::string first = files[1].substr(0, 12);
    char name[64];
    snprintf(name, sizeof name, "%s-%012llu.jsonl", first.c_str(), std::stoull(files[1].substr(13)) - 1);
    ASSERT_EQ(rename(path(files[1]).c_str(), path(name).c_str()), 0);
    expect_broken(name, 0, "checkpoint");
}

TEST_F(AuditVerify, PlainLastLineOfARotatedFileIsHeldByItsCheckpoint)
{
    write_events(60, 4000, false);
    expect_ok(60);
    auto files = named("0");
    ASSERT_GT(files.size(), 1u);
    Lines x = lines(files[1]);
    x.back().replace(x.back().find("allow"), 5, "block");
    put(x, files[1]);
    expect_broken(files[1], x.size(), "checkpoint names another hash");
}

TEST_F(AuditVerify, CopiedFileUnderAnotherNameIsNoticed)
{
    write_events(100, 4000);
    auto files = named("0");
    spill("000000000900-000000000999.jsonl", slurp(files[0]));
    EXPECT_FALSE(verify().ok);
}

TEST_F(AuditVerify, VerifyWhileOthersWrite)
{
    kt_audit *a = open(8000);
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        while (!stop)
            ASSERT_EQ(append(a).code, KT_OK);
    });
    for (int i = 0; i < 30; i++) {
        kt_audit_report r = verify();
        EXPECT_TRUE(r.ok) << r.file << ":" << r.line << " " << r.what;
    }
    stop = true;
    writer.join();
    kt_audit_free(a);
}

TEST_F(AuditVerify, AStoppedWriterDoesNotHoldVerifyForEver)
{
    write_events(2);
    int fd = ::open(path("lock").c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(flock(fd, LOCK_EX), 0);
    expect_ok(2);
    close(fd);
}

TEST_F(AuditVerify, VerifyWithoutALogIsAnError)
{
    kt_audit_report r;
    kt_error err = {};
    EXPECT_EQ(kt_audit_verify(state.c_str(), &r, &err).code, KT_ERR_NOTFOUND);
    EXPECT_NE(std::string(err.text).find(dir), std::string::npos);
}

// ---- attacks on a finished log
// -------------------------------------------------------------------------------------

} // namespace
