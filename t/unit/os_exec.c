/* SPDX-License-Identifier: Apache-2.0 */
/* A program that is executed by its descriptor, with each kernel's calls; and a
 * process that has executed one, told from one that has only been forked. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"

static int execs(void)
{
    char program[] = "/bin/sh", flag[] = "-c", script[] = "read x; exit 3";
    char *argv[] = {program, flag, script, NULL}, *envp[] = {NULL};
    int fd = open(program, O_PATH | O_CLOEXEC);

    return spawn_os_exec_fd(fd, argv, envp) ? 99 : 98;
}

static int ends[2];

static int execs_without_execveat(void)
{
    deny(SYS_execveat, ENOSYS);
    return execs();
}

static int execs_with_execveat_forbidden(void)
{
    deny(SYS_execveat, EPERM);
    return execs();
}

static int exec_of_nothing(void)
{
    char *argv[] = {NULL}, *envp[] = {NULL};
    int fd = open("/etc/passwd", O_PATH | O_CLOEXEC);

    IS(spawn_os_exec_fd(fd, argv, envp) == -EACCES);
    IS(spawn_os_exec_fd(-1, argv, envp) == -EBADF);
    deny(SYS_execveat, ENOSYS);
    IS(spawn_os_exec_fd(fd, argv, envp) == -EACCES);
    IS(spawn_os_exec_fd(-1, argv, envp) == -ENOSYS);
    return 0;
}

static void a_program_is_executed_by_its_descriptor(void **state)
{
    int (*const ways[])(void) = {execs, execs_without_execveat,
                                 execs_with_execveat_forbidden};
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++)
        assert_int_equal(in_a_child(ways[i]), 3); /* stdin has ended */
    HOLDS_IN_A_CHILD(exec_of_nothing);
}

static int waits_in_sh(void)
{
    (void)dup2(ends[0], 0);
    (void)close(ends[1]);
    return execs();
}

static void what_has_executed_is_told_apart(void **state)
{
    int64_t deadline = spawn_mono_ms() + 60000;
    int status;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0)
        _exit(waits_in_sh());
    while (spawn_os_only_forked(pid) != 0 && spawn_mono_ms() < deadline)
        (void)poll(NULL, 0, 1);
    assert_int_equal(spawn_os_only_forked(pid), 0);
    (void)close(ends[1]);
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_is_executed_by_its_descriptor),
        cmocka_unit_test(what_has_executed_is_told_apart),
    };

    (void)close(0);
    (void)open("/dev/null", O_RDONLY);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("os_exec", tests, NULL, NULL);
}
