/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends of jobs: what is told of them whatever came first, however many end at
 * once, whatever they have used; and signals for jobs that are only forked,
 * that refuse, or that have left only a group.
 */
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/statfs.h>

#include "t/unit/spawner_look.h"

/* ---- what they used ---- */

static void on_one_cpu(void)
{
    cpu_set_t all, one;
    int cpu;

    (void)sched_getaffinity(0, sizeof(all), &all);
    for (cpu = 0; cpu < CPU_SETSIZE && !CPU_ISSET(cpu, &all); cpu++)
        continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    (void)sched_setaffinity(0, sizeof(one), &one);
}

static int start_on_one_cpu(void **state)
{
    before_exec = on_one_cpu;
    return start_spawner(state);
}

static uint64_t used(unsigned i)
{
    const spawn_attr *a = &message.attr[SPAWN_A_RUSAGE];

    assert_int_equal(spawn_u64v_count(a), SPAWN_RU_COUNT);
    return spawn_u64v_at(a, i);
}

/* A job that waits at the end of this gate, which all see at once. */
static void waits_at_gate(int which, const char *then)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    char script[600], ready[96];
    spawn_id id;

    (void)snprintf(ready, sizeof(ready), "%s/ready%d", dir, which);
    (void)snprintf(script, sizeof(script),
                   "exec 3<%s/gate; : >%s; read line <&3; %s", dir, ready,
                   then);
    new_id(&id);
    launch(&id, "/bin/sh", script, NULL);
    while (access(ready, F_OK) < 0) {
        assert_true(spawn_mono_ms() < until);
        (void)poll(NULL, 0, 1);
    }
}

/* Two that want the CPU for some of its slices, with many system calls. */
static void usage_is_complete(void **state)
{
    char gate[96], then[256];
    struct statfs fs;
    int fd;

    (void)state;
    reach_ready();
    (void)snprintf(gate, sizeof(gate), "%s/gate", dir);
    assert_int_equal(mkfifo(gate, 0644), 0);
    fd = open(gate, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    (void)snprintf(then, sizeof(then),
                   "dd if=/dev/zero of=/dev/null bs=1 count=150000; "
                   "exec dd if=/dev/zero of=%s/big bs=64k count=16",
                   dir);
    waits_at_gate(1, then);
    waits_at_gate(2, "exec dd if=/dev/zero of=/dev/null bs=1 count=150000");
    (void)close(fd);
    do
        next_message(link_fd, SPAWN_FROM_SPAWNER);
    while (message.header.type != SPAWN_M_EXITED);
    assert_in_range(used(SPAWN_RU_STIME_US), 1000, number(SPAWN_A_ELAPSED));
    assert_in_range(used(SPAWN_RU_NIVCSW), 1, 1000000);
    do
        next_message(link_fd, SPAWN_FROM_SPAWNER);
    while (message.header.type != SPAWN_M_EXITED);
    assert_in_range(used(SPAWN_RU_STIME_US), 1000, number(SPAWN_A_ELAPSED));
    assert_in_range(used(SPAWN_RU_NIVCSW), 1, 1000000);
    if (statfs(dir, &fs) == 0 && fs.f_type != 0x01021994) /* no tmpfs */
        assert_true(used(SPAWN_RU_OUBLOCK) <= 1 << 20);
}

/* httpd's template tells them in the place of wait4. */
static int introduce(spawn_id *id)
{
    spawn_writer w;
    int ends[2];

    new_id(id);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    begin(&w, SPAWN_M_TEMPLATE);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    send_on(control, &w, &ends[1], 1);
    (void)close(ends[1]);
    begin(&w, SPAWN_M_PRELOADED);
    spawn_put_u64(&w, SPAWN_A_CODE, SPAWN_E_OK);
    send_on(ends[0], &w, NULL, 0);
    expect_id(SPAWN_M_TEMPLATE_SAID, id);
    return ends[0];
}

static void tell(int end, uint16_t type, const spawn_id *job, pid_t pid)
{
    spawn_writer w;

    begin(&w, type);
    spawn_put_id(&w, SPAWN_A_ID, job);
    if (pid)
        spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    send_on(end, &w, NULL, 0);
}

static void run_job(int end, const spawn_id *job, const spawn_id *template,
                    pid_t pid)
{
    spawn_writer w;
    size_t mark;

    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, job);
    spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, template);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "A::b");
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    send_on(link_fd, &w, NULL, 0);
    next_message(end, SPAWN_FROM_BROKER_TO_SPAWNER);
    assert_int_equal(message.header.type, SPAWN_M_LAUNCH);
    tell(end, SPAWN_M_LAUNCHED, job, pid); /* its template says so */
    tell(end, SPAWN_M_SET_UP, job, 0);
    expect_id(SPAWN_M_STARTED, job);
}

static void tell_exit(int end, const spawn_id *job, int code,
                      const uint64_t *usage, unsigned count)
{
    spawn_writer w;

    begin(&w, SPAWN_M_CHILD_EXITED);
    spawn_put_id(&w, SPAWN_A_ID, job);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, (uint64_t)code << 8);
    if (count)
        spawn_put_u64v(&w, SPAWN_A_RUSAGE, usage, count);
    send_on(end, &w, NULL, 0);
}

static void usage_that_a_template_tells(void **state)
{
    const uint64_t usage[SPAWN_RU_COUNT] = {1ull << 40, 3, 4, 1ull << 35, 6,
                                            7,          8, 9, UINT32_MAX};
    spawn_id template, first, second, third;
    int64_t wall = spawn_wall_ms();
    int end, i;

    (void)state;
    reach_ready();
    end = introduce(&template);
    new_id(&first);
    second = third = first; /* all where the same ids are looked for */
    second.bytes[0] ^= 1;
    third.bytes[0] ^= 2;
    run_job(end, &first, &template, 4100000);
    run_job(end, &second, &template, 4100001);
    run_job(end, &third, &template, 4100002);
    tell_exit(end, &third, 1, usage, SPAWN_RU_COUNT);
    expect_exit(&third, 1);
    for (i = 0; i < SPAWN_RU_COUNT; i++)
        assert_int_equal(used((unsigned)i), i == 3 ? UINT32_MAX : usage[i]);
    assert_in_range(number(SPAWN_A_ENDED_AT), wall, spawn_wall_ms());
    tell_exit(end, &second, 2, usage, SPAWN_RU_COUNT - 1);
    expect_exit(&second, 2);
    for (i = 0; i < SPAWN_RU_COUNT; i++)
        assert_int_equal(used((unsigned)i), 0);
    tell_exit(end, &first, 3, usage, 0);
    expect_exit(&first, 3);
    for (i = 0; i < SPAWN_RU_COUNT; i++)
        assert_int_equal(used((unsigned)i), 0);
    (void)close(end);
}

/* ---- many, and in what order ---- */

#define MANY 150 /* more than are looked after in two turns */

static void however_many_end_at_once(void **state)
{
    spawn_id id;
    pid_t pids[MANY];
    int i;

    (void)state;
    reach_ready();
    for (i = 0; i < MANY; i++) {
        new_id(&id);
        launch(&id, "/bin/sh", "exec sleep 1000", NULL);
        expect_id(SPAWN_M_STARTED, &id);
        pids[i] = (pid_t)number(SPAWN_A_PID);
    }
    hold_spawner();
    for (i = 0; i < MANY; i++)
        assert_int_equal(kill(pids[i], SIGKILL), 0);
    for (i = 0; i < MANY; i++)
        wait_for_death(pids[i]);
    let_spawner_go();
    for (i = 0; i < MANY; i++)
        expect_link(SPAWN_M_EXITED);
    for (i = 0; i < MANY; i++)
        wait_for_reaping(pids[i]);
}

/* A file whose opening waits for as long as the lease is held. */
static int lease = -1;

static void launch_that_hangs(const spawn_id *id, const char *program,
                              const char *script)
{
    char path[128];

    (void)signal(SIGIO, SIG_IGN);
    (void)snprintf(path, sizeof(path), "%s/leased", dir);
    lease = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    assert_true(lease >= 0);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(fcntl(lease, F_SETLEASE, F_WRLCK), 0);
    launch_into(path, id, program, script, NULL);
}

static void give_up_lease(void)
{
    if (lease >= 0)
        (void)close(lease);
    lease = -1;
}

static int stop_spawner_and_job(void **state)
{
    if (spawner_pid > 0)
        (void)kill(spawner_pid, SIGCONT);
    give_up_lease();
    return stop_all(state);
}

/* Its process, that of one that hangs. */
static pid_t asked_for_pid(const spawn_id *id)
{
    send_id(SPAWN_M_TELL_PID, id);
    expect_id(SPAWN_M_STARTED, id);
    assert_int_equal(number(SPAWN_A_STATE), SPAWN_STATE_STARTING);
    return (pid_t)number(SPAWN_A_PID);
}

/* Of one job all comes at once, behind the death of another. */
static void begin_and_end_at_once(const char *program, const char *script,
                                  spawn_id *ret)
{
    spawn_id other;
    pid_t other_pid, pid;

    new_id(&other);
    new_id(ret);
    launch(&other, "/bin/sh", "exec sleep 1000", NULL);
    expect_id(SPAWN_M_STARTED, &other);
    other_pid = (pid_t)number(SPAWN_A_PID);
    launch_that_hangs(ret, program, script);
    pid = asked_for_pid(ret);
    hold_spawner();
    assert_int_equal(kill(other_pid, SIGKILL), 0);
    wait_for_death(other_pid);
    give_up_lease();
    wait_for_death(pid);
    let_spawner_go();
}

static void the_beginning_is_told_before_the_end(void **state)
{
    spawn_id id;

    (void)state;
    reach_ready();
    begin_and_end_at_once("/bin/sh", "exit 6", &id);
    do
        next_message(link_fd, SPAWN_FROM_SPAWNER);
    while (message.header.type != SPAWN_M_STARTED);
    do
        next_message(link_fd, SPAWN_FROM_SPAWNER);
    while (WIFSIGNALED((int)spawn_u64_or(&message, SPAWN_A_WAIT_STATUS, 0)));
    assert_int_equal(message.header.type, SPAWN_M_EXITED);
    assert_int_equal(WEXITSTATUS((int)number(SPAWN_A_WAIT_STATUS)), 6);
}

static void a_failure_comes_with_the_end(void **state)
{
    spawn_id id, got;

    (void)state;
    reach_ready();
    begin_and_end_at_once("/nonexistent", NULL, &id);
    do {
        expect_link(SPAWN_M_EXITED);
        spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
    } while (!spawn_id_equal(&got, &id));
    assert_int_equal(number(SPAWN_A_STEP), SPAWN_STEP_EXEC);
    assert_int_equal(number(SPAWN_A_ERRNO), ENOENT);
}

/* A signal ended it while it hung: it has not started, whatever is seen first.
 */
static void what_never_executed_has_not_started(void **state)
{
    spawn_id id, other;
    pid_t other_pid, pid;

    (void)state;
    reach_ready();
    new_id(&other);
    new_id(&id);
    launch(&other, "/bin/sh", "exec sleep 1000", NULL);
    expect_id(SPAWN_M_STARTED, &other);
    other_pid = (pid_t)number(SPAWN_A_PID);
    launch_that_hangs(&id, "/bin/sh", "exit 6");
    pid = asked_for_pid(&id);
    order_signal(&id, SIGCONT, 0);
    goes_on();
    hold_spawner();
    assert_int_equal(kill(other_pid, SIGKILL), 0);
    wait_for_death(other_pid);
    assert_int_equal(kill(pid, SIGKILL), 0);
    wait_for_death(pid);
    let_spawner_go();
    expect_link(SPAWN_M_EXITED);
    expect_link(SPAWN_M_EXITED);
    goes_on();
}

/* The next broker is told how far each has come. */
static void what_starts_is_told_from_what_runs(void **state)
{
    spawn_id runs, starts;

    (void)state;
    reach_ready();
    new_id(&runs);
    new_id(&starts);
    launch(&runs, "/bin/sh", "exec sleep 1000", NULL);
    expect_id(SPAWN_M_STARTED, &runs);
    launch_that_hangs(&starts, "/bin/sh", "exit 6");
    (void)asked_for_pid(&starts);
    next_broker();
    expect_id(SPAWN_M_RUNNING, &runs);
    assert_int_equal(number(SPAWN_A_STATE), SPAWN_STATE_RUNNING);
    expect_id(SPAWN_M_RUNNING, &starts);
    assert_int_equal(number(SPAWN_A_STATE), SPAWN_STATE_STARTING);
}

/* ---- jobs that a broker has given up ---- */

static void the_end_of_what_was_given_up_is_no_news(void **state)
{
    spawn_id id;
    pid_t pid;

    (void)state;
    reach_ready();
    new_id(&id);
    launch_that_hangs(&id, "/bin/sh", "exit 6");
    pid = asked_for_pid(&id);
    send_id(SPAWN_M_FORGET, &id);
    goes_on();
    give_up_lease();
    wait_for_reaping(pid);
    goes_on();                              /* nothing was told before */
    launch(&id, "/bin/sh", "exit 7", NULL); /* it is no more known */
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 7);
}

/* ---- signals ---- */

static void a_signal_reaches_the_group_once(void **state)
{
    spawn_id id;

    (void)state;
    reach_ready();
    new_id(&id);
    launch(&id, "/bin/sh",
           "trap 'echo got' USR1; trap 'exit 3' TERM; echo there; "
           "while :; do sleep 0.02; done",
           NULL);
    expect_id(SPAWN_M_STARTED, &id);
    wait_for_output(6);
    order_signal(&id, SIGUSR1, 0);
    wait_for_output(10);
    order_signal(&id, SIGTERM, 0);
    expect_exit(&id, 3);
    assert_string_equal(out_text(), "there\ngot\n");
    assert_int_equal(log_count("MS0330"), 0);
}

static void no_group_signals(void)
{
    log_to_file();
    deny_bits(SYS_kill, 0, 0x80000000, EPERM);
}

static int start_without_group_signals(void **state)
{
    new_log();
    before_exec = no_group_signals;
    return start_spawner(state);
}

static void what_is_not_reached_is_told(void **state)
{
    spawn_id id;
    pid_t pid;

    (void)state;
    reach_ready();
    new_id(&id);
    launch(&id, "/bin/sh", "kill -STOP $$; exit 5", NULL);
    expect_id(SPAWN_M_STARTED, &id);
    pid = (pid_t)number(SPAWN_A_PID);
    order_signal(&id, SIGKILL, 0);
    expect_log("MS0330: signal 9 does not reach job ");
    assert_int_equal(log_count(": Operation not permitted\n"), 1);
    goes_on();
    while (proc_status(pid, "State")[0] != 'T')
        (void)poll(NULL, 0, 1);
    assert_int_equal(kill(pid, SIGCONT), 0);
    expect_exit(&id, 5); /* it was let alone */
}

/* The next child that the spawner forks stops before its first step. */
static bool trace_forks(void)
{
    return ptrace(PTRACE_SEIZE, spawner_pid, NULL,
                  (void *)(long)PTRACE_O_TRACEFORK)
           == 0;
}

static pid_t forked_child(void)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;
    unsigned long child = 0;
    int status;

    while (!child) {
        pid_t pid = waitpid(spawner_pid, &status, WNOHANG | __WALL);

        assert_true(spawn_mono_ms() < deadline);
        if (pid == 0)
            (void)poll(NULL, 0, 1);
        else if (status >> 8 == (SIGTRAP | PTRACE_EVENT_FORK << 8))
            (void)ptrace(PTRACE_GETEVENTMSG, spawner_pid, NULL, &child);
        else if (WIFSTOPPED(status))
            (void)ptrace(PTRACE_CONT, spawner_pid, NULL,
                         (void *)(long)WSTOPSIG(status));
    }
    while (waitpid((pid_t)child, &status, __WALL) != (pid_t)child)
        assert_true(spawn_mono_ms() < deadline);
    (void)ptrace(PTRACE_DETACH, spawner_pid, NULL, NULL);
    return (pid_t)child;
}

static void what_is_only_forked_is_reached(void **state)
{
    spawn_id id;
    pid_t pid;

    (void)state;
    reach_ready();
    LEAVE_OUT_IF(!trace_forks(), "it cannot be traced");
    new_id(&id);
    launch(&id, "/bin/sh", "exit 5", NULL);
    pid = forked_child();
    order_signal(&id, SIGTERM, 0);
    goes_on();
    assert_int_equal(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
    expect_id(SPAWN_M_EXITED, &id); /* it never ran */
    assert_false(spawn_has(&message, SPAWN_A_STEP));
    assert_int_equal(number(SPAWN_A_WAIT_STATUS), SIGTERM);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start_spawner, stop_all)
#define LEASED(f)                                                              \
    cmocka_unit_test_setup_teardown(f, start_spawner, stop_spawner_and_job)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(usage_is_complete, start_on_one_cpu,
                                        stop_all),
        T(usage_that_a_template_tells),
        LEASED(however_many_end_at_once),
        LEASED(the_beginning_is_told_before_the_end),
        LEASED(a_failure_comes_with_the_end),
        LEASED(what_never_executed_has_not_started),
        LEASED(what_starts_is_told_from_what_runs),
        LEASED(the_end_of_what_was_given_up_is_no_news),
        cmocka_unit_test_setup_teardown(a_signal_reaches_the_group_once,
                                        start_with_log, stop_all),
        cmocka_unit_test_setup_teardown(what_is_not_reached_is_told,
                                        start_without_group_signals, stop_all),
        T(what_is_only_forked_is_reached),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    leave_nothing();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_exits", tests, NULL, NULL);
}
