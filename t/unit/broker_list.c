/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs of a list are chosen by how and when they ended, by time, by texts, and
 * come in both orders; however few are let through, each look is bounded, in
 * rows and in bytes, and those that failed are found without looking at the
 * others. Of long arguments as much is told as was asked for. In one process
 * (broker_world.h).
 */
#include "t/unit/broker_world.h"

#include <sqlite3.h>

#include "common/spawn_os.h"
#include "broker/store/parts.h"
#include "broker/store/sql.h"

static world w;
static spawn_writer answer;

static int setup(void **s)
{
    (void)s;
    begin(&w);
    spawn_writer_init(&answer, SPAWN_ANSWER_MAX);
    return 0;
}

static int teardown(void **s)
{
    (void)s;
    spawn_writer_free(&answer);
    end(&w);
    return 0;
}

static void sql(const char *text)
{
    assert_int_equal(sqlite3_exec(w.store->db, text, NULL, NULL, NULL),
                     SQLITE_OK);
}

/* ---- jobs ---- */

/* One that has ended; its seq. */
static int64_t put(const char *word, const char *label, int64_t at, int outcome,
                   int exit_code)
{
    const char *argv[] = {"/usr/bin/convert", word};
    spawn_writer body = {0};
    sqlite3_stmt *s;
    spawn_id id;
    int64_t seq;
    size_t mark;
    int i;

    assert_int_equal(spawn_id_make(&id), 0);
    spawn_writer_init(&body, SPAWN_SUBMIT_MAX);
    spawn_writer_begin(&body, SPAWN_M_SUBMIT, 0);
    spawn_put_id(&body, SPAWN_A_ID, &id);
    mark = spawn_open_strv(&body, SPAWN_A_ARGV);
    for (i = 0; i < 2; i++)
        spawn_add_text(&body, mark, argv[i], strlen(argv[i]));
    spawn_close(&body, mark);
    spawn_put_str(&body, SPAWN_A_LABEL, label);
    assert_int_equal(spawn_writer_finish(&body, 0), 0);
    assert_int_equal(
        sqlite3_prepare_v2(w.store->db,
                           "INSERT INTO job(id, queue, state, digest, fds,"
                           " submitted_at, ended_at, outcome, exit_code, body)"
                           " VALUES(?1, 'q', 4, 1, 0, ?2, ?2, ?3, ?4, ?5)",
                           -1, &s, NULL),
        SQLITE_OK);
    (void)sqlite3_bind_blob(s, 1, id.bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 2, at);
    (void)sqlite3_bind_int(s, 3, outcome);
    (void)sqlite3_bind_int(s, 4, exit_code);
    (void)sqlite3_bind_blob(s, 5, body.data + SPAWN_WIRE_HEADER,
                            (int)(body.length - SPAWN_WIRE_HEADER),
                            SQLITE_STATIC);
    assert_int_equal(sqlite3_step(s), SQLITE_DONE);
    (void)sqlite3_finalize(s);
    spawn_writer_free(&body);
    seq = sqlite3_last_insert_rowid(w.store->db);
    spawn_store_came(w.store, seq, at);
    return seq;
}

static int64_t put_good(const char *word, const char *label, int64_t at)
{
    return put(word, label, at, SPAWN_OUTCOME_EXITED, 0);
}

static void put_many(int count)
{
    char text[400];

    (void)snprintf(text, sizeof(text),
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
                   " FROM n WHERE i < %d) INSERT INTO job(id, queue, state,"
                   " digest, fds, submitted_at, ended_at, outcome, exit_code,"
                   " body) SELECT randomblob(16), 'q', 4, 1, 0, i * 3600000,"
                   " i, 1, 0, x'' FROM n",
                   count);
    sql(text);
}

/* ---- what is listed ---- */

static int looks;

/* Its seqs as text. */
static const char *listed(spawn_list_filter *filter)
{
    static char text[400];
    size_t used = 0;
    int rv;

    looks = 0;
    text[0] = '\0';
    if (!filter->before && !filter->oldest_first)
        filter->before = INT64_MAX;
    if (filter->since || filter->until)
        spawn_store_list_narrow(w.store, filter);
    while ((rv = spawn_store_answer_list(w.store, filter, 1, &answer)) > 0) {
        looks++;
        if (rv == 1 && used < sizeof(text) - 30)
            used += (size_t)snprintf(text + used, sizeof(text) - used, " %lld",
                                     (long long)filter->before);
    }
    assert_int_equal(rv, 0);
    return text;
}

static void by_how_they_ended(void **s)
{
    spawn_list_filter failed = {.ended = SPAWN_ENDED_FAILED};
    spawn_list_filter some = {.ended = 1u << SPAWN_OUTCOME_LOST
                                       | 1u << SPAWN_OUTCOME_CANCELLED};
    spawn_list_filter exited = {.ended = 1u << SPAWN_OUTCOME_EXITED};

    (void)s;
    put("a", "", 1, SPAWN_OUTCOME_EXITED, 0);
    put("a", "", 2, SPAWN_OUTCOME_EXITED, 3);
    put("a", "", 3, SPAWN_OUTCOME_CANCELLED, 0);
    put("a", "", 4, SPAWN_OUTCOME_LOST, 0);
    assert_string_equal(listed(&failed), " 4 2");
    assert_string_equal(listed(&some), " 4 3");
    assert_string_equal(listed(&exited), " 2 1");
}

static void by_texts(void **s)
{
    spawn_list_filter what = {.what = "CONVERT"};
    spawn_list_filter no_argument = {.what = "puppy"};
    spawn_list_filter label = {.label = "lett"};
    spawn_list_filter search = {.search = "PUPPY"};
    spawn_list_filter both = {.search = "puppy", .label = "letter"};
    spawn_list_filter none = {.search = "nowhere"};

    (void)s;
    put_good("puppy", "Letter 1", 1);
    put_good("kitten", "picture", 2);
    put_good("kitten", "of a puppy", 3);
    assert_string_equal(listed(&what), " 3 2 1");
    assert_string_equal(listed(&no_argument), "");
    assert_string_equal(listed(&label), " 1");
    assert_string_equal(listed(&search), " 3 1");
    assert_string_equal(listed(&both), " 1");
    assert_string_equal(listed(&none), "");
}

static void the_oldest_first(void **s)
{
    spawn_list_filter all = {.oldest_first = true};
    spawn_list_filter behind = {.oldest_first = true, .before = 1};
    spawn_list_filter failed = {.oldest_first = true,
                                .ended = SPAWN_ENDED_FAILED};

    (void)s;
    put("a", "", 1, SPAWN_OUTCOME_LOST, 0);
    put_good("a", "", 2);
    put("a", "", 3, SPAWN_OUTCOME_LOST, 0);
    assert_string_equal(listed(&all), " 1 2 3");
    assert_string_equal(listed(&behind), " 2 3");
    assert_string_equal(listed(&failed), " 1 3");
}

#define HOUR 3600000ll

static void by_time(void **s)
{
    spawn_list_filter since = {.since = 20 * HOUR};
    spawn_list_filter until = {.until = 12 * HOUR};
    spawn_list_filter between = {
        .since = 11 * HOUR, .until = 13 * HOUR, .oldest_first = true};

    (void)s;
    put_good("a", "", 10 * HOUR);
    put_good("a", "", 11 * HOUR);
    put_good("a", "", 12 * HOUR);
    put_good("a", "", 20 * HOUR);
    assert_string_equal(listed(&since), " 4");
    assert_string_equal(listed(&until), " 2 1");
    assert_string_equal(listed(&between), " 2 3");
}

static void by_when_they_ended(void **s)
{
    spawn_list_filter since = {.ended_since = 3};
    spawn_list_filter failed = {.ended_since = 2, .ended = SPAWN_ENDED_FAILED};

    (void)s;
    put("a", "", 1, SPAWN_OUTCOME_LOST, 0);
    put("a", "", 2, SPAWN_OUTCOME_LOST, 0);
    put_good("a", "", 3);
    put("a", "", 4, SPAWN_OUTCOME_LOST, 0);
    assert_string_equal(listed(&since), " 4 3");
    assert_string_equal(listed(&failed), " 4 2");
    /* however long ago it was submitted; and one that has not ended is none */
    sql("UPDATE job SET ended_at = 5 WHERE seq = 1");
    sql("UPDATE job SET state = 3, ended_at = NULL WHERE seq = 4");
    since = (spawn_list_filter){.ended_since = 3};
    assert_string_equal(listed(&since), " 3 1");
}

/* A clock that was set back by less than an hour. */
static void by_time_though_the_clock_went_back(void **s)
{
    spawn_list_filter since = {.since = 20 * HOUR};

    (void)s;
    put_good("a", "", 20 * HOUR + 1);
    put_good("a", "", 19 * HOUR + HOUR / 2);
    put_good("a", "", 20 * HOUR + 2);
    assert_string_equal(listed(&since), " 3 1");
}

static void put_some(int count, int64_t at)
{
    while (count-- > 0)
        put_good("a", "", at);
}

/* Posts that waited for a broker have the times of their ids. */
static void by_time_though_some_came_late(void **s)
{
    spawn_list_filter since = {.since = 20 * HOUR};
    spawn_list_filter first = {.since = 20 * HOUR, .oldest_first = true};
    spawn_list_filter until = {.until = 12 * HOUR};
    spawn_list_filter early = {.until = 12 * HOUR, .oldest_first = true};

    (void)s;
    put_good("a", "", 20 * HOUR + 1);
    put_some(3, 10 * HOUR);
    put_some(30, 19 * HOUR + HOUR / 2);
    put_good("a", "", 20 * HOUR + 2);
    put_some(3, 21 * HOUR);
    assert_string_equal(listed(&since), " 38 37 36 35 1");
    assert_string_equal(listed(&first), " 1 35 36 37 38");
    assert_string_equal(listed(&until), " 4 3 2");
    assert_string_equal(listed(&early), " 2 3 4");
}

static void close_and_open(void)
{
    assert_int_equal(spawn_store_begin(w.store), 0);
    assert_int_equal(spawn_store_commit(w.store), 0);
    spawn_store_close(w.store);
    open_store(&w);
}

static void also_by_the_next_broker(void **s)
{
    spawn_list_filter since = {.since = 20 * HOUR};

    (void)s;
    put_good("a", "", 20 * HOUR + 1);
    put_some(30, 10 * HOUR);
    put_good("a", "", 20 * HOUR + 2);
    close_and_open();
    assert_string_equal(listed(&since), " 32 1");
    /* those that come after the newest one that it knows are late, too */
    put_some(200, 5 * HOUR);
    close_and_open();
    put_some(1, 9 * HOUR);
    since = (spawn_list_filter){.since = 20 * HOUR};
    assert_string_equal(listed(&since), " 32 1");
}

/* When they have gone, a time says where to look as ever. */
static void late_ones_are_forgotten(void **s)
{
    spawn_list_filter since = {.since = 29990 * HOUR};

    (void)s;
    put_good("a", "", 20000 * HOUR);
    put_good("a", "", 1 * HOUR);
    sql("DELETE FROM job WHERE seq = 2");
    put_many(30000);
    (void)listed(&since);
    assert_true(looks > 12); /* the row before it is there still */
    sql("DELETE FROM job WHERE seq = 1");
    since = (spawn_list_filter){.since = 29990 * HOUR};
    (void)listed(&since);
    assert_true(looks <= 12);
}

/* Rows after it are not late for ever. */
static void so_is_a_clock_that_was_far_ahead(void **s)
{
    (void)s;
    put_good("a", "", 1000000 * HOUR);
    put_good("a", "", 2 * HOUR);
    put_some(101, 3 * HOUR);
    close_and_open();
    put_good("a", "", 4 * HOUR);
    assert_int_equal(w.store->list.late_by, 999998 * HOUR);
    assert_int_equal(w.store->list.late_seq, 104);
    sql("DELETE FROM job WHERE seq <= 104");
    put_good("a", "", 4 * HOUR);
    close_and_open();
    assert_int_equal(w.store->list.newest, 4 * HOUR);
}

static void time_says_where_to_look(void **s)
{
    spawn_list_filter since = {.since = 29990 * HOUR};
    spawn_list_filter until = {.until = 3 * HOUR};

    (void)s;
    put_many(30000);
    assert_string_equal(
        listed(&since),
        " 30000 29999 29998 29997 29996 29995 29994 29993 29992 29991 29990");
    assert_true(looks <= 12);
    assert_string_equal(listed(&until), " 2 1");
    assert_true(looks <= 3);
}

static void those_that_failed_are_found_at_once(void **s)
{
    spawn_list_filter failed = {.ended = SPAWN_ENDED_FAILED};

    (void)s;
    put("a", "", 1, SPAWN_OUTCOME_LOST, 0);
    put_many(30000);
    assert_string_equal(listed(&failed), " 1");
    assert_true(looks <= 2);
    /* where there was no room for the index, they are searched for */
    sql("DROP INDEX job_failed");
    spawn_store_finish_list(w.store);
    assert_int_equal(spawn_store_prepare_list(w.store), 0);
    failed = (spawn_list_filter){.ended = SPAWN_ENDED_FAILED};
    assert_string_equal(listed(&failed), " 1");
    assert_int_equal(looks, 30001 / SPAWN_LIST_LOOKS + 1);
}

static void a_look_reads_so_many_bytes(void **s)
{
    spawn_list_filter search = {.search = "nowhere", .before = INT64_MAX};
    char *big = malloc(1 << 20);
    int i;

    (void)s;
    memset(big, 'x', 1 << 20);
    big[(1 << 20) - 1] = '\0';
    for (i = 0; i < 12; i++)
        put_good(big, "", i);
    free(big);
    assert_int_equal(spawn_store_answer_list(w.store, &search, 1, &answer), 2);
    assert_true(search.read <= 4 << 20);
    assert_string_equal(listed(&search), "");
    assert_true(looks >= 3);
}

/* ---- long arguments ---- */

static void of_long_arguments_some_is_told(void **s)
{
    spawn_list_filter cut = {.argv_limited = true, .argv_most = 23};
    spawn_message m;
    const char *text;

    (void)s;
    put_good("12345\xc3\xa9xyz", "", 1);
    cut.before = INT64_MAX;
    assert_int_equal(spawn_store_answer_list(w.store, &cut, 1, &answer), 1);
    assert_int_equal(spawn_message_parse(answer.data, answer.length,
                                         SPAWN_FROM_BROKER, 0, &m, NULL),
                     0);
    text = spawn_strv_next(&m.attr[SPAWN_A_ARGV], NULL);
    assert_string_equal(text, "/usr/bin/convert");
    text = spawn_strv_next(&m.attr[SPAWN_A_ARGV], text);
    assert_string_equal(text, "12345"); /* no half of a character */
    assert_int_equal(spawn_u64_or(&m, SPAWN_A_ARGV_CUT, 0), 5);

    cut.before = INT64_MAX;
    cut.from = 0;
    cut.argv_most = 4096;
    assert_int_equal(spawn_store_answer_list(w.store, &cut, 1, &answer), 1);
    assert_int_equal(spawn_message_parse(answer.data, answer.length,
                                         SPAWN_FROM_BROKER, 0, &m, NULL),
                     0);
    assert_false(spawn_has(&m, SPAWN_A_ARGV_CUT));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(by_how_they_ended),
        WITH(by_texts),
        WITH(the_oldest_first),
        WITH(by_time),
        WITH(by_when_they_ended),
        WITH(by_time_though_the_clock_went_back),
        WITH(by_time_though_some_came_late),
        WITH(also_by_the_next_broker),
        WITH(late_ones_are_forgotten),
        WITH(so_is_a_clock_that_was_far_ahead),
        WITH(time_says_where_to_look),
        WITH(those_that_failed_are_found_at_once),
        WITH(a_look_reads_so_many_bytes),
        WITH(of_long_arguments_some_is_told),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
