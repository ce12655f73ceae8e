/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Are the programs that run those that are installed? The test's program is the
 * spawner; files are the installed ones.
 */
#define PART_HAS_PROGRAMS
#include "t/unit/spawner_part.h"

#include "spawner/programs.c"

static char dir[] = "/tmp/spawn-programs-XXXXXX";

static void install(spawn_fd_role role, const char *path)
{
    spawn_close_fds(&spawner.fds[role], 1);
    spawner.fds[role] = open(path, O_PATH | O_CLOEXEC);
    assert_true(spawner.fds[role] >= 0);
}

/* Each a new one, in the place of the other. */
static void make_broker(void)
{
    char path[64], made[64];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/broker", dir);
    (void)snprintf(made, sizeof(made), "%s/new", dir);
    fd = open(made, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0700);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(rename(made, path), 0);
    install(SPAWN_FD_BROKER_BIN, path);
}

static int start(void **state)
{
    (void)state;
    no_state();
    if (!mkdtemp(strcpy(dir, "/tmp/spawn-programs-XXXXXX")))
        return -1;
    install(SPAWN_FD_SPAWNER_BIN, "/proc/self/exe");
    make_broker();
    programs_note_broker();
    return 0;
}

static int stop(void **state)
{
    char path[64];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/broker", dir);
    (void)unlink(path);
    (void)rmdir(dir);
    spawn_close_fds(&spawner.fds[SPAWN_FD_SPAWNER_BIN], 1);
    spawn_close_fds(&spawner.fds[SPAWN_FD_BROKER_BIN], 1);
    return 0;
}

static void the_same_files_are_no_others(void **state)
{
    (void)state;
    assert_false(programs_replaced());
}

static void each_of_the_two_may_be_another(void **state)
{
    (void)state;
    make_broker();
    assert_true(programs_replaced());
    programs_note_broker(); /* it runs */
    assert_false(programs_replaced());
    install(SPAWN_FD_SPAWNER_BIN, "/bin/sh");
    assert_true(programs_replaced());
}

/* Another file system may have a file of the same number. */
static void a_number_counts_in_its_file_system(void **state)
{
    (void)state;
    spawner.broker_device++;
    assert_true(programs_replaced());
}

static void what_is_not_known_is_no_other(void **state)
{
    int ends[2];

    (void)state;
    spawn_close_fds(&spawner.fds[SPAWN_FD_BROKER_BIN], 1);
    assert_false(programs_replaced());
    programs_note_broker(); /* of none */
    make_broker();
    assert_false(programs_replaced());
    /* a pipe is no file, and cannot be executed */
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    spawn_close_fds(&spawner.fds[SPAWN_FD_SPAWNER_BIN], 1);
    assert_false(programs_replaced());
    spawner.fds[SPAWN_FD_SPAWNER_BIN] = ends[0];
    assert_false(programs_replaced());
    (void)close(ends[1]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(the_same_files_are_no_others),
        T(each_of_the_two_may_be_another),
        T(a_number_counts_in_its_file_system),
        T(what_is_not_known_is_no_other),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner programs", tests, NULL, NULL);
}
