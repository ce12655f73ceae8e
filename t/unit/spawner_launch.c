/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders that cannot be obeyed for want of processes, descriptors or memory, in
 * the spawner and in the process that it has forked: each is told with its step
 * and errno, nothing is left of it, and the next one is obeyed. And templates
 * of the spawner's own: they get their link, and their jobs are not lost with
 * them.
 */
#include "common/spawn_box.h"
#include "t/unit/spawner_look.h"

/* With an account that has no other processes and may have two. */
static void as_lonely(void)
{
    const struct rlimit two = {2, 2};
    spawn_id chance;
    uid_t uid;

    if (geteuid() != 0)
        return;
    (void)spawn_id_make(&chance);
    uid = 20000 + chance.bytes[SPAWN_ID_SIZE - 1]
          + chance.bytes[SPAWN_ID_SIZE - 2] % 64 * 256u;
    (void)setrlimit(RLIMIT_NPROC, &two);
    if (syscall(SYS_setresuid, uid, uid, uid) < 0)
        _exit(94);
}

static int start_as_lonely(void **state)
{
    before_exec = as_lonely;
    return start_spawner(state);
}

static void send_template(const spawn_id *id, const char *script)
{
    spawn_writer w;

    begin_order(&w, id, script);
    put_out(&w);
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 1);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "report");
    send_on(link_fd, &w, NULL, 0);
}

/* Of a program and of a template. */
static void expect_both_fail(spawn_step step, int error, int of_template)
{
    spawn_id id;

    new_id(&id);
    launch(&id, "/bin/true", NULL, NULL);
    expect_failed(&id, step, error);
    send_id(SPAWN_M_FORGET, &id);
    new_id(&id);
    send_template(&id, "exit 4");
    expect_failed(&id, step, of_template);
    send_id(SPAWN_M_FORGET, &id);
}

/* A descriptor that a caller passed is not closed in passing. */
static void order_with_a_slow_box(void)
{
    int slow, other, box;
    spawn_writer w;
    spawn_id id;

    slow = slow_to_close(&other);
    box = spawn_box_make(&slow, 1);
    assert_true(box >= 0);
    (void)close(slow);
    new_id(&id);
    begin_order(&w, &id, "exit 4");
    spawn_put_u64(&w, SPAWN_A_BOXED, 1);
    hold_spawner(); /* or it could be closed here last */
    send_on(link_fd, &w, &box, 1);
    (void)close(box);
    let_spawner_go();
    expect_failed(&id, SPAWN_STEP_FORK, EAGAIN);
    send_id(SPAWN_M_FORGET, &id);
    (void)close(other);
}

static void no_process_is_left(void **state)
{
    unsigned before;
    int i;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "the account may have other processes");
    reach_ready();
    expect_both_fail(SPAWN_STEP_FORK, EAGAIN, EAGAIN);
    before = proc_fds(spawner_pid);
    for (i = 0; i < 3; i++)
        expect_both_fail(SPAWN_STEP_FORK, EAGAIN, EAGAIN);
    assert_int_equal(proc_fds(spawner_pid), before);
    order_with_a_slow_box();
    expect_both_fail(SPAWN_STEP_FORK, EAGAIN, EAGAIN);
}

/* A broker that was taken over may pass anything, in a box or not: neither an
 * order that fails nor a job that is forgotten holds the spawner up. */
static void what_closes_slowly_is_not_waited_for(void **state)
{
    spawn_id id, none;
    int kept;

    (void)state;
    reach_ready();
    for (kept = 0; kept < 2; kept++) {
        const uint64_t keep[] = {0, SPAWN_KEEP_OUT_PIPE};
        int slow, other;
        spawn_writer w;

        slow = slow_to_close(&other);
        new_id(&id);
        new_id(&none);
        begin_order(&w, &id, "exit 4");
        spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, &none);
        if (kept)
            spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 2);
        hold_spawner(); /* or it could be closed here last */
        send_on(link_fd, &w, &slow, 1);
        (void)close(slow);
        let_spawner_go();
        expect_failed(&id, SPAWN_STEP_TEMPLATE, ESRCH);
        send_id(SPAWN_M_FORGET, &id);
        new_id(&id); /* no process, which could have a copy to close */
        begin_order(&w, &id, "exit 4");
        spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, &none);
        send_on(link_fd, &w, NULL, 0);
        expect_failed(&id, SPAWN_STEP_TEMPLATE, ESRCH);
        (void)close(other);
    }
}

/* Some descriptors are enough for a pipe, more for a template's link. */
static void no_descriptor_is_left(void **state)
{
    int told[2] = {0, 0};
    unsigned before;
    spawn_id id;
    rlim_t most;

    (void)state;
    reach_ready();
    goes_on();
    before = proc_fds(spawner_pid);
    for (most = 4; most < 60; most++) {
        int kind;

        limit_spawner(RLIMIT_NOFILE, most);
        for (kind = 0; kind < 2; kind++) {
            start_is_awaited = kind == 0; /* the other is forked anyway */
            new_id(&id);
            if (kind)
                send_template(&id, "exit 4");
            else
                launch(&id, "/bin/true", NULL, NULL);
            expect_link(SPAWN_M_EXITED);
            told[kind] += number(SPAWN_A_STEP) == SPAWN_STEP_FORK
                          && number(SPAWN_A_ERRNO) == EMFILE;
            send_id(SPAWN_M_FORGET, &id);
        }
    }
    assert_true(told[0] > 3 && told[1] > told[0]);
    limit_spawner(RLIMIT_NOFILE, 1000);
    goes_on();
    assert_int_equal(proc_fds(spawner_pid), before);
}

/* The descriptors that a job's process needs above those that the job can ask
 * for. */
static void its_process_lacks_descriptors(void **state)
{
    (void)state;
    reach_ready();
    limit_spawner(RLIMIT_NOFILE, 64);
    expect_both_fail(SPAWN_STEP_FDS, EINVAL, EINVAL);
    limit_spawner(RLIMIT_NOFILE, 65);
    {
        spawn_id id;

        new_id(&id);
        send_template(&id, "exit 4");
        expect_failed(&id, SPAWN_STEP_FDS, EMFILE);
    }
    limit_spawner(RLIMIT_NOFILE, 1000);
    goes_on();
}

#define WORDS 300

static void send_words(const spawn_id *id, bool in_environment)
{
    unsigned i;
    spawn_writer w;
    size_t mark;

    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, id);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/sh", 7);
    spawn_add_text(&w, mark, "-c", 2);
    spawn_add_text(&w, mark, "echo $# $V299", 13);
    for (i = 0; i < WORDS && !in_environment; i++)
        spawn_add_text(&w, mark, "x", 1);
    spawn_close(&w, mark);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    for (i = 0; i < WORDS && in_environment; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "V%u=%u", i, i);
        spawn_add_text(&w, mark, text, strlen(text));
    }
    spawn_close(&w, mark);
    put_out(&w);
    send_on(link_fd, &w, NULL, 0);
}

static void its_process_lacks_memory(void **state)
{
    spawn_id id;
    int i;

    (void)state;
    reach_ready();
    for (i = 0; i < 2; i++) {
        limit_spawner(RLIMIT_AS, 4096);
        new_id(&id);
        send_words(&id, i);
        expect_failed(&id, SPAWN_STEP_EXEC, ENOMEM);
        limit_spawner(RLIMIT_AS, RLIM_INFINITY);
        new_id(&id);
        send_words(&id, i);
        expect_id(SPAWN_M_STARTED, &id);
        expect_exit(&id, 0);
    }
    assert_string_equal(out_text(), "299\n0 299\n");
}

/* Notes of templates need memory; what there is is used up at some time. */
static void the_spawner_lacks_memory(void **state)
{
    unsigned before;
    spawn_id id;
    int i;

    (void)state;
    reach_ready();
    goes_on();
    limit_spawner(RLIMIT_AS, 4096);
    for (i = 0; i < 4000; i++) { /* held without a handle: memory only */
        new_id(&id);
        send_id(SPAWN_M_HOLD, &id);
    }
    before = proc_fds(spawner_pid);
    for (i = 0; i < 3; i++) {
        new_id(&id);
        send_template(&id, "exit 4");
        expect_failed(&id, SPAWN_STEP_FORK, ENOMEM);
        send_id(SPAWN_M_FORGET, &id);
    }
    limit_spawner(RLIMIT_AS, RLIM_INFINITY);
    goes_on();
    assert_int_equal(proc_fds(spawner_pid), before);
}

/* Numbers from 64 on cannot be watched. */
static void watch_few(void)
{
    log_to_file();
    deny_bits(SYS_epoll_ctl, 2, 64, ENOMEM);
}

static int start_watching_few(void **state)
{
    new_log();
    before_exec = watch_few;
    return start_spawner(state);
}

static void what_cannot_be_watched_is_its_end(void **state)
{
    int fds[SPAWN_JOB_FDS_MAX], i, status;
    spawn_writer w;
    spawn_id id;

    (void)state;
    reach_ready();
    goes_on();
    for (i = 0; i < SPAWN_JOB_FDS_MAX; i++)
        fds[i] = handover;
    for (i = 0; i < 64; i += SPAWN_JOB_FDS_MAX) {
        new_id(&id);
        begin(&w, SPAWN_M_HOLD);
        spawn_put_id(&w, SPAWN_A_ID, &id);
        send_on(link_fd, &w, fds, SPAWN_JOB_FDS_MAX);
    }
    new_id(&id);
    start_is_awaited = true;
    launch(&id, "/bin/true", NULL, NULL);
    status = spawner_ends();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    expect_log("MS0302: the spawner ends: Cannot allocate memory");
}

/* An order whose descriptors find no room, of a job that is there already. */
static void an_order_cut_twice(void **state)
{
    const uint64_t keep[] = {0, 1, 1, 2, 2, 3, 3, 4};
    int fds[4] = {0, 0, 0, 0}, i;
    spawn_writer w;
    spawn_id id;

    (void)state;
    reach_ready();
    goes_on();
    new_id(&id);
    limit_spawner(RLIMIT_NOFILE, 5);
    for (i = 0; i < 2; i++) {
        begin_order(&w, &id, "exit 4");
        spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 8);
        send_on(link_fd, &w, fds, 4);
    }
    expect_failed(&id, SPAWN_STEP_FDS, EMFILE);
    limit_spawner(RLIMIT_NOFILE, 1000);
    goes_on();
}

/* With these descriptors, in a box or not. */
static void order_with(const int *fds, unsigned count, bool boxed)
{
    spawn_writer w;
    spawn_id id;

    new_id(&id);
    begin_order(&w, &id, "exit 4");
    if (boxed)
        spawn_put_u64(&w, SPAWN_A_BOXED, 1);
    send_on(link_fd, &w, fds, count);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 4);
    send_id(SPAWN_M_FORGET, &id);
}

/* Descriptors that the broker has made are closed at once and by the spawner
 * itself: the broker is its only child. */
static void what_came_with_an_order_is_closed(void **state)
{
    char path[64], only[32];
    int fds[2];
    unsigned before;

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    reach_ready();
    goes_on();
    before = proc_fds(spawner_pid);
    order_with(fds, 2, false);
    (void)close(fds[1]);
    fds[1] = spawn_os_memfd("board");
    order_with(fds, 2, false);
    spawn_close_fds(fds, 2);
    order_with(NULL, 0, true); /* a box that is not there */
    goes_on();
    assert_int_equal(proc_fds(spawner_pid), before);
    (void)snprintf(path, sizeof(path), "task/%d/children", (int)spawner_pid);
    (void)snprintf(only, sizeof(only), "%d ", (int)broker_pid());
    assert_string_equal(proc_text(spawner_pid, path), only);
}

/* ---- templates of its own ---- */

/* Two processes that their parent left: the spawner's children. */
#define TWO_CHILDREN                                                           \
    "for i in 1 2; do (sleep 1000 & echo $!); done; "                          \
    "readlink /proc/self/fd/3; readlink /proc/self/fd/4; exec sleep 1000"

static spawn_id template;
static pid_t template_pid, children[2];

/* Our copy of the end that the template has. */
static int start_template(void)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;
    spawn_writer w;
    int pidfd, link;

    new_id(&template);
    send_template(&template, TWO_CHILDREN);
    expect_id(SPAWN_M_STARTED, &template);
    template_pid = (pid_t)number(SPAWN_A_PID);
    wait_for_output(1);
    while (!strstr(out_text(), "socket:")) {
        assert_true(spawn_mono_ms() < deadline);
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(sscanf(out_text(), "%d\n%d", &children[0], &children[1]),
                     2);
    pidfd = spawn_os_pidfd(template_pid);
    link = (int)syscall(SYS_pidfd_getfd, pidfd, 3, 0);
    (void)close(pidfd);
    if (link < 0)
        return -1;
    begin(&w, SPAWN_M_PRELOADED);
    spawn_put_u64(&w, SPAWN_A_CODE, SPAWN_E_OK);
    spawn_put_str(&w, SPAWN_A_TEXT, "loaded");
    send_on(link, &w, NULL, 0);
    expect_id(SPAWN_M_TEMPLATE_SAID, &template);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEMPLATE, ""), "report");
    return link;
}

static void order(int link, spawn_id *job)
{
    spawn_writer w;
    size_t mark;

    new_id(job);
    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, job);
    spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, &template);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "A::b");
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    send_on(link_fd, &w, NULL, 0);
    next_message(link, SPAWN_FROM_BROKER_TO_SPAWNER);
    assert_int_equal(message.header.type, SPAWN_M_LAUNCH);
}

static void tell(int link, uint16_t type, const spawn_id *job, pid_t pid)
{
    spawn_writer w;

    begin(&w, type);
    spawn_put_id(&w, SPAWN_A_ID, job);
    if (pid)
        spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    send_on(link, &w, NULL, 0);
}

/* Both have ended before the spawner hears of either. */
static void a_process_is_told_of_before_it_is_reaped(void **state)
{
    spawn_id job;
    int link;

    (void)state;
    reach_ready();
    link = start_template();
    LEAVE_OUT_IF(link < 0, "its link cannot be got");
    assert_null(strstr(strstr(out_text(), "socket:") + 1, "socket:"));
    order(link, &job);
    hold_spawner();
    assert_int_equal(kill(children[0], SIGKILL), 0);
    wait_for_death(children[0]);
    tell(link, SPAWN_M_FORKED, &job, children[0]);
    tell(link, SPAWN_M_SET_UP, &job, 0);
    let_spawner_go();
    expect_id(SPAWN_M_STARTED, &job);
    expect_id(SPAWN_M_EXITED, &job);
    assert_int_equal(number(SPAWN_A_WAIT_STATUS), SIGKILL);
    assert_int_equal(number(SPAWN_A_PID), children[0]);
    assert_int_equal(kill(children[1], SIGKILL), 0); /* nobody's */
    wait_for_reaping(children[1]);
    (void)close(link);
}

/* Of two jobs one is forked, and lives on; the other will never be. */
static void a_template_leaves_its_jobs(void **state)
{
    spawn_id forked, waits;
    int link;

    (void)state;
    reach_ready();
    link = start_template();
    LEAVE_OUT_IF(link < 0, "its link cannot be got");
    order(link, &forked);
    tell(link, SPAWN_M_FORKED, &forked, children[0]);
    tell(link, SPAWN_M_SET_UP, &forked, 0);
    expect_id(SPAWN_M_STARTED, &forked);
    order(link, &waits);
    assert_int_equal(kill(template_pid, SIGKILL), 0);
    next_message(link_fd, SPAWN_FROM_SPAWNER);
    next_message(link_fd, SPAWN_FROM_SPAWNER);
    goes_on();
    next_broker();
    expect_link(SPAWN_M_RUNNING);
    expect_link(SPAWN_M_RUNNING);
    expect_link(SPAWN_M_RUNNING);
    expect_link(SPAWN_M_EXITED);
    expect_link(SPAWN_M_EXITED);
    expect_link(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_GO);
    order_signal(&forked, SIGKILL, 0);
    expect_id(SPAWN_M_EXITED, &forked);
    assert_int_equal(number(SPAWN_A_WAIT_STATUS), SIGKILL);
    (void)kill(children[1], SIGKILL);
    (void)close(link);
}

/* A pid of nobody, in the place of one that was a job's and of one that is. */
static void a_strangers_pid_is_nobodys(void **state)
{
    spawn_id job, told;
    pid_t first, second = 0;
    int link, tries;

    (void)state;
    reach_ready();
    link = start_template();
    LEAVE_OUT_IF(link < 0, "its link cannot be got");
    new_id(&job);
    launch(&job, "/bin/sh", "exit 5", NULL);
    expect_id(SPAWN_M_STARTED, &job);
    first = (pid_t)number(SPAWN_A_PID);
    expect_exit(&job, 5);
    send_id(SPAWN_M_FORGET, &job);
    for (tries = 0; second % PID_PLACES != first % PID_PLACES; tries++) {
        LEAVE_OUT_IF(tries == 200
                         || !next_pid_is(first < PID_PLACES
                                             ? first + PID_PLACES
                                             : first - PID_PLACES),
                     "no pid can be chosen");
        launch(&job, "/bin/sh", "exit 5", NULL);
        expect_id(SPAWN_M_STARTED, &job);
        second = (pid_t)number(SPAWN_A_PID);
        expect_exit(&job, 5);
        send_id(SPAWN_M_FORGET, &job);
    }
    order(link, &told);
    tell(link, SPAWN_M_FORKED, &told, first + 100 * PID_PLACES);
    tell(link, SPAWN_M_FORKED, &told, children[0]);
    tell(link, SPAWN_M_SET_UP, &told, 0);
    expect_id(SPAWN_M_STARTED, &told);
    assert_int_equal(number(SPAWN_A_PID), children[0]);
    goes_on();
    (void)kill(template_pid, SIGKILL);
    (void)kill(children[0], SIGKILL);
    (void)kill(children[1], SIGKILL);
    (void)close(link);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start_spawner, stop_all)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_process_is_left, start_as_lonely,
                                        stop_all),
        T(what_closes_slowly_is_not_waited_for),
        T(no_descriptor_is_left),
        T(its_process_lacks_descriptors),
        T(its_process_lacks_memory),
        T(the_spawner_lacks_memory),
        cmocka_unit_test_setup_teardown(what_cannot_be_watched_is_its_end,
                                        start_watching_few, stop_all),
        T(an_order_cut_twice),
        T(what_came_with_an_order_is_closed),
        T(a_process_is_told_of_before_it_is_reaped),
        T(a_template_leaves_its_jobs),
        T(a_strangers_pid_is_nobodys),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    leave_nothing();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_launch", tests, NULL, NULL);
}
