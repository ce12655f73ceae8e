/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports of the spawner on jobs that were not known yet: each is found by id,
 * whenever it was told, and those on an attempt before are forgotten. Links the
 * rooms base and job of the broker and recover_told.c; the link is played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/job/changes.h"
#include "broker/process/link.h"
#include "broker/recover_told.h"

static spawn_id forgotten;
static unsigned forgotten_count;

void spawn_link_send_id(unsigned type, const spawn_id *id, const int *fds,
                        unsigned count)
{
    (void)fds, (void)count;
    assert_int_equal(type, SPAWN_M_FORGET);
    forgotten = *id;
    forgotten_count++;
}

static spawn_id number(uint8_t n)
{
    spawn_id id = {{n}};

    return id;
}

static void tell_exited(uint8_t n, unsigned attempt)
{
    spawn_id id = number(n);
    spawn_packet p = {0};
    spawn_message m;
    spawn_writer w;

    spawn_writer_init(&w, SPAWN_INLINE_MAX);
    spawn_writer_begin(&w, SPAWN_M_EXITED, 0);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    if (attempt)
        spawn_put_u64(&w, SPAWN_A_ATTEMPT, attempt);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, 0);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    p.data = w.data;
    p.length = w.length;
    assert_int_equal(
        spawn_message_parse(p.data, p.length, SPAWN_FROM_SPAWNER, 0, &m, NULL),
        0);
    spawn_recover_told(&id, &m, &p);
    spawn_writer_free(&w);
}

static int tear_down(void **state)
{
    (void)state;
    spawn_told_free();
    forgotten_count = 0;
    return 0;
}

static bool is_found(uint8_t n)
{
    const spawn_id id = number(n);

    return spawn_told_find(&id, SPAWN_M_EXITED) != NULL;
}

static void none_is_found_of_none(void **state)
{
    (void)state;
    assert_false(is_found(1));
}

/* Some are told after others have been looked for: of jobs that only the
 * ledger may know. */
static void what_is_told_later_is_found(void **state)
{
    uint8_t n;

    (void)state;
    for (n = 200; n < 210; n++)
        tell_exited(n, 0);
    assert_true(is_found(205));
    for (n = 100; n < 110; n++)
        tell_exited(n, 0);
    for (n = 100; n < 110; n++)
        assert_true(is_found(n));
    assert_true(is_found(205));
    assert_false(is_found(99));
}

static void the_end_of_an_attempt_before_is_forgotten(void **state)
{
    spawn_id id = number(1);
    spawn_batch batch;
    spawn_job *job;

    (void)state;
    spawn_batch_init(&batch, NULL);
    job = spawn_job_new(&batch, &id);
    tell_exited(1, 2);
    job->attempt = 3;
    assert_null(spawn_told_of(job, SPAWN_M_EXITED));
    assert_int_equal(forgotten_count, 1);
    assert_true(spawn_id_equal(&forgotten, &id));
    job->attempt = 2;
    assert_non_null(spawn_told_of(job, SPAWN_M_EXITED));
    assert_int_equal(forgotten_count, 1);
    spawn_job_free(job);
}

/* Of a table that is gone through later. */
static void all_that_was_told_is_free_at_last(void **state)
{
    (void)state;
    tell_exited(1, 0);
    spawn_told_wait();
    assert_true(spawn_told_waits());
    spawn_told_free();
    assert_false(spawn_told_waits());
    assert_null(spawn_told_next(NULL));
    assert_false(is_found(1));
}

#define TEST(f) cmocka_unit_test_teardown(f, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(none_is_found_of_none),
        TEST(what_is_told_later_is_found),
        TEST(the_end_of_an_attempt_before_is_forgotten),
        TEST(all_that_was_told_is_free_at_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
