/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a slot of the inbox says of the job that has it, whose it is at any
 * time, and when it is free again: each of these is something that only a later
 * job, a second sender or the next pair would notice. Time stands still, as in
 * broker_unstored.c. The protocol of broker_found.h.
 */
#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"
#include "t/unit/broker_found.h"
#include "t/unit/broker_post.h"

#include "broker/caller/inbox.h"

#define MARK_AT  5 /* of a message in a slot: it is launched */
#define NO_EVENT 200

static spawn_id template;
static worker the_worker;

/* ---- slots ---- */

static bool is_full(unsigned slot)
{
    static const uint8_t zeros[SPAWN_WIRE_HEADER];
    uint8_t head[SPAWN_WIRE_HEADER];

    assert_int_equal(
        pread(inbox_fd, head, sizeof(head), (off_t)slot * SLOT_SIZE),
        sizeof(head));
    return memcmp(head, zeros, sizeof(head)) != 0;
}

static bool is_marked(unsigned slot)
{
    uint8_t mark;

    assert_int_equal(
        pread(inbox_fd, &mark, 1, (off_t)slot * SLOT_SIZE + MARK_AT), 1);
    return mark != 0;
}

static spawn_inbox_note *note_of(uint8_t *map)
{
    return (spawn_inbox_note *)(void *)(map + SLOT_SIZE
                                        - sizeof(spawn_packet_control)
                                        - sizeof(spawn_inbox_note));
}

/* ---- jobs ---- */

static void begins(void)
{
    make_inbox();
    reach_go_and_call_in();
    time_stands();
}

static void submit_program(spawn_reply reply)
{
    spawn_writer w;

    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
}

static void begin_call(spawn_writer *w, uint16_t type, const char *args)
{
    begin(w, type, &job);
    spawn_put_str(w, SPAWN_A_FUNCTION, "My::f");
    if (args)
        spawn_put_bytes(w, SPAWN_A_ARGS, args, strlen(args));
    spawn_put_str(w, SPAWN_A_LABEL, "a call");
}

static void submit_call(const char *args)
{
    spawn_writer w;

    begin_call(&w, SPAWN_M_SUBMIT, args);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
}

static void post_call(void)
{
    spawn_writer w;

    begin_call(&w, SPAWN_M_POST, NULL);
    send_post(&w);
}

static void a_call_runs(const char *args)
{
    (void)spawn_id_make(&job);
    submit_call(args);
    expect_call(&the_worker, &job);
    comes_to_rest();
}

static void returns_and_is_told(void)
{
    worker_returns(&the_worker, &job);
    expect_answer(SPAWN_M_JOB);
}

static void post_to(const char *queue)
{
    spawn_id id;
    spawn_writer w;

    (void)spawn_id_make(&id);
    begin_post(&w, &id, "/bin/true");
    spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    send_post(&w);
}

static void get(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
}

/* ---- what it says ---- */

static void it_has_the_call_as_it_was_sent(void **state)
{
    static const char *const given[] = {"arguments", NULL};
    uint8_t *map;
    unsigned i;

    (void)state;
    reach_a_worker(&the_worker, &template);
    time_stands();
    for (i = 0; i < 2; i++) {
        spawn_wire_header head;
        spawn_message m;

        a_call_runs(given[i]);
        map = slots();
        map[MARK_AT] = 0;
        assert_int_equal(spawn_wire_read_header(map, SLOT_SIZE, &head), 0);
        assert_int_equal(spawn_message_parse(map, SPAWN_WIRE_HEADER + head.body,
                                             SPAWN_FROM_POST, 0, &m, &why),
                         0);
        assert_string_equal(spawn_str_or(&m, SPAWN_A_LABEL, ""), "a call");
        assert_int_equal(spawn_has(&m, SPAWN_A_ARGS), given[i] != NULL);
        if (given[i])
            assert_memory_equal(m.attr[SPAWN_A_ARGS].data, given[i],
                                strlen(given[i]));
        (void)munmap(map, (size_t)SIZE);
        returns_and_is_told();
        is_there();
    }
}

/* Neither its slot nor the ticket could tell the next broker all of it. */
static void one_that_is_too_long_for_its_ticket_is_stored_before(void **state)
{
    static char args[33001];

    (void)state;
    memset(args, 'a', sizeof(args) - 1);
    reach_a_worker(&the_worker, &template);
    time_stands();
    a_call_runs(args);
    the_store_has("1");
}

/* By when its process began, which is not another one with its number. */
static void its_process_is_found_by_another_pair(void **state)
{
    spawn_writer w;

    (void)state;
    child_runs(CHILD_OBEYS);
    begins();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    begin(&w, SPAWN_M_STARTED, &job);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)child);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)child_started);
    send_fds(&w, NULL, 0);
    is_there();
    kill_broker();
    another_spawner();
    start_broker();
    go();
    call_in();
    get();
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_RUNNING);
    child_ends();
    time_goes_on();
    submit_program(SPAWN_REPLY_FINISHED);
    expect_answer(SPAWN_M_JOB);
    assert_true(spawn_has(&message, SPAWN_A_OUTCOME));
}

static void so_is_one_in_the_last_slot(void **state)
{
    static const uint8_t zeros[SLOT_SIZE];
    uint8_t *map, *at, *last;

    (void)state;
    begins();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    is_there();
    kill_broker();
    map = slots();
    last = map + SIZE - SLOT_SIZE;
    for (at = map; memcmp(at, zeros, 16) == 0; at += SLOT_SIZE)
        assert_true(at < last);
    assert_true(at < last);
    memcpy(last, at, SLOT_SIZE);
    memset(at, 0, SLOT_SIZE);
    (void)munmap(map, (size_t)SIZE);
    start_broker();
    go();
    expect_id(SPAWN_M_LAUNCH, &job);
}

/* Its process and its start, too, when only its end was told. */
static void an_end_has_all_that_was_told_with_it(void **state)
{
    (void)state;
    begins();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started_and_exited(&job, 5 << 8);
    expect_answer(SPAWN_M_JOB);
    kill_broker();
    another_spawner();
    start_broker();
    go();
    end_broker();
    expect_sql("SELECT outcome || ' ' || exit_code || ' ' || pid || ' ' ||"
               " started_at FROM job",
               "1 5 4000000 1234");
}

/* It was given up, and the spawner still has it: nobody else ends that. */
static void one_that_was_given_up_is_forgotten(void **state)
{
    (void)state;
    begins();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started_and_exited(&job, 5 << 8);
    expect_answer(SPAWN_M_JOB);
    kill_broker();
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 4000000, 5000);
    expect_ready();
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 5 -");
}

static void an_end_that_is_found_is_stored_at_once(void **state)
{
    (void)state;
    begins();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    kill_broker();
    start_broker();
    say_exited(&job, 0, 5 << 8);
    expect_ready();
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 5 -");
}

/* Of a text only the address could be there: none is written, nor one read. */
static void no_address_is_in_it(void **state)
{
    spawn_inbox_note *note;
    uint8_t *map;

    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_go_and_call_in();
    post(&job);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_exited(&job, SPAWN_STEP_EXEC, ENOENT);
    get();
    expect_answer(SPAWN_M_JOB);
    assert_true(spawn_has(&message, SPAWN_A_TEXT));
    kill_broker();
    run_sql("DROP TRIGGER no");
    map = slots();
    note = note_of(map);
    assert_true(note->over);
    assert_null(note->end.text);
    note->end.text = (char *)(uintptr_t)16;
    (void)munmap(map, (size_t)SIZE);
    another_spawner();
    start_broker();
    go();
    end_broker();
    expect_sql("SELECT outcome || ' ' || ifnull(text, '-') FROM job", "5 -");
}

/* ---- a job that comes back ---- */

/* The order of a function whose template has gone. */
static void order_comes_back(bool is_stored)
{
    rules = "A";
    make_inbox();
    reach_go_and_call_in();
    template_starts(&template, true);
    time_stands();
    (void)spawn_id_make(&job);
    submit_call(NULL);
    expect_order(&job, &template);
    is_there();
    assert_true(is_marked(0));
    if (is_stored) {
        time_moves(20);
        is_there();
        assert_false(is_full(0));
    }
    say_exited(&job, SPAWN_STEP_TEMPLATE, ESRCH);
    expect_id(SPAWN_M_DISMISS, &template);
    expect_id(SPAWN_M_FORGET, &job);
    is_there();
    assert_false(is_full(0));
}

static void one_that_was_stored_waits_without_a_slot(void **state)
{
    (void)state;
    order_comes_back(true);
    post(&job);
    is_there();
    assert_true(is_full(0));
}

/* Its caller was promised nothing, and who posts the same is: the job has the
 * post's slot until it is stored. */
static void a_post_of_one_that_waits_again_lends_its_slot(void **state)
{
    (void)state;
    order_comes_back(false);
    post_call();
    is_there();
    assert_true(is_full(0));
    assert_false(is_marked(0));
    time_moves(20);
    is_there();
    assert_false(is_full(0));
    the_store_has("1");
}

/* The promise is that of the post. */
static void nor_is_it_refused_when_the_store_fails(void **state)
{
    (void)state;
    make_store_that_fails(NO_INSERT);
    order_comes_back(false);
    post_call();
    is_there();
    time_moves(20);
    is_there();
    assert_true(is_full(0));
}

/* Another job has it now. */
static void a_slot_that_it_had_is_not_freed_by_it(void **state)
{
    static const char *const more[] = {"bad", NULL};

    (void)state;
    more_queues = more;
    make_store_that_fails(NO_INSERT " WHEN NEW.queue = 'bad'");
    order_comes_back(false);
    post_to("bad");
    expect(SPAWN_M_LAUNCH);
    is_there();
    assert_true(is_marked(0));
    time_moves(20);
    is_there();
    assert_true(is_marked(0));
    the_store_has("1");
}

/* ---- a job that did not start ---- */

/* Nobody else knows it: it is stored, and then told. */
static void its_end_is_told_when_it_is_stored(void **state)
{
    spawn_writer w;

    (void)state;
    rules = "A";
    make_inbox();
    reach_go_and_call_in();
    time_stands();
    (void)spawn_id_make(&job);
    post_call();
    is_there();
    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&w);
    is_there();
    assert_true(is_full(0));
    template_starts(&template, false);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]),
                     SPAWN_OUTCOME_START_FAILED);
    the_store_has("1");
}

/* ---- a job that is refused ---- */

/* Nothing is launched before GO: so it is not stored, and never was. */
static void its_slot_is_free_again(void **state)
{
    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_ready_and_call_in();
    time_stands();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    has_heard();
    time_moves(20);
    expect_refusal(SPAWN_E_STORE);
    post(&job);
    has_heard();
    assert_true(is_full(0)); /* the first that is free */
}

/* It is to be stored, to start, and to be told of, all in one turn: what waits
 * for the store is not launched without it. */
static void one_that_waits_for_the_store_is_not_launched(void **state)
{
    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_ready_and_call_in();
    time_stands();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    has_heard();
    broker_sleeps();
    get();
    say(SPAWN_M_GO);
    broker_goes_on();
    expect_refusal(SPAWN_E_STORE);
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
    quiet_for(NO_EVENT);
    assert_false(is_full(0));
}

/* ---- a job that goes on without the store ---- */

/* No event comes but those of the turn in which it is not stored. */
static void its_end_is_told_at_once(void **state)
{
    (void)state;
    make_store_that_fails(NO_INSERT);
    begins();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    is_there();
    broker_sleeps();
    submit_program(SPAWN_REPLY_ACCEPTED); /* so it is to be stored now */
    say_exited(&job, 0, 3 << 8);
    broker_goes_on();
    expect_refusal(SPAWN_E_STORE);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
}

/* It never was in a slot, nor does anything else keep it: but it waits for a
 * worker, and its caller for both. */
static void a_call_that_waits_is_not_refused(void **state)
{
    spawn_id first;

    (void)state;
    make_store_that_fails(NO_INSERT);
    reach_a_worker(&the_worker, &template);
    time_stands();
    a_call_runs(NULL);
    first = job;
    (void)spawn_id_make(&job);
    submit_call(NULL);
    is_there();
    time_moves(20);
    is_there();
    worker_returns(&the_worker, &first);
    expect_answer(SPAWN_M_JOB);
    expect_call(&the_worker, &job);
    returns_and_is_told();
}

/* Its caller has it: the broker does not keep it for a store that may stay as
 * it is. */
static void the_end_of_a_call_that_was_told_is_let_go(void **state)
{
    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    reach_a_worker(&the_worker, &template);
    time_stands();
    a_call_runs(NULL);
    returns_and_is_told();
    time_moves(20);
    is_there();
    steps[0] += 60; /* the store takes it: the clocks from the boot stand */
    time_moves(2000);
    is_there();
    the_store_has("0");
}

static void what_a_function_returned_is_told_with_its_end(void **state)
{
    spawn_board *board = NULL;
    uint32_t i;

    (void)state;
    rules = "A";
    make_inbox();
    reach_go_and_call_in();
    template_starts(&template, true);
    time_stands();
    (void)spawn_id_make(&job);
    submit_call(NULL);
    expect_order(&job, &template);
    for (i = 0; i < spawn_u64v_count(&message.attr[SPAWN_A_KEEP]); i += 2) {
        const spawn_attr *keep = &message.attr[SPAWN_A_KEEP];

        if (spawn_u64v_at(keep, i + 1) == SPAWN_KEEP_BOARD)
            board = spawn_board_map(packet.fds[spawn_u64v_at(keep, i)]);
    }
    assert_non_null(board);
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_RETURNED, "value", 5), 0);
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
}

/* ---- the same job by another way ---- */

/* A slot keeps the promise: the store need not. */
static void one_that_was_posted_can_be_submitted_too(void **state)
{
    (void)state;
    begins();
    post(&job);
    expect_id(SPAWN_M_LAUNCH, &job);
    submit_program(SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    is_there();
    assert_true(is_marked(0));
    the_store_has("0");
}

/* As for any other, it is the store that tells. */
static void who_asks_for_the_start_is_told_what_is_stored(void **state)
{
    (void)state;
    begins();
    post(&job);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    is_there();
    submit_program(SPAWN_REPLY_STARTED);
    expect_answer(SPAWN_M_JOB);
    is_there();
    assert_false(is_full(0));
    the_store_has("1");
}

/* Who waits for the end may be refused, and the post is no less a promise. */
static void a_post_of_one_that_is_refused_stays(void **state)
{
    spawn_writer w;

    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_ready_and_call_in();
    time_stands();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    has_heard();
    begin_post(&w, &job, "/bin/true");
    send_post(&w);
    has_heard();
    time_moves(20);
    expect_refusal(SPAWN_E_STORE);
    time_moves(1000);
    has_heard();
    get();
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_QUEUED);
}

/* It runs by the call, and is not kept for a second time. */
static void a_post_of_a_call_that_was_sent_is_dropped(void **state)
{
    (void)state;
    reach_a_worker(&the_worker, &template);
    time_stands();
    a_call_runs(NULL);
    post_call();
    is_there();
    assert_int_equal(full_slots(), 1);
    assert_true(is_marked(0));
}

/* ---- all slots ---- */

/* Also when a broker before this one had fewer. */
static void when_they_are_free_again_more_is_taken(void **state)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    spawn_id id;
    int i;

    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    make_inbox();
    assert_int_equal(ftruncate(inbox_fd, SIZE / 2), 0);
    queue_waits = 2 * SLOTS;
    reach_ready_and_call_in();
    for (i = 0; i < SLOTS + 12; i++)
        post(&id);
    has_heard();
    assert_int_equal(full_slots(), SLOTS);
    store_takes_again();
    while (full_slots() > 0) {
        assert_true(spawn_mono_ms() < until);
        has_heard();
    }
    has_heard(); /* what was received meanwhile is stored, too */
    while (full_slots() > 0)
        assert_true(spawn_mono_ms() < until);
    the_store_has("140");
}

/* Nothing is received there, nor complained of, when the pair ends. */
static void without_senders_none_are_received(void **state)
{
    (void)state;
    log_is_kept = true;
    make_inbox();
    reach_ready_and_call_in();
    assert_int_equal(shutdown(post_fds[0], SHUT_RDWR), 0);
    has_heard();
    say(SPAWN_M_LINGER);
    expect(SPAWN_M_BYE);
    assert_int_equal(logged("MS0570"), 0);
}

#define STANDS(test)                                                           \
    cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STANDS(it_has_the_call_as_it_was_sent),
        STANDS(one_that_is_too_long_for_its_ticket_is_stored_before),
        STANDS(its_process_is_found_by_another_pair),
        STANDS(so_is_one_in_the_last_slot),
        STANDS(an_end_has_all_that_was_told_with_it),
        STANDS(one_that_was_given_up_is_forgotten),
        STANDS(an_end_that_is_found_is_stored_at_once),
        STANDS(no_address_is_in_it),
        STANDS(one_that_was_stored_waits_without_a_slot),
        STANDS(a_post_of_one_that_waits_again_lends_its_slot),
        STANDS(nor_is_it_refused_when_the_store_fails),
        STANDS(a_slot_that_it_had_is_not_freed_by_it),
        STANDS(its_end_is_told_when_it_is_stored),
        STANDS(its_slot_is_free_again),
        STANDS(one_that_waits_for_the_store_is_not_launched),
        STANDS(its_end_is_told_at_once),
        STANDS(a_call_that_waits_is_not_refused),
        STANDS(the_end_of_a_call_that_was_told_is_let_go),
        STANDS(what_a_function_returned_is_told_with_its_end),
        STANDS(one_that_was_posted_can_be_submitted_too),
        STANDS(who_asks_for_the_start_is_told_what_is_stored),
        STANDS(a_post_of_one_that_is_refused_stays),
        STANDS(a_post_of_a_call_that_was_sent_is_dropped),
        STANDS(when_they_are_free_again_more_is_taken),
        STANDS(without_senders_none_are_received)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
