/* SPDX-License-Identifier: Apache-2.0 */
/* Values that a submit of another module returns, and things that it leaves
 * behind. */
#include <fcntl.h>
#include <sys/wait.h>

#include "t/unit/api_world.h"

#define THREADS 6
#define TURNS   40

static void every_mode_returns_what_is_known(void **state)
{
    spawn_job *job = a_job();
    int post[2];
    uint8_t room[4096];
    spawn_packet packet;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX,
                                SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
                                0, post),
                     0);
    world_endpoint.post_fd = post[0];
    assert_int_equal(spawn_job_submit(job, SPAWN_UNTIL_POSTED, 0, &info, &why),
                     APR_SUCCESS);
    assert_int_equal(spawn_packet_receive(post[1], room, sizeof(room), &packet),
                     1);
    assert_int_equal(packet.data[4], SPAWN_M_POST);
    assert_string_equal(info.id, spawn_job_id(job));
    assert_int_equal(info.state, SPAWN_JOB_UNKNOWN);
    assert_int_equal(info.exit_code, -1);
    assert_int_equal(atomic_load(&broker.hellos), 0);
    (void)close(post[0]);
    (void)close(post[1]);
    world_endpoint.post_fd = -1;

    /* nowhere to post to: as accepted */
    assert_int_equal(
        spawn_job_submit(a_job(), SPAWN_UNTIL_POSTED, 0, &info, &why),
        APR_SUCCESS);
    assert_int_equal(info.state, SPAWN_JOB_QUEUED);
    is_accepted(a_job());
}

static bool ends(fake_broker *f, int sock, const spawn_message *m)
{
    unsigned reply = (unsigned)spawn_u64_or(m, SPAWN_A_REPLY, 0);

    (void)f;
    fake_job(sock, m, &m->attr[SPAWN_A_ID],
             reply == SPAWN_REPLY_STARTED ? SPAWN_STATE_RUNNING
                                          : SPAWN_STATE_DONE,
             reply == SPAWN_REPLY_STARTED ? SPAWN_OUTCOME_NONE
                                          : SPAWN_OUTCOME_EXITED);
    return true;
}

static void an_end_is_told(void **state)
{
    (void)state;
    atomic_store(&broker.serve, ends);
    assert_int_equal(
        spawn_job_submit(a_job(), SPAWN_UNTIL_STARTED, -1, &info, &why),
        APR_SUCCESS);
    assert_int_equal(info.state, SPAWN_JOB_RUNNING);
    assert_int_equal(info.end, SPAWN_END_NOT);
    assert_int_equal(info.exit_code, -1);
    assert_int_equal(
        spawn_job_submit(a_job(), SPAWN_UNTIL_FINISHED, -1, &info, &why),
        APR_SUCCESS);
    assert_int_equal(info.state, SPAWN_JOB_DONE);
    assert_int_equal(info.end, SPAWN_END_EXITED);
    assert_int_equal(info.exit_code, 3);
    assert_string_equal(info.queue, "default");
    assert_null(info.out.data);
    /* nobody has to want it */
    assert_int_equal(
        spawn_job_submit(a_job(), SPAWN_UNTIL_FINISHED, -1, NULL, NULL),
        APR_SUCCESS);
}

static bool start_fails(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    fake_job(sock, m, &m->attr[SPAWN_A_ID], SPAWN_STATE_DONE,
             SPAWN_OUTCOME_START_FAILED);
    return true;
}

static void a_start_that_failed_is_a_failure(void **state)
{
    static const spawn_until modes[] = {SPAWN_UNTIL_STARTED,
                                        SPAWN_UNTIL_FINISHED};
    unsigned i;

    (void)state;
    atomic_store(&broker.serve, start_fails);
    for (i = 0; i < 2; i++) {
        assert_int_equal(spawn_job_submit(a_job(), modes[i], -1, &info, &why),
                         ENOENT);
        assert_int_equal(why.code, SPAWN_FAIL_START_FAILED);
        assert_int_equal(why.error, ENOENT);
        assert_string_equal(why.step, "exec");
        assert_int_equal(info.end, SPAWN_END_START_FAILED);
        assert_int_equal(info.error, ENOENT);
        assert_string_equal(info.step, "exec");
        assert_int_equal(spawn_job_submit(a_job(), modes[i], -1, NULL, NULL),
                         ENOENT);
    }
}

static spawn_id kept;

/* Another job has its key. */
static bool keeps(fake_broker *f, int sock, const spawn_message *m)
{
    uint8_t room[256];
    spawn_writer w;

    (void)f;
    if (m->header.type != SPAWN_M_SUBMIT) {
        assert_memory_equal(m->attr[SPAWN_A_ID].data, kept.bytes,
                            SPAWN_ID_SIZE);
        fake_job(sock, m, &m->attr[SPAWN_A_ID], SPAWN_STATE_DONE,
                 SPAWN_OUTCOME_EXITED);
        return true;
    }
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_ACCEPTED, m->header.seq);
    spawn_put_attr(&w, SPAWN_A_ID, &m->attr[SPAWN_A_ID]);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_id(&w, SPAWN_A_OTHER, &kept);
    fake_send(sock, &w);
    return true;
}

static void the_one_that_is_kept_takes_its_place(void **state)
{
    char text[SPAWN_ID_TEXT];
    spawn_job *job = a_job();

    (void)state;
    (void)spawn_id_make(&kept);
    (void)spawn_id_format(&kept, text);
    atomic_store(&broker.serve, keeps);
    assert_int_equal(
        spawn_job_submit(job, SPAWN_UNTIL_ACCEPTED, 0, &info, &why),
        APR_SUCCESS);
    assert_string_equal(info.id, text);
    assert_string_equal(spawn_job_id(job), text);
    job = a_job();
    assert_int_equal(
        spawn_job_submit(job, SPAWN_UNTIL_FINISHED, -1, &info, &why),
        APR_SUCCESS);
    assert_string_equal(info.id, text);
    assert_int_equal(info.exit_code, 3);
}

/* ... and goes on for longer than anybody waits. */
static bool keeps_for_long(fake_broker *f, int sock, const spawn_message *m)
{
    if (m->header.type == SPAWN_M_SUBMIT)
        return keeps(f, sock, m);
    fake_refuse(sock, m, SPAWN_E_TIMED_OUT, "the job is running");
    return true;
}

/* The answer about the other job has been freed then. */
static void nothing_is_known_of_one_that_does_not_end(void **state)
{
    static const spawn_until modes[] = {SPAWN_UNTIL_STARTED,
                                        SPAWN_UNTIL_FINISHED};
    unsigned i;

    (void)state;
    (void)spawn_id_make(&kept);
    atomic_store(&broker.serve, keeps_for_long);
    for (i = 0; i < 2; i++) {
        assert_int_equal(spawn_job_submit(a_job(), modes[i], 1000, &info, &why),
                         APR_TIMEUP);
        assert_int_equal(why.code, SPAWN_FAIL_TIMED_OUT);
        assert_int_equal(info.state, SPAWN_JOB_UNKNOWN);
    }
}

static bool keeps_and_goes(fake_broker *f, int sock, const spawn_message *m)
{
    return m->header.type == SPAWN_M_SUBMIT && keeps(f, sock, m);
}

/* It shows the id of the one that is kept, and stays itself. */
static void one_whose_place_is_taken_is_sent_again_as_itself(void **state)
{
    char text[SPAWN_ID_TEXT];
    spawn_job *job = a_job();
    spawn_id own;

    (void)state;
    (void)spawn_id_make(&kept);
    (void)spawn_id_format(&kept, text);
    assert_int_equal(spawn_id_parse(spawn_job_id(job), &own), 0);
    world_timeout_ms = 400;
    atomic_store(&broker.serve, keeps_and_goes);
    assert_int_equal(
        spawn_job_submit(job, SPAWN_UNTIL_FINISHED, 100, &info, &why),
        APR_INCOMPLETE);
    assert_int_equal(why.code, SPAWN_FAIL_UNCONFIRMED);
    assert_string_equal(info.id, text);
    assert_string_equal(spawn_job_id(job), text);
    atomic_store(&broker.serve, accepts);
    is_accepted(job);
    assert_memory_equal(world_submit.attr[SPAWN_A_ID].data, own.bytes,
                        SPAWN_ID_SIZE);
}

static bool refuses(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    fake_refuse(sock, m, SPAWN_E_QUEUE_FULL, "queue 'default' is full");
    return true;
}

static void a_refusal_is_told(void **state)
{
    (void)state;
    atomic_store(&broker.serve, refuses);
    memset(&info, 0x55, sizeof(info));
    info.size = sizeof(info);
    assert_int_equal(
        spawn_job_submit(a_job(), SPAWN_UNTIL_FINISHED, 0, &info, &why),
        APR_EAGAIN);
    assert_int_equal(why.code, SPAWN_FAIL_QUEUE_FULL);
    assert_string_equal(why.code_name, "queue_full");
    assert_string_equal(why.step, "queue");
    assert_string_equal(why.message, "queue 'default' is full");
    assert_int_equal(info.end, SPAWN_END_NOT);
    assert_null(info.out.data);
    /* nothing of it is left after a success */
    atomic_store(&broker.serve, accepts);
    is_accepted(a_job());
    assert_string_equal(why.message, "");
    assert_string_equal(why.code_name, "ok");
}

static bool knows(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    if (m->header.type == SPAWN_M_GET)
        fake_job(sock, m, &m->attr[SPAWN_A_ID], SPAWN_STATE_RUNNING,
                 SPAWN_OUTCOME_NONE);
    return true;
}

static void a_wait_that_is_over_is_no_end(void **state)
{
    spawn_job *job = a_job();

    (void)state;
    world_timeout_ms = 2500; /* all of it passes, twice */
    atomic_store(&broker.serve, knows);
    assert_int_equal(
        spawn_job_submit(job, SPAWN_UNTIL_FINISHED, 1000, &info, &why),
        APR_TIMEUP);
    assert_int_equal(why.code, SPAWN_FAIL_TIMED_OUT);
    assert_string_equal(info.id, spawn_job_id(job));
    assert_int_equal(why.error, 0);
    /* it has come this far in the last moment */
    assert_int_equal(
        spawn_job_submit(a_job(), SPAWN_UNTIL_STARTED, 0, &info, &why),
        APR_SUCCESS);
    assert_int_equal(info.state, SPAWN_JOB_RUNNING);
}

/* Answers with bytes that nobody can read. */
static bool babbles(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    world_keep(m);
    (void)send(sock, "?", 1, MSG_NOSIGNAL);
    return true;
}

static void an_unconfirmed_job_can_be_submitted_again(void **state)
{
    spawn_job *job = a_job();
    spawn_id first, second;

    (void)state;
    atomic_store(&broker.serve, babbles);
    assert_int_equal(
        spawn_job_submit(job, SPAWN_UNTIL_ACCEPTED, 0, &info, &why),
        APR_INCOMPLETE);
    assert_int_equal(why.code, SPAWN_FAIL_UNCONFIRMED);
    atomic_store(&broker.serve, accepts);
    is_accepted(job);
    first = broker.ids[0];
    second = broker.ids[1];
    assert_true(spawn_id_equal(&first, &second));
}

static void descriptors_stay_the_callers(void **state)
{
    int pipes[2], i;
    char byte;

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    for (i = 0; i < 2; i++) {
        spawn_job *job = a_job();

        (void)spawn_job_fd(job, 1, pipes[1]);
        if (i == 0) {
            is_accepted(job);
            assert_int_equal(world_fds, 1);
            /* a posted job's go with it, too */
            assert_int_equal(
                spawn_job_submit(job, SPAWN_UNTIL_POSTED, 0, NULL, &why),
                APR_SUCCESS);
            assert_int_equal(fcntl(pipes[1], F_GETFD), 0);
            continue;
        }
        /* closed too early: nothing is sent */
        (void)close(pipes[1]);
        assert_int_equal(
            spawn_job_submit(job, SPAWN_UNTIL_ACCEPTED, 0, NULL, &why), EBADF);
        assert_int_equal(why.code, SPAWN_FAIL_SYSTEM);
        assert_string_equal(why.step, "send");
    }
    /* nobody of this process has the other end any more */
    assert_int_equal(read(pipes[0], &byte, 1), 0);
    (void)close(pipes[0]);
    is_accepted(a_job());
}

static void a_job_outlives_its_pool(void **state)
{
    apr_pool_t *short_lived;
    spawn_job *job;
    char *id;

    (void)state;
    assert_int_equal(apr_pool_create(&short_lived, NULL), APR_SUCCESS);
    job = spawn_job_make(short_lived, NULL, NULL);
    (void)spawn_job_function(job, "My::f", NULL);
    assert_int_equal(spawn_job_submit(job, SPAWN_UNTIL_ACCEPTED, 0, NULL, &why),
                     APR_SUCCESS);
    id = strdup(spawn_job_id(job));
    apr_pool_destroy(short_lived);
    /* why has no texts of that pool */
    assert_string_equal(why.code_name, "ok");
    atomic_store(&broker.serve, knows);
    assert_int_equal(spawn_job_status(NULL, pool, id, 0, &info, &why),
                     APR_SUCCESS);
    assert_int_equal(info.state, SPAWN_JOB_RUNNING);
    free(id);
}

static void only_children_have_a_broker(void **state)
{
    (void)state;
    world_in_child = false;
    assert_int_equal(
        spawn_job_submit(a_job(), SPAWN_UNTIL_ACCEPTED, 0, &info, &why),
        APR_ECONNREFUSED);
    assert_int_equal(why.code, SPAWN_FAIL_UNREACHABLE);
    assert_non_null(strstr(why.message, "httpd's children"));
    assert_int_equal(spawn_job_kill(NULL, spawn_job_id(a_job()), 15, NULL),
                     APR_ECONNREFUSED);
}

static void nobody_there_is_told(void **state)
{
    (void)state;
    world_endpoint.socket_path = "/nonexistent/socket";
    world_timeout_ms = 250;
    assert_int_equal(
        spawn_job_submit(a_job(), SPAWN_UNTIL_ACCEPTED, 0, &info, &why),
        APR_ECONNREFUSED);
    assert_int_equal(why.error, ENOENT);
    assert_non_null(strstr(why.message, "/nonexistent/socket"));
}

/* Each has connections of its own, which are used again. */
static void a_virtual_host_has_its_own_time(void **state)
{
    server_rec *host = apr_pcalloc(pool, sizeof(*host));
    static const char *const argv[] = {"/bin/true", NULL};
    int i;

    (void)state;
    for (i = 0; i < 6; i++) {
        spawn_job *job =
            spawn_job_make(pool, NULL, i % 2 ? host : ap_server_conf);

        (void)spawn_job_program(job, argv);
        is_accepted(job);
    }
    assert_int_equal(atomic_load(&broker.hellos), 2);
}

/* ---- threads and processes ---- */

/* How many submits came back wrong. */
static void *submit_in_thread(void *arg)
{
    static const char *const argv[] = {"/bin/true", NULL};
    int *bad = arg, i;

    *bad = 0;
    for (i = 0; i < TURNS; i++) {
        spawn_job_failure f = {.size = sizeof(f)};
        spawn_job_info got = {.size = sizeof(got)};
        apr_pool_t *p;
        spawn_job *job;

        (void)apr_pool_create(&p, NULL);
        job = spawn_job_make(p, NULL, NULL);
        (void)spawn_job_program(job, argv);
        *bad += spawn_job_submit(job, SPAWN_UNTIL_FINISHED, -1, &got, &f)
                || strcmp(got.id, spawn_job_id(job)) != 0;
        *bad += spawn_job_status(NULL, p, got.id, 1, &got, &f) != APR_SUCCESS;
        apr_pool_destroy(p);
    }
    return NULL;
}

static void threads_share_the_way(void **state)
{
    pthread_t threads[THREADS];
    int bad[THREADS], i;

    (void)state;
    atomic_store(&broker.serve, ends);
    for (i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, submit_in_thread, &bad[i]), 0);
    for (i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(bad[i], 0);
    }
    assert_in_range(atomic_load(&broker.hellos), 1, 2 * THREADS);
}

static void a_forked_process_has_connections_of_its_own(void **state)
{
    spawn_job *job = a_job();
    int status;
    pid_t pid;

    (void)state;
    is_accepted(a_job());
    assert_int_equal(atomic_load(&broker.hellos), 1);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(spawn_job_submit(job, SPAWN_UNTIL_ACCEPTED, 0, &info, &why) != 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(atomic_load(&broker.hellos), 2);
    is_accepted(a_job());
    assert_int_equal(atomic_load(&broker.hellos), 2);
}

/* ---- a worker that is lent ---- */

static int lent, worker; /* the caller's end, and the worker's */

/* Lends the worker, and runs the call itself. */
static bool lends(fake_broker *f, int sock, const spawn_message *m)
{
    uint8_t room[128];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_LEASE, 0);
    spawn_put_attr(&w, SPAWN_A_ID, &m->attr[SPAWN_A_ID]);
    spawn_put_str(&w, SPAWN_A_QUEUE, "default");
    (void)spawn_writer_finish(&w, 1);
    (void)spawn_packet_send(sock, w.data, w.length, &lent, 1);
    return ends(f, sock, m);
}

/* Takes no call: the broker is asked then. Returns how many came. */
static void *takes_none(void *arg)
{
    uint8_t room[4096], answer[64];
    struct pollfd p = {worker, POLLIN, 0};
    int *came = arg;
    spawn_packet packet;
    spawn_message m;
    spawn_writer w;

    while (poll(&p, 1, -1) > 0
           && spawn_packet_receive(worker, room, sizeof(room), &packet) == 1) {
        ++*came;
        if (spawn_message_parse(packet.data, packet.length, SPAWN_FROM_CALLER,
                                0, &m, NULL))
            break;
        spawn_writer_init_fixed(&w, answer, sizeof(answer));
        spawn_writer_begin(&w, SPAWN_M_NOT_TAKEN, m.header.seq);
        fake_send(worker, &w);
    }
    return NULL;
}

static spawn_job *a_call(void)
{
    spawn_job *job = spawn_job_make(pool, NULL, NULL);

    assert_int_equal(spawn_job_function(job, "My::f", NULL), APR_SUCCESS);
    return job;
}

static apr_status_t finish(spawn_job *job)
{
    return spawn_job_submit(job, SPAWN_UNTIL_FINISHED, -1, &info, &why);
}

/* Only the broker knows which ids have run. */
static void a_lent_worker_gets_new_jobs_only(void **state)
{
    static const char id[] = "0190a5b4-4c6e-7cde-8f01-23456789abcd";
    spawn_job *job = a_call(), *given = a_call();
    pthread_t thread;
    int ends_of[2], came = 0;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX,
                                SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
                                0, ends_of),
                     0);
    lent = ends_of[0];
    worker = ends_of[1];
    assert_int_equal(pthread_create(&thread, NULL, takes_none, &came), 0);
    atomic_store(&broker.serve, lends);
    assert_int_equal(finish(job), APR_SUCCESS);
    atomic_store(&broker.serve, ends);
    assert_int_equal(finish(job), APR_SUCCESS); /* again */
    assert_int_equal(spawn_job_option(given, "id", id), APR_SUCCESS);
    assert_int_equal(finish(given), APR_SUCCESS);
    assert_int_equal(atomic_load(&broker.requests), 3);
    assert_int_equal(finish(a_call()), APR_SUCCESS);
    assert_int_equal(shutdown(lent, SHUT_RDWR), 0);
    (void)pthread_join(thread, NULL);
    assert_int_equal(came, 1);
    (void)close(lent);
    (void)close(worker);
}

/* ---- after the answer ---- */

static request_rec *a_request(void)
{
    request_rec *r = apr_pcalloc(pool, sizeof(*r));

    r->pool = pool;
    r->server = ap_server_conf;
    r->subprocess_env = apr_table_make(pool, 1);
    r->method = "GET";
    return r;
}

static void a_cleanup_is_registered(void **state)
{
    request_rec *r = a_request();
    spawn_job *job = spawn_job_make(NULL, r, NULL);
    static const char *const argv[] = {"/bin/true", NULL};
    spawn_message m;

    (void)state;
    (void)spawn_job_program(job, argv);
    (void)spawn_job_pair(job, "context", "for", "me");
    assert_int_equal(spawn_job_cleanup(job, r, SPAWN_CLEANUP_ERROR, &why),
                     APR_SUCCESS);
    assert_int_equal(why.code, SPAWN_FAIL_OK);
    assert_int_equal(world_cleanups, 1);
    assert_int_equal(world_when, SPAWN_CLEANUP_ERROR);
    assert_int_equal(spawn_message_parse(world_cleanup.data,
                                         world_cleanup.length,
                                         SPAWN_FROM_CALLER, 0, &m, NULL),
                     0);
    /* the request's own is added when it ends */
    assert_string_equal(texts(&m, SPAWN_A_CONTEXT), "for=me ");
    assert_int_equal(spawn_u64_or(&m, SPAWN_A_REPLY, 9), SPAWN_REPLY_POSTED);
    assert_int_equal(atomic_load(&broker.hellos), 0);
}

static void a_cleanup_that_cannot_be_is_refused(void **state)
{
    request_rec *r = a_request();
    char *big = apr_pcalloc(pool, 9001);
    spawn_job *job;

    (void)state;
    memset(big, 'x', 9000);
    job = a_job();
    (void)spawn_job_fd(job, 1, 2);
    assert_int_equal(spawn_job_cleanup(job, r, SPAWN_CLEANUP_ALWAYS, &why),
                     APR_EINVAL);
    assert_non_null(strstr(why.message, "descriptor"));
    job = a_job();
    (void)spawn_job_pair(job, "context", "big", big);
    assert_int_equal(spawn_job_cleanup(job, r, SPAWN_CLEANUP_ALWAYS, &why),
                     APR_ENOSPC);
    assert_non_null(strstr(why.message, "context"));
    job = a_job();
    (void)spawn_job_option(job, "cwd", "relative");
    assert_int_equal(spawn_job_cleanup(job, r, SPAWN_CLEANUP_ALWAYS, &why),
                     APR_EINVAL);
    assert_non_null(strstr(why.message, "cwd"));
    /* a little less than a job may have, which is for the request's end */
    job = a_job();
    (void)spawn_job_data(job, apr_pcalloc(pool, SPAWN_STDIN_MAX),
                         SPAWN_STDIN_MAX);
    (void)spawn_job_pair(
        job, "env", "A",
        memset(apr_pcalloc(pool, 4 << 20), 'x', (4 << 20) - 20000));
    assert_int_equal(spawn_job_cleanup(job, r, SPAWN_CLEANUP_ALWAYS, &why),
                     APR_ENOSPC);
    assert_non_null(strstr(why.message, "as a file"));
    job = a_job();
    (void)spawn_job_data(job, apr_pcalloc(pool, SPAWN_STDIN_MAX),
                         SPAWN_STDIN_MAX);
    (void)spawn_job_pair(
        job, "env", "A",
        memset(apr_pcalloc(pool, 4 << 20), 'x', (4 << 20) - 100));
    assert_int_equal(spawn_job_cleanup(job, r, SPAWN_CLEANUP_ALWAYS, &why),
                     APR_ENOSPC);
    assert_int_equal(world_cleanups, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(every_mode_returns_what_is_known),
        WORLD_TEST(an_end_is_told),
        WORLD_TEST(a_start_that_failed_is_a_failure),
        WORLD_TEST(the_one_that_is_kept_takes_its_place),
        WORLD_TEST(nothing_is_known_of_one_that_does_not_end),
        WORLD_TEST(one_whose_place_is_taken_is_sent_again_as_itself),
        WORLD_TEST(a_refusal_is_told),
        WORLD_TEST(a_wait_that_is_over_is_no_end),
        WORLD_TEST(an_unconfirmed_job_can_be_submitted_again),
        WORLD_TEST(descriptors_stay_the_callers),
        WORLD_TEST(a_job_outlives_its_pool),
        WORLD_TEST(only_children_have_a_broker),
        WORLD_TEST(nobody_there_is_told),
        WORLD_TEST(a_virtual_host_has_its_own_time),
        WORLD_TEST(threads_share_the_way),
        WORLD_TEST(a_forked_process_has_connections_of_its_own),
        WORLD_TEST(a_lent_worker_gets_new_jobs_only),
        WORLD_TEST(a_cleanup_is_registered),
        WORLD_TEST(a_cleanup_that_cannot_be_is_refused),
    };

    return world_main(tests, sizeof(tests) / sizeof(tests[0]));
}
