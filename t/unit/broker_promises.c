/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's promises to callers: strangers are not let in, "accepted" is
 * true, an id means one job. The protocol of broker_caller.h.
 */
#include "t/unit/broker_caller.h"

#define STRANGER 65534

static const uint8_t secret_of_httpd[SPAWN_SECRET_SIZE] = {7};

/* ---- who is let in ---- */

/* The answers to a process of another account: the type of the answer to its
 * HELLO, and of the one to a SUBMIT that it sends along; 0: end of file. */
static int stranger(const uint8_t *secret, size_t length)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct pollfd p = {-1, POLLIN, 0};
    unsigned answers[2] = {0, 0};
    spawn_writer w;
    spawn_id id;
    int i;

    if (setgid(STRANGER) < 0 || setuid(STRANGER) < 0)
        return 97;
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%.107s", listen_path);
    caller = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connect(caller, (struct sockaddr *)&a, sizeof(a)) < 0)
        return 98;
    begin(&w, SPAWN_M_HELLO, NULL);
    spawn_put_str(&w, SPAWN_A_CLIENT, "test");
    if (length)
        spawn_put_bytes(&w, SPAWN_A_SECRET, secret, length);
    (void)spawn_writer_finish(&w, 0);
    (void)spawn_packet_send(caller, w.data, w.length, NULL, 0);
    (void)spawn_id_make(&id);
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    (void)spawn_writer_finish(&w, 0);
    (void)spawn_packet_send(caller, w.data, w.length, NULL, 0);
    p.fd = caller;
    for (i = 0; i < 2; i++) {
        if (poll(&p, 1, DEADLINE_MS) != 1
            || spawn_packet_receive(caller, buffer, sizeof(buffer), &packet)
                   != 1)
            break;
        answers[i] = buffer[4];
    }
    if (answers[0] == SPAWN_M_WELCOME && answers[1] == SPAWN_M_ACCEPTED)
        return 1;
    return answers[0] == SPAWN_M_REFUSED && answers[1] == 0 ? 2 : 99;
}

/* 1 let in, and its job taken; 2 refused, and nothing taken. */
static int ask_as_stranger(const uint8_t *secret, size_t length)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(stranger(secret, length));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Inherited, it is no proof: what other modules fork from httpd has it too. */
static void the_secret_counts_with_the_account_only(void **state)
{
    (void)state;
    if (geteuid() != 0) { /* cmocka's skip() is a failure to prove */
        print_message("# left out: only root can become another account\n");
        return;
    }
    rules = "A";
    reach_go();
    assert_int_equal(chmod(dir, 0711), 0);
    assert_int_equal(chmod(listen_path, 0666), 0);
    assert_int_equal(ask_as_stranger(secret_of_httpd, sizeof(secret_of_httpd)),
                     2);
}

static void only_who_has_the_secret_is_let_in(void **state)
{
    uint8_t other[SPAWN_SECRET_SIZE];
    unsigned i;

    (void)state;
    if (geteuid() != 0) { /* cmocka's skip() is a failure to prove */
        print_message("# left out: only root can become another account\n");
        return;
    }
    rules = "A";
    any_account = true; /* children of httpd have that one, too */
    reach_go();
    assert_int_equal(chmod(dir, 0711), 0);
    assert_int_equal(chmod(listen_path, 0666), 0);
    assert_int_equal(ask_as_stranger(NULL, 0), 2);
    assert_int_equal(
        ask_as_stranger(secret_of_httpd, sizeof(secret_of_httpd) - 1), 2);
    for (i = 0; i < SPAWN_SECRET_SIZE; i += SPAWN_SECRET_SIZE - 1) {
        memcpy(other, secret_of_httpd, sizeof(other));
        other[i] ^= 0x40;
        assert_int_equal(ask_as_stranger(other, sizeof(other)), 2);
    }
    assert_int_equal(ask_as_stranger(secret_of_httpd, sizeof(secret_of_httpd)),
                     1);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
}

/* Where the broker has an account of its own, as when both have one. */
static void httpds_user_needs_no_secret(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("# left out: only root can become another account\n");
        return;
    }
    rules = "A";
    httpds_uid = STRANGER;
    reach_go();
    assert_int_equal(chmod(dir, 0711), 0);
    assert_int_equal(chmod(listen_path, 0666), 0);
    assert_int_equal(ask_as_stranger(NULL, 0), 1);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
}

/* ---- an id means one job ---- */

static void accepted_again(const spawn_id *id)
{
    submit_as(id, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    submit_as(id, "/bin/false");
    expect_refusal(SPAWN_E_CONFLICT);
}

static void an_id_with_other_content_is_a_conflict(void **state)
{
    spawn_id id;

    (void)state;
    make_store();
    (void)spawn_id_make(&id);
    start_broker();
    expect_ready();
    call_in(); /* before GO: it waits */
    accepted_again(&id);
    accepted_again(&id);
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_LAUNCH, &id);
    accepted_again(&id);
    say_started(&id);
    accepted_again(&id);
    say_exited(&id, 0, 0);
    expect_id(SPAWN_M_FORGET, &id);
    accepted_again(&id);
    (void)close(caller);
    end_broker();
    reach_go();
    call_in(); /* the store alone knows it now */
    accepted_again(&id);
    (void)close(caller);
    caller = -1;
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
}

/* ---- accepted is true ---- */

static void what_cannot_be_stored_is_refused(void **state)
{
    spawn_id id;

    (void)state;
    make_store_that_fails(NO_INSERT);
    reach_go();
    call_in();
    (void)spawn_id_make(&id);
    submit_as(&id, "/bin/true");
    expect_refusal(SPAWN_E_STORE);
    submit_as(&id, "/bin/true"); /* it is not known: refused, not accepted */
    expect_refusal(SPAWN_E_STORE);
    kill_broker();
    run_sql("DROP TRIGGER no");
    reach_go();
    call_in();
    submit_as(&id, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &id);
}

static void what_was_accepted_without_a_commit_is_in_the_inbox(void **state)
{
    spawn_id first, more;
    char text[16];
    int accepted = 0;

    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_go();
    call_in();
    (void)spawn_id_make(&first);
    submit_as(&first, "/bin/true");
    /* until it is known that the store takes nothing */
    for (;;) {
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
        if (message.header.type == SPAWN_M_REFUSED)
            break;
        assert_int_equal(message.header.type, SPAWN_M_ACCEPTED);
        accepted++;
        (void)spawn_id_make(&more);
        submit_as(&more, "/bin/true");
    }
    assert_true(accepted > 0);
    kill_broker();
    run_sql("DROP TRIGGER no");
    reach_go();
    expect_id(SPAWN_M_LAUNCH, &first);
    end_broker();
    (void)snprintf(text, sizeof(text), "%d", accepted);
    expect_sql("SELECT count(*) FROM job", text);
}

/* ---- what recovery makes of `starting` ---- */

static void a_job_that_was_never_forked_waits_again(void **state)
{
    spawn_id job;

    (void)state;
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, SPAWN_STATE_STARTING, NULL);
    reach_go();
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT outcome || ' ' || exit_code FROM job", "1 0");
}

static void a_job_that_another_spawner_was_starting_is_lost(void **state)
{
    spawn_id job;

    (void)state;
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, SPAWN_STATE_STARTING, NULL);
    (void)spawn_id_make(&life);
    reach_go();
    end_broker();
    expect_sql("SELECT state || ' ' || outcome FROM job", "4 7");
}

static void a_job_that_ran_before_a_reboot_is_lost(void **state)
{
    spawn_id starting, running, waiting;

    (void)state;
    make_store();
    (void)spawn_id_make(&starting);
    (void)spawn_id_make(&running);
    (void)spawn_id_make(&waiting);
    put_job(&starting, SPAWN_STATE_STARTING, NULL);
    put_job(&running, SPAWN_STATE_RUNNING, NULL);
    put_job(&waiting, SPAWN_STATE_QUEUED, NULL);
    run_sql("UPDATE meta SET value = 'another' WHERE key = 'boot_id'");
    reach_go();
    expect_id(SPAWN_M_LAUNCH, &waiting);
    end_broker();
    expect_sql("SELECT group_concat(state || ifnull(outcome, '-'), ' ')"
               " FROM (SELECT * FROM job ORDER BY seq)",
               "47 47 2-");
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(only_who_has_the_secret_is_let_in),
        ALONE(httpds_user_needs_no_secret),
        ALONE(the_secret_counts_with_the_account_only),
        ALONE(an_id_with_other_content_is_a_conflict),
        ALONE(what_cannot_be_stored_is_refused),
        ALONE(what_was_accepted_without_a_commit_is_in_the_inbox),
        ALONE(a_job_that_was_never_forked_waits_again),
        ALONE(a_job_that_another_spawner_was_starting_is_lost),
        ALONE(a_job_that_ran_before_a_reboot_is_lost)};

    find_broker();
    return cmocka_run_group_tests_name("broker promises", tests, NULL, NULL);
}
