/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls, and other jobs, of a killed broker that the store did not have yet:
 * the next pair, when broker and spawner were killed and a call's ticket with
 * them, does not run one a second time, and a call that was never sent waits
 * again.
 */
#include "broker/caller/inbox.h"
#include "t/unit/broker_called.h"

/* ---- the next pair ---- */

static void it_is_not_sent_again(void **state)
{
    (void)state;
    worker_is_ready();
    a_call_runs();
    another_pair();
    assert_int_equal(full_slots(), 0);
    expect_told(SPAWN_OUTCOME_ENDED);
    end_broker();
    expect_sql("SELECT outcome || ' ' || pid || ' ' || (started_at > 0) || ' '"
               " || (started_at >= submitted_at) || ' ' || text FROM job",
               "8 4000000 1 1 it ended when neither its spawner nor a broker"
               " was there");
}

static void nor_when_its_worker_lives(void **state)
{
    (void)state;
    child_runs(CHILD_OBEYS);
    make_store();
    reach_workers(1, 1, &template);
    worker_ordered(&the_worker);
    {
        spawn_writer w;

        begin(&w, SPAWN_M_STARTED, &the_worker.id);
        spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)child);
        spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)child_started);
        send_fds(&w, NULL, 0);
    }
    worker_says(&the_worker, NULL);
    is_there();
    time_stands();
    a_call_runs();
    another_pair();
    call_for(SPAWN_REPLY_FINISHED);
    is_there(); /* it is waited for */
    child_ends();
    time_goes_on();
    expect_answer(SPAWN_M_JOB);
    assert_true(spawn_has(&message, SPAWN_A_OUTCOME));
}

/* ---- the next broker, with what the spawner keeps ---- */

static void the_ticket_has_it(void **state)
{
    (void)state;
    worker_is_ready();
    a_call_runs();
    kill_broker();
    start_another(&the_worker, &template);
    expect_call(&the_worker, &job);
    call_for(SPAWN_REPLY_FINISHED);
    returns_and_is_told();
    time_goes_on();
    end_broker();
    assert_int_equal(full_slots(), 0);
    expect_sql("SELECT count(*) || ' ' || outcome || ' ' || result_kind"
               " FROM job",
               "1 1 1");
}

/* Nobody was told, and the board has what it returned. */
static void its_result_is_not_lost_with_the_broker(void **state)
{
    (void)state;
    worker_is_ready();
    a_call_runs();
    (void)close(caller);
    call_in();
    worker_returns(&the_worker, &job);
    is_there();
    kill_broker();
    start_another(&the_worker, &template);
    call_for(SPAWN_REPLY_FINISHED);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
    expect_no_call(&the_worker);
}

/* As a broker leaves it that was killed before it wrote the ticket of the call
 * that runs. */
static void its_ticket_has_another_one(void)
{
    static uint8_t slot[SLOT_SIZE];
    spawn_id other;
    uint8_t *map = slots();

    memcpy(slot, map, sizeof(slot));
    returns_and_is_told();
    retry = 0;
    submit(&other, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &other);
    worker_returns(&the_worker, &other);
    expect_answer(SPAWN_M_JOB);
    kill_broker();
    memcpy(map, slot, sizeof(slot));
    (void)munmap(map, (size_t)SIZE);
}

static void the_ticket_has_another_one(void)
{
    worker_is_ready();
    a_call_runs();
    its_ticket_has_another_one();
}

static void one_that_was_not_sent_waits_again(void **state)
{
    (void)state;
    the_ticket_has_another_one();
    start_another(&the_worker, &template);
    expect_call(&the_worker, &job);
    assert_true(spawn_has(&message, SPAWN_A_ARGS));
    assert_int_equal(message.attr[SPAWN_A_ARGS].length, 9);
    assert_memory_equal(message.attr[SPAWN_A_ARGS].data, "arguments", 9);
    call_for(SPAWN_REPLY_FINISHED);
    returns_and_is_told();
}

static void the_worker_dies(void)
{
    (void)close(the_worker.link);
    say_exited(&the_worker.id, 0, SIGKILL);
    worker_starts(&the_worker);
    worker_says(&the_worker, NULL);
}

/* It was given to another worker, and is to be so once only. */
static void and_is_not_given_to_more_workers_than_it_may(void **state)
{
    (void)state;
    worker_is_ready();
    retry = 1;
    a_call_runs();
    the_worker_dies();
    expect_call(&the_worker, &job);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_ATTEMPT]), 2);
    comes_to_rest();
    kill_broker();
    start_another(&the_worker, &template);
    expect_call(&the_worker, &job); /* it may not have been sent */
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_ATTEMPT]), 2);
    call_for(SPAWN_REPLY_FINISHED);
    is_there();
    the_worker_dies();
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SIGNAL, 0), SIGKILL);
    retry = 0;
}

/* It was promised to nobody: its caller comes again. */
static void or_is_sent_anew_when_the_store_takes_nothing(void **state)
{
    (void)state;
    the_ticket_has_another_one();
    store_fails(NO_INSERT);
    start_another(&the_worker, &template);
    call_for(SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &job);
    returns_and_is_told();
}

/* A worker that has the process id of that one now is another one. */
static void nor_does_one_whose_worker_is_another_process(void **state)
{
    spawn_writer w;

    (void)state;
    the_ticket_has_another_one();
    start_broker();
    say_running_app(&template);
    begin_running_worker(&w, &the_worker);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, 4711);
    send_fds(&w, the_worker.kept, 4);
    go();
    call_in();
    expect_told(SPAWN_OUTCOME_ENDED);
}

/* So perhaps it was sent. */
static void one_whose_worker_is_not_there_does_not(void **state)
{
    (void)state;
    the_ticket_has_another_one();
    start_broker();
    say_running_app(&template);
    go();
    call_in();
    expect_told(SPAWN_OUTCOME_ENDED);
}

/* ---- notes of another release ---- */

static void another_release_wrote_it(void)
{
    uint8_t *map = slots();

    map[MARK_AT]--; /* the layout's number */
    memset(map + SLOT_SIZE / 2, 0xaa, SLOT_SIZE / 2 - 256);
    (void)munmap(map, (size_t)SIZE);
}

static void a_program_is_launched(void)
{
    spawn_writer w;

    make_store();
    make_inbox();
    reach_go_and_call_in();
    time_stands();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void what_another_release_launched_is_lost(void **state)
{
    int64_t before = spawn_wall_ms(), after, at;

    (void)state;
    a_program_is_launched();
    kill_broker();
    another_release_wrote_it();
    after = spawn_wall_ms();
    (void)poll(NULL, 0, 5); /* the next broker comes later */
    start_broker();
    go();
    quiet_for(NO_EVENT);
    assert_int_equal(full_slots(), 0);
    end_broker();
    expect_sql("SELECT outcome || ' ' || ifnull(pid, 0) || ' ' || text FROM"
               " job",
               "7 0 another release of mod_spawn launched it, and what it noted"
               " of it cannot be read by this one");
    at = atoll(ask_sql("SELECT submitted_at FROM job"));
    assert_true(at >= before && at <= after);
}

static void but_not_when_the_spawner_has_it(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < 2; i++) {
        if (i)
            assert_int_equal(tear_down_clock(NULL) || set_up_clock(NULL), 0);
        a_program_is_launched();
        kill_broker();
        another_release_wrote_it();
        start_broker();
        if (i == 0)
            say_running(SPAWN_STATE_RUNNING, 3999998, 5000);
        else
            say_exited(&job, 0, 6 << 8);
        go();
        if (i == 0)
            say_exited(&job, 0, 6 << 8);
        time_goes_on();
        expect_id(SPAWN_M_FORGET, &job);
        expect_jobs("4 1 6 -");
    }
}

static void nor_when_a_ticket_has_it(void **state)
{
    (void)state;
    worker_is_ready();
    a_call_runs();
    kill_broker();
    another_release_wrote_it();
    start_another(&the_worker, &template);
    expect_call(&the_worker, &job);
    call_for(SPAWN_REPLY_FINISHED);
    returns_and_is_told();
}

/* ---- a function that was not forked ---- */

static void one_that_was_not_forked_outlives_both(void **state)
{
    static const spawn_reply replies[] = {SPAWN_REPLY_ACCEPTED,
                                          SPAWN_REPLY_FINISHED};
    spawn_writer w;
    unsigned i;

    (void)state;
    for (i = 0; i < 2; i++) {
        make_store();
        reach_workers(0, 0, &template);
        time_stands();
        submit(&job, replies[i]);
        if (i == 0)
            expect_answer(SPAWN_M_ACCEPTED);
        expect_order(&job, &template);
        comes_to_rest();
        assert_true(mark() != 0);
        say_exited(&job, SPAWN_STEP_TEMPLATE, ESRCH);
        expect_id(SPAWN_M_DISMISS, &template);
        expect_id(SPAWN_M_FORGET, &job);
        is_there();
        assert_int_equal(mark(), 0);
        kill_broker();
        another_spawner();
        reach_workers(0, 0, &template);
        if (i == 1) { /* it was promised to nobody: its caller comes again */
            begin(&w, SPAWN_M_SUBMIT, &job);
            spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
            spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
            ask(&w);
        }
        expect_order(&job, &template);
        kill_broker();
        run_sql("DELETE FROM job");
        empty_inbox();
        time_goes_on();
    }
}

/* The store has it as running, and no slot. */
static void or_one_that_is_stored(void **state)
{
    (void)state;
    make_store();
    reach_workers(0, 0, &template);
    time_stands();
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_order(&job, &template);
    time_moves(20);
    is_there();
    assert_int_equal(full_slots(), 0);
    say_exited(&job, SPAWN_STEP_TEMPLATE, ESRCH);
    expect_id(SPAWN_M_DISMISS, &template);
    expect_id(SPAWN_M_FORGET, &job);
    is_there();
    kill_broker();
    expect_sql("SELECT state FROM job", "1");
}

/* ---- slots that cannot be read ---- */

/* In the message, in the id of the note, or in the message of another release's
 * layout. It may have run, so it does not run again. */
static void one_that_cannot_be_read_is_told_of(void **state)
{
    static const unsigned at[] = {SPAWN_WIRE_HEADER + 2,
                                  SLOT_SIZE - sizeof(spawn_packet_control)
                                      - sizeof(spawn_inbox_note),
                                  SPAWN_WIRE_HEADER + 2};
    char id[SPAWN_ID_TEXT], line[160];
    uint8_t *map;
    unsigned i;

    (void)state;
    for (i = 0; i < 3; i++) {
        if (i)
            assert_int_equal(tear_down_clock(NULL) || set_up_clock(NULL), 0);
        log_is_kept = true;
        a_program_is_launched();
        kill_broker();
        map = slots();
        map[at[i]] ^= 0xff;
        map[MARK_AT] -= i == 2;
        (void)munmap(map, (size_t)SIZE);
        start_broker();
        go();
        quiet_for(NO_EVENT);
        assert_int_equal(full_slots(), 0);
        (void)snprintf(line, sizeof(line),
                       "history: job %s: ", i ? "" : spawn_id_format(&job, id));
        assert_int_equal(logged("MS0573"), 1);
        assert_int_equal(logged(i ? "history: job " : line), 1);
        end_broker();
        expect_sql("SELECT count(*) FROM job", "0");
    }
}

#define LATER(test)                                                            \
    cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LATER(it_is_not_sent_again),
        LATER(nor_when_its_worker_lives),
        LATER(the_ticket_has_it),
        LATER(its_result_is_not_lost_with_the_broker),
        LATER(one_that_was_not_sent_waits_again),
        LATER(and_is_not_given_to_more_workers_than_it_may),
        LATER(or_is_sent_anew_when_the_store_takes_nothing),
        LATER(nor_does_one_whose_worker_is_another_process),
        LATER(one_whose_worker_is_not_there_does_not),
        LATER(what_another_release_launched_is_lost),
        LATER(but_not_when_the_spawner_has_it),
        LATER(nor_when_a_ticket_has_it),
        LATER(one_that_was_not_forked_outlives_both),
        LATER(or_one_that_is_stored),
        LATER(one_that_cannot_be_read_is_told_of)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("calls that are found", tests, NULL,
                                       NULL);
}
