/* SPDX-License-Identifier: Apache-2.0 */
/* A request has a note of the jobs that a module in C submits for it. */
#include "t/unit/api_world.h"

#include "module/request_jobs.h"

static request_rec *a_request(void)
{
    request_rec *r = apr_pcalloc(pool, sizeof(*r));

    assert_int_equal(apr_pool_create(&r->pool, pool), APR_SUCCESS);
    r->server = &world_server;
    r->subprocess_env = apr_table_make(r->pool, 1);
    r->notes = apr_table_make(r->pool, 1);
    r->log_id = "R1";
    return r;
}

static const char *note(const request_rec *r)
{
    const char *text = apr_table_get(r->notes, SPAWN_NOTE);

    return text ? text : "(none)";
}

/* Its id, in the pool of the test. */
static const char *submitted(apr_pool_t *p, request_rec *r, apr_status_t wanted)
{
    spawn_job *job = spawn_job_make(p, r, NULL);

    assert_int_equal(spawn_job_function(job, "My::f", NULL), APR_SUCCESS);
    assert_int_equal(
        spawn_job_submit(job, SPAWN_UNTIL_ACCEPTED, 0, &info, &why), wanted);
    return apr_pstrdup(pool, spawn_job_id(job));
}

static void they_are_noted(void **state)
{
    request_rec *r = a_request();
    const char *one = submitted(NULL, r, APR_SUCCESS), *two;

    (void)state;
    assert_string_equal(note(r), one);
    two = submitted(pool, r, APR_SUCCESS);
    assert_string_equal(note(r), apr_pstrcat(pool, one, ",", two, NULL));
}

static void of_many_the_first_ten_and_a_number(void **state)
{
    request_rec *r = a_request();
    const char *all = "";
    int i;

    (void)state;
    for (i = 0; i < SPAWN_NOTED_MAX; i++)
        all = apr_pstrcat(pool, all, i ? "," : "",
                          submitted(NULL, r, APR_SUCCESS), NULL);
    assert_string_equal(note(r), all);
    (void)submitted(NULL, r, APR_SUCCESS);
    assert_string_equal(note(r), apr_pstrcat(pool, all, ",+1", NULL));
    for (i = 0; i < 99; i++)
        (void)submitted(NULL, r, APR_SUCCESS);
    assert_string_equal(note(r), apr_pstrcat(pool, all, ",+100", NULL));
}

static bool refuses(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    fake_refuse(sock, m, SPAWN_E_QUEUE_FULL, "the queue is full");
    return true;
}

static void one_that_is_refused_is_not(void **state)
{
    request_rec *r = a_request();
    spawn_job *job = spawn_job_make(NULL, r, NULL);

    (void)state;
    assert_int_not_equal(
        spawn_job_submit(job, SPAWN_UNTIL_ACCEPTED, 0, &info, &why),
        APR_SUCCESS);
    assert_string_equal(note(r), "(none)");
    atomic_store(&broker.serve, refuses);
    job = spawn_job_make(NULL, r, NULL);
    assert_int_equal(spawn_job_function(job, "My::f", NULL), APR_SUCCESS);
    assert_int_not_equal(
        spawn_job_submit(job, SPAWN_UNTIL_ACCEPTED, 0, &info, &why),
        APR_SUCCESS);
    assert_int_equal(why.code, SPAWN_FAIL_QUEUE_FULL);
    assert_string_equal(note(r), "(none)");
}

static bool start_fails(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    fake_job(sock, m, &m->attr[SPAWN_A_ID], SPAWN_STATE_DONE,
             SPAWN_OUTCOME_START_FAILED);
    return true;
}

static void one_that_cannot_start_is(void **state)
{
    request_rec *r = a_request();
    spawn_job *job = spawn_job_make(NULL, r, NULL);

    (void)state;
    atomic_store(&broker.serve, start_fails);
    assert_int_equal(spawn_job_function(job, "My::f", NULL), APR_SUCCESS);
    assert_int_equal(
        spawn_job_submit(job, SPAWN_UNTIL_STARTED, -1, &info, &why), ENOENT);
    assert_string_equal(note(r), spawn_job_id(job));
}

static void all_requests_of_a_client_have_it(void **state)
{
    request_rec *first = a_request(), *sub = a_request(), *next;
    const char *one, *two;

    (void)state;
    sub->main = first;
    one = submitted(NULL, sub, APR_SUCCESS);
    assert_string_equal(note(first), one);
    next = a_request();
    first->next = next; /* redirected */
    next->prev = first;
    two = apr_pstrcat(pool, one, ",", submitted(NULL, next, APR_SUCCESS), NULL);
    assert_string_equal(note(first), two);
    assert_string_equal(note(next), two);

    first = a_request();
    one = submitted(NULL, first, APR_SUCCESS);
    next = a_request();
    first->next = next;
    next->prev = first;
    assert_string_equal(note(next), "(none)"); /* it submits none itself */
    assert_int_equal(spawn_request_jobs_log(next), DECLINED);
    assert_string_equal(note(next), one);
    first = a_request();
    assert_int_equal(spawn_request_jobs_log(first), DECLINED);
    assert_string_equal(note(first), "(none)");
}

/* The job's pool may be the older one, or the younger. */
static void a_job_outlives_its_request(void **state)
{
    request_rec *r = a_request();
    spawn_job *job = spawn_job_make(pool, r, NULL);
    apr_pool_t *young, *next;
    int i;

    (void)state;
    assert_int_equal(spawn_job_function(job, "My::f", NULL), APR_SUCCESS);
    apr_pool_destroy(r->pool);
    assert_int_equal(apr_pool_create(&next, pool), APR_SUCCESS);
    for (i = 0; i < 20; i++)
        memset(apr_palloc(next, 8000), 0x55, 8000);
    assert_int_equal(
        spawn_job_submit(job, SPAWN_UNTIL_ACCEPTED, 0, &info, &why),
        APR_SUCCESS);

    r = a_request();
    assert_int_equal(apr_pool_create(&young, r->pool), APR_SUCCESS);
    (void)submitted(young, r, APR_SUCCESS);
    apr_pool_destroy(young);
    assert_int_not_equal(strcmp(note(r), "(none)"), 0);
    apr_pool_destroy(r->pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(they_are_noted),
        WORLD_TEST(of_many_the_first_ten_and_a_number),
        WORLD_TEST(one_that_is_refused_is_not),
        WORLD_TEST(one_that_cannot_start_is),
        WORLD_TEST(all_requests_of_a_client_have_it),
        WORLD_TEST(a_job_outlives_its_request)};

    return world_main(tests, sizeof(tests) / sizeof(tests[0]));
}
