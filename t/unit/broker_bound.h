/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A caller whose job is bound to its connection.
 */
#ifndef BROKER_BOUND_H
#define BROKER_BOUND_H

#include "t/unit/broker_jobs.h"

static int other = -1;

/* A caller whose job is bound; the one before it is `other` then. */
static inline void call_in_bound(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    spawn_writer w;

    other = caller;
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%.107s", listen_path);
    caller = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(caller, (struct sockaddr *)&a, sizeof(a)), 0);
    begin(&w, SPAWN_M_HELLO, NULL);
    spawn_put_str(&w, SPAWN_A_CLIENT, "test");
    spawn_put_u64(&w, SPAWN_A_BOUND, 1);
    ask(&w);
    expect_answer(SPAWN_M_WELCOME);
}

static inline void leave(void)
{
    (void)close(caller);
    caller = other;
    other = -1;
}

#endif
