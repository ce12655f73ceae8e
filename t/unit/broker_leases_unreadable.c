/* SPDX-License-Identifier: Apache-2.0 */
/*
 * While the store cannot be read nobody knows whether a call on a slate is new:
 * it is not marked as read, and a caller that asks is not told that it has not
 * begun. In one process (broker_world.h).
 */
#include "t/unit/broker_world.h"

#include "broker/job/template.h"
#include "broker/run/end.h"
#include "broker/run/lease.h"
#include "broker/run/report.h"

#include "broker/process/worker.c"

#include <limits.h>
#include <sys/mman.h>

#include "common/spawn_slate.h"

static world w;
static spawn_pool pool;
static spawn_worker *lent;
static spawn_slate *slate;
static spawn_board *board;
static spawn_id id;
static bool unreadable;

/* ---- what lease.c uses and is not here ---- */

int __wrap_spawn_store_find(spawn_store *store, const spawn_id *of,
                            spawn_known *ret);
int __wrap_spawn_store_find(spawn_store *store, const spawn_id *of,
                            spawn_known *ret)
{
    (void)store;
    (void)of;
    (void)ret;
    return unreadable ? -1 : 0;
}

bool __wrap_spawn_recent_is_new(const spawn_store *store, const spawn_id *of);
bool __wrap_spawn_recent_is_new(const spawn_store *store, const spawn_id *of)
{
    (void)store;
    (void)of;
    return false;
}

int __wrap_spawn_worker_lend(spawn_worker *of, int direct);
int __wrap_spawn_worker_lend(spawn_worker *of, int direct)
{
    (void)of;
    (void)direct;
    return 0;
}

void __wrap_spawn_worker_take_back(spawn_worker *of);
void __wrap_spawn_worker_take_back(spawn_worker *of)
{
    (void)of;
}

spawn_end *spawn_end_job(spawn_job *job, spawn_outcome outcome)
{
    (void)outcome;
    end_job(job);
    return job->end;
}

void spawn_end_arm(spawn_job *job, int64_t elapsed_ms)
{
    (void)job;
    (void)elapsed_ms;
}

void spawn_end_at_stop(spawn_job *job)
{
    (void)job;
}

void spawn_report_start(const spawn_job *job)
{
    (void)job;
}

/* ---- */

static int setup(void **s)
{
    static const spawn_ticket_owner owner;
    int fd;

    (void)s;
    begin(&w);
    spawn_leases_open(&w.batch);
    pool.queue = spawn_queue_get("q");
    pool.queue->pool = &pool;
    lent = make(&pool);
    lent->state = SPAWN_WORKER_BUSY;
    lent->lendable = true;
    assert_int_equal(spawn_id_make(&lent->id), 0);
    lent->ticket = spawn_ticket_make(&owner, 1, &fd);
    lent->board = spawn_board_make();
    board = spawn_board_map(lent->board);
    assert_non_null(board);
    slate = spawn_board_slate(board);
    spawn_lease_begin(lent, 1, 1, -1);
    unreadable = true;
    return 0;
}

static int teardown(void **s)
{
    spawn_job *job = spawn_job_find(&id);

    (void)s;
    if (job) {
        (void)spawn_batch_take(&w.batch, UINT_MAX);
        free(job->perl->kept ? job->perl->kept->data : NULL);
        free(job->perl->kept);
        free(job->perl);
        forget(job);
    }
    (void)munmap(board, SPAWN_BOARD_FILE);
    spawn_worker_free(lent);
    pool.queue->pool = NULL;
    end(&w);
    return 0;
}

static void a_call_is_noted(void)
{
    spawn_slate_call call;
    spawn_writer said;

    memset(&call, 0, sizeof(call));
    assert_int_equal(spawn_id_make(&id), 0);
    spawn_writer_init(&said, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&said, SPAWN_M_SUBMIT, 1);
    spawn_put_id(&said, SPAWN_A_ID, &id);
    spawn_put_str(&said, SPAWN_A_FUNCTION, "My::f");
    spawn_put_str(&said, SPAWN_A_QUEUE, "q");
    assert_int_equal(spawn_writer_finish(&said, 0), 0);
    call.id = id;
    call.length = (uint32_t)(said.length - SPAWN_WIRE_HEADER);
    memcpy(call.order, said.data + SPAWN_WIRE_HEADER, call.length);
    spawn_writer_free(&said);
    assert_true(spawn_slate_begins(slate, &call));
}

static void a_call_has_ended(void)
{
    a_call_is_noted();
    spawn_slate_running(slate)->kind = SPAWN_RESULT_RETURNED;
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_RETURNED, "value", 5), 0);
    spawn_slate_ends(slate);
}

static void what_has_ended_stays_to_be_read(void **s)
{
    (void)s;
    a_call_has_ended();
    assert_false(spawn_lease_lost(&lent->id));
    assert_int_equal(spawn_slate_unread(slate), 1);
    assert_null(spawn_job_find(&id));
    unreadable = false;
    assert_true(spawn_lease_lost(&lent->id));
    assert_int_equal(spawn_slate_unread(slate), 0);
    assert_non_null(spawn_job_find(&id));
}

static void what_runs_is_not_denied(void **s)
{
    (void)s;
    a_call_is_noted();
    assert_false(spawn_lease_lost(&lent->id));
    unreadable = false;
    assert_true(spawn_lease_lost(&lent->id));
    assert_non_null(spawn_job_find(&id));
}

/* Else it would get another call, and its slate be used again. */
static void its_worker_is_not_taken_back(void **s)
{
    (void)s;
    a_call_has_ended();
    assert_false(spawn_lease_over(lent, &id));
    assert_int_equal(lent->lent, SPAWN_LENT_ENDING);
    unreadable = false;
    assert_true(spawn_lease_over(lent, &id));
    assert_int_equal(lent->lent, SPAWN_LENT_NOT);
    assert_non_null(spawn_job_find(&id));
}

static void when_it_has_gone_nothing_is_known_of_it(void **s)
{
    spawn_id its = lent->id;

    (void)s;
    a_call_has_ended();
    assert_false(spawn_lease_gone(lent));
    (void)spawn_id_make(&lent->id); /* it is found no more */
    assert_false(spawn_lease_lost(&its));
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        ALONE(what_has_ended_stays_to_be_read), ALONE(what_runs_is_not_denied),
        ALONE(its_worker_is_not_taken_back),
        ALONE(when_it_has_gone_nothing_is_known_of_it)};

    return cmocka_run_group_tests_name("leases_unreadable", tests, NULL, NULL);
}
