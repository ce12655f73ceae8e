/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that are tried again when they ended badly: as often as their order
 * says, after their back-off, and right in number whoever was killed when. Time
 * stands still but where a test moves it. The protocol of broker_retried.h.
 */
#include "t/unit/broker_post.h"
#include "t/unit/broker_retried.h"

static void fails_and_is_tried_again(unsigned attempt)
{
    fails_and_waits(attempt);
    has_heard();
    time_moves(1000);
    has_heard();
    expect_attempt(attempt + 1);
}

static void fails_for_good(unsigned attempt)
{
    attempt_ends(attempt, EXIT(3));
    is_forgotten();
    has_heard();
    time_moves(1000000);
    has_heard();
    quiet_for(1);
}

/* State, attempt, retries, dead and records of the job. One that was launched
 * waits in the store, and is stored as starting a moment later. */
static void store_says(const char *wanted)
{
    kill_broker();
    expect_sql(
        "SELECT iif(state = 2, 1, state) || ' ' || attempt || ' ' || retries "
        "|| ' ' ||"
        " dead || ' ' || (SELECT ifnull(group_concat("
        "number || ':' || outcome || ':' || ifnull(exit_code, '-')), '-')"
        " FROM attempt) FROM job",
        wanted);
}

static void comes_anew(void)
{
    kill_broker();
    time_goes_on();
    start_broker();
}

static void goes_on(void)
{
    expect_ready();
    call_in();
    time_stands();
    say(SPAWN_M_GO);
}

/* ---- what is promised ---- */

static void it_is_tried_again_as_often_as_it_may(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_is_tried_again(1);
    fails_and_is_tried_again(2);
    fails_for_good(3);
    store_says("4 3 0 1 1:1:3,2:1:3");
}

static void not_after_a_good_end(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_is_tried_again(1);
    attempt_ends(2, 0);
    is_forgotten();
    has_heard();
    time_moves(100000);
    has_heard();
    quiet_for(1);
    store_says("4 2 1 0 1:1:3");
}

static void not_before_its_time(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_waits(1);
    has_heard();
    time_moves(990);
    has_heard();
    quiet_for(1);
    time_moves(10);
    has_heard();
    expect_attempt(2);
}

/* A list's last number stays. */
static void its_list_says_when(void **state)
{
    static const uint64_t list[] = {SPAWN_BACKOFF_LIST, 0, 5000};
    spawn_writer w;

    (void)state;
    begins();
    begin_program(&w, 3, list, 3);
    is_submitted(&w);
    fails_and_waits(1);
    expect_attempt(2);
    fails_and_waits(2);
    has_heard();
    time_moves(4990);
    has_heard();
    quiet_for(1);
    time_moves(10);
    has_heard();
    expect_attempt(3);
    fails_and_waits(3);
    has_heard();
    time_moves(4990);
    has_heard();
    quiet_for(1);
}

static void without_one_it_doubles(void **state)
{
    spawn_writer w;
    unsigned i;

    (void)state;
    begins();
    begin_program(&w, 12, NULL, 0);
    is_submitted(&w);
    for (i = 1; i <= 12; i++) {
        int most = i < 10 ? 1000 << (i - 1) : 300000;

        fails_and_waits(i);
        has_heard();
        time_moves(most / 2 - 10);
        has_heard();
        quiet_for(1);
        time_moves(most / 2 + 10);
        has_heard();
        expect_attempt(i + 1);
    }
}

/* At other times than all that failed with them. */
static void those_that_fail_together_come_apart(void **state)
{
    static const uint64_t long_one[] = {SPAWN_BACKOFF_EXPONENTIAL, 1000000,
                                        1000000};
    uint64_t due[8];
    spawn_writer w;
    unsigned i, k, same = 0;

    (void)state;
    begins();
    for (i = 0; i < 8; i++) {
        begin_program(&w, 1, long_one, 3);
        is_submitted(&w);
        fails_and_waits(1);
        begin(&w, SPAWN_M_GET, &job);
        ask(&w);
        expect_answer(SPAWN_M_JOB);
        due[i] = spawn_u64_or(&message, SPAWN_A_DUE_AT, 0);
        assert_true(due[i] > 0);
        for (k = 0; k < i; k++)
            same += due[i] < due[k] + 100 && due[k] < due[i] + 100;
    }
    assert_true(same < 3);
}

/* A moment that is over says nothing of the next attempt; nor is it dead. */
static void one_that_need_not_wait_has_no_time(void **state)
{
    static const uint64_t list[] = {SPAWN_BACKOFF_LIST, 1000, 0};
    static const uint64_t none[] = {SPAWN_BACKOFF_FIXED, 0};
    spawn_id first, other;
    spawn_writer w;
    int i;

    (void)state;
    queue_jobs = 1;
    begins();
    for (i = 0; i < 2; i++) {
        begin_program(&w, 3, i ? none : list, i ? 2 : 3);
        is_submitted(&w);
        if (i == 0)
            fails_and_is_tried_again(1);
        first = job;
        (void)spawn_id_make(&other);
        submit_as(&other, "/bin/true"); /* gets its place */
        expect_answer(SPAWN_M_ACCEPTED);
        attempt_ends(i ? 1 : 2, EXIT(3));
        expect_id(SPAWN_M_LAUNCH, &other);
        is_forgotten();
        begin(&w, SPAWN_M_GET, &first);
        ask(&w);
        expect_answer(SPAWN_M_JOB);
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                         SPAWN_STATE_QUEUED);
        assert_false(spawn_has(&message, SPAWN_A_DUE_AT));
        assert_false(spawn_has(&message, SPAWN_A_DEAD));
        job = other;
        attempt_ends(1, 0);
        expect_id(SPAWN_M_LAUNCH, &first);
        is_forgotten();
        job = first;
        attempt_ends(i ? 2 : 3, 0);
        is_forgotten();
    }
}

/* In each of the ways in which one can come that is not stored before it runs.
 */
static void an_unstored_one_is_tried_again(void **state)
{
    static const uint64_t second[] = {SPAWN_BACKOFF_LIST, 1000};
    static const uint16_t types[] = {SPAWN_M_SUBMIT, SPAWN_M_POST};
    spawn_writer w;
    int i;

    (void)state;
    make_store();
    make_inbox();
    reach_go_and_call_in();
    time_stands();
    for (i = 0; i < 2; i++) {
        begin_program(&w, 1, second, 2);
        spawn_writer_set_type(&w, types[i]);
        if (types[i] == SPAWN_M_POST)
            send_post(&w);
        else
            ask(&w);
        if (types[i] == SPAWN_M_SUBMIT)
            expect_answer(SPAWN_M_ACCEPTED);
        expect_attempt(1);
        attempt_ends(1, EXIT(3));
        expect_id(SPAWN_M_FORGET, &job);
        has_heard();
        time_moves(1000);
        has_heard();
        expect_attempt(2);
        fails_for_good(2);
    }
    assert_int_equal(full_slots(), 0);
    kill_broker();
    expect_sql(
        "SELECT group_concat(state || ' ' || attempt || ' ' || dead) FROM"
        " job",
        "4 2 1,4 2 1");
}

/* A broker that is killed before it has stored anything leaves the slot and,
 * with the spawner, the end. */
static void killed_before_it_was_stored_the_next_one_decides(void **state)
{
    static const uint64_t second[] = {SPAWN_BACKOFF_LIST, 1000};
    spawn_writer w;

    (void)state;
    make_store();
    make_inbox();
    reach_go_and_call_in();
    time_stands();
    begin_program(&w, 1, second, 2);
    is_submitted(&w);
    comes_anew();
    attempt_runs(1);
    attempt_ends(1, EXIT(3));
    expect_ready();
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_FORGET, &job);
    expect_attempt(2);
    attempt_ends(2, EXIT(3));
    expect_id(SPAWN_M_FORGET, &job);
    store_says("4 2 0 1 1:1:3");
}

/* Whoever may write the inbox may have changed it. */
static void what_a_slot_was_made_to_say_is_not_believed(void **state)
{
    static const uint64_t first = 123456, huge = INT64_MAX, none = 0;
    static const uint64_t expires = 7654321;
    static const uint64_t list[] = {SPAWN_BACKOFF_EXPONENTIAL, 123456, 123456};
    spawn_writer w;
    uint8_t *map, *at;
    int i;

    (void)state;
    make_store();
    make_inbox();
    for (i = 0; i < 3; i++) {
        reach_go_and_call_in();
        time_stands();
        begin_program(&w, 1, list, 3);
        spawn_put_u64(&w, SPAWN_A_EXPIRES, expires);
        is_submitted(&w);
        comes_anew();
        map = slots();
        at = memmem(map, (size_t)SIZE, i == 1 ? &first : &expires,
                    sizeof(first));
        assert_non_null(at);
        if (i > 0)
            memcpy(at, i == 1 ? &none : &huge, sizeof(none));
        (void)munmap(map, (size_t)SIZE);
        attempt_runs(1);
        attempt_ends(1, EXIT(3));
        expect_ready();
        call_in();
        has_heard();
        expect_id(SPAWN_M_FORGET, &job); /* it is stored */
        kill_broker();
        expect_sql("SELECT state || ' ' || attempt FROM job ORDER BY seq DESC",
                   i ? "4 1" : "1 2");
        run_sql("DELETE FROM job");
        empty_inbox();
        (void)spawn_id_make(&instance);
    }
}

/* ---- which ends ---- */

static void tried(const uint64_t *on, uint32_t count, int status, bool again)
{
    static const uint64_t none[] = {SPAWN_BACKOFF_LIST, 0};
    spawn_writer w;

    begin_program(&w, 1, none, 2);
    if (count)
        spawn_put_u64v(&w, SPAWN_A_RETRY_ON, on, count);
    is_submitted(&w);
    attempt_ends(1, status);
    if (again) {
        is_forgotten();
        expect_attempt(2);
        attempt_ends(2, 0);
    }
    is_forgotten();
    has_heard();
    quiet_for(1);
}

static void retry_on_says_after_which_ends(void **state)
{
    static const uint64_t failed[] = {SPAWN_RETRY_ON_FAILED};
    static const uint64_t lost[] = {SPAWN_RETRY_ON_LOST};
    static const uint64_t signal[] = {SPAWN_RETRY_ON_SIGNAL};
    static const uint64_t code[] = {SPAWN_RETRY_CODE + 75};

    (void)state;
    begins();
    tried(NULL, 0, EXIT(1), true);
    tried(NULL, 0, SIGSEGV, true);
    tried(NULL, 0, 0, false);
    tried(failed, 1, SIGSEGV, true);
    tried(lost, 1, EXIT(1), false);
    tried(signal, 1, EXIT(1), false);
    tried(signal, 1, SIGSEGV, true);
    tried(code, 1, EXIT(75), true);
    tried(code, 1, EXIT(74), false);
    tried(code, 1, SIGSEGV, false);
}

static void not_started_for(const uint64_t *on, uint32_t count, bool again)
{
    static const uint64_t none[] = {SPAWN_BACKOFF_LIST, 0};
    spawn_writer w;

    begin_program(&w, 1, none, 2);
    if (count)
        spawn_put_u64v(&w, SPAWN_A_RETRY_ON, on, count);
    is_submitted(&w);
    say_exited(&job, SPAWN_STEP_EXEC, ENOENT);
    expect_id(SPAWN_M_FORGET, &job);
    if (again)
        expect_attempt(2);
    else
        quiet_for(1);
}

static void a_start_that_fails_is_one_of_its_own(void **state)
{
    static const uint64_t start[] = {SPAWN_RETRY_ON_FAILED,
                                     SPAWN_RETRY_ON_START_FAILED};

    (void)state;
    begins();
    not_started_for(NULL, 0, false);
    not_started_for(start, 2, true);
}

static void a_time_out_is_one_of_its_own(void **state)
{
    static const uint64_t timeout[] = {SPAWN_RETRY_ON_TIMEOUT};
    static const uint64_t none[] = {SPAWN_BACKOFF_LIST, 0};
    spawn_writer w;
    int i;

    (void)state;
    begins();
    for (i = 0; i < 2; i++) {
        begin_program(&w, 1, none, 2);
        spawn_put_u64(&w, SPAWN_A_TIMEOUT, 1000);
        if (i)
            spawn_put_u64v(&w, SPAWN_A_RETRY_ON, timeout, 1);
        is_submitted(&w);
        say_started(&job);
        has_heard();
        time_moves(1100);
        has_heard();
        expect_signal(SIGTERM);
        attempt_ends(1, SIGTERM);
        is_forgotten();
    }
    expect_attempt(2);
    say_started(&job);
    has_heard();
    time_moves(900);
    has_heard();
    quiet_for(1); /* its time counts anew */
}

/* ---- who ends it ---- */

static void kill_it(int signo)
{
    spawn_writer w;

    begin(&w, SPAWN_M_KILL, &job);
    spawn_put_u64(&w, SPAWN_A_SIGNO, (uint64_t)signo);
    ask(&w);
}

static void nothing_follows(void)
{
    has_heard();
    time_moves(100000);
    has_heard();
    quiet_for(1);
}

/* Whatever it makes of the signal. */
static void one_that_was_killed_is_not_tried_again(void **state)
{
    (void)state;
    a_program_runs();
    say_started(&job);
    kill_it(SIGTERM);
    expect_signal(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    attempt_ends(1, EXIT(1));
    is_forgotten();
    nothing_follows();
    store_says("4 1 2 0 -");
}

static void one_that_waits_can_be_killed(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_waits(1);
    kill_it(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    nothing_follows();
    store_says("4 2 1 0 1:1:3");
}

/* Its end has come, and is judged when it is stored, a moment later. */
static void one_that_has_just_failed_can_be_killed(void **state)
{
    (void)state;
    a_program_runs();
    attempt_ends(1, EXIT(3));
    has_heard();
    kill_it(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    expect_id(SPAWN_M_FORGET, &job);
    nothing_follows();
    store_says("4 1 2 0 -");
}

/* ---- who waits for it ---- */

static void its_caller_waits_for_the_last_attempt(void **state)
{
    static const uint64_t second[] = {SPAWN_BACKOFF_LIST, 1000};
    spawn_writer w;

    (void)state;
    begins();
    begin_program(&w, 1, second, 2);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_attempt(1);
    attempt_ends(1, EXIT(3));
    expect_id(SPAWN_M_FORGET, &job);
    comes_to_rest();
    quiet_at(caller, 1);
    time_moves(1000);
    broker_sleeps();
    broker_goes_on();
    expect_attempt(2);
    attempt_ends(2, EXIT(4));
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 4);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 2);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_DEAD, 0), 1);
}

static void answers_tell_of_all_attempts(void **state)
{
    spawn_message record;
    spawn_reader reader;
    spawn_attr one;
    spawn_writer w;

    (void)state;
    a_program_runs();
    fails_and_is_tried_again(1);
    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 2);
    spawn_reader_init(&reader, message.attr[SPAWN_A_ATTEMPTS].data,
                      message.attr[SPAWN_A_ATTEMPTS].length);
    assert_int_equal(spawn_reader_next(&reader, &one), 1);
    assert_int_equal(spawn_body_parse(one.data, one.length, SPAWN_BODY_ATTEMPT,
                                      0, &record, &why),
                     0);
    assert_int_equal(spawn_u64_or(&record, SPAWN_A_ATTEMPT, 0), 1);
    assert_int_equal(spawn_u64_or(&record, SPAWN_A_EXIT_CODE, 0), 3);
    assert_int_equal(spawn_u64_or(&record, SPAWN_A_ENDED_AT, 0), 1000);
    assert_int_equal(spawn_reader_next(&reader, &one), 0);
}

/* ---- brokers that are killed ---- */

/* It had not even heard of the end. */
static void killed_before_it_has_heard_the_next_one_decides(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_is_tried_again(1);
    comes_anew();
    attempt_runs(2);
    attempt_ends(2, EXIT(3));
    goes_on();
    expect_id(SPAWN_M_FORGET, &job);
    has_heard();
    time_moves(1000);
    has_heard();
    expect_attempt(3);
    fails_for_good(3);
    store_says("4 3 0 1 1:1:3,2:1:3");
}

/* Its FORGET did not come: the end that the spawner tells of is none of the
 * attempt that the job waits for. */
static void killed_before_its_forget_the_end_counts_once(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_waits(1);
    comes_anew();
    attempt_runs(1);
    attempt_ends(1, EXIT(3));
    say(SPAWN_M_TABLE_END);
    next_message();
    while (message.header.type == SPAWN_M_FORGET)
        next_message();
    assert_int_equal(message.header.type, SPAWN_M_BROKER_READY);
    say(SPAWN_M_GO);
    expect_attempt(2); /* real time has gone on */
    store_says("1 2 1 0 1:1:3");
}

static void killed_while_it_waits_it_waits_on(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_waits(1);
    comes_anew();
    expect_ready();
    say(SPAWN_M_GO);
    expect_attempt(2);
    attempt_ends(2, EXIT(3));
    expect_id(SPAWN_M_FORGET, &job);
    expect_attempt(3);
    attempt_ends(3, EXIT(3));
    expect_id(SPAWN_M_FORGET, &job);
    store_says("4 3 0 1 1:1:3,2:1:3");
}

/* Each of three brokers in turn finds it running. */
static void killed_while_it_runs_the_count_goes_on(void **state)
{
    unsigned i;

    (void)state;
    a_program_runs();
    for (i = 1; i <= 3; i++) {
        comes_anew();
        attempt_runs(i);
        expect_ready();
        say(SPAWN_M_GO);
        attempt_ends(i, EXIT(3));
        expect_id(SPAWN_M_FORGET, &job);
        if (i < 3)
            expect_attempt(i + 1);
    }
    store_says("4 3 0 1 1:1:3,2:1:3");
}

/* ---- all are killed ---- */

static void all_die(void)
{
    kill_broker();
    time_goes_on();
    another_spawner();
}

static void what_is_lost_is_tried_again_once(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_is_tried_again(1);
    all_die();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    expect_attempt(3);
    all_die();
    start_broker();
    expect_ready();
    call_in();
    say(SPAWN_M_GO);
    has_heard();
    quiet_for(1);
    store_says("4 3 0 1 1:1:3,2:7:-");
}

static void waits_in_the_store(void)
{
    static const uint64_t second[] = {SPAWN_BACKOFF_LIST, 1000};
    spawn_writer w;
    size_t mark;

    (void)spawn_id_make(&job);
    begin_order(&w, &job);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    spawn_put_i64(&w, SPAWN_A_RETRY, 2);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, second, 2);
    put_order(&job, SPAWN_STATE_QUEUED, &w);
}

/* The note of the first attempt is none of the second. */
static void what_waits_is_not_lost(void **state)
{
    (void)state;
    make_store();
    waits_in_the_store();
    start_broker();
    expect_ready();
    time_stands();
    say(SPAWN_M_GO);
    expect_attempt(1); /* by a note */
    call_in();
    fails_and_waits(1);
    all_die();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    expect_attempt(2);
    store_says("1 2 1 0 1:1:3");
}

/* ---- a store that takes nothing ---- */

static void a_record_that_is_not_stored_is_tried_again(void **state)
{
    (void)state;
    log_is_kept = true;
    make_store();
    waits_in_the_store();
    store_fails_a_while(NO_UPDATE);
    reach_go_and_call_in();
    expect_attempt(1); /* by a note */
    attempt_ends(1, EXIT(3));
    wait_until_logged("MS0530", 1);
    has_heard();
    quiet_for(1); /* no FORGET */
    store_takes_again();
    expect_id(SPAWN_M_FORGET, &job);
    later_by(2);
    has_heard();
    expect_attempt(2);
    log_is_kept = false;
}

/* Nobody was promised anything: the caller has the end of the one attempt. */
static void without_a_store_it_is_not_tried_again(void **state)
{
    spawn_writer w;

    (void)state;
    log_is_kept = true;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_go_and_call_in();
    begin_program(&w, 2, NULL, 0);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_attempt(1);
    attempt_ends(1, EXIT(3));
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_DEAD, 0), 1);
    log_is_kept = false;
}

/* Also for the next broker, whose store works, and which hears of the end. */
static void what_a_caller_was_told_is_the_end(void **state)
{
    spawn_writer w;

    (void)state;
    log_is_kept = true;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_go_and_call_in();
    begin_program(&w, 2, NULL, 0);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_attempt(1);
    attempt_ends(1, EXIT(3));
    expect_answer(SPAWN_M_JOB);
    kill_broker();
    run_sql("DROP TRIGGER no");
    start_broker();
    attempt_runs(1);
    attempt_ends(1, EXIT(3));
    expect_ready();
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 3 -");
    log_is_kept = false;
}

/* ---- the dead ---- */

static void revive(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_REVIVE, &job);
    ask(&w);
}

static void one_that_is_dead_can_be_tried_again(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_is_tried_again(1);
    fails_and_is_tried_again(2);
    fails_for_good(3);
    revive();
    expect_answer(SPAWN_M_DONE);
    expect_attempt(4);
    fails_and_is_tried_again(4);
    fails_and_is_tried_again(5);
    fails_for_good(6);
    store_says("4 6 0 1 1:1:3,2:1:3,3:1:3,4:1:3,5:1:3");
}

static void others_cannot(void **state)
{
    (void)state;
    a_program_runs();
    revive();
    expect_refusal(SPAWN_E_NOT_DEAD);
    attempt_ends(1, 0);
    is_forgotten();
    revive();
    expect_refusal(SPAWN_E_NOT_DEAD);
    (void)spawn_id_make(&job);
    revive();
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
}

static void a_store_that_takes_nothing_leaves_it_dead(void **state)
{
    (void)state;
    log_is_kept = true;
    make_store();
    waits_in_the_store();
    run_sql("UPDATE job SET state = 4, outcome = 1, exit_code = 3, attempt = 3,"
            " retries = 0, dead = 1, end_seq = 1");
    store_fails(NO_UPDATE);
    reach_go_and_call_in();
    revive();
    expect_refusal(SPAWN_E_STORE);
    has_heard();
    quiet_for(1);
    store_says("4 3 0 1 -");
    log_is_kept = false;
}

static void is_dead_in_the_store(void)
{
    make_store();
    waits_in_the_store();
    run_sql("UPDATE job SET state = 4, outcome = 1, exit_code = 3, attempt = 3,"
            " retries = 0, dead = 1, end_seq = 1");
}

/* It has ended as long as the store does not say that it waits again. */
static void a_kill_in_the_same_turn_comes_too_early(void **state)
{
    (void)state;
    is_dead_in_the_store();
    reach_go_and_call_in();
    broker_sleeps();
    revive();
    kill_it(SIGTERM);
    broker_goes_on();
    expect_refusal(SPAWN_E_NOT_RUNNING);
    expect_answer(SPAWN_M_DONE);
    expect_attempt(4);
}

/* It has as many as at first, also for the next broker. */
static void its_retries_begin_anew(void **state)
{
    (void)state;
    is_dead_in_the_store();
    start_broker();
    expect_ready();
    call_in(); /* and no GO: it waits */
    revive();
    expect_answer(SPAWN_M_DONE);
    has_heard();
    store_says("1 4 2 0 3:1:3");
}

static void who_waits_for_one_that_stays_dead_is_told(void **state)
{
    spawn_writer w;

    (void)state;
    log_is_kept = true;
    is_dead_in_the_store();
    store_fails(NO_UPDATE);
    reach_go_and_call_in();
    broker_sleeps();
    revive();
    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&w);
    broker_goes_on();
    expect_refusal(SPAWN_E_STORE);
    expect_refusal(SPAWN_E_STORE);
    has_heard();
    log_is_kept = false;
}

/* Nobody can say whether it may be tried again, nor do so: it stays, with what
 * it was given. */
static void one_that_cannot_be_read_is_kept(void **state)
{
    static const char *const ends[] = {"4 2 0 1 - 1", "4 2 0 0 - 0"};
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        make_store();
        run_sql("DELETE FROM job; DELETE FROM input");
        waits_in_the_store();
        run_sql("UPDATE job SET body = x'00', state = 3, attempt = 2,"
                " retries = 1;"
                "INSERT INTO input SELECT seq, x'01', x'02' FROM job");
        start_broker();
        attempt_runs(2);
        goes_on();
        attempt_ends(2, i ? 0 : EXIT(3));
        is_forgotten();
        if (i == 0) {
            revive();
            expect_refusal(SPAWN_E_STORE);
        }
        has_heard();
        time_moves(100000);
        has_heard();
        quiet_for(1);
        kill_broker();
        time_goes_on();
        expect_sql("SELECT state || ' ' || attempt || ' ' || 0 || ' ' || dead"
                   " || ' - ' || (SELECT count(*) FROM input) FROM job",
                   ends[i]);
    }
}

static unsigned rows_of_dead(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_LIST, NULL);
    spawn_put_u64(&w, SPAWN_A_STATES, SPAWN_STATES_DEAD);
    spawn_put_u64(&w, SPAWN_A_ROWS, 0);
    ask(&w);
    expect_answer(SPAWN_M_END);
    return (unsigned)spawn_u64_or(&message, SPAWN_A_DEAD, 99);
}

static void they_are_listed_and_counted(void **state)
{
    spawn_writer w;

    (void)state;
    a_program_runs();
    assert_int_equal(rows_of_dead(), 0);
    fails_and_is_tried_again(1);
    fails_and_is_tried_again(2);
    fails_for_good(3);
    assert_int_equal(rows_of_dead(), 1);
    begin(&w, SPAWN_M_LIST, NULL);
    spawn_put_u64(&w, SPAWN_A_STATES, SPAWN_STATES_DEAD);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_true(spawn_u64_or(&message, SPAWN_A_DEAD, 0));
    expect_answer(SPAWN_M_END);
    revive();
    expect_answer(SPAWN_M_DONE);
    expect_attempt(4);
    assert_int_equal(rows_of_dead(), 0);
}

/* ---- */

#define ALONE(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(it_is_tried_again_as_often_as_it_may),
        ALONE(not_after_a_good_end),
        ALONE(not_before_its_time),
        ALONE(its_list_says_when),
        ALONE(without_one_it_doubles),
        ALONE(those_that_fail_together_come_apart),
        ALONE(one_that_need_not_wait_has_no_time),
        ALONE(an_unstored_one_is_tried_again),
        ALONE(killed_before_it_was_stored_the_next_one_decides),
        ALONE(what_a_slot_was_made_to_say_is_not_believed),
        ALONE(retry_on_says_after_which_ends),
        ALONE(a_start_that_fails_is_one_of_its_own),
        ALONE(a_time_out_is_one_of_its_own),
        ALONE(one_that_was_killed_is_not_tried_again),
        ALONE(one_that_waits_can_be_killed),
        ALONE(one_that_has_just_failed_can_be_killed),
        ALONE(its_caller_waits_for_the_last_attempt),
        ALONE(answers_tell_of_all_attempts),
        ALONE(killed_before_it_has_heard_the_next_one_decides),
        ALONE(killed_before_its_forget_the_end_counts_once),
        ALONE(killed_while_it_waits_it_waits_on),
        ALONE(killed_while_it_runs_the_count_goes_on),
        ALONE(what_is_lost_is_tried_again_once),
        ALONE(what_waits_is_not_lost),
        ALONE(a_record_that_is_not_stored_is_tried_again),
        ALONE(without_a_store_it_is_not_tried_again),
        ALONE(what_a_caller_was_told_is_the_end),
        ALONE(one_that_is_dead_can_be_tried_again),
        ALONE(others_cannot),
        ALONE(a_store_that_takes_nothing_leaves_it_dead),
        ALONE(a_kill_in_the_same_turn_comes_too_early),
        ALONE(its_retries_begin_anew),
        ALONE(who_waits_for_one_that_stays_dead_is_told),
        ALONE(one_that_cannot_be_read_is_kept),
        ALONE(they_are_listed_and_counted),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker retry", tests, NULL, NULL);
}
