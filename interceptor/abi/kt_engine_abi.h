/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The one narrow C ABI between the shim (libkt.so) and the engine (libktengine.so). The shim includes this
 * header and no other of the engine's; it loads the engine with dlopen and asks for one symbol,
 * kt_engine_abi.
 *
 * Rules: every call is made with the shim's per-thread guard set and errno saved around it. No call throws,
 * exits or prints.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KT_ABI_VERSION 7u

/* What the shim lends to the engine; static, lives for ever. */
struct kt_shim_host {
    uint32_t version; /* KT_ABI_VERSION */
    uint32_t size;
    /* Marks the calling thread, and every thread that it creates, as the engine's own: no hook looks at it
     * any more. */
    void (*guard_thread)(void);
    /* Protects fd from the program's close, close_range, closefrom and dup2 (on = 1) or gives it up (0). */
    void (*own_fd)(int fd, int on);
    /* An environment variable as it is now, else as it was when the process started (KT_* only), else NULL.
     * Programs that clear their environment must still meet their policy: ask this for KT_*, not getenv.
     * Borrowed. */
    const char *(*env)(const char *name);
    /* 1 in a process that was forked from one with threads of its own, and has not become another program
     * since.
     */
    int (*forked)(void);
    /* A file of the audit log that was opened before the program gave up its rights: 0 the folder (O_PATH), 1
     * its lock, 2 its head, 3 its log. Borrowed; -1 = none. */
    int (*audit_fd)(unsigned which);
    /* Between the two the program's setenv and its kin wait. Do not nest. */
    void (*environ_lock)(void);
    void (*environ_unlock)(void);
    /* Real getaddrinfo etc. are what guarded threads get anyway. */
};

/* A connection that was diverted. */
struct kt_abi_origin {
    const char *host; /* the name that the program meant; borrowed for the call */
    uint16_t port;    /* host byte order */
    int app_fd;       /* the program's own fd, for traces */
};

enum kt_abi_event {
    KT_ABI_UNSEEN = 1,       /* to an intercepted host, but not through us; refused */
    KT_ABI_PASSED = 3,       /* the same, or not to be read any further in the tap lane; let through */
    KT_ABI_TRUST_FAILED = 2, /* our CA could not be given to an SSL */
    KT_ABI_REFUSED = 4, /* a connection to an intercepted host that could not be taken, and was refused */
    KT_ABI_CUT = 5,     /* a connection of ours that another process has now, where nobody serves it */
    KT_ABI_GIVEN = 6    /* the same by an exec that is about to be tried: `settle` says if it fails */
};

enum kt_abi_leave {
    KT_ABI_EXEC,       /* the process may become another program */
    KT_ABI_EXIT,       /* it ends without atexit handlers */
    KT_ABI_EXEC_FAILED /* it did not become another one */
};

enum kt_abi_dir { KT_ABI_OUT, KT_ABI_IN }; /* from the program; to it */

enum kt_abi_wait {
    KT_ABI_WAIT_BEGIN, /* nothing came for a second at most, or there was no sleep yet */
    KT_ABI_WAIT_READY, /* the fd is readable */
    KT_ABI_WAIT_END    /* no further sleep; the answer is -1 */
};

struct kt_abi_flow; /* one captured byte conversation */

struct kt_engine_abi {
    uint32_t version; /* KT_ABI_VERSION; the shim refuses another */
    uint32_t size;

    /* First call. Reads KT_* from the environment, prepares everything but the event thread. 0, or -1 where
     * the engine cannot work at all (then fail_mode decides in the shim). A broken config is no failure:
     * flows are then answered as fail_mode says. */
    int (*start)(const struct kt_shim_host *host);

    /* Makes a current plan file for this environment (and its CA) and writes its path into `path`. 0 or -1.
     */
    int (*make_plan)(char *path, size_t size);

    /* 0 in a fork child that can take no connection, because a thread of the parent was inside of OpenSSL
     * when it was made. Asked before a connection is taken; the first time it may take 3 s. */
    int (*usable)(void);

    /* Takes `fd`, the engine's end of a loopback connection whose other end is the program's socket: CLOEXEC,
     * non-blocking, TCP_NODELAY, already marked with own_fd (give it up with own_fd(fd, 0) before close). 0,
     * or -1 (fd is closed then). */
    int (*adopt)(int fd, const struct kt_abi_origin *origin);

    /* DER of the CA certificate that signs the leaves of this process; borrowed for ever. Returns its length,
     * 0 on failure. */
    size_t (*ca_der)(const uint8_t **der);

    /* handoff: the flow whose TLS ClientHello carried this random; a new reference, NULL = not ours. Also
     * asked where handoff is off, to tell whether a connection is ours at all: the question alone changes
     * nothing. */
    struct kt_abi_flow *(*flow_by_random)(const uint8_t random[32]);
    /* Plaintext that the program wrote. Returns len, or -1 with errno (EPIPE: the flow is gone). Runs the
     * chain in this thread. The first call may come before the engine's side of the handshake is done, and
     * must not wait for that: the client's last handshake bytes may still lie in a memory BIO that this same
     * thread will flush. */
    ssize_t (*flow_write)(struct kt_abi_flow *flow, const void *data, size_t len);
    /* handoff: this thread is about to sleep until its answer comes over the connection. An fd: sleep until
     * that one is readable or the connection is, then ask again; the engine looks at it no more. -1: read the
     * connection. The fd is not the thread's: poll it, nothing else. A thread that does not come back is
     * noticed. At most *len bytes of the answer may come right into `buf`, where `taken` (all that SSL_read
     * gave so far) says that nothing is on its way; *len = their number, and -1 is the answer then. */
    int (*flow_wait)(struct kt_abi_flow *flow, enum kt_abi_wait how, uint64_t taken, void *buf, size_t *len);
    void (*flow_release)(struct kt_abi_flow *flow);
    /* 0 where handoff is switched off (KT_TRACE=no-handoff). */
    int (*handoff_enabled)(void);

    /* tap: 1 where calls are only watched (mode: observe) and the engine can watch them now; else connections
     * to intercepted hosts are diverted. KT_TRACE=no-tap makes it 0. Asked per connection: the mode may
     * change. */
    int (*tap_enabled)(void);
    /* A connection that the program makes by itself. `tls`: what comes is what TLS carries. An id; 0 = it
     * will not be looked at (the engine has said so). */
    uint64_t (*tap_open)(const struct kt_abi_origin *origin, int tls);
    /* A copy of bytes that have gone one way. Never waits for the chain. An id that is unknown or 0 does
     * nothing. */
    void (*tap_data)(uint64_t tap, enum kt_abi_dir dir, const void *data, size_t len);
    void (*tap_close)(uint64_t tap);
    /* The process leaves: events of what was tapped and of calls under way are written, which takes a bounded
     * time. Allocates nothing in this thread. Nothing to do: returns at once. */
    void (*settle)(enum kt_abi_leave how);

    /* Reports what the shim saw; writes the event at once. `host` borrowed. */
    void (*report)(enum kt_abi_event what, const char *host, const char *detail);
    /* In a child that is no process of the engine's (by _Fork or clone): this call of it has no event yet.
     * Takes no lock, allocates nothing. */
    void (*note_unseen)(const char *host, uint16_t port);
    /* Before unshare(CLONE_FILES), inside the shim's own locks: the engine lets go of its thread and of its
     * fds, and starts anew with the next call. -1: it could not; no call may be given to it any more. */
    int (*split)(void);
    /* 0 where this thread's table of fds is not that of the engine's thread any more (a bare system call):
     * `split` comes first then. Asked before a connection is taken. */
    int (*shares_fds)(void);

    /* pthread_atfork, inside the shim's own locks: prepare parks the engine thread outside of all library
     * calls. Not called for a fork that the engine makes itself. In the child all own_fd marks are gone
     * before fork_child. */
    /* -1: a thread is busy in the engine and does not come out; nothing is held, and the child is to use
     * nothing but note_unseen. */
    int (*fork_prepare)(void);
    void (*fork_parent)(void);
    void (*fork_child)(void);
};

/* The symbol: const struct kt_engine_abi *kt_engine_abi(void). */
typedef const struct kt_engine_abi *(*kt_engine_abi_fn)(void);
#define KT_ENGINE_ABI_SYMBOL "kt_engine_abi"

#ifdef __cplusplus
}
#endif
