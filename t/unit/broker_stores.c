/* SPDX-License-Identifier: Apache-2.0 */
/* Two stores in one process: what happens to one is not noticed by the other.
 * Links the broker's rooms up to the store. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "broker/base/alloc.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"
#include "broker/store/commit.h"
#include "broker/store/parts.h"
#include "broker/store/place.h"
#include "broker/store/recent.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

typedef struct {
    char directory[64];
    spawn_store *store;
    spawn_batch batch;
} world;

static world one, two;

static void open_store(world *w)
{
    spawn_failure why;
    bool full;

    assert_int_equal(spawn_store_open(w->store, w->directory, &why, &full), 0);
    spawn_recent_begin(w->store, spawn_store_newest(w->store));
    spawn_store_note_place(w->store);
}

static void begin(world *w)
{
    (void)strcpy(w->directory, "/tmp/broker-test-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    w->store = spawn_store_new();
    spawn_batch_init(&w->batch, w->store);
    open_store(w);
}

static void end(world *w)
{
    char command[100];

    spawn_store_close(w->store);
    spawn_timer_clear(&w->store->room.trim_timer);
    spawn_timer_clear(&w->store->commit.retry_timer);
    free(w->store);
    (void)snprintf(command, sizeof(command), "rm -rf %s", w->directory);
    assert_int_equal(system(command), 0);
}

static int setup(void **s)
{
    (void)s;
    begin(&one);
    begin(&two);
    return 0;
}

static int teardown(void **s)
{
    (void)s;
    end(&one);
    end(&two);
    return 0;
}

/* A job that waits, due in this turn. */
static spawn_job *submit(world *w)
{
    spawn_job *job;
    spawn_id id;

    assert_int_equal(spawn_id_make(&id), 0);
    job = spawn_job_new(&w->batch, &id);
    job->body = spawn_body_room(sizeof(id), 0, 0);
    memcpy(job->body->data, &id, sizeof(id));
    spawn_queue_join(job, "q");
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    spawn_job_changed(job);
    return job;
}

static void forget(spawn_job *job)
{
    spawn_queue_leave(job);
    spawn_job_free(job);
}

/* Its number in the store is that of another one's job. */
static void has_its_body(const spawn_job *job)
{
    spawn_body *body = spawn_store_body(job);

    assert_int_equal(job->seq, 1);
    assert_non_null(body);
    assert_memory_equal(body->data, &job->id, sizeof(job->id));
    free(body);
}

/* As turn.c. True: all that was due is stored. */
static bool commit(world *w)
{
    spawn_committed committed;
    bool good = spawn_commit(&w->batch, &committed);
    spawn_job *job;

    if (!good)
        return false;
    for (job = spawn_batch_take(&w->batch, committed.written); job;
         job = job->due_next) {
        job->in_store = true;
        spawn_job_settled(job);
    }
    return !spawn_batch_due(&w->batch);
}

static void end_job(spawn_job *job)
{
    spawn_job_on(job, SPAWN_JOB_ENDED);
    job->end = spawn_alloc(sizeof(*job->end));
    job->end->outcome = SPAWN_OUTCOME_LOST;
    job->end->elapsed_us = job->end->exit_code = -1;
    spawn_job_changed(job);
}

static int known(const world *w, const spawn_id *id)
{
    spawn_known found;

    return spawn_store_find(w->store, id, &found);
}

static unsigned open_jobs;

static void count_one(spawn_batch *batch, const spawn_open_row *row)
{
    (void)batch;
    (void)row;
    open_jobs++;
}

static unsigned count_open(world *w)
{
    open_jobs = 0;
    assert_int_equal(spawn_store_open_jobs(&w->batch, count_one), 0);
    return open_jobs;
}

/* ---- tests ---- */

static void test_job_is_written_to_the_store_of_its_batch(void **s)
{
    spawn_job *a = submit(&one), *b = submit(&two);

    (void)s;
    assert_ptr_equal(spawn_batch_due(&one.batch), a);
    assert_ptr_equal(spawn_batch_due(&two.batch), b);
    assert_true(commit(&one));
    assert_int_equal(known(&one, &a->id), 1);
    assert_ptr_equal(spawn_batch_due(&two.batch), b); /* not its turn yet */
    assert_int_equal(known(&two, &b->id), 0);
    assert_true(commit(&two));
    assert_int_equal(known(&two, &b->id), 1);
    assert_int_equal(known(&one, &b->id), 0);
    assert_int_equal(known(&two, &a->id), 0);
    has_its_body(a);
    has_its_body(b);
    forget(a);
    forget(b);
}

static void test_jobs_that_are_due_soon_are_of_their_batch(void **s)
{
    spawn_job *a = submit(&one), *b = submit(&two);

    (void)s;
    assert_true(commit(&one) && commit(&two));
    spawn_job_changed_soon(a);
    spawn_job_changed_soon(b);
    spawn_batch_store_now(&one.batch);
    assert_ptr_equal(spawn_batch_due(&one.batch), a);
    assert_int_equal(one.batch.timer.place, 0); /* its moment is over */
    assert_true(two.batch.timer.place > 0);
    assert_null(spawn_batch_due(&two.batch));
    spawn_batch_store_now(&two.batch);
    assert_ptr_equal(spawn_batch_due(&two.batch), b);
    assert_true(commit(&one) && commit(&two));
    forget(a);
    forget(b);
}

/* The file of neither may grow: only who tries to write is told so. */
static void test_store_that_fails_makes_no_other_one_fail(void **s)
{
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
    spawn_job *a = submit(&one), *b;
    struct rlimit before;

    (void)s;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_false(commit(&one));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(spawn_commit_failing(one.store));
    assert_false(spawn_commit_failing(two.store));
    b = submit(&two);
    assert_true(commit(&two));
    assert_ptr_equal(spawn_batch_due(&one.batch), a); /* still */
    assert_true(commit(&one));
    assert_int_equal(known(&one, &a->id), 1);
    forget(a);
    forget(b);
}

static void test_commit_of_nothing_says_so(void **s)
{
    spawn_committed committed;

    (void)s;
    memset(&committed, 1, sizeof(committed));
    assert_true(spawn_commit(&one.batch, &committed));
    assert_int_equal(committed.written, 0);
    assert_false(committed.disk_full || committed.new_failed);
}

static void test_ids_and_ends_are_counted_for_each(void **s)
{
    int64_t first = spawn_store_next_end(one.store);
    spawn_job *a = submit(&one);
    spawn_id id = a->id;

    (void)s;
    assert_true(spawn_recent_is_new(one.store, &id));
    end_job(a);
    assert_true(commit(&one));
    spawn_recent_add(one.store, &id);
    assert_false(spawn_recent_is_new(one.store, &id));
    assert_true(spawn_recent_is_new(two.store, &id));
    assert_int_equal(spawn_store_next_end(two.store), first);
    forget(a);
}

/* Rows of a table. */
static int rows(const world *w, const char *table)
{
    char sql[60];
    sqlite3_stmt *s;
    int count;

    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    assert_int_equal(sqlite3_prepare_v2(w->store->db, sql, -1, &s, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    count = sqlite3_column_int(s, 0);
    (void)sqlite3_finalize(s);
    return count;
}

static void test_what_a_job_was_given_goes_with_its_end(void **s)
{
    spawn_job *with = submit(&one), *without = submit(&one);

    (void)s;
    free(with->body);
    with->body = spawn_body_room(sizeof(with->id), 3, 0);
    memcpy(with->body->data, &with->id, sizeof(with->id));
    memcpy(with->body->input, "abc", 3);
    assert_true(commit(&one));
    assert_int_equal(rows(&one, "input"), 1);
    end_job(without);
    assert_true(commit(&one));
    assert_int_equal(rows(&one, "input"), 1);
    end_job(with);
    assert_true(commit(&one));
    assert_int_equal(rows(&one, "input"), 0);
    assert_int_equal(rows(&one, "job"), 2);
    forget(with);
    forget(without);
}

static void test_one_is_closed_or_removed_and_the_other_goes_on(void **s)
{
    char path[100];
    spawn_job *a = submit(&one), *b = submit(&two);

    (void)s;
    assert_true(commit(&one) && commit(&two));
    spawn_store_close(one.store);
    assert_int_equal(known(&two, &b->id), 1);
    assert_int_equal(count_open(&two), 1);
    open_store(&one);
    assert_int_equal(known(&one, &a->id), 1);
    assert_int_equal(count_open(&one), 1);

    (void)snprintf(path, sizeof(path), "%s/jobs.db", two.directory);
    assert_int_equal(unlink(path), 0);
    assert_false(spawn_store_there(two.store));
    assert_true(spawn_store_there(one.store));
    assert_true(spawn_store_restore(two.store));
    assert_true(spawn_store_there(two.store));
    assert_int_equal(known(&two, &b->id), 1);
    forget(a);
    forget(b);
}

/* Outputs that many callers were sent in one turn. */
static void test_list_of_delivered_outputs_has_an_end(void **s)
{
    spawn_part_room *room = &one.store->room;
    spawn_job *job = submit(&one);
    unsigned i;

    (void)s;
    assert_true(commit(&one));
    for (i = 1; i <= 2 * SPAWN_STORE_TRIM_MAX; i++) {
        spawn_store_delivered(one.store, &job->id, 10000);
        assert_int_equal(room->delivered_count,
                         i < SPAWN_STORE_TRIM_MAX ? i : SPAWN_STORE_TRIM_MAX);
    }
    assert_true(room->trim_timer.place > 0);
    room->trim_timer.fire(&room->trim_timer);
    assert_int_equal(room->delivered_count, 0);
    forget(job);
}

/* The mark by which the next broker knows it (lock.c): locked by us. */
static bool marked(const world *w)
{
    char path[100];
    int status;
    pid_t pid;

    (void)snprintf(path, sizeof(path), "%s/broker.lock", w->directory);
    pid = fork();
    if (pid == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int fd = open(path, O_RDWR | O_CLOEXEC);

        _exit(fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0
                      && lock.l_pid == getppid()
                  ? 0
                  : 1);
    }
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static void test_one_that_was_put_back_has_its_mark(void **s)
{
    static const char *const files[] = {"jobs.db", "broker.lock"};
    char path[100];
    size_t i;

    (void)s;
    assert_true(marked(&one));
    for (i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", one.directory, files[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_false(marked(&one));
    assert_true(spawn_store_restore(one.store));
    assert_true(marked(&one));
    assert_true(marked(&two));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_job_is_written_to_the_store_of_its_batch),
        TEST(test_jobs_that_are_due_soon_are_of_their_batch),
        TEST(test_store_that_fails_makes_no_other_one_fail),
        TEST(test_commit_of_nothing_says_so),
        TEST(test_ids_and_ends_are_counted_for_each),
        TEST(test_what_a_job_was_given_goes_with_its_end),
        TEST(test_list_of_delivered_outputs_has_an_end),
        TEST(test_one_is_closed_or_removed_and_the_other_goes_on),
        TEST(test_one_that_was_put_back_has_its_mark),
    };

    (void)signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
