/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A caller that only its secret lets in (a child of httpd with an account of
 * its own, as with mpm_itk) submits, sees and kills jobs, and changes no queue.
 * Without the secret it is not let in, and with it only where httpd's children
 * may have any account.
 */
#include "t/unit/broker_jobs.h"
#include "t/unit/corner.h"

#define NOBODY 65534

static void connect_as_nobody(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(chmod(listen_path, 0666), 0);
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%.107s", listen_path);
    (void)close(caller);
    caller = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(seteuid(NOBODY), 0);
    assert_int_equal(connect(caller, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(seteuid(0), 0);
}

static void say_hello(bool with_secret)
{
    static const uint8_t secret[SPAWN_SECRET_SIZE] = {7};
    spawn_writer w;

    begin(&w, SPAWN_M_HELLO, NULL);
    spawn_put_str(&w, SPAWN_A_CLIENT, "test");
    if (with_secret)
        spawn_put_bytes(&w, SPAWN_A_SECRET, secret, sizeof(secret));
    ask(&w);
}

static void it_may_submit_see_and_kill(void **state)
{
    spawn_writer w;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "only root can become another account");
    any_account = true;
    reach_go_and_call_in();
    connect_as_nobody();
    say_hello(true);
    expect_answer(SPAWN_M_WELCOME);
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    kill_it(SIGTERM);
    expect_signal(SIGTERM, SPAWN_LEFT_ALONE);
    expect_answer(SPAWN_M_DONE);
}

static void it_may_not_change_a_queue(void **state)
{
    static const uint64_t changes[] = {
        SPAWN_QUEUE_PAUSE, SPAWN_QUEUE_RESUME,  SPAWN_QUEUE_DRAIN,
        SPAWN_QUEUE_SCALE, SPAWN_QUEUE_UNPAUSE, SPAWN_QUEUE_UNDRAIN};
    spawn_writer w;
    size_t i;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "only root can become another account");
    any_account = true;
    reach_go_and_call_in();
    connect_as_nobody();
    say_hello(true);
    expect_answer(SPAWN_M_WELCOME);
    for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        begin(&w, SPAWN_M_QUEUES, NULL);
        spawn_put_u64(&w, SPAWN_A_QUEUE_DO, changes[i]);
        spawn_put_str(&w, SPAWN_A_QUEUE, "default");
        ask(&w);
        expect_refusal(SPAWN_E_NOT_PERMITTED);
        assert_non_null(
            strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                   "uid 65534 has not the right 'control' in queue 'default'"));
    }
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED); /* it is open */
}

static void without_the_secret_it_is_not_let_in(void **state)
{
    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "only root can become another account");
    any_account = true;
    reach_go_and_call_in();
    connect_as_nobody();
    say_hello(false);
    expect_refusal(SPAWN_E_NOT_PERMITTED);
}

static void nor_with_it_where_children_have_one_account(void **state)
{
    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "only root can become another account");
    reach_go_and_call_in();
    connect_as_nobody();
    say_hello(true);
    expect_refusal(SPAWN_E_NOT_PERMITTED);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ALONE(it_may_submit_see_and_kill), ALONE(it_may_not_change_a_queue),
        ALONE(without_the_secret_it_is_not_let_in),
        ALONE(nor_with_it_where_children_have_one_account)};

    find_broker();
    return cmocka_run_group_tests_name("callers with a secret only", tests,
                                       NULL, NULL);
}
