/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of an attempt says what would be told of a job that had ended so:
 * each of these is compared with a job that has no further attempt. Of what was
 * written or returned it keeps beginning and end. The protocol of
 * broker_called.h.
 */
#include "t/unit/broker_called.h"

#include <sys/wait.h>

#include "common/spawn_retry.h"

#define KEPT     (SPAWN_KEPT_HEAD + SPAWN_KEPT_TAIL)
#define CAPTURED (1u << 20) /* of each stream, unless a job says more */

typedef struct {
    int status; /* as wait tells it */
    int step;   /* or it was not started, by this error */
    int error;
    uint64_t elapsed;
    size_t out, err; /* so many bytes */
} way;

/* ---- what is told ---- */

static const struct {
    uint16_t attr;
    bool number;
} facts[] = {{SPAWN_A_STARTED_AT, true},  {SPAWN_A_ENDED_AT, true},
             {SPAWN_A_ELAPSED, true},     {SPAWN_A_PID, true},
             {SPAWN_A_OUTCOME, true},     {SPAWN_A_EXIT_CODE, true},
             {SPAWN_A_SIGNAL, true},      {SPAWN_A_CORE, true},
             {SPAWN_A_STEP, true},        {SPAWN_A_ERRNO, true},
             {SPAWN_A_RESULT_KIND, true}, {SPAWN_A_OUT_LOST, true},
             {SPAWN_A_ERR_LOST, true},    {SPAWN_A_TEXT, false},
             {SPAWN_A_OUT, false},        {SPAWN_A_ERR, false},
             {SPAWN_A_RESULT, false}};
#define FACT_BUT_TIMES 3
#define FACTS          (sizeof(facts) / sizeof(facts[0]))

static struct {
    bool there;
    uint64_t number;
    size_t length;
    uint8_t bytes[KEPT];
} told[FACTS];

static void remember(void)
{
    size_t i;

    for (i = 0; i < FACTS; i++) {
        const spawn_attr *a = &message.attr[facts[i].attr];

        told[i].there = spawn_has(&message, facts[i].attr);
        if (told[i].there && facts[i].number)
            told[i].number = spawn_attr_u64(a);
        told[i].length = told[i].there ? a->length : 0;
        if (told[i].there && a->length <= KEPT)
            memcpy(told[i].bytes, a->data, a->length);
    }
}

static spawn_message record;

/* That of this attempt, in the answer that has come. */
static void find_record(unsigned attempt)
{
    spawn_reader reader;
    spawn_attr one;

    spawn_reader_init(&reader, message.attr[SPAWN_A_ATTEMPTS].data,
                      message.attr[SPAWN_A_ATTEMPTS].length);
    do {
        assert_int_equal(spawn_reader_next(&reader, &one), 1);
        assert_int_equal(spawn_body_parse(one.data, one.length,
                                          SPAWN_BODY_ATTEMPT, 0, &record, &why),
                         0);
    } while (spawn_u64_or(&record, SPAWN_A_ATTEMPT, 0) != attempt);
}

/* from: 0, or FACT_BUT_TIMES. */
static void expect_the_same(size_t from)
{
    size_t i;

    for (i = from; i < FACTS; i++) {
        const spawn_attr *a = &record.attr[facts[i].attr];

        if (told[i].there != spawn_has(&record, facts[i].attr))
            fail_msg("%s", spawn_attr_name(facts[i].attr));
        if (!told[i].there || told[i].length > KEPT)
            continue;
        if (facts[i].number
                ? spawn_attr_u64(a) != told[i].number
                : a->length != told[i].length
                      || memcmp(a->data, told[i].bytes, a->length) != 0)
            fail_msg("%s", spawn_attr_name(facts[i].attr));
    }
}

static uint64_t cut(unsigned which)
{
    const spawn_attr *a = &record.attr[SPAWN_A_CUT];

    return spawn_has(&record, SPAWN_A_CUT) ? spawn_u64v_at(a, which) : 0;
}

static void look(bool with_output)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    if (with_output)
        spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, 1);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
}

/* ---- programs ---- */

static void writes(uint16_t attr, size_t length, char first)
{
    spawn_stdio io;
    uint8_t bytes[4096];
    size_t i, n;
    int pipe;

    spawn_attr_stdio(&message.attr[attr], &io);
    pipe = packet.fds[io.fd];
    packet.fds[io.fd] = -1;
    for (; length > 0; length -= n) {
        n = length < sizeof(bytes) ? length : sizeof(bytes);
        for (i = 0; i < n; i++)
            bytes[i] = (uint8_t)(first + length % 23);
        assert_int_equal(write(pipe, bytes, n), n);
    }
    (void)close(pipe);
}

static void ends_so(const way *is, unsigned attempt)
{
    spawn_writer w;

    begin(&w, SPAWN_M_EXITED, &job);
    if (attempt > 1)
        spawn_put_u64(&w, SPAWN_A_ATTEMPT, attempt);
    if (is->step) {
        spawn_put_u64(&w, SPAWN_A_STEP, (uint64_t)is->step);
        spawn_put_u64(&w, SPAWN_A_ERRNO, (uint64_t)is->error);
    }
    else {
        spawn_put_u64(&w, SPAWN_A_PID, 4000000);
        spawn_put_u64(&w, SPAWN_A_STARTED_AT, 1234);
        spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, (uint64_t)is->status);
        spawn_put_u64(&w, SPAWN_A_ELAPSED, is->elapsed);
    }
    spawn_put_u64(&w, SPAWN_A_ENDED_AT, 5678);
    send_fds(&w, NULL, 0);
    has_heard();
    time_moves(20); /* it is stored, and judged, a moment after it came */
    has_heard();
    expect_id(SPAWN_M_FORGET, &job);
}

static void attempt_runs(const way *is, unsigned attempt)
{
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 1), attempt);
    writes(SPAWN_A_STDOUT, is->out, 'a');
    writes(SPAWN_A_STDERR, is->err, 'A');
    ends_so(is, attempt);
}

/* pause: ms */
static void submit_with(int again, uint64_t pause)
{
    const uint64_t backoff[] = {SPAWN_BACKOFF_FIXED, pause};
    static const uint64_t on[] = {SPAWN_RETRY_ON_FAILED,
                                  SPAWN_RETRY_ON_START_FAILED};
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_writer w;

    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
    spawn_put_stdio(&w, SPAWN_A_STDERR, &capture);
    if (again) {
        spawn_put_i64(&w, SPAWN_A_RETRY, again);
        spawn_put_u64v(&w, SPAWN_A_BACKOFF, backoff, 2);
        spawn_put_u64v(&w, SPAWN_A_RETRY_ON, on, 2);
    }
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
}

static void programs_run(void)
{
    make_store();
    reach_go_and_call_in();
    time_stands();
}

static const way ways[] = {
    {3 << 8, 0, 0, 5000, 10, 0},
    {3 << 8, 0, 0, 0, 0, 20},
    {SIGSEGV | 0x80, 0, 0, 7, 100, KEPT},
    {SIGKILL, 0, 0, 7, KEPT, 5000},
    {0, SPAWN_STEP_EXEC, ENOENT, 0, 0, 0},
    {0, SPAWN_STEP_FORK, EAGAIN, 0, 0, 0},
};

static void a_record_says_what_the_end_would(void **state)
{
    size_t i;

    (void)state;
    programs_run();
    for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        submit_with(0, 0);
        attempt_runs(&ways[i], 1);
        look(true);
        remember();
        submit_with(1, 3600000);
        attempt_runs(&ways[i], 1);
        look(true);
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                         SPAWN_STATE_DELAYED);
        find_record(1);
        expect_the_same(0);
        assert_false(spawn_has(&record, SPAWN_A_CUT));
        look(false);
        find_record(1);
        assert_false(spawn_has(&record, SPAWN_A_OUT)
                     || spawn_has(&record, SPAWN_A_ERR));
    }
}

static void revive(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_REVIVE, &job);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
}

static void one_is_dead(const way *is)
{
    submit_with(1, 0);
    attempt_runs(is, 1);
    attempt_runs(is, 2);
    look(true);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_DEAD, 0), 1);
    remember();
}

/* Its row becomes the record when it is tried again by hand. */
static void so_does_that_of_one_that_was_dead(void **state)
{
    static const way good = {0, 0, 0, 1, 0, 0};
    size_t i;

    (void)state;
    programs_run();
    for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        one_is_dead(&ways[i]);
        revive();
        attempt_runs(&good, 3);
        look(true);
        find_record(2);
        expect_the_same(0);
        assert_false(spawn_has(&record, SPAWN_A_CUT));
    }
}

/* ---- what is too long to be kept ---- */

static void of_a_long_output_the_middle_is_cut(void **state)
{
    static const way longer = {1 << 8, 0, 0, 1, KEPT + 1, 3 * KEPT};
    static uint8_t whole[3 * KEPT];
    const spawn_attr *a = &record.attr[SPAWN_A_ERR];

    (void)state;
    programs_run();
    submit_with(0, 0);
    attempt_runs(&longer, 1);
    look(true);
    assert_int_equal(message.attr[SPAWN_A_ERR].length, sizeof(whole));
    memcpy(whole, message.attr[SPAWN_A_ERR].data, sizeof(whole));
    submit_with(1, 3600000);
    attempt_runs(&longer, 1);
    look(true);
    find_record(1);
    assert_int_equal(record.attr[SPAWN_A_OUT].length, KEPT);
    assert_int_equal(cut(0), 1);
    assert_int_equal(a->length, KEPT);
    assert_memory_equal(a->data, whole, SPAWN_KEPT_HEAD);
    assert_memory_equal(a->data + SPAWN_KEPT_HEAD,
                        whole + sizeof(whole) - SPAWN_KEPT_TAIL,
                        SPAWN_KEPT_TAIL);
    assert_int_equal(cut(1), 2 * KEPT);
    assert_int_equal(cut(2), 0);
}

/* Of which nobody has kept the middle. */
static void of_a_dead_one_the_end_is_cut(void **state)
{
    static const way longer = {1 << 8, 0, 0, 1, KEPT + 1, 3 * KEPT};

    (void)state;
    programs_run();
    one_is_dead(&longer);
    revive();
    look(true);
    assert_false(spawn_has(&message, SPAWN_A_OUT)); /* it has written nothing */
    find_record(2);
    assert_int_equal(record.attr[SPAWN_A_OUT].length, KEPT);
    assert_int_equal(record.attr[SPAWN_A_ERR].length, KEPT);
    assert_int_equal(cut(0), 1);
    assert_int_equal(cut(1), 2 * KEPT);
}

static void what_was_not_captured_is_counted(void **state)
{
    static const way most = {1 << 8, 0, 0, 1, CAPTURED + 100, CAPTURED + 5000};
    static const way of_one = {1 << 8, 0, 0, 1, CAPTURED + 100, 0};

    (void)state;
    programs_run();
    submit_with(1, 3600000);
    attempt_runs(&most, 1);
    look(false);
    find_record(1);
    assert_int_equal(spawn_u64_or(&record, SPAWN_A_OUT_LOST, 0), 0);
    look(true);
    find_record(1);
    assert_int_equal(spawn_u64_or(&record, SPAWN_A_OUT_LOST, 0), 100);
    assert_int_equal(spawn_u64_or(&record, SPAWN_A_ERR_LOST, 0), 5000);
    assert_int_equal(cut(0), CAPTURED - KEPT);
    submit_with(1, 3600000);
    attempt_runs(&of_one, 1);
    look(true);
    find_record(1);
    assert_int_equal(spawn_u64_or(&record, SPAWN_A_OUT_LOST, 0), 100);
    assert_false(spawn_has(&record, SPAWN_A_ERR_LOST));
}

/* ---- functions ---- */

static void call_with(int again)
{
    static const uint64_t hour[] = {SPAWN_BACKOFF_FIXED, 3600000};
    spawn_writer w;

    (void)spawn_id_make(&job);
    begin_call(&w, SPAWN_M_SUBMIT);
    if (again) {
        spawn_put_i64(&w, SPAWN_A_RETRY, again);
        spawn_put_u64v(&w, SPAWN_A_BACKOFF, hour, 2);
    }
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&the_worker, &job);
}

static void throws(size_t length)
{
    static uint8_t bytes[2 * KEPT];
    spawn_board *board = spawn_board_map(the_worker.kept[0]);

    memset(bytes, 'x', sizeof(bytes));
    assert_non_null(board);
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_DIED, bytes, length), 0);
    worker_says(&the_worker, &job);
    has_heard();
    time_moves(20);
    has_heard();
}

static void a_record_has_what_was_thrown(void **state)
{
    static const size_t lengths[] = {0, 5, KEPT, KEPT + 1};
    size_t i;

    (void)state;
    worker_is_ready();
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        bool kept = lengths[i] <= KEPT;

        call_with(0);
        throws(lengths[i]);
        look(true);
        remember();
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                         SPAWN_RESULT_DIED);
        call_with(1);
        throws(lengths[i]);
        look(true);
        find_record(1);
        if (kept)
            expect_the_same(FACT_BUT_TIMES);
        assert_int_equal(spawn_u64_or(&record, SPAWN_A_RESULT_KIND, 0),
                         SPAWN_RESULT_DIED);
        assert_int_equal(spawn_has(&record, SPAWN_A_RESULT), kept);
        assert_int_equal(cut(2), kept ? 0 : lengths[i]);
        look(false);
        find_record(1);
        assert_false(spawn_has(&record, SPAWN_A_RESULT));
    }
}

/* The half of a result that a dying worker left is no result. */
static void of_a_worker_that_dies_there_is_none(void **state)
{
    spawn_id died;
    int again;

    (void)state;
    worker_is_ready();
    for (again = 0; again < 2; again++) {
        call_with(again);
        (void)close(the_worker.link);
        died = the_worker.id;
        say_exited(&died, 0, SIGKILL);
        worker_starts(&the_worker);
        worker_says(&the_worker, NULL);
        has_heard();
        time_moves(20);
        has_heard();
        expect_id(SPAWN_M_FORGET, &died); /* its end is stored */
        look(true);
        if (again == 0)
            remember();
    }
    find_record(1);
    expect_the_same(FACT_BUT_TIMES);
    assert_false(spawn_has(&record, SPAWN_A_RESULT));
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(a_record_says_what_the_end_would),
        ALONE(so_does_that_of_one_that_was_dead),
        ALONE(of_a_long_output_the_middle_is_cut),
        ALONE(of_a_dead_one_the_end_is_cut),
        ALONE(what_was_not_captured_is_counted),
        ALONE(a_record_has_what_was_thrown),
        ALONE(of_a_worker_that_dies_there_is_none),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker attempts", tests, NULL, NULL);
}
