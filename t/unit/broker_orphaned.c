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
    ONLY_ROOT_LOOKS;
    it_is_orphaned_first(0);
    say_orphaned(child, child_started);
    is_there();
    assert_int_equal(has_open("pidfd"), 1);
    child_ends();
    expect_id(SPAWN_M_FORGET, &job);
    is_there();
    assert_int_equal(has_open("pidfd"), 0);
}

/* The count of jobs that its template is said to have forked. */
static void expect_forked(unsigned count)
{
    spawn_writer w;

    begin(&w, SPAWN_M_TEMPLATES, NULL);
    ask(&w);
    expect_answer(SPAWN_M_PROCESS);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEMPLATE, ""), "app");
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SERVED, 77), count);
    expect_answer(SPAWN_M_END);
}

/* It was forked: its template, which may live, owes no word of that. */
static void its_template_is_not_taken_for_stuck(void **state)
{
    spawn_id template;
    spawn_writer w;

    (void)state;
    child_runs(CHILD_OBEYS);
    reach_a_template(&template);
    begin_function(&w, &job);
    function_is_ordered(&w, &job, &template);
    say_orphaned(child, child_started);
    is_there();
    expect_forked(1);
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

/* ---- its template went before it was set up, or after that had failed ---- */

static void it_was_not_set_up(pid_t pid, spawn_step step, int error)
{
    spawn_writer w;

    begin(&w, SPAWN_M_ORPHANED, &job);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)child_started);
    spawn_put_u64(&w, SPAWN_A_STEP, step);
    spawn_put_u64(&w, SPAWN_A_ERRNO, (uint64_t)error);
    send_fds(&w, NULL, 0);
    is_there();
}

static void a_function_is_ordered(spawn_id *template)
{
    spawn_writer w;

    child_runs(CHILD_OBEYS);
    reach_a_template(template);
    begin_function(&w, &job);
    function_is_ordered(&w, &job, template);
}

static void ask_to_kill(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_KILL, &job);
    spawn_put_u64(&w, SPAWN_A_SIGNO, SIGKILL);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
}

/* It is still there: it goes first. */
static void who_never_ran_is_ordered_again(void **state)
{
    spawn_id template;

    (void)state;
    ONLY_ROOT_LOOKS;
    a_function_is_ordered(&template);
    it_was_not_set_up(child, SPAWN_STEP_TEMPLATE, ESRCH);
    quiet_for(1);
    expect_forked(0);
    assert_int_equal(has_open("pidfd"), 1);
    child_ends();
    expect_id(SPAWN_M_FORGET, &job);
    expect_order(&job, &template);
    assert_int_equal(has_open("pidfd"), 0);
    say_started(&job);
    ask_to_kill();
    expect_signal(SIGKILL); /* of who has a parent again */
    say_exited(&job, 0, 3 << 8);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 3 -");
}

static void gone_already_it_is_ordered_again(void **state)
{
    spawn_id first, second;

    (void)state;
    a_function_is_ordered(&first);
    it_was_not_set_up(4000000, SPAWN_STEP_TEMPLATE, ESRCH);
    expect_id(SPAWN_M_DISMISS, &first); /* it has gone: no order */
    expect_id(SPAWN_M_FORGET, &job);
    template_starts(&second, true);
    expect_order(&job, &second);
    child_ends();
}

static void who_was_killed_and_never_ran_is_cancelled(void **state)
{
    spawn_id template;

    (void)state;
    a_function_is_ordered(&template);
    ask_to_kill();
    expect_signal(SIGKILL);
    it_was_not_set_up(4000000, SPAWN_STEP_TEMPLATE, ESRCH);
    expect_id(SPAWN_M_DISMISS, &template);
    expect(SPAWN_M_LAUNCH); /* the next template */
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 4 - -");
    child_ends();
}

static void who_is_killed_and_never_runs_is_cancelled(void **state)
{
    spawn_id template;

    (void)state;
    a_function_is_ordered(&template);
    it_was_not_set_up(child, SPAWN_STEP_TEMPLATE, ESRCH);
    ask_to_kill();
    child_was_killed(SIGKILL);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 4 - -");
}

static void what_could_not_be_set_up_is_told(void **state)
{
    spawn_id template;

    (void)state;
    a_function_is_ordered(&template);
    it_was_not_set_up(child, SPAWN_STEP_CWD, ENOENT);
    child_ends();
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT outcome || ' ' || step || ' ' || errno FROM job",
               "5 29 2");
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
        STEPPED(who_never_ran_is_ordered_again),
        STEPPED(gone_already_it_is_ordered_again),
        STEPPED(who_was_killed_and_never_ran_is_cancelled),
        STEPPED(who_is_killed_and_never_runs_is_cancelled),
        STEPPED(what_could_not_be_set_up_is_told),
        STEPPED(its_template_is_not_taken_for_stuck),
        STEPPED(one_that_waits_goes_on_waiting),
        STEPPED(one_that_has_ended_ends_no_more),
        STEPPED(the_end_is_when_it_was_seen)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("orphaned", tests, NULL, NULL);
}
