/* SPDX-License-Identifier: Apache-2.0 */
/* The spawner's report on a job: when it began and ended, its usage, and the
 * part that is kept for the next broker; and the end of its leftovers. */
#include "t/unit/spawner_play.h"
#include "common/spawn_field.h"

static uint64_t number(unsigned attr)
{
    if (!spawn_has(&message, attr))
        fail_msg("no %s", spawn_attr_name(attr));
    return spawn_attr_u64(&message.attr[attr]);
}

static uint64_t usage(unsigned i)
{
    const spawn_attr *a = &message.attr[SPAWN_A_RUSAGE];

    assert_true(spawn_has(&message, SPAWN_A_RUSAGE));
    assert_int_equal(spawn_u64v_count(a), SPAWN_RU_COUNT);
    return spawn_u64v_at(a, i);
}

static void times_are_those_of_the_job(void **state)
{
    int64_t wall = spawn_wall_ms(), mono = spawn_mono_us();
    int64_t boot = spawn_boot_ms(), took;
    uint64_t started;
    spawn_id id;

    (void)state;
    reach_ready();
    new_id(&id);
    launch(&id, "/bin/sh", "sleep 0.1", NULL);
    expect_id(SPAWN_M_STARTED, &id);
    assert_in_range(number(SPAWN_A_STARTED_AT), wall, spawn_wall_ms());
    assert_in_range(number(SPAWN_A_MONO_STARTED), mono / 1000, spawn_mono_ms());
    assert_in_range(number(SPAWN_A_BOOT_STARTED), boot, spawn_boot_ms());
    started = number(SPAWN_A_STARTED_AT);
    expect_exit(&id, 0);
    took = spawn_mono_us() - mono;
    assert_int_equal(number(SPAWN_A_STARTED_AT), started);
    assert_in_range(number(SPAWN_A_ENDED_AT), started + 99, spawn_wall_ms());
    assert_in_range(number(SPAWN_A_ELAPSED), 99000, took);
    /* of one that does not start, too */
    new_id(&id);
    wall = spawn_wall_ms();
    launch(&id, "/nonexistent", NULL, NULL);
    expect_failed(&id, SPAWN_STEP_EXEC, ENOENT);
    assert_in_range(number(SPAWN_A_ENDED_AT), wall, spawn_wall_ms());
}

/* Of the shell and of nobody else; each in its place. */
static void usage_is_that_of_the_job(void **state)
{
    uint64_t cpu;
    spawn_id id;

    (void)state;
    reach_ready();
    new_id(&id);
    launch(&id, "/bin/sh",
           "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.01; "
           "exit 0",
           NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
    cpu = usage(SPAWN_RU_UTIME_US) + usage(SPAWN_RU_STIME_US);
    assert_in_range(cpu, 1000, number(SPAWN_A_ELAPSED) + 20000);
    assert_true(usage(SPAWN_RU_UTIME_US) > 500);
    assert_in_range(usage(SPAWN_RU_MAXRSS_KB), 200, 100000);
    assert_in_range(usage(SPAWN_RU_MINFLT), 20, 100000);
    assert_in_range(usage(SPAWN_RU_MAJFLT), 0, 1000);
    assert_in_range(usage(SPAWN_RU_NVCSW), 1, 1000); /* it waited for sleep */
}

static void order_keeping(const spawn_id *id, const char *script,
                          const uint64_t *pairs, unsigned numbers,
                          const int *fds, unsigned count)
{
    spawn_writer w;
    size_t mark;

    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, id);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/sh", 7);
    spawn_add_text(&w, mark, "-c", 2);
    spawn_add_text(&w, mark, script, strlen(script));
    spawn_close(&w, mark);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    spawn_put_u64v(&w, SPAWN_A_KEEP, pairs, numbers);
    send_on(link_fd, &w, fds, count);
}

static void next_broker(void)
{
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
}

static bool has_ended(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};
    char byte;

    return poll(&p, 1, DEADLINE_MS) == 1 && read(fd, &byte, 1) == 0;
}

static bool is_same(int a, int b)
{
    struct stat of_a, of_b;

    return fstat(a, &of_a) == 0 && fstat(b, &of_b) == 0
           && of_a.st_ino == of_b.st_ino;
}

/* Roles that there are, each once; the rest is closed. All that is kept is
 * closed when the job is forgotten. */
static void what_a_broker_reads_from_is_kept_for_the_next(void **state)
{
    const uint64_t pairs[] = {0, SPAWN_KEEP_OUT_PIPE,
                              1, SPAWN_KEEP_TICKET,
                              2, SPAWN_KEEP_OUT_PIPE, /* again */
                              3, 0,
                              4, SPAWN_KEEP_BELL}; /* is not kept */
    int in[5], out[5], i;
    const spawn_attr *keep;
    spawn_id id;

    (void)state;
    reach_ready();
    for (i = 0; i < 5; i++) {
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        in[i] = ends[0];
        out[i] = ends[1];
    }
    new_id(&id);
    order_keeping(&id, "exit 3", pairs, 10, out, 5);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 3);
    for (i = 2; i < 5; i++) {
        (void)close(out[i]);
        assert_true(has_ended(in[i]));
    }
    next_broker();
    expect_id(SPAWN_M_RUNNING, &id);
    keep = &message.attr[SPAWN_A_KEEP];
    assert_int_equal(packet.fds_count, 2);
    assert_int_equal(spawn_u64v_count(keep), 4);
    for (i = 0; i < 2; i++) {
        uint64_t index = spawn_u64v_at(keep, (uint32_t)(2 * i));

        if (spawn_u64v_at(keep, (uint32_t)(2 * i + 1)) == SPAWN_KEEP_OUT_PIPE)
            assert_true(is_same(packet.fds[index], out[0]));
        else
            assert_true(is_same(packet.fds[index], out[1]));
    }
    spawn_packet_close(&packet);
    send_id(SPAWN_M_FORGET, &id);
    for (i = 0; i < 2; i++) {
        (void)close(out[i]);
        assert_true(has_ended(in[i]));
    }
    for (i = 0; i < 5; i++)
        (void)close(in[i]);
}

static void an_order_of_nothing_fails(void **state)
{
    spawn_writer w;
    spawn_id id;
    size_t mark;

    (void)state;
    reach_ready();
    new_id(&id);
    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    send_on(link_fd, &w, NULL, 0);
    expect_failed(&id, SPAWN_STEP_FORK, EBADMSG);
    new_id(&id);
    launch(&id, "/bin/true", NULL, NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
}

/* Its child holds the pipe open for as long as it lives. */
static void leave_one(spawn_id *id, uint64_t leftovers, int *ret_in)
{
    const spawn_stdio to = {SPAWN_STDIO_FD, 0, 0, ""};
    spawn_writer w;
    size_t mark;
    int ends[2];

    new_id(id);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, id);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/sh", 7);
    spawn_add_text(&w, mark, "-c", 2);
    spawn_add_text(&w, mark, "sleep 100 & exit 4", 18);
    spawn_close(&w, mark);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &to);
    spawn_put_u64(&w, SPAWN_A_LEFTOVERS, leftovers);
    send_on(link_fd, &w, &ends[1], 1);
    (void)close(ends[1]);
    *ret_in = ends[0];
    expect_id(SPAWN_M_STARTED, id);
}

static void what_is_left_is_killed_when_asked_for(void **state)
{
    struct pollfd p = {-1, POLLIN, 0};
    spawn_id id;
    pid_t group;
    int in;

    (void)state;
    reach_ready();
    leave_one(&id, SPAWN_LEFTOVERS_KILL, &in);
    expect_exit(&id, 4);
    assert_true(has_ended(in));
    (void)close(in);
    leave_one(&id, SPAWN_LEFTOVERS_KEEP, &in);
    group = (pid_t)number(SPAWN_A_PID);
    expect_exit(&id, 4);
    p.fd = in;
    assert_int_equal(poll(&p, 1, 50), 0); /* it lives on */
    assert_int_equal(kill(-group, SIGKILL), 0);
    assert_true(has_ended(in));
    (void)close(in);
}

/* Each is found again by its id and its pid, whatever was forgotten between. */
static void many_jobs_are_told_apart(void **state)
{
    enum {
        MANY = 60
    };
    spawn_id ids[MANY];
    pid_t pids[MANY];
    spawn_writer w;
    char script[64];
    int i;

    (void)state;
    reach_ready();
    for (i = 0; i < MANY; i++) {
        new_id(&ids[i]);
        (void)snprintf(script, sizeof(script),
                       "trap 'exit %d' TERM; echo; while :; do sleep 1; done",
                       i + 1);
        launch(&ids[i], "/bin/sh", script, NULL);
        expect_id(SPAWN_M_STARTED, &ids[i]);
        pids[i] = (pid_t)number(SPAWN_A_PID);
    }
    wait_for_output(MANY);
    for (i = 0; i < MANY; i++) {
        int n = i * 37 % MANY; /* in another order */

        begin(&w, SPAWN_M_SIGNAL);
        spawn_put_id(&w, SPAWN_A_ID, &ids[n]);
        spawn_put_u64(&w, SPAWN_A_SIGNO, SIGTERM);
        send_on(link_fd, &w, NULL, 0);
        expect_exit(&ids[n], n + 1);
        assert_int_equal(number(SPAWN_A_PID), pids[n]);
        if (i % 3)
            send_id(SPAWN_M_FORGET, &ids[n]);
    }
    next_broker();
    for (i = 0; i < MANY / 3; i++)
        expect_link(SPAWN_M_RUNNING);
    for (i = 0; i < MANY / 3; i++)
        expect_link(SPAWN_M_EXITED);
    expect_link(SPAWN_M_TABLE_END);
}

static void an_order_twice_is_one_job(void **state)
{
    spawn_id id, other;

    (void)state;
    reach_ready();
    new_id(&id);
    new_id(&other);
    launch(&id, "/bin/sh", "exit 3", NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 3);
    launch(&id, "/bin/sh", "exit 4", NULL);
    launch(&other, "/bin/sh", "exit 5", NULL);
    expect_id(SPAWN_M_STARTED, &other);
    expect_exit(&other, 5);
    send_id(SPAWN_M_FORGET, &id);
    launch(&id, "/bin/sh", "exit 6", NULL); /* another one, by now */
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 6);
}

static void a_job_that_ended_gets_no_signal(void **state)
{
    spawn_id id;
    spawn_writer w;

    (void)state;
    reach_ready();
    new_id(&id);
    launch(&id, "/bin/true", NULL, NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
    begin(&w, SPAWN_M_SIGNAL);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_u64(&w, SPAWN_A_SIGNO, SIGKILL);
    send_on(link_fd, &w, NULL, 0);
    new_id(&id);
    launch(&id, "/bin/true", NULL, NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start_spawner, stop_spawner)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(times_are_those_of_the_job),
        T(usage_is_that_of_the_job),
        T(what_a_broker_reads_from_is_kept_for_the_next),
        T(an_order_of_nothing_fails),
        T(what_is_left_is_killed_when_asked_for),
        T(many_jobs_are_told_apart),
        T(an_order_twice_is_one_job),
        T(a_job_that_ended_gets_no_signal),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_report", tests, NULL, NULL);
}
