/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker's start: a job in the store, and the spawner's reports on it. The
 * protocol of broker_caller.h.
 */
#ifndef BROKER_FOUND_H
#define BROKER_FOUND_H

#include "t/unit/broker_caller.h"
#include "t/unit/broker_child.h"

static spawn_id job; /* of the test */

static inline void put_program(int state, uint64_t timeout, uint64_t grace,
                               bool captured)
{
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_writer w;
    size_t mark;

    (void)spawn_id_make(&job);
    begin_order(&w, &job);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    if (timeout)
        spawn_put_u64(&w, SPAWN_A_TIMEOUT, timeout);
    if (grace)
        spawn_put_u64(&w, SPAWN_A_GRACE, grace);
    if (captured) {
        spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
        spawn_put_stdio(&w, SPAWN_A_STDERR, &capture);
    }
    put_order(&job, state, &w);
}

/* So a broker before this one stored it. */
static inline void it_runs_as(pid_t pid, int64_t boot_started)
{
    char sql[160];

    (void)snprintf(sql, sizeof(sql),
                   "UPDATE job SET pid = %d, boot_started = %lld,"
                   " started_at = 1000, state = 3",
                   (int)pid, (long long)boot_started);
    run_sql(sql);
}

static inline void another_spawner(void)
{
    (void)spawn_id_make(&life);
}

static inline void begin_running(spawn_writer *w, int state, pid_t pid,
                                 int64_t ago)
{
    begin(w, SPAWN_M_RUNNING, &job);
    spawn_put_u64(w, SPAWN_A_STATE, (uint64_t)state);
    if (pid) {
        spawn_put_u64(w, SPAWN_A_PID, (uint64_t)pid);
        spawn_put_u64(w, SPAWN_A_MONO_STARTED,
                      (uint64_t)(spawn_mono_ms() - ago));
        spawn_put_u64(w, SPAWN_A_BOOT_STARTED,
                      (uint64_t)(spawn_boot_ms() - ago));
    }
}

static inline void say_running(int state, pid_t pid, int64_t ago)
{
    spawn_writer w;

    begin_running(&w, state, pid, ago);
    send_fds(&w, NULL, 0);
}

static inline void say_orphaned(pid_t pid, int64_t boot_started)
{
    spawn_writer w;

    begin(&w, SPAWN_M_ORPHANED, &job);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    if (boot_started)
        spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)boot_started);
    send_fds(&w, NULL, 0);
}

/* The child is a job of the store, and of this spawner, which tells so. */
static inline void child_is_found(child_how how, uint64_t timeout,
                                  uint64_t grace)
{
    make_store();
    child_runs(how);
    put_program(SPAWN_STATE_RUNNING, timeout, grace, false);
    start_broker();
    say_running(SPAWN_STATE_RUNNING, child, spawn_boot_ms() - child_started);
}

/* The same of a spawner that has gone; it is told to have begun so much later
 * (ms) than it did. */
static inline void child_is_left(child_how how, uint64_t timeout,
                                 uint64_t grace, int64_t later)
{
    make_store();
    child_runs(how);
    put_program(SPAWN_STATE_RUNNING, timeout, grace, false);
    it_runs_as(child, child_started + later);
    another_spawner();
    start_broker();
}

static inline void expect_signal(int signo)
{
    expect_id(SPAWN_M_SIGNAL, &job);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_SIGNO]), signo);
}

static inline void go(void)
{
    expect_ready();
    say(SPAWN_M_GO);
}

/* state, outcome, exit code, signal of all jobs. */
static inline void expect_jobs(const char *wanted)
{
    end_broker();
    expect_sql("SELECT group_concat(state || ' ' || ifnull(outcome, '-') ||"
               " ' ' || ifnull(exit_code, '-') || ' ' || ifnull(signal, '-'),"
               " ',') FROM (SELECT * FROM job ORDER BY seq)",
               wanted);
}

#endif
