/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs whose output fills the small disk of broker_disk.h. For unit tests.
 */
#ifndef BROKER_SMALL_DISK_H
#define BROKER_SMALL_DISK_H

#include "t/unit/broker_disk.h"
#include "t/unit/broker_post.h"

#define JOBS 10

static spawn_id ids[JOBS];

static inline void start(void)
{
    queue_jobs = queue_waits = 100;
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

static inline void submit(spawn_id *ret, spawn_reply reply)
{
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_writer w;

    (void)spawn_id_make(ret);
    begin_submit(&w, ret, "/bin/true");
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
}

/* It says so much, and has not ended. */
static inline void says(spawn_id *ret, size_t bytes)
{
    static const uint8_t words[4096];
    spawn_stdio out;
    int pipe;

    submit(ret, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, ret);
    spawn_attr_stdio(&message.attr[SPAWN_A_STDOUT], &out);
    pipe = packet.fds[out.fd];
    packet.fds[out.fd] = -1;
    say_started(ret);
    for (; bytes > 0; bytes -= sizeof(words))
        assert_int_equal(write(pipe, words, sizeof(words)), sizeof(words));
    (void)close(pipe);
}

static inline void wait_for(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_WAIT, id);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&w);
}

#endif
