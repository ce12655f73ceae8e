/* SPDX-License-Identifier: Apache-2.0 */
/* A job's process shares the spawner's memory until it executes, where that is
 * safe and it has room; else it has memory of its own from the start. */
#include <linux/kcmp.h>
#include <sched.h>
#include <sys/mount.h>

#include "common/spawn_box.h"
#include "t/unit/spawner_look.h"

#define ROOMS 16 /* of clone.c */

static char leased_path[128];
static int lease = -1;

/* A process that opens this to write hangs, until KILL. */
static void lease_a_file(void)
{
    (void)signal(SIGIO, SIG_IGN);
    if (lease >= 0)
        (void)close(lease);
    (void)snprintf(leased_path, sizeof(leased_path), "%s/leased", dir);
    lease = open(leased_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    assert_int_equal(chmod(leased_path, 0666), 0);
    assert_int_equal(fcntl(lease, F_SETLEASE, F_WRLCK), 0);
}

static void put_hanging_stdout(spawn_writer *w)
{
    const spawn_stdio out = {SPAWN_STDIO_PATH, SPAWN_STDIO_APPEND, 0,
                             leased_path};

    spawn_put_stdio(w, SPAWN_A_STDOUT, &out);
}

/* The process of an order that hangs before it executes. */
static pid_t hangs(spawn_writer *w, const int *fds, unsigned count,
                   const spawn_id *id)
{
    put_hanging_stdout(w);
    send_on(link_fd, w, fds, count);
    send_id(SPAWN_M_TELL_PID, id);
    expect_id(SPAWN_M_STARTED, id);
    return (pid_t)number(SPAWN_A_PID);
}

static bool shares_memory(pid_t pid)
{
    return syscall(SYS_kcmp, spawner_pid, pid, KCMP_VM, 0, 0) == 0;
}

static void ends_by_kill(const spawn_id *id)
{
    order_signal(id, SIGKILL, 0);
    expect_id(SPAWN_M_EXITED, id);
    assert_int_equal(number(SPAWN_A_WAIT_STATUS), SIGKILL);
}

/* An order that hangs before it executes shares the memory, or not; it is ended
 * then. */
static void hangs_and_shares(bool shares)
{
    spawn_writer w;
    spawn_id id;
    pid_t pid;

    new_id(&id);
    begin_order(&w, &id, "exit 5");
    pid = hangs(&w, NULL, 0, &id);
    assert_int_equal(shares_memory(pid), shares);
    ends_by_kill(&id);
}

static bool can_be_seen(void)
{
    return syscall(SYS_kcmp, getpid(), spawner_pid, KCMP_VM, 0, 0) >= 0
           && !SANITIZED;
}

static void a_job_shares_it_until_it_executes(void **state)
{
    spawn_writer w;
    spawn_id id;
    pid_t pid;

    (void)state;
    reach_ready();
    LEAVE_OUT_IF(!can_be_seen(), "whose memory it is cannot be seen");
    lease_a_file();
    new_id(&id);
    begin_order(&w, &id, "exec sleep 1000");
    pid = hangs(&w, NULL, 0, &id);
    assert_true(shares_memory(pid));
    goes_on(); /* meanwhile */
    ends_by_kill(&id);

    new_id(&id);
    begin_order(&w, &id, "exec sleep 1000");
    send_on(link_fd, &w, NULL, 0);
    expect_id(SPAWN_M_STARTED, &id);
    assert_false(shares_memory((pid_t)number(SPAWN_A_PID)));
}

static void begin_long_order(spawn_writer *w, const spawn_id *id,
                             unsigned words, unsigned variables, size_t each)
{
    static char text[20000];
    size_t mark;

    memset(text, 'x', each);
    begin(w, SPAWN_M_LAUNCH);
    spawn_put_id(w, SPAWN_A_ID, id);
    mark = spawn_open_strv(w, SPAWN_A_ARGV);
    spawn_add_text(w, mark, "/bin/true", 9);
    while (--words)
        spawn_add_text(w, mark, text, each);
    spawn_close(w, mark);
    mark = spawn_open_strv(w, SPAWN_A_ENV);
    while (variables--)
        spawn_add_text(w, mark, "A=1", 3);
    spawn_close(w, mark);
}

static void big_orders_have_memory_of_their_own(void **state)
{
    static const struct {
        unsigned words, variables;
        size_t each;
        bool shares;
    } cases[] = {{127, 127, 1, true},
                 {128, 0, 1, false},
                 {1, 128, 1, false},
                 {2, 0, 16000, true},
                 {2, 0, 16384, false}};
    spawn_writer w;
    spawn_id id;
    unsigned i;
    pid_t pid;

    (void)state;
    reach_ready();
    LEAVE_OUT_IF(!can_be_seen(), "whose memory it is cannot be seen");
    lease_a_file();
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        new_id(&id);
        begin_long_order(&w, &id, cases[i].words, cases[i].variables,
                         cases[i].each);
        pid = hangs(&w, NULL, 0, &id);
        assert_int_equal(shares_memory(pid), cases[i].shares);
        ends_by_kill(&id);
    }
}

static void a_box_and_a_template_have_memory_of_their_own(void **state)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC), box;
    spawn_writer w;
    spawn_id id;
    pid_t pid;

    (void)state;
    reach_ready();
    LEAVE_OUT_IF(!can_be_seen(), "whose memory it is cannot be seen");
    lease_a_file();
    box = spawn_box_make(&fd, 1);
    assert_true(box >= 0);
    new_id(&id);
    begin_order(&w, &id, "exit 5");
    spawn_put_u64(&w, SPAWN_A_BOXED, 1);
    pid = hangs(&w, &box, 1, &id);
    assert_false(shares_memory(pid));
    ends_by_kill(&id);
    (void)close(box);
    (void)close(fd);

    new_id(&id);
    begin_order(&w, &id, "exit 5");
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 1);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "report");
    pid = hangs(&w, NULL, 0, &id);
    assert_false(shares_memory(pid));
    ends_by_kill(&id);
}

/* As many as there are rooms share it. The next process has memory of its own,
 * and a room that was left is used again. */
static void those_that_hang_keep_nobody_else_from_it(void **state)
{
    spawn_id id[ROOMS + 1];
    pid_t pid[ROOMS + 1];
    spawn_writer w;
    unsigned i;

    (void)state;
    reach_ready();
    LEAVE_OUT_IF(!can_be_seen(), "whose memory it is cannot be seen");
    lease_a_file();
    for (i = 0; i <= ROOMS; i++) {
        new_id(&id[i]);
        begin_order(&w, &id[i], "exit 5");
        pid[i] = hangs(&w, NULL, 0, &id[i]);
        assert_int_equal(shares_memory(pid[i]), i < ROOMS);
    }
    goes_on();
    for (i = 3; i < ROOMS; i += 7)
        ends_by_kill(&id[i]);
    for (i = 3; i < ROOMS; i += 7) {
        new_id(&id[i]);
        begin_order(&w, &id[i], "exit 5");
        pid[i] = hangs(&w, NULL, 0, &id[i]);
        assert_true(shares_memory(pid[i]));
    }
    new_id(&id[0]);
    begin_order(&w, &id[0], "exit 5");
    assert_false(shares_memory(hangs(&w, NULL, 0, &id[0])));
}

/* Each finds its own step and errno, though all are under way at once. */
static void what_fails_is_told_of_the_right_one(void **state)
{
    enum {
        TIMES = 200
    };
    static spawn_id ids[TIMES];
    static const struct {
        const char *program, *cwd;
        spawn_step step;
        int error;
    } cases[] = {{"/nowhere/job", NULL, SPAWN_STEP_EXEC, ENOENT},
                 {"/", NULL, SPAWN_STEP_EXEC, EACCES},
                 {"/dev/null/job", NULL, SPAWN_STEP_EXEC, ENOTDIR},
                 {"/bin/true", "/nowhere", SPAWN_STEP_CWD, ENOENT},
                 {"/bin/true", "/dev/null", SPAWN_STEP_CWD, ENOTDIR}};
    const unsigned kinds = sizeof(cases) / sizeof(cases[0]);
    unsigned i, k, left = TIMES;
    spawn_id got;

    (void)state;
    reach_ready();
    for (i = 0; i < TIMES; i++) {
        new_id(&ids[i]);
        launch(&ids[i], cases[i % kinds].program, NULL, cases[i % kinds].cwd);
    }
    while (left-- > 0) {
        next_message(link_fd, SPAWN_FROM_SPAWNER);
        assert_int_equal(message.header.type, SPAWN_M_EXITED);
        spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
        for (i = 0; !spawn_id_equal(&got, &ids[i]); i++)
            assert_true(i < TIMES - 1);
        k = i % kinds;
        assert_int_equal(number(SPAWN_A_STEP), cases[k].step);
        assert_int_equal(number(SPAWN_A_ERRNO), cases[k].error);
    }
}

/* ---- when it has executed ---- */

static void let_them_go(void)
{
    assert_int_equal(fcntl(lease, F_SETLEASE, F_UNLCK), 0);
}

/* Else the spawner looks for itself. */
static void only_who_is_waited_for_has_a_pipe(void **state)
{
    spawn_writer w;
    unsigned before;
    spawn_id id;

    (void)state;
    reach_ready();
    LEAVE_OUT_IF(!can_be_seen(), "no job shares its memory");
    lease_a_file();
    goes_on();
    before = proc_fds(spawner_pid);
    new_id(&id);
    begin_order(&w, &id, "exit 5");
    (void)hangs(&w, NULL, 0, &id);
    assert_int_equal(proc_fds(spawner_pid), before);
    ends_by_kill(&id);
    start_is_awaited = true;
    new_id(&id);
    begin_order(&w, &id, "exit 5");
    (void)hangs(&w, NULL, 0, &id);
    assert_int_equal(proc_fds(spawner_pid), before + 1);
    let_them_go();
    expect_id(SPAWN_M_STARTED, &id);
    expect_id(SPAWN_M_EXITED, &id);
}

/* Most of them; one may find the spawner slow. */
static void start_and_end_of_a_short_job_are_one_message(void **state)
{
    spawn_id id;
    int i;

    (void)state;
    reach_ready();
    LEAVE_OUT_IF(!can_be_seen(), "no job shares its memory");
    told_at_once = 0;
    for (i = 0; i < 100 && told_at_once < 3; i++) {
        new_id(&id);
        launch(&id, "/bin/true", NULL, NULL);
        expect_id(SPAWN_M_STARTED, &id);
        assert_true(number(SPAWN_A_PID) > 0);
        expect_id(SPAWN_M_EXITED, &id);
        assert_int_equal(number(SPAWN_A_WAIT_STATUS), 0);
        send_id(SPAWN_M_FORGET, &id);
    }
    assert_int_equal(told_at_once, 3);
}

/* It might have been a signal that ends it. */
static void who_is_signalled_before_it_executes_is_followed(void **state)
{
    spawn_writer w;
    spawn_id id;
    int i;

    (void)state;
    reach_ready();
    lease_a_file();
    new_id(&id);
    begin_order(&w, &id, "exit 5");
    (void)hangs(&w, NULL, 0, &id);
    order_signal(&id, SIGCONT, 0);
    goes_on();
    let_them_go();
    expect_id(SPAWN_M_STARTED, &id);
    expect_id(SPAWN_M_EXITED, &id);
    assert_int_equal(WEXITSTATUS((int)number(SPAWN_A_WAIT_STATUS)), 5);
    for (i = 0; i < 50; i++) {
        new_id(&id);
        launch(&id, "/bin/sh", "exec sleep 1000", NULL);
        order_signal(&id, SIGCONT, 0);
        expect_id(SPAWN_M_STARTED, &id);
        ends_by_kill(&id);
    }
}

static void begin_hanging(spawn_writer *w, const spawn_id *id,
                          const char *program)
{
    size_t mark;

    begin(w, SPAWN_M_LAUNCH);
    spawn_put_id(w, SPAWN_A_ID, id);
    mark = spawn_open_strv(w, SPAWN_A_ARGV);
    spawn_add_text(w, mark, program, strlen(program));
    spawn_add_text(w, mark, "1000", 4);
    spawn_close(w, mark);
    mark = spawn_open_strv(w, SPAWN_A_ENV);
    spawn_close(w, mark);
}

static void upgrades(unsigned jobs)
{
    send_configure("another");
    expect_link(SPAWN_M_QUIT);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    while (jobs-- > 0)
        expect_link(SPAWN_M_RUNNING);
    expect_link(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_GO);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
}

/* A process that hangs meanwhile shares the memory of nobody afterwards. */
static void an_upgrade_loses_sight_of_none(void **state)
{
    spawn_id runs, fails, killed, again, got;
    unsigned left = 3;
    spawn_writer w;

    (void)state;
    reach_ready();
    lease_a_file();
    new_id(&runs);
    begin_hanging(&w, &runs, "/bin/sleep");
    (void)hangs(&w, NULL, 0, &runs);
    new_id(&fails);
    begin_hanging(&w, &fails, "/nowhere/job");
    (void)hangs(&w, NULL, 0, &fails);
    new_id(&killed);
    begin_hanging(&w, &killed, "/bin/sleep");
    (void)hangs(&w, NULL, 0, &killed);
    upgrades(3);
    goes_on(); /* nothing is told of them */
    ends_by_kill(&killed);
    new_id(&again);
    begin_hanging(&w, &again, "/nowhere/job");
    (void)hangs(&w, NULL, 0, &again);
    let_them_go();
    while (left > 0) {
        next_message(link_fd, SPAWN_FROM_SPAWNER);
        spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
        if (spawn_id_equal(&got, &runs)) {
            assert_int_equal(message.header.type, SPAWN_M_STARTED);
        }
        else {
            assert_int_equal(message.header.type, SPAWN_M_EXITED);
            assert_true(spawn_id_equal(&got, &fails)
                        || spawn_id_equal(&got, &again));
            assert_int_equal(number(SPAWN_A_STEP), SPAWN_STEP_EXEC);
            assert_int_equal(number(SPAWN_A_ERRNO), ENOENT);
        }
        left--;
    }
    ends_by_kill(&runs);
}

/* ---- where it cannot be ---- */

static void deny_sharing(void)
{
    deny_bits(SYS_clone, 0, CLONE_VM, EPERM);
}

/* In a spawner that is started with this. */
static void hangs_and_shares_with(void (*before)(void), bool shares)
{
    before_exec = before;
    assert_int_equal(start_spawner(NULL), 0);
    reach_ready();
    lease_a_file();
    hangs_and_shares(shares);
    assert_int_equal(stop_all(NULL), 0);
}

static void where_it_is_forbidden_jobs_are_forked(void **state)
{
    (void)state;
    hangs_and_shares_with(deny_sharing, false);
}

static void without_memory_for_it_jobs_are_forked(void **state)
{
    struct rlimit r = {0, RLIM_INFINITY};

    (void)state;
    reach_ready();
    LEAVE_OUT_IF(!can_be_seen(), "whose memory it is cannot be seen");
    lease_a_file();
    r.rlim_cur = (rlim_t)proc_pages(spawner_pid) * 4096 + (1 << 20);
    assert_int_equal(prlimit(spawner_pid, RLIMIT_AS, &r, NULL), 0);
    hangs_and_shares(false);
}

/* ---- fs.suid_dumpable ---- */

static const char *dumpable;

/* For the spawner only, whose mounts are its own. */
static void set_dumpable(void)
{
    char path[128];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/suid_dumpable", dir);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    (void)!write(fd, dumpable, strlen(dumpable));
    (void)close(fd);
    if (unshare(CLONE_NEWNS) < 0
        || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
        || mount(path, "/proc/sys/fs/suid_dumpable", NULL, MS_BIND, NULL) < 0)
        _exit(96);
}

static void shares_where_others_may_look(const char *value, bool shares)
{
    dumpable = value;
    hangs_and_shares_with(set_dumpable, shares);
}

static int can_mount(void)
{
    return unshare(CLONE_NEWNS) == 0
                   && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0
                   && mount("/dev/null", "/proc/sys/fs/suid_dumpable", NULL,
                            MS_BIND, NULL)
                          == 0
               ? 0
               : 1;
}

static void where_others_may_look_it_is_not_shared(void **state)
{
    (void)state;
    LEAVE_OUT_IF(geteuid() != 0 || SANITIZED || in_a_child(can_mount) != 0,
                 "what the system says cannot be played");
    shares_where_others_may_look("0\n", true);
    shares_where_others_may_look("1\n", false);
    shares_where_others_may_look("2\n", false);
    shares_where_others_may_look("", false);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start_spawner, stop_all)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(a_job_shares_it_until_it_executes),
        T(big_orders_have_memory_of_their_own),
        T(a_box_and_a_template_have_memory_of_their_own),
        T(those_that_hang_keep_nobody_else_from_it),
        T(what_fails_is_told_of_the_right_one),
        T(only_who_is_waited_for_has_a_pipe),
        T(start_and_end_of_a_short_job_are_one_message),
        T(who_is_signalled_before_it_executes_is_followed),
        T(an_upgrade_loses_sight_of_none),
        cmocka_unit_test(where_it_is_forbidden_jobs_are_forked),
        T(without_memory_for_it_jobs_are_forked),
        cmocka_unit_test(where_others_may_look_it_is_not_shared),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    leave_nothing();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_clone", tests, NULL, NULL);
}
