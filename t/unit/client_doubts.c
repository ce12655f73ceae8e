/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that went to a worker directly and have no answer: the process knows
 * the last ones, each with its worker, also after a fork. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "client/pool.h"

#define KNOWN 256

static spawn_id id_of(unsigned kind, unsigned n)
{
    spawn_id id = {{(uint8_t)kind, (uint8_t)(n >> 8), (uint8_t)n}};

    return id;
}

static void doubt(unsigned n)
{
    spawn_id job = id_of(1, n), worker = id_of(2, n);

    spawn_pool_doubt(&job, &worker);
}

static bool is_doubted(unsigned n)
{
    spawn_id job = id_of(1, n), worker, expected = id_of(2, n);

    return spawn_pool_doubts(&job, &worker)
           && spawn_id_equal(&worker, &expected);
}

static void each_is_known_with_its_worker(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    assert_false(is_doubted(0));
    doubt(0);
    doubt(1);
    assert_true(is_doubted(0) && is_doubted(1));
    assert_false(is_doubted(2));
    pid = fork();
    if (pid == 0)
        _exit(is_doubted(1) ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void the_last_ones_are(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < KNOWN + 2; i++)
        doubt(i);
    assert_false(is_doubted(0) || is_doubted(1));
    for (i = 2; i < KNOWN + 2; i++)
        assert_true(is_doubted(i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_known_with_its_worker),
        cmocka_unit_test(the_last_ones_are)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("client doubts", tests, NULL, NULL);
}
