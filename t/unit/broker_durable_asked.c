/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs that the ledger does not have are asked for some at a time, and
 * again when it does not take them; one that cannot be read is told after some
 * tries. Links the rooms base and job of the broker and run/durable_ask.c; the
 * scribe, the store and the clock are played.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/timer.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"
#include "broker/process/scribe.h"
#include "broker/run/durable_ask.h"
#include "broker/store/store.h"
#include "common/spawn_os.h"

#define AT_ONCE 256 /* as in run/durable_ask.c */
#define MANY    600
#define MIB     (1u << 20)

/* ---- what is played ---- */

static spawn_ledger_record sent[2 * MANY];
static unsigned sent_count;
static size_t body_size;       /* data of its stdin, */
static size_t args_size;       /* and arguments of a function */
static int store_says;         /* of a body */
static unsigned unread, tries; /* told so; and asked for */
static unsigned not_durable;   /* told so */
static bool durable = true;    /* as the body says */
static bool is_damaged;        /* the body */
static int64_t clock_ms = 1000000;
static size_t most_room; /* of any array, in items */

int64_t __wrap_spawn_mono_ms(void);
void *__real_spawn_array_grow(void *items, size_t used, size_t *room,
                              size_t size);
void *__wrap_spawn_array_grow(void *items, size_t used, size_t *room,
                              size_t size);

int64_t __wrap_spawn_mono_ms(void)
{
    return clock_ms;
}

void *__wrap_spawn_array_grow(void *items, size_t used, size_t *room,
                              size_t size)
{
    items = __real_spawn_array_grow(items, used, room, size);
    if (most_room < *room)
        most_room = *room;
    return items;
}

static uint8_t last_message[4096]; /* as much of it as fits */

void spawn_scribe_send(const spawn_ledger_record *r, const void *message,
                       const char *text)
{
    assert_null(text);
    memcpy(last_message, message,
           r->length < sizeof(last_message) ? r->length : sizeof(last_message));
    assert_true(sent_count < sizeof(sent) / sizeof(sent[0]));
    sent[sent_count++] = *r;
}

int spawn_store_read_body(const spawn_job *job, spawn_body **ret)
{
    static uint8_t data[2 * MIB];
    spawn_body *body;
    spawn_writer w;
    size_t mark;

    tries++;
    if (store_says)
        return store_says;
    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, &job->id);
    if (durable)
        spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    body = spawn_body_room(w.length - SPAWN_WIRE_HEADER, body_size, args_size);
    assert_non_null(body);
    memcpy(body->data, w.data + SPAWN_WIRE_HEADER, body->length);
    if (body_size)
        memcpy(body->input, data, body_size);
    if (args_size)
        memset(body->args, 'a', args_size);
    if (is_damaged)
        memset(body->data, 0xff, body->length);
    spawn_writer_free(&w);
    *ret = body;
    return 0;
}

static void cannot_be_read(spawn_job *job, int why)
{
    unread += why == -ENODATA;
    not_durable += why == -ENOENT;
    job->ask_again = false;
}

/* ---- jobs ---- */

static spawn_batch batch;

static spawn_job *new_job(unsigned number)
{
    spawn_id id = {{0}};
    spawn_job *job;

    memcpy(id.bytes, &number, sizeof(number));
    memcpy(id.bytes + 8, &number, sizeof(number));
    job = spawn_job_new(&batch, &id);
    job->in_store = true;
    job->attempt = 1;
    job->ledger = SPAWN_IN_LEDGER_ASKED;
    spawn_queue_join(job, "default");
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    return job;
}

static void jobs_wait(unsigned count)
{
    unsigned i;

    sent_count = unread = tries = 0;
    for (i = 1; i <= count; i++)
        spawn_durable_ask_for(new_job(i), cannot_be_read);
    assert_int_equal(sent_count, 0); /* not in the turn in which they come */
}

static spawn_job *job_of(const spawn_ledger_record *r)
{
    return spawn_job_find(&r->id);
}

static void turn(void)
{
    spawn_timers_run(spawn_mono_ms());
}

static void answer(unsigned from, unsigned to, bool taken)
{
    unsigned i;

    for (i = from; i < to; i++) {
        spawn_job *job = job_of(&sent[i]);

        if (job && taken)
            job->ledger = SPAWN_IN_LEDGER_WAITS;
        spawn_durable_ask_answered(&sent[i], job, taken);
    }
}

static void all_are_gone(void)
{
    spawn_job *job;

    while ((job = spawn_job_next(NULL))) {
        job->ledger = SPAWN_IN_LEDGER_ASKED; /* it is in no lane */
        spawn_job_on(job, SPAWN_JOB_UNDONE);
        spawn_queue_leave(job);
        spawn_job_free(job);
    }
    assert_int_equal(spawn_timer_next(), -1);
}

/* ---- tests ---- */

static void others_follow_when_some_are_answered(void **state)
{
    (void)state;
    jobs_wait(MANY);
    turn();
    assert_int_equal(sent_count, AT_ONCE);
    assert_int_equal(spawn_timer_next(), -1); /* an answer goes on */
    answer(0, AT_ONCE, true);
    turn();
    assert_int_equal(sent_count, 2 * AT_ONCE);
    answer(AT_ONCE, 2 * AT_ONCE, true);
    turn();
    assert_int_equal(sent_count, MANY);
    answer(2 * AT_ONCE, MANY, true);
    all_are_gone();
}

static void big_ones_are_fewer(void **state)
{
    (void)state;
    body_size = MIB / 2;
    jobs_wait(10);
    turn();
    assert_int_equal(sent_count, 2);
    answer(0, 2, true);
    turn();
    assert_int_equal(sent_count, 4);
    answer(2, 4, true);
    body_size = 0;
    turn();
    assert_int_equal(sent_count, 10);
    answer(4, 10, true);
    all_are_gone();
}

static void wait_until_due(void)
{
    if (clock_ms < spawn_timer_next())
        clock_ms = spawn_timer_next();
}

static void one_that_is_not_taken_is_asked_for_again(void **state)
{
    int64_t then;

    (void)state;
    jobs_wait(2);
    turn();
    answer(0, 2, false);
    then = spawn_mono_ms();
    turn();
    assert_int_equal(sent_count, 2);
    assert_int_equal(spawn_timer_next(), then + 1000);
    wait_until_due();
    turn();
    assert_int_equal(sent_count, 4);
    answer(2, 4, true);
    all_are_gone();
}

static void one_second(bool taken)
{
    int64_t end = clock_ms + 1000;
    unsigned answered = 0;

    sent_count = 0;
    while (spawn_timer_next() >= 0 && spawn_timer_next() < end) {
        wait_until_due();
        turn();
        answer(answered, sent_count, taken);
        answered = sent_count;
    }
    clock_ms = end;
}

/* The disk of the ledger is full, for long. */
static void many_that_are_not_taken_cost_little(void **state)
{
    unsigned i;

    (void)state;
    jobs_wait(MANY);
    for (i = 0; i < 50; i++) {
        one_second(false);
        assert_in_range(sent_count, 1, AT_ONCE);
    }
    assert_in_range(most_room, MANY, 4 * MANY);
    one_second(true);
    assert_int_equal(sent_count, MANY);
    all_are_gone();
}

static void one_that_has_gone_is_not_asked_for(void **state)
{
    spawn_job *job;

    (void)state;
    jobs_wait(3);
    job = spawn_job_next(NULL);
    spawn_job_on(job, SPAWN_JOB_UNDONE);
    spawn_queue_leave(job);
    spawn_job_free(job);
    spawn_job_next(NULL)->ask_again = false;
    turn();
    assert_int_equal(sent_count, 1);
    job = job_of(&sent[0]);
    spawn_job_on(job, SPAWN_JOB_UNDONE);
    spawn_queue_leave(job);
    spawn_job_free(job);
    spawn_durable_ask_answered(&sent[0], NULL, false);
    turn();
    assert_int_equal(sent_count, 1);
    all_are_gone();
}

/* The ledger was lost in the turn in which they come: they are not committed
 * in the next one, since the disk of the store is full. */
static void one_that_is_not_stored_yet_is_asked_for_then(void **state)
{
    spawn_job *job = NULL;

    (void)state;
    jobs_wait(2);
    while ((job = spawn_job_next(job)))
        job->in_store = false;
    one_second(true);
    assert_int_equal(sent_count, 0);
    one_second(true);
    assert_int_equal(sent_count, 0);
    while ((job = spawn_job_next(job)))
        job->in_store = true;
    one_second(true);
    assert_int_equal(sent_count, 2);
    all_are_gone();
}

/* It is tried some times, since a disk may fail for a moment. */
static void one_that_cannot_be_read_is_told(void **state)
{
    (void)state;
    store_says = -ENODATA;
    jobs_wait(1);
    turn();
    while (spawn_timer_next() >= 0 && tries < 100) {
        wait_until_due();
        turn();
    }
    assert_int_equal(tries, 3);
    assert_int_equal(unread, 1);
    assert_int_equal(sent_count, 0);
    store_says = 0;
    all_are_gone();
}

/* The store could not say whether it is, when the broker began. */
static void one_that_is_not_durable_is_told(void **state)
{
    (void)state;
    durable = false;
    jobs_wait(1);
    turn();
    assert_int_equal(not_durable, 1);
    assert_int_equal(sent_count, 0);
    assert_int_equal(spawn_timer_next(), -1);
    durable = true;
    all_are_gone();
}

static void one_that_can_be_read_at_last_is_sent(void **state)
{
    (void)state;
    store_says = -ENODATA;
    jobs_wait(1);
    turn();
    store_says = 0;
    wait_until_due();
    turn();
    assert_int_equal(unread, 0);
    assert_int_equal(sent_count, 1);
    assert_int_equal(sent[0].type, SPAWN_LEDGER_REVIVE);
    assert_true(sent[0].asked);
    answer(0, 1, true);
    all_are_gone();
}

static void expect_message(void)
{
    const spawn_ledger_record *r = &sent[sent_count - 1];
    spawn_failure why;
    spawn_message m;
    spawn_id id;

    assert_int_equal(spawn_message_parse(last_message, r->length,
                                         SPAWN_FROM_CALLER, 0, &m, &why),
                     0);
    assert_int_equal(m.header.type, SPAWN_M_SUBMIT);
    spawn_attr_id(&m.attr[SPAWN_A_ID], &id);
    assert_true(spawn_id_equal(&id, &r->id));
    assert_int_equal(spawn_u64_or(&m, SPAWN_A_DURABLE, 0), 1);
    assert_true(spawn_has(&m, SPAWN_A_ARGV));
    assert_int_equal(spawn_has(&m, SPAWN_A_STDIN_DATA), body_size > 0);
    assert_int_equal(spawn_has(&m, SPAWN_A_ARGS), args_size > 0);
    if (body_size)
        assert_int_equal(m.attr[SPAWN_A_STDIN_DATA].length, body_size);
    if (args_size)
        assert_int_equal(m.attr[SPAWN_A_ARGS].length, args_size);
}

static void what_is_sent_is_what_was_submitted(void **state)
{
    static const size_t sizes[][2] = {{0, 0}, {5, 0}, {0, 7}};
    unsigned i;

    (void)state;
    for (i = 0; i < 3; i++) {
        spawn_job *job;
        int64_t bytes;

        body_size = sizes[i][0];
        args_size = sizes[i][1];
        sent_count = 0;
        job = new_job(i + 1);
        job->attempt = 3;
        job->caller_uid = 33;
        job->caller_pid = 34;
        job->submitted_at = 35;
        bytes = spawn_durable_send(job, i == 0);
        assert_int_equal(sent_count, 1);
        assert_int_equal(sent[0].length, bytes);
        assert_int_equal(sent[0].type, SPAWN_LEDGER_REVIVE);
        assert_int_equal(sent[0].asked, i == 0);
        assert_int_equal(sent[0].attempt, 3);
        assert_int_equal(sent[0].uid, 33);
        assert_int_equal(sent[0].pid, 34);
        assert_int_equal(sent[0].submitted_at, 35);
        assert_true(sent[0].sending > 0);
        assert_int_equal(sent[0].sending, job->sending);
        expect_message();
    }
    body_size = args_size = 0;
    all_are_gone();
}

static void what_is_damaged_is_not_sent(void **state)
{
    (void)state;
    is_damaged = true;
    sent_count = 0;
    assert_int_equal(spawn_durable_send(new_job(1), false), -ENODATA);
    assert_int_equal(sent_count, 0);
    is_damaged = false;
    all_are_gone();
}

/* It is not the job's fault. */
static void none_ends_since_the_store_fails(void **state)
{
    unsigned i;

    (void)state;
    store_says = -EIO;
    jobs_wait(MANY);
    for (i = 0; i < 20; i++) {
        tries = 0;
        one_second(true);
        assert_in_range(tries, 1, AT_ONCE);
    }
    assert_int_equal(unread, 0);
    store_says = 0;
    one_second(true);
    assert_int_equal(sent_count, MANY);
    all_are_gone();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_follow_when_some_are_answered),
        cmocka_unit_test(big_ones_are_fewer),
        cmocka_unit_test(one_that_is_not_taken_is_asked_for_again),
        cmocka_unit_test(many_that_are_not_taken_cost_little),
        cmocka_unit_test(one_that_has_gone_is_not_asked_for),
        cmocka_unit_test(one_that_is_not_stored_yet_is_asked_for_then),
        cmocka_unit_test(one_that_cannot_be_read_is_told),
        cmocka_unit_test(one_that_is_not_durable_is_told),
        cmocka_unit_test(one_that_can_be_read_at_last_is_sent),
        cmocka_unit_test(what_is_sent_is_what_was_submitted),
        cmocka_unit_test(what_is_damaged_is_not_sent),
        cmocka_unit_test(none_ends_since_the_store_fails),
    };

    spawn_batch_init(&batch, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
