/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places that somebody removes: the broker makes its spool anew, and when that
 * goes on and on the log has few lines of it.
 */
#include "t/unit/broker_caller.h"

#include <fcntl.h>

static void reach_go_with_places(void)
{
    char lock[80];
    int fd;

    log_is_kept = true;
    (void)snprintf(lock, sizeof(lock), "%s/lock", dir);
    fd = open(lock, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    make_store();
    reach_go();
    call_in();
}

/* The broker sees to it at once; what comes after that is another removal. */
static void the_spool_is_removed(void)
{
    int64_t end = spawn_mono_ms() + DEADLINE_MS;
    char spool[80];

    (void)snprintf(spool, sizeof(spool), "%s/spool", dir);
    assert_int_equal(rmdir(spool), 0);
    while (access(spool, F_OK) < 0 && spawn_mono_ms() < end)
        (void)usleep(1000);
    assert_int_equal(access(spool, F_OK), 0);
    has_heard();
}

static void what_is_removed_is_told_once(void **state)
{
    (void)state;
    reach_go_with_places();
    the_spool_is_removed();
    assert_int_equal(logged("MS0640: removed while httpd runs: the spool in "),
                     1);
    assert_int_equal(logged("MS0641: "), 1);
}

static void who_removes_it_all_the_time_has_few_lines(void **state)
{
    int64_t since = spawn_mono_ms();
    int i;

    (void)state;
    reach_go_with_places();
    for (i = 0; i < 20; i++)
        the_spool_is_removed();
    end_broker();
    expect_few("MS0640", 5, since);
    expect_few("MS0641", 5, since);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(what_is_removed_is_told_once),
        ALONE(who_removes_it_all_the_time_has_few_lines)};

    find_broker();
    return cmocka_run_group_tests_name("places of the broker", tests, NULL,
                                       NULL);
}
