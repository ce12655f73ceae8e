/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that leave a cgroup that nobody has marked, on the real one:
 * one with its descendants, which have sessions of their own, as a spawner has;
 * and not the others of its process group, as a script that runs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_cgroup.h"
#include "common/spawn_os.h"

#define DEADLINE_MS 60000

static char dir[300], self[350];
static pid_t started[2]; /* by us: who stays, and who leaves */

static const char *mounted_at(void)
{
    static char place[256];
    char line[1024];
    FILE *in = fopen("/proc/mounts", "re");
    bool found = false;

    while (in && !found && fgets(line, sizeof(line), in))
        found = sscanf(line, "%*s %255s cgroup2 ", place) == 1
                && strstr(line, " cgroup2 ");
    if (in)
        (void)fclose(in);
    return found ? place : NULL;
}

static bool is_in(const char *path, pid_t pid)
{
    char file[400], line[32];
    bool found = false;
    FILE *in;

    (void)snprintf(file, sizeof(file), "%s/cgroup.procs", path);
    in = fopen(file, "re");
    while (in && fgets(line, sizeof(line), in))
        found |= (pid_t)atol(line) == pid;
    if (in)
        (void)fclose(in);
    return found;
}

static bool goes_there(void)
{
    int fd = spawn_cgroup_open(dir);
    int rv = fd < 0 ? fd : spawn_cgroup_put(fd, "cgroup.procs", "0");

    if (fd >= 0)
        (void)close(fd);
    return rv == 0;
}

/* As httpd: it has started one with a session, which has started another one.
 * It writes the count of processes that it left there, and the pids of both. */
static void leaves(int out)
{
    int own[2], fd, said[3] = {-1};
    pid_t child, grandchild = 0;

    if (!goes_there() || pipe2(own, O_CLOEXEC) < 0)
        _exit(1);
    child = fork();
    if (child == 0) {
        (void)spawn_os_die_with_parent(SIGKILL);
        (void)setsid();
        grandchild = fork();
        if (grandchild == 0) {
            (void)spawn_os_die_with_parent(SIGKILL);
            (void)setsid();
            grandchild = getpid(); /* not before it would end with its parent */
            (void)!write(own[1], &grandchild, sizeof(grandchild));
            for (;;)
                (void)pause();
        }
        for (;;)
            (void)pause();
    }
    if (read(own[0], &grandchild, sizeof(grandchild))
        != (ssize_t)sizeof(grandchild))
        _exit(1);
    fd = spawn_cgroup_open(dir);
    said[0] = spawn_cgroup_step_aside(fd);
    said[1] = (int)child;
    said[2] = (int)grandchild;
    (void)!write(out, said, sizeof(said));
    for (;;)
        (void)pause();
}

/* False: it could not go there. */
static bool start_who_stays(void)
{
    int ready[2];
    char is = 'n';

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    started[0] = fork();
    if (started[0] == 0) {
        (void)spawn_os_die_with_parent(SIGKILL);
        is = goes_there() ? 'y' : 'n';
        (void)!write(ready[1], &is, 1);
        for (;;)
            (void)pause();
    }
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &is, 1), 1);
    (void)close(ready[0]);
    return is == 'y';
}

static void start_who_leaves(int said[3])
{
    int out[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    started[1] = fork();
    if (started[1] == 0) {
        (void)spawn_os_die_with_parent(SIGKILL);
        leaves(out[1]);
    }
    (void)close(out[1]);
    assert_int_equal(read(out[0], said, 3 * sizeof(*said)), 3 * sizeof(*said));
    (void)close(out[0]);
}

static int start(void **state)
{
    (void)state;
    (void)alarm(DEADLINE_MS / 1000);
    dir[0] = '\0';
    started[0] = started[1] = 0;
    return 0;
}

static int stop(void **state)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;
    unsigned i;

    (void)state;
    for (i = 0; i < 2; i++) {
        if (started[i] > 0) {
            (void)kill(started[i], SIGKILL);
            (void)waitpid(started[i], NULL, 0);
        }
    }
    if (!dir[0])
        return 0;
    while (rmdir(self) < 0 && errno == EBUSY && spawn_mono_ms() < deadline)
        (void)usleep(1000); /* those below it end with it */
    while (rmdir(dir) < 0 && errno == EBUSY && spawn_mono_ms() < deadline)
        (void)usleep(1000);
    return access(dir, F_OK) == 0 ? -1 : 0;
}

static void who_was_started_goes_and_others_stay(void **state)
{
    const char *place = mounted_at();
    int said[3];
    bool may;

    (void)state;
    LEAVE_OUT_IF(!place, "cgroup v2 is not mounted");
    (void)snprintf(dir, sizeof(dir), "%s/spawn-unit-XXXXXX", place);
    if (!mkdtemp(dir))
        dir[0] = '\0';
    LEAVE_OUT_IF(!dir[0], "no directory can be made in cgroup v2");
    (void)snprintf(self, sizeof(self), "%s/%s", dir, SPAWN_CGROUP_SELF);
    may = start_who_stays();
    LEAVE_OUT_IF(!may, "no process can be moved there");
    start_who_leaves(said);
    assert_int_equal(getpgid(started[1]), getpgid(started[0]));
    assert_int_equal(said[0], started[0]);
    assert_true(is_in(dir, started[0]));
    assert_true(is_in(self, started[1]));
    assert_true(is_in(self, said[1]));
    assert_true(is_in(self, said[2]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        who_was_started_goes_and_others_stay, start, stop)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("cgroup_aside", tests, NULL, NULL);
}
