/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several groups without their leaders at once: each has an end of its own,
 * when its last one has ended or left, or when all of it was told to be killed;
 * and nothing of it is kept then.
 */
#include <sys/ptrace.h>

#include "t/unit/spawner_look.h"

/* Its leader obeys TERM; the other one says its pid and does not. */
#define DEAF                                                                   \
    "sh -c 'trap \"\" TERM; echo $$; exec sleep 1000' & exec sleep 1000"

typedef struct {
    spawn_id id;
    pid_t leader, other;
} group;

static void wait_for_name(pid_t pid, const char *name)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;

    while (strcmp(proc_text(pid, "comm"), name) != 0) {
        assert_true(spawn_mono_ms() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

/* The leader is gone, the other one lives and has this name. */
static void start_group(group *g, const char *script, const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/out", dir);
    (void)unlink(path);
    new_id(&g->id);
    launch(&g->id, "/bin/sh", script, NULL);
    expect_id(SPAWN_M_STARTED, &g->id);
    g->leader = (pid_t)number(SPAWN_A_PID);
    wait_for_output(2);
    g->other = atoi(out_text());
    wait_for_name(g->leader, "sleep\n");
    wait_for_name(g->other, name);
    order_signal(&g->id, SIGTERM, SPAWN_LEFT_WAIT);
    wait_for_reaping(g->leader);
}

static void expect_term(const group *g)
{
    expect_id(SPAWN_M_EXITED, &g->id);
    assert_int_equal(number(SPAWN_A_WAIT_STATUS), SIGTERM);
    assert_int_equal(number(SPAWN_A_PID), g->leader);
}

static void groups_end_in_any_order(void **state)
{
    static const int orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}};
    unsigned n, fds = 0;
    group groups[3];
    int i;

    (void)state;
    reach_ready();
    for (n = 0; n < sizeof(orders) / sizeof(orders[0]); n++) {
        int64_t wall;

        for (i = 0; i < 3; i++)
            start_group(&groups[i], DEAF, "sleep\n");
        order_signal(&groups[0].id, SIGTERM, SPAWN_LEFT_WAIT);
        goes_on(); /* none has ended */
        wall = spawn_wall_ms();
        for (i = 0; i < 3; i++) {
            const group *g = &groups[orders[n][i]];

            assert_int_equal(kill(g->other, SIGKILL), 0);
            expect_term(g);
            assert_in_range(number(SPAWN_A_ENDED_AT), wall, spawn_wall_ms());
            goes_on();  /* once */
            if (i != 1) /* one is told to the next broker, too */
                send_id(SPAWN_M_FORGET, &g->id);
        }
        if (n == 3) { /* and after an upgrade */
            send_configure("another");
            expect_link(SPAWN_M_QUIT);
        }
        next_broker();
        expect_id(SPAWN_M_RUNNING, &groups[orders[n][1]].id);
        expect_term(&groups[orders[n][1]]);
        expect_link(SPAWN_M_TABLE_END);
        expect_link(SPAWN_M_GO);
        say_ready(SPAWN_E_OK, "");
        if (n == 0)
            fds = proc_fds(spawner_pid);
        if (n < 3)
            assert_int_equal(proc_fds(spawner_pid), fds);
        order_signal(&groups[orders[n][1]].id, SIGKILL, 0); /* of nobody */
        send_id(SPAWN_M_FORGET, &groups[orders[n][1]].id);
        goes_on();
    }
}

/* The last one has left the group, which nothing tells. It is the job's all the
 * same. */
static void who_has_left_the_group_is_killed_with_it(void **state)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;
    char script[512], path[128];
    group g;

    (void)state;
    reach_ready();
    (void)snprintf(path, sizeof(path), "%s/go", dir);
    (void)snprintf(script, sizeof(script),
                   "sh -c 'trap \"\" TERM; echo $$; "
                   "while [ ! -e %s ]; do sleep 0.01; done; "
                   "exec setsid sleep 1000' & exec sleep 1000",
                   path);
    start_group(&g, script, "sh\n");
    goes_on();
    (void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    while (getsid(g.other) != g.other) {
        assert_true(spawn_mono_ms() < deadline);
        (void)poll(NULL, 0, 1);
    }
    order_signal(&g.id, SIGTERM, SPAWN_LEFT_WAIT);
    goes_on();
    assert_int_equal(kill(g.other, 0), 0);
    order_signal(&g.id, SIGKILL, SPAWN_LEFT_KILL);
    expect_term(&g);
    wait_for_reaping(g.other);
}

/* Its last one is traced, so that its end is not seen: what hangs in the kernel
 * would be the same. */
static void nobody_waits_for_what_was_killed(void **state)
{
    group g;

    (void)state;
    reach_ready();
    start_group(&g, DEAF, "sleep\n");
    LEAVE_OUT_IF(ptrace(PTRACE_SEIZE, g.other, NULL, NULL) != 0,
                 "it cannot be traced");
    order_signal(&g.id, SIGKILL, SPAWN_LEFT_KILL);
    expect_term(&g);
    (void)waitpid(g.other, NULL, __WALL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start_spawner, stop_all)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(groups_end_in_any_order),
        T(who_has_left_the_group_is_killed_with_it),
        T(nobody_waits_for_what_was_killed),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    leave_nothing();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_groups", tests, NULL, NULL);
}
