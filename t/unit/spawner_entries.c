/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The things that go with an entry of the spawner's table: its descriptors,
 * each in its own way, and memory.
 */
#define PART_HAS_TABLE
#include "t/unit/spawner_part.h"

#include "spawner/table.c"

static int given[8]; /* to who closes what came from outside */
static unsigned given_count;

static void give_noted(int fd)
{
    given[given_count++ % 8] = fd;
    (void)close(fd);
}

static int start(void **state)
{
    (void)state;
    no_state();
    given_count = 0;
    spawn_packets_close_by(give_noted);
    return table_init();
}

/* The broker's word for them does not count: pipes and memfds have nothing in
 * them that could wait. */
static void only_pipes_and_memfds_are_closed_at_once(void **state)
{
    const spawn_id id = {{1}};
    job *j = table_add(&id);
    int fds[SPAWN_KEEP_MAX], i;

    (void)state;
    for (i = 0; i < SPAWN_KEEP_MAX; i++)
        j->keep[i] = spawn_os_memfd("kept");
    spawn_close_fds(j->keep, 4);
    assert_int_equal(pipe2(&j->keep[0], O_CLOEXEC), 0);
    j->keep[2] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    j->keep[3] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    memcpy(fds, j->keep, sizeof(fds));
    table_remove(j);
    for (i = 0; i < SPAWN_KEEP_MAX; i++)
        assert_false(is_open(fds[i]));
    assert_int_equal(given_count, 2);
    assert_int_equal(given[0], fds[2]);
    assert_int_equal(given[1], fds[3]);
}

/* Held descriptors are from callers. */
static void handles_leave_nothing(void **state)
{
    size_t heap = heap_bytes();
    int round, i;

    (void)state;
    for (round = 0; round < 1000; round++) {
        const spawn_id id = {{(uint8_t)round, 7}};
        int fds[3];

        for (i = 0; i < 3; i++)
            fds[i] = dup(STDERR_FILENO);
        held_add(&id, 1, fds, 3);
        held_remove(&id);
        for (i = 0; i < 3; i++)
            assert_false(is_open(fds[i]));
    }
    assert_null(held_first());
    assert_int_equal(given_count, 3000);
    assert_in_range(heap_bytes(), 0, heap + 3000);
}

#define T(f) cmocka_unit_test_setup(f, start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(only_pipes_and_memfds_are_closed_at_once),
        T(handles_leave_nothing),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_entries", tests, NULL, NULL);
}
