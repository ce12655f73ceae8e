/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, naps and descriptors of the system behind their names: each call does
 * what it is named for, seen from outside, and gives the errno when it is
 * denied. */
#include <errno.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_os.h"
#include "common/spawn_sweep.h"

/* ---- clocks ---- */

static int64_t ms_of(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t us_of(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void clocks_are_those_of_their_names(void **state)
{
    int64_t before, after, now;

    (void)state;
    before = ms_of(CLOCK_MONOTONIC);
    now = spawn_mono_ms();
    after = spawn_mono_us();
    assert_in_range(now, before, after / 1000);
    assert_in_range(after / 1000, before, ms_of(CLOCK_MONOTONIC));
    before = us_of(CLOCK_MONOTONIC);
    now = spawn_mono_us();
    assert_in_range(now, before, us_of(CLOCK_MONOTONIC));
    before = ms_of(CLOCK_BOOTTIME);
    now = spawn_boot_ms();
    assert_in_range(now, before, ms_of(CLOCK_BOOTTIME));
    before = ms_of(CLOCK_REALTIME);
    now = spawn_wall_ms();
    assert_in_range(now, before, ms_of(CLOCK_REALTIME));
}

/* A process that we start later would have our slack. */
static int naps(void)
{
    const int64_t before = spawn_mono_us();
    const int slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);

    spawn_os_nap(300);
    IS(spawn_mono_us() >= before + 300);
    IS(slack > 0 && prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) == slack);
    return 0;
}

static void a_nap_leaves_no_slack(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(naps);
}

/* Of a session of its own. */
static int makes_its_session_nice(void)
{
    const unsigned files = open_count();

    (void)setsid();
    spawn_os_autogroup_nice(9);
    IS(open_count() == files);
    return 0;
}

static void a_nice_session_leaves_nothing_open(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(makes_its_session_nice);
}

static int boot_id_denied(void)
{
    char text[40] = "as before";

    deny(SYS_read, EIO);
    IS(spawn_os_boot_id(text) == -EIO);
    deny(SYS_openat, EACCES);
    IS(spawn_os_boot_id(text) == -EACCES);
    return 0;
}

static void a_boot_has_an_id(void **state)
{
    unsigned files = open_count();
    char text[40], again[40];

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(spawn_os_boot_id(text), 0);
    assert_int_equal(strlen(text), 36);
    assert_int_equal(strspn(text, "0123456789abcdef-"), 36);
    assert_int_equal(text[37], 'x');
    assert_int_equal(spawn_os_boot_id(again), 0);
    assert_string_equal(text, again);
    assert_int_equal(open_count(), files);
    HOLDS_IN_A_CHILD(boot_id_denied);
}

/* ---- descriptors ---- */

static int flags(int fd)
{
    return fcntl(fd, F_GETFD);
}

static int sweeps(void)
{
    int fd;

    for (fd = 10; fd < 20; fd++)
        (void)dup2(0, fd);
    (void)spawn_os_close_between(12, 14);
    IS(flags(11) >= 0 && flags(12) < 0 && flags(13) < 0 && flags(14) < 0
       && flags(15) >= 0);
    (void)spawn_os_close_between(16, 16);
    IS(flags(15) >= 0 && flags(16) < 0 && flags(17) >= 0);
    (void)spawn_os_close_between(11, 10);
    IS(flags(10) >= 0 && flags(11) >= 0);
    (void)spawn_os_cloexec_from(17);
    IS(flags(15) == 0 && flags(17) == FD_CLOEXEC && flags(19) == FD_CLOEXEC);
    (void)spawn_os_close_from(15);
    IS(flags(11) >= 0 && flags(15) < 0 && flags(17) < 0 && flags(19) < 0);
    return 0;
}

static int sweeps_by_list(void)
{
    deny(SYS_close_range, ENOSYS);
    return sweeps();
}

static int sweeps_by_number(void)
{
    deny(SYS_getdents64, EPERM);
    deny(SYS_close_range, ENOSYS);
    return sweeps();
}

static void descriptors_are_swept_in_each_way(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(sweeps);
    HOLDS_IN_A_CHILD(sweeps_by_list);
    HOLDS_IN_A_CHILD(sweeps_by_number);
}

/* Its numbers fill more than one piece of the list. */
static int sweeps_many(void)
{
    struct rlimit r = {2000, 2000};
    int fd, n = 0;

    if (setrlimit(RLIMIT_NOFILE, &r) < 0)
        return 0;
    for (fd = 3; fd < 1500; fd++)
        (void)dup2(0, fd);
    deny(SYS_close_range, ENOSYS);
    (void)spawn_os_close_from(5);
    for (fd = 0; fd < 1600; fd++)
        n += flags(fd) >= 0;
    IS(n == 5);
    return 0;
}

static void many_descriptors_are_swept(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(sweeps_many);
}

static void a_sealed_memfd_cannot_be_changed(void **state)
{
    int fd = spawn_os_memfd("test");
    int other = spawn_os_memfd("test");

    (void)state;
    assert_true(fd >= 0 && other >= 0);
    assert_int_equal(flags(fd), FD_CLOEXEC);
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_false(spawn_os_sealed(fd));
    assert_int_equal(spawn_os_seal(fd), 0);
    assert_true(spawn_os_sealed(fd));
    assert_int_equal(write(fd, "abc", 3), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, 10), -1);
    assert_int_equal(spawn_os_seal(fd), -EPERM);
    assert_int_equal(fcntl(other, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_false(spawn_os_sealed(other));
    assert_false(spawn_os_sealed(0));
    assert_true(spawn_os_seal(0) < 0);
    (void)close(fd);
    (void)close(other);
}

static int not_executable_if_that_is_known(void)
{
    const unsigned asked =
        MFD_CLOEXEC | MFD_ALLOW_SEALING | 8; /* MFD_NOEXEC_SEAL */
    int fd = spawn_os_memfd("test"), old;
    struct stat st;

    if (memfd_create("test", asked) >= 0
        && (fstat(fd, &st) < 0 || (st.st_mode & 0111)))
        return 1;
    deny_when(SYS_memfd_create, 1, asked, EINVAL); /* before Linux 6.3 */
    old = spawn_os_memfd("test");
    return old >= 0 && spawn_os_seal(old) == 0 ? 0 : 2;
}

static void a_memfd_is_not_executable(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(not_executable_if_that_is_known), 0);
}

static void who_is_at_the_other_end_is_told(void **state)
{
    int pair[2], plain[2];
    pid_t pid = 7;
    uid_t uid = 7;
    gid_t gid = 7;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(spawn_os_peer(pair[0], &pid, &uid, &gid), 0);
    assert_int_equal(pid, getpid());
    assert_int_equal(uid, geteuid());
    assert_int_equal(gid, getegid());
    pid = 7;
    assert_int_equal(spawn_os_peer(pair[0], &pid, NULL, NULL), 0);
    assert_int_equal(pid, getpid());
    uid = 7;
    assert_int_equal(spawn_os_peer(pair[0], NULL, &uid, NULL), 0);
    assert_int_equal(uid, geteuid());
    gid = 7;
    assert_int_equal(spawn_os_peer(pair[0], NULL, NULL, &gid), 0);
    assert_int_equal(gid, getegid());
    assert_int_equal(pipe(plain), 0);
    pid = 7;
    assert_int_equal(spawn_os_peer(plain[0], &pid, NULL, NULL), -ENOTSOCK);
    assert_int_equal(pid, 7);
    assert_int_equal(spawn_os_pass_credentials(plain[0]), -ENOTSOCK);
    assert_true(spawn_os_pass_descriptors(plain[0], false) < 0);
    (void)close(plain[0]);
    (void)close(plain[1]);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

/* As they were then. Only root can choose some. */
static void its_groups_are_told(void **state)
{
    static const gid_t some[] = {61001, 61002, 61003};
    gid_t own[200], got[200] = {7, 7, 7, 7};
    int count = getgroups(200, own), pair[2], plain[2];
    unsigned told = 7;

    (void)state;
    assert_true(count >= 0);
    if (geteuid() == 0)
        assert_int_equal(setgroups(3, some), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    if (geteuid() == 0) {
        assert_int_equal(setgroups((size_t)count, own), 0);
        memcpy(own, some, sizeof(some));
        count = 3;
    }
    if (count > 0) {
        assert_int_equal(
            spawn_os_peer_groups(pair[0], got, (unsigned)count - 1, &told),
            -ERANGE);
        assert_int_equal(told, count);
        assert_int_equal(got[0], 7);
    }
    told = 7;
    assert_int_equal(spawn_os_peer_groups(pair[0], got, (unsigned)count, &told),
                     0);
    assert_int_equal(told, count);
    assert_memory_equal(got, own, (size_t)count * sizeof(own[0]));
    told = 7;
    assert_int_equal(pipe(plain), 0);
    assert_int_equal(spawn_os_peer_groups(plain[0], got, 200, &told),
                     -ENOTSOCK);
    assert_int_equal(told, 7);
    (void)close(plain[0]);
    (void)close(plain[1]);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

/* It fires for no clock that can be set: neither now nor in 2038. */
static void a_step_of_the_clock_is_waited_for_without_end(void **state)
{
    struct itimerspec left;
    int fd = spawn_os_clock_steps(), i;

    (void)state;
    assert_true(fd >= 0);
    for (i = 0; i < 2; i++) {
        assert_int_equal(timerfd_gettime(fd, &left), 0);
        assert_true(left.it_value.tv_sec > 100LL * 365 * 86400);
        spawn_os_clock_steps_again(fd);
    }
    (void)close(fd);
}

static int steps_denied(void)
{
    const unsigned files = open_count();

    deny(SYS_timerfd_settime, EINVAL);
    IS(spawn_os_clock_steps() == -EINVAL);
    IS(open_count() == files);
    return 0;
}

static void
a_clock_that_does_not_tell_its_steps_leaves_nothing_open(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(steps_denied);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_are_those_of_their_names),
        cmocka_unit_test(a_step_of_the_clock_is_waited_for_without_end),
        cmocka_unit_test(
            a_clock_that_does_not_tell_its_steps_leaves_nothing_open),
        cmocka_unit_test(a_nap_leaves_no_slack),
        cmocka_unit_test(a_nice_session_leaves_nothing_open),
        cmocka_unit_test(a_boot_has_an_id),
        cmocka_unit_test(descriptors_are_swept_in_each_way),
        cmocka_unit_test(many_descriptors_are_swept),
        cmocka_unit_test(a_sealed_memfd_cannot_be_changed),
        cmocka_unit_test(a_memfd_is_not_executable),
        cmocka_unit_test(who_is_at_the_other_end_is_told),
        cmocka_unit_test(its_groups_are_told),
    };

    (void)close(0);
    (void)open("/dev/null", O_RDONLY);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("os", tests, NULL, NULL);
}
