/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker that begins on a full disk: what is kept for that lets it start, and
 * when that has gone, too, what the spawner tells meanwhile counts when there
 * is room. Only root mounts such a disk.
 */
#include "t/unit/broker_clock.h"
#include "t/unit/broker_found.h"

#include <sched.h>
#include <sys/mount.h>

static char filler[80];

static int set_up_disk(void **state)
{
    if (set_up_clock(state)
        || mount("spawn-test", dir, "tmpfs", 0, "size=2m,mode=0700") < 0)
        return -1;
    log_is_kept = false;
    (void)snprintf(filler, sizeof(filler), "%s/filler", dir);
    (void)snprintf(listen_path, sizeof(listen_path), "%s/spool", dir);
    return mkdir(listen_path, 0700);
}

static int tear_down_disk(void **state)
{
    if (broker > 0) {
        (void)kill(broker, SIGKILL); /* our child, not yet reaped */
        (void)waitpid(broker, NULL, 0);
        broker = 0;
    }
    (void)umount2(dir, MNT_DETACH);
    return tear_down_clock(state);
}

static void fill_disk(void)
{
    static const uint8_t bytes[4096];
    int fd = open(filler, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    while (write(fd, bytes, sizeof(bytes)) > 0)
        continue;
    assert_int_equal(errno, ENOSPC);
    (void)close(fd);
}

/* What is kept for such a day is gone, too. */
static void leave_no_room(void)
{
    char reserve[80];

    (void)snprintf(reserve, sizeof(reserve), "%s/reserve", dir);
    (void)unlink(reserve);
    fill_disk();
}

/* The broker has a turn: its answer is that it has no store. */
static void has_a_turn(void)
{
    spawn_writer w;
    int i;

    for (i = 0; i < 2; i++) {
        begin(&w, SPAWN_M_GET, &job);
        ask(&w);
        expect_refusal(SPAWN_E_STORE);
    }
}

static void say_started_as(const spawn_id *id, pid_t pid)
{
    spawn_writer w;

    begin(&w, SPAWN_M_STARTED, id);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    send_fds(&w, NULL, 0);
}

/* ---- what is promised ---- */

/* There is no history that could go. */
static void with_the_reserve_it_starts_as_ever(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_QUEUED, 0, 0, false);
    fill_disk();
    start_broker();
    go();
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void what_was_told_meanwhile_counts_when_there_is_room(void **state)
{
    struct pollfd p = {-1, POLLIN, 0};
    spawn_id ids[4];
    int i;

    (void)state;
    make_store();
    for (i = 0; i < 4; i++) {
        put_program(i < 3 ? SPAWN_STATE_STARTING : SPAWN_STATE_QUEUED, 0, 0,
                    false);
        ids[i] = job;
    }
    leave_no_room();
    start_broker();
    for (i = 0; i < 3; i++) {
        job = ids[i];
        say_running(SPAWN_STATE_STARTING, 0, 0);
    }
    say_exited(&ids[0], 0, 7 << 8);
    go(); /* httpd starts all the same */
    p.fd = link_fd;
    call_in();
    has_a_turn();
    say_started_as(&ids[1], 3999997);
    say_exited(&ids[2], 0, 6 << 8);
    has_a_turn();
    assert_int_equal(unlink(filler), 0);
    steps[0] += 2;
    steps[1] += 2;
    submit_as(&ids[0], "/bin/true"); /* any question wakes it */
    job = ids[3];
    expect(SPAWN_M_BROKER_READY);
    expect_id(SPAWN_M_LAUNCH, &job); /* the one that waited, and no other */
    say_exited(&job, SPAWN_STEP_CWD, ENOENT);
    expect(SPAWN_M_FORGET);
    while (poll(&p, 1, 200) == 1)
        expect(SPAWN_M_FORGET); /* and no order */
    expect_jobs("4 1 7 -,3 - - -,4 1 6 -,4 5 - -");
    expect_sql("SELECT pid FROM job WHERE seq = 2", "3999997");
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)
    const struct CMUnitTest tests[] = {
        ALONE(with_the_reserve_it_starts_as_ever),
        ALONE(what_was_told_meanwhile_counts_when_there_is_room)};

    find_broker();
    if (no_clocks())
        return 0;
    if (unshare(CLONE_NEWNS) < 0
        || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        (void)puts("1..0 # SKIP only root mounts a small disk");
        return 0;
    }
    return cmocka_run_group_tests_name("full at its start", tests, NULL, NULL);
}
