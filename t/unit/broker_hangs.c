/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that not even KILL ends, since they wait in the kernel: they are given
 * up, and keep neither their place nor the pair.
 */
#include "common/spawn_process.h"
#include "common/spawn_retry.h"
#include "common/spawn_rule.h"

#include "t/unit/broker_jobs.h"

#include "t/unit/corner.h"

#include <sched.h>

static void wait_until_hangs(pid_t pid, bool hangs)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;

    while (spawn_os_hangs(pid) != hangs) {
        assert_true(spawn_mono_ms() < until);
        (void)sched_yield();
    }
}

/* In a wait that no signal ends but KILL, as for a disk. */
static pid_t hanging_process(int *ret_gate)
{
    int gate[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        (void)spawn_os_die_with_parent(SIGKILL);
        (void)setsid(); /* as a job does */
        (void)close(gate[1]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
        if (vfork() == 0) {
            (void)!read(gate[0], &byte, 1);
            _exit(0);
        }
#pragma GCC diagnostic pop
        _exit(0);
    }
    (void)close(gate[0]);
    *ret_gate = gate[1];
    wait_until_hangs(pid, true);
    return pid;
}

static pid_t hanging;
static int gate;

static void it_hangs(void)
{
    hanging = hanging_process(&gate);
}

static void it_hangs_no_more(void)
{
    (void)close(gate);
    (void)waitpid(hanging, NULL, 0);
}

/* A moment after KILL it is looked at, and a moment after that again. */
static void it_is_looked_at_twice(void)
{
    time_passes(1);
    quiet_for(1);
    time_passes(1);
}

static void expect_given_up(spawn_outcome outcome)
{
    char sql[160];

    end_broker();
    (void)snprintf(sql, sizeof(sql),
                   "SELECT (outcome = %d) || (text LIKE 'it cannot be"
                   " killed%%') FROM job ORDER BY seq DESC LIMIT 1",
                   (int)outcome);
    expect_sql(sql, "11");
}

static void who_cannot_be_killed_is_given_up(void **state)
{
    (void)state;
    log_is_kept = true;
    it_hangs();
    reach_go_and_call_in();
    submit_for(50, 50, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started_so(hanging, 0, false);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    it_is_looked_at_twice();
    expect_id(SPAWN_M_FORGET, &job);
    assert_int_equal(logged("MS0650"), 1);
    say_exited(&job, 0, SIGKILL); /* it ends after all: that is old news */
    expect_id(SPAWN_M_FORGET, &job);
    it_hangs_no_more();
    expect_given_up(SPAWN_OUTCOME_TIMED_OUT);
}

/* It may still have what it works on. */
static void who_cannot_be_killed_is_not_tried_again(void **state)
{
    static const uint64_t at_once[] = {SPAWN_BACKOFF_LIST, 0};
    static const uint64_t on[] = {SPAWN_RETRY_ON_TIMEOUT};
    spawn_writer w;

    (void)state;
    it_hangs();
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, 50);
    spawn_put_u64(&w, SPAWN_A_GRACE, 50);
    spawn_put_i64(&w, SPAWN_A_RETRY, 1);
    spawn_put_u64v(&w, SPAWN_A_RETRY_ON, on, 1);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, at_once, 2);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started_so(hanging, 0, false);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    it_is_looked_at_twice();
    expect_id(SPAWN_M_FORGET, &job);
    quiet_for(1);
    it_hangs_no_more();
    expect_given_up(SPAWN_OUTCOME_TIMED_OUT);
}

static void who_was_cancelled_and_cannot_be_killed_is_cancelled(void **state)
{
    (void)state;
    it_hangs();
    reach_go_and_call_in();
    submit_for(0, 0, SPAWN_REPLY_STARTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started_so(hanging, 0, false);
    expect_answer(SPAWN_M_JOB);
    kill_it(SIGKILL);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    it_is_looked_at_twice();
    expect_id(SPAWN_M_FORGET, &job);
    it_hangs_no_more();
    expect_given_up(SPAWN_OUTCOME_CANCELLED);
}

/* Its pid, which tells whether it hangs, comes after the signal was sent. */
static void who_was_killed_before_it_ran_is_given_up_too(void **state)
{
    (void)state;
    it_hangs();
    reach_go_and_call_in();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    kill_it(SIGKILL);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    time_passes(1);
    expect_id(SPAWN_M_TELL_PID, &job);
    say_started_so(hanging, 0, true);
    it_is_looked_at_twice();
    expect_id(SPAWN_M_FORGET, &job);
    it_hangs_no_more();
    expect_given_up(SPAWN_OUTCOME_CANCELLED);
}

/* It waited for a disk, for a moment: that is no reason. */
static void who_hangs_for_a_moment_is_waited_for(void **state)
{
    (void)state;
    it_hangs();
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    submit_for(0, 0, SPAWN_REPLY_STARTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started_so(hanging, 0, false);
    expect_answer(SPAWN_M_JOB);
    kill_it(SIGKILL);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    time_passes(1); /* it hangs */
    (void)close(gate);
    wait_until_hangs(hanging, false); /* and has ended, not reaped yet */
    time_passes(1);
    quiet_for(1);
    (void)waitpid(hanging, NULL, 0); /* now nothing can be seen of it */
    it_is_looked_at_twice();
    expect_id(SPAWN_M_FORGET, &job);
    expect_given_up(SPAWN_OUTCOME_CANCELLED);
}

static void a_call_is_given_up_with_its_worker(void **state)
{
    spawn_id template;
    spawn_writer w;
    worker it, next;

    (void)state;
    it_hangs();
    reach_workers(1, 1, &template);
    worker_ordered(&it);
    begin(&w, SPAWN_M_STARTED, &it.id);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)hanging);
    send_fds(&w, NULL, 0);
    worker_says(&it, NULL);
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&it, &job);
    kill_it(SIGKILL);
    expect_answer(SPAWN_M_DONE);
    expect_id(SPAWN_M_SIGNAL, &it.id);
    it_is_looked_at_twice();
    worker_ordered(&next);
    expect_id(SPAWN_M_FORGET, &it.id);
    quiet_for(1); /* the spawner knows of no other */
    it_hangs_no_more();
    expect_given_up(SPAWN_OUTCOME_CANCELLED);
}

/* httpd's own: it is killed when it is to go and does not, and nobody waits for
 * it then. */
static void a_template_of_httpds_is_given_up(void **state)
{
    const pid_t gone = 4000000;
    spawn_id template;
    spawn_writer w;

    (void)state;
    it_hangs();
    rules = "A";
    template_kind = SPAWN_TEMPLATE_PARENT;
    log_is_kept = true;
    reach_go_and_call_in();
    for (int i = 0; i < 2; i++) { /* the second takes the place of the first */
        spawn_id id;

        (void)spawn_id_make(&id);
        begin(&w, SPAWN_M_TEMPLATE_SAID, &id);
        spawn_put_u64(&w, SPAWN_A_CODE, SPAWN_E_OK);
        spawn_put_str(&w, SPAWN_A_TEXT, "");
        spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
        spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)(i ? gone : hanging));
        send_fds(&w, NULL, 0);
        if (i == 0)
            template = id;
    }
    template_kind = SPAWN_TEMPLATE_EXEC;
    expect_id(SPAWN_M_DISMISS, &template);
    time_passes(6);
    time_passes(31);
    expect_id(SPAWN_M_SIGNAL, &template);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_SIGNO]), SIGKILL);
    time_passes(6);
    expect_id(SPAWN_M_FORGET, &template);
    time_passes(60);
    quiet_for(1);
    assert_int_equal(logged("MS0603"), 1);
    it_hangs_no_more();
}

/* A process that reads there does not end, not even by KILL, until the server
 * of that file system has gone. NULL: there is no such file system here. */
static pid_t start_hangfs(const char *where, int *ret_stdin)
{
    const char *build = getenv("SPAWN_BUILD");
    char program[4096], said[8];
    int in[2], out[2];
    ssize_t n;
    pid_t pid;

    (void)snprintf(program, sizeof(program), "%s/t/hangfs",
                   build ? build : "build");
    assert_int_equal(mkdir(where, 0700), 0);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        (void)dup2(in[0], 0);
        (void)dup2(out[1], 1);
        (void)execl(program, program, where, NULL);
        _exit(77);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    n = read(out[0], said, sizeof(said));
    (void)close(out[0]);
    *ret_stdin = in[1];
    if (n > 0)
        return pid;
    (void)close(in[1]);
    (void)waitpid(pid, NULL, 0);
    return 0;
}

/* A process that waits there. It can be seen to hang when it was killed. */
static void reads_there(const char *where)
{
    char path[100], text[200] = "", byte;
    int opened[2];

    assert_int_equal(pipe2(opened, O_CLOEXEC), 0);
    (void)snprintf(path, sizeof(path), "%s/read", where);
    hanging = fork();
    if (hanging == 0) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        (void)setsid();
        (void)close(gate);
        (void)close(opened[0]);
        (void)close(opened[1]);
        (void)!read(fd, &byte, 1);
        _exit(0);
    }
    (void)close(opened[1]);
    (void)!read(opened[0], &byte, 1);
    (void)close(opened[0]);
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)hanging);
    while (!strstr(text, ") S")) { /* it reads */
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        assert_true(read(fd, text, sizeof(text) - 1) > 0);
        (void)close(fd);
    }
}

static pid_t hangfs_server;

/* A job of a spawner that has gone, which this one does not know. True
 * when it was given up. */
static bool one_without_a_spawner(const char *store_fails)
{
    char sql[160], where[90];
    int64_t started;
    pid_t session;

    (void)snprintf(where, sizeof(where), "%s/hangs", dir);
    hangfs_server = geteuid() == 0 ? start_hangfs(where, &gate) : 0;
    if (!hangfs_server)
        return false;
    if (store_fails)
        make_store_that_fails(store_fails);
    else
        make_store();
    reads_there(where);
    (void)spawn_id_make(&job);
    put_job(&job, SPAWN_STATE_RUNNING, NULL);
    assert_int_equal(spawn_os_process(hanging, &started, &session), 0);
    (void)snprintf(sql, sizeof(sql),
                   "UPDATE job SET pid = %d, boot_started = %lld,"
                   " started_at = 1000",
                   (int)hanging, (long long)started);
    run_sql(sql);
    (void)spawn_id_make(&life);
    reach_go_and_call_in();
    kill_it(SIGKILL);
    expect_answer(SPAWN_M_DONE);
    wait_until_hangs(hanging, true); /* KILL was sent */
    it_is_looked_at_twice();
    is_there();
    return true;
}

/* All who hang there are let go. */
static void it_ends_after_all(void)
{
    (void)close(gate);
    (void)waitpid(hangfs_server, NULL, 0);
    (void)waitpid(hanging, NULL, 0);
    time_passes(2);
}

static void one_without_a_spawner_is_given_up(void **state)
{
    (void)state;
    LEAVE_OUT_IF(!one_without_a_spawner(NULL),
                 "only root can have a file system that hangs");
    it_ends_after_all();
    quiet_for(1); /* nor is its end news */
    expect_given_up(SPAWN_OUTCOME_CANCELLED);
}

/* That it was given up is not stored yet. */
static void its_end_after_that_is_no_other_end(void **state)
{
    (void)state;
    log_is_kept = true;
    LEAVE_OUT_IF(!one_without_a_spawner(NO_END),
                 "only root can have a file system that hangs");
    it_ends_after_all();
    say(SPAWN_M_LINGER);
    is_there();
    time_passes(10);
    time_passes(310); /* the store is not waited for any more */
    steps[0] += 20;
    steps[1] += 20;
    expect(SPAWN_M_BYE);
    end_broker();
    assert_int_equal(logged("is not stored: it was cancelled"), 1);
}

int main(void)
{
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        STEPPED(who_cannot_be_killed_is_given_up),
        STEPPED(who_cannot_be_killed_is_not_tried_again),
        STEPPED(who_was_cancelled_and_cannot_be_killed_is_cancelled),
        STEPPED(who_was_killed_before_it_ran_is_given_up_too),
        STEPPED(who_hangs_for_a_moment_is_waited_for),
        STEPPED(a_call_is_given_up_with_its_worker),
        STEPPED(a_template_of_httpds_is_given_up),
        STEPPED(one_without_a_spawner_is_given_up),
        STEPPED(its_end_after_that_is_no_other_end)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("jobs that hang", tests, NULL, NULL);
}
