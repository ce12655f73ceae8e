/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that ran before the store had them, when their broker was killed, or
 * the spawner too: the next one runs none of them again, tells what it knows of
 * each, and has those wait that never ran.
 */
#include "t/unit/broker_unstored.h"

#include "common/spawn_rule.h"

/* ---- the next broker ---- */

static void one_whose_order_was_not_sent_runs_once(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < WAYS; i++) {
        if (i)
            is_anew();
        begins();
        ways[i]();
        comes_anew();
        go();
        expect_id(SPAWN_M_LAUNCH, &job);
        say_started(&job);
        say_exited(&job, 0, 7 << 8);
        time_goes_on();
        expect_id(SPAWN_M_FORGET, &job);
        assert_int_equal(full_slots(), 0);
        expect_jobs("4 1 7 -");
    }
}

static void one_that_runs_is_not_run_again(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < WAYS; i++) {
        if (i)
            is_anew();
        begins();
        ways[i]();
        say_started(&job);
        is_there();
        comes_anew();
        say_running(SPAWN_STATE_RUNNING, 3999998, 5000);
        go();
        quiet_for(NO_EVENT);
        assert_int_equal(full_slots(), 0);
        say_exited(&job, 0, 6 << 8);
        time_goes_on();
        expect_id(SPAWN_M_FORGET, &job);
        expect_jobs("4 1 6 -");
    }
}

/* Also when the next broker could not store it, and was killed, too. */
static void nor_by_the_broker_after_the_next(void **state)
{
    static const spawn_state found[] = {SPAWN_STATE_STARTING,
                                        SPAWN_STATE_RUNNING};
    unsigned i;

    (void)state;
    for (i = 0; i < 2; i++) {
        if (i)
            is_anew();
        begins();
        waits_for_its_end();
        kill_broker();
        run_sql("CREATE TRIGGER no " NO_INSERT
                " BEGIN SELECT RAISE(ABORT, 'no'); END");
        start_broker();
        say_running((int)found[i], 3999998, 5000);
        expect_ready();
        assert_true(says_launched());
        kill_broker();
        run_sql("DROP TRIGGER no");
        start_broker();
        say_running((int)found[i], 3999998, 5000);
        go();
        quiet_for(NO_EVENT);
        assert_int_equal(full_slots(), 0);
        say_exited(&job, 0, 6 << 8);
        time_goes_on();
        expect_id(SPAWN_M_FORGET, &job);
        expect_jobs("4 1 6 -");
    }
}

/* A clock that is set back since does not hold it up. */
static void one_that_was_due_does_not_wait_again(void **state)
{
    spawn_writer w;

    (void)state;
    begins();
    (void)spawn_id_make(&job);
    begin_post(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_AT, (uint64_t)spawn_wall_ms() - 1000);
    send_post(&w);
    expect_id(SPAWN_M_LAUNCH, &job);
    kill_broker();
    steps[0] -= 3600;
    start_broker();
    go();
    expect_id(SPAWN_M_LAUNCH, &job);
}

/* No broker has read it yet. */
static void a_post_in_a_slot_came_when_its_id_was_made(void **state)
{
    char came[32];
    spawn_writer w;

    (void)state;
    make_store();
    make_inbox();
    (void)spawn_id_make(&job);
    begin_post(&w, &job, "/bin/true");
    lies_in_slot(0, &w);
    steps[0] += 100;
    reach_go();
    runs(&job);
    end_broker();
    (void)snprintf(came, sizeof(came), "%lld", (long long)spawn_id_time(&job));
    expect_sql("SELECT submitted_at FROM job", came);
}

static void the_end_of_one_is_stored_and_then_forgotten(void **state)
{
    (void)state;
    begins();
    waits_for_its_end();
    say_started(&job);
    say_exited(&job, 0, 6 << 8);
    expect_answer(SPAWN_M_JOB);
    comes_anew();
    say_running(SPAWN_STATE_RUNNING, 3999998, 5000);
    say_exited(&job, 0, 6 << 8);
    go();
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 6 -");
}

/* Its times count from when its id was made, and not from the next broker. */
static void one_that_waits_keeps_its_times(void **state)
{
    char came[64];
    spawn_id first;
    spawn_writer w;

    (void)state;
    queue_jobs = 1;
    begins();
    is_accepted();
    first = job;
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_EXPIRES, 3600000);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    kill_broker();
    steps[0] += 100;
    time_goes_on();
    start_broker();
    queue_jobs = 10;
    go();
    expect_id(SPAWN_M_LAUNCH, &first);
    end_broker();
    (void)snprintf(came, sizeof(came), "%lld 1",
                   (long long)spawn_id_time(&job));
    expect_sql("SELECT submitted_at || ' ' ||"
               " (abs(expires_at - submitted_at - 3600000) < 1000)"
               " FROM job WHERE expires_at NOT NULL",
               came);
}

/* Its caller was told that it is tried no more: it can be revived. */
static void one_that_was_to_be_tried_again_is_dead(void **state)
{
    static const uint64_t lost = SPAWN_RETRY_ON_LOST;
    spawn_writer w;

    (void)state;
    begins();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    spawn_put_i64(&w, SPAWN_A_RETRY, 1);
    spawn_put_u64v(&w, SPAWN_A_RETRY_ON, &lost, 1);
    ask(&w);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    say_exited(&job, 0, 6 << 8);
    expect_answer(SPAWN_M_JOB);
    another_spawner();
    comes_anew();
    go();
    quiet_for(NO_EVENT);
    end_broker();
    expect_sql("SELECT outcome || ' ' || exit_code || ' ' || dead FROM job",
               "1 6 1");
}

static void its_caller_comes_again_and_is_told_the_end(void **state)
{
    (void)state;
    begins();
    waits_for_its_end();
    say_started(&job);
    is_there();
    comes_anew();
    say_running(SPAWN_STATE_RUNNING, 3999998, 5000);
    go();
    call_in();
    submit_for(SPAWN_REPLY_FINISHED);
    is_there();
    say_exited(&job, 0, 9 << 8);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 9);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 9 -");
}

/* It was killed after the commit. */
static void what_the_store_has_is_taken_from_there(void **state)
{
    static uint8_t slot[SLOT_SIZE];
    uint8_t *map;

    (void)state;
    begins();
    is_accepted();
    map = slots();
    memcpy(slot, map, sizeof(slot));
    say_started(&job);
    say_exited(&job, 0, 0);
    time_moves(20);
    expect_id(SPAWN_M_FORGET, &job);
    kill_broker();
    memcpy(map, slot, sizeof(slot));
    (void)munmap(map, (size_t)SIZE);
    start_broker();
    go();
    quiet_for(NO_EVENT);
    assert_int_equal(full_slots(), 0);
    expect_jobs("4 1 0 -");
}

static void a_mark_without_its_note_is_no_job(void **state)
{
    uint8_t *map;

    (void)state;
    begins();
    is_accepted();
    map = slots();
    memset(map + SLOT_SIZE / 2, 0, SLOT_SIZE / 2);
    (void)munmap(map, (size_t)SIZE);
    comes_anew();
    go();
    quiet_for(NO_EVENT);
    assert_int_equal(full_slots(), 0);
    the_store_has("0");
}

/* ---- the next pair ---- */

static void with_another_spawner(bool has_started, const char *end)
{
    begins();
    waits_for_its_end();
    if (has_started)
        say_started(&job);
    is_there();
    another_spawner();
    comes_anew();
    go();
    quiet_for(NO_EVENT);
    assert_int_equal(full_slots(), 0);
    end_broker();
    expect_sql("SELECT outcome || ' ' || ifnull(pid, 0) || ' ' ||"
               " (ifnull(started_at, 0) > 0) || ' ' || text FROM job",
               end);
}

static void one_that_was_being_started_is_lost(void **state)
{
    (void)state;
    with_another_spawner(false,
                         "7 0 0 the spawner ended while it was being started");
}

static void one_that_ran_is_looked_for(void **state)
{
    (void)state;
    with_another_spawner(true,
                         "8 4000000 1 it ended when neither its spawner nor"
                         " a broker was there");
}

/* As its caller was told. */
static void the_end_that_was_told_is_kept(void **state)
{
    (void)state;
    begins();
    waits_for_its_end();
    say_started(&job);
    is_there();
    say_exited(&job, 0, 5 << 8);
    expect_answer(SPAWN_M_JOB);
    another_spawner();
    comes_anew();
    go();
    quiet_for(NO_EVENT);
    assert_int_equal(full_slots(), 0);
    end_broker();
    expect_sql("SELECT outcome || ' ' || exit_code || ' ' || pid || ' ' ||"
               " (started_at > 0) || ' ' || (ended_at >= started_at) || ' ' ||"
               " ifnull(text, '-') FROM job",
               "1 5 4000000 1 1 -");
}

/* The caller that was told has the output; the history says that it has not. */
static void what_it_wrote_is_told_to_be_lost(void **state)
{
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_writer w;

    (void)state;
    begins();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_stdio(&w, SPAWN_A_STDERR, &capture);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_answer(SPAWN_M_JOB);
    another_spawner();
    comes_anew();
    go();
    end_broker();
    expect_sql("SELECT outcome || ' ' || exit_code || ' ' || text || ' ' ||"
               " (out IS NULL) || ' ' || length(err) || ' ' || err_lost"
               " FROM job JOIN output USING (seq)",
               "1 0 what it wrote is lost 1 0 -1");
}

/* The store takes nothing, so that only the slot has why it ended. */
static void ends_by(bool timeout, spawn_outcome outcome)
{
    spawn_writer w;
    char wanted[16];

    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_go_and_call_in();
    time_stands();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    if (timeout)
        spawn_put_u64(&w, SPAWN_A_TIMEOUT, 500);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    is_there();
    time_moves(600);
    if (!timeout) {
        begin(&w, SPAWN_M_KILL, &job);
        ask(&w);
        expect_refusal(SPAWN_E_STORE);
    }
    expect_id(SPAWN_M_SIGNAL, &job);
    say_exited(&job, 0, timeout ? 3 << 8 : SIGTERM);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0), outcome);
    kill_broker();
    run_sql("DROP TRIGGER no");
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 3999998, 600);
    say_exited(&job, 0, timeout ? 3 << 8 : SIGTERM);
    go();
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    (void)snprintf(wanted, sizeof(wanted), "%d", (int)outcome);
    expect_sql("SELECT outcome FROM job", wanted);
}

static void so_is_that_its_time_was_over(void **state)
{
    (void)state;
    ends_by(true, SPAWN_OUTCOME_TIMED_OUT);
}

static void so_is_that_it_was_cancelled(void **state)
{
    (void)state;
    ends_by(false, SPAWN_OUTCOME_CANCELLED);
}

/* Nobody else has this end: the spawner is killed too. */
static void so_is_that_it_could_not_be_started(void **state)
{
    spawn_writer w;
    char wanted[16];

    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_go_and_call_in();
    is_posted();
    say_exited(&job, SPAWN_STEP_EXEC, ENOENT);
    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_START_FAILED);
    kill_broker();
    run_sql("DROP TRIGGER no");
    another_spawner();
    start_broker();
    go();
    end_broker();
    (void)snprintf(wanted, sizeof(wanted), "%d", SPAWN_OUTCOME_START_FAILED);
    expect_sql("SELECT outcome FROM job", wanted);
}

/* It came back to its queue, when the store took nothing: it is no more
 * launched than any post. */
static void one_that_waits_again_outlives_the_spawner(void **state)
{
    spawn_id other;

    (void)state;
    begins();
    is_accepted();
    kill_broker();
    run_sql("CREATE TRIGGER no " NO_INSERT
            " BEGIN SELECT RAISE(ABORT, 'no'); END");
    reach_ready_and_call_in();
    assert_int_equal(full_slots(), 1);
    assert_false(says_launched());
    post(&other); /* not into the same slot */
    has_heard();
    assert_int_equal(full_slots(), 2);
    kill_broker();
    run_sql("DROP TRIGGER no");
    another_spawner();
    start_broker();
    go();
    expect_id(SPAWN_M_LAUNCH, &job);
}

#define LATER(test)                                                            \
    cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LATER(one_whose_order_was_not_sent_runs_once),
        LATER(one_that_runs_is_not_run_again),
        LATER(nor_by_the_broker_after_the_next),
        LATER(one_that_waits_keeps_its_times),
        LATER(one_that_was_to_be_tried_again_is_dead),
        LATER(one_that_was_due_does_not_wait_again),
        LATER(a_post_in_a_slot_came_when_its_id_was_made),
        LATER(the_end_of_one_is_stored_and_then_forgotten),
        LATER(its_caller_comes_again_and_is_told_the_end),
        LATER(what_the_store_has_is_taken_from_there),
        LATER(a_mark_without_its_note_is_no_job),
        LATER(one_that_was_being_started_is_lost),
        LATER(one_that_ran_is_looked_for),
        LATER(the_end_that_was_told_is_kept),
        LATER(what_it_wrote_is_told_to_be_lost),
        LATER(so_is_that_its_time_was_over),
        LATER(so_is_that_it_was_cancelled),
        LATER(so_is_that_it_could_not_be_started),
        LATER(one_that_waits_again_outlives_the_spawner)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("unstored and found", tests, NULL, NULL);
}
