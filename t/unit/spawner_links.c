/* SPDX-License-Identifier: Apache-2.0 */
/* The spawner obeys the process that made its link to httpd and nobody else who
 * holds a copy of it, whatever the account. */
#include <grp.h>

#include "t/unit/spawner_play.h"

/* Requests that an attacker would want: another program in the spawner's place,
 * a template that is gone, an end; and packets that break the rules. */
static void attack(int sock)
{
    char bytes[64] = "no message at all";
    spawn_writer w;
    spawn_id id;

    control = sock;
    (void)strcpy(spawner_program, "/bin/true");
    send_plain(sock, SPAWN_M_ADOPT);
    new_id(&id);
    begin(&w, SPAWN_M_TEMPLATE);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    spawn_put_str(&w, SPAWN_A_TEXT, "gone");
    send_on(sock, &w, NULL, 0);
    send_configure("another");
    (void)send(sock, bytes, sizeof(bytes), MSG_NOSIGNAL);
    (void)send(sock, bytes, 0, MSG_NOSIGNAL);
}

/* In a process that was forked with the descriptor, to its end. */
static void attack_from_a_fork(int sock, bool as_nobody)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (as_nobody
            && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0
                || setresuid(NOBODY, NOBODY, NOBODY) < 0))
            _exit(1);
        attack(sock);
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* It takes a job, with the broker that it had. */
static void goes_on(void)
{
    spawn_id id;

    new_id(&id);
    launch(&id, "/bin/sh", "exit 9", NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 9);
}

static void a_fork_of_the_parent_is_not_obeyed(void **state)
{
    (void)state;
    reach_ready();
    attack_from_a_fork(control, false);
    goes_on();
    if (geteuid() == 0) {
        attack_from_a_fork(control, true);
        goes_on();
    }
    send_configure(SPAWN_RELEASE); /* the link is still the parent's */
    expect_link(SPAWN_M_CONFIGURE);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
}

static void a_fork_comes_first(void **state)
{
    (void)state;
    attack_from_a_fork(control, false);
    reach_ready();
    goes_on();
}

static void a_fork_of_an_adopter_is_not_obeyed(void **state)
{
    struct pollfd none;

    (void)state;
    reach_ready();
    (void)close(control);
    expect_link(SPAWN_M_LINGER);
    control = connect_control();
    attack_from_a_fork(control, false);
    goes_on();
    none.fd = control;
    none.events = POLLIN;
    assert_int_equal(poll(&none, 1, 0), 0); /* no ADOPTED, no end */
    send_plain(control, SPAWN_M_ADOPT);
    expect_control(SPAWN_M_ADOPTED);
    attack_from_a_fork(control, false);
    goes_on();
    send_configure(SPAWN_RELEASE);
    expect_link(SPAWN_M_CONFIGURE);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_fork_of_the_parent_is_not_obeyed,
                                        start_spawner, stop_spawner),
        cmocka_unit_test_setup_teardown(a_fork_comes_first, start_spawner,
                                        stop_spawner),
        cmocka_unit_test_setup_teardown(a_fork_of_an_adopter_is_not_obeyed,
                                        start_spawner, stop_spawner),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_links", tests, NULL, NULL);
}
