/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A template of httpd's that is stopped, or hangs: the broker has the spawner
 * kill in its place, sees what it leaves undone, and has it killed. This
 * program plays the spawner, and has a process for the template, whose child is
 * the job. The protocol of broker_jobs.h.
 */
#include "common/spawn_process.h"

#include "t/unit/broker_jobs.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

static pid_t its_template, its_job;
static spawn_id template;
static int64_t job_started;
static int gate;               /* the job ends when it is closed */
static bool first_thread_ends; /* of the job; another one goes on */

static char state_of(pid_t pid)
{
    int64_t cpu;
    char state;

    return spawn_os_state(pid, &state, &cpu) < 0 ? '-' : state;
}

static void wait_until_state(pid_t pid, char state)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;

    while (state_of(pid) != state) {
        assert_true(spawn_mono_ms() < until);
        (void)sched_yield();
    }
}

static void wait_until_it_has_ended(void)
{
    struct pollfd p = {spawn_os_pidfd(its_job), POLLIN, 0};

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    (void)close(p.fd);
}

static void *go_on(void *to_read)
{
    char byte;

    (void)!read(*(int *)to_read, &byte, 1);
    _exit(3);
}

static void be_the_job(int to_read)
{
    static int of_threads;
    pthread_t thread;

    of_threads = to_read;
    (void)setsid();
    if (first_thread_ends
        && pthread_create(&thread, NULL, go_on, &of_threads) == 0)
        pthread_exit(NULL);
    (void)go_on(&of_threads);
}

static void be_the_template(const int *gates, int told, bool reaps)
{
    pid_t pid;

    (void)spawn_os_die_with_parent(SIGKILL);
    (void)close(gates[1]);
    (void)setsid();
    pid = fork();
    if (pid == 0)
        be_the_job(gates[0]);
    (void)!write(told, &pid, sizeof(pid));
    if (reaps)
        (void)waitpid(pid, NULL, 0);
    for (;;)
        (void)pause();
}

static void template_has_a_job(bool reaps)
{
    int gates[2], told[2];
    pid_t session;

    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    assert_int_equal(pipe2(gates, O_CLOEXEC), 0);
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    its_template = fork();
    if (its_template == 0)
        be_the_template(gates, told[1], reaps);
    (void)close(gates[0]);
    gate = gates[1];
    (void)close(told[1]);
    assert_int_equal(read(told[0], &its_job, sizeof(its_job)), sizeof(its_job));
    (void)close(told[0]);
    do {
        assert_int_equal(spawn_os_process(its_job, &job_started, &session), 0);
    } while (session != its_job);
}

static void let_the_job_end(void)
{
    if (gate >= 0)
        (void)close(gate);
    gate = -1;
}

/* Ends the processes that are left. */
static int tear_down_processes(void **state)
{
    let_the_job_end();
    if (its_template > 0)
        (void)kill(its_template, SIGKILL);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
    its_template = 0;
    first_thread_ends = false;
    template_kind = SPAWN_TEMPLATE_EXEC;
    return tear_down_clock(state);
}

static void say_ready(spawn_id *ret, pid_t pid)
{
    spawn_writer w;

    (void)spawn_id_make(ret);
    begin(&w, SPAWN_M_TEMPLATE_SAID, ret);
    spawn_put_u64(&w, SPAWN_A_CODE, SPAWN_E_OK);
    spawn_put_str(&w, SPAWN_A_TEXT, "");
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    send_fds(&w, NULL, 0);
}

static void template_is_ready(void)
{
    template_kind = SPAWN_TEMPLATE_PARENT;
    rules = "A";
    log_is_kept = true;
    reach_go_and_call_in();
    say_ready(&template, its_template);
    is_there();
}

static void say_job_runs(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_STARTED, &job);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)its_job);
    spawn_put_u64(&w, SPAWN_A_MONO_STARTED, (uint64_t)spawn_mono_ms());
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)job_started);
    send_fds(&w, NULL, 0);
    is_there();
}

static void a_job_of_it_runs(bool reaps)
{
    spawn_writer w;

    template_has_a_job(reaps);
    template_is_ready();
    begin_function(&w, &job);
    function_is_ordered(&w, &job, &template);
    say_job_runs();
}

/* It is seen, and is still so 30 s later. */
static void long_enough_passes(void)
{
    time_passes(6);
    quiet_for(1);
    time_passes(31);
}

/* Its job is killed again each second, where that is wanted. */
static void expect_the_template_is_killed(void)
{
    spawn_id of = {{0}};

    do {
        expect(SPAWN_M_SIGNAL);
        spawn_attr_id(&message.attr[SPAWN_A_ID], &of);
    } while (spawn_has(&message, SPAWN_A_PID));
    assert_true(spawn_id_equal(&of, &template));
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_SIGNO]), SIGKILL);
    wait_until_logged("MS0603", 1);
}

static void job_is_reaped(int status)
{
    int found;

    assert_int_equal(waitpid(its_job, &found, 0), its_job);
    assert_int_equal(found, status);
}

static bool is_said_of(const spawn_id *id)
{
    const spawn_attr *a =
        &message
             .attr[spawn_has(&message, SPAWN_A_IDS) ? SPAWN_A_IDS : SPAWN_A_ID];
    size_t at;

    for (at = 0; at + SPAWN_ID_SIZE <= a->length; at += SPAWN_ID_SIZE) {
        if (memcmp(a->data + at, id->bytes, SPAWN_ID_SIZE) == 0)
            return true;
    }
    return false;
}

/* Which one is first, the kernel decides. */
static void both_are_forgotten(void)
{
    bool of_template = false, of_job = false;

    while (!of_template || !of_job) {
        expect(SPAWN_M_FORGET);
        of_template = of_template || is_said_of(&template);
        of_job = of_job || is_said_of(&job);
    }
}

/* As the spawner tells it. The job is reaped by somebody else. */
static void the_template_is_gone(int status)
{
    spawn_writer w;

    assert_int_equal(kill(its_template, SIGKILL), 0);
    assert_int_equal(waitpid(its_template, NULL, 0), its_template);
    its_template = 0;
    job_is_reaped(status);
    begin(&w, SPAWN_M_ORPHANED, &job);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)its_job);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)job_started);
    send_fds(&w, NULL, 0);
    say_exited(&template, 0, SIGKILL);
}

static void kill_the_job(void)
{
    kill_it(SIGKILL);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
}

/* It is told which process that is. */
static void it_is_to_be_killed_in_its_place(const spawn_id *id)
{
    expect_id(SPAWN_M_SIGNAL, id);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_SIGNO]), SIGKILL);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), its_job);
    assert_int_equal(kill(its_job, SIGKILL), 0);
    wait_until_state(its_job, 'Z');
}

/* And what is in its way, and wanted by nobody. */
static bool in_its_place_comes(int ms)
{
    struct pollfd p = {link_fd, POLLIN, 0};

    while (poll(&p, 1, ms) > 0) {
        any_message();
        if (message.header.type == SPAWN_M_SIGNAL
            && spawn_has(&message, SPAWN_A_PID))
            return true;
    }
    return false;
}

static void it_is_killed_in_its_place(void **state)
{
    (void)state;
    a_job_of_it_runs(false);
    kill_the_job();
    time_passes(2);
    it_is_to_be_killed_in_its_place(&job);
    time_passes(6);
    assert_true(in_its_place_comes(DEADLINE_MS)); /* it may have forked */
    time_passes(31);
    expect_the_template_is_killed();
    the_template_is_gone(SIGKILL);
    both_are_forgotten();
    if (ends_are_told())
        expect_end("4 - 9"); /* cancelled */
}

/* Or it may be somebody's by now. */
static void a_number_that_is_no_child_of_it_is_left(void **state)
{
    const pid_t other = fork();

    (void)state;
    if (other == 0) {
        (void)spawn_os_die_with_parent(SIGKILL);
        (void)setsid();
        for (;;)
            (void)pause();
    }
    a_job_of_it_runs(true);
    let_the_job_end();
    wait_until_state(its_job, '-');
    its_job = other;
    say_job_runs();
    kill_the_job();
    time_passes(2);
    time_passes(2);
    assert_false(in_its_place_comes(1));
    assert_int_not_equal(state_of(other), 'Z');
    assert_int_equal(kill(other, SIGKILL), 0);
    assert_int_equal(waitpid(other, NULL, 0), other);
}

static void one_whose_job_has_ended_is_killed(void **state)
{
    (void)state;
    a_job_of_it_runs(false);
    let_the_job_end();
    wait_until_state(its_job, 'Z');
    long_enough_passes();
    expect_the_template_is_killed();
    the_template_is_gone(3 << 8);
    both_are_forgotten();
}

static void one_whose_job_lives_is_not(void **state)
{
    (void)state;
    a_job_of_it_runs(false);
    long_enough_passes();
    long_enough_passes();
    quiet_for(1);
    assert_int_equal(logged("MS0603"), 0);
}

/* The kernel shows such a process as one that has ended, but for the count of
 * its threads. */
static void nor_one_whose_job_has_lost_its_first_thread(void **state)
{
    (void)state;
    first_thread_ends = true;
    a_job_of_it_runs(false);
    wait_until_state(its_job, 'Z');
    long_enough_passes();
    long_enough_passes();
    quiet_for(1);
    assert_int_equal(logged("MS0603"), 0);
    let_the_job_end();
    wait_until_it_has_ended();
    long_enough_passes();
    expect_the_template_is_killed();
}

/* Another one takes its place. */
static void it_is_to_go(void)
{
    spawn_id next;

    say_ready(&next, 4000000);
    expect_id(SPAWN_M_DISMISS, &template);
}

static void one_that_is_to_go_and_has_no_job_is_killed(void **state)
{
    (void)state;
    template_has_a_job(true);
    let_the_job_end();
    template_is_ready();
    it_is_to_go();
    long_enough_passes();
    expect_the_template_is_killed();
}

static void with_a_job_it_stays_until_that_has_ended(void **state)
{
    (void)state;
    a_job_of_it_runs(true);
    it_is_to_go();
    long_enough_passes();
    long_enough_passes();
    quiet_for(1);
    let_the_job_end();
    wait_until_state(its_job, '-');
    say_exited(&job, 0, 3 << 8);
    expect_id(SPAWN_M_FORGET, &job);
    long_enough_passes();
    expect_the_template_is_killed();
}

/* Whose process is that of its job. */
static void it_has_a_worker(worker *ret)
{
    spawn_writer w;

    template_has_a_job(false);
    workers_min = workers_max = 1;
    make_inbox();
    template_is_ready();
    worker_ordered(ret);
    begin(&w, SPAWN_M_STARTED, &ret->id);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)its_job);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)job_started);
    send_fds(&w, NULL, 0);
    worker_says(ret, NULL);
}

/* Neither its template nor the spawner sees that it does not leave. */
static void a_worker_of_it_is_killed_too(void **state)
{
    worker it, next;

    (void)state;
    it_has_a_worker(&it);
    is_there();
    it_is_to_go(); /* and so is its worker */
    worker_starts(&next);
    worker_says(&next, NULL);
    time_passes(11);
    expect(SPAWN_M_SIGNAL);
    assert_int_equal(logged("MS0611"), 1);
    time_passes(6);
    it_is_to_be_killed_in_its_place(&it.id);
    time_passes(6);
    time_passes(31);
    expect_the_template_is_killed();
}

/* Its job was reaped, and this process of ours has got its number since. */
static pid_t another_has_its_number(bool ends)
{
    const pid_t other = fork();
    spawn_writer w;

    if (other == 0) {
        (void)spawn_os_die_with_parent(SIGKILL);
        while (!ends)
            (void)pause();
        _exit(0);
    }
    template_has_a_job(true);
    template_is_ready();
    begin_function(&w, &job);
    function_is_ordered(&w, &job, &template);
    let_the_job_end();
    wait_until_state(its_job, '-');
    its_job = other;
    say_job_runs();
    if (ends)
        wait_until_state(other, 'Z');
    return other;
}

static void over(pid_t other)
{
    (void)kill(other, SIGKILL);
    assert_int_equal(waitpid(other, NULL, 0), other);
}

static void who_has_its_jobs_number_does_not_keep_it(void **state)
{
    const pid_t other = another_has_its_number(false);

    (void)state;
    it_is_to_go();
    long_enough_passes();
    expect_the_template_is_killed();
    over(other);
}

static void nor_is_it_killed_for_what_others_do_not_reap(void **state)
{
    const pid_t other = another_has_its_number(true);

    (void)state;
    long_enough_passes();
    long_enough_passes();
    quiet_for(1);
    assert_int_equal(logged("MS0603"), 0);
    over(other);
}

/* Others are none of its children, whatever is known of them. */
static void that_another_job_starts_is_no_reason_to_stay(void **state)
{
    (void)state;
    template_has_a_job(true);
    let_the_job_end();
    template_is_ready();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    it_is_to_go();
    long_enough_passes();
    expect_the_template_is_killed();
}

/* It leaves when its worker does, which has a call. */
static void with_a_worker_that_has_a_call_it_stays(void **state)
{
    spawn_id call;
    worker it;

    (void)state;
    it_has_a_worker(&it);
    submit(&call, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&it, &call);
    it_is_to_go();
    long_enough_passes();
    long_enough_passes();
    assert_int_equal(logged("MS0603"), 0);
}

/* It may be slow. */
static void it_has_its_time_and_is_killed_once(void **state)
{
    (void)state;
    a_job_of_it_runs(false);
    let_the_job_end();
    wait_until_state(its_job, 'Z');
    time_passes(6);
    time_passes(6);
    time_passes(6);
    quiet_for(1);
    assert_int_equal(logged("MS0603"), 0);
    time_passes(31);
    expect_the_template_is_killed();
    long_enough_passes();
    long_enough_passes();
    quiet_for(1);
}

int main(void)
{
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_processes)
    const struct CMUnitTest tests[] = {
        STEPPED(it_is_killed_in_its_place),
        STEPPED(a_number_that_is_no_child_of_it_is_left),
        STEPPED(one_whose_job_has_ended_is_killed),
        STEPPED(one_whose_job_lives_is_not),
        STEPPED(nor_one_whose_job_has_lost_its_first_thread),
        STEPPED(one_that_is_to_go_and_has_no_job_is_killed),
        STEPPED(with_a_job_it_stays_until_that_has_ended),
        STEPPED(a_worker_of_it_is_killed_too),
        STEPPED(that_another_job_starts_is_no_reason_to_stay),
        STEPPED(with_a_worker_that_has_a_call_it_stays),
        STEPPED(it_has_its_time_and_is_killed_once),
        STEPPED(who_has_its_jobs_number_does_not_keep_it),
        STEPPED(nor_is_it_killed_for_what_others_do_not_reap)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("templates that are deaf", tests, NULL,
                                       NULL);
}
