/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that have left the group of their job, by a session of their own or
 * as daemons: they are ended with a job that is killed or timed out, and with
 * one that leaves nothing, and with no other one.
 */
#include "t/unit/spawner_look.h"
#include "common/spawn_field.h"
#include "common/spawn_tree.h"

#define MEDIA   61001
#define REPORTS 61002

static const char *queue; /* of the next job; NULL: none is named */

static void put_account(spawn_writer *w, uint64_t uid, const char *of)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_ACCOUNT), names;

    spawn_put_u64(w, SPAWN_A_UID, uid);
    spawn_put_u64(w, SPAWN_A_GID, uid);
    names = spawn_open_strv(w, SPAWN_A_QUEUE_NAMES);
    spawn_add_text(w, names, of, strlen(of));
    spawn_close(w, names);
    spawn_close(w, mark);
}

static void put_accounts(spawn_writer *w)
{
    put_account(w, MEDIA, "media");
    put_account(w, REPORTS, "reports");
}

/* All accounts write there. */
static void make_output(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    assert_true(fd >= 0);
    (void)fchmod(fd, 0666);
    (void)close(fd);
}

/* A daemon: its parents have ended, and it leads no session. It says its pid.
 * Its first commands: */
#define DAEMON(first)                                                          \
    "setsid sh -c 'sh -c \"" first "echo \\$\\$; exec sleep 1000\" & ' & "     \
    "wait; "

/* Start a job that goes on with this when its daemon has said its pid. */
static pid_t start_daemon(spawn_id *id, const char *first, const char *then,
                          uint64_t leftovers)
{
    char path[128], script[512];
    spawn_writer w;

    (void)snprintf(path, sizeof(path), "%s/out", dir);
    make_output(path);
    (void)snprintf(script, sizeof(script),
                   "%s while [ ! -s %s ]; do sleep 0.01; done; %s", first, path,
                   then);
    new_id(id);
    begin_order(&w, id, script);
    put_out(&w);
    if (queue)
        spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    if (leftovers)
        spawn_put_u64(&w, SPAWN_A_LEFTOVERS, leftovers);
    send_on(link_fd, &w, NULL, 0);
    expect_id(SPAWN_M_STARTED, id);
    wait_for_output(2);
    return (pid_t)atoi(out_text());
}

static void wait_for_exec(pid_t pid)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;

    while (strcmp(proc_text(pid, "comm"), "sleep\n") != 0) {
        assert_true(spawn_mono_ms() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

/* It is the spawner's, and in no group of a job. */
static void wait_for_orphan(pid_t pid)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;

    wait_for_exec(pid);
    while (atoi(proc_status(pid, "PPid")) != spawner_pid) {
        assert_true(spawn_mono_ms() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

static void lives(pid_t pid)
{
    assert_int_equal(kill(pid, 0), 0);
    assert_true(proc_status(pid, "State")[0] != 'Z');
}

static void daemons_are_killed_with_their_job(void **state)
{
    pid_t killed, kept;
    spawn_id id, other;

    (void)state;
    reach_ready();
    killed = start_daemon(&id, DAEMON(""), "exec sleep 1000", 0);
    kept = start_daemon(&other, DAEMON(""), "exec sleep 1000", 0);
    wait_for_orphan(killed);
    wait_for_orphan(kept);
    order_signal(&id, SIGKILL, SPAWN_LEFT_KILL);
    expect_id(SPAWN_M_EXITED, &id);
    wait_for_reaping(killed);
    lives(kept);
    order_signal(&other, SIGKILL, SPAWN_LEFT_KILL);
    wait_for_reaping(kept);
}

/* The end of such a job is told when they have ended. */
static void daemons_have_the_grace_of_their_job(void **state)
{
    spawn_id id;
    pid_t pid;

    (void)state;
    reach_ready();
    pid = start_daemon(&id, DAEMON("trap : TERM; "), "exec sleep 1000", 0);
    wait_for_orphan(pid); /* exec gives TERM its default action again */
    order_signal(&id, SIGTERM, SPAWN_LEFT_WAIT);
    expect_id(SPAWN_M_EXITED, &id);
    assert_int_equal(number(SPAWN_A_WAIT_STATUS), SIGTERM);
    wait_for_reaping(pid);

    pid =
        start_daemon(&id, DAEMON("trap \\\"\\\" TERM; "), "exec sleep 1000", 0);
    wait_for_orphan(pid);
    order_signal(&id, SIGTERM, SPAWN_LEFT_WAIT);
    goes_on(); /* not told */
    order_signal(&id, SIGTERM, SPAWN_LEFT_WAIT);
    goes_on();
    lives(pid);
    order_signal(&id, SIGKILL, SPAWN_LEFT_KILL);
    expect_id(SPAWN_M_EXITED, &id);
    wait_for_reaping(pid);
}

/* They end by themselves meanwhile. */
static void the_end_of_the_last_daemon_is_the_end(void **state)
{
    spawn_id id;
    pid_t pid;

    (void)state;
    reach_ready();
    pid =
        start_daemon(&id, DAEMON("trap \\\"\\\" TERM; "), "exec sleep 1000", 0);
    wait_for_orphan(pid);
    order_signal(&id, SIGTERM, SPAWN_LEFT_WAIT);
    goes_on();
    assert_int_equal(kill(pid, SIGKILL), 0);
    expect_id(SPAWN_M_EXITED, &id);
    assert_int_equal(number(SPAWN_A_WAIT_STATUS), SIGTERM);
}

static void what_is_below_them_is_killed_too(void **state)
{
    spawn_id id;
    pid_t pid;

    (void)state;
    reach_ready();
    /* the parent of the one that tells is in a third session, and stays */
    pid = start_daemon(&id,
                       "setsid sh -c 'setsid sh -c \"echo \\$\\$; "
                       "exec sleep 1000\" & wait' &",
                       "exec sleep 1000", 0);
    wait_for_exec(pid);
    order_signal(&id, SIGKILL, SPAWN_LEFT_KILL);
    expect_id(SPAWN_M_EXITED, &id);
    wait_for_reaping(pid);
}

static void they_are_left_or_killed_as_the_job_says(void **state)
{
    spawn_id id, other;
    pid_t kept, killed;

    (void)state;
    reach_ready();
    kept = start_daemon(&other, DAEMON(""), "exit 0", SPAWN_LEFTOVERS_KEEP);
    expect_exit(&other, 0);
    wait_for_orphan(kept);
    killed = start_daemon(&id, DAEMON(""), "exit 3", SPAWN_LEFTOVERS_KILL);
    expect_exit(&id, 3);
    wait_for_reaping(killed);
    lives(kept);
}

/* Those that end nothing, or need not, are for the group. */
static void other_signals_do_not_reach_them(void **state)
{
    spawn_id id;
    pid_t pid;

    (void)state;
    reach_ready();
    pid = start_daemon(&id, DAEMON(""), "exec sleep 1000", 0);
    wait_for_orphan(pid);
    order_signal(&id, SIGUSR1, SPAWN_LEFT_ALONE);
    expect_id(SPAWN_M_EXITED, &id);
    goes_on();
    lives(pid);

    pid = start_daemon(&id, DAEMON(""), "exec sleep 1000", 0);
    wait_for_orphan(pid);
    order_signal(&id, SIGTERM, SPAWN_LEFT_ALONE); /* but this one is for all */
    expect_id(SPAWN_M_EXITED, &id);
    wait_for_reaping(pid);
}

/* Another attempt at the same job has left it. */
static void what_an_earlier_attempt_left_is_not_theirs(void **state)
{
    spawn_writer w;
    spawn_id id;
    pid_t pid;

    (void)state;
    reach_ready();
    pid = start_daemon(&id, DAEMON(""), "exit 0", SPAWN_LEFTOVERS_KEEP);
    expect_exit(&id, 0);
    wait_for_orphan(pid);
    send_id(SPAWN_M_FORGET, &id);
    begin_order(&w, &id, "exec sleep 1000");
    spawn_put_u64(&w, SPAWN_A_ATTEMPT, 1);
    send_on(link_fd, &w, NULL, 0);
    expect_id(SPAWN_M_STARTED, &id);
    order_signal(&id, SIGKILL, SPAWN_LEFT_KILL);
    expect_id(SPAWN_M_EXITED, &id);
    goes_on();
    lives(pid);
}

/* A daemon of another account that has the mark of this job, and minds no TERM.
 */
static pid_t start_stranger(const spawn_id *id)
{
    char first[256];
    spawn_id other;
    pid_t pid;

    (void)snprintf(first, sizeof(first),
                   DAEMON("trap \\\"\\\" TERM; prlimit --rttime=%llu: --pid "
                          "\\$\\$; "),
                   (unsigned long long)spawn_tree_mark(id, 0));
    queue = "reports";
    pid = start_daemon(&other, first, "exit 0", SPAWN_LEFTOVERS_KEEP);
    expect_exit(&other, 0);
    send_id(SPAWN_M_FORGET, &other);
    wait_for_orphan(pid);
    assert_true(spawn_tree_has_mark(pid, spawn_tree_mark(id, 0)));
    return pid;
}

/* Another release is installed. The table has this job alone. */
static void upgrade(const spawn_id *id)
{
    send_configure("0.0-another");
    expect_link(SPAWN_M_QUIT);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_id(SPAWN_M_RUNNING, id);
    expect_link(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_GO);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
}

/* Any process can take the mark of a job over. When jobs have accounts of their
 * own it counts only with that of the job, and with those that no job has. */
static void what_a_stranger_has_marked_is_not_theirs(void **state)
{
    pid_t stranger, own;
    spawn_id id;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "there is no other account");
    LEAVE_OUT_IF(access("/usr/bin/prlimit", X_OK) < 0, "without prlimit(1)");
    reach_ready();
    queue = "media";
    own = start_daemon(&id, DAEMON(""), "exec sleep 1000", 0);
    wait_for_orphan(own);
    stranger = start_stranger(&id);
    order_signal(&id, SIGTERM, SPAWN_LEFT_WAIT);
    expect_id(SPAWN_M_EXITED, &id); /* it does not hold this up */
    wait_for_reaping(own);
    lives(stranger);
    send_id(SPAWN_M_FORGET, &id);

    queue = "media";
    own = start_daemon(&id, DAEMON(""), "exec sleep 1000", 0);
    wait_for_orphan(own);
    stranger = start_stranger(&id);
    upgrade(&id);
    order_signal(&id, SIGKILL, SPAWN_LEFT_KILL);
    expect_id(SPAWN_M_EXITED, &id);
    wait_for_reaping(own);
    lives(stranger);
}

static int start_with_accounts(void **state)
{
    configure_more = put_accounts;
    return start_with_log(state);
}

static int stop_with_accounts(void **state)
{
    configure_more = NULL;
    queue = NULL;
    return stop_all(state);
}

static void without_right(void)
{
    log_to_file();
    deny_when(SYS_kill, 1, SIGTERM, EPERM);
}

static int start_without_right(void **state)
{
    new_log();
    before_exec = without_right;
    return log_fd < 0 ? -1 : start_spawner(state);
}

/* As when a set-uid program was executed: the spawner has no right to end it.
 */
static void who_is_not_reached_is_told(void **state)
{
    char text[SPAWN_ID_TEXT], line[256];
    spawn_id id;
    pid_t pid;

    (void)state;
    reach_ready();
    pid = start_daemon(&id, DAEMON(""), "exec sleep 1000", 0);
    wait_for_orphan(pid);
    order_signal(&id, SIGTERM, SPAWN_LEFT_WAIT);
    (void)snprintf(line, sizeof(line),
                   "MS0380: 1 processes of job %s that have left its process "
                   "group cannot be ended, as process %d: Operation not "
                   "permitted",
                   spawn_id_format(&id, text), (int)pid);
    expect_log(line);
    order_signal(&id, SIGKILL, SPAWN_LEFT_KILL);
    expect_id(SPAWN_M_EXITED, &id);
    wait_for_reaping(pid);
    assert_int_equal(log_count("MS0380"), 1);
}

/* Not taken for a kernel that does not list them. */
static void without_descriptors_that_is_told(void **state)
{
    char text[SPAWN_ID_TEXT], line[256];
    spawn_id id, other;
    pid_t pid;

    (void)state;
    reach_ready();
    pid = start_daemon(&id, DAEMON(""), "exec sleep 1000", 0);
    wait_for_orphan(pid);
    limit_spawner(RLIMIT_NOFILE, 3);
    order_signal(&id, SIGKILL, SPAWN_LEFT_KILL);
    (void)snprintf(line, sizeof(line),
                   "MS0383: the processes of job %s that have left its process "
                   "group cannot all be looked for: Too many open files",
                   spawn_id_format(&id, text));
    expect_log(line);
    expect_id(SPAWN_M_EXITED, &id);
    lives(pid);
    limit_spawner(RLIMIT_NOFILE, 1024);
    (void)start_daemon(&other, DAEMON(""), "exec sleep 1000", 0);
    order_signal(&other, SIGKILL, SPAWN_LEFT_KILL);
    expect_id(SPAWN_M_EXITED, &other);
    assert_int_equal(log_count("MS0382"), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start_with_log, stop_all)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(daemons_are_killed_with_their_job),
        T(daemons_have_the_grace_of_their_job),
        T(the_end_of_the_last_daemon_is_the_end),
        T(what_is_below_them_is_killed_too),
        T(they_are_left_or_killed_as_the_job_says),
        T(other_signals_do_not_reach_them),
        T(what_an_earlier_attempt_left_is_not_theirs),
        T(without_descriptors_that_is_told),
        cmocka_unit_test_setup_teardown(
            what_a_stranger_has_marked_is_not_theirs, start_with_accounts,
            stop_with_accounts),
        cmocka_unit_test_setup_teardown(who_is_not_reached_is_told,
                                        start_without_right, stop_all),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    leave_nothing();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_tree", tests, NULL, NULL);
}
