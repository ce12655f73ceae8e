/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A spawner tells that the parent of a job has gone: of a job that it told
 * nothing of before, of one that waits or has ended, and twice; and when the
 * end of such a job was. The protocol of broker_found.h, with a clock that can
 * be stepped.
 */
#include "t/unit/broker_stepped.h"

#include "t/unit/broker_found.h"

static void submit_it(uint64_t timeout)
{
    spawn_writer w;

    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    if (timeout)
        spawn_put_u64(&w, SPAWN_A_TIMEOUT, timeout);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
}

/* That it was forked was not told. */
static void it_is_orphaned_first(uint64_t timeout)
{
    child_runs(CHILD_OBEYS);
    reach_go_and_call_in();
    submit_it(timeout);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_orphaned(child, child_started);
    is_there();
}

static void its_process_is_stored(void **state)
{
    char sql[100];

    (void)state;
    make_store();
    it_is_orphaned_first(0);
    kill_broker();
    (void)snprintf(sql, sizeof(sql),
                   "SELECT state || ' ' || (pid = %d) FROM job", (int)child);
    expect_sql(sql, "3 1");
    child_ends();
}

static void its_time_counts(void **state)
{
    (void)state;
    it_is_orphaned_first(5000);
    time_passes(6);
    child_was_killed(SIGTERM);
    expect_id(SPAWN_M_FORGET, &job);
}

static void told_twice_it_is_followed_once(void **state)
{
    (void)state;
    it_is_orphaned_first(0);
    say_orphaned(child, child_started);
    is_there();
    assert_int_equal(has_open("pidfd"), 1);
    child_ends();
    expect_id(SPAWN_M_FORGET, &job);
    is_there();
    assert_int_equal(has_open("pidfd"), 0);
}

/* It was forked: its template, which may live, owes no word of that. */
static void its_template_is_not_taken_for_stuck(void **state)
{
    spawn_id template;
    spawn_writer w;

    (void)state;
    child_runs(CHILD_OBEYS);
    rules = "A";
    reach_go_and_call_in();
    template_starts(&template, true);
    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_order(&job, &template);
    say_orphaned(child, child_started);
    time_passes(100);
    quiet_for(1);
    child_ends();
}

static void one_that_waits_goes_on_waiting(void **state)
{
    (void)state;
    child_runs(CHILD_OBEYS);
    start_broker();
    expect_ready();
    call_in();
    submit_it(0);
    say_orphaned(child, child_started);
    is_there();
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_LAUNCH, &job);
    child_ends();
}

/* Its end is not stored yet. */
static void one_that_has_ended_ends_no_more(void **state)
{
    (void)state;
    make_store_that_fails(NO_END);
    reach_go_and_call_in();
    submit_it(0);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    say_exited(&job, 0, 0);
    is_there();
    say_orphaned(4000000, 0);
    is_there();
    quiet_for(1);
}

/* Nobody has reaped it yet, who could tell its code. */
static void the_end_is_when_it_was_seen(void **state)
{
    struct pollfd p = {-1, POLLIN, 0};
    char sql[100];
    int64_t last;

    (void)state;
    it_is_orphaned_first(0);
    p.fd = spawn_os_pidfd(child);
    (void)close(gate);
    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    (void)close(p.fd);
    is_there();
    last = spawn_wall_ms();
    time_passes(60);
    expect_id(SPAWN_M_FORGET, &job);
    assert_int_equal(waitpid(child, NULL, 0), child);
    end_broker();
    (void)snprintf(sql, sizeof(sql), "SELECT ended_at <= %lld FROM job",
                   (long long)last);
    expect_sql(sql, "1");
}

int main(void)
{
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        STEPPED(its_process_is_stored),
        STEPPED(its_time_counts),
        STEPPED(told_twice_it_is_followed_once),
        STEPPED(its_template_is_not_taken_for_stuck),
        STEPPED(one_that_waits_goes_on_waiting),
        STEPPED(one_that_has_ended_ends_no_more),
        STEPPED(the_end_is_when_it_was_seen)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("orphaned", tests, NULL, NULL);
}
