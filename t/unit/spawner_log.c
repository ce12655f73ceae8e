/* SPDX-License-Identifier: Apache-2.0 */
/* The spawner's lines: a template cannot fill the log with them, and the logs
 * of virtual hosts go to each broker, over an upgrade too. */
#include "t/unit/spawner_play.h"

#define TIMES 500

static char log_path[128];

static void log_to_file(void)
{
    int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    (void)dup2(fd, STDERR_FILENO);
}

/* The directory's name is not known before. */
static int start_with_log(void **state)
{
    static char template[] = "/tmp/spawner-log-XXXXXX";
    int fd;

    (void)strcpy(template + sizeof(template) - 7, "XXXXXX");
    fd = mkstemp(template);
    if (fd < 0)
        return -1;
    (void)close(fd);
    (void)strcpy(log_path, template);
    before_exec = log_to_file;
    return start_spawner(state);
}

static int stop_with_log(void **state)
{
    int rv = stop_spawner(state);

    (void)unlink(log_path);
    if (vhost_log >= 0)
        (void)close(vhost_log);
    vhost_log = -1;
    return rv;
}

static unsigned count_in_log(const char *what)
{
    static char text[1 << 20];
    int fd = open(log_path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    const char *at = text;
    unsigned count = 0;

    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    while ((at = strstr(at, what))) {
        at++;
        count++;
    }
    return count;
}

static void a_template_cannot_fill_the_log(void **state)
{
    char expected[64];
    spawn_id template;
    spawn_writer w;
    int ends[2], i;

    (void)state;
    reach_ready();
    new_id(&template);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    begin(&w, SPAWN_M_TEMPLATE);
    spawn_put_id(&w, SPAWN_A_ID, &template);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    send_on(control, &w, &ends[1], 1);
    (void)close(ends[1]);
    for (i = 0; i < TIMES; i++)
        send_plain(ends[0], SPAWN_M_GO); /* which is not its to say */
    (void)close(ends[0]);
    do /* until it has seen all, and the end */
        next_message(link_fd, SPAWN_FROM_SPAWNER);
    while (message.header.type != SPAWN_M_EXITED);
    assert_in_range(count_in_log("MS0317: "), 1, 5);

    /* The count of lines left out is told before the spawner ends. */
    (void)close(control);
    control = -1;
    expect_link(SPAWN_M_LINGER);
    begin(&w, SPAWN_M_BYE);
    send_on(link_fd, &w, NULL, 0);
    drop_broker();
    assert_int_equal(spawner_ends(), 0);
    (void)snprintf(expected, sizeof(expected), "MS0375: %u more lines like ",
                   TIMES - count_in_log("MS0317: "));
    assert_int_equal(count_in_log(expected), 1);
    assert_int_equal(count_in_log("MS0302: "), 0); /* an end as it should be */
}

/* Does CONFIGURE, just received, have the virtual host's log? */
static void assert_has_vhost_log(void)
{
    const spawn_attr *roles = &message.attr[SPAWN_A_FD_ROLES];
    struct stat ours, theirs;
    unsigned i, found = 0;

    assert_int_equal(fstat(vhost_log, &ours), 0);
    for (i = 0; i < packet.fds_count; i++) {
        if (spawn_u64v_at(roles, i) != SPAWN_FD_VHOST_LOG)
            continue;
        assert_int_equal(fstat(packet.fds[i], &theirs), 0);
        assert_int_equal(theirs.st_ino, ours.st_ino);
        found++;
    }
    assert_int_equal(found, 1);
}

static void each_broker_gets_the_logs_of_virtual_hosts(void **state)
{
    (void)state;
    vhost_log = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    LEAVE_OUT_IF(vhost_log < 0, "no O_TMPFILE in /tmp");
    send_configure(SPAWN_RELEASE);
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    assert_has_vhost_log();
    expect_link(SPAWN_M_TABLE_END);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    assert_has_vhost_log();
    expect_link(SPAWN_M_TABLE_END);
    say_ready(SPAWN_E_OK, "");

    send_configure("another");
    do
        next_message(link_fd, SPAWN_FROM_SPAWNER);
    while (message.header.type != SPAWN_M_QUIT);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    assert_has_vhost_log();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_template_cannot_fill_the_log,
                                        start_with_log, stop_with_log),
        cmocka_unit_test_setup_teardown(
            each_broker_gets_the_logs_of_virtual_hosts, start_with_log,
            stop_with_log),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_log", tests, NULL, NULL);
}
