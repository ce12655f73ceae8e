/* SPDX-License-Identifier: Apache-2.0 */
/* A template that is there, a restart of httpd, and the template that follows;
 * for unit tests of the broker. */
#ifndef BROKER_CODED_H
#define BROKER_CODED_H

#include "t/unit/broker_leased.h"

/* s, of broker/process/template_code.c */
#define NEWS_WITHIN 15
#define CODE_WITHIN 30
#define GO_WITHIN   120

static spawn_id old, new;
static int child = -1; /* a connection of before the restart */

static inline int tear_down_children(void **state)
{
    spawn_close_fds(&child, 1);
    template_kind = SPAWN_TEMPLATE_EXEC;
    return tear_down_clock(state);
}

/* ---- configurations ---- */

static int64_t configured_at; /* 0: httpd's module does not say it */

static inline void put_moment(spawn_writer *w)
{
    if (configured_at)
        spawn_put_u64(w, SPAWN_A_CONFIGURED_AT, (uint64_t)configured_at);
}

static inline void a_moment_later(void)
{
    int64_t now = spawn_mono_ms();

    while (spawn_mono_ms() <= now + 1)
        (void)usleep(500);
    configured_at = spawn_mono_ms();
}

static inline void begins_with(unsigned kind)
{
    template_kind = kind;
    rules = "A";
    more_rules = put_moment;
    queue_jobs = queue_waits = 100;
    configured_at = spawn_mono_ms();
    make_store();
    make_inbox();
}

/* Another process each time: the kernel tells who connected. */
static inline void a_child_calls_in(void)
{
    int status;
    pid_t pid;

    caller = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    pid = fork();
    if (pid == 0)
        _exit(connect_caller() == 0 ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    greet_broker();
    proves(NULL);
}

/* A child has called in, and the old template is ready. */
static inline void serves(void)
{
    begins_with(SPAWN_TEMPLATE_EXEC);
    reach_go();
    a_child_calls_in();
    template_starts(&old, true);
    is_there();
}

/* The configuration is read, and httpd has new children. */
static inline void is_read(void)
{
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    spawn_close_fds(&child, 1);
    child = caller;
    a_child_calls_in();
}

/* httpd is restarted. */
static inline void is_restarted(void)
{
    a_moment_later();
    is_read();
}

/* Of an exec template the next process is ordered, and loads. */
static inline void loads(void)
{
    say(SPAWN_M_GO);
    expect(SPAWN_M_LAUNCH);
    assert_true(spawn_has(&message, SPAWN_A_IS_TEMPLATE));
    spawn_attr_id(&message.attr[SPAWN_A_ID], &new);
    say_started(&new);
}

static inline void said(const spawn_id *id, bool ready, int64_t began)
{
    spawn_writer w;

    begin(&w, SPAWN_M_TEMPLATE_SAID, id);
    spawn_put_u64(&w, SPAWN_A_CODE, ready ? SPAWN_E_OK : SPAWN_E_START_FAILED);
    spawn_put_str(&w, SPAWN_A_TEXT, ready ? "" : "no such luck");
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    if (began)
        spawn_put_u64(&w, SPAWN_A_MONO_STARTED, (uint64_t)began);
    send_fds(&w, NULL, 0);
}

/* For a broker that begins. */
static inline void say_runs(const spawn_id *id, bool ready, int64_t began)
{
    spawn_writer w;

    begin(&w, SPAWN_M_RUNNING, id);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    spawn_put_u64(&w, SPAWN_A_MONO_STARTED, (uint64_t)began);
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, ready ? 2 : 1);
    spawn_put_u64(&w, SPAWN_A_TEMPLATE_KIND, template_kind);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    send_fds(&w, NULL, 0);
}

/* ---- jobs ---- */

static inline void is_accepted(spawn_id *ret)
{
    submit(ret, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
}

static inline void swap(int *a, int *b)
{
    int other = *a;

    *a = *b;
    *b = other;
}

static inline void child_of_before_submits(spawn_id *ret)
{
    swap(&caller, &child);
    is_accepted(ret);
    swap(&caller, &child);
}

static inline void nothing_starts(void)
{
    has_heard();
    quiet_for(20);
}

/* ---- templates of httpd's ---- */

static inline void httpds_serves(void)
{
    begins_with(SPAWN_TEMPLATE_PARENT);
    reach_go();
    a_child_calls_in();
    (void)spawn_id_make(&old);
    (void)spawn_id_make(&new);
    said(&old, true, spawn_mono_ms());
    is_there();
}

#endif
