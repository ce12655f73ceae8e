/* SPDX-License-Identifier: Apache-2.0 */
/* How a caller waits for an answer: in the receive itself, and never beyond its
 * time. */
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "client/connection.h"
#include "t/unit/fake_broker.h"

#define LATE_MS 60

static _Thread_local unsigned polls;
static fake_broker broker;

/* In the place of the C library's. */
int poll(struct pollfd *fds, nfds_t count, int ms)
{
    polls++;
    return (int)syscall(SYS_poll, fds, count, ms);
}

static bool accepts_late(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    (void)syscall(SYS_poll, NULL, 0, LATE_MS);
    fake_accept(sock, m, m->header.seq);
    return true;
}

static bool says_nothing(fake_broker *f, int sock, const spawn_message *m)
{
    (void)f;
    (void)sock;
    (void)m;
    return true;
}

static int submit(uint32_t timeout_ms, spawn_answer *ret, spawn_failure *why)
{
    spawn_client *client = fake_client(broker.path, -1, timeout_ms);
    spawn_writer w;
    spawn_id id;
    int rv;

    fake_submit(&w, &id, SPAWN_REPLY_ACCEPTED);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    rv = spawn_client_submit(client, &w, NULL, 0, 0, NULL, ret, why);
    spawn_writer_free(&w);
    spawn_client_close(client);
    return rv;
}

static void an_answer_takes_no_poll(void **state)
{
    spawn_failure why;

    (void)state;
    fake_start(&broker, accepts_late);
    polls = 0;
    assert_int_equal(submit(5000, NULL, &why), 0);
    assert_int_equal(polls, 0);
    fake_stop(&broker);
}

static void an_answer_that_is_wanted_outlives_the_client(void **state)
{
    spawn_failure why;
    spawn_answer answer;

    (void)state;
    fake_start(&broker, accepts_late);
    assert_int_equal(submit(5000, &answer, &why), 0);
    assert_int_equal(spawn_u64_or(&answer.message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_QUEUED);
    spawn_answer_free(&answer);
    fake_stop(&broker);
}

static void a_wait_lasts_as_long_as_the_submit_may(void **state)
{
    int64_t began, took;
    spawn_failure why;

    (void)state;
    fake_start(&broker, says_nothing);
    began = spawn_mono_ms();
    assert_int_equal(submit(300, NULL, &why), -1);
    took = spawn_mono_ms() - began;
    assert_int_equal(why.code, SPAWN_E_UNCONFIRMED);
    assert_in_range(took, 299, 60000);
    fake_stop(&broker);
}

/* As after tries that have used up the time. */
static void a_wait_ends_with_what_is_left_of_the_time(void **state)
{
    spawn_endpoint e = {NULL, NULL, -1, "test", 200000, NULL};
    char release[SPAWN_RELEASE_TEXT];
    spawn_connection *c;
    spawn_failure why;
    spawn_answer answer;
    int64_t began;

    (void)state;
    fake_start(&broker, says_nothing);
    e.socket_path = broker.path;
    began = spawn_mono_ms();
    assert_int_equal(
        spawn_connection_open(&e, false, began + 200000, &c, release, &why), 0);
    assert_int_equal(
        spawn_connection_receive(c, spawn_mono_ms() + 30, true, &answer, &why),
        -ETIMEDOUT);
    assert_in_range(spawn_mono_ms() - began, 30, 60000);
    spawn_connection_free(c);
    fake_stop(&broker);
}

static void on_alarm(int signo)
{
    (void)signo;
}

static void a_signal_ends_no_wait(void **state)
{
    const struct itimerval soon = {{0, 0}, {0, LATE_MS * 1000 / 3}};
    struct sigaction sa = {.sa_handler = on_alarm};
    spawn_failure why;
    sigset_t alarms;

    (void)state;
    (void)sigemptyset(&alarms);
    (void)sigaddset(&alarms, SIGALRM);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &alarms, NULL), 0);
    fake_start(&broker, accepts_late); /* its thread blocks them */
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &alarms, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &sa, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(submit(5000, NULL, &why), 0);
    fake_stop(&broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_takes_no_poll),
        cmocka_unit_test(an_answer_that_is_wanted_outlives_the_client),
        cmocka_unit_test(a_wait_lasts_as_long_as_the_submit_may),
        cmocka_unit_test(a_wait_ends_with_what_is_left_of_the_time),
        cmocka_unit_test(a_signal_ends_no_wait),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("how a caller waits", tests, NULL, NULL);
}
