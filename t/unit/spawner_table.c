/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner's table: each job is found whatever else has its place, what is
 * forgotten is told no more, what is held is held for its own job only, and a
 * full table is no end.
 */
#include "t/unit/spawner_look.h"
#include "spawner/table.h"

/* It waits until it is killed. */
static pid_t start_stopped(const spawn_id *id)
{
    launch(id, "/bin/sh", "exec sleep 1000", NULL);
    expect_id(SPAWN_M_STARTED, id);
    return (pid_t)number(SPAWN_A_PID);
}

static void end_by_kill(const spawn_id *id, pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    expect_id(SPAWN_M_EXITED, id);
    assert_int_equal(number(SPAWN_A_WAIT_STATUS), SIGKILL);
}

/* ---- what is to be told ---- */

/* Ends at once: there is no such template. It takes an entry until FORGET. */
static void launch_of_nobody(spawn_id *ret)
{
    static const spawn_id nobody = {{1}};
    spawn_writer w;
    size_t mark;

    new_id(ret);
    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, ret);
    spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, &nobody);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "A::b");
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    send_on(link_fd, &w, NULL, 0);
}

#define SOME 5

/* All end, and then some of them are forgotten, before anything is told. */
static void forgotten_before_told(unsigned mask)
{
    spawn_id ids[SOME], behind;
    pid_t pids[SOME];
    int i;

    for (i = 0; i < SOME; i++) {
        new_id(&ids[i]);
        pids[i] = start_stopped(&ids[i]);
    }
    hold_spawner();
    for (i = 0; i < SOME; i++) {
        assert_int_equal(kill(pids[i], SIGKILL), 0);
        wait_for_death(pids[i]);
    }
    for (i = 0; i < SOME; i++) {
        if (mask >> i & 1)
            send_id(SPAWN_M_FORGET, &ids[i]);
    }
    launch_of_nobody(&behind);
    let_spawner_go();
    for (i = 0; i < SOME; i++)
        wait_for_reaping(pids[i]);
    for (i = 0; i < SOME; i++) {
        spawn_id got;
        int k;

        if (mask >> i & 1)
            continue;
        expect_link(SPAWN_M_EXITED);
        spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
        for (k = 0; k < SOME; k++) {
            if (spawn_id_equal(&ids[k], &got))
                break;
        }
        assert_true(k < SOME && !(mask >> k & 1));
    }
    expect_failed(&behind, SPAWN_STEP_TEMPLATE, ESRCH);
    send_id(SPAWN_M_FORGET, &behind);
    goes_on();
    for (i = 0; i < SOME; i++) {
        if (!(mask >> i & 1))
            send_id(SPAWN_M_FORGET, &ids[i]);
    }
}

static void what_is_forgotten_is_not_told(void **state)
{
    static const unsigned masks[] = {1, 2, 4, 8, 16, 17, 24, 6, 31, 0};
    unsigned i;

    (void)state;
    reach_ready();
    for (i = 0; i < sizeof(masks) / sizeof(masks[0]); i++)
        forgotten_before_told(masks[i]);
    next_broker();
    expect_link(SPAWN_M_TABLE_END);
}

/* ---- places in common ---- */

/* Ids are looked for by their end, which a caller can choose. */
static void ids_with_the_same_end(void **state)
{
    static const int orders[][3] = {{0, 1, 2}, {1, 0, 2}, {2, 1, 0}, {1, 2, 0}};
    spawn_id ids[3], stranger;
    pid_t pids[3];
    unsigned n;
    int i;

    (void)state;
    reach_ready();
    for (n = 0; n < sizeof(orders) / sizeof(orders[0]); n++) {
        for (i = 0; i < 3; i++) {
            new_id(&ids[i]);
            memset(ids[i].bytes + SPAWN_ID_SIZE - 2, 0x77, 2);
            pids[i] = start_stopped(&ids[i]);
        }
        new_id(&stranger);
        memset(stranger.bytes + SPAWN_ID_SIZE - 2, 0x77, 2);
        send_id(SPAWN_M_FORGET, &stranger); /* of nobody */
        for (i = 0; i < 3; i++) {
            int k = orders[n][i];

            order_signal(&ids[k], SIGKILL, 0);
            expect_id(SPAWN_M_EXITED, &ids[k]);
            assert_int_equal(number(SPAWN_A_PID), pids[k]);
            send_id(SPAWN_M_FORGET, &ids[k]);
        }
    }
    next_broker();
    expect_link(SPAWN_M_TABLE_END);
}

/* A job in the same place as that of this pid; 0: there cannot be one. */
static pid_t start_in_place_of(const spawn_id *id, pid_t pid)
{
    int tries;

    for (tries = 0; tries < 200; tries++) {
        pid_t got;

        if (!next_pid_is(pid < PID_PLACES ? pid + PID_PLACES
                                          : pid - PID_PLACES))
            return 0;
        got = start_stopped(id);
        if (got % PID_PLACES == pid % PID_PLACES)
            return got;
        end_by_kill(id, got);
        send_id(SPAWN_M_FORGET, id);
    }
    return 0;
}

static void pids_in_the_same_place(void **state)
{
    spawn_id ids[2];
    pid_t pids[2];
    int first;

    (void)state;
    reach_ready();
    for (first = 0; first < 2; first++) {
        new_id(&ids[0]);
        new_id(&ids[1]);
        pids[0] = start_stopped(&ids[0]);
        pids[1] = start_in_place_of(&ids[1], pids[0]);
        LEAVE_OUT_IF(!pids[1], "no pid can be chosen");
        end_by_kill(&ids[first], pids[first]);
        send_id(SPAWN_M_FORGET, &ids[first]);
        end_by_kill(&ids[!first], pids[!first]);
        send_id(SPAWN_M_FORGET, &ids[!first]);
    }
    goes_on();
}

/* ---- what is held ---- */

static void hold(const spawn_id *id, int fd)
{
    spawn_writer w;

    begin(&w, SPAWN_M_HOLD);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_BOXED, 3);
    send_on(link_fd, &w, &fd, fd < 0 ? 0 : 1);
}

#define HELD 4

static void what_is_held_is_let_go_one_by_one(void **state)
{
    static const int order[HELD] = {2, 0, 3, 1};
    spawn_id ids[HELD], none;
    int in[HELD], i, k, gone;

    (void)state;
    reach_ready();
    for (i = 0; i < HELD; i++) {
        int ends[2];

        new_id(&ids[i]);
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        hold(&ids[i], ends[1]);
        (void)close(ends[1]);
        in[i] = ends[0];
    }
    new_id(&none);
    send_id(SPAWN_M_RELEASE, &none);
    for (gone = 0; gone < HELD; gone++) {
        spawn_id got;

        send_id(SPAWN_M_RELEASE, &ids[order[gone]]);
        assert_true(has_ended(in[order[gone]]));
        (void)close(in[order[gone]]);
        goes_on();
        next_broker();
        for (i = gone + 1; i < HELD; i++) {
            expect_link(SPAWN_M_HELD);
            spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
            for (k = gone + 1; k < HELD; k++) {
                if (spawn_id_equal(&ids[order[k]], &got))
                    break;
            }
            assert_true(k < HELD);
            assert_int_equal(number(SPAWN_A_BOXED), 3);
            spawn_packet_close(&packet);
        }
        expect_link(SPAWN_M_TABLE_END);
        expect_link(SPAWN_M_GO);
        say_ready(SPAWN_E_OK, "");
    }
}

static void what_is_held_for_a_job_goes_with_its_start(void **state)
{
    spawn_id ids[2];
    int ends[2], i;

    (void)state;
    reach_ready();
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    for (i = 0; i < 2; i++) {
        new_id(&ids[i]);
        hold(&ids[i], ends[1]);
    }
    (void)close(ends[1]);
    for (i = 0; i < 2; i++) {
        struct pollfd p = {ends[0], POLLIN, 0};

        assert_int_equal(poll(&p, 1, 0), 0); /* one has it still */
        launch(&ids[i], "/bin/sh", "exit 4", NULL);
        expect_id(SPAWN_M_STARTED, &ids[i]);
        expect_exit(&ids[i], 4);
    }
    assert_true(has_ended(ends[0]));
    (void)close(ends[0]);
}

/* Without memory for it a handle is not held, nor kept open. */
static void what_cannot_be_held_is_closed(void **state)
{
    spawn_id id, last;
    int ends[2], i;

    (void)state;
    LEAVE_OUT_IF(SANITIZED, "with sanitizers memory has no limit");
    reach_ready();
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0); /* closing needs some, too */
    new_id(&id);
    hold(&id, ends[1]);
    (void)close(ends[1]);
    send_id(SPAWN_M_RELEASE, &id);
    assert_true(has_ended(ends[0]));
    (void)close(ends[0]);
    limit_spawner(RLIMIT_AS, 4096);
    for (i = 0; i < 4000; i++) {
        new_id(&id);
        hold(&id, -1);
    }
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    new_id(&last);
    hold(&last, ends[1]);
    (void)close(ends[1]);
    assert_true(has_ended(ends[0]));
    (void)close(ends[0]);
    limit_spawner(RLIMIT_AS, RLIM_INFINITY);
    next_broker();
    for (;;) {
        next_message(link_fd, SPAWN_FROM_SPAWNER);
        if (message.header.type != SPAWN_M_HELD)
            break;
        spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
        assert_false(spawn_id_equal(&id, &last));
    }
    assert_int_equal(message.header.type, SPAWN_M_TABLE_END);
}

/* ---- closing what came from outside ---- */

static void what_a_worker_sent_keeps_nobody_waiting(void **state)
{
    const uint64_t keep[] = {0, SPAWN_KEEP_WORKER};
    uint8_t head[SPAWN_WIRE_HEADER] = {0};
    int ends[2], slow, other;
    spawn_writer w;
    spawn_id id;

    (void)state;
    reach_ready();
    new_id(&id);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    begin_order(&w, &id, "exit 3");
    spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 2);
    spawn_put_u64(&w, SPAWN_A_IS_WORKER, 1);
    send_on(link_fd, &w, &ends[0], 1);
    (void)close(ends[0]);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 3);
    slow = slow_to_close(&other);
    assert_int_equal(spawn_packet_send(ends[1], head, sizeof(head), &slow, 1),
                     0);
    (void)close(slow); /* the copy on its way is the last one */
    send_id(SPAWN_M_FORGET, &id);
    wait_readable(ends[1]); /* it is closed, what is in it may take a while */
    goes_on(); /* within the deadline, which is shorter than its linger */
    (void)close(other);
    (void)close(ends[1]);
}

/* ---- how many ---- */

static int lease = -1;

static int stop_spawner_and_job(void **state)
{
    if (lease >= 0)
        (void)close(lease);
    lease = -1;
    return stop_all(state);
}

/* A job that is forked, since its order is long, and hangs before it executes,
 * at an output with a lease. Returns its pid. */
static pid_t start_hanging(const spawn_id *id)
{
    spawn_stdio out = {SPAWN_STDIO_PATH, SPAWN_STDIO_APPEND, 0, ""};
    char path[128];
    spawn_writer w;
    size_t mark;
    int i;

    (void)signal(SIGIO, SIG_IGN);
    (void)snprintf(path, sizeof(path), "%s/leased", dir);
    lease = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(fcntl(lease, F_SETLEASE, F_WRLCK), 0);
    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, id);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    for (i = 0; i < 200; i++) /* more than the quick way takes */
        spawn_add_text(&w, mark, "x", 1);
    spawn_close(&w, mark);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    out.path = path;
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &out);
    send_on(link_fd, &w, NULL, 0);
    send_id(SPAWN_M_TELL_PID, id);
    expect_id(SPAWN_M_STARTED, id);
    return (pid_t)number(SPAWN_A_PID);
}

/* A job that hangs before it executes counts; one that has ended, and a process
 * that is no job, do not. And the one that hangs, and was forked, has no copy
 * of the table. */
static void only_jobs_that_live_are_counted(void **state)
{
    spawn_id ended, runs, hangs, worker, template, given_up;
    spawn_writer w;
    pid_t pid;

    (void)state;
    reach_ready();
    new_id(&ended);
    launch(&ended, "/bin/true", NULL, NULL);
    expect_id(SPAWN_M_STARTED, &ended);
    expect_exit(&ended, 0);
    new_id(&runs);
    (void)start_stopped(&runs);
    new_id(&worker);
    begin_order(&w, &worker, "exec sleep 1000");
    spawn_put_u64(&w, SPAWN_A_IS_WORKER, 1);
    send_on(link_fd, &w, NULL, 0);
    expect_id(SPAWN_M_STARTED, &worker);
    new_id(&template);
    begin_order(&w, &template, "exec sleep 1000");
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 1);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "report");
    send_on(link_fd, &w, NULL, 0);
    expect_id(SPAWN_M_STARTED, &template);
    new_id(&given_up);
    (void)start_stopped(&given_up);
    send_id(SPAWN_M_FORGET, &given_up);
    new_id(&hangs);
    pid = start_hanging(&hangs);
    assert_true(proc_pages(spawner_pid) - proc_pages(pid)
                > (long)(TABLE_MAX * sizeof(job) / 4096));

    (void)close(control);
    control = -1;
    expect_link(SPAWN_M_LINGER);
    adopt();
    expect_log("adopts this pair with 2 running jobs");
}

#define AT_ONCE 4096 /* more than the link takes */

/* Fill it up to so many, with what fails in this way. */
static void fill(unsigned from, unsigned to, spawn_step step, int error,
                 spawn_id *one)
{
    static spawn_id ids[AT_ONCE];
    unsigned i;

    while (from < to) {
        unsigned count = to - from < AT_ONCE ? to - from : AT_ONCE;

        for (i = 0; i < count; i++)
            launch_of_nobody(&ids[i]);
        for (i = 0; i < count; i++)
            expect_failed(&ids[i], step, error);
        from += count;
    }
    *one = ids[0];
}

static void what_the_table_cannot_take_is_told(void **state)
{
    spawn_id id, template, one, other;
    spawn_writer w;

    (void)state;
    reach_ready();
    fill(0, TABLE_JOBS - 1, SPAWN_STEP_TEMPLATE, ESRCH, &one);
    new_id(&id);
    launch(&id, "/bin/true", NULL, NULL); /* there is one place left */
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
    new_id(&id);
    launch(&id, "/bin/true", NULL, NULL);
    expect_failed(&id, SPAWN_STEP_FORK, EAGAIN);
    send_id(SPAWN_M_FORGET, &id);
    launch(&id, "/bin/true", NULL, NULL);
    expect_failed(&id, SPAWN_STEP_FORK, EAGAIN);
    send_id(SPAWN_M_FORGET, &id);
    expect_log("MS0303: job ");
    new_id(&template); /* which others wait for */
    begin_order(&w, &template, "exit 5");
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 1);
    send_on(link_fd, &w, NULL, 0);
    expect_id(SPAWN_M_STARTED, &template);
    expect_exit(&template, 5);
    send_id(SPAWN_M_FORGET, &template);
    /* an exit that is recorded makes room */
    send_id(SPAWN_M_FORGET, &one);
    launch(&id, "/bin/true", NULL, NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);

    /* not even for telling of it is there room any more */
    fill(TABLE_JOBS, TABLE_MAX - 1, SPAWN_STEP_FORK, EAGAIN, &other);
    new_id(&one);
    launch(&one, "/bin/true", NULL, NULL);
    send_id(SPAWN_M_FORGET, &other);
    launch(&other, "/bin/true", NULL, NULL);
    expect_failed(&other, SPAWN_STEP_FORK, EAGAIN);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start_spawner, stop_all)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(what_is_forgotten_is_not_told),
        T(ids_with_the_same_end),
        T(pids_in_the_same_place),
        T(what_is_held_is_let_go_one_by_one),
        T(what_is_held_for_a_job_goes_with_its_start),
        T(what_cannot_be_held_is_closed),
        T(what_a_worker_sent_keeps_nobody_waiting),
        cmocka_unit_test_setup_teardown(only_jobs_that_live_are_counted,
                                        start_with_log, stop_spawner_and_job),
        cmocka_unit_test_setup_teardown(what_the_table_cannot_take_is_told,
                                        start_with_log, stop_all),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    leave_nothing();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_table", tests, NULL, NULL);
}
