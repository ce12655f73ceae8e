/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A commit that fails: nobody is told what is not stored, nothing starts whose
 * start is not stored, no exit is forgotten whose end is not; and all of it
 * comes when the store takes it again. The protocol of broker_caller.h,
 * with a clock that is stepped.
 */
#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"

#include "t/unit/corner.h"

static spawn_id job; /* of the test */

static void wait_for_failure(void)
{
    wait_until_logged("MS0530", 1);
}

/* Nor will anything come of what it has heard. */
static void says_nothing(void)
{
    has_heard();
    quiet_for(1);
}

static void put_waiting(const char *function)
{
    (void)spawn_id_make(&job);
    put_job(&job, SPAWN_STATE_QUEUED, function);
}

static void ask_about(uint16_t type)
{
    spawn_writer w;

    begin(&w, type, &job);
    ask(&w);
}

/* ---- starts ---- */

static void what_is_not_stored_as_starting_does_not_start(void **state)
{
    (void)state;
    log_is_kept = true;
    make_store();
    no_notes();
    put_waiting(NULL);
    store_fails_a_while(NO_UPDATE);
    reach_go_and_call_in();
    wait_for_failure();
    says_nothing();
    ask_about(SPAWN_M_GET);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_QUEUED);
    store_takes_again();
    expect_id(SPAWN_M_LAUNCH, &job); /* once it is */
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    says_nothing();
    end_broker();
    expect_sql("SELECT outcome FROM job", "1");
    assert_int_equal(logged("MS0530"), 1);
}

static void a_function_too(void **state)
{
    spawn_id template;
    int i;

    (void)state;
    log_is_kept = true;
    make_store();
    no_notes();
    put_waiting("My::f");
    store_fails_a_while(NO_UPDATE);
    rules = "A";
    reach_go();
    template_starts(&template, true);
    wait_for_failure();
    store_takes_again();
    /* and the order that was not given is not waited for: ten in vain are
     * enough */
    for (i = 0; i < 10; i++) {
        expect_order(&job, &template);
        say_exited(&job, SPAWN_STEP_TEMPLATE, EAGAIN);
        expect_id(SPAWN_M_FORGET, &job);
    }
    end_broker();
    expect_sql("SELECT outcome || ' ' || step FROM job", "5 10");
}

/* Its worker had nothing to do meanwhile. */
static void a_call_too(void **state)
{
    spawn_id template;
    worker w;

    (void)state;
    log_is_kept = true;
    make_store();
    put_waiting("My::f");
    store_fails_a_while(NO_UPDATE);
    reach_workers(1, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    wait_for_failure();
    quiet_at(w.link, 1);
    store_takes_again();
    expect_call(&w, &job);
}

/* Its template had no order, and is not waited for. */
static void nor_is_the_template_of_one_that_is_refused(void **state)
{
    spawn_id template;
    spawn_writer w;

    (void)state;
    LEAVE_OUT_IF(clocks_are_real(), "half a minute passes");
    make_store_that_fails(NO_INSERT);
    reach_a_template(&template);
    begin_function(&w, &job);
    ask(&w);
    expect_refusal(SPAWN_E_STORE);
    has_heard();
    later_by(31);
    has_heard();
    quiet_for(1);
}

/* Its order has been damaged in the store. */
static void what_cannot_be_ordered_has_failed(void **state)
{
    spawn_writer w;

    (void)state;
    make_store();
    put_waiting(NULL);
    run_sql("UPDATE job SET body = x'ffff'");
    reach_go();
    call_in();
    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]),
                     SPAWN_OUTCOME_START_FAILED);
    end_broker();
    expect_sql("SELECT state || ' ' || outcome FROM job", "4 5");
}

/* A job that could not start waits in its place. */
static void those_that_wait_start_in_their_order(void **state)
{
    spawn_id ids[3], got;
    int i;

    (void)state;
    log_is_kept = true;
    make_store();
    no_notes();
    queue_jobs = 1;
    for (i = 0; i < 3; i++) {
        put_waiting(NULL);
        ids[i] = job;
    }
    store_fails_a_while(NO_UPDATE);
    reach_go();
    wait_for_failure();
    store_takes_again();
    for (i = 0; i < 3;) {
        next_message();
        if (message.header.type == SPAWN_M_FORGET)
            continue;
        assert_int_equal(message.header.type, SPAWN_M_LAUNCH);
        spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
        assert_true(spawn_id_equal(&got, &ids[i]));
        say_started(&ids[i]);
        say_exited(&ids[i++], 0, 0);
    }
}

/* Its start could not be stored; it is cancelled before the next try. */
static void what_was_cancelled_meanwhile_does_not_start(void **state)
{
    (void)state;
    log_is_kept = true;
    make_store();
    no_notes();
    put_waiting(NULL);
    run_sql("CREATE TRIGGER no " NO_UPDATE
            " WHEN NEW.state = 2 BEGIN SELECT RAISE(ABORT, 'full'); END");
    reach_go();
    wait_for_failure();
    call_in();
    ask_about(SPAWN_M_KILL);
    expect_answer(SPAWN_M_DONE);
    says_nothing();
    end_broker();
    expect_sql("SELECT state || ' ' || outcome FROM job", "4 4");
}

/* It waits, in the store, for who comes after. */
static void what_could_not_start_holds_up_no_stop(void **state)
{
    (void)state;
    log_is_kept = true;
    make_store();
    no_notes();
    put_waiting(NULL);
    store_fails(NO_UPDATE);
    reach_go();
    wait_for_failure();
    say(SPAWN_M_LINGER);
    expect(SPAWN_M_BYE);
    kill_broker();
    expect_sql("SELECT state FROM job", "1");
}

static void submit_to(const char *queue, bool durable)
{
    spawn_writer w;

    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    if (durable)
        spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    ask(&w);
}

/* Nothing else is to be written, so nothing else tells that it can be. */
static void a_durable_job_starts_when_the_store_is_good_again(void **state)
{
    static const char *const more[] = {"bad", NULL};

    (void)state;
    log_is_kept = true;
    make_store_that_fails(NO_INSERT " WHEN NEW.queue = 'bad'");
    more_queues = more;
    reach_go();
    call_in();
    submit_to("bad", false);
    expect_refusal(SPAWN_E_STORE);
    wait_for_failure();
    submit_to("default", true);
    expect_answer(SPAWN_M_ACCEPTED);
    says_nothing();
    later_by(6);
    expect_id(SPAWN_M_LAUNCH, &job);
    wait_until_logged("MS0531", 1);
}

/* ---- memory ---- */

/* KB of the broker. */
static long resident(void)
{
    long size, pages = 0;
    char path[64];
    FILE *in;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)broker);
    in = fopen(path, "re");
    assert_non_null(in);
    assert_int_equal(fscanf(in, "%ld %ld", &size, &pages), 2);
    (void)fclose(in);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void orders_that_are_stored_are_no_memory(void **state)
{
    static const uint8_t data[500000];
    spawn_writer w;
    long before = 0;
    int i;

    (void)state;
    LEAVE_OUT_IF(clocks_are_real(),
                 "a sanitized broker keeps what it has freed");
    queue_waits = 100;
    reach_go();
    call_in();
    for (i = 0; i < 42; i++) {
        (void)spawn_id_make(&job);
        begin_submit(&w, &job, "/bin/true");
        spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, data, sizeof(data));
        ask(&w);
        expect_answer(SPAWN_M_ACCEPTED);
        expect_id(SPAWN_M_LAUNCH, &job);
        say_exited(&job, 0, 0);
        expect_id(SPAWN_M_FORGET, &job);
        if (i == 1)
            before = resident();
    }
    assert_in_range(resident(), 1, before + 10000);
}

/* They are read again when their turn comes. */
static void nor_are_those_that_waited(void **state)
{
    static const uint8_t data[500000];
    unsigned launched = 0;
    spawn_writer w;
    spawn_id id;
    long before = 0;
    int i;

    (void)state;
    LEAVE_OUT_IF(clocks_are_real(),
                 "a sanitized broker keeps what it has freed");
    queue_jobs = 1;
    queue_waits = 100;
    reach_go();
    call_in();
    for (i = 0; i < 42; i++) {
        (void)spawn_id_make(&job);
        begin_submit(&w, &job, "/bin/true");
        spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, data, sizeof(data));
        ask(&w);
        expect_answer(SPAWN_M_ACCEPTED);
    }
    while (launched < 42) {
        next_message();
        if (message.header.type == SPAWN_M_FORGET)
            continue;
        assert_int_equal(message.header.type, SPAWN_M_LAUNCH);
        spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
        say_exited(&id, 0, 0);
        if (++launched == 2)
            before = resident();
    }
    assert_in_range(resident(), 1, before + 10000);
}

/* ---- ends ---- */

static void an_end_that_is_not_stored_is_told_to_nobody(void **state)
{
    spawn_writer w;

    (void)state;
    log_is_kept = true;
    make_store_that_fails_a_while(NO_END);
    reach_go();
    call_in();
    (void)spawn_id_make(&job);
    submit_as(&job, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&w);
    say_exited(&job, 0, 3 << 8);
    wait_for_failure();
    comes_to_rest();
    quiet_at(caller, 1);
    quiet_for(1); /* no FORGET */
    store_takes_again();
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_EXIT_CODE]), 3);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT exit_code FROM job", "3");
}

static void who_has_ended_gets_no_signal_though_that_is_not_stored(void **state)
{
    spawn_writer w;
    size_t mark;

    (void)state;
    make_store_that_fails(NO_END);
    reach_go();
    call_in();
    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, 1000);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    say_exited(&job, 0, 0);
    has_heard();
    later_by(2);
    says_nothing();
}

/* It is no full disk, for which the history would have to go. */
static void a_store_that_fails_loses_no_history(void **state)
{
    (void)state;
    make_store();
    put_waiting(NULL);
    run_sql("UPDATE job SET state = 4, outcome = 1, end_seq = 1;"
            "INSERT INTO output (seq, out) SELECT seq, x'6162' FROM job;"
            "CREATE TRIGGER no " NO_INSERT
            " BEGIN SELECT RAISE(ABORT, 'full'); END");
    reach_go();
    call_in();
    (void)spawn_id_make(&job);
    submit_as(&job, "/bin/true");
    expect_refusal(SPAWN_E_STORE);
    kill_broker();
    expect_sql("SELECT count(*) || ' ' || length(out) FROM output", "1 2");
    expect_sql("SELECT count(*) FROM job", "1");
}

/* ---- answers ---- */

static void a_kill_that_is_not_stored_is_refused(void **state)
{
    (void)state;
    make_store_that_fails(NO_UPDATE);
    put_waiting(NULL);
    start_broker();
    expect_ready();
    call_in();
    ask_about(SPAWN_M_KILL);
    expect_refusal(SPAWN_E_STORE);
    kill_broker();
    expect_sql("SELECT state FROM job", "1");
}

/* It was refused, and its kill too: of that nothing is known any more. */
static void one_that_was_killed_and_refused_can_come_again(void **state)
{
    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    reach_go();
    call_in();
    (void)spawn_id_make(&job);
    broker_sleeps();
    submit_as(&job, "/bin/true");
    ask_about(SPAWN_M_KILL);
    broker_goes_on();
    expect_refusal(SPAWN_E_STORE);
    expect_refusal(SPAWN_E_STORE);
    store_takes_again();
    submit_as(&job, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void all_that_came_together_are_refused_together(void **state)
{
    spawn_id ids[40];
    int i;

    (void)state;
    make_store_that_fails(NO_INSERT);
    queue_waits = 100;
    reach_go();
    call_in();
    broker_sleeps();
    for (i = 0; i < 40; i++) {
        (void)spawn_id_make(&ids[i]);
        submit_as(&ids[i], "/bin/true");
    }
    broker_goes_on();
    for (i = 0; i < 40; i++) {
        spawn_id got;

        expect_refusal(SPAWN_E_STORE);
        spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
        assert_true(spawn_id_equal(&got, &ids[i]));
    }
}

static void all_that_came_together_are_stored_together(void **state)
{
    spawn_id ids[40];
    int i;

    (void)state;
    queue_jobs = 100;
    reach_go();
    call_in();
    broker_sleeps();
    for (i = 0; i < 40; i++) {
        (void)spawn_id_make(&ids[i]);
        submit_as(&ids[i], "/bin/true");
    }
    broker_goes_on();
    for (i = 0; i < 40; i++) {
        expect_answer(SPAWN_M_ACCEPTED);
        expect_id(SPAWN_M_LAUNCH, &ids[i]);
    }
    end_broker();
    expect_sql("SELECT count(*) || ' ' || sum(state = 2) FROM job", "40 40");
}

static void who_has_left_is_answered_by_nobody(void **state)
{
    int i;

    (void)state;
    reach_go();
    for (i = 0; i < 3; i++) {
        call_in();
        broker_sleeps();
        (void)spawn_id_make(&job);
        submit_as(&job, "/bin/true");
        (void)close(caller);
        caller = -1;
        broker_goes_on();
        expect_id(SPAWN_M_LAUNCH, &job);
    }
    call_in();
    ask_about(SPAWN_M_GET);
    expect_answer(SPAWN_M_JOB);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(what_is_not_stored_as_starting_does_not_start),
        ALONE(a_function_too),
        ALONE(a_call_too),
        ALONE(nor_is_the_template_of_one_that_is_refused),
        ALONE(what_cannot_be_ordered_has_failed),
        ALONE(those_that_wait_start_in_their_order),
        ALONE(what_was_cancelled_meanwhile_does_not_start),
        ALONE(what_could_not_start_holds_up_no_stop),
        ALONE(a_durable_job_starts_when_the_store_is_good_again),
        ALONE(orders_that_are_stored_are_no_memory),
        ALONE(nor_are_those_that_waited),
        ALONE(an_end_that_is_not_stored_is_told_to_nobody),
        ALONE(who_has_ended_gets_no_signal_though_that_is_not_stored),
        ALONE(a_store_that_fails_loses_no_history),
        ALONE(a_kill_that_is_not_stored_is_refused),
        ALONE(one_that_was_killed_and_refused_can_come_again),
        ALONE(all_that_came_together_are_refused_together),
        ALONE(all_that_came_together_are_stored_together),
        ALONE(who_has_left_is_answered_by_nobody)};

    find_broker();
    return cmocka_run_group_tests_name("broker commits", tests, NULL, NULL);
}
