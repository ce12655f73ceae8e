/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a run of a recurring job that was submitted: it is noted when
 * the store has it, comes again when the store did not take it, and waits while
 * the store cannot tell. Links the broker's rooms up to jobs, with
 * caller/cron.c and caller/cron_entry.c; store and clock are played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/job/changes.h"
#include "broker/run/durable.h"
#include "broker/run/retry.h"
#include "broker/store/store.h"
#include "broker/caller/cron.h"
#include "broker/caller/cron_row.h"
#include "broker/caller/submit.h"
#include "common/spawn_os.h"

#define PLANNED 1798808400 /* s */

/* ---- what is played ---- */

static int64_t clock_ms;
static int in_store; /* 1, 0; -1: it cannot be read */
static bool takes_notes;
static unsigned noted;

int64_t __wrap_spawn_mono_ms(void);

int64_t __wrap_spawn_mono_ms(void)
{
    return clock_ms;
}

int spawn_store_find(spawn_store *store, const spawn_id *id, spawn_known *ret)
{
    (void)store;
    (void)id;
    (void)ret;
    return in_store;
}

/* How it has ended is not known yet. */
int spawn_store_cron_end(spawn_store *store, spawn_cron_row *row)
{
    (void)store;
    (void)row;
    return 0;
}

bool spawn_cron_note(spawn_batch *batch, spawn_cron_entry *e)
{
    (void)batch;
    (void)e;
    noted += takes_notes ? 1 : 0;
    return takes_notes;
}

bool spawn_durable_unread(void)
{
    return false;
}

/* ---- nothing of this is asked for ---- */

bool spawn_cron_rows_read(spawn_batch *batch)
{
    (void)batch;
    fail();
    return false;
}

const char *spawn_cron_time_text(const spawn_cron_entry *e, int64_t when,
                                 char *text)
{
    (void)e;
    (void)when;
    fail();
    return text;
}

void spawn_retry_judge(spawn_job *job)
{
    (void)job;
    fail();
}

int spawn_submit_own(spawn_batch *batch, const void *data, size_t length,
                     bool record, spawn_failure *why)
{
    (void)batch;
    (void)data;
    (void)length;
    (void)record;
    (void)why;
    fail();
    return -1;
}

bool spawn_refusal_passes(const spawn_failure *why)
{
    (void)why;
    fail();
    return false;
}

/* ---- a run that was submitted ---- */

static spawn_batch batch;
static spawn_cron_entry it;

static int set_up(void **state)
{
    (void)state;
    clock_ms = 1000000;
    in_store = -1;
    takes_notes = true;
    noted = 0;
    it = (spawn_cron_entry){.name = "it",
                            .known = true,
                            .pending = true,
                            .pending_planned = PLANNED,
                            .row = {.name = it.name, .done = PLANNED - 60}};
    spawn_cron_id(&it, PLANNED, &it.pending_id);
    spawn_batch_init(&batch, NULL);
    return 0;
}

static void expect_as_before(void)
{
    assert_true(it.pending);
    assert_int_equal(noted, 0);
    assert_false(it.row.has_run);
    assert_int_equal(it.row.done, PLANNED - 60);
    assert_int_equal(it.retry_at, 0);
}

static void expect_noted(void)
{
    assert_false(it.pending);
    assert_int_equal(noted, 1);
    assert_true(it.row.has_run);
    assert_true(spawn_id_equal(&it.row.id, &it.pending_id));
    assert_int_equal(it.row.planned, PLANNED);
    assert_int_equal(it.row.done, PLANNED);
}

static void one_that_is_stored_is_noted(void **state)
{
    (void)state;
    in_store = 1;
    spawn_cron_look(&batch, &it);
    expect_noted();
}

/* Noted as one that ran, one that the store did not take would be lost. */
static void one_that_cannot_be_looked_for_waits(void **state)
{
    (void)state;
    spawn_cron_look(&batch, &it);
    expect_as_before();
    spawn_cron_look(&batch, &it);
    expect_as_before();
    in_store = 1;
    spawn_cron_look(&batch, &it);
    expect_noted();
}

static void and_comes_again_when_the_store_did_not_take_it(void **state)
{
    (void)state;
    spawn_cron_look(&batch, &it);
    in_store = 0;
    spawn_cron_look(&batch, &it);
    assert_false(it.pending);
    assert_int_equal(noted, 0);
    assert_false(it.row.has_run);
    assert_int_equal(it.row.done, PLANNED - 60);
    assert_int_equal(it.retry_at, clock_ms + SPAWN_CRON_TRY_AGAIN);
}

/* It was seen, and its row could not be noted. */
static void one_that_was_seen_is_noted_when_it_is_forgotten(void **state)
{
    (void)state;
    in_store = 1;
    takes_notes = false;
    spawn_cron_look(&batch, &it);
    expect_as_before();
    in_store = -1;
    takes_notes = true;
    spawn_cron_look(&batch, &it);
    expect_as_before();
    in_store = 0;
    spawn_cron_look(&batch, &it);
    expect_noted();
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup(f, set_up)
    const struct CMUnitTest tests[] = {
        ALONE(one_that_is_stored_is_noted),
        ALONE(one_that_cannot_be_looked_for_waits),
        ALONE(and_comes_again_when_the_store_did_not_take_it),
        ALONE(one_that_was_seen_is_noted_when_it_is_forgotten),
    };

    return cmocka_run_group_tests_name("looks at runs", tests, NULL, NULL);
}
