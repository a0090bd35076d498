/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One streamed answer through the real exchange, without a network: the bytes of the provider go in, those of
 * the client come out. For what is asked a hundred thousand times: properties and fuzzing.
 */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stream_rig;

struct stream_rig_reply {
    int status; /* 0 = no head */
    struct kt_buf body;
    bool ended, aborted;
    size_t held_max;                       /* bytes of one text, between two pieces */
    void (*after)(void *arg, size_t held); /* behind every piece: bytes of all texts that are held back */
    void *arg;
};

/* new. `yaml` is a whole config with one target; NULL where it has errors. */
struct stream_rig *stream_rig_new(const char *yaml);
void stream_rig_free(struct stream_rig *rig);
/* The message that the requests from here on carry; "hi" without. Borrowed. */
void stream_rig_prompt(struct stream_rig *rig, struct kt_span text);
/* The body of such a request as the target gets it; appended to `out`. */
void stream_rig_sent(struct stream_rig *rig, struct kt_buf *out);
/* A chat request with "stream": true is answered by an event stream that comes in these pieces and then ends
 * well. Fills `out` anew, but `after` and `arg`; free its body with kt_buf_free. */
void stream_rig_run(struct stream_rig *rig, const struct kt_span *pieces, size_t count,
                    struct stream_rig_reply *out);
/* The same request, not streamed, with this JSON as its answer. */
void stream_rig_whole(struct stream_rig *rig, struct kt_span json, struct stream_rig_reply *out);

#ifdef __cplusplus
}
#endif
