/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates that do not get ready: a stopped or hanging one is killed after a
 * minute, and the broker is told why; one that works, or waits for what it has
 * started, has ten.
 */
#include "t/unit/spawner_templates.h"

#include <time.h>
#include <sys/prctl.h>

#include "spawner/preload.c"

#define ENDS_WITHIN_MS 30000 /* on a busy machine */

#define BEGAN 1000000 /* mono ms */

static pid_t its_template;
static int go_on; /* the template's process works a while for each byte */
static job *t;

static void wait_for_state(pid_t pid, char expected)
{
    int64_t deadline = spawn_mono_ms() + ENDS_WITHIN_MS, cpu;
    char state = '-';

    while (spawn_os_state(pid, &state, &cpu) < 0 || state != expected) {
        assert_true(spawn_mono_ms() < deadline);
        (void)usleep(1000);
    }
}

/* 25 ms of CPU time: more than a step of what the kernel shows. */
static void work(void)
{
    const clockid_t cpu = CLOCK_PROCESS_CPUTIME_ID;
    struct timespec began, is;

    (void)clock_gettime(cpu, &began);
    do {
        (void)clock_gettime(cpu, &is);
    } while ((is.tv_sec - began.tv_sec) * 1000
                 + (is.tv_nsec - began.tv_nsec) / 1000000
             < 25);
}

static void be_worker(int from, int to)
{
    char byte;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(from, &byte, 1) == 1) {
        work();
        if (write(to, &byte, 1) != 1)
            break;
    }
    for (;;)
        (void)pause();
}

/* by_child: another process works for it, and itself waits. */
static void have_one(unsigned flags, bool by_child)
{
    int ends[2];

    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    its_template = fork();
    if (its_template == 0) {
        if (!by_child || fork() == 0)
            be_worker(ends[1], ends[1]);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            (void)pause();
    }
    (void)close(ends[1]);
    go_on = ends[0];
    t = have_template(1, flags);
    t->pid = its_template;
    t->mono_us = 1000 * (int64_t)BEGAN;
    if (flags & JOB_FOREIGN)
        template_note_of(t)->pidfd = spawn_os_pidfd(its_template);
}

static void it_works(void)
{
    char byte = 0;

    assert_int_equal(write(go_on, &byte, 1), 1);
    assert_int_equal(read(go_on, &byte, 1), 1);
}

static int end_all(void **state)
{
    if (its_template > 0) {
        (void)kill(its_template, SIGKILL);
        (void)waitpid(its_template, NULL, 0);
        spawn_close_fds(&go_on, 1);
    }
    its_template = 0;
    return stop(state);
}

/* It has failed at this time, and not before. */
static void is_waited_for_until(int64_t after)
{
    int64_t at;

    assert_int_equal(preload_timers(BEGAN), 5000);
    assert_int_equal(preload_timers(BEGAN + 1000), 4000);
    for (at = 5000; at < after; at += 5000)
        assert_int_equal(preload_timers(BEGAN + at), 5000);
    assert_int_equal(t->said, SAID_NOTHING);
    assert_int_equal(preload_timers(BEGAN + at), -1);
    assert_int_equal(t->said, SAID_FAILED);
    assert_true(t->flags & JOB_TELL_SAID);
    assert_int_equal(preload_timers(BEGAN + at + 100000), -1);
}

static void expect_killed(void)
{
    char text[40];

    (void)snprintf(text, sizeof(text), "signal 9 to %d; ", (int)its_template);
    expect_called(text);
}

static void expect_text(const char *part)
{
    assert_non_null(strstr(template_note_of(t)->text, part));
}

static void is_stopped(void)
{
    assert_int_equal(kill(its_template, SIGSTOP), 0);
    wait_for_state(its_template, 'T');
}

static void one_of_httpds_that_is_stopped_is_killed(void **state)
{
    (void)state;
    have_one(JOB_FOREIGN, false);
    is_stopped();
    is_waited_for_until(60000);
    expect_text("not ready after 60 s: somebody has stopped it, and is sent "
                "SIGKILL");
    wait_for_state(its_template, 'Z');
}

static void one_that_loads_and_is_stopped_is_killed(void **state)
{
    (void)state;
    have_one(0, false);
    is_stopped();
    is_waited_for_until(60000);
    expect_text("not ready after 60 s: somebody has stopped it, and is sent "
                "SIGKILL");
    expect_killed();
}

static void one_that_waits_for_ever_is_killed(void **state)
{
    (void)state;
    have_one(0, false);
    wait_for_state(its_template, 'S');
    is_waited_for_until(600000);
    expect_text(
        "not ready after 600 s, and is sent SIGKILL; it has used no CPU "
        "time for a minute");
    expect_killed();
}

static void works_on_and_on(void)
{
    int64_t at = 0;

    for (; at < 600000; at += 59000) {
        assert_int_equal(preload_timers(BEGAN + at), 5000);
        it_works();
    }
    assert_int_equal(t->said, SAID_NOTHING);
    assert_int_equal(preload_timers(BEGAN + 600000), -1);
    assert_int_equal(t->said, SAID_FAILED);
}

static void one_that_works_has_more_time(void **state)
{
    (void)state;
    have_one(0, false);
    works_on_and_on();
    expect_text(
        "not ready after 600 s, and is sent SIGKILL; have it load less");
    expect_killed();
}

static void so_has_one_of_httpds(void **state)
{
    (void)state;
    have_one(JOB_FOREIGN, false);
    works_on_and_on();
    expect_text("not ready after 600 s, and is sent SIGKILL");
    wait_for_state(its_template, 'Z');
}

static void one_that_waits_for_what_it_has_started_works(void **state)
{
    (void)state;
    have_one(0, true);
    works_on_and_on();
}

static void others_are_not_waited_for(void **state)
{
    (void)state;
    have_one(0, false);
    t->said = SAID_READY;
    assert_int_equal(preload_timers(BEGAN), -1);
    t->said = SAID_NOTHING;
    t->state = JOB_ENDED;
    assert_int_equal(preload_timers(BEGAN), -1);
    t->state = JOB_STARTING;
    t->flags |= JOB_GIVEN_UP;
    assert_int_equal(preload_timers(BEGAN + 600000), -1);
    t->flags &= (uint16_t)~JOB_GIVEN_UP;
    t->pid = 0; /* it is being forked */
    assert_int_equal(preload_timers(BEGAN + 600000), -1);
    assert_int_equal(t->said, SAID_NOTHING);
    expect_called("");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, end_all)
    const struct CMUnitTest tests[] = {
        T(one_of_httpds_that_is_stopped_is_killed),
        T(one_that_loads_and_is_stopped_is_killed),
        T(one_that_waits_for_ever_is_killed),
        T(one_that_works_has_more_time),
        T(so_has_one_of_httpds),
        T(one_that_waits_for_what_it_has_started_works),
        T(others_are_not_waited_for)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_preload", tests, NULL, NULL);
}
