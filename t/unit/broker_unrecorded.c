/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that are not recorded: the next broker knows them, but for what another
 * layout has left; one that the store has is none of them; of those that want
 * the same places the oldest goes first, and none goes while there is room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "broker/store/unrecorded.h"

#define TOGETHER 8u /* that have the same places */

static void *room;

static int set_up(void **state)
{
    (void)state;
    room = mmap(NULL, spawn_unrecorded_size(), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return room == MAP_FAILED ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    return munmap(room, spawn_unrecorded_size());
}

/* A broker has one place for them in its life. */
static void in_a_broker(void (*f)(void))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        spawn_unrecorded_open(room);
        f();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void must(bool is)
{
    if (!is)
        _exit(1);
}

/* All of them want the same places. */
static spawn_id id_of(unsigned n)
{
    spawn_id id = {{1, (uint8_t)(n >> 8), (uint8_t)n}};

    return id;
}

static void add(unsigned n)
{
    spawn_unrecorded call = {
        .id = id_of(n), .digest = n + 7, .caller_uid = n, .queue = "some"};

    spawn_unrecorded_add(&call);
}

static const spawn_unrecorded *known(unsigned n)
{
    spawn_id id = id_of(n);

    return spawn_unrecorded_find(&id);
}

static void drop(unsigned n)
{
    spawn_id id = id_of(n);

    spawn_unrecorded_drop(&id);
}

static void one_ends(void)
{
    must(!known(3));
    add(3);
    must(known(3) && !known(4));
}

static void it_is_known(void)
{
    const spawn_unrecorded *call = known(3);

    must(call && call->digest == 10 && call->caller_uid == 3
         && strcmp(call->queue, "some") == 0);
    must(!known(4));
}

static void it_is_not(void)
{
    must(!known(3));
}

static void the_next_broker_knows_them(void **state)
{
    (void)state;
    in_a_broker(one_ends);
    in_a_broker(it_is_known);
}

static void not_what_another_layout_has_left(void **state)
{
    (void)state;
    in_a_broker(one_ends);
    *(uint64_t *)room ^= 1; /* its mark */
    in_a_broker(it_is_not);
    in_a_broker(one_ends);
}

static void it_is_stored(void)
{
    drop(4); /* which is none */
    must(known(3));
    drop(3);
    must(!known(3));
}

static void none_that_the_store_has(void **state)
{
    (void)state;
    in_a_broker(one_ends);
    in_a_broker(it_is_stored);
    in_a_broker(it_is_not);
}

static void many_end(void)
{
    unsigned i;

    for (i = 0; i < TOGETHER; i++)
        add(i);
    add(0); /* which is there */
    for (i = 0; i < TOGETHER; i++)
        must(known(i));
}

static void more_end(void)
{
    unsigned i;

    add(TOGETHER);
    must(!known(0) && known(1) && known(TOGETHER));
    drop(5);
    add(TOGETHER + 1);
    must(known(1));
    add(TOGETHER + 2);
    must(!known(1));
    for (i = 2; i < TOGETHER + 3; i++)
        must(i == 5 || known(i));
}

static void the_oldest_goes_when_there_is_no_room(void **state)
{
    (void)state;
    in_a_broker(many_end);
    in_a_broker(more_end);
}

static void without_room_they_are_known_to_this_broker(void **state)
{
    (void)state;
    add(1); /* there is nothing yet */
    assert_null(known(1));
    spawn_unrecorded_open(NULL);
    add(1);
    assert_non_null(known(1));
    spawn_unrecorded_open(room); /* a later one does not count */
    assert_non_null(known(1));
}

int main(void)
{
#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        EACH(the_next_broker_knows_them),
        EACH(not_what_another_layout_has_left), EACH(none_that_the_store_has),
        EACH(the_oldest_goes_when_there_is_no_room),
        EACH(without_room_they_are_known_to_this_broker)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("broker_unrecorded", tests, NULL, NULL);
}
