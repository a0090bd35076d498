/* SPDX-License-Identifier: Apache-2.0 */
/* Flows of a listener: who is too slow, who speaks the wrong protocol, how a drain ends connections. */
#include "flow_client.hpp"

namespace {

constexpr uint64_t ms = 1000000;

kt_flow_door door_of(uint64_t idle, uint64_t head, uint64_t piece, uint64_t request, uint64_t stall)
{
    kt_flow_door d{};
    d.lane = "gateway";
    d.identify = [](void *, SSL *) { return false; };
    d.idle_ns = idle * ms;
    d.head_ns = head * ms;
    d.piece_ns = piece * ms;
    d.request_ns = request * ms;
    d.stall_ns = stall * ms;
    return d;
}

constexpr uint64_t ages = 3600000;

/* True where the other side ended the connection before `seconds` passed. */
bool ended(Client &c, int seconds = 10)
{
    pollfd p{c.fd, POLLIN, 0};
    char byte;
    return poll(&p, 1, seconds * 1000) == 1 && recv(c.fd, &byte, 1, 0) <= 0;
}

TEST(FlowDoor, ItsLaneAndNoEventForAKnock)
{
    kt_flow_door d = door_of(ages, ages, ages, ages, ages);
    Harness h(&d);
    {
        Client c(h);
        ASSERT_TRUE(c.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n"));
        EXPECT_EQ(c.answer().status, 200);
    }
    Client knock(h);
    close(knock.fd);
    knock.fd = -1;
    ASSERT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; }));
    EXPECT_EQ(h.seen.at(0), "gateway GET /x");
    EXPECT_TRUE(h.events.empty());
}

TEST(FlowDoor, TlsWhereNoneIsServed)
{
    kt_flow_door d = door_of(ages, ages, ages, ages, ages);
    Harness h(&d);
    Client c(h);
    ASSERT_TRUE(c.send(std::string("\x16\x03\x01\x00\x05hello", 10)));
    EXPECT_TRUE(ended(c));
}

TEST(FlowDoor, PlainWhereTlsIsServed)
{
    kt_flow_door d = door_of(ages, ages, ages, ages, ages);
    d.tls = true;
    Harness h(&d);
    Client c(h);
    ASSERT_TRUE(c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_TRUE(ended(c));
    EXPECT_TRUE(h.seen.empty());
}

TEST(FlowDoor, IdleConnectionsEnd)
{
    kt_flow_door d = door_of(50, ages, ages, ages, ages);
    Harness h(&d);
    Client c(h);
    ASSERT_TRUE(c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_EQ(c.answer().status, 200);
    EXPECT_TRUE(ended(c));
}

TEST(FlowDoor, AHeadThatTricklesInEnds)
{
    kt_flow_door d = door_of(ages, 100, ages, ages, ages);
    Harness h(&d);
    Client c(h);
    ASSERT_TRUE(c.send("GET / HTTP/1.1\r\n"));
    bool open = true;
    for (int i = 0; i < 1000 && open; i++) { /* each piece is in time, the head is not */
        open = c.send("X: y\r\n") && !ended(c, 0);
        usleep(5000);
    }
    EXPECT_FALSE(open);
    EXPECT_TRUE(h.seen.empty());
}

TEST(FlowDoor, ABodyThatStopsEnds)
{
    kt_flow_door d = door_of(ages, ages, 50, ages, ages);
    Harness h(&d);
    Client c(h);
    ASSERT_TRUE(c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc"));
    EXPECT_TRUE(ended(c));
}

TEST(FlowDoor, ABodyThatTricklesInEnds)
{
    kt_flow_door d = door_of(ages, ages, ages, 100, ages);
    Harness h(&d);
    Client c(h);
    ASSERT_TRUE(c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"));
    bool open = true;
    for (int i = 0; i < 1000 && open; i++) {
        open = c.send("a") && !ended(c, 0);
        usleep(5000);
    }
    EXPECT_FALSE(open);
}

TEST(FlowDoor, AnExchangeMayTakeLongerThanAllOfThem)
{
    kt_flow_door d = door_of(20, 20, 20, 20, 20);
    Harness h(&d);
    std::atomic<kt_exchange *> held{nullptr};
    h.script = [&](kt_exchange *x) { held = x; };
    Client c(h);
    ASSERT_TRUE(c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    ASSERT_TRUE(h.wait([&] { return held != nullptr; }));
    EXPECT_FALSE(ended(c, 0));
    usleep(100000);
    EXPECT_FALSE(ended(c, 0));
    h.post([&] {
        held.load()->head(200, 2);
        held.load()->write("ok");
        held.load()->end();
    });
    EXPECT_EQ(c.answer().body, "ok");
}

TEST(FlowDoor, AClientThatReadsNothingEnds)
{
    kt_flow_door d = door_of(ages, ages, ages, ages, 50);
    Harness h(&d);
    h.script = [](kt_exchange *x) {
        x->head(200, -1);
        std::string much(64u << 20, 'a'); /* more than the kernel's buffers hold */
        x->write(much.c_str());
    };
    Client c(h);
    ASSERT_TRUE(c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_TRUE(h.wait([&] { return h.gone == 1; }));
}

TEST(FlowDoor, ADrainEndsConnectionsBehindTheirAnswer)
{
    kt_flow_door d = door_of(ages, ages, ages, ages, ages);
    Harness h(&d);
    Client c(h);
    ASSERT_TRUE(c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_FALSE(c.answer().has("connection: close"));
    kt_flows_drain(h.flows);
    ASSERT_TRUE(c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_TRUE(c.answer().has("connection: close"));
    EXPECT_TRUE(ended(c));
}

} // namespace
