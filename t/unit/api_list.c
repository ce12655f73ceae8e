/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of jobs for another module: what is asked for, each row told once, in
 * memory that does not grow with them, until its function wants no more; and
 * what is wrong is not asked.
 */
#include "t/unit/api_world.h"

#define JOBS 250

static unsigned asked;
static uint64_t asked_states, asked_rows;
static char asked_queue[32];
static unsigned rows, stop_after;
static apr_size_t told_size;
static const char *first_queue;
static int dead;

/* Jobs down to 1, a page at a time. */
static bool lists(fake_broker *f, int sock, const spawn_message *m)
{
    static const uint8_t number[16] = {0, 0, 0, 0, 0, 0, 0x70, 0, 0x80};
    uint64_t before = spawn_u64_or(m, SPAWN_A_BEFORE, JOBS + 1);
    uint64_t left = spawn_u64_or(m, SPAWN_A_ROWS, JOBS), told = 0;
    uint8_t room[512];
    spawn_writer w;
    spawn_id id;

    (void)f;
    asked = m->header.type;
    asked_states = spawn_u64_or(m, SPAWN_A_STATES, 0);
    if (!spawn_has(m, SPAWN_A_BEFORE))
        asked_rows = spawn_u64_or(m, SPAWN_A_ROWS, 0);
    (void)snprintf(asked_queue, sizeof(asked_queue), "%s",
                   spawn_str_or(m, SPAWN_A_QUEUE, "(none)"));
    memcpy(&id, number, sizeof(id));
    spawn_writer_init_fixed(&w, room, sizeof(room));
    while (told < left && before > 1) {
        before--;
        told++;
        ((uint8_t *)&id)[15] = (uint8_t)before;
        spawn_writer_begin(&w, SPAWN_M_JOB, m->header.seq);
        spawn_put_id(&w, SPAWN_A_ID, &id);
        spawn_put_u64(&w, SPAWN_A_SEQ, before);
        spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_DONE);
        spawn_put_u64(&w, SPAWN_A_ATTEMPT, before);
        spawn_put_str(&w, SPAWN_A_QUEUE, before % 2 ? "odd" : "even");
        if (before % 10 == 0)
            spawn_put_u64(&w, SPAWN_A_DEAD, 1);
        fake_send(sock, &w);
    }
    spawn_writer_begin(&w, SPAWN_M_END, m->header.seq);
    spawn_put_u64(&w, SPAWN_A_ROWS, told);
    if (before > 1)
        spawn_put_u64(&w, SPAWN_A_BEFORE, before);
    fake_send(sock, &w);
    return true;
}

static bool refuses(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    fake_refuse(sock, m, SPAWN_E_UNKNOWN_QUEUE, "no such queue");
    return true;
}

static int row(void *of, const spawn_job_info *job)
{
    assert_ptr_equal(of, &rows);
    assert_ptr_equal(job, &info);
    assert_int_equal(job->attempt, JOBS - (int)rows);
    assert_int_equal(job->state, SPAWN_JOB_DONE);
    assert_int_equal(job->dead, job->attempt % 10 == 0);
    assert_string_equal(job->queue, job->attempt % 2 ? "odd" : "even");
    told_size = job->size;
    if (!rows)
        first_queue = job->queue;
    /* its text has the place of the first one's: rows are not kept */
    assert_ptr_equal(job->queue, first_queue);
    dead += job->dead;
    rows++;
    return rows != stop_after;
}

static void begin(void)
{
    atomic_store(&broker.serve, lists);
    rows = stop_after = asked = 0;
    dead = 0;
}

static apr_status_t list(const spawn_job_filter *which)
{
    return spawn_job_list(NULL, pool, which, &info, row, &rows, &why);
}

static void all_are_told_once(void **state)
{
    (void)state;
    begin();
    assert_int_equal(list(NULL), APR_SUCCESS);
    assert_int_equal(why.code, SPAWN_FAIL_OK);
    assert_int_equal(asked, SPAWN_M_LIST);
    assert_int_equal(asked_states, 0);
    assert_string_equal(asked_queue, "(none)");
    assert_int_equal(rows, JOBS);
    assert_int_equal(dead, JOBS / 10);
    assert_int_equal(told_size, sizeof(info));
}

static void a_filter_is_asked_for(void **state)
{
    spawn_job_filter which = {.size = sizeof(which),
                              .queue = "mail",
                              .state = SPAWN_JOB_RUNNING,
                              .rows = 7};

    (void)state;
    begin();
    assert_int_equal(list(&which), APR_SUCCESS);
    assert_int_equal(asked_states, 1u << SPAWN_STATE_RUNNING);
    assert_string_equal(asked_queue, "mail");
    assert_int_equal(asked_rows, 7);
    assert_int_equal(rows, 7);
    begin();
    which.dead = 1; /* its state does not count then */
    assert_int_equal(list(&which), APR_SUCCESS);
    assert_int_equal(asked_states, SPAWN_STATES_DEAD);
}

static void no_more_are_told_than_are_wanted(void **state)
{
    (void)state;
    begin();
    stop_after = 3;
    assert_int_equal(list(NULL), APR_SUCCESS);
    assert_int_equal(rows, 3);
    begin(); /* its connection is as it was */
    assert_int_equal(list(NULL), APR_SUCCESS);
    assert_int_equal(rows, JOBS);
}

static void a_refusal_is_told(void **state)
{
    (void)state;
    begin();
    atomic_store(&broker.serve, refuses);
    assert_int_equal(list(NULL), APR_NOTFOUND);
    assert_int_equal(why.code, SPAWN_FAIL_UNKNOWN_QUEUE);
    assert_int_equal(rows, 0);
    assert_int_equal(spawn_job_list(NULL, pool, NULL, &info, row, &rows, NULL),
                     APR_NOTFOUND);
}

/* A module that was built with an older header: its struct has no `dead`. */
static void no_byte_is_written_beyond_its_size(void **state)
{
    const apr_size_t older = offsetof(spawn_job_info, dead);

    (void)state;
    begin();
    info.size = older;
    info.dead = 77;
    atomic_store(&broker.serve, lists);
    assert_int_equal(spawn_job_status(NULL, pool,
                                      "0190a5b4-4c6e-7cde-8f01-23456789abcd", 0,
                                      &info, NULL),
                     APR_SUCCESS);
    assert_int_equal(info.dead, 77);
    assert_int_equal(info.size, older);
}

static void is_wrong(const spawn_job_filter *which, const char *said)
{
    assert_int_equal(list(which), APR_EINVAL);
    assert_int_equal(why.code, SPAWN_FAIL_INVALID);
    if (!strstr(why.message, said))
        print_message("%s\n", why.message);
    assert_non_null(strstr(why.message, said));
}

static void what_is_wrong_is_not_asked(void **state)
{
    spawn_job_filter which = {.size = sizeof(which), .state = 6};
    char name[1024];

    (void)state;
    begin();
    is_wrong(&which, "there is no state 6");
    which.state = -1;
    is_wrong(&which, "there is no state -1");
    which.state = 0;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    which.queue = name;
    is_wrong(&which, "too long");
    which.size = 0;
    is_wrong(&which, "which.size is 0");
    which.size = 1u << 20;
    is_wrong(&which, "which.size is 1048576");
    assert_int_equal(spawn_job_list(NULL, NULL, NULL, &info, row, &rows, &why),
                     APR_EINVAL);
    assert_non_null(strstr(why.message, "the pool is NULL"));
    assert_int_equal(spawn_job_list(NULL, pool, NULL, NULL, row, &rows, &why),
                     APR_EINVAL);
    assert_non_null(strstr(why.message, "info is NULL"));
    assert_int_equal(spawn_job_list(NULL, pool, NULL, &info, NULL, &rows, &why),
                     APR_EINVAL);
    assert_non_null(strstr(why.message, "row is NULL"));
    info.size = 1;
    assert_int_equal(list(NULL), APR_EINVAL);
    assert_int_equal(atomic_load(&broker.requests), 0);
    assert_int_equal(rows, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(all_are_told_once),
        WORLD_TEST(a_filter_is_asked_for),
        WORLD_TEST(no_more_are_told_than_are_wanted),
        WORLD_TEST(a_refusal_is_told),
        WORLD_TEST(no_byte_is_written_beyond_its_size),
        WORLD_TEST(what_is_wrong_is_not_asked),
    };

    return world_main(tests, sizeof(tests) / sizeof(tests[0]));
}
