/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner's start and loop, without its process: everything that is planned
 * has its turn, the loop waits no longer than until the next of it, and of the
 * signals that come only the one that systemd sends counts.
 */
#include "t/unit/spawner_part.h"

#include <sys/signalfd.h>

#include "common/spawn_closer.h"

int spawner_main(int argc, char **argv);

static int64_t now_ms;
#define spawn_mono_ms()        now_ms
#define spawn_closer_tick(now) planned("closer", (now))
#define main                   spawner_main

enum {
    OF_PARENT,
    OF_BROKER,
    OF_WATCHDOG,
    OF_CLONE,
    OF_CGROUP,
    OF_FOREIGN,
    OF_EXTERNAL,
    OF_NOTIFY,
    OF_RELAY,
    OF_CLOSER,
    PLANS
};

static const char *const names[PLANS] = {"parent",   "broker", "watchdog",
                                         "clone",    "cgroup", "preload",
                                         "external", "notify", "relay",
                                         "closer"};
static int plan[PLANS]; /* ms to it; -1: none */

static int planned(const char *name, int64_t now)
{
    unsigned i;

    assert_int_equal(now, now_ms);
    note("%s", name);
    for (i = 0; strcmp(names[i], name) != 0; i++)
        continue;
    return plan[i];
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wreturn-type" /* as a main it may end so */
#include "spawner/main.c"
#pragma GCC diagnostic pop
#undef main

int parent_timers(int64_t now)
{
    return planned("parent", now);
}

int broker_timers(int64_t now)
{
    return planned("broker", now);
}

int watchdog_timers(int64_t now)
{
    return planned("watchdog", now);
}

int clone_timers(int64_t now)
{
    return planned("clone", now);
}

int cgroup_timers(int64_t now)
{
    return planned("cgroup", now);
}

int preload_timers(int64_t now)
{
    return planned("preload", now);
}

int external_timers(int64_t now)
{
    return planned("external", now);
}

int notify_timers(int64_t now)
{
    return planned("notify", now);
}

int64_t relay_timers(int64_t now)
{
    return planned("relay", now);
}

static bool is_service;

bool external_stop(void)
{
    note("external_stop");
    return is_service;
}

void broker_stop(void)
{
    note("broker_stop");
}

void reap_some(void)
{
    note("reap_some");
}

/* ---- what is not come to here ---- */

bool external(void)
{
    return false;
}

int external_begin(void)
{
    return 0;
}

void external_resume(void)
{
}

int resume(int fd)
{
    return fd;
}

int table_init(void)
{
    return 0;
}

job *table_at(uint32_t index)
{
    (void)index;
    return NULL;
}

void clone_open(void)
{
}

void clone_look(void)
{
}

void job_progress(job *j)
{
    (void)j;
}

void template_input(job *template)
{
    (void)template;
}

void template_may_be_gone(job *template)
{
    (void)template;
}

void orders_input(void)
{
}

void parent_input(void)
{
}

void parent_accept(void)
{
}

void parent_gone(const char *how)
{
    (void)how;
}

void adopter_input(void)
{
}

bool tell_flush(void)
{
    return true;
}

static int start(void **state)
{
    unsigned i;

    (void)state;
    no_state();
    for (i = 0; i < PLANS; i++)
        plan[i] = -1;
    now_ms = 1000000;
    is_service = false;
    read_log();
    return 0;
}

/* ---- what is planned ---- */

static void all_have_their_turn(void **state)
{
    unsigned i;

    (void)state;
    (void)next_deadline();
    for (i = 0; i < PLANS; i++)
        assert_non_null(strstr(called, names[i]));
}

static void where_nothing_is_planned_it_waits_for_events(void **state)
{
    (void)state;
    assert_int_equal(next_deadline(), -1);
}

static void it_waits_for_the_next_of_them(void **state)
{
    unsigned i, k;

    (void)state;
    for (i = 0; i < PLANS; i++) {
        for (k = 0; k < PLANS; k++)
            plan[k] = k == i ? 5 : 100;
        assert_int_equal(next_deadline(), 5);
        for (k = 0; k < PLANS; k++)
            plan[k] = k == i ? 7 : -1;
        assert_int_equal(next_deadline(), 7);
    }
}

static void a_broker_is_started_at_its_time(void **state)
{
    (void)state;
    spawner.broker_start_at = now_ms + 30;
    assert_int_equal(next_deadline(), 30);
    assert_null(strstr(called, "broker_start"));
    now_ms += 30;
    (void)next_deadline();
    assert_non_null(strstr(called, "broker_start"));
}

/* Lines that were held back are counted in the log, though nothing else happens
 * then. */
static void lines_that_were_left_out_are_told_in_time(void **state)
{
    int i, wait;

    (void)state;
    for (i = 0; i < 20; i++)
        spawn_log_few("its test", 3, SPAWN_LOG_WARN, "this comes often");
    now_ms = spawn_log_due() - 1;
    wait = next_deadline();
    assert_int_equal(wait, 1);
    assert_true(log_says("this comes often"));
    now_ms++;
    (void)next_deadline();
    assert_true(log_says("17 "));
}

/* ---- what it begins with ---- */

static int closes_without_descriptors(void)
{
    struct rlimit none = {3, 3};
    struct pollfd other_end;
    int ends[2];

    if (set_up() < 0 || pipe2(ends, O_CLOEXEC) < 0
        || setrlimit(RLIMIT_NOFILE, &none) < 0)
        return 1;
    spawn_closer_give(ends[1], 0);
    other_end.fd = ends[0];
    other_end.events = POLLIN;
    return poll(&other_end, 1, DEADLINE_MS) == 1 ? 0 : 2;
}

/* The closer has those that it needs from the start. */
static void without_descriptors_it_can_close(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(closes_without_descriptors), 0);
}

/* ---- signals ---- */

static void take(const int *numbers, size_t count)
{
    struct signalfd_siginfo some[4];
    int ends[2];
    size_t i;

    memset(some, 0, sizeof(some));
    for (i = 0; i < count; i++)
        some[i].ssi_signo = (uint32_t)numbers[i];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(write(ends[1], some, count * sizeof(some[0])),
                     count * sizeof(some[0]));
    spawner.signals = ends[0];
    signals_input();
    spawn_close_fds(ends, 2);
}

static void term_ends_a_service(void **state)
{
    static const int numbers[] = {SIGCHLD, SIGTERM};

    (void)state;
    is_service = true;
    take(numbers, 2);
    expect_called("external_stop; broker_stop; reap_some; ");
}

static void term_is_a_stray_for_one_of_httpd(void **state)
{
    static const int term = SIGTERM;

    (void)state;
    take(&term, 1);
    expect_called("external_stop; reap_some; ");
}

/* Those of the look before do not count again. */
static void other_signals_are_strays(void **state)
{
    static const int numbers[] = {SIGHUP, SIGTERM, SIGTERM, SIGTERM};

    (void)state;
    is_service = true;
    take(numbers, 4);
    called[0] = '\0';
    take(numbers, 1);
    expect_called("reap_some; ");
}

#define T(f) cmocka_unit_test_setup(f, start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(all_have_their_turn),
        T(where_nothing_is_planned_it_waits_for_events),
        T(it_waits_for_the_next_of_them),
        T(a_broker_is_started_at_its_time),
        T(lines_that_were_left_out_are_told_in_time),
        T(without_descriptors_it_can_close),
        T(term_ends_a_service),
        T(term_is_a_stray_for_one_of_httpd),
        T(other_signals_are_strays),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_loop", tests, NULL, NULL);
}
