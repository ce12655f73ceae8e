/* SPDX-License-Identifier: Apache-2.0 */
/* The handles of a job are at their numbers when it runs, and nothing else is
 * open: what it is given one by one, in a box, and without an exec. */
#include <errno.h>

#include "t/unit/child_steps.h"
#include "common/spawn_box.h"

static ino_t inode(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static int ends[2], others[2], kept;
static ino_t wanted[4];

static void open_much(void)
{
    static const int numbers[] = {3, 10, 20, 63, 64, 90, 200};
    size_t i;

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (numbers[i] != kept && fcntl(numbers[i], F_GETFD) < 0)
            (void)dup2(0, numbers[i]);
    }
    IS(dup2(0, kept - 1) >= 0 && dup2(0, kept + 2) >= 0);
    IS(dup2(0, 250) == 250);
}

static void has_its_handles_only(void)
{
    int fd;

    IS(inode(0) == wanted[0]);
    IS(inode(5) == wanted[1] && fcntl(5, F_GETFD) == 0);
    IS(inode(63) == wanted[2] && fcntl(63, F_GETFD) == 0);
    IS(inode(3) == wanted[3] && fcntl(3, F_GETFD) == 0);
    IS(fcntl(kept, F_GETFD) == FD_CLOEXEC);
    for (fd = 4; fd < 300; fd++) {
        if (fd != 5 && fd != 63)
            IS(fcntl(fd, F_GETFD) != 0);
    }
    /* and not only at exec: who hangs holds nothing of others */
    IS(fcntl(kept + 1, F_GETFD) == FD_CLOEXEC);
    IS(open_count() == 3 + 3 + 2 + 4);
    IS(lifted[0] >= SPAWN_CHILD_LIFTED && inode(lifted[0]) == wanted[0]);
    IS(lifted[3] >= SPAWN_CHILD_LIFTED && inode(lifted[3]) == wanted[3]);
    IS(lifted[4] == -1 && lifted[SPAWN_FDS_BOXED] == -1);
    IS(lifted[SPAWN_CHILD_FDS - 1] == -1);
}

/* Also where their numbers cross. */
static void handles_are_at_their_numbers_and_nothing_else_is(void **state)
{
    const uint64_t fds[] = {1, 5, 2, 63, 3, 3};
    int given[4], i;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pipe(others), 0);
    given[0] = ends[0];
    given[1] = ends[1];
    given[2] = others[0];
    given[3] = others[1];
    for (i = 0; i < 4; i++)
        wanted[i] = inode(given[i]);
    kept = fcntl(0, F_DUPFD_CLOEXEC, 100);
    c.keep[0] = kept;
    assert_int_equal(fcntl(0, F_DUPFD, kept + 1), kept + 1);
    c.keep[1] = kept + 1;
    c.keep_count = 2;
    put_stream(SPAWN_A_STDIN, SPAWN_STDIO_FD, 0, 0, NULL);
    spawn_put_u64v(&w, SPAWN_A_FDS, fds, 6);
    sets_up(given, 4, open_much, has_its_handles_only);
    for (i = 0; i < 4; i++)
        (void)close(given[i]);
    (void)close(kept);
    (void)close(kept + 1);
}

/* Its own limit is set before. */
static void handles_beyond_the_jobs_limit_are_told(void **state)
{
    const uint64_t fds[] = {0, 20};
    uint64_t pair[2] = {0, 10};
    int fd = 0;

    (void)state;
    pair[0] = limit_of(RLIMIT_NOFILE);
    spawn_put_u64v(&w, SPAWN_A_LIMITS, pair, 2);
    spawn_put_u64v(&w, SPAWN_A_FDS, fds, 2);
    fails(&fd, 1, NULL, SPAWN_STEP_FDS, EBADF);
}

/* The first that does not stay, and the first behind those that do. */
static void open_beside(void)
{
    IS(dup2(0, 3) == 3);
    IS(dup2(0, SPAWN_CHILD_LIFTED + 3) == SPAWN_CHILD_LIFTED + 3);
}

static void has_what_is_boxed(void)
{
    IS(inode(7) == wanted[0] && fcntl(7, F_GETFD) == 0);
    IS(inode(1) == wanted[1] && fcntl(1, F_GETFD) == 0);
    IS(lifted[SPAWN_FDS_BOXED] >= SPAWN_CHILD_LIFTED);
    IS(lifted[SPAWN_FDS_BOXED + 1] >= SPAWN_CHILD_LIFTED);
    IS(lifted[SPAWN_FDS_BOXED + 2] == -1);
    IS(open_count() == 3 + 1 + 3);
}

static void boxed_handles_come_out(void **state)
{
    const uint64_t fds[] = {SPAWN_FDS_BOXED, 7};
    int box;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    wanted[0] = inode(ends[0]);
    wanted[1] = inode(ends[1]);
    box = spawn_box_make(ends, 2);
    assert_true(box >= 0);
    spawn_put_u64(&w, SPAWN_A_BOXED, 2);
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_FD, 0, SPAWN_FDS_BOXED + 1, NULL);
    spawn_put_u64v(&w, SPAWN_A_FDS, fds, 2);
    sets_up(&box, 1, open_beside, has_what_is_boxed);
    (void)close(box);
    box = ends[0]; /* none */
    fails(&box, 1, NULL, SPAWN_STEP_FDS, ENOTSOCK);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void no_more_files(void)
{
    struct rlimit r = {SPAWN_CHILD_LIFTED, SPAWN_CHILD_LIFTED};

    IS(setrlimit(RLIMIT_NOFILE, &r) == 0);
}

static void room_for_the_box_only(void)
{
    struct rlimit r = {SPAWN_CHILD_LIFTED + 1, SPAWN_CHILD_LIFTED + 1};

    IS(setrlimit(RLIMIT_NOFILE, &r) == 0);
}

static void handles_that_have_no_room_are_told(void **state)
{
    const uint64_t fds[] = {0, 5};
    const int boxed[] = {0, 1};
    int fd = 0, box = spawn_box_make(boxed, 2);

    assert_true(box >= 0);
    spawn_put_u64(&w, SPAWN_A_BOXED, 2);
    fails(&box, 1, room_for_the_box_only, SPAWN_STEP_FDS, EMFILE);
    (void)close(box);
    (void)end(NULL);
    (void)begin(NULL);

    (void)state;
    spawn_put_u64v(&w, SPAWN_A_FDS, fds, 2);
    fails(&fd, 1, no_more_files, SPAWN_STEP_FDS, EINVAL);
}

/* ---- without exec ---- */

static void closes_others(void)
{
    const int keep[] = {220, 71, 70};
    int fd, n = 0;

    for (fd = 3; fd < 300; fd++)
        (void)dup2(0, fd);
    spawn_child_close_others(&c, keep, 3);
    for (fd = 0; fd < 300; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    IS(n == 3 + 3 + 3);
    IS(fcntl(3, F_GETFD) >= 0 && fcntl(4, F_GETFD) >= 0
       && fcntl(63, F_GETFD) >= 0);
    IS(fcntl(70, F_GETFD) >= 0 && fcntl(71, F_GETFD) >= 0
       && fcntl(220, F_GETFD) >= 0);
}

static void all_but_what_stays_is_closed(void **state)
{
    const uint64_t fds[] = {0, 4, 0, 63, 0, 3};
    int fd = 0;

    (void)state;
    spawn_put_u64v(&w, SPAWN_A_FDS, fds, 6);
    sets_up(&fd, 1, NULL, closes_others);
}

static void closes_all(void)
{
    int fd;

    for (fd = 3; fd < 300; fd++)
        (void)dup2(0, fd);
    spawn_child_close_others(&c, NULL, 0);
    IS(open_count() == 3);
}

static void all_is_closed_when_nothing_stays(void **state)
{
    (void)state;
    sets_up(NULL, 0, NULL, closes_all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(handles_are_at_their_numbers_and_nothing_else_is),
        T(handles_beyond_the_jobs_limit_are_told),
        T(boxed_handles_come_out),
        T(handles_that_have_no_room_are_told),
        T(all_but_what_stays_is_closed),
        T(all_is_closed_when_nothing_stays),
    };

    if (!share_what_is_told())
        return 99;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("child_handles", tests, NULL, NULL);
}
