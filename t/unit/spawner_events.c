/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner's loop: what is seen in one turn is not taken for news of what
 * has taken its place meanwhile, and of all that is planned the soonest comes
 * first.
 */
#include "t/unit/spawner_look.h"

/* A process whose pidfd the spawner takes for that of httpd; its pid. */
static pid_t give_parent(void)
{
    const uint64_t role = SPAWN_FD_PARENT;
    spawn_writer w;
    int pidfd, closed[2];
    pid_t pid;

    (void)fflush(NULL);
    assert_int_equal(pipe2(closed, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        (void)close(control); /* its end is another event */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(closed[1]);
        for (;;)
            (void)pause();
    }
    (void)close(closed[1]);
    assert_true(has_ended(closed[0]));
    (void)close(closed[0]);
    pidfd = spawn_os_pidfd(pid);
    begin(&w, SPAWN_M_PLACES);
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, &role, 1);
    send_on(control, &w, &pidfd, 1);
    (void)close(pidfd);
    return pid;
}

static void end_parent(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0); /* our child, not yet reaped */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A copy of its link hides nothing, and is of no use then. */
static void a_parent_is_gone_with_its_process(void **state)
{
    int copy;
    pid_t pid;

    (void)state;
    reach_ready();
    pid = give_parent();
    goes_on();
    copy = dup(control);
    end_parent(pid);
    expect_link(SPAWN_M_LINGER);
    assert_true(has_ended(copy));
    (void)close(copy);
    (void)close(control);
    adopt();
    expect_link(SPAWN_M_CONFIGURE);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
}

/* Its connection has been accepted: another one is told so. */
static int accepted_adopter(void)
{
    int first = connect_control(), second = connect_control();

    next_message(second, SPAWN_FROM_SPAWNER_TO_PARENT);
    assert_string_equal(spawn_message_name(message.header.type), "refused");
    (void)close(second);
    return first;
}

/* The old one's link ends, the new one asks, the old one's process ends. */
static void the_end_of_the_old_parent_is_not_that_of_the_new(void **state)
{
    pid_t pid;
    int next;

    (void)state;
    reach_ready();
    pid = give_parent();
    next = accepted_adopter();
    hold_spawner();
    (void)close(control);
    send_plain(next, SPAWN_M_ADOPT);
    end_parent(pid);
    let_spawner_go();
    control = next;
    expect_link(SPAWN_M_LINGER);
    expect_control(SPAWN_M_ADOPTED);
    send_configure(SPAWN_RELEASE);
    expect_link(SPAWN_M_CONFIGURE);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
    goes_on();
}

static void the_end_of_a_template_that_was_given_up_is_no_news(void **state)
{
    spawn_id template;
    spawn_writer w;
    int ends[2];

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
    begin(&w, SPAWN_M_PRELOADED);
    spawn_put_u64(&w, SPAWN_A_CODE, SPAWN_E_OK);
    send_on(ends[0], &w, NULL, 0);
    expect_id(SPAWN_M_TEMPLATE_SAID, &template);
    hold_spawner();
    send_id(SPAWN_M_FORGET, &template);
    (void)close(ends[0]);
    let_spawner_go();
    goes_on();
}

/* ---- what is planned ---- */

/* The one is due in 30 s, the other in some 100 ms. */
static void the_sooner_comes_first(void **state)
{
    int i;

    (void)state;
    reach_ready();
    send_plain(control, SPAWN_M_CLEARED);
    goes_on();
    for (i = 0; i < 3; i++) {
        next_broker();
        expect_link(SPAWN_M_TABLE_END);
    }
}

/* A connection that found no room is let in when there is some, without any
 * event. */
static void who_found_no_room_is_not_forgotten(void **state)
{
    int other;

    (void)state;
    reach_ready();
    goes_on();
    limit_spawner(RLIMIT_NOFILE, 4);
    other = connect_control();
    {
        spawn_id id;

        new_id(&id);
        start_is_awaited = true;
        launch(&id, "/bin/true", NULL, NULL);
        expect_failed(&id, SPAWN_STEP_FORK, EMFILE);
    }
    limit_spawner(RLIMIT_NOFILE, 1000);
    send_plain(other, SPAWN_M_ADOPT);
    next_message(other, SPAWN_FROM_SPAWNER_TO_PARENT);
    assert_string_equal(spawn_message_name(message.header.type), "refused");
    (void)close(other);
}

static long turns(void)
{
    return atol(proc_status(spawner_pid, "voluntary_ctxt_switches"))
           + atol(proc_status(spawner_pid, "nonvoluntary_ctxt_switches"));
}

/* In clock ticks. */
static long cpu_time(void)
{
    const char *at = strrchr(proc_text(spawner_pid, "stat"), ')');
    long user, system;

    assert_int_equal(sscanf(at,
                            ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                            "%ld %ld",
                            &user, &system),
                     2);
    return user + system;
}

/* It wakes for nothing in some 200 ms; on a busy machine what it had to do may
 * last until then, and it is looked at again. */
static void expect_sleep(void)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;
    long before, used;
    bool slept;

    do {
        assert_true(spawn_mono_ms() < deadline);
        wait_for_state(spawner_pid, 'S');
        before = turns();
        used = cpu_time();
        (void)poll(NULL, 0, 200);
        slept = turns() <= before + 5 && cpu_time() <= used + 1;
    } while (!slept);
}

/* Nor does it look whether there is something. Packets at the broker's sockets
 * are nothing to be done here. */
static void it_sleeps_when_nothing_is_to_be_done(void **state)
{
    int posts[2];

    (void)state;
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, posts), 0);
    assert_int_equal(send(posts[1], "x", 1, 0), 1);
    post_rx = posts[0];
    reach_ready();
    post_rx = -1;
    goes_on();
    expect_sleep();
    spawn_close_fds(posts, 2);
}

/* One that has handles of callers may hang in its end, which no event tells. */
static void a_broker_that_has_handles_is_looked_at(void **state)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;
    spawn_writer w;
    spawn_id id;
    long before;

    (void)state;
    reach_ready();
    goes_on();
    new_id(&id);
    begin(&w, SPAWN_M_HOLD);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    send_on(link_fd, &w, &handover, 1);
    goes_on();
    wait_for_state(spawner_pid, 'S');
    before = turns();
    while (turns() == before) {
        assert_true(spawn_mono_ms() < deadline);
        (void)poll(NULL, 0, 10);
    }
}

#define CLOSERS 8

/* All that close for the spawner hang in a close. They have a name of their
 * own. */
static void occupy_closers(int *others)
{
    char path[64];
    pid_t first;
    int i;

    (void)snprintf(path, sizeof(path), "task/%d/children", (int)spawner_pid);
    for (i = 0; i < CLOSERS; i++) {
        int64_t deadline = spawn_mono_ms() + DEADLINE_MS;
        int slow = slow_to_close(&others[i]), children;
        spawn_writer w;
        spawn_id id;

        new_id(&id);
        begin(&w, SPAWN_M_HOLD);
        spawn_put_id(&w, SPAWN_A_ID, &id);
        send_on(link_fd, &w, &slow, 1);
        (void)close(slow);
        send_id(SPAWN_M_RELEASE, &id);
        do { /* the broker, and them */
            const char *at = proc_text(spawner_pid, path);

            for (children = 0; (at = strchr(at, ' ')); at++)
                children++;
            assert_true(spawn_mono_ms() < deadline);
        } while (children < 1 + i + 1 && poll(NULL, 0, 1) == 0);
    }
    first = (pid_t)atol(strchr(proc_text(spawner_pid, path), ' '));
    assert_string_equal(proc_text(first, "cmdline"), "mod_spawn closer");
}

/* And more was left in it than is thrown away at once. */
static void a_link_that_waits_to_be_closed_is_not_looked_at(void **state)
{
    int others[CLOSERS], i;
    pid_t pid;

    (void)state;
    reach_ready();
    pid = give_parent();
    occupy_closers(others);
    hold_spawner();
    for (i = 0; i < 100; i++)
        send_plain(control, SPAWN_M_LOADED);
    end_parent(pid);
    let_spawner_go();
    expect_link(SPAWN_M_LINGER);
    expect_sleep();
    for (i = 0; i < CLOSERS; i++)
        (void)close(others[i]);
}

static int log_pipe[2];

static void log_to_pipe(void)
{
    (void)dup2(log_pipe[1], STDERR_FILENO);
}

static int start_with_full_log(void **state)
{
    static const char junk[4096];
    int low[2], i;

    if (pipe2(low, O_CLOEXEC) < 0)
        return -1;
    for (i = 0; i < 2; i++) {
        log_pipe[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 100);
        (void)close(low[i]);
    }
    before_exec = log_to_pipe;
    if (start_spawner(state) < 0)
        return -1;
    (void)fcntl(log_pipe[1], F_SETFL, O_NONBLOCK);
    while (write(log_pipe[1], junk, sizeof(junk)) > 0)
        continue;
    (void)close(log_pipe[1]);
    return 0;
}

/* A line that found no room comes when there is some, without any event. */
static void a_line_that_waited_comes(void **state)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;
    char text[4097] = "";
    struct pollfd p = {log_pipe[0], POLLIN, 0};
    spawn_writer w;

    (void)state;
    reach_ready();
    begin(&w, SPAWN_M_LAUNCH); /* of nothing: MS0308 */
    send_on(link_fd, &w, NULL, 0);
    goes_on();
    wait_for_state(spawner_pid, 'S'); /* from here on nothing wakes it */
    while (!strstr(text, "MS0308")) {
        ssize_t n = 0;

        assert_true(spawn_mono_ms() < deadline);
        if (poll(&p, 1, 1000) == 1)
            n = read(log_pipe[0], text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = '\0';
    }
    (void)close(log_pipe[0]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start_spawner, stop_all)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(a_parent_is_gone_with_its_process),
        T(the_end_of_the_old_parent_is_not_that_of_the_new),
        T(the_end_of_a_template_that_was_given_up_is_no_news),
        T(the_sooner_comes_first),
        T(who_found_no_room_is_not_forgotten),
        T(it_sleeps_when_nothing_is_to_be_done),
        T(a_broker_that_has_handles_is_looked_at),
        T(a_link_that_waits_to_be_closed_is_not_looked_at),
        cmocka_unit_test_setup_teardown(a_line_that_waited_comes,
                                        start_with_full_log, stop_all),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    leave_nothing();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_events", tests, NULL, NULL);
}
