/* SPDX-License-Identifier: Apache-2.0 */
/* The return of a submit, by the broker's answer. */
#include <sched.h>

#include "t/unit/fake_broker.h"

static spawn_client *client;
static fake_broker broker;
static spawn_writer w;
static spawn_id id;
static spawn_failure why;
static spawn_answer answer;

static void begin(fake_serve serve, spawn_reply reply, uint32_t timeout_ms)
{
    fake_start(&broker, serve);
    client = fake_client(broker.path, -1, timeout_ms);
    fake_submit(&w, &id, reply);
    memset(&why, 0, sizeof(why));
}

static void end(void)
{
    spawn_writer_free(&w);
    spawn_client_close(client);
    fake_stop(&broker);
}

static bool accepts(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    fake_accept(sock, m, m->header.seq);
    return true;
}

static void accepted_is_returned(void **state)
{
    char release[64];
    spawn_id got;
    int i;

    (void)state;
    begin(accepts, SPAWN_REPLY_ACCEPTED, 5000);
    spawn_client_release(client, release);
    assert_string_equal(release, "");
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    for (i = 0; i < 3; i++) {
        assert_int_equal(
            spawn_client_submit(client, &w, NULL, 0, 0, NULL, &answer, &why),
            0);
        assert_int_equal(answer.message.header.type, SPAWN_M_ACCEPTED);
        spawn_attr_id(&answer.message.attr[SPAWN_A_ID], &got);
        assert_true(spawn_id_equal(&got, &id));
        spawn_answer_free(&answer);
    }
    spawn_client_release(client, release);
    assert_string_equal(release, SPAWN_RELEASE);
    /* One connection served all. */
    assert_int_equal(atomic_load(&broker.hellos), 1);
    end();
}

static void bad_field_is_never_sent(void **state)
{
    (void)state;
    begin(accepts, SPAWN_REPLY_ACCEPTED, 5000);
    spawn_put_str(&w, SPAWN_A_CWD, "not/absolute");
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), -1);
    assert_int_equal(why.code, SPAWN_E_INVALID);
    assert_non_null(strstr(why.text, "cwd"));
    assert_int_equal(atomic_load(&broker.hellos), 0);
    end();
}

static bool refuses(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    fake_refuse(sock, m, SPAWN_E_QUEUE_FULL, "queue 'default' is full");
    return true;
}

static void refusal_is_told(void **state)
{
    (void)state;
    begin(refuses, SPAWN_REPLY_ACCEPTED, 5000);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), -1);
    assert_int_equal(why.code, SPAWN_E_QUEUE_FULL);
    assert_int_equal(why.step, SPAWN_STEP_QUEUE);
    assert_string_equal(why.text, "queue 'default' is full");
    end();
}

static bool start_fails(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    fake_job(sock, m, &m->attr[SPAWN_A_ID], SPAWN_STATE_DONE,
             SPAWN_OUTCOME_START_FAILED);
    return true;
}

static void failed_start_is_told(void **state)
{
    (void)state;
    begin(start_fails, SPAWN_REPLY_STARTED, 5000);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, &answer, &why), -1);
    assert_int_equal(why.code, SPAWN_E_START_FAILED);
    assert_int_equal(why.step, SPAWN_STEP_EXEC);
    assert_int_equal(why.error, ENOENT);
    assert_int_equal(answer.message.header.type, SPAWN_M_JOB);
    spawn_answer_free(&answer);
    end();
}

static bool says_nothing(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    (void)sock;
    (void)m;
    return true;
}

static void late_answer_is_unconfirmed(void **state)
{
    (void)state;
    begin(says_nothing, SPAWN_REPLY_ACCEPTED, 100);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), -1);
    assert_int_equal(why.code, SPAWN_E_UNCONFIRMED);
    assert_int_equal(why.error, ETIMEDOUT);
    /* The late answer must not meet the next request. */
    atomic_store(&broker.serve, accepts);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), 0);
    assert_int_equal(atomic_load(&broker.hellos), 2);
    end();
}

static bool knows_running(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    if (m->header.type == SPAWN_M_GET)
        fake_job(sock, m, &m->attr[SPAWN_A_ID], SPAWN_STATE_RUNNING,
                 SPAWN_OUTCOME_NONE);
    return true;
}

static void unfinished_job_times_out(void **state)
{
    (void)state;
    begin(knows_running, SPAWN_REPLY_FINISHED, 100);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 50, NULL, NULL, &why), -1);
    assert_int_equal(why.code, SPAWN_E_TIMED_OUT);
    assert_non_null(strstr(why.text, "running"));
    end();
}

static spawn_id other;

/* Another job is kept; who asks for it is left alone. */
static bool keeps_and_goes(fake_broker *f, int sock, const spawn_message *m)
{
    uint8_t room[256];
    spawn_writer a;

    (void)f;
    if (m->header.type != SPAWN_M_SUBMIT)
        return false;
    spawn_writer_init_fixed(&a, room, sizeof(room));
    spawn_writer_begin(&a, SPAWN_M_ACCEPTED, m->header.seq);
    spawn_put_attr(&a, SPAWN_A_ID, &m->attr[SPAWN_A_ID]);
    spawn_put_u64(&a, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_id(&a, SPAWN_A_OTHER, &other);
    fake_send(sock, &a);
    return true;
}

/* The submit was answered: "unreachable" would say that nothing was sent. */
static void end_of_a_kept_one_that_nobody_tells_is_unconfirmed(void **state)
{
    spawn_answer *wanted[] = {NULL, &answer};
    spawn_id kept, sent;
    unsigned i;

    (void)state;
    (void)spawn_id_make(&other);
    for (i = 0; i < 2; i++) {
        begin(keeps_and_goes, SPAWN_REPLY_FINISHED, 300);
        assert_int_equal(spawn_writer_finish(&w, 0), 0);
        kept = id;
        assert_int_equal(spawn_client_submit(client, &w, NULL, 0, 50, &kept,
                                             wanted[i], &why),
                         -1);
        assert_int_equal(why.code, SPAWN_E_UNCONFIRMED);
        assert_true(spawn_id_equal(&kept, &other));
        /* the job itself would be sent again */
        spawn_submit_id(&w, &sent);
        assert_true(spawn_id_equal(&sent, &id));
        end();
    }
}

static bool knows_none(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    if (m->header.type == SPAWN_M_GET)
        fake_refuse(sock, m, SPAWN_E_NO_SUCH_JOB, "no such job");
    return true;
}

static void unknown_job_is_unconfirmed(void **state)
{
    (void)state;
    begin(knows_none, SPAWN_REPLY_FINISHED, 100);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 50, NULL, NULL, &why), -1);
    assert_int_equal(why.code, SPAWN_E_UNCONFIRMED);
    end();
}

static bool answers_another_first(fake_broker *f, int sock,
                                  const spawn_message *m)
{
    (void)f;
    fake_accept(sock, m, m->header.seq + 7);
    fake_refuse(sock, m, SPAWN_E_STOPPING, "the right one");
    return true;
}

static void answer_to_another_request_is_skipped(void **state)
{
    (void)state;
    begin(answers_another_first, SPAWN_REPLY_ACCEPTED, 5000);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), -1);
    assert_string_equal(why.text, "the right one");
    end();
}

/* ---- what it tells of itself ---- */

static uint32_t seqs[3];
static int seqs_count;

static bool notes_the_number(fake_broker *f, int sock, const spawn_message *m)
{
    seqs[seqs_count++] = m->header.seq;
    return accepts(f, sock, m);
}

/* All threads are kept on one CPU: this one cannot be moved between. */
static void the_cpu_is_told_with_a_count(void **state)
{
    cpu_set_t before, one;
    int cpu = sched_getcpu(), i;

    (void)state;
    begin(notes_the_number, SPAWN_REPLY_ACCEPTED, 5000);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    for (i = 0; i < 3; i++)
        assert_int_equal(
            spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), 0);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
    for (i = 0; i < 3; i++)
        assert_int_equal(spawn_seq_cpu(seqs[i]), cpu + 1);
    assert_int_equal(seqs[1], seqs[0] + 1);
    assert_int_equal(seqs[2], seqs[0] + 2);
    end();
}

static bool sends_rubbish(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    (void)m;
    (void)send(sock, "rubbish", 7, MSG_NOSIGNAL);
    return true;
}

static void rubbish_leaves_it_unconfirmed(void **state)
{
    (void)state;
    begin(sends_rubbish, SPAWN_REPLY_ACCEPTED, 5000);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        spawn_client_submit(client, &w, NULL, 0, 0, NULL, NULL, &why), -1);
    assert_int_equal(why.code, SPAWN_E_UNCONFIRMED);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_is_returned),
        cmocka_unit_test(bad_field_is_never_sent),
        cmocka_unit_test(refusal_is_told),
        cmocka_unit_test(failed_start_is_told),
        cmocka_unit_test(late_answer_is_unconfirmed),
        cmocka_unit_test(unfinished_job_times_out),
        cmocka_unit_test(unknown_job_is_unconfirmed),
        cmocka_unit_test(end_of_a_kept_one_that_nobody_tells_is_unconfirmed),
        cmocka_unit_test(answer_to_another_request_is_skipped),
        cmocka_unit_test(the_cpu_is_told_with_a_count),
        cmocka_unit_test(rubbish_leaves_it_unconfirmed),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
