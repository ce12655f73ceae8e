/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes of who was sent TERM that a broker finds with a job in a slot, with a
 * call on a ticket, with another signal, or of somebody else than its worker.
 * The protocol of broker_found.h, with a clock that can be stepped.
 */
#include "t/unit/broker_stepped.h"

#include "t/unit/broker_found.h"
#include "t/unit/broker_post.h"

static spawn_id template;
static worker the_worker;

/* As a broker before this one noted it. */
static void note(const spawn_id *id, pid_t pid, bool timed_out)
{
    char boot[37] = "", sql[300], hex[2 * SPAWN_ID_SIZE + 1];
    int i;

    for (i = 0; i < SPAWN_ID_SIZE; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", id->bytes[i]);
    (void)spawn_os_boot_id(boot);
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO grace (id, boot, pid, noted, until, timed_out)"
                   " VALUES (x'%s', '%s', %d, %lld, %lld, %d)",
                   hex, boot, (int)pid, (long long)spawn_boot_ms(),
                   (long long)spawn_boot_ms() + 1000, timed_out);
    run_sql(sql);
}

static void expect_no_note(void)
{
    expect_sql("SELECT count(*) FROM grace", "0");
}

/* ---- jobs ---- */

/* A KILL after that is the signal that has cancelled it. */
static void a_later_kill_is_why_it_ended(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_RUNNING, 0, 0, false);
    run_sql("UPDATE job SET cancel = 9");
    note(&job, 3999998, false);
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 3999998, 5000);
    say_exited(&job, 0, SIGKILL);
    expect_ready();
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 4 - 9");
    expect_no_note();
}

static void say_child_started(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_STARTED, id);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)child);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)child_started);
    send_fds(&w, NULL, 0);
}

static void child_is_killed(void)
{
    assert_int_equal(kill(child, SIGKILL), 0); /* ours, not yet reaped */
    child_was_killed(SIGKILL);
}

/* The store takes nothing but the note. */
static void one_that_is_not_stored_was_overdue(void **state)
{
    spawn_writer w;

    (void)state;
    child_runs(CHILD_IGNORES_TERM);
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    time_stands();
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, 500);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_child_started(&job);
    is_there();
    time_moves(600);
    expect_signal(SIGTERM);
    is_there();
    kill_broker();
    run_sql("DROP TRIGGER no");
    start_broker();
    say_running(SPAWN_STATE_RUNNING, child, 600);
    say_exited(&job, 0, 3 << 8); /* by itself, but it was told to */
    expect_ready();
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 3 3 -");
    expect_no_note();
    child_is_killed();
}

/* ---- calls ---- */

static void say_worker_runs(pid_t pid, int64_t boot_started)
{
    static const uint64_t keep[] = {
        0, SPAWN_KEEP_BOARD,  1, SPAWN_KEEP_WORKER,
        2, SPAWN_KEEP_TICKET, 3, SPAWN_KEEP_ERR_PIPE};
    spawn_writer w;

    begin(&w, SPAWN_M_RUNNING, &the_worker.id);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)boot_started);
    spawn_put_u64(&w, SPAWN_A_IS_WORKER, 1);
    spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 8);
    send_fds(&w, the_worker.kept, 4);
}

static void start_with_worker(pid_t pid, int64_t boot_started)
{
    start_broker();
    say_running_app(&template);
    say_worker_runs(pid, boot_started);
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

/* Only the ticket has it: it is sent TERM again, and why is known. */
static void one_on_a_ticket_was_overdue(void **state)
{
    spawn_writer w;

    (void)state;
    child_runs(CHILD_IGNORES_TERM);
    make_store();
    reach_workers(1, 1, &template);
    worker_ordered(&the_worker);
    say_child_started(&the_worker.id);
    worker_says(&the_worker, NULL);
    is_there();
    time_stands();
    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_call(&the_worker, &job);
    is_there();
    kill_broker();
    note(&job, child, true);
    empty_inbox();
    start_broker();
    say_running_app(&template);
    say_worker_runs(child, child_started);
    say(SPAWN_M_TABLE_END);
    expect_id(SPAWN_M_SIGNAL, &the_worker.id);
    expect(SPAWN_M_BROKER_READY);
    say_exited(&the_worker.id, 0, 3 << 8);
    expect_id(SPAWN_M_FORGET, &the_worker.id);
    expect_jobs("4 3 3 -");
    expect_no_note();
    child_is_killed();
}

/* ---- workers that are there ---- */

static void a_worker_waits(void)
{
    make_store();
    reach_a_worker(&the_worker, &template);
    kill_broker();
}

/* It is none of theirs: they serve, and the group has its grace. */
static void the_group_of_another_one_is_ended(void **state)
{
    spawn_id id;

    (void)state;
    child_runs(CHILD_LEAVES_ONE);
    a_worker_waits();
    (void)spawn_id_make(&id);
    (void)poll(NULL, 0, 20); /* the process has begun before this is noted */
    note(&id, child, true);
    assert_int_equal(kill(child, SIGTERM), 0); /* ours, not yet reaped */
    child_was_killed(SIGTERM);
    start_with_worker(4000000, 1);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &id);
    time_passes(2);
    who_is_left_was_killed();
    is_there();
    kill_broker();
    expect_no_note();
}

/* Of a call that the history does without. */
static void one_that_it_was_about_serves_no_more(void **state)
{
    spawn_id id;

    (void)state;
    a_worker_waits();
    (void)spawn_id_make(&id);
    note(&id, 4000000, true);
    start_with_worker(4000000, 1);
    expect_no_more(&the_worker);
    is_there();
    kill_broker();
    expect_no_note();
}

int main(void)
{
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        STEPPED(a_later_kill_is_why_it_ended),
        STEPPED(one_that_is_not_stored_was_overdue),
        STEPPED(one_on_a_ticket_was_overdue),
        STEPPED(the_group_of_another_one_is_ended),
        STEPPED(one_that_it_was_about_serves_no_more)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("graces found", tests, NULL, NULL);
}
