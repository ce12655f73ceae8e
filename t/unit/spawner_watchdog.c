/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the spawner takes a broker for one that hangs and kills it, and, at
 * least as much, when it does not: it answers, it waits for a disk, somebody
 * debugs it, it has no CPU, it opens its store, or the machine stood still.
 */
#define PART_HAS_WATCHDOG
#include "t/unit/spawner_part.h"

static struct {
    char letter; /* the broker's state; 0: that is not shown */
    int64_t cpu_ms;
} its;

static int the_state(pid_t pid, char *ret_state, int64_t *ret_cpu_ms)
{
    assert_int_equal(pid, 77);
    if (!its.letter)
        return -ESRCH;
    *ret_state = its.letter;
    *ret_cpu_ms = its.cpu_ms;
    return 0;
}
#define spawn_os_state(pid, letter, cpu) the_state(pid, letter, cpu)

static int the_kill(pid_t pid, int signo)
{
    note("kill %d %d", (int)pid, signo);
    return 0;
}
#define kill(pid, signo) the_kill(pid, signo)

#include "spawner/watchdog.c"
#undef kill

static int64_t now_ms;

static int start(void **state)
{
    (void)state;
    no_state();
    its.letter = 'S';
    its.cpu_ms = 500;
    now_ms = 1000000;
    spawner.broker_pid = 77;
    spawner.link = 5;
    spawner.broker_is_of_our_release = true;
    spawner.broker_ready = true;
    read_log();
    watchdog_begin(now_ms);
    return 0;
}

static void pass(int64_t ms)
{
    now_ms += ms;
}

/* It has been heard, has been silent since, and has just been asked. */
static void ask_it(void)
{
    watchdog_heard();
    assert_int_equal(watchdog_timers(now_ms), QUIET_MS);
    pass(QUIET_MS);
    assert_int_equal(watchdog_timers(now_ms), LOOK_MS);
    expect_called("tell_alive; ");
}

/* That many looks, in its state. */
static void look_on(unsigned looks)
{
    while (looks-- > 0) {
        pass(LOOK_MS);
        assert_int_equal(watchdog_timers(now_ms), LOOK_MS);
    }
}

/* Not sooner than a second later, and then again. */
static void a_look_comes_each_second(void **state)
{
    (void)state;
    its.letter = 'T';
    watchdog_heard();
    assert_int_equal(watchdog_timers(now_ms), 3000);
    ask_it();
    pass(1);
    assert_int_equal(watchdog_timers(now_ms), 999);
    pass(999);
    assert_int_equal(watchdog_timers(now_ms), 1000);
    assert_int_equal(spawner.watchdog.looks, 1);
    pass(500);
    assert_int_equal(watchdog_timers(now_ms), 500);
    assert_int_equal(spawner.watchdog.looks, 1);
}

#define expect_killed() expect_called("kill 77 9; ")
#define expect_left_alone()                                                    \
    do {                                                                       \
        expect_called("");                                                     \
        expect_no_line();                                                      \
    } while (0)

static void one_that_talks_is_not_asked(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 100; i++) {
        pass(QUIET_MS - 1);
        watchdog_heard();
        assert_int_equal(watchdog_timers(now_ms), QUIET_MS);
    }
    expect_left_alone();
    pass(1);
    assert_int_equal(watchdog_timers(now_ms), QUIET_MS - 1);
    pass(QUIET_MS - 2);
    assert_int_equal(watchdog_timers(now_ms), 1);
    expect_left_alone();
}

static void one_that_answers_is_left_alone(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 20; i++) {
        ask_it();
        look_on(SILENT_LOOKS - 1);
    }
    expect_left_alone();
}

static void one_that_sleeps_and_does_not_answer_is_killed(void **state)
{
    (void)state;
    ask_it();
    look_on(SILENT_LOOKS - 1);
    expect_left_alone();
    pass(LOOK_MS - 1);
    assert_int_equal(watchdog_timers(now_ms), 1); /* not so often */
    expect_left_alone();
    pass(1);
    assert_int_equal(watchdog_timers(now_ms), LOOK_MS);
    expect_killed();
    expect_logged("MS0357: the broker (pid 77) has not answered for 60 s (it "
                  "sleeps): it is killed, and another takes its place");
    look_on(SILENT_LOOKS - 1); /* it takes a while to end */
    expect_left_alone();
}

static void one_that_was_stopped_is_killed(void **state)
{
    (void)state;
    its.letter = 'T';
    ask_it();
    look_on(STOPPED_LOOKS - 1);
    expect_left_alone();
    look_on(1);
    expect_killed();
    expect_logged("has not answered for 10 s (it was stopped)");
}

/* Else a loop could not be told from work. */
static void one_that_loops_is_killed(void **state)
{
    (void)state;
    its.letter = 'R';
    ask_it();
    its.cpu_ms += 29999;
    look_on(SILENT_LOOKS * 3);
    expect_left_alone(); /* others have the CPU */
    its.cpu_ms++;
    look_on(1);
    expect_killed();
    expect_logged("(it uses the CPU)");
}

static void one_that_waits_for_a_disk_is_not(void **state)
{
    (void)state;
    ask_it();
    look_on(DISK_LOOKS - 1);
    its.letter = 'D';
    look_on(DISK_LOOKS - 1);
    expect_left_alone();
    look_on(1);
    expect_called("");
    expect_logged("MS0358: the broker (pid 77) has not answered for 10 s: it "
                  "waits in the kernel for a disk or a file system, and is let "
                  "wait");
    look_on(100);
    expect_left_alone(); /* told once */
    its.letter = 'S';
    look_on(SILENT_LOOKS - 1); /* it goes on with what it had to do */
    expect_left_alone();
    its.letter = 'D';
    look_on(DISK_LOOKS);
    expect_left_alone();
    ask_it(); /* it answered, and waits again */
    look_on(DISK_LOOKS);
    expect_called("");
    expect_logged("MS0358");
}

static void one_that_is_debugged_is_not(void **state)
{
    (void)state;
    ask_it();
    its.letter = 't';
    look_on(1000);
    expect_left_alone();
}

/* A store of another layout is brought up to date, a big one is read. */
static void one_that_opens_its_store_is_not(void **state)
{
    (void)state;
    spawner.broker_ready = false;
    ask_it(); /* it has answered before */
    its.letter = 'R';
    its.cpu_ms += 1000000;
    look_on(1000);
    its.letter = 'S';
    look_on(1000);
    its.letter = 0;
    look_on(1000);
    expect_left_alone();
    its.letter = 'T'; /* but it opens nothing like that */
    look_on(1);
    expect_killed();
}

/* Of one that has refused to get ready, since another process has its store,
 * and one on a full disk, more is known. */
static void one_that_tries_its_store_again_has_its_time(void **state)
{
    (void)state;
    spawner.broker_ready = false;
    spawner.broker_refused = true;
    its.letter = 'R';
    ask_it();
    its.cpu_ms += LOOPS_MS;
    look_on(SILENT_LOOKS - 1);
    expect_left_alone();
    look_on(1);
    expect_killed();
}

/* /proc did not show its CPU time when it was asked. */
static void what_it_has_used_before_does_not_count(void **state)
{
    (void)state;
    its.letter = 0;
    its.cpu_ms = 10000000;
    ask_it();
    its.letter = 'R';
    look_on(SILENT_LOOKS * 2);
    expect_left_alone();
    its.cpu_ms += LOOPS_MS;
    look_on(1);
    expect_killed();
}

static void a_machine_that_stood_still_is_no_reason(void **state)
{
    (void)state;
    ask_it();
    pass(3600000);
    assert_int_equal(watchdog_timers(now_ms), LOOK_MS);
    look_on(SILENT_LOOKS - 2);
    expect_left_alone();
    look_on(1);
    expect_killed();
}

static void where_nothing_is_shown_it_takes_longer(void **state)
{
    (void)state;
    its.letter = 0;
    ask_it();
    look_on(SILENT_LOOKS - 1);
    expect_left_alone();
    look_on(1);
    expect_killed();
    expect_logged("MS0357: the broker (pid 77) has not answered for 60 s "
                  "(nothing shows what it does)");
}

static void only_a_broker_of_our_release_is_asked(void **state)
{
    (void)state;
    watchdog_heard();
    pass(QUIET_MS);
    spawner.broker_is_of_our_release = false;
    assert_int_equal(watchdog_timers(now_ms), -1);
    spawner.broker_is_of_our_release = true;
    spawner.link = -1;
    assert_int_equal(watchdog_timers(now_ms), -1);
    spawner.link = 5;
    spawner.broker_pid = 0;
    assert_int_equal(watchdog_timers(now_ms), -1);
    expect_left_alone();
}

/* The looks at its predecessor do not count. */
static void its_successor_begins_anew(void **state)
{
    (void)state;
    its.letter = 'S';
    ask_it();
    look_on(SILENT_LOOKS - 1);
    watchdog_begin(now_ms);
    spawner.broker_ready = false;
    assert_int_equal(watchdog_timers(now_ms), QUIET_MS);
    look_on(0);
    pass(QUIET_MS);
    assert_int_equal(watchdog_timers(now_ms), LOOK_MS);
    expect_called("tell_alive; ");
    look_on(SILENT_LOOKS * 2);
    expect_left_alone(); /* it opens its store */
}

#define T(f) cmocka_unit_test_setup(f, start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_that_talks_is_not_asked),
        T(a_look_comes_each_second),
        T(one_that_answers_is_left_alone),
        T(one_that_sleeps_and_does_not_answer_is_killed),
        T(one_that_was_stopped_is_killed),
        T(one_that_loops_is_killed),
        T(one_that_waits_for_a_disk_is_not),
        T(one_that_is_debugged_is_not),
        T(one_that_opens_its_store_is_not),
        T(one_that_tries_its_store_again_has_its_time),
        T(what_it_has_used_before_does_not_count),
        T(a_machine_that_stood_still_is_no_reason),
        T(where_nothing_is_shown_it_takes_longer),
        T(only_a_broker_of_our_release_is_asked),
        T(its_successor_begins_anew),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_watchdog", tests, NULL, NULL);
}
