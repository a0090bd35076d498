/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the outside of a TLS connection tells (RFC 8446 §5.1): records of application data that went each way.
 * The tap lane asks it whether a conversation took place that no hook of a TLS library saw.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kt_tls_records {
    struct {
        uint8_t head[5];
        uint8_t have;  /* bytes of the next head */
        uint32_t left; /* bytes of this record */
    } dir[2];
    uint8_t
        sent; /* records of application data that left, without the ones that handshakes and farewells need */
    bool is_13; /* the peer sent such a record first: its handshake does so in TLS 1.3, and ours ends with one
                 */
    bool answered;
};

/* `n` bytes went one way: out = from the program. Zeroed at the beginning of the connection. */
void kt_tls_records_feed(struct kt_tls_records *r, bool out, const void *data, size_t n);
/* Did the program say something inside TLS? */
bool kt_tls_records_spoke(const struct kt_tls_records *r);
/* And did the peer answer? */
bool kt_tls_records_answered(const struct kt_tls_records *r);
