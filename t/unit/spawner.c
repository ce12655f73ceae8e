/* SPDX-License-Identifier: Apache-2.0 */
/* The spawner's promises: exits kept, orders obeyed once, handles held,
 * adoption, the upgrade in place. */
#include "t/unit/spawner_play.h"

/* ---- what is promised ---- */

static void an_exit_is_kept_until_a_broker_has_it(void **state)
{
    spawn_id id;

    (void)state;
    reach_ready();
    new_id(&id);
    launch(&id, "/bin/sh", "exit 41", NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 41);
    drop_broker(); /* dies without FORGET */
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_id(SPAWN_M_RUNNING, &id);
    expect_exit(&id, 41);
    expect_link(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_GO);
    send_id(SPAWN_M_FORGET, &id);
    say_ready(SPAWN_E_OK, "");
    new_id(&id);
    launch(&id, "/bin/true", NULL, NULL); /* behind FORGET: it was obeyed */
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
    send_id(SPAWN_M_FORGET, &id);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_link(SPAWN_M_TABLE_END);
}

static void an_order_given_twice_runs_once(void **state)
{
    char path[128], text[16] = "";
    spawn_id id, second;
    int fd;

    (void)state;
    reach_ready();
    new_id(&id);
    new_id(&second);
    launch(&id, "/bin/sh", "echo x", NULL);
    launch(&id, "/bin/sh", "echo x", NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
    launch(&id, "/bin/sh", "echo x", NULL);
    launch(&second, "/bin/true", NULL, NULL);
    expect_id(SPAWN_M_STARTED, &second);
    expect_exit(&second, 0);
    (void)snprintf(path, sizeof(path), "%s/out", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, text, sizeof(text)), 2);
    (void)close(fd);
}

static void handles_of_queued_jobs_outlive_a_broker(void **state)
{
    int fds[2] = {open("/dev/null", O_RDONLY | O_CLOEXEC),
                  open("/dev/zero", O_RDONLY | O_CLOEXEC)};
    struct stat given, got;
    spawn_writer w;
    spawn_id id;

    (void)state;
    reach_ready();
    new_id(&id);
    begin(&w, SPAWN_M_HOLD);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    send_on(link_fd, &w, fds, 2);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_id(SPAWN_M_HELD, &id);
    assert_int_equal(packet.fds_count, 2);
    assert_int_equal(fstat(fds[1], &given), 0);
    assert_int_equal(fstat(packet.fds[1], &got), 0);
    assert_int_equal(given.st_rdev, got.st_rdev);
    expect_link(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_GO);
    send_id(SPAWN_M_RELEASE, &id);
    new_id(&id);
    launch(&id, "/bin/true", NULL, NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
    send_id(SPAWN_M_FORGET, &id);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_link(SPAWN_M_TABLE_END);
    spawn_close_fds(fds, 2);
}

static void the_step_that_failed_is_told_with_its_errno(void **state)
{
    spawn_id id;

    (void)state;
    reach_ready();
    new_id(&id);
    launch(&id, "/nonexistent", NULL, NULL);
    expect_failed(&id, SPAWN_STEP_EXEC, ENOENT);
    new_id(&id);
    launch(&id, "no-such-program-on-the-path", NULL, NULL);
    expect_failed(&id, SPAWN_STEP_EXEC, ENOENT);
    new_id(&id);
    launch(&id, "/etc/passwd", NULL, NULL);
    expect_failed(&id, SPAWN_STEP_EXEC, EACCES);
    new_id(&id);
    launch(&id, "/bin/true", NULL, "/nonexistent");
    expect_failed(&id, SPAWN_STEP_CWD, ENOENT);
    new_id(&id);
    launch(&id, "true", NULL, NULL); /* found on the path */
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
}

static void only_a_pair_without_a_parent_is_adopted(void **state)
{
    int other;

    (void)state;
    reach_ready();
    other = connect_control();
    send_plain(other, SPAWN_M_ADOPT);
    next_message(other, SPAWN_FROM_SPAWNER_TO_PARENT);
    assert_string_equal(spawn_message_name(message.header.type), "refused");
    (void)close(other);

    (void)close(control);
    control = -1;
    expect_link(SPAWN_M_LINGER);
    control = connect_control();
    send_plain(control, SPAWN_M_ADOPT);
    expect_control(SPAWN_M_ADOPTED);
    assert_true(spawn_has(&message, SPAWN_A_SECRET));
    assert_int_equal(message.attr[SPAWN_A_SECRET].data[0], 7);
    send_configure(SPAWN_RELEASE);
    expect_link(SPAWN_M_CONFIGURE);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
}

/* The asker has no pair by it, and may ask again. */
static uint64_t asked_for_the_httpd(void)
{
    int sock = connect_control();
    uint64_t pid;

    send_plain(sock, SPAWN_M_ASK);
    next_message(sock, SPAWN_FROM_SPAWNER_TO_PARENT);
    assert_string_equal(spawn_message_name(message.header.type), "ask");
    assert_true(spawn_has(&message, SPAWN_A_HTTPD));
    pid = spawn_attr_u64(&message.attr[SPAWN_A_HTTPD]);
    (void)close(sock);
    return pid;
}

static void who_has_the_pair_can_be_asked(void **state)
{
    (void)state;
    reach_ready();
    assert_int_equal(asked_for_the_httpd(), getpid());
    assert_int_equal(asked_for_the_httpd(), getpid());

    (void)close(control);
    control = -1;
    expect_link(SPAWN_M_LINGER);
    assert_int_equal(asked_for_the_httpd(), 0);
    assert_int_equal(asked_for_the_httpd(), 0);
    adopt();
    expect_link(SPAWN_M_CONFIGURE);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
    assert_int_equal(asked_for_the_httpd(), getpid());
}

static void a_broker_that_said_bye_while_adopted_is_replaced(void **state)
{
    (void)state;
    reach_ready();
    (void)close(control);
    expect_link(SPAWN_M_LINGER);
    adopt();
    /* BYE was on its way when CONFIGURE came: this broker answers no more */
    expect_link(SPAWN_M_CONFIGURE);
    send_plain(link_fd, SPAWN_M_BYE);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_link(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_GO);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
    assert_int_equal(kill(spawner_pid, 0), 0);
}

static void a_broker_that_is_not_ready_is_told_with_its_text(void **state)
{
    (void)state;
    send_configure(SPAWN_RELEASE);
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_link(SPAWN_M_TABLE_END);
    say_ready(SPAWN_E_STORE, "the store is full");
    expect_control(SPAWN_M_NOT_READY);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                        "the store is full");
}

static void the_last_job_done_the_spawner_ends_with_code_0(void **state)
{
    int status;

    (void)state;
    reach_ready();
    (void)close(control);
    control = -1;
    expect_link(SPAWN_M_LINGER);
    send_plain(link_fd, SPAWN_M_BYE);
    drop_broker();
    status = spawner_ends();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void an_upgrade_keeps_the_process_and_its_jobs(void **state)
{
    spawn_id running, ended;
    spawn_writer w;
    pid_t job;

    (void)state;
    reach_ready();
    new_id(&running);
    new_id(&ended);
    launch(&ended, "/bin/sh", "exit 3", NULL);
    expect_id(SPAWN_M_STARTED, &ended);
    expect_exit(&ended, 3);
    launch(&running, "/bin/sh",
           "trap 'exit 5' TERM; echo; while :; do sleep 1; done", NULL);
    expect_id(SPAWN_M_STARTED, &running);
    job = (pid_t)spawn_u64_or(&message, SPAWN_A_PID, 0);
    wait_for_output(1);

    send_configure("another");
    expect_link(SPAWN_M_QUIT);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_link(SPAWN_M_RUNNING);
    expect_link(SPAWN_M_RUNNING);
    expect_exit(&ended, 3);
    expect_link(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_GO);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), spawner_pid);

    assert_int_equal(kill(job, 0), 0);
    begin(&w, SPAWN_M_SIGNAL);
    spawn_put_id(&w, SPAWN_A_ID, &running);
    spawn_put_u64(&w, SPAWN_A_SIGNO, SIGTERM);
    send_on(link_fd, &w, NULL, 0);
    expect_exit(&running, 5);
}

static void a_newer_release_may_say_what_is_not_known_yet(void **state)
{
    (void)state;
    reach_ready();
    newer = true;
    send_configure(SPAWN_RELEASE);
    expect_control(SPAWN_M_NOT_READY);
    send_configure("another");
    newer = false;
    expect_link(SPAWN_M_QUIT);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_link(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_GO);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
}

/* A template comes from httpd, and has loaded. Returns its end of the link. */
static int introduce_template(const spawn_id *template)
{
    spawn_writer w;
    int ends[2];

    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    begin(&w, SPAWN_M_TEMPLATE);
    spawn_put_id(&w, SPAWN_A_ID, template);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    send_on(control, &w, &ends[1], 1);
    (void)close(ends[1]);
    begin(&w, SPAWN_M_PRELOADED);
    spawn_put_u64(&w, SPAWN_A_CODE, SPAWN_E_OK);
    send_on(ends[0], &w, NULL, 0);
    expect_id(SPAWN_M_TEMPLATE_SAID, template);
    return ends[0];
}

/* It is ordered from the template, which forks it. */
static void start_job_of(int its_end, const spawn_id *template,
                         const spawn_id *job)
{
    spawn_packet order;
    spawn_writer w;
    size_t mark;

    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, job);
    spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, template);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "A::b");
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    send_on(link_fd, &w, NULL, 0);
    wait_readable(its_end);
    assert_int_equal(
        spawn_packet_receive(its_end, buffer, sizeof(buffer), &order), 1);
    spawn_packet_close(&order);
    begin(&w, SPAWN_M_LAUNCHED);
    spawn_put_id(&w, SPAWN_A_ID, job);
    spawn_put_u64(&w, SPAWN_A_PID, 4000001);
    send_on(its_end, &w, NULL, 0);
    begin(&w, SPAWN_M_SET_UP);
    spawn_put_id(&w, SPAWN_A_ID, job);
    send_on(its_end, &w, NULL, 0);
    expect_id(SPAWN_M_STARTED, job);
}

/* Its place in the table is one that was used before, its template's is not. */
static void an_upgrade_keeps_the_jobs_of_a_younger_template(void **state)
{
    spawn_id first, template, job;
    spawn_writer w;
    int its_end;

    (void)state;
    reach_ready();
    new_id(&first);
    new_id(&template);
    new_id(&job);
    launch(&first, "/bin/true", NULL, NULL);
    expect_id(SPAWN_M_STARTED, &first);
    expect_exit(&first, 0);
    its_end = introduce_template(&template);
    send_id(SPAWN_M_FORGET, &first);
    start_job_of(its_end, &template, &job);
    send_configure("another");
    expect_link(SPAWN_M_QUIT);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_id(SPAWN_M_RUNNING, &job);
    expect_id(SPAWN_M_RUNNING, &template);
    expect_link(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_GO);
    begin(&w, SPAWN_M_CHILD_EXITED);
    spawn_put_id(&w, SPAWN_A_ID, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, 3 << 8);
    send_on(its_end, &w, NULL, 0);
    expect_exit(&job, 3);
    (void)close(its_end);
}

int main(int argc, char **argv)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, start_spawner, stop_spawner)
    const struct CMUnitTest tests[] = {
        ALONE(an_exit_is_kept_until_a_broker_has_it),
        ALONE(an_order_given_twice_runs_once),
        ALONE(handles_of_queued_jobs_outlive_a_broker),
        ALONE(the_step_that_failed_is_told_with_its_errno),
        ALONE(only_a_pair_without_a_parent_is_adopted),
        ALONE(who_has_the_pair_can_be_asked),
        ALONE(a_broker_that_said_bye_while_adopted_is_replaced),
        ALONE(a_broker_that_is_not_ready_is_told_with_its_text),
        ALONE(the_last_job_done_the_spawner_ends_with_code_0),
        ALONE(an_upgrade_keeps_the_process_and_its_jobs),
        ALONE(a_newer_release_may_say_what_is_not_known_yet),
        ALONE(an_upgrade_keeps_the_jobs_of_a_younger_template)};

    BE_THE_BROKER_IF_ASKED(argc, argv);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner", tests, NULL, NULL);
}
