/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of open jobs in the store are summed up for a while, and those of
 * jobs that come meanwhile are added: so no turn is spent on them again and
 * again, and no history goes for their sake. In one process (broker_world.h).
 */
#include "t/unit/broker_world.h"

#include <sqlite3.h>

#include "common/spawn_os.h"

static world w;

static int setup(void **s)
{
    (void)s;
    begin(&w);
    return 0;
}

static int teardown(void **s)
{
    (void)s;
    end(&w);
    return 0;
}

static spawn_job *stored(void)
{
    spawn_job *job = submit(&w);
    spawn_committed committed;

    assert_true(spawn_commit(&w.batch, &committed));
    assert_ptr_equal(spawn_batch_take(&w.batch, committed.written), job);
    spawn_job_settled(job);
    job->in_store = true;
    return job;
}

static int sums(void)
{
    return sqlite3_stmt_status(w.store->room.open_body, SQLITE_STMTSTATUS_RUN,
                               0);
}

static void they_count_for_a_while(void **s)
{
    spawn_job *first = stored(), *second;
    uint64_t one;
    int before;

    (void)s;
    assert_true(spawn_store_shrink(w.store, 0) >= 0); /* it is over that */
    assert_true(sums() > 0);
    w.store->room.open_until = spawn_mono_us() + 3600000000;
    assert_int_equal(w.store->room.open_bytes, first->body->length);
    before = sums();
    (void)spawn_store_shrink(w.store, 0);
    (void)spawn_store_shrink(w.store, 0);
    assert_int_equal(sums(), before);
    one = w.store->room.opened;
    second = stored();
    assert_int_equal(w.store->room.opened - one, second->body->length);
    w.store->room.open_until = 0;
    (void)spawn_store_shrink(w.store, 0);
    assert_true(sums() > before);
    assert_int_equal(w.store->room.open_bytes,
                     first->body->length + second->body->length);
    forget(first);
    forget(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        they_count_for_a_while, setup, teardown)};

    return cmocka_run_group_tests_name("room_sums", tests, NULL, NULL);
}
