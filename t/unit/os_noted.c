/* SPDX-License-Identifier: Apache-2.0 */
/* A process is the one whose start was noted: by its number, its session, and
 * the time of its start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/spawn_process.h"

static int its_end; /* its end comes with the end of this */

static pid_t begin(bool leads)
{
    int ends[2], begun[2];
    pid_t pid;
    char byte = 0;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(pipe2(begun, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (leads)
            (void)setsid();
        (void)close(ends[1]);
        _exit(write(begun[1], "", 1) == 1 && read(ends[0], &byte, 1) == 0 ? 5
                                                                          : 6);
    }
    assert_int_equal(read(begun[0], &byte, 1), 1);
    (void)close(begun[0]);
    (void)close(begun[1]);
    (void)close(ends[0]);
    its_end = ends[1];
    return pid;
}

static void end(pid_t pid)
{
    int status;

    (void)close(its_end);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static int64_t start_of(pid_t pid)
{
    int64_t began = 0;
    pid_t session;

    assert_int_equal(spawn_os_process(pid, &began, &session), 0);
    return began;
}

/* The kernel counts in steps of 10 ms, and a start is noted later. */
static void it_began_before_the_note(void **state)
{
    pid_t pid = begin(true);
    int64_t began = start_of(pid);

    (void)state;
    assert_true(spawn_os_is_noted(pid, began, 0));
    assert_true(spawn_os_is_noted(pid, began - 50, 0));
    assert_false(spawn_os_is_noted(pid, began - 51, 0));
    assert_true(spawn_os_is_noted(pid, began + 60000, 60000));
    assert_false(spawn_os_is_noted(pid, began + 60001, 60000));
    assert_false(spawn_os_is_noted(pid, began + 1, 0));
    assert_true(spawn_os_is_noted(pid, began + 60001, -1));
    assert_false(spawn_os_is_noted(pid, began - 51, -1));
    end(pid);
    assert_false(spawn_os_is_noted(pid, began, -1));
}

static void it_leads_a_session(void **state)
{
    pid_t pid = begin(false);
    int64_t began = start_of(pid);

    (void)state;
    assert_false(spawn_os_is_noted(pid, began, -1));
    end(pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_began_before_the_note),
        cmocka_unit_test(it_leads_a_session),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("os_noted", tests, NULL, NULL);
}
