/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job that was sent TERM when its broker is killed, or the spawner too: the
 * next broker ends what is left of its group when the grace that was begun is
 * over. The protocol of broker_found.h, with a clock that can be stepped.
 */
#include "t/unit/broker_stepped.h"

#include "t/unit/broker_found.h"

#include "t/unit/corner.h"

#define GRACE   100000 /* ms */
#define OVERDUE 5000

static spawn_id template;

static void another_broker(void)
{
    kill_broker();
    tell_pid_count = 0;
    start_broker();
}

static void say_it_runs(void)
{
    say_running(SPAWN_STATE_RUNNING, child, spawn_boot_ms() - child_started);
}

/* Time goes on: whoever is in the group now is older than what follows. */
static void it_runs(child_how how, uint64_t timeout)
{
    log_is_kept = true;
    child_runs(how);
    put_program(SPAWN_STATE_RUNNING, timeout, GRACE, false);
    start_broker();
    say_it_runs();
    go();
    call_in();
    time_passes(6);
}

/* It was sent TERM for its time-out. */
static void it_is_overdue(child_how how)
{
    make_store();
    it_runs(how, OVERDUE);
    expect_signal(SIGTERM);
    is_there();
}

static void leader_obeys(void)
{
    assert_int_equal(kill(child, SIGTERM), 0); /* ours, not yet reaped */
    child_was_killed(SIGTERM);
}

static void grace_is_kept(void)
{
    expect_ready();
    call_in();
    time_passes(95);
    who_is_left_lives();
    time_passes(6);
    who_is_left_was_killed();
}

/* Lets the process end that is left of a group, which is not looked at any
 * more. */
static void let_it_end(void)
{
    (void)close(left);
    (void)close(gate);
}

static void expect_no_grace(void)
{
    expect_sql("SELECT count(*) FROM grace", "0");
}

/* ---- its broker lives ---- */

static void nothing_is_left_of_it_with_its_end(void **state)
{
    spawn_writer w;

    (void)state;
    log_is_kept = true;
    child_runs(CHILD_IGNORES_TERM);
    reach_go();
    call_in();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, OVERDUE);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    begin(&w, SPAWN_M_STARTED, &job);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)child);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)child_started);
    send_fds(&w, NULL, 0);
    time_passes(6);
    expect_signal(SIGTERM);
    say_exited(&job, 0, SIGTERM);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_no_grace();
    child_ends();
}

/* ---- its spawner lives ---- */

/* TERM again: the broker may have been killed before it was out. */
static void kill_comes_when_it_was_due(void **state)
{
    (void)state;
    it_is_overdue(CHILD_IGNORES_TERM);
    time_passes(50);
    another_broker();
    say_it_runs();
    say(SPAWN_M_TABLE_END);
    expect_signal(SIGTERM);
    expect(SPAWN_M_BROKER_READY);
    call_in();
    time_passes(40);
    quiet_for(1);
    time_passes(11);
    expect_signal(SIGKILL);
    say_exited(&job, 0, SIGKILL);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 3 - 9");
    expect_no_grace();
    assert_int_equal(kill(child, SIGKILL), 0);
    child_was_killed(SIGKILL);
}

static void so_it_does_when_it_is_overdue(void **state)
{
    (void)state;
    it_is_overdue(CHILD_IGNORES_TERM);
    steps[1] += 200; /* while there is none */
    another_broker();
    say_it_runs();
    say(SPAWN_M_TABLE_END);
    expect_signal(SIGTERM);
    expect_signal(SIGKILL);
    expect(SPAWN_M_BROKER_READY);
    assert_int_equal(kill(child, SIGKILL), 0);
    child_was_killed(SIGKILL);
}

/* SpawnOnStop kill: no time-out says that to the next broker. */
static void a_stop_that_kills_is_gone_on_with(void **state)
{
    (void)state;
    on_stop_kills = true;
    make_store();
    it_runs(CHILD_IGNORES_TERM, 0);
    say(SPAWN_M_LINGER);
    expect_signal(SIGTERM);
    is_there();
    another_broker();
    say_it_runs();
    say(SPAWN_M_TABLE_END);
    expect_signal(SIGTERM);
    expect(SPAWN_M_BROKER_READY);
    call_in();
    time_passes(101);
    expect_signal(SIGKILL);
    say_exited(&job, 0, SIGKILL);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 4 - 9");
    assert_int_equal(kill(child, SIGKILL), 0);
    child_was_killed(SIGKILL);
}

/* Its template was its parent, and has gone. */
static void who_an_orphan_leaves_has_its_grace(void **state)
{
    (void)state;
    it_is_overdue(CHILD_LEAVES_ONE);
    leader_obeys();
    another_broker();
    say_it_runs();
    say_orphaned(child, child_started);
    grace_is_kept();
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 3 - -");
    expect_no_grace();
}

/* The spawner has waited for all of it. */
static void of_one_that_has_ended_nothing_is_left(void **state)
{
    (void)state;
    it_is_overdue(CHILD_LEAVES_ONE);
    leader_obeys();
    another_broker();
    say_it_runs();
    say_exited(&job, 0, 5 << 8); /* by itself, but it was told to */
    expect_ready();
    expect_id(SPAWN_M_FORGET, &job);
    call_in();
    time_passes(101);
    who_is_left_lives();
    expect_jobs("4 3 5 -");
    expect_no_grace();
    let_it_end();
}

/* ---- its spawner was killed, too ---- */

static void who_is_left_has_its_grace(void **state)
{
    (void)state;
    it_is_overdue(CHILD_LEAVES_ONE);
    leader_obeys();
    another_spawner();
    another_broker();
    grace_is_kept();
    expect_jobs("4 3 - -");
    expect_no_grace();
    assert_int_equal(logged("timed out after 5 s"), 1);
}

static void so_it_has_over_one_broker_more(void **state)
{
    (void)state;
    it_is_overdue(CHILD_LEAVES_ONE);
    leader_obeys();
    another_spawner();
    another_broker();
    expect_ready();
    another_broker(); /* for which the job has ended long ago */
    grace_is_kept();
    expect_jobs("4 3 - -");
    expect_no_grace();
}

static void a_leader_that_lives_is_killed_then(void **state)
{
    (void)state;
    it_is_overdue(CHILD_IGNORES_TERM);
    another_spawner();
    another_broker();
    expect_ready();
    call_in();
    time_passes(95);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    time_passes(6);
    child_was_killed(SIGKILL);
    comes_to_rest();
    end_broker();
    expect_sql("SELECT outcome FROM job", "3");
}

/* ---- whose number it may not be any more ---- */

/* When this was done to the store. */
static void who_is_left_is_let_alone(const char *sql)
{
    it_is_overdue(CHILD_LEAVES_ONE);
    leader_obeys();
    kill_broker();
    run_sql(sql);
    another_spawner();
    start_broker();
    expect_ready();
    call_in();
    time_passes(101);
    who_is_left_lives();
    end_broker();
    expect_no_grace();
    let_it_end();
}

static void rows_of_another_boot_are_dropped(void **state)
{
    (void)state;
    who_is_left_is_let_alone("UPDATE grace SET boot = 'another'");
}

/* It was not there when its leader was seen last. */
static void a_younger_group_is_let_alone(void **state)
{
    (void)state;
    who_is_left_is_let_alone("UPDATE grace SET noted = noted - 3600000");
}

/* Nothing is noted of who had ended before TERM. */
static void nothing_is_noted_of_the_dead(void **state)
{
    (void)state;
    child_is_found(CHILD_LEAVES_ONE, 1000, GRACE);
    go();
    leader_obeys();
    call_in();
    time_passes(2);
    expect_signal(SIGTERM);
    end_broker();
    expect_no_grace();
    let_it_end();
}

/* ---- workers ---- */

static void say_worker_runs(const worker *w)
{
    static const uint64_t keep[] = {
        0, SPAWN_KEEP_BOARD,  1, SPAWN_KEEP_WORKER,
        2, SPAWN_KEEP_TICKET, 3, SPAWN_KEEP_ERR_PIPE};
    spawn_writer said;

    begin(&said, SPAWN_M_RUNNING, &w->id);
    spawn_put_u64(&said, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&said, SPAWN_A_PID, (uint64_t)child);
    spawn_put_u64(&said, SPAWN_A_BOOT_STARTED, (uint64_t)child_started);
    spawn_put_u64(&said, SPAWN_A_IS_WORKER, 1);
    spawn_put_u64v(&said, SPAWN_A_KEEP, keep, 8);
    send_fds(&said, w->kept, 4);
}

/* Its call returned all the same, and the broker was killed: it serves no other
 * one, and nobody ends it. */
static void a_worker_that_was_sent_term_leaves(void **state)
{
    spawn_writer said;
    spawn_id id;
    worker w;

    (void)state;
    child_runs(CHILD_IGNORES_TERM);
    log_is_kept = true;
    reach_workers(1, 1, &template);
    worker_ordered(&w);
    begin(&said, SPAWN_M_STARTED, &w.id);
    spawn_put_u64(&said, SPAWN_A_PID, (uint64_t)child);
    spawn_put_u64(&said, SPAWN_A_BOOT_STARTED, (uint64_t)child_started);
    send_fds(&said, NULL, 0);
    worker_says(&w, NULL);
    is_there();
    (void)spawn_id_make(&id);
    begin(&said, SPAWN_M_SUBMIT, &id);
    spawn_put_str(&said, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(&said, SPAWN_A_TIMEOUT, 1000);
    spawn_put_u64(&said, SPAWN_A_GRACE, GRACE);
    ask(&said);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&w, &id);
    time_passes(2);
    expect_id(SPAWN_M_SIGNAL, &w.id);
    kill_broker();
    worker_returns(&w, &id);
    tell_pid_count = 0;
    start_broker();
    say_worker_runs(&w);
    expect_ready();
    call_in();
    expect_no_more(&w);
    time_passes(101);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    child_ends();
    begin(&said, SPAWN_M_EXITED, &w.id);
    spawn_put_u64(&said, SPAWN_A_WAIT_STATUS, 0);
    send_fds(&said, NULL, 0);
    is_there();
    end_broker();
    expect_sql("SELECT state || ' ' || exit_code FROM job", "4 0");
    expect_no_grace();
}

/* ---- it cannot be noted ---- */

static void term_and_kill_come_without_a_note(void **state)
{
    (void)state;
    make_store();
    run_sql("CREATE TRIGGER no BEFORE INSERT ON grace BEGIN"
            " SELECT RAISE(ABORT, 'full'); END");
    it_runs(CHILD_IGNORES_TERM, OVERDUE);
    expect_signal(SIGTERM);
    time_passes(101);
    expect_signal(SIGKILL);
    say_exited(&job, 0, SIGKILL);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 3 - 9");
    assert_int_equal(kill(child, SIGKILL), 0);
    child_was_killed(SIGKILL);
}

int main(void)
{
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        STEPPED(nothing_is_left_of_it_with_its_end),
        STEPPED(kill_comes_when_it_was_due),
        STEPPED(so_it_does_when_it_is_overdue),
        STEPPED(a_stop_that_kills_is_gone_on_with),
        STEPPED(who_an_orphan_leaves_has_its_grace),
        STEPPED(of_one_that_has_ended_nothing_is_left),
        STEPPED(who_is_left_has_its_grace),
        STEPPED(so_it_has_over_one_broker_more),
        STEPPED(a_leader_that_lives_is_killed_then),
        STEPPED(rows_of_another_boot_are_dropped),
        STEPPED(a_younger_group_is_let_alone),
        STEPPED(nothing_is_noted_of_the_dead),
        STEPPED(a_worker_that_was_sent_term_leaves),
        STEPPED(term_and_kill_come_without_a_note)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("graces", tests, NULL, NULL);
}
