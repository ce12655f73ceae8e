/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job that has ended, or was not taken, leaves nothing in its broker: neither
 * a descriptor nor a place on its template's way nor one in the inbox. The
 * protocol of broker_found.h.
 */
#include "t/unit/broker_stepped.h"

#include "t/unit/broker_found.h"
#include "t/unit/broker_post.h"

#include <sys/resource.h>

#define GRACE 100000 /* ms */

static void none_is_open(const char *name)
{
    int64_t end = spawn_mono_ms() + DEADLINE_MS;

    while (has_open(name) > 0 && spawn_mono_ms() < end)
        (void)usleep(1000);
    assert_int_equal(has_open(name), 0);
}

/* The broker knows that it is ready. */
static void reach_a_ready_template(spawn_id *ret)
{
    reach_a_template(ret);
    is_there();
}

/* ---- descriptors ---- */

static const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};

static void captured_output_is_closed(void **state)
{
    spawn_writer w;

    (void)state;
    ONLY_ROOT_LOOKS;
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
    spawn_put_stdio(&w, SPAWN_A_STDERR, &capture);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(has_open("spawn-std"), 2);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    none_is_open("spawn-std");
}

/* Its board and its bell. */
static void what_a_function_had_is_closed(void **state)
{
    spawn_id template;
    unsigned events;
    spawn_writer w;

    (void)state;
    ONLY_ROOT_LOOKS;
    reach_a_ready_template(&template);
    events = has_open("eventfd");
    begin_function(&w, &job);
    spawn_put_u64(&w, SPAWN_A_WANT, SPAWN_WANT_EARLY);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_order(&job, &template);
    assert_int_equal(has_open("spawn-board"), 1);
    assert_int_equal(has_open("eventfd"), events + 1);
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_answer(SPAWN_M_JOB);
    expect_id(SPAWN_M_FORGET, &job);
    none_is_open("spawn-board");
    is_there();
    assert_int_equal(has_open("eventfd"), events);
}

/* It was sent TERM: whom it led would have been sent KILL. */
static void the_leader_of_a_group_is_closed(void **state)
{
    spawn_writer w;

    (void)state;
    ONLY_ROOT_LOOKS;
    child_runs(CHILD_IGNORES_TERM);
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, 5000);
    spawn_put_u64(&w, SPAWN_A_GRACE, GRACE);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    begin(&w, SPAWN_M_STARTED, &job);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)child);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)child_started);
    send_fds(&w, NULL, 0);
    assert_int_equal(has_open("pidfd"), 0);
    time_passes(6);
    expect_signal(SIGTERM);
    assert_int_equal(has_open("pidfd"), 1);
    say_exited(&job, 0, SIGTERM);
    expect_id(SPAWN_M_FORGET, &job);
    none_is_open("pidfd");
    child_ends();
}

/* The spawner has adopted it, after all: it tells the end before the broker
 * sees it. */
static void an_orphan_is_closed(void **state)
{
    (void)state;
    ONLY_ROOT_LOOKS;
    child_is_found(CHILD_OBEYS, 0, 0);
    say_orphaned(child, child_started);
    go();
    call_in();
    is_there();
    assert_int_equal(has_open("pidfd"), 1);
    say_exited(&job, 0, 7 << 8);
    expect_id(SPAWN_M_FORGET, &job);
    none_is_open("pidfd");
    child_ends();
    is_there();
    expect_jobs("4 1 7 -");
}

/* So many more, and no other. */
static void may_open(unsigned more)
{
    struct rlimit limit;
    char path[64], to[64];
    unsigned fd;

    for (fd = 3; more > 0; fd++) { /* those below are taken */
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%u", (int)broker, fd);
        more -= readlink(path, to, sizeof(to)) < 0;
    }
    assert_int_equal(prlimit(broker, RLIMIT_NOFILE, NULL, &limit), 0);
    limit.rlim_cur = fd;
    assert_int_equal(prlimit(broker, RLIMIT_NOFILE, &limit, NULL), 0);
}

/* When its output has been made there is no room for its board. */
static void what_could_not_be_ordered_has_no_output(void **state)
{
    const spawn_stdio null = {SPAWN_STDIO_NULL, 0, 0, ""};
    spawn_id template;
    spawn_writer w;

    (void)state;
    ONLY_ROOT_LOOKS;
    reach_a_ready_template(&template);
    may_open(3);
    begin_function(&w, &job);
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
    spawn_put_stdio(&w, SPAWN_A_STDERR, &null);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    none_is_open("spawn-stdout");
    expect_jobs("4 5 - -");
    expect_sql("SELECT text FROM job",
               "no memory for its progress and result: Too many open files");
    expect_sql("SELECT count(out) FROM output", "0");
}

/* The caller is not to blame: it is answered, and keeps its connection. */
static void what_comes_without_its_descriptors_is_refused(void **state)
{
    const spawn_stdio stdin_ = {SPAWN_STDIO_FD, 0, 0, ""};
    spawn_wire_header sent;
    spawn_writer w;

    (void)state;
    ONLY_ROOT_LOOKS;
    log_is_kept = true;
    reach_go_and_call_in();
    may_open(0);
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_stdio(&w, SPAWN_A_STDIN, &stdin_);
    assert_int_equal(spawn_writer_finish(&w, 1), 0);
    assert_int_equal(spawn_packet_send(caller, w.data, w.length, &caller, 1),
                     0);
    expect_refusal(SPAWN_E_SYSTEM);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ERRNO, 0), EMFILE);
    assert_int_equal(spawn_wire_read_header(w.data, w.length, &sent), 0);
    assert_int_equal(message.header.seq, sent.seq);
    spawn_writer_free(&w);
    assert_int_equal(logged("MS0545"), 1);
    assert_int_equal(logged("MS0542"), 0);
    (void)spawn_id_make(&job);
    submit_as(&job, "/bin/true"); /* without any */
    expect_answer(SPAWN_M_ACCEPTED);
}

/* ---- jobs that the store does not take ---- */

/* Until the clock is stepped by so much. */
#define STORE_TAKES 60 /* s */

static void make_store_that_fails_now(void)
{
    char when[100];

    (void)snprintf(when, sizeof(when), "%s WHEN NEW.submitted_at < %lld",
                   NO_INSERT, (long long)spawn_wall_ms() + STORE_TAKES * 1000);
    make_store_that_fails(when);
}

/* More than its template has at once. */
static void orders_that_were_not_given_are_not_waited_for(void **state)
{
    spawn_id template;
    spawn_writer w;
    int i;

    (void)state;
    make_store_that_fails_now();
    reach_a_ready_template(&template);
    for (i = 0; i < 20; i++) {
        begin_function(&w, &job);
        ask(&w);
        expect_refusal(SPAWN_E_STORE);
    }
    time_passes(STORE_TAKES);
    begin_function(&w, &job);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_order(&job, &template);
}

/* A refused caller has the answer: nothing is kept, nor said to be. */
static void what_was_refused_is_not_said_to_be_kept(void **state)
{
    (void)state;
    log_is_kept = true;
    make_store_that_fails(NO_INSERT);
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    submit_as(&job, "/bin/true");
    expect_refusal(SPAWN_E_STORE);
    is_there();
    assert_int_equal(logged("MS0530"), 1);
    assert_int_equal(logged("MS0860"), 0);
    say(SPAWN_M_LINGER);
    expect(SPAWN_M_BYE); /* without a wait for it */
}

/* The next turns know it as one that waits. */
static void it_still_waits(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_QUEUED);
}

/* Until a job of another queue is stored. Before GO, for what is launched needs
 * no store. */
static void make_store_that_fails_at_first(void)
{
    static const char *const more[] = {"good", NULL};

    make_store_that_fails(NO_INSERT
                          " WHEN NEW.queue = 'default' AND NOT EXISTS"
                          " (SELECT 1 FROM job WHERE queue = 'good')");
    make_inbox();
    more_queues = more;
    reach_ready_and_call_in();
}

static void is_kept(unsigned jobs)
{
    wait_until_logged("stays in the inbox", jobs);
    has_heard();
}

static void the_store_is_good(void)
{
    spawn_writer w;
    spawn_id good;

    say(SPAWN_M_GO);
    (void)spawn_id_make(&good);
    begin_post(&w, &good, "/bin/true");
    spawn_put_str(&w, SPAWN_A_QUEUE, "good");
    send_post(&w);
    runs(&good);
    time_passes(2);
}

static void a_post_that_is_not_stored_waits(void **state)
{
    (void)state;
    log_is_kept = true;
    make_store_that_fails_at_first();
    post(&job);
    is_kept(1);
    assert_int_equal(full_slots(), 1);
    it_still_waits();
    the_store_is_good();
    runs(&job);
    assert_int_equal(full_slots(), 0);
}

/* The cancel was refused: the post waits on, is known, and runs. */
static void a_post_outlives_a_cancel_that_is_refused(void **state)
{
    spawn_writer w;

    (void)state;
    log_is_kept = true;
    make_store_that_fails_at_first();
    post(&job);
    is_kept(1);
    begin(&w, SPAWN_M_KILL, &job);
    ask(&w);
    expect_refusal(SPAWN_E_STORE);
    it_still_waits();
    submit_as(&job, "/bin/false");
    expect_refusal(SPAWN_E_CONFLICT);
    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&w);
    steps[0] += 2; /* it is tried again in the turn of the next cancel */
    steps[1] += 2;
    begin(&w, SPAWN_M_KILL, &job);
    ask(&w);
    expect_refusal(SPAWN_E_STORE);
    is_there();
    the_store_is_good();
    runs(&job);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_DONE);
    assert_int_equal(full_slots(), 0);
}

/* The queue has become smaller when the next broker finds it. */
static void a_post_that_was_taken_once_is_not_refused_as_too_many(void **state)
{
    spawn_id other;

    (void)state;
    log_is_kept = true;
    queue_jobs = queue_waits = 1;
    make_store_that_fails_at_first();
    post(&job);
    post(&other);
    is_kept(2);
    assert_int_equal(full_slots(), 2);
    kill_broker();
    queue_waits = 0;
    reach_ready_and_call_in();
    is_kept(4);
    it_still_waits();
    the_store_is_good();
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_LAUNCH, &other);
    expect_id(SPAWN_M_FORGET, &job);
    assert_int_equal(logged("MS0560"), 0);
    assert_int_equal(full_slots(), 0);
}

/* It stays refused, and is stored as that. */
static void a_refused_post_that_is_not_stored_is_refused_once(void **state)
{
    (void)state;
    log_is_kept = true;
    queue_jobs = 1;
    queue_waits = 0;
    make_store_that_fails_at_first();
    post(&job);
    post(&job);
    is_kept(2);
    assert_int_equal(logged("MS0560"), 1);
    time_passes(2);
    has_heard();
    assert_int_equal(logged("MS0560"), 1);
    the_store_is_good();
    is_there();
    end_broker();
    expect_sql("SELECT count(*) FROM job WHERE outcome = 5", "1");
    assert_int_equal(full_slots(), 0);
}

/* It returned, and ended, and neither is stored. */
static void what_is_not_stored_is_told_to_nobody(void **state)
{
    spawn_board *board;
    spawn_id template;
    spawn_writer w;
    uint64_t one = 1;
    int bell;

    (void)state;
    make_store_that_fails(NO_END);
    reach_a_ready_template(&template);
    begin_function(&w, &job);
    spawn_put_u64(&w, SPAWN_A_WANT, SPAWN_WANT_EARLY);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_order(&job, &template);
    board = spawn_board_map(packet.fds[place_of(SPAWN_KEEP_BOARD)]);
    assert_non_null(board);
    bell = packet.fds[place_of(SPAWN_KEEP_BELL)];
    packet.fds[place_of(SPAWN_KEEP_BELL)] = -1;
    say_started(&job);
    is_there();
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_RETURNED, "value", 5), 0);
    broker_sleeps();
    assert_int_equal(write(bell, &one, sizeof(one)), sizeof(one));
    say_exited(&job, 0, 0);
    broker_goes_on();
    quiet_at(caller, 300);
    (void)close(bell);
}

int main(void)
{
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        STEPPED(captured_output_is_closed),
        STEPPED(what_a_function_had_is_closed),
        STEPPED(the_leader_of_a_group_is_closed),
        STEPPED(an_orphan_is_closed),
        STEPPED(what_could_not_be_ordered_has_no_output),
        STEPPED(what_comes_without_its_descriptors_is_refused),
        STEPPED(orders_that_were_not_given_are_not_waited_for),
        STEPPED(what_was_refused_is_not_said_to_be_kept),
        STEPPED(a_post_that_is_not_stored_waits),
        STEPPED(a_post_outlives_a_cancel_that_is_refused),
        STEPPED(a_post_that_was_taken_once_is_not_refused_as_too_many),
        STEPPED(a_refused_post_that_is_not_stored_is_refused_once),
        STEPPED(what_is_not_stored_is_told_to_nobody)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("lets go", tests, NULL, NULL);
}
