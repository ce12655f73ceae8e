/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of the C API: the part of httpd and of the module that it
 * needs, a broker that keeps what it was sent, and a pool for each test.
 */
#ifndef API_WORLD_H
#define API_WORLD_H

#include "t/unit/fake_broker.h"

#include "apr_general.h"
#include "apr_strings.h"
#include "httpd.h"
#include "http_main.h"

#include "module/api.h"
#include "module/cleanup.h"
#include "module/endpoint.h"
#include "module/queue_access.h"

static fake_broker broker;
static apr_pool_t *pool;
static spawn_job_failure why;
static spawn_job_info info;

/* ---- the module ---- */

static server_rec world_server;
server_rec *ap_server_conf = &world_server;
static spawn_child_endpoint world_endpoint;
static bool world_in_child = true;
static uint32_t world_timeout_ms, world_tests;

const spawn_child_endpoint *spawn_child_endpoint_get(void)
{
    return world_in_child ? &world_endpoint : NULL;
}

/* A virtual host has one of its own. */
uint32_t spawn_submit_timeout_ms(server_rec *s)
{
    return s == ap_server_conf ? world_timeout_ms : world_timeout_ms + 1000;
}

/* SpawnDefaultQueue and SpawnQueueAccess of all requests; a server has none. */
static spawn_dir_queues world_queues;

const spawn_dir_queues *spawn_queues_of(const request_rec *r,
                                        const server_rec *s)
{
    static const spawn_dir_queues none;

    (void)s;
    return r ? &world_queues : &none;
}

static spawn_writer world_cleanup; /* the message that was registered last */
static int world_cleanups;
static spawn_cleanup_when world_when;

apr_status_t spawn_cleanup_register(request_rec *r, const void *message,
                                    apr_size_t length, spawn_cleanup_when when)
{
    assert_non_null(r);
    spawn_writer_free(&world_cleanup);
    spawn_writer_init(&world_cleanup, length);
    world_cleanup.data = malloc(length);
    assert_non_null(world_cleanup.data);
    memcpy(world_cleanup.data, message, length);
    world_cleanup.length = length;
    world_when = when;
    world_cleanups++;
    return APR_SUCCESS;
}

/* As the core does: NULL for a request that has no connection. */
int ap_run_generate_log_id(const conn_rec *c, const request_rec *r,
                           const char **id)
{
    if (!c)
        return DECLINED;
    *id = apr_pstrdup(r->pool, "made");
    return OK;
}

/* ---- the broker ---- */

static spawn_writer world_got; /* the last SUBMIT */
static spawn_message world_submit;
static unsigned world_fds;

static void world_keep(const spawn_message *m)
{
    unsigned id;

    spawn_writer_free(&world_got);
    spawn_writer_init(&world_got, SPAWN_WIRE_HEADER + SPAWN_SUBMIT_MAX);
    spawn_writer_begin(&world_got, SPAWN_M_SUBMIT, 0);
    for (id = 1; id < SPAWN_A_COUNT; id++) {
        if (spawn_has(m, id))
            spawn_put_attr(&world_got, (uint16_t)id, &m->attr[id]);
    }
    (void)spawn_writer_finish(&world_got, m->header.fds);
    world_fds = m->header.fds;
    (void)spawn_message_parse(world_got.data, world_got.length,
                              SPAWN_FROM_CALLER, world_fds, &world_submit,
                              NULL);
}

/* Keeps the job, and accepts it. */
static bool accepts(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    world_keep(m);
    fake_accept(sock, m, m->header.seq);
    return true;
}

/* The texts of an attribute with a space after each. */
static inline const char *texts(const spawn_message *m, unsigned attr)
{
    const char *ret = "", *text = NULL;
    uint32_t i;

    if (!spawn_has(m, attr))
        return "(none)";
    for (i = 0; i < spawn_strv_count(&m->attr[attr]); i++) {
        text = spawn_strv_next(&m->attr[attr], text);
        ret = apr_pstrcat(pool, ret, text, " ", NULL);
    }
    return ret;
}

/* ---- a test ---- */

static int world_set_up(void **state)
{
    (void)state;
    assert_int_equal(apr_pool_create(&pool, NULL), APR_SUCCESS);
    fake_start(&broker, accepts);
    world_endpoint.socket_path = broker.path;
    world_endpoint.secret = NULL;
    world_endpoint.post_fd = -1;
    world_endpoint.spool = NULL;
    world_in_child = true;
    /* each test has clients of its own: its broker is another one */
    world_timeout_ms = 5000 + ++world_tests;
    world_cleanups = 0;
    memset(&world_queues, 0, sizeof(world_queues));
    memset(&why, 0, sizeof(why));
    memset(&info, 0, sizeof(info));
    why.size = sizeof(why);
    info.size = sizeof(info);
    return 0;
}

static int world_tear_down(void **state)
{
    (void)state;
    spawn_writer_free(&world_cleanup);
    spawn_writer_free(&world_got);
    fake_stop(&broker);
    apr_pool_destroy(pool);
    return 0;
}

#define WORLD_TEST(f)                                                          \
    cmocka_unit_test_setup_teardown(f, world_set_up, world_tear_down)

/* A job that runs /bin/true. */
static inline spawn_job *a_job(void)
{
    static const char *const argv[] = {"/bin/true", NULL};
    spawn_job *job = spawn_job_make(pool, NULL, NULL);

    assert_int_equal(spawn_job_program(job, argv), APR_SUCCESS);
    return job;
}

/* Submit it, and have it accepted. */
static inline void is_accepted(spawn_job *job)
{
    apr_status_t rv =
        spawn_job_submit(job, SPAWN_UNTIL_ACCEPTED, 0, &info, &why);

    if (rv)
        print_message("%s\n", why.message);
    assert_int_equal(rv, APR_SUCCESS);
    assert_int_equal(why.code, SPAWN_FAIL_OK);
    assert_int_equal(info.state, SPAWN_JOB_QUEUED);
    assert_string_equal(info.id, spawn_job_id(job));
}

/* Submit it, and have it refused with this code before anything is sent. */
static inline void is_refused(spawn_job *job, spawn_fail code, const char *said)
{
    unsigned before = atomic_load(&broker.requests);

    assert_int_not_equal(
        spawn_job_submit(job, SPAWN_UNTIL_ACCEPTED, 0, &info, &why),
        APR_SUCCESS);
    if (!strstr(why.message, said))
        print_message("%s\n", why.message);
    assert_non_null(strstr(why.message, said));
    assert_int_equal(why.code, code);
    assert_int_equal(atomic_load(&broker.requests), before);
}

static inline int world_main(const struct CMUnitTest *tests, size_t count)
{
    int rv;

    (void)apr_initialize();
    rv = _cmocka_run_group_tests("api", tests, count, NULL, NULL);
    apr_terminate();
    return rv;
}

#endif
