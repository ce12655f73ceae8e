/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of another module about a job: wait, status, kill, revive,
 * start_now. */
#include <signal.h>

#include "t/unit/api_world.h"

static const char id[] = "0190a5b4-4c6e-7cde-8f01-23456789abcd";

static spawn_message asked; /* the last question; its payloads are gone */
static uint64_t asked_wait_ms, asked_for, asked_output, asked_signal;
static _Atomic(spawn_state) known;
static atomic_int code; /* the code that refuses a question */

static bool answers(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    asked = *m;
    asked_wait_ms = spawn_u64_or(m, SPAWN_A_WAIT_MS, 0);
    asked_for = spawn_u64_or(m, SPAWN_A_WAIT_FOR, 9);
    asked_output = spawn_u64_or(m, SPAWN_A_WITH_OUTPUT, 9);
    asked_signal = spawn_u64_or(m, SPAWN_A_SIGNO, 0);
    if (atomic_load(&code) && m->header.type != SPAWN_M_GET)
        fake_refuse(sock, m, (spawn_error)atomic_load(&code), "refused");
    else
        fake_job(sock, m, &m->attr[SPAWN_A_ID], atomic_load(&known),
                 atomic_load(&known) == SPAWN_STATE_DONE ? SPAWN_OUTCOME_EXITED
                                                         : SPAWN_OUTCOME_NONE);
    return true;
}

static void begin(spawn_state state)
{
    atomic_store(&broker.serve, answers);
    atomic_store(&known, state);
    atomic_store(&code, 0);
}

static void a_wait_ends_with_the_job(void **state)
{
    (void)state;
    begin(SPAWN_STATE_DONE);
    assert_int_equal(spawn_job_wait(NULL, pool, id, SPAWN_UNTIL_FINISHED,
                                    1500001, &info, &why),
                     APR_SUCCESS);
    assert_int_equal(asked.header.type, SPAWN_M_WAIT);
    assert_int_equal(asked_wait_ms, 1501);
    assert_int_equal(asked_for, SPAWN_REPLY_FINISHED);
    assert_int_equal(asked_output, 1);
    assert_int_equal(info.exit_code, 3);
    assert_string_equal(info.id, id);
    assert_int_equal(
        spawn_job_wait(NULL, NULL, id, SPAWN_UNTIL_STARTED, -1, NULL, NULL),
        APR_SUCCESS);
    assert_int_equal(asked_wait_ms, 0); /* no end */
    assert_int_equal(asked_for, SPAWN_REPLY_STARTED);
    assert_int_equal(asked_output, 0);
    assert_int_equal(spawn_job_wait(NULL, NULL, id, SPAWN_UNTIL_STARTED,
                                    INT64_MAX, NULL, NULL),
                     APR_SUCCESS);
    assert_int_equal(asked_wait_ms, UINT32_MAX);
    assert_int_equal(
        spawn_job_wait(NULL, NULL, id, SPAWN_UNTIL_STARTED, 1, NULL, NULL),
        APR_SUCCESS);
    assert_int_equal(asked_wait_ms, 1);
}

static void a_wait_that_is_over_says_how_it_is(void **state)
{
    (void)state;
    begin(SPAWN_STATE_RUNNING);
    atomic_store(&code, SPAWN_E_TIMED_OUT);
    assert_int_equal(
        spawn_job_wait(NULL, pool, id, SPAWN_UNTIL_FINISHED, 1, &info, &why),
        APR_TIMEUP);
    assert_int_equal(why.code, SPAWN_FAIL_TIMED_OUT);
    assert_non_null(strstr(why.message, "running"));
    assert_int_equal(info.state, SPAWN_JOB_RUNNING);
    /* a wait for its start is not over */
    assert_int_equal(
        spawn_job_wait(NULL, pool, id, SPAWN_UNTIL_STARTED, 1, &info, &why),
        APR_SUCCESS);
    /* it has ended between the two questions */
    atomic_store(&known, SPAWN_STATE_DONE);
    assert_int_equal(
        spawn_job_wait(NULL, pool, id, SPAWN_UNTIL_FINISHED, 1, &info, &why),
        APR_SUCCESS);
    assert_int_equal(why.code, SPAWN_FAIL_OK);
    assert_int_equal(info.end, SPAWN_END_EXITED);
}

static void no_wait_is_a_look(void **state)
{
    (void)state;
    begin(SPAWN_STATE_QUEUED);
    assert_int_equal(
        spawn_job_wait(NULL, pool, id, SPAWN_UNTIL_STARTED, 0, &info, &why),
        APR_TIMEUP);
    assert_int_equal(asked.header.type, SPAWN_M_GET);
    assert_int_equal(info.state, SPAWN_JOB_QUEUED);
    atomic_store(&known, SPAWN_STATE_DONE);
    assert_int_equal(
        spawn_job_wait(NULL, pool, id, SPAWN_UNTIL_FINISHED, 0, &info, &why),
        APR_SUCCESS);
}

static void a_status_has_output_when_it_is_wanted(void **state)
{
    (void)state;
    begin(SPAWN_STATE_RUNNING);
    assert_int_equal(spawn_job_status(NULL, pool, id, 0, &info, &why),
                     APR_SUCCESS);
    assert_int_equal(asked_output, 0);
    assert_int_equal(info.state, SPAWN_JOB_RUNNING);
    assert_int_equal(spawn_job_status(NULL, pool, id, 2, &info, &why),
                     APR_SUCCESS);
    assert_int_equal(asked_output, 1);
    assert_int_equal(spawn_job_status(NULL, NULL, id, 0, NULL, NULL),
                     APR_SUCCESS);
}

static bool done(fake_broker *f, int sock, const spawn_message *m)
{
    uint8_t room[64];
    spawn_writer w;

    (void)answers(f, -1, m);
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_DONE, m->header.seq);
    spawn_put_attr(&w, SPAWN_A_ID, &m->attr[SPAWN_A_ID]);
    fake_send(sock, &w);
    return true;
}

static void a_signal_is_sent(void **state)
{
    (void)state;
    begin(SPAWN_STATE_RUNNING);
    atomic_store(&broker.serve, done);
    assert_int_equal(spawn_job_kill(NULL, id, SIGUSR1, &why), APR_SUCCESS);
    assert_int_equal(asked.header.type, SPAWN_M_KILL);
    assert_int_equal(asked_signal, SIGUSR1);
    atomic_store(&broker.serve, answers);
    atomic_store(&code, SPAWN_E_NOT_RUNNING);
    assert_int_equal(spawn_job_kill(NULL, id, SIGTERM, &why),
                     APR_EPROC_UNKNOWN);
    assert_int_equal(why.code, SPAWN_FAIL_NOT_RUNNING);
    atomic_store(&code, SPAWN_E_NO_SUCH_JOB);
    assert_int_equal(spawn_job_kill(NULL, id, SIGTERM, NULL), APR_NOTFOUND);
}

static void a_dead_job_is_revived(void **state)
{
    (void)state;
    begin(SPAWN_STATE_DONE);
    atomic_store(&broker.serve, done);
    assert_int_equal(spawn_job_revive(NULL, id, &why), APR_SUCCESS);
    assert_int_equal(asked.header.type, SPAWN_M_REVIVE);
    assert_int_equal(why.code, SPAWN_FAIL_OK);
    atomic_store(&broker.serve, answers);
    atomic_store(&code, SPAWN_E_NOT_DEAD);
    assert_int_equal(spawn_job_revive(NULL, id, &why), APR_EPROC_UNKNOWN);
    assert_int_equal(why.code, SPAWN_FAIL_NOT_DEAD);
    atomic_store(&code, SPAWN_E_QUEUE_FULL);
    assert_int_equal(spawn_job_revive(NULL, id, NULL), APR_EAGAIN);
}

static void a_delayed_job_is_started(void **state)
{
    (void)state;
    begin(SPAWN_STATE_QUEUED);
    atomic_store(&broker.serve, done);
    assert_int_equal(spawn_job_start_now(NULL, id, &why), APR_SUCCESS);
    assert_int_equal(asked.header.type, SPAWN_M_START_NOW);
    assert_int_equal(why.code, SPAWN_FAIL_OK);
    atomic_store(&broker.serve, answers);
    atomic_store(&code, SPAWN_E_NOT_DELAYED);
    assert_int_equal(spawn_job_start_now(NULL, id, &why), APR_EPROC_UNKNOWN);
    assert_int_equal(why.code, SPAWN_FAIL_NOT_DELAYED);
}

static void wrong_questions_are_not_asked(void **state)
{
    static const char *const bad[] = {NULL, "", "x",
                                      "0190a5b4-4c6e-7cde-8f01-23456789abcd ",
                                      "0190a5b4-4c6e-4cde-8f01-23456789abcd"};
    static const int signals[] = {0, -1, 65, 1000000};
    size_t i;

    (void)state;
    begin(SPAWN_STATE_RUNNING);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(spawn_job_status(NULL, pool, bad[i], 0, &info, &why),
                         APR_EINVAL);
        assert_non_null(strstr(why.message, "is not the id of a job"));
        assert_int_equal(spawn_job_kill(NULL, bad[i], 15, NULL), APR_EINVAL);
        assert_int_equal(spawn_job_revive(NULL, bad[i], &why), APR_EINVAL);
        assert_int_equal(spawn_job_start_now(NULL, bad[i], NULL), APR_EINVAL);
        assert_non_null(strstr(why.message, "is not the id of a job"));
        assert_int_equal(spawn_job_wait(NULL, pool, bad[i],
                                        SPAWN_UNTIL_FINISHED, -1, NULL, NULL),
                         APR_EINVAL);
    }
    for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        assert_int_equal(spawn_job_kill(NULL, id, signals[i], &why),
                         APR_EINVAL);
    assert_int_equal(
        spawn_job_wait(NULL, pool, id, SPAWN_UNTIL_ACCEPTED, 0, NULL, &why),
        APR_EINVAL);
    assert_int_equal(
        spawn_job_wait(NULL, pool, id, (spawn_until)4, 0, NULL, &why),
        APR_EINVAL);
    assert_int_equal(spawn_job_status(NULL, NULL, id, 0, &info, &why),
                     APR_EINVAL);
    assert_non_null(strstr(why.message, "the pool is NULL"));
    assert_int_equal(atomic_load(&broker.requests), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_wait_ends_with_the_job),
        WORLD_TEST(a_wait_that_is_over_says_how_it_is),
        WORLD_TEST(no_wait_is_a_look),
        WORLD_TEST(a_status_has_output_when_it_is_wanted),
        WORLD_TEST(a_signal_is_sent),
        WORLD_TEST(a_dead_job_is_revived),
        WORLD_TEST(a_delayed_job_is_started),
        WORLD_TEST(wrong_questions_are_not_asked),
    };

    return world_main(tests, sizeof(tests) / sizeof(tests[0]));
}
