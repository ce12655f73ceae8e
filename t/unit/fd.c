/* SPDX-License-Identifier: Apache-2.0 */
/* A descriptor kept beside other people's code: only the file that it was is
 * taken for it, and closed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_fd.h"

/* Another file at this number. */
static void put_at(int number, const char *path, int how)
{
    int fd = open(path, how | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(dup2(fd, number), number);
    (void)close(fd);
}

static void what_is_still_there_is_kept(void **state)
{
    spawn_kept_fd kept;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    errno = 77;
    spawn_fd_keep(&kept, ends[0]);
    assert_int_equal(spawn_fd_kept(&kept), ends[0]);
    assert_int_equal(errno, 77);
    spawn_fd_close(&kept);
    assert_int_equal(errno, 77);
    assert_int_equal(fcntl(ends[0], F_GETFD), -1);
    assert_int_equal(spawn_fd_kept(&kept), -1);
    (void)close(ends[1]);
}

static void what_was_never_there_is_not_kept(void **state)
{
    spawn_kept_fd kept;

    (void)state;
    errno = 77;
    spawn_fd_keep(&kept, 2);
    spawn_fd_keep(&kept, -1);
    assert_int_equal(spawn_fd_kept(&kept), -1);
    spawn_fd_keep(&kept, 299);
    assert_int_equal(spawn_fd_kept(&kept), -1);
    spawn_fd_close(&kept);
    assert_int_equal(errno, 77);
}

static void what_somebody_closed_is_gone(void **state)
{
    spawn_kept_fd kept;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    spawn_fd_keep(&kept, ends[0]);
    (void)close(ends[0]);
    errno = 77;
    assert_int_equal(spawn_fd_kept(&kept), -1);
    spawn_fd_close(&kept);
    assert_int_equal(errno, 77);
    (void)close(ends[1]);
}

/* Same device, another file; and the same inode of another device. */
static void another_file_at_its_number_is_left_alone(void **state)
{
    spawn_kept_fd kept;
    int fd = open("/proc", O_PATH | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    spawn_fd_keep(&kept, fd);
    put_at(fd, "/proc/self", O_PATH);
    assert_int_equal(spawn_fd_kept(&kept), -1);
    put_at(fd, "/sys", O_PATH); /* inode 1, as /proc */
    assert_int_equal(spawn_fd_kept(&kept), -1);
    spawn_fd_close(&kept);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    put_at(fd, "/proc", O_PATH); /* it is not kept any more */
    assert_int_equal(spawn_fd_kept(&kept), -1);
    (void)close(fd);
}

/* All of them have one inode. */
static void another_eventfd_at_its_number_is_left_alone(void **state)
{
    spawn_kept_fd kept;
    int bell = eventfd(0, EFD_CLOEXEC), other = eventfd(0, EFD_CLOEXEC);

    (void)state;
    assert_true(bell >= 0 && other >= 0);
    errno = 77;
    spawn_fd_keep(&kept, bell);
    assert_int_equal(spawn_fd_kept(&kept), bell);
    assert_int_equal(errno, 77);
    assert_int_equal(dup2(other, bell), bell);
    assert_int_equal(spawn_fd_kept(&kept), -1);
    spawn_fd_close(&kept);
    assert_true(fcntl(bell, F_GETFD) >= 0);
    (void)close(bell);
    (void)close(other);
}

/* No number is left to look by. */
static int is_kept_without_a_look(void)
{
    int bell = eventfd(0, EFD_CLOEXEC), other = eventfd(0, EFD_CLOEXEC);
    struct rlimit none = {0, 100}, some = {100, 100};
    spawn_kept_fd kept, blind;

    spawn_fd_keep(&kept, bell);
    IS(setrlimit(RLIMIT_NOFILE, &none) == 0);
    IS(spawn_fd_kept(&kept) == bell);
    spawn_fd_keep(&blind, bell);
    IS(setrlimit(RLIMIT_NOFILE, &some) == 0);
    IS(spawn_fd_kept(&blind) == bell);
    IS(dup2(other, bell) == bell);
    IS(spawn_fd_kept(&kept) == -1);
    IS(spawn_fd_kept(&blind) == bell); /* nobody can tell */
    return 0;
}

static void one_that_cannot_be_looked_at_is_kept(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(is_kept_without_a_look);
}

/* Of a file and of what is anonymous. */
static void a_look_leaves_nothing_open(void **state)
{
    int bell = eventfd(0, EFD_CLOEXEC);
    unsigned files = open_count();
    spawn_kept_fd kept;

    (void)state;
    spawn_fd_keep(&kept, bell);
    assert_int_equal(spawn_fd_kept(&kept), bell);
    assert_int_equal(open_count(), files);
    (void)close(bell);
}

static void the_number_zero_is_one_too(void **state)
{
    spawn_kept_fd kept;

    (void)state;
    put_at(0, "/dev/null", O_RDONLY);
    spawn_fd_keep(&kept, 0);
    assert_int_equal(spawn_fd_kept(&kept), 0);
    put_at(0, "/dev/zero", O_RDONLY);
    assert_int_equal(spawn_fd_kept(&kept), -1);
    spawn_fd_keep(&kept, 0);
    spawn_fd_close(&kept);
    assert_int_equal(fcntl(0, F_GETFD), -1);
    assert_int_equal(open("/dev/null", O_RDONLY), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_still_there_is_kept),
        cmocka_unit_test(what_was_never_there_is_not_kept),
        cmocka_unit_test(what_somebody_closed_is_gone),
        cmocka_unit_test(another_file_at_its_number_is_left_alone),
        cmocka_unit_test(another_eventfd_at_its_number_is_left_alone),
        cmocka_unit_test(one_that_cannot_be_looked_at_is_kept),
        cmocka_unit_test(a_look_leaves_nothing_open),
        cmocka_unit_test(the_number_zero_is_one_too),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("fd", tests, NULL, NULL);
}
