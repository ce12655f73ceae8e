/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that run before the store has them: a slot of the inbox says so, and
 * whoever comes after a killed broker, or after both, runs none of them twice
 * and loses none. In these tests time stands still, so that nothing is stored
 * that can wait. The protocol of broker_found.h.
 */
#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"
#include "t/unit/broker_found.h"
#include "t/unit/broker_post.h"

#define MARK_AT  5 /* of a message in a slot: it is launched */
#define CROWDED  48
#define NO_EVENT 200 /* ms */

static void begins(void)
{
    make_store();
    make_inbox();
    reach_go_and_call_in();
    time_stands();
}

/* The next broker, without GO yet. */
static void comes_anew(void)
{
    kill_broker();
    start_broker();
}

static void submit_for(spawn_reply reply)
{
    spawn_writer w;

    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
}

static void waits_for_its_end(void)
{
    (void)spawn_id_make(&job);
    submit_for(SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void is_accepted(void)
{
    (void)spawn_id_make(&job);
    submit_for(SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void is_posted(void)
{
    post(&job);
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void (*const ways[])(void) = {waits_for_its_end, is_accepted, is_posted};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void is_anew(void)
{
    assert_int_equal(tear_down_clock(NULL) || set_up_clock(NULL), 0);
}

static bool says_launched(void)
{
    uint8_t *map = slots();
    bool says = map[MARK_AT] != 0;

    (void)munmap(map, (size_t)SIZE);
    return says;
}

static void the_store_has(const char *jobs)
{
    kill_broker();
    expect_sql("SELECT count(*) FROM job", jobs);
}

/* ---- in one life ---- */

static void it_runs_and_its_slot_says_so(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < WAYS; i++) {
        if (i)
            is_anew();
        begins();
        ways[i]();
        assert_int_equal(full_slots(), 1);
        assert_true(says_launched());
        the_store_has("0");
    }
}

/* The second write would fail. */
static void a_short_one_is_stored_once_and_then_let_go(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < WAYS; i++) {
        if (i)
            is_anew();
        make_store();
        run_sql("CREATE TRIGGER no " NO_UPDATE " WHEN OLD.state <> NEW.state"
                " BEGIN SELECT RAISE(ABORT, 'no'); END");
        make_inbox();
        reach_go_and_call_in();
        time_stands();
        ways[i]();
        say_started(&job);
        say_exited(&job, 0, 5 << 8);
        if (i == 0)
            expect_answer(SPAWN_M_JOB);
        quiet_for(NO_EVENT); /* no FORGET */
        assert_int_equal(full_slots(), 1);
        time_moves(20);
        expect_id(SPAWN_M_FORGET, &job);
        assert_int_equal(full_slots(), 0);
        expect_jobs("4 1 5 -");
    }
}

static void one_that_runs_is_stored_as_it_is(void **state)
{
    (void)state;
    begins();
    waits_for_its_end();
    say_started(&job);
    time_moves(20);
    is_there();
    assert_int_equal(full_slots(), 0);
    kill_broker();
    expect_sql("SELECT state || ' ' || pid || ' ' || (started_at > 0) FROM job",
               "3 4000000 1");
}

/* And there is room for the next one, as often as it comes to that. */
static void a_crowd_is_stored_at_once(void **state)
{
    spawn_id id;
    int i, crowds;

    (void)state;
    queue_jobs = 4 * CROWDED;
    begins();
    for (crowds = 0; crowds < 3; crowds++) {
        for (i = 1; i < CROWDED; i++) {
            post(&id);
            expect_id(SPAWN_M_LAUNCH, &id);
        }
        has_heard();
        assert_int_equal(full_slots(), CROWDED - 1);
        post(&id);
        expect_id(SPAWN_M_LAUNCH, &id);
        has_heard();
        assert_int_equal(full_slots(), 0);
    }
}

/* One that a killed broker left, one that is accepted, and a post. */
static void each_has_a_slot_of_its_own(void **state)
{
    spawn_writer w;
    spawn_id id, last;

    (void)state;
    make_inbox();
    (void)spawn_id_make(&id);
    begin_post(&w, &id, "/bin/true");
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    put_in_slot(0, w.data, w.length);
    spawn_writer_free(&w);
    time_stands();
    reach_ready_and_call_in();
    (void)spawn_id_make(&job);
    submit_for(SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    post(&last);
    has_heard();
    assert_int_equal(full_slots(), 3);
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_LAUNCH, &id); /* in this order */
    expect_id(SPAWN_M_LAUNCH, &job);
    expect_id(SPAWN_M_LAUNCH, &last);
}

static void a_kill_is_answered_when_it_is_stored(void **state)
{
    spawn_writer w;

    (void)state;
    begins();
    is_accepted();
    say_started(&job);
    begin(&w, SPAWN_M_KILL, &job);
    ask(&w);
    expect_id(SPAWN_M_SIGNAL, &job);
    expect_answer(SPAWN_M_DONE);
    the_store_has("1");
}

/* What it wrote is told as the store would tell it. */
static void who_waits_has_what_it_wrote(void **state)
{
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_writer w;
    int i;

    (void)state;
    begins();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
    spawn_put_u64(&w, SPAWN_A_CAPTURE_LIMIT, 3);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(write(packet.fds[packet.fds_count - 1], "words", 5), 5);
    spawn_packet_close(&packet);
    say_started(&job);
    say_exited(&job, 0, 0);
    for (i = 0; i < 2; i++) {
        expect_answer(SPAWN_M_JOB);
        assert_true(spawn_has(&message, SPAWN_A_OUT));
        assert_int_equal(message.attr[SPAWN_A_OUT].length, 3);
        assert_memory_equal(message.attr[SPAWN_A_OUT].data, "wor", 3);
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUT_LOST, 0), 2);
        assert_false(spawn_has(&message, SPAWN_A_ERR));
        begin(&w, SPAWN_M_GET, &job);
        spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, 1);
        if (i == 0)
            ask(&w);
        else
            spawn_writer_free(&w);
    }
}

/* While it waits nobody was promised anything, and its slot is empty. */
static void who_waits_for_the_end_is_promised_nothing_before(void **state)
{
    spawn_writer w;

    (void)state;
    make_store();
    make_inbox();
    reach_ready_and_call_in();
    time_stands();
    (void)spawn_id_make(&job);
    submit_for(SPAWN_REPLY_FINISHED);
    has_heard();
    assert_int_equal(full_slots(), 0);
    begin(&w, SPAWN_M_GET, &job); /* and so is who asks */
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    the_store_has("1");
}

/* ---- a store that fails ---- */

static void it_goes_on_without_the_store(void **state)
{
    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    log_is_kept = true;
    make_inbox();
    reach_go_and_call_in();
    waits_for_its_end();
    say_started(&job);
    wait_until_logged("MS0530", 1);
    say_exited(&job, 0, 3 << 8);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
    (void)spawn_id_make(&job); /* no more of that */
    submit_for(SPAWN_REPLY_FINISHED);
    expect_refusal(SPAWN_E_STORE);
    assert_int_equal(full_slots(), 1);
    store_takes_again();
    expect(SPAWN_M_FORGET);
    assert_int_equal(full_slots(), 0);
    expect_jobs("4 1 3 -");
}

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
        LATER(it_runs_and_its_slot_says_so),
        LATER(a_short_one_is_stored_once_and_then_let_go),
        LATER(one_that_runs_is_stored_as_it_is),
        LATER(a_crowd_is_stored_at_once),
        LATER(each_has_a_slot_of_its_own),
        LATER(a_kill_is_answered_when_it_is_stored),
        LATER(who_waits_has_what_it_wrote),
        LATER(who_waits_for_the_end_is_promised_nothing_before),
        LATER(it_goes_on_without_the_store),
        LATER(one_whose_order_was_not_sent_runs_once),
        LATER(one_that_runs_is_not_run_again),
        LATER(nor_by_the_broker_after_the_next),
        LATER(the_end_of_one_is_stored_and_then_forgotten),
        LATER(its_caller_comes_again_and_is_told_the_end),
        LATER(what_the_store_has_is_taken_from_there),
        LATER(a_mark_without_its_note_is_no_job),
        LATER(one_that_was_being_started_is_lost),
        LATER(one_that_ran_is_looked_for),
        LATER(the_end_that_was_told_is_kept),
        LATER(so_is_that_its_time_was_over),
        LATER(so_is_that_it_was_cancelled),
        LATER(one_that_waits_again_outlives_the_spawner)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker unstored", tests, NULL, NULL);
}
