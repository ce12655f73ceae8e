/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that are due, told or owed an answer, and their commit when it fails: no
 * job gets lost between the lists, and the caller is told exactly how many were
 * stored. In one process (broker_world.h), with connections that only count.
 */
#include "t/unit/broker_world.h"

#include <malloc.h>
#include <unistd.h>

#include <sqlite3.h>

#include "t/unit/corner.h"
#include "common/spawn_os.h"
#include "broker/base/timer.h"
#include "broker/job/end.h"
#include "broker/caller/reply.h"

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

/* ---- what answers go to ---- */

static unsigned accepted, done, refused, looked;

void spawn_peer_watch_what(spawn_peer *peer)
{
    (void)peer;
    looked++;
}

void spawn_peer_accepted(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                         unsigned state)
{
    (void)peer, (void)seq, (void)id, (void)state;
    accepted++;
}

void spawn_peer_kept(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                     const spawn_id *other, unsigned state)
{
    (void)peer, (void)seq, (void)id, (void)other, (void)state;
    accepted++;
}

void spawn_peer_done(spawn_peer *peer, uint32_t seq, const spawn_id *id)
{
    (void)peer, (void)seq, (void)id;
    done++;
}

void spawn_peer_refuse(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                       const spawn_failure *why)
{
    (void)peer, (void)seq, (void)id, (void)why;
    refused++;
}

/* ---- lists ---- */

/* The jobs that are due are these, in this order. */
static void due_are(spawn_job *const *jobs, unsigned count)
{
    const spawn_job *job = spawn_batch_due(&w.batch);
    unsigned i;

    for (i = 0; i < count; i++, job = job->due_next)
        assert_ptr_equal(job, jobs[i]);
    assert_null(job);
}

/* Which of three have failed, as bits. */
static void test_those_that_failed_are_behind_the_others(void **s)
{
    unsigned bits, i;

    (void)s;
    for (bits = 0; bits < 8; bits++) {
        spawn_job *jobs[3], *wanted[4];
        unsigned good = 0, used = 0;

        for (i = 0; i < 3; i++) {
            jobs[i] = submit(&w);
            jobs[i]->store_error = bits >> i & 1;
            if (!jobs[i]->store_error)
                wanted[used++] = jobs[i];
        }
        good = used;
        for (i = 0; i < 3; i++)
            if (jobs[i]->store_error)
                wanted[used++] = jobs[i];
        assert_int_equal(spawn_batch_part(&w.batch), good);
        due_are(wanted, 3);
        wanted[3] = submit(&w); /* the next one is the last one */
        due_are(wanted, 4);
        (void)spawn_batch_take(&w.batch, 4);
        for (i = 0; i < 4; i++)
            forget(wanted[i]);
    }
}

static void test_of_none_none_has_failed(void **s)
{
    spawn_job *job;

    (void)s;
    assert_int_equal(spawn_batch_part(&w.batch), 0);
    job = submit(&w);
    due_are(&job, 1);
    (void)spawn_batch_take(&w.batch, 1);
    forget(job);
}

static void test_all_news_are_told_in_their_order(void **s)
{
    spawn_job *jobs[4];
    unsigned i;

    (void)s;
    for (i = 0; i < 4; i++)
        jobs[i] = submit(&w);
    for (i = 0; i < 3; i++)
        spawn_job_tell_waiters(jobs[i]);
    assert_ptr_equal(spawn_batch_to_tell(&w.batch), jobs[0]);
    spawn_job_tell_waiters(jobs[3]);
    for (i = 1; i < 4; i++)
        assert_ptr_equal(spawn_batch_to_tell(&w.batch), jobs[i]);
    assert_null(spawn_batch_to_tell(&w.batch));
    spawn_job_tell_waiters(jobs[0]); /* again */
    assert_ptr_equal(spawn_batch_to_tell(&w.batch), jobs[0]);
    assert_null(spawn_batch_to_tell(&w.batch));
    (void)spawn_batch_take(&w.batch, 4);
    for (i = 0; i < 4; i++)
        forget(jobs[i]);
}

/* Of two callers whose jobs did not fit, the first leaves. */
static void test_who_has_left_is_owed_nothing(void **s)
{
    spawn_peer peers[2] = {{.watch = {.fd = 1}}, {.watch = {.fd = 1}}};
    spawn_job *job = submit(&w);

    (void)s;
    accepted = done = refused = 0;
    job->rest = true;
    spawn_reply_accepted(&peers[0], 1, job);
    spawn_reply_done(&peers[1], 2, job);
    spawn_replies_send(&w.batch);
    assert_int_equal(w.batch.owed_used, 2);
    peers[0].watch.fd = -1;
    spawn_replies_tidy(&w.batch);
    assert_int_equal(w.batch.owed_used, 1);
    assert_ptr_equal(w.batch.owed[0].peer, &peers[1]);
    job->rest = false;
    (void)spawn_batch_take(&w.batch, 1);
    spawn_job_settled(job);
    spawn_replies_send(&w.batch);
    assert_int_equal(w.batch.owed_used, 0);
    assert_int_equal(accepted, 0);
    assert_int_equal(done, 1);
    assert_int_equal(refused, 0);
    free(w.batch.owed);
    forget(job);
}

/* It is read no more while it is owed many (connection.c). */
static void test_what_a_caller_is_owed_is_counted(void **s)
{
    spawn_peer peer = {.watch = {.fd = 1}};
    spawn_job *job = submit(&w);
    unsigned i;

    (void)s;
    looked = 0;
    job->rest = true;
    for (i = 1; i <= 3; i++) {
        spawn_reply_done(&peer, i, job);
        assert_int_equal(peer.owed_count, i);
        assert_int_equal(looked, i);
    }
    spawn_replies_send(&w.batch);
    assert_int_equal(peer.owed_count, 3);
    job->rest = false;
    (void)spawn_batch_take(&w.batch, 1);
    spawn_job_settled(job);
    spawn_replies_send(&w.batch);
    assert_int_equal(peer.owed_count, 0);
    assert_int_equal(looked, 6);
    free(w.batch.owed);
    w.batch.owed = NULL;
    w.batch.owed_room = 0;
    forget(job);
}

/* ---- an end that was none ---- */

static void drop_an_end(spawn_job *job)
{
    job->end = spawn_alloc(sizeof(*job->end));
    spawn_end_say(job->end, "%s", "in words");
    spawn_end_drop(job);
    assert_null(job->end);
}

static void test_an_end_is_dropped_with_its_memory(void **s)
{
    spawn_job *job = submit(&w);
    size_t before;
    int i;

    (void)s;
    spawn_end_drop(job); /* nothing */
    drop_an_end(job);
    before = mallinfo2().uordblks;
    for (i = 0; i < 1000; i++)
        drop_an_end(job);
    if (!SANITIZED) /* which has a memory of its own, and tells of leaks */
        assert_in_range(mallinfo2().uordblks, 0, before + 1000);
    (void)spawn_batch_take(&w.batch, 1);
    forget(job);
}

/* ---- commits ---- */

static void run_sql(const char *sql)
{
    assert_int_equal(sqlite3_exec(w.store->db, sql, NULL, NULL, NULL),
                     SQLITE_OK);
}

/* A job that has been written, or has failed, is due no more. */
static void settle(const spawn_committed *c, unsigned written, unsigned failed)
{
    unsigned counts[] = {written, failed}, i, n;
    spawn_job *job;

    assert_int_equal(c->written, written);
    assert_int_equal(c->failed, failed);
    for (i = 0; i < 2; i++) {
        for (n = 0, job = spawn_batch_take(&w.batch, counts[i]); job;
             job = job->due_next, n++) {
            job->in_store = i == 0;
            spawn_job_settled(job);
            spawn_queue_leave(job);
        }
        assert_int_equal(n, counts[i]);
    }
    assert_null(spawn_batch_due(&w.batch));
}

/* One of three is not taken. */
static void test_the_others_are_stored(void **s)
{
    spawn_committed c;
    spawn_job *bad;

    (void)s;
    (void)submit(&w);
    bad = submit(&w);
    (void)submit(&w);
    bad->digest = 77;
    run_sql("CREATE TEMP TRIGGER no BEFORE INSERT ON main.job"
            " WHEN NEW.digest = 77 BEGIN SELECT RAISE(ABORT, 'no'); END");
    assert_false(spawn_commit(&w.batch, &c));
    assert_true(bad->store_error != 0);
    settle(&c, 2, 1);
    assert_false(bad->in_store);
    assert_true(w.store->commit.retry_timer.place > 0);
    assert_false(w.store->commit.failing);
    assert_true(spawn_commit_failing(w.store)); /* for a while */
}

static int failures;

static int commit_fails(void *unused)
{
    (void)unused;
    return failures-- > 0;
}

/* Not even one had failed, when each is tried by itself. */
static void test_a_failure_that_passes_is_none(void **s)
{
    spawn_committed c;

    (void)s;
    (void)submit(&w);
    (void)submit(&w);
    failures = 1;
    (void)sqlite3_commit_hook(w.store->db, commit_fails, NULL);
    assert_true(spawn_commit(&w.batch, &c));
    settle(&c, 2, 0);
    assert_false(spawn_commit_failing(w.store));
}

static void test_when_nothing_can_be_written_all_have_failed(void **s)
{
    spawn_committed c;

    (void)s;
    (void)submit(&w);
    (void)submit(&w);
    failures = 1000;
    (void)sqlite3_commit_hook(w.store->db, commit_fails, NULL);
    assert_false(spawn_commit(&w.batch, &c));
    settle(&c, 0, 2);
    assert_true(w.store->commit.failing);
    assert_true(w.store->commit.retry_timer.place > 0);
}

/* The first error, and not that of a later try. */
static void test_the_log_says_why(void **s)
{
    char said[400] = "";
    spawn_committed c;
    int fd = spawn_os_memfd("said"), err = dup(2);

    (void)s;
    (void)submit(&w);
    (void)submit(&w);
    run_sql("CREATE TEMP TRIGGER no BEFORE INSERT ON main.job"
            " BEGIN SELECT RAISE(ABORT, 'of this'); END");
    (void)dup2(fd, 2);
    assert_false(spawn_commit(&w.batch, &c));
    (void)dup2(err, 2);
    assert_true(pread(fd, said, sizeof(said) - 1, 0) > 0);
    assert_non_null(strstr(said, "cannot be written: of this; jobs"));
    settle(&c, 0, 2);
    (void)close(fd);
    (void)close(err);
}

/* Since its last failure; 0: it never had one. */
static void test_a_store_is_trusted_again_after_a_while(void **s)
{
    static const struct {
        int64_t ago;
        bool fails;
    } cases[] = {{0, false}, {1000, true}, {4000, true}, {6000, false}};
    unsigned i;

    (void)s;
    for (i = 0; i < 4; i++) {
        w.store->commit.job_failed_at =
            cases[i].ago ? spawn_mono_ms() - cases[i].ago : 0;
        assert_int_equal(spawn_commit_failing(w.store), cases[i].fails);
    }
    w.store->commit.failing = true;
    assert_true(spawn_commit_failing(w.store));
}

/* The history makes some room, and that is not enough. */
static void test_a_full_disk_is_not_tried_for_ever(void **s)
{
    spawn_committed c;
    spawn_job *old = submit(&w), *big;

    (void)s;
    end_job(old);
    assert_true(spawn_commit(&w.batch, &c));
    settle(&c, 1, 0);
    run_sql("INSERT INTO output (seq, out) VALUES (1, zeroblob(100000));"
            "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA max_page_count = 1");
    big = submit(&w);
    free(big->body);
    big->body = spawn_body_room(4000000, 0, 0);
    memset(big->body->data, 'a', 4000000);
    (void)alarm(60); /* rather than for ever */
    assert_false(spawn_commit(&w.batch, &c));
    (void)alarm(0);
    assert_true(c.disk_full);
    settle(&c, 0, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_those_that_failed_are_behind_the_others),
        TEST(test_of_none_none_has_failed),
        TEST(test_all_news_are_told_in_their_order),
        TEST(test_who_has_left_is_owed_nothing),
        TEST(test_what_a_caller_is_owed_is_counted),
        TEST(test_an_end_is_dropped_with_its_memory),
        TEST(test_the_others_are_stored),
        TEST(test_a_failure_that_passes_is_none),
        TEST(test_when_nothing_can_be_written_all_have_failed),
        TEST(test_the_log_says_why),
        TEST(test_a_store_is_trusted_again_after_a_while),
        TEST(test_a_full_disk_is_not_tried_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
