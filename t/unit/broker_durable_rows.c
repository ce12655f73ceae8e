/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of the ledger: none is used before all are there, and each is used
 * once, also when the scribe sends them twice, or late. And an answer is of the
 * job whose record it was. On what broker_durable_played.h plays.
 */
#include "t/unit/broker_durable_played.h"

/* ---- what is promised ---- */

static void each_is_taken_once(void)
{
    sends(2);
    sends(1);
    sends(2);
    CHECK(begun == 0);
    CHECK(spawn_durable_unread());
    scribe->rows_end(true);
    CHECK(begun == 1);
    CHECK(spawn_durable_other_boot());
    CHECK(row_of(2) && !row_of(3));
    CHECK(spawn_durable_next_row()->record.id.bytes[SPAWN_ID_SIZE - 1] == 1);
    CHECK(!spawn_durable_next_row());
    spawn_durable_recovered(false);
    CHECK(late_count == 0);
    CHECK(!row_of(1) && !row_of(2) && !spawn_durable_next_row());
    CHECK(!spawn_durable_other_boot());
}

static void they_are_as_they_were_sent(void)
{
    const spawn_ledger_record r = {
        .type = SPAWN_LEDGER_ROW, .id = id_of(7), .attempt = 3, .length = 7};

    scribe->row(&r, "message", "how it ended");
    sends(8);
    scribe->rows_end(false);
    CHECK(row_of(7)->record.attempt == 3);
    CHECK(memcmp(row_of(7)->message, "message", 7) == 0);
    CHECK(strcmp(row_of(7)->text, "how it ended") == 0);
    CHECK(!row_of(8)->text);
}

static uint8_t next_row(void)
{
    return spawn_durable_next_row()->record.id.bytes[SPAWN_ID_SIZE - 1];
}

static void they_come_in_the_order_of_their_submits(void)
{
    sends(9);
    sends(3);
    sends(5);
    scribe->rows_end(false);
    CHECK(next_row() == 9);
    CHECK(next_row() == 3);
    CHECK(next_row() == 5);
    CHECK(!spawn_durable_next_row());
}

/* It cannot read on: the broker begins without any, and has all of them late.
 */
static void some_are_none(void)
{
    sends(1);
    scribe->trouble("it cannot be read");
    CHECK(begun == 1);
    CHECK(!row_of(1));
    CHECK(!spawn_durable_next_row());
    CHECK(spawn_durable_unread());
    spawn_durable_recovered(false);
    spawn_phase.recovered = true;
    sends(1); /* all of them, from the first */
    sends(2);
    CHECK(late_count == 0);
    scribe->rows_end(false);
    CHECK(begun == 1);
    CHECK(late_count == 2 && late_rows[0] == 1 && late_rows[1] == 2);
    CHECK(late_ends == 1);
    CHECK(!spawn_durable_unread());
}

/* It is slow: some are there when the broker begins without. */
static void those_that_came_before_are_kept(void)
{
    sends(1);
    spawn_timers_run(spawn_mono_ms() + 4000);
    CHECK(begun == 1);
    spawn_durable_recovered(false);
    spawn_phase.recovered = true;
    sends(2);
    scribe->rows_end(false);
    CHECK(late_count == 2 && late_rows[0] == 1 && late_rows[1] == 2);
}

/* They may be of another boot. */
static void late_ones_are_of_this_boot_then(void)
{
    const spawn_ledger_record read = {.type = SPAWN_LEDGER_READ};
    spawn_batch batch = {0};
    const spawn_job job = {.batch = &batch};

    scribe->trouble("it cannot be read");
    spawn_durable_recovered(false);
    spawn_phase.recovered = true;
    scribe->trouble(NULL);
    sends(1);
    scribe->rows_end(true);
    CHECK(late_count == 1 && spawn_durable_in_trouble(&job));
    spawn_durable_stored(NULL);
    CHECK(sent == SPAWN_LEDGER_READ);
    scribe->answered(&read, NULL);
    CHECK(!spawn_durable_in_trouble(&job));
}

/* They come when the broker has begun without them, and its store could not be
 * opened yet: the recovery has them then. */
static void the_recovery_waits_for_the_store(void)
{
    scribe->trouble("it cannot be read");
    CHECK(begun == 1);
    sends(1);
    sends(2);
    scribe->rows_end(false);
    CHECK(late_count == 0 && begun == 1);
    CHECK(row_of(1));
    CHECK(spawn_durable_next_row()->record.id.bytes[SPAWN_ID_SIZE - 1] == 2);
    CHECK(!spawn_durable_next_row());
}

/* Of an order in a ledger of another boot nobody would know of which boot it
 * is. */
static void none_starts_before_it_is_of_this_boot(void)
{
    const spawn_ledger_record read = {.type = SPAWN_LEDGER_READ};
    const spawn_ledger_record other = {.type = SPAWN_LEDGER_WAITS};
    spawn_batch batch = {0};
    const spawn_job job = {.batch = &batch};

    scribe->rows_end(true);
    spawn_durable_recovered(false);
    CHECK(sent == 0 && spawn_durable_in_trouble(&job));
    spawn_durable_stored(NULL);
    CHECK(sent == SPAWN_LEDGER_READ && spawn_durable_in_trouble(&job));
    scribe->answered(&other, NULL); /* to something else */
    CHECK(spawn_durable_in_trouble(&job));
    scribe->answered(&read, NULL);
    CHECK(!spawn_durable_in_trouble(&job));
    sent = 0;
    spawn_durable_stored(NULL); /* that is said once, */
    CHECK(sent == 0);
    CHECK(notes == 0); /* and the store knows it */
}

/* The store knows of no ledger before this one. */
static void it_is_noted_of_the_first(void)
{
    ledger_was = false;
    scribe->rows_end(true);
    spawn_durable_recovered(false);
    spawn_durable_stored(NULL);
    CHECK(notes == 1 && sent == SPAWN_LEDGER_READ);
    CHECK(decided == 0); /* nothing had waited for it */
}

static void nothing_is_noted_before_it_was_read(void)
{
    is_noted = false;
    spawn_durable_stored(NULL);
    CHECK(notes == 0);
    scribe->rows_end(false);
    spawn_durable_recovered(false);
    spawn_durable_stored(NULL);
    CHECK(notes == 1 && decided == 1 && sent == 0);
}

/* Nor before the store has noted that it was read. */
static void none_starts_before_that_is_noted(void)
{
    const spawn_ledger_record read = {.type = SPAWN_LEDGER_READ};
    const int64_t now = spawn_mono_ms();
    spawn_batch batch = {0};
    const spawn_job job = {.batch = &batch};

    is_noted = false;
    scribe->rows_end(true);
    spawn_durable_recovered(false);
    CHECK(spawn_durable_in_trouble(&job));
    takes_note = false;
    spawn_durable_stored(NULL);
    CHECK(sent == 0 && spawn_durable_in_trouble(&job));
    CHECK(spawn_timer_next() >= now + 1000); /* in a turn of its own */
    spawn_timers_run(spawn_timer_next());
    takes_note = true;
    spawn_durable_stored(NULL);
    CHECK(sent == SPAWN_LEDGER_READ);
    scribe->answered(&read, NULL);
    CHECK(!spawn_durable_in_trouble(&job));
}

static spawn_job *is_submitted(spawn_batch *batch, spawn_ledger_record *put)
{
    const spawn_id id = id_of(1);
    spawn_job *job = spawn_job_new(batch, &id);

    job->attempt = 1;
    job->ledger = SPAWN_IN_LEDGER_ASKED;
    spawn_queue_join(job, "default");
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    spawn_durable_put(job, "m", 1);
    *put = last;
    return job;
}

/* The store did not take the end of the first one. */
static void it_is_submitted_again(const char *why)
{
    static spawn_batch batch;
    spawn_ledger_record first, second;
    spawn_job *job;

    scribe->rows_end(false);
    job = is_submitted(&batch, &first);
    spawn_durable_drop(&job->id, SPAWN_LEDGER_IS_WAITING);
    spawn_job_on(job, SPAWN_JOB_UNDONE);
    spawn_queue_leave(job);
    spawn_job_free(job);
    (void)is_submitted(&batch, &second);
    scribe->answered(&first, why);
    CHECK(accepted == 0 && refused == 0 && refused_later == 0);
    scribe->answered(&second, NULL);
    CHECK(accepted == 1 && refused == 0);
}

/* Callers wait meanwhile. */
static void many_are_late(unsigned count)
{
    spawn_ledger_record r = {.type = SPAWN_LEDGER_ROW,
                             .state = SPAWN_LEDGER_IS_WAITING,
                             .length = 1};
    unsigned i;

    scribe->trouble("it cannot be read");
    scribe->trouble(NULL);
    spawn_durable_recovered(false);
    spawn_phase.recovered = true;
    for (i = 1; i <= count; i++) {
        memcpy(r.id.bytes, &i, sizeof(i));
        scribe->row(&r, "m", "");
    }
    scribe->rows_end(false);
}

static void next_turn(void)
{
    while (spawn_mono_ms() < spawn_timer_next())
        (void)usleep(500);
    spawn_timers_run(spawn_mono_ms());
}

static void some_are_taken_in_a_turn(void)
{
    spawn_failure why;

    many_are_late(600);
    CHECK(late_count == 256 && late_ends == 0);
    CHECK(spawn_durable_check(&why) < 0); /* one may be of the same id */
    CHECK(spawn_durable_unread() && !spawn_durable_read());
    next_turn();
    CHECK(late_count == 512 && late_ends == 0);
    next_turn();
    CHECK(late_count == 600 && late_ends == 1);
    CHECK(!spawn_durable_unread() && spawn_durable_read());
    CHECK(spawn_durable_check(&why) == 0 && marked == 0);
    CHECK(spawn_timer_next() == -1);
}

static void one_that_the_store_fails_for_is_taken_later(void)
{
    const int64_t now = spawn_mono_ms();

    store_fails_at = 2;
    many_are_late(3);
    CHECK(late_count == 1 && late_ends == 0 && spawn_durable_unread());
    CHECK(spawn_timer_next() >= now + 1000);
    spawn_timers_run(spawn_timer_next());
    CHECK(late_count == 3 && late_ends == 1 && !spawn_durable_unread());
}

static void late_ones_are_taken_some_at_a_time(void **state)
{
    (void)state;
    in_a_process(some_are_taken_in_a_turn);
    in_a_process(one_that_the_store_fails_for_is_taken_later);
}

/* 32 MB may wait for it. */
static void the_disk_does_not_keep_up(void)
{
    spawn_failure why = {.code = SPAWN_E_OK};

    scribe->rows_end(false);
    backlog = 32u << 20;
    CHECK(spawn_durable_check(&why) == 0);
    backlog++;
    CHECK(spawn_durable_check(&why) < 0);
    CHECK(why.code == SPAWN_E_STORE && why.step == SPAWN_STEP_STORE);
    CHECK(strstr(why.text, " 32 MB wait for it"));
}

static void none_is_taken_that_the_disk_cannot_follow(void **state)
{
    (void)state;
    in_a_process(the_disk_does_not_keep_up);
}

static void the_first_is_stored(void)
{
    it_is_submitted_again(NULL);
}

static void the_first_is_not_stored(void)
{
    it_is_submitted_again("no space is left");
}

static void an_answer_is_of_the_job_that_was_sent(void **state)
{
    (void)state;
    in_a_process(the_first_is_stored);
    in_a_process(the_first_is_not_stored);
}

static void an_order_comes_after_the_boot_is_noted(void **state)
{
    (void)state;
    in_a_process(none_starts_before_it_is_of_this_boot);
    in_a_process(none_starts_before_that_is_noted);
    in_a_process(it_is_noted_of_the_first);
    in_a_process(nothing_is_noted_before_it_was_read);
}

static void rows_that_come_twice_are_taken_once(void **state)
{
    (void)state;
    in_a_process(each_is_taken_once);
    in_a_process(they_are_as_they_were_sent);
    in_a_process(they_come_in_the_order_of_their_submits);
}

static void none_is_used_before_all_are_there(void **state)
{
    (void)state;
    in_a_process(some_are_none);
    in_a_process(those_that_came_before_are_kept);
    in_a_process(late_ones_are_of_this_boot_then);
}

static void those_that_come_before_the_store_are_for_the_recovery(void **state)
{
    (void)state;
    in_a_process(the_recovery_waits_for_the_store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_of_the_job_that_was_sent),
        cmocka_unit_test(an_order_comes_after_the_boot_is_noted),
        cmocka_unit_test(late_ones_are_taken_some_at_a_time),
        cmocka_unit_test(rows_that_come_twice_are_taken_once),
        cmocka_unit_test(none_is_taken_that_the_disk_cannot_follow),
        cmocka_unit_test(none_is_used_before_all_are_there),
        cmocka_unit_test(those_that_come_before_the_store_are_for_the_recovery),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
