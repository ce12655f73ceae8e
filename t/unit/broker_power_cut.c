/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine stops while the store is in use: the next broker says how many
 * jobs it runs that may have run. Nothing is said where the last broker ended
 * in order, or the machine has not stopped. The protocol of broker_caller.h.
 */
#include <limits.h>

#include "t/unit/broker_caller.h"

static spawn_id waiting, other;

static void stops_with_jobs(void)
{
    make_store();
    (void)spawn_id_make(&waiting);
    (void)spawn_id_make(&other);
    put_job(&waiting, SPAWN_STATE_QUEUED, NULL);
    put_job(&other, SPAWN_STATE_QUEUED, NULL);
    log_is_kept = true;
}

static void is_another_boot(void)
{
    run_sql("UPDATE meta SET value = 'another' WHERE key = 'boot_id'");
}

/* Nobody says GO to it. */
static void broker_is_killed(void)
{
    start_broker();
    expect_ready();
    kill_broker();
}

static void what_may_have_run_is_told_once(void **state)
{
    (void)state;
    stops_with_jobs();
    broker_is_killed();
    assert_int_equal(logged("MS0895"), 0);
    is_another_boot();
    start_broker();
    expect_ready();
    assert_int_equal(logged("MS0895"), 1);
    assert_int_equal(logged("and 2 jobs wait in it"), 1);
    kill_broker();
    broker_is_killed();
    assert_int_equal(logged("MS0895"), 1);
}

static void nothing_is_told_after_an_end_in_order(void **state)
{
    (void)state;
    stops_with_jobs();
    broker_is_killed();
    start_broker();
    expect_ready();
    say(SPAWN_M_LINGER);
    say(SPAWN_M_QUIT);
    assert_int_equal(waitpid(broker, NULL, 0), broker);
    broker = 0;
    end_broker();
    is_another_boot();
    broker_is_killed();
    assert_int_equal(logged("MS0895"), 0);
}

/* A job runs, so the pair is still there; its spawner is killed. */
static void nothing_is_told_when_the_spawner_goes_first(void **state)
{
    (void)state;
    stops_with_jobs();
    queue_jobs = 1;
    start_broker();
    expect_ready();
    call_in();
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_LAUNCH, &waiting);
    say_started(&waiting);
    has_heard();
    say(SPAWN_M_LINGER);
    (void)close(link_fd);
    link_fd = -1;
    assert_int_equal(waitpid(broker, NULL, 0), broker);
    broker = 0;
    end_broker();
    is_another_boot();
    broker_is_killed();
    assert_int_equal(logged("MS0895"), 0);
}

/* Another broker has the store by then, and the machine stops under that. */
static void the_mark_of_the_next_one_stays(void **state)
{
    char path[PATH_MAX], other_path[PATH_MAX];
    int fd;

    (void)state;
    stops_with_jobs();
    start_broker();
    expect_ready();
    (void)snprintf(path, sizeof(path), "%s/in_use", dir);
    (void)snprintf(other_path, sizeof(other_path), "%s/of_the_next", dir);
    fd = open(other_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(rename(other_path, path), 0);
    say(SPAWN_M_LINGER);
    say(SPAWN_M_QUIT);
    assert_int_equal(waitpid(broker, NULL, 0), broker);
    broker = 0;
    end_broker();
    is_another_boot();
    broker_is_killed();
    assert_int_equal(logged("MS0895"), 1);
}

static void nothing_is_told_within_a_boot(void **state)
{
    (void)state;
    stops_with_jobs();
    broker_is_killed();
    broker_is_killed();
    assert_int_equal(logged("MS0895"), 0);
}

static void nothing_is_told_where_nothing_waits(void **state)
{
    (void)state;
    make_store();
    log_is_kept = true;
    broker_is_killed();
    is_another_boot();
    broker_is_killed();
    assert_int_equal(logged("MS0895"), 0);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(what_may_have_run_is_told_once),
        ALONE(nothing_is_told_after_an_end_in_order),
        ALONE(nothing_is_told_when_the_spawner_goes_first),
        ALONE(the_mark_of_the_next_one_stays),
        ALONE(nothing_is_told_within_a_boot),
        ALONE(nothing_is_told_where_nothing_waits)};

    find_broker();
    return cmocka_run_group_tests_name("power_cut", tests, NULL, NULL);
}
