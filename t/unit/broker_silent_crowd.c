/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thousand connections that say nothing. Of accounts with no right the broker
 * keeps few, and drops the others at once; those of its own side can take all
 * its descriptors. In both cases it serves who was there before, drops the
 * silent ones when their time is over, and lets others in then.
 */
#include "t/unit/broker_listed.h"
#include "t/unit/broker_clock.h"
#include "t/unit/corner.h"

#include <errno.h>
#include <sys/resource.h>

#define CROWD      1000
#define UNPROVEN   64   /* connections of them that are kept */
#define FILES      256  /* of the broker */
#define HELLO_TIME 5    /* s */
#define MANY       2048 /* descriptors of this program */

static int crowd[CROWD];
static size_t there;

static int set_up_crowd(void **state)
{
    struct rlimit files;
    const int rv = set_up_clock(state) || getrlimit(RLIMIT_NOFILE, &files);

    there = 0;
    log_is_kept = true;
    if (rv || files.rlim_cur >= MANY)
        return rv;
    files.rlim_cur = MANY;
    return setrlimit(RLIMIT_NOFILE, &files);
}

static void crowd_leaves(void)
{
    spawn_close_fds(crowd, there);
    there = 0;
}

/* So many of the crowd have been dropped. */
static size_t dropped(void)
{
    size_t count = 0, i;
    char byte;

    for (i = 0; i < there; i++)
        count += recv(crowd[i], &byte, 1, MSG_DONTWAIT) >= 0
                 || (errno != EAGAIN && errno != EWOULDBLOCK);
    return count;
}

static void wait_until_dropped(size_t count)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;

    while (dropped() < count && spawn_mono_ms() < until)
        (void)poll(NULL, 0, 10);
    assert_int_equal(dropped(), count);
}

static void a_stranger_comes(void)
{
    caller = -1;
    connect_with(OTHER, OTHER, 0);
}

static void strangers_come(void)
{
    int first = caller;

    while (there < CROWD) {
        a_stranger_comes();
        crowd[there++] = caller;
    }
    caller = first;
}

/* Is one that says HELLO answered, if only with a refusal? */
static bool is_answered(void)
{
    int first = caller;
    spawn_writer w;
    bool ret;

    a_stranger_comes();
    begin(&w, SPAWN_M_HELLO, NULL);
    spawn_put_str(&w, SPAWN_A_CLIENT, "test");
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    (void)spawn_packet_send(caller, w.data, w.length, NULL, 0);
    spawn_writer_free(&w);
    ret = receive_at(caller, SPAWN_FROM_BROKER) == 1;
    if (ret)
        assert_int_equal(message.header.type, SPAWN_M_REFUSED);
    (void)close(caller);
    caller = first;
    return ret;
}

static void few_of_accounts_without_a_right_are_kept(void **state)
{
    unsigned before;

    NEEDS_ROOT;
    reach_go_and_call_in();
    time_stands();
    before = has_open("socket:");
    strangers_come();
    has_heard(); /* who was there is served */
    wait_until_dropped(CROWD - UNPROVEN);
    assert_in_range(has_open("socket:"), before, before + UNPROVEN);
    assert_false(is_answered());
    time_moves(HELLO_TIME * 1000 - 1);
    has_heard();
    assert_int_equal(dropped(), CROWD - UNPROVEN);
    time_moves(1);
    has_heard();
    wait_until_dropped(CROWD);
    assert_true(is_answered());
    crowd_leaves();
}

static void few_descriptors(void)
{
    const struct rlimit few = {FILES, FILES};

    (void)setrlimit(RLIMIT_NOFILE, &few);
}

/* Until no descriptor is left, and all are there, or the backlog is full. */
static void own_side_comes(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%.107s", listen_path);
    while (there < CROWD) {
        int fd =
            socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_true(fd >= 0);
        if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0) {
            crowd[there++] = fd;
            continue;
        }
        assert_int_equal(errno, EAGAIN);
        (void)close(fd);
        if (logged("MS0543"))
            return;
        assert_true(spawn_mono_ms() < until);
        (void)poll(NULL, 0, 1);
    }
}

static void those_of_its_own_side_leave_in_time(void **state)
{
    int i;

    (void)state;
    in_broker = few_descriptors;
    reach_go_and_call_in();
    own_side_comes();
    assert_true(there > FILES / 2);
    has_heard(); /* who was there is served */
    wait_until_logged("MS0543", 1);
    for (i = 0; i <= CROWD / (FILES / 2) && dropped() < there; i++) {
        later_by(HELLO_TIME + 1);
        has_heard();
    }
    wait_until_dropped(there);
    (void)close(caller);
    call_in(); /* others are let in again */
    crowd_leaves();
}

#define CROWDED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_crowd, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CROWDED(few_of_accounts_without_a_right_are_kept),
        CROWDED(those_of_its_own_side_leave_in_time)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("silent crowd", tests, NULL, NULL);
}
