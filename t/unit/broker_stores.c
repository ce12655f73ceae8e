/* SPDX-License-Identifier: Apache-2.0 */
/* Two stores in one process: what happens to one is not noticed by the other.
 * Links the broker's rooms up to the store. */
#include "t/unit/broker_world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "broker/base/conf.h"
#include "broker/store/launches.h"
#include "broker/store/sql.h"

static world one, two;

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
    assert_int_equal(one.batch.soon.timer.place, 0); /* its moment is over */
    assert_true(two.batch.soon.timer.place > 0);
    assert_null(spawn_batch_due(&two.batch));
    spawn_batch_store_now(&two.batch);
    assert_ptr_equal(spawn_batch_due(&two.batch), b);
    assert_true(commit(&one) && commit(&two));
    spawn_job_store_again(a);
    spawn_job_changed_soon(b);
    assert_true(spawn_batch_waits(&one.batch));
    spawn_batch_store_now(&two.batch);
    assert_null(spawn_batch_due(&one.batch));
    spawn_batch_store_now(&one.batch); /* not only when its time has come */
    assert_ptr_equal(spawn_batch_due(&one.batch), a);
    assert_false(spawn_batch_waits(&one.batch));
    assert_int_equal(one.batch.again.timer.place, 0);
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

/* Of a queue without jobs: each look takes a bounded time. */
static void test_list_looks_at_so_many_rows_at_once(void **s)
{
    spawn_list_filter filter = {.queue = "none", .before = INT64_MAX};
    spawn_job *job = submit(&one);
    spawn_writer w = {0};
    int looks, open;

    (void)s;
    assert_true(commit(&one));
    assert_int_equal(
        sqlite3_exec(one.store->db,
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                     " SELECT i + 1 FROM n WHERE i < 5000)"
                     "INSERT INTO job(id, queue, state, digest, fds,"
                     " submitted_at, body)"
                     " SELECT randomblob(16), 'q', 1, 0, 0, 0, '' FROM n",
                     NULL, NULL, NULL),
        SQLITE_OK);
    for (open = 0; open < 2; open++) {
        filter.states = open ? 1u << SPAWN_STATE_QUEUED : 0;
        filter.before = INT64_MAX;
        filter.from = 0;
        for (looks = 0; spawn_store_answer_list(one.store, &filter, 1, &w) == 2;
             looks++)
            ;
        assert_int_equal(looks, 5001 / SPAWN_LIST_LOOKS + 1);
        assert_int_equal(spawn_store_answer_list(one.store, &filter, 1, &w), 0);
    }
    forget(job);
}

/* The order of each row is read then. */
static void test_list_of_a_context_reads_so_many_orders_at_once(void **s)
{
    spawn_list_filter filter = {.before = INT64_MAX};
    spawn_job *job = submit(&one);
    spawn_writer text = {0}, w = {0};
    spawn_message m;
    int looks;

    (void)s;
    assert_true(commit(&one));
    assert_int_equal(
        sqlite3_exec(one.store->db,
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                     " SELECT i + 1 FROM n WHERE i < 900)"
                     "INSERT INTO job(id, queue, state, digest, fds,"
                     " submitted_at, body)"
                     " SELECT randomblob(16), 'q', 4, 0, 0, 0, 'damaged'"
                     " FROM n",
                     NULL, NULL, NULL),
        SQLITE_OK);
    spawn_writer_init(&text, 4096);
    spawn_writer_begin(&text, SPAWN_M_LIST, 0);
    looks = (int)spawn_open_strv(&text, SPAWN_A_CONTEXT);
    spawn_add_text(&text, (size_t)looks, "user=ann", 8);
    spawn_close(&text, (size_t)looks);
    assert_int_equal(spawn_writer_finish(&text, 0), 0);
    assert_int_equal(spawn_message_parse(text.data, text.length,
                                         SPAWN_FROM_CALLER, 0, &m, NULL),
                     0);
    filter.context = m.attr[SPAWN_A_CONTEXT];
    for (looks = 0; spawn_store_answer_list(one.store, &filter, 1, &w) == 2;
         looks++)
        ;
    assert_int_equal(looks, 901 / SPAWN_LIST_READS + 1);
    assert_int_equal(spawn_store_answer_list(one.store, &filter, 1, &w), 0);
    spawn_writer_free(&text);
    forget(job);
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

/* ---- notes of launches ---- */

static void is_noted(world *w, const spawn_id *id, unsigned wanted)
{
    spawn_id life;

    assert_int_equal(spawn_launches_find(w->store, id, 1, &life), wanted);
    if (wanted)
        assert_true(spawn_id_equal(&life, &spawn_conf.spawner_life));
}

static void reopened(world *w)
{
    spawn_store_close(w->store);
    free(w->store);
    w->store = w->batch.store = spawn_store_new();
    open_store(w);
}

static void test_notes_are_of_their_store(void **s)
{
    spawn_job waiting = {.batch = &one.batch, .noted = 2};
    spawn_id ids[3];
    int i;

    (void)s;
    for (i = 0; i < 3; i++)
        (void)spawn_id_make(&ids[i]);
    (void)spawn_id_make(&spawn_conf.spawner_life);
    assert_int_equal(spawn_launches_note(one.store, &ids[0], 1), 1);
    assert_int_equal(spawn_launches_note(one.store, &ids[1], 1), 2);
    assert_int_equal(spawn_launches_note(two.store, &ids[2], 1), 1);
    reopened(&one);
    is_noted(&one, &ids[1], 2);
    is_noted(&one, &ids[2], 0);
    /* a job that was found has its place; one that nobody asked for has none */
    assert_int_equal(spawn_launches_note(one.store, &ids[2], 1), 1);
    assert_int_equal(spawn_launches_note(one.store, &ids[0], 1), 3);
    waiting.id = ids[1];
    spawn_launches_undo(&waiting);
    assert_int_equal(waiting.noted, 0);
    spawn_launches_stored(one.store, 2);
    reopened(&one);
    is_noted(&one, &ids[1], 0);
    is_noted(&one, &ids[2], 1);
    is_noted(&one, &ids[0], 3);
    is_noted(&two, &ids[2], 1);
}

static void test_notes_come_back_with_a_store_that_was_removed(void **s)
{
    char command[160];
    spawn_id id;

    (void)s;
    (void)spawn_id_make(&id);
    (void)spawn_id_make(&spawn_conf.spawner_life);
    assert_int_equal(spawn_launches_note(one.store, &id, 1), 1);
    (void)snprintf(command, sizeof(command), "rm -rf %s/*", one.directory);
    assert_int_equal(system(command), 0);
    assert_true(spawn_store_restore(one.store));
    assert_int_equal(spawn_launches_note(one.store, &id, 1),
                     2); /* it is taken */
    reopened(&one);
    is_noted(&one, &id, 1);
}

/* The note of an attempt says nothing of the next one. */
static void test_notes_are_of_an_attempt(void **s)
{
    spawn_id id, life;

    (void)s;
    (void)spawn_id_make(&id);
    (void)spawn_id_make(&spawn_conf.spawner_life);
    assert_int_equal(spawn_launches_note(one.store, &id, 2), 1);
    reopened(&one);
    assert_int_equal(spawn_launches_find(one.store, &id, 1, &life), 0);
    assert_int_equal(spawn_launches_find(one.store, &id, 3, &life), 0);
    assert_int_equal(spawn_launches_find(one.store, &id, 2, &life), 1);
    assert_true(spawn_id_equal(&life, &spawn_conf.spawner_life));
}

/* A release that knew no attempts wrote ids of a job and a spawner, 128 times.
 */
static void test_notes_of_an_older_release_are_of_first_attempts(void **s)
{
    static spawn_id notes[2 * SPAWN_LAUNCHES];
    char path[100];
    int fd;

    (void)s;
    (void)spawn_id_make(&notes[10]);
    (void)spawn_id_make(&spawn_conf.spawner_life);
    notes[11] = spawn_conf.spawner_life;
    spawn_store_close(one.store);
    (void)snprintf(path, sizeof(path), "%s/launches", one.directory);
    fd = open(path, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, notes, sizeof(notes)), sizeof(notes));
    (void)close(fd);
    free(one.store);
    one.store = one.batch.store = spawn_store_new();
    open_store(&one);
    is_noted(&one, &notes[10], 6);
    reopened(&one); /* and are kept in our layout */
    is_noted(&one, &notes[10], 6);
}

/* A broker that goes on without what it cannot read might run jobs twice: one
 * whose files were given to another user, but for the notes. */
static void test_store_with_unreadable_notes_is_not_opened(void **s)
{
    const char *how = geteuid() == 0 ? "chmod 0700 %s; chown -R 65534 %s; "
                                       "chown 0 %s/launches"
                                     : "chmod 0 %s/launches; : %s %s";
    const uid_t uid = geteuid();
    char command[320], path[96];
    spawn_failure why;
    spawn_id id;
    bool full;
    int rv;

    (void)s;
    (void)spawn_id_make(&id);
    (void)spawn_id_make(&spawn_conf.spawner_life);
    assert_int_equal(spawn_launches_note(one.store, &id, 1), 1);
    spawn_store_close(one.store);
    free(one.store);
    one.store = one.batch.store = spawn_store_new();
    (void)snprintf(command, sizeof(command), how, one.directory, one.directory,
                   one.directory);
    assert_int_equal(system(command), 0);
    assert_int_equal(uid == 0 ? seteuid(65534) : 0, 0);
    rv = spawn_store_open(one.store, one.directory, &why, &full);
    assert_int_equal(seteuid(uid), 0);
    assert_int_equal(rv, -1);
    assert_non_null(strstr(why.text, "/launches"));
    assert_int_equal(why.error, EACCES);
    (void)snprintf(path, sizeof(path), "%s/launches", one.directory);
    assert_int_equal(chmod(path, 0600), 0);
    open_store(&one);
    is_noted(&one, &id, 1);
}

static void boots(world *w, bool another)
{
    char last[37];

    if (another)
        assert_int_equal(sqlite3_exec(w->store->db,
                                      "UPDATE meta SET value = 'another boot'"
                                      " WHERE key = 'boot_id'",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
    assert_int_equal(spawn_store_boot(w->store, last), 0);
}

/* Else a broker would look for durable jobs where there never were any. */
static void test_ledger_was_there_when_one_was_read(void **s)
{
    (void)s;
    boots(&one, false);
    boots(&one, true);
    assert_false(spawn_store_ledger_known(one.store));
    boots(&one, false);
    assert_false(spawn_store_ledger_was(one.store));
    assert_int_equal(spawn_store_note_ledger(one.store), 0);
    assert_true(spawn_store_ledger_was(one.store));
    boots(&one, true);
    assert_true(spawn_store_ledger_known(one.store));
    boots(&two, false);
    assert_true(spawn_store_ledger_was(one.store));
    assert_false(spawn_store_ledger_was(two.store));
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
        TEST(test_list_looks_at_so_many_rows_at_once),
        TEST(test_list_of_a_context_reads_so_many_orders_at_once),
        TEST(test_list_of_delivered_outputs_has_an_end),
        TEST(test_one_is_closed_or_removed_and_the_other_goes_on),
        TEST(test_one_that_was_put_back_has_its_mark),
        TEST(test_notes_are_of_their_store),
        TEST(test_notes_come_back_with_a_store_that_was_removed),
        TEST(test_notes_are_of_an_attempt),
        TEST(test_notes_of_an_older_release_are_of_first_attempts),
        TEST(test_store_with_unreadable_notes_is_not_opened),
        TEST(test_ledger_was_there_when_one_was_read),
    };

    (void)signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
