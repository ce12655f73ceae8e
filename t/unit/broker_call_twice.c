/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call whose caller waits for its end, and that comes by another way too
 * while it waits for a worker, when the store takes nothing: it runs once, and
 * not at all when somebody was told so. The protocol of broker_found.h.
 */
#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"
#include "t/unit/broker_found.h"
#include "t/unit/broker_post.h"
#include "t/unit/broker_spooled.h"

#define NO_EVENT 200

static spawn_id template;
static worker the_worker;
static int64_t retry;    /* of the call; 0: none */
static uint64_t expires; /* ms; 0: never */

static void begin_call(spawn_writer *w, uint16_t type)
{
    begin(w, type, &job);
    spawn_put_str(w, SPAWN_A_FUNCTION, "My::f");
    if (retry)
        spawn_put_i64(w, SPAWN_A_RETRY, retry);
    if (expires)
        spawn_put_u64(w, SPAWN_A_EXPIRES, expires);
}

static void a_call_waits(void)
{
    spawn_writer w;

    make_store_that_fails_a_while(NO_INSERT);
    log_is_kept = true;
    reach_workers(0, 1, &template);
    (void)spawn_id_make(&job);
    begin_call(&w, SPAWN_M_SUBMIT);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    worker_ordered(&the_worker);
}

static void it_is_spooled_too(void)
{
    spawn_writer w;

    begin_call(&w, SPAWN_M_SUBMIT);
    lies_in_spool(&job, &w);
}

static void it_is_posted_too(void)
{
    spawn_writer w;

    begin_call(&w, SPAWN_M_POST);
    send_post(&w);
}

static void worker_can_serve(void)
{
    say_started(&the_worker.id);
    worker_says(&the_worker, NULL);
}

/* Its caller is told. Time stands. */
static void a_call_ends_unstored(void)
{
    a_call_waits();
    wait_until_logged("MS0530", 1);
    time_stands();
    worker_can_serve();
    expect_call(&the_worker, &job);
    worker_returns(&the_worker, &job);
    expect_answer(SPAWN_M_JOB);
}

static void one_that_is_spooled_runs_once(void **state)
{
    (void)state;
    a_call_waits();
    it_is_spooled_too();
    wait_until_logged("MS0530", 1);
    expect_answer(SPAWN_M_REFUSED); /* it waits in the spool only */
    worker_can_serve();
    is_there();
    quiet_at(the_worker.link, NO_EVENT);
    store_takes_again();
    expect_call(&the_worker, &job);
    worker_returns(&the_worker, &job);
    later_by(2);
    is_there();
    quiet_at(the_worker.link, NO_EVENT);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
}

/* Its answer is one of two that were asked for: the other one comes late. */
static void one_that_has_ended_unstored_does_not_run_again(void **state)
{
    spawn_writer w;

    (void)state;
    a_call_ends_unstored();
    time_goes_on();
    later_by(2);
    is_there();
    store_takes_again();
    begin_call(&w, SPAWN_M_SUBMIT);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    quiet_at(the_worker.link, NO_EVENT);
    begin(&w, SPAWN_M_SUBMIT, &job);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::other");
    ask(&w);
    expect_refusal(SPAWN_E_CONFLICT);
}

/* A caller that waits for its end, too: refused by the store, it would take it
 * for one that has not run. */
static void who_comes_when_that_is_not_stored_is_in_doubt(void **state)
{
    (void)state;
    a_call_ends_unstored();
    time_goes_on();
    later_by(2);
    is_there();
    call_again(&job);
    expect_refusal(SPAWN_E_UNCONFIRMED);
    assert_non_null(
        strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "may have run"));
    store_takes_again();
    call_again(&job);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_LOST);
    quiet_at(the_worker.link, NO_EVENT);
}

/* Its caller was told so, and nobody else may see it run. */
static void one_that_could_not_start_unstored_does_not_run_later(void **state)
{
    spawn_writer w;

    (void)state;
    a_call_waits();
    wait_until_logged("MS0530", 1);
    time_stands();
    say_started(&the_worker.id);
    says_it_cannot(&the_worker);
    expect_answer(SPAWN_M_JOB);
    time_goes_on();
    later_by(2);
    is_there();
    store_takes_again();
    begin_call(&w, SPAWN_M_SUBMIT);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DONE);
}

/* Nobody is answered, so the log and the history say what became of it. */
static void one_that_ended_unstored_is_told_of(void (*comes_again)(void))
{
    char path[SPOOL_PATH];

    a_call_waits();
    wait_until_logged("MS0530", 1);
    time_stands();
    say_started(&the_worker.id);
    says_it_cannot(&the_worker);
    expect_answer(SPAWN_M_JOB);
    time_goes_on();
    later_by(2);
    is_there();
    store_takes_again();
    comes_again();
    wait_until_logged("MS0683", 1); /* lost */
    is_there();
    assert_int_equal(full_slots(), 0);
    (void)path_in_spool(&job, path);
    assert_int_equal(access(path, F_OK), -1);
    end_broker();
    expect_sql("SELECT count(*) || ' ' || max(state) || ' ' || max(text LIKE"
               " '%another caller was told%') FROM job",
               "1 4 1");
}

static void a_post_of_one_that_ended_unstored_is_told_of(void **state)
{
    (void)state;
    one_that_ended_unstored_is_told_of(it_is_posted_too);
}

static void nor_does_it_vanish_from_the_spool(void **state)
{
    (void)state;
    one_that_ended_unstored_is_told_of(it_is_spooled_too);
}

/* Nor does it after its broker was killed, in the moment in which a job is
 * stored later: its end is told when it is stored. */
static void nor_when_its_broker_is_killed(void **state)
{
    spawn_writer w;

    (void)state;
    reach_workers(0, 1, &template);
    time_stands();
    (void)spawn_id_make(&job);
    begin_call(&w, SPAWN_M_SUBMIT);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    worker_ordered(&the_worker);
    say_started(&the_worker.id);
    says_it_cannot(&the_worker);
    expect_answer(SPAWN_M_JOB);
    kill_broker();
    expect_sql("SELECT state || ' ' || outcome FROM job", "4 5");
}

/* It was refused, and its kill too: of that nothing is known any more. */
static void one_that_was_killed_unstored_can_come_again(void **state)
{
    spawn_writer w;

    (void)state;
    a_call_waits();
    wait_until_logged("MS0530", 1);
    begin(&w, SPAWN_M_KILL, &job);
    ask(&w);
    expect_refusal(SPAWN_E_STORE); /* the caller that waits for it, too */
    expect_refusal(SPAWN_E_STORE);
    store_takes_again();
    worker_can_serve();
    is_there();
    begin_call(&w, SPAWN_M_SUBMIT);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_call(&the_worker, &job);
}

/* Its slot is free by then. */
static void who_comes_when_it_has_ended_unstored_is_told_that(void **state)
{
    (void)state;
    a_call_ends_unstored();
    is_there();
    assert_int_equal(full_slots(), 0);
    call_again(&job);
    comes_to_rest();
    time_moves(1100); /* the store is tried again, in vain */
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
}

static void it_is_to_be_cancelled(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_KILL, &job);
    ask(&w);
}

/* A caller that waits for it may not get its end, and send the call again to a
 * broker after this one, which would run it. So both are refused, and it is
 * gone. */
static void a_kill_that_is_not_stored_is_refused(void **state)
{
    (void)state;
    a_call_waits();
    time_stands();
    it_is_to_be_cancelled();
    expect_refusal(SPAWN_E_STORE);
    expect_refusal(SPAWN_E_STORE);
    is_there();
    worker_can_serve();
    time_goes_on();
    store_takes_again();
    is_there();
    quiet_at(the_worker.link, NO_EVENT);
}

/* Nor is a post of it lost. */
static void it_runs_when_that_is_not_stored_and_nobody_waits(void **state)
{
    (void)state;
    a_call_waits();
    time_stands();
    is_there();
    (void)close(caller);
    call_in();
    is_there();
    broker_sleeps();
    it_is_to_be_cancelled();
    it_is_posted_too();
    broker_goes_on();
    expect_refusal(SPAWN_E_STORE);
    is_there();
    assert_int_equal(full_slots(), 1);
    worker_can_serve();
    time_goes_on();
    store_takes_again();
    expect_call(&the_worker, &job);
}

/* Nobody was told that it was cancelled. */
static void a_post_is_kept_when_that_is_not_stored(void **state)
{
    spawn_writer w;

    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    time_stands();
    reach_ready_and_call_in();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    has_heard();
    broker_sleeps();
    begin(&w, SPAWN_M_KILL, &job);
    ask(&w);
    begin_post(&w, &job, "/bin/true");
    send_post(&w);
    broker_goes_on();
    expect_refusal(SPAWN_E_STORE);
    expect_refusal(SPAWN_E_STORE);
    has_heard();
    assert_int_equal(full_slots(), 1);
}

/* Also when the question came before it. One turn has both, or an earlier one
 * has the question. */
static void one_that_is_told_of_is_stored(void **state)
{
    spawn_writer w;
    int other;

    (void)state;
    queue_waits = 200;
    make_store();
    reach_workers(0, 1, &template);
    time_stands();
    other = caller;
    call_in();
    do {
        (void)spawn_id_make(&job);
        broker_sleeps();
        begin(&w, SPAWN_M_GET, &job);
        ask(&w);
        begin_call(&w, SPAWN_M_SUBMIT);
        spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
        assert_int_equal(spawn_writer_finish(&w, 0), 0);
        assert_int_equal(spawn_packet_send(other, w.data, w.length, NULL, 0),
                         0);
        spawn_writer_free(&w);
        broker_goes_on();
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    } while (message.header.type == SPAWN_M_REFUSED);
    assert_int_equal(message.header.type, SPAWN_M_JOB);
    kill_broker();
    expect_sql("SELECT count(*) FROM job", "1");
    (void)close(other);
}

/* The slot that it was lent is another matter. */
static void a_post_of_one_that_came_back_is_kept(void **state)
{
    (void)state;
    a_call_waits();
    time_stands();
    assert_int_equal(shutdown(the_worker.link, SHUT_RD), 0);
    worker_can_serve();
    is_there();
    it_is_posted_too();
    is_there();
    assert_int_equal(full_slots(), 1);
    time_moves(25);
    wait_until_logged("MS0860", 1);
    is_there();
    assert_int_equal(full_slots(), 1);
}

/* Its caller was told so, and the store does not have it yet. */
static void a_post_of_one_that_expired_is_not_kept(void **state)
{
    spawn_writer w;

    (void)state;
    make_store();
    reach_workers(0, 1, &template);
    time_stands();
    (void)spawn_id_make(&job);
    expires = 5;
    begin_call(&w, SPAWN_M_SUBMIT);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    worker_ordered(&the_worker);
    is_there();
    time_moves(10);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(full_slots(), 0);
    it_is_posted_too();
    expires = 0;
    is_there();
    assert_int_equal(full_slots(), 0);
}

/* Until then only its worker has how that attempt ended. */
static void its_worker_is_kept_until_an_attempt_is_stored(void **state)
{
    spawn_board *board;
    spawn_id other;

    (void)state;
    retry = 1;
    a_call_waits();
    is_there();
    time_stands();
    it_is_posted_too();
    retry = 0;
    is_there();
    (void)close(caller);
    call_in();
    is_there();
    worker_can_serve();
    expect_call(&the_worker, &job);
    board = spawn_board_map(the_worker.kept[0]);
    assert_non_null(board);
    assert_int_equal(spawn_board_put_result(board, SPAWN_RESULT_DIED, "x", 1),
                     0);
    worker_says(&the_worker, &job);
    wait_until_logged("MS0530", 1);
    submit(&other, SPAWN_REPLY_FINISHED);
    is_there();
    quiet_at(the_worker.link, NO_EVENT);
    time_goes_on();
    store_takes_again();
    expect_call(&the_worker, &other);
}

/* ---- the next broker ---- */

/* The call that is sent to a worker is a post, too. */
static void its_post_is_kept_when_it_waits_again(void **state)
{
    static uint8_t slot[SLOT_SIZE];
    spawn_id other;
    uint8_t *map;

    (void)state;
    a_call_waits();
    is_there();
    time_stands();
    it_is_posted_too();
    is_there();
    worker_can_serve();
    expect_call(&the_worker, &job);
    comes_to_rest();
    map = slots();
    memcpy(slot, map, sizeof(slot));
    worker_returns(&the_worker, &job);
    expect_answer(SPAWN_M_JOB);
    submit(&other, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &other);
    comes_to_rest();
    kill_broker(); /* as if before it wrote the first one's ticket */
    memcpy(map, slot, sizeof(slot));
    (void)munmap(map, (size_t)SIZE);
    start_another(&the_worker, &template);
    expect_call(&the_worker, &other);
    is_there();
    assert_int_equal(full_slots(), 2);
}

/* Of which only the ticket tells. */
static void a_post_of_one_that_was_found_is_not_kept(void **state)
{
    (void)state;
    a_call_waits();
    worker_can_serve();
    expect_call(&the_worker, &job);
    comes_to_rest();
    kill_broker();
    empty_inbox();
    time_stands();
    start_another(&the_worker, &template);
    expect_call(&the_worker, &job);
    is_there();
    it_is_posted_too();
    is_there();
    assert_int_equal(full_slots(), 0);
}

#define LATER(test)                                                            \
    cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LATER(one_that_is_spooled_runs_once),
        LATER(one_that_has_ended_unstored_does_not_run_again),
        LATER(who_comes_when_that_is_not_stored_is_in_doubt),
        LATER(one_that_could_not_start_unstored_does_not_run_later),
        LATER(a_post_of_one_that_ended_unstored_is_told_of),
        LATER(nor_does_it_vanish_from_the_spool),
        LATER(nor_when_its_broker_is_killed),
        LATER(one_that_was_killed_unstored_can_come_again),
        LATER(who_comes_when_it_has_ended_unstored_is_told_that),
        LATER(a_kill_that_is_not_stored_is_refused),
        LATER(it_runs_when_that_is_not_stored_and_nobody_waits),
        LATER(a_post_is_kept_when_that_is_not_stored),
        LATER(one_that_is_told_of_is_stored),
        LATER(a_post_of_one_that_came_back_is_kept),
        LATER(a_post_of_one_that_expired_is_not_kept),
        LATER(its_worker_is_kept_until_an_attempt_is_stored),
        LATER(its_post_is_kept_when_it_waits_again),
        LATER(a_post_of_one_that_was_found_is_not_kept)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("calls that come twice", tests, NULL,
                                       NULL);
}
