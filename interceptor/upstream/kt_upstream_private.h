/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Shared by the files of this folder: the multi handle with its sockets, and one call. */
#include "interceptor/upstream/kt_upstream.h"
#include "policyengine/base/kt_buf.h"

#include <curl/curl.h>
#include <stdatomic.h>

#define KT_UP_IDLE_EASY 64         /* easy handles kept for the next call, as many as connections */
#define KT_UP_IDLE_CONNECTIONS 64L /* connections kept open in the pool */
/* A kept connection is used again within. Many servers close theirs after a minute or more: a request must
 * not meet them just then, since it is not sent twice. */
#define KT_UP_IDLE_SECONDS 50L
/* libcurl's buffer for an answer, for as long as it lasts; 16 KiB by default. */
#define KT_UP_STREAM_BUFFER 2048L
/* Where HTTP/2 may be spoken: with less than what one read of the connection brings (a TLS record, 32 KiB of
 * frames) libcurl 7.88 keeps the rest to itself until the next byte comes. Pages nobody wrote cost nothing.
 */
#define KT_UP_TLS_BUFFER 65536L
#define KT_UP_MAX_HEAD (256u << 10) /* bytes of an answer's head */
#define KT_UP_MAX_FIELDS 256
#define KT_UP_DRAIN_BYTES (64u << 10)
#define KT_UP_DRAIN_NS 1000000000ull
#define KT_NS_PER_MS 1000000ull
#define KT_UP_RESOLVER_MS 10 /* its set-up takes less than one, and is mostly reads of files in /etc */

struct kt_upstream {
    struct kt_loop *loop;
    CURLM *multi;                               /* NULL before the first request */
    struct kt_timer timer;                      /* libcurl's own timeout */
    struct kt_call *calls;                      /* every call that was given out, doubly linked */
    struct kt_up_handle *idle[KT_UP_IDLE_EASY]; /* owned; the newest last */
    size_t idle_count;
    struct kt_up_open *open; /* every socket that libcurl has of us */
    bool no_fd;              /* in this turn the process had no file descriptor left for a socket */
    size_t sockets, unsure;  /* ... and how many of them are not known to be connected */
    /* From the environment, as libcurl would look with every call; owned, NULL = none. */
    char *http_proxy, *https_proxy, *no_proxy;
    char *ca_file;            /* owned; from the environment, or NULL */
    const char *ca_path;      /* libcurl's own hashed folder where it has one; static */
    _Atomic uint64_t fork_ns; /* kt_upstream_fork_ns */
    bool busy;                /* inside libcurl: handles must not be added or removed now */
    bool dead;                /* after a fork, in the child */
};

enum kt_call_state {
    KT_CS_QUEUED,  /* waits until libcurl is left */
    KT_CS_RUNNING, /* in the multi handle */
    KT_CS_DOOMED   /* cancelled inside libcurl; swept when it is left */
};

struct kt_up_socket; /* kt_sockets.c */

/* An easy handle. Between two calls it may keep the options that the members behind `keeps` say. */
struct kt_up_handle {
    CURL *easy;
    struct kt_call *call; /* that it serves, which libcurl's callbacks find here; NULL = idle */
    bool keeps;
    bool stream, has_body;
    bool undecoded; /* by the last call: libcurl's own decoder is off */
    int64_t connect_ms;
    char method[16];
    char *url, *ca_file; /* owned; ca_file may be NULL */
    char error[CURL_ERROR_SIZE];
};

struct kt_call {
    struct kt_upstream *u;
    struct kt_up_socket *socket; /* that libcurl watches for it; NULL = none */
    struct kt_call *prev, *next;
    struct kt_up_handle *handle;
    CURL *easy;                 /* of the handle */
    struct curl_slist *headers; /* one block with its texts; holds keys: wiped */
    size_t headers_size;        /* bytes of that block */
    struct kt_call_handler handler;
    enum kt_call_state state;
    struct kt_timer watchdog; /* first byte, idle, drain */
    struct kt_timer resume_timer;
    uint64_t activity_ns;
    int64_t first_byte_ms, idle_ms;
    uint64_t body_len;
    size_t drained;
    struct kt_buf head; /* "name\0value\0"... of the answer under way */
    size_t fields;
    int status;
    bool head_done, paused, released, overflow;
    bool damaged;              /* the coding of the answer does not hold what it says */
    struct kt_call_gzip *gzip; /* owned; NULL = the answer is not packed so */
    bool in_order;             /* a whole answer came */
    bool once;                 /* what was sent must not be sent again */
    bool sent;                 /* a connection was about to take the request */
    bool cut_off;              /* libcurl wanted to send it again */
};

/* kt_upstream.c */
kt_result kt_up_begin(struct kt_upstream *u) KT_MUST; /* global init and multi handle, once */
void kt_up_enter(struct kt_upstream *u); /* around every entry into libcurl that may run callbacks */
void kt_up_leave(struct kt_upstream *u); /* sweeps, starts what was queued, reports what is done */

/* kt_call.c */
void kt_call_finish(struct kt_call *c, enum kt_call_outcome outcome, const char *detail);
void kt_call_drop(struct kt_call *c);         /* without a slot; outside of libcurl only */
void kt_call_arm_watchdog(struct kt_call *c); /* for the limit that holds now */
enum kt_call_outcome kt_call_classify(CURLcode code);

/* kt_call_words.c */
const char *kt_call_words(CURLcode code); /* static; empty = nothing to say */
void kt_call_note_code(struct kt_call *c, CURLcode code);

/* kt_handle.c */
/* One that keeps what this request needs where there is one, else one without options. NULL = no memory. */
struct kt_up_handle *kt_up_handle_take(struct kt_upstream *u, const struct kt_call_request *request);
/* Its options are those of this request from now on. */
void kt_up_handle_keep(struct kt_up_handle *h, const struct kt_call_request *request);
/* Takes back one whose call is over. in_order: the transfer came to its end, and nothing was odd about it. */
void kt_up_handle_give(struct kt_upstream *u, struct kt_up_handle *h, bool in_order);
void kt_up_handle_free(struct kt_up_handle *h);

/* kt_call_setup.c */
kt_result kt_call_configure(struct kt_call *c, const struct kt_call_request *request) KT_MUST;
void kt_call_wipe_headers(struct kt_call *c);

/* kt_call_io.c: libcurl's callbacks of one transfer */
size_t kt_call_on_header(char *data, size_t size, size_t n, void *arg);
/* Right before the request is sent, each time that it is. */
int kt_call_on_send(void *arg, char *peer, char *own, int peer_port, int own_port);
int kt_call_on_resolve(void *resolver, void *reserved, void *arg); /* before a name is looked up */
size_t kt_call_on_write(char *data, size_t size, size_t n, void *arg);

/* kt_call_gzip.c */
void kt_call_gzip_begin(struct kt_call *c, const struct kt_call_head *head); /* where the head says so */
size_t kt_call_gzip_write(struct kt_call *c, const char *data, size_t len);  /* answers libcurl */
/* Of an answer that is over: what is wrong with its coding; NULL = nothing. Static. */
const char *kt_call_gzip_fault(const struct kt_call *c);
void kt_call_gzip_free(struct kt_call *c);

/* kt_sockets.c */
void kt_up_install_sockets(struct kt_upstream *u); /* on the multi handle */
void kt_up_install_opener(struct kt_upstream *u, CURL *easy);
void kt_up_forget_call(struct kt_call *c);        /* its socket may stay */
void kt_up_check_sockets(struct kt_upstream *u);  /* notices those that libcurl closed by itself */
void kt_up_forget_sockets(struct kt_upstream *u); /* all, when libcurl's handle is gone */
