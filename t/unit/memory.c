/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a process: what it touches counts, what it shares is not its
 * own alone, and a process that may not be looked at, or has gone, is told
 * from one that has none.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "common/spawn_areas.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"

#define MB    (1u << 20)
#define BYTES (16u * MB)

static char *map_and_touch(int how)
{
    char *p =
        mmap(NULL, BYTES, PROT_READ | PROT_WRITE, how | MAP_ANONYMOUS, -1, 0);

    assert_true(p != MAP_FAILED);
    memset(p, 1, BYTES);
    return p;
}

static spawn_memory look(pid_t pid)
{
    spawn_memory m;

    assert_int_equal(spawn_os_memory(pid, &m), 0);
    return m;
}

/* The libraries' part of it changes with what other processes do. */
static void grown(uint64_t before, uint64_t after)
{
    assert_in_range(after, before + BYTES - MB, before + BYTES + MB);
}

/* A child that waits until its pipe is closed. *ret_end: close it. */
static pid_t child(int *ret_end)
{
    int ends[2];
    pid_t pid;
    char byte;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(ends[1]);
        _exit(read(ends[0], &byte, 1) != 0);
    }
    (void)close(ends[0]);
    *ret_end = ends[1];
    return pid;
}

static void end(pid_t pid, int its_end)
{
    (void)close(its_end);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void what_is_touched_counts(void **state)
{
    spawn_memory before = look(getpid()), after;
    char *p = map_and_touch(MAP_PRIVATE);

    (void)state;
    after = look(getpid());
    (void)munmap(p, BYTES);
    grown(before.resident, after.resident);
    grown(before.proportional, after.proportional);
    grown(before.alone, after.alone);
    assert_true(after.alone <= after.resident);
    assert_in_range(look(getpid()).alone, 0, before.alone + MB);
}

/* Pages of a file that nobody else has mapped, and that were only read. */
static void what_is_only_read_counts(void **state)
{
    char name[] = "/tmp/spawn-memory-XXXXXX";
    char *bytes = calloc(1, BYTES), *p;
    int fd = mkstemp(name);
    spawn_memory before, after;
    unsigned sum = 0;
    size_t i;

    (void)state;
    assert_true(fd >= 0);
    (void)unlink(name);
    assert_non_null(bytes);
    assert_int_equal(write(fd, bytes, BYTES), BYTES);
    free(bytes);
    assert_int_equal(fsync(fd), 0);
    p = mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    assert_true(p != MAP_FAILED);
    before = look(getpid());
    for (i = 0; i < BYTES; i += 4096)
        sum += (unsigned char)p[i];
    after = look(getpid());
    (void)munmap(p, BYTES);
    assert_int_equal(sum, 0);
    grown(before.alone, after.alone);
}

/* It is there whether it was looked at or not, and it is the template's. */
static void what_is_frozen_counts_for_its_template(void **state)
{
    int fd = spawn_os_memfd(SPAWN_FROZEN_NAME);
    char *bytes = calloc(1, BYTES), *p;
    spawn_memory none, mapped, read_only, written;
    unsigned sum = 0;
    size_t i;

    (void)state;
    assert_true(fd >= 0);
    assert_non_null(bytes);
    assert_int_equal(write(fd, bytes, BYTES), BYTES);
    free(bytes);
    none = look(getpid());
    p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    assert_true(p != MAP_FAILED);
    mapped = look(getpid());
    for (i = 0; i < BYTES; i += 4096)
        sum += (unsigned char)p[i];
    read_only = look(getpid());
    memset(p, 1, BYTES);
    written = look(getpid());
    (void)munmap(p, BYTES);
    assert_int_equal(sum, 0);
    assert_int_equal(none.frozen, 0);
    assert_int_equal(mapped.frozen, BYTES);
    assert_int_equal(written.frozen, BYTES);
    grown(none.resident, mapped.resident);
    grown(none.resident, read_only.resident);
    grown(none.resident, written.resident);
    assert_in_range(mapped.alone, 0, none.alone + MB);
    assert_in_range(read_only.alone, 0, none.alone + MB);
    assert_in_range(read_only.proportional, 0, none.proportional + MB);
    grown(none.alone, written.alone);
    grown(none.proportional, written.proportional);
}

static void what_a_fork_shares_is_not_alone(void **state)
{
    char *p = map_and_touch(MAP_PRIVATE);
    int its_end;
    pid_t pid = child(&its_end);
    spawn_memory its = look(pid), ours = look(getpid());

    (void)state;
    assert_true(its.resident >= BYTES);
    assert_true(its.alone < BYTES / 2);
    assert_true(its.proportional
                < its.resident / 4 * 3); /* half, and libraries */
    assert_true(ours.alone < BYTES / 2);
    end(pid, its_end);
    assert_true(look(getpid()).alone >= BYTES);
    (void)munmap(p, BYTES);
}

static void one_that_has_ended_has_none(void **state)
{
    spawn_memory m = {1, 2, 3, 4};
    siginfo_t info;
    int its_end, rv;
    pid_t pid = child(&its_end);

    (void)state;
    (void)close(its_end);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    rv = spawn_os_memory(pid, &m); /* a zombie */
    assert_true(rv == -ESRCH || rv == -EACCES);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    rv = spawn_os_memory(pid, &m);
    assert_true(rv == -ENOENT || rv == -ESRCH);
    assert_int_equal(m.resident, 1); /* left alone */
    assert_int_equal(m.alone, 3);
}

/* Looks from a child without any privilege at one that shows itself to nobody;
 * the child's exit code is the errno. */
static void what_is_not_shown_is_told(void **state)
{
    int its_end, status;
    pid_t pid, looker;

    (void)state;
    (void)prctl(PR_SET_DUMPABLE, 0); /* which the child inherits */
    pid = child(&its_end);
    (void)prctl(PR_SET_DUMPABLE, 1);
    looker = fork();
    assert_true(looker >= 0);
    if (looker == 0) {
        spawn_memory m;

        if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
            _exit(99);
        _exit(-spawn_os_memory(pid, &m));
    }
    assert_int_equal(waitpid(looker, &status, 0), looker);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EACCES);
    end(pid, its_end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_touched_counts),
        cmocka_unit_test(what_is_only_read_counts),
        cmocka_unit_test(what_is_frozen_counts_for_its_template),
        cmocka_unit_test(what_a_fork_shares_is_not_alone),
        cmocka_unit_test(one_that_has_ended_has_none),
        cmocka_unit_test(what_is_not_shown_is_told)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
