/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs whose spawner, or whose template, has gone: /proc tells whether they are
 * still who they were. They are followed, or lost; the log says why, at level
 * error.
 */
#include "t/unit/broker_found.h"

#include "t/unit/corner.h"

static void wait_for_its_end(void)
{
    spawn_writer w;

    call_in();
    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_DONE);
    /* as the store has it */
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SUBMITTED_AT, 0), 1);
}

/* One line at level error, which says why. */
static void it_is_told_as_lost(const char *for_that)
{
    char line[160], id[SPAWN_ID_TEXT];

    (void)snprintf(line, sizeof(line),
                   "MS0683: job %s is lost: %s (queue default, /bin/true)\n",
                   spawn_id_format(&job, id), for_that);
    wait_until_logged(line, 1);
    (void)snprintf(line, sizeof(line), "[spawn:error] [pid %d] MS0683: job %s ",
                   (int)broker, id);
    assert_int_equal(logged(line), 1);
}

/* Which is over at once. */
static void it_obeys_its_time_out(void)
{
    say(SPAWN_M_TABLE_END);
    expect_signal(SIGTERM);
    expect(SPAWN_M_BROKER_READY);
    assert_int_equal(kill(child, SIGTERM), 0); /* ours, not yet reaped */
    child_was_killed(SIGTERM);
}

static void one_that_lives_is_followed(void **state)
{
    (void)state;
    child_is_left(CHILD_OBEYS, 0, 0, 20);
    go();
    quiet_for(200);
    child_ends();
    wait_for_its_end();
    end_broker();
    expect_sql("SELECT state || ' ' || (outcome IN (1, 8)) FROM job", "4 1");
}

static void one_whose_number_was_given_away_is_not(void **state)
{
    static const int64_t wrong[] = {-200, 70000};
    unsigned i;

    (void)state;
    make_store();
    child_runs(CHILD_OBEYS);
    for (i = 0; i < 2; i++) {
        put_program(SPAWN_STATE_RUNNING, 0, 0, false);
        it_runs_as(child, child_started + wrong[i]);
        another_spawner();
        start_broker();
        expect_ready();
        end_broker();
        expect_sql("SELECT state || ' ' || outcome || text FROM job"
                   " ORDER BY seq DESC LIMIT 1",
                   "4 8it ended when neither its spawner nor a broker was "
                   "there");
    }
    child_ends();
}

static void one_without_a_spawner_times_out(void **state)
{
    (void)state;
    child_is_left(CHILD_IGNORES_TERM, 300, 100, 0);
    go();
    child_was_killed(SIGKILL); /* TERM, then KILL */
    wait_for_its_end();
    end_broker();
    expect_sql("SELECT state || ' ' || (outcome IN (3, 8)) FROM job", "4 1");
}

static void one_that_was_to_be_killed_is_killed(void **state)
{
    (void)state;
    make_store();
    child_runs(CHILD_IGNORES_TERM);
    put_program(SPAWN_STATE_RUNNING, 0, 0, false);
    it_runs_as(child, child_started);
    run_sql("UPDATE job SET cancel = 9");
    another_spawner();
    start_broker();
    go();
    child_was_killed(SIGKILL);
    wait_for_its_end();
}

static void one_that_had_no_pid_yet_is_lost(void **state)
{
    (void)state;
    make_store();
    log_is_kept = true;
    put_program(SPAWN_STATE_STARTING, 0, 0, false);
    another_spawner();
    start_broker();
    expect_ready();
    it_is_told_as_lost("the spawner ended while it was being started");
    expect_jobs("4 7 - -");
    expect_sql("SELECT text FROM job",
               "the spawner ended while it was being started");
}

static void after_a_reboot_all_that_ran_is_lost(void **state)
{
    spawn_id ran;

    (void)state;
    make_store();
    log_is_kept = true;
    child_runs(CHILD_OBEYS);
    put_program(SPAWN_STATE_RUNNING, 0, 0, false);
    it_runs_as(child, child_started);
    ran = job;
    put_program(SPAWN_STATE_STARTING, 0, 0, false);
    run_sql("UPDATE meta SET value = 'another' WHERE key = 'boot_id'");
    start_broker();
    expect_ready();
    it_is_told_as_lost("the machine was started anew");
    job = ran;
    it_is_told_as_lost("the machine was started anew");
    expect_jobs("4 7 - -,4 7 - -");
    expect_sql("SELECT text FROM job WHERE seq = 2",
               "the machine was started anew");
    child_ends();
}

/* The first broker of the boot could not store that. */
static void so_it_is_when_the_next_broker_finds_it(void **state)
{
    (void)state;
    make_store();
    log_is_kept = true;
    child_runs(CHILD_OBEYS);
    put_program(SPAWN_STATE_RUNNING, 0, 0, false);
    it_runs_as(child, child_started);
    run_sql("UPDATE meta SET value = 'another' WHERE key = 'boot_id'");
    store_fails(NO_END);
    start_broker();
    say(SPAWN_M_TABLE_END);
    wait_until_logged("MS0530", 1);
    kill_broker();
    run_sql("DROP TRIGGER no");
    start_broker();
    expect_ready();
    it_is_told_as_lost("the machine was started anew");
    expect_jobs("4 7 - -");
    child_ends();
}

/* Its template was its parent, and has gone; the spawner could tell whose it
 * was. */
static void one_that_a_template_left_behind_is_followed(void **state)
{
    (void)state;
    make_store();
    child_runs(CHILD_OBEYS);
    put_program(SPAWN_STATE_RUNNING, 0, 0, false);
    start_broker();
    say_orphaned(child, child_started);
    go();
    quiet_for(200);
    child_ends();
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT state || ' ' || (outcome IN (1, 8)) || ' ' || (pid > 0)"
               " FROM job",
               "4 1 1");
}

static void one_that_is_orphaned_then_is_followed(void **state)
{
    (void)state;
    child_is_found(CHILD_OBEYS, 0, 0);
    go();
    say_orphaned(child, 0); /* when it began was told before */
    quiet_for(200);
    child_ends();
    expect_id(SPAWN_M_FORGET, &job);
}

/* It obeyed TERM, and was reaped by its template, which then went. */
static void who_is_left_of_its_group_has_its_grace_and_no_more(void **state)
{
    (void)state;
    child_is_found(CHILD_LEAVES_ONE, 1, 500);
    LEAVE_OUT_IF(!groups_are_signalled(), "no group by pidfd on this kernel");
    it_obeys_its_time_out();
    say_orphaned(child, 0);
    expect_id(SPAWN_M_FORGET, &job);
    who_is_left_lives();
    who_is_left_was_killed();
    expect_jobs(ends_are_told() ? "4 3 - 15" : "4 3 - -");
}

/* Its group was noted when it was told to end; it did, and its spawner is there
 * and tells so. */
static void nothing_is_left_open_of_who_obeyed(void **state)
{
    (void)state;
    ONLY_ROOT_LOOKS;
    child_is_found(CHILD_OBEYS, 1, 500);
    it_obeys_its_time_out();
    call_in();
    assert_int_equal(has_open("pidfd"), 1);
    say_exited(&job, 0, SIGTERM);
    expect_id(SPAWN_M_FORGET, &job);
    has_heard();
    assert_int_equal(has_open("pidfd"), 0);
    expect_jobs("4 3 - 15");
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(one_that_lives_is_followed),
        ALONE(one_whose_number_was_given_away_is_not),
        ALONE(one_without_a_spawner_times_out),
        ALONE(one_that_was_to_be_killed_is_killed),
        ALONE(one_that_had_no_pid_yet_is_lost),
        ALONE(after_a_reboot_all_that_ran_is_lost),
        ALONE(so_it_is_when_the_next_broker_finds_it),
        ALONE(one_that_a_template_left_behind_is_followed),
        ALONE(one_that_is_orphaned_then_is_followed),
        ALONE(who_is_left_of_its_group_has_its_grace_and_no_more),
        ALONE(nothing_is_left_open_of_who_obeyed)};

    find_broker();
    return cmocka_run_group_tests_name("orphaned jobs", tests, NULL, NULL);
}
