/* SPDX-License-Identifier: Apache-2.0 */
/* The slate of a worker: what the worker notes arrives, no call begins that
 * must not, and a worker that writes nonsense gets no more read than there is.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "common/spawn_board.h"
#include "common/spawn_slate.h"

static int fd = -1;
static spawn_board *board;
static spawn_slate *slate;
static spawn_slate head;

static int open_slate(void **state)
{
    (void)state;
    fd = spawn_board_make();
    board = fd < 0 ? NULL : spawn_board_map(fd);
    slate = board ? spawn_board_slate(board) : NULL;
    return slate && spawn_slate_begin(fd, 5, 11, 22) == 0 ? 0 : -1;
}

static int close_slate(void **state)
{
    (void)state;
    (void)munmap(board, SPAWN_BOARD_FILE);
    (void)close(fd);
    return 0;
}

static spawn_slate_call a_call(unsigned n)
{
    spawn_slate_call call;

    memset(&call, 0, sizeof(call));
    memset(call.id.bytes, (int)n, sizeof(call.id.bytes));
    call.length = 3;
    memcpy(call.order, "abc", 3);
    return call;
}

static bool begins(unsigned n)
{
    const spawn_slate_call call = a_call(n);

    return spawn_slate_begins(slate, &call);
}

static void look(void)
{
    assert_int_equal(spawn_slate_look(fd, &head), 0);
}

/* Calls of pread, the broker's way to look; something may happen before one. */
static unsigned looks;
static void (*before_look)(void);

ssize_t pread(int from, void *to, size_t length, off_t at)
{
    looks++;
    if (before_look)
        before_look();
    return syscall(SYS_pread64, from, to, length, at);
}

static void a_lease_begins_with_nothing(void **state)
{
    (void)state;
    assert_true(spawn_slate_there(fd));
    assert_false(spawn_slate_is_held(slate));
    assert_int_equal(spawn_slate_unread(slate), 0);
    look();
    assert_int_equal(head.lease, 5);
    assert_int_equal(head.caller_pid, 11);
    assert_int_equal(head.caller_uid, 22);
    assert_int_equal(head.ended, 0);
    assert_int_equal(head.running, 0);
    assert_int_equal(head.read, 0);
}

static void a_call_is_seen_while_it_runs_and_when_it_has_ended(void **state)
{
    spawn_slate_call got;

    (void)state;
    assert_true(begins(1));
    look();
    assert_int_equal(head.running, 1);
    assert_int_equal(head.ended, 0);
    assert_int_equal(spawn_slate_get(fd, 1, &got), 0);
    assert_int_equal(got.id.bytes[15], 1);
    assert_int_equal(got.length, 3);
    assert_memory_equal(got.order, "abc", 3);

    spawn_slate_running(slate)->kind = SPAWN_RESULT_RETURNED;
    spawn_slate_running(slate)->elapsed_us = 77;
    spawn_slate_ends(slate);
    look();
    assert_int_equal(head.running, 0);
    assert_int_equal(head.ended, 1);
    assert_int_equal(head.answered, 0);
    spawn_slate_answered(slate);
    look();
    assert_int_equal(head.answered, 1);
    assert_int_equal(spawn_slate_get(fd, 1, &got), 0);
    assert_int_equal(got.kind, SPAWN_RESULT_RETURNED);
    assert_int_equal(got.elapsed_us, 77);
}

static void worker_begins(void)
{
    if (looks == 2)
        assert_true(begins(1));
}

static void worker_withdraws(void)
{
    if (looks == 2)
        spawn_slate_withdraw(slate);
}

static void worker_begins_another(void)
{
    if (looks == 2) {
        spawn_slate_ends(slate);
        assert_true(begins(2));
    }
}

static void worker_has_ended_one(void)
{
    if (looks == 2)
        slate->ended++;
}

static void worker_never_rests(void)
{
    slate->ended ^= 1;
}

/* Values that have changed by the second look may be half changed. */
static void a_slate_that_changes_is_looked_at_again(void **state)
{
    static const struct {
        void (*changes)(void);
        unsigned looks;
        uint64_t ended, running;
    } cases[] = {
        {NULL, 2, 0, 0},
        {worker_begins, 4, 0, 1},
        {worker_withdraws, 4, 0, 0},
        {worker_begins, 4, 0, 1},
        {worker_begins_another, 4, 1, 2},
        {worker_has_ended_one, 4, 2, 2},
        {worker_never_rests, 100, 2, 2}, /* not for ever */
    };
    unsigned i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        looks = 0;
        before_look = cases[i].changes;
        look();
        before_look = NULL;
        assert_int_equal(looks, cases[i].looks);
        assert_int_equal(head.ended, cases[i].ended);
        assert_int_equal(head.running, cases[i].running);
    }
}

static void one_that_is_withdrawn_leaves_nothing(void **state)
{
    (void)state;
    assert_true(begins(1));
    spawn_slate_withdraw(slate);
    look();
    assert_int_equal(head.running, 0);
    assert_int_equal(head.ended, 0);
    assert_true(begins(2));
    look();
    assert_int_equal(head.running, 1);
}

static void none_begins_when_it_is_held_or_over(void **state)
{
    (void)state;
    assert_int_equal(spawn_slate_hold(fd), 0);
    assert_true(spawn_slate_is_held(slate));
    assert_false(begins(1));
    look();
    assert_int_equal(head.running, 0);

    assert_int_equal(spawn_slate_begin(fd, 6, 11, 22), 0);
    assert_true(begins(1));
    spawn_slate_ends(slate);
    assert_int_equal(spawn_slate_finish(fd), 0);
    assert_true(spawn_slate_is_held(slate));
    assert_false(begins(2));
    look();
    assert_int_equal(head.lease, 0);
    assert_int_equal(head.ended, 1);
}

static void none_begins_that_has_no_room(void **state)
{
    spawn_slate_call call = a_call(1);
    spawn_slate_call got;
    unsigned i;

    (void)state;
    call.length = sizeof(call.order) + 1;
    assert_false(spawn_slate_begins(slate, &call));
    call.length = sizeof(call.order);
    assert_true(spawn_slate_begins(slate, &call));
    spawn_slate_ends(slate);
    for (i = 1; i < SPAWN_SLATE_CALLS; i++) {
        assert_true(begins(i));
        spawn_slate_ends(slate);
    }
    assert_int_equal(spawn_slate_unread(slate), SPAWN_SLATE_CALLS);
    look();
    assert_false(begins(7));
    assert_int_equal(spawn_slate_set_read(fd, 1), 0);
    assert_int_equal(spawn_slate_unread(slate), SPAWN_SLATE_CALLS - 1);
    assert_true(begins(7));
    /* in the place of the first; the last one is where it was */
    assert_int_equal(spawn_slate_get(fd, SPAWN_SLATE_CALLS + 1, &got), 0);
    assert_int_equal(got.id.bytes[0], 7);
    assert_int_equal(spawn_slate_get(fd, 1, &got), 0);
    assert_int_equal(got.id.bytes[0], 7);
    assert_int_equal(spawn_slate_get(fd, SPAWN_SLATE_CALLS, &got), 0);
    assert_int_equal(got.id.bytes[0], SPAWN_SLATE_CALLS - 1);
    spawn_slate_ends(slate);
    look();
    assert_int_equal(head.ended, SPAWN_SLATE_CALLS + 1);
}

static void the_slate_is_beside_the_result(void **state)
{
    static uint8_t all[SPAWN_RESULT_MAX];
    spawn_slate_call got;

    (void)state;
    assert_true(begins(9));
    memset(all, 0xff, sizeof(all));
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_RETURNED, all, sizeof(all)),
        0);
    look();
    assert_int_equal(head.lease, 5);
    assert_int_equal(spawn_slate_get(fd, 1, &got), 0);
    assert_int_equal(got.id.bytes[0], 9);
    spawn_board_clear(board);
    look();
    assert_int_equal(head.running, 1);
}

static void nonsense_is_refused(void **state)
{
    spawn_slate_call got;

    (void)state;
    slate->ended = SPAWN_SLATE_CALLS + 1;
    assert_int_equal(spawn_slate_look(fd, &head), -EBADMSG);
    slate->ended = 1;
    slate->read = 2;
    assert_int_equal(spawn_slate_look(fd, &head), -EBADMSG);
    assert_true(begins(1) == false); /* so it has no room either */
    slate->read = slate->ended = 0;
    assert_true(begins(1));
    spawn_slate_running(slate)->length = SPAWN_SLATE_ORDER_MAX;
    assert_int_equal(spawn_slate_get(fd, 1, &got), 0);
    spawn_slate_running(slate)->length = SPAWN_SLATE_ORDER_MAX + 1;
    assert_int_equal(spawn_slate_get(fd, 1, &got), -EBADMSG);
}

static void a_board_without_a_slate_is_known(void **state)
{
    spawn_slate_call got;

    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)SPAWN_SLATE_END), 0);
    assert_true(spawn_slate_there(fd));
    assert_int_equal(ftruncate(fd, (off_t)SPAWN_SLATE_END - 1), 0);
    assert_false(spawn_slate_there(fd));
    assert_int_equal(ftruncate(fd, SPAWN_BOARD_SIZE), 0);
    assert_false(spawn_slate_there(fd));
    assert_int_equal(spawn_slate_look(fd, &head), -EBADMSG);
    assert_int_equal(spawn_slate_get(fd, 1, &got), -EBADMSG);
    assert_false(spawn_slate_there(-1));
    assert_int_equal(spawn_slate_begin(-1, 1, 1, 1), -EIO);
    assert_int_equal(spawn_slate_finish(-1), -EIO);
    assert_int_equal(spawn_slate_hold(-1), -EIO);
    assert_int_equal(spawn_slate_set_read(-1, 1), -EIO);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_slate, close_slate)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lease_begins_with_nothing),
        TEST(a_call_is_seen_while_it_runs_and_when_it_has_ended),
        TEST(a_slate_that_changes_is_looked_at_again),
        TEST(one_that_is_withdrawn_leaves_nothing),
        TEST(none_begins_when_it_is_held_or_over),
        TEST(none_begins_that_has_no_room),
        TEST(the_slate_is_beside_the_result),
        TEST(nonsense_is_refused),
        TEST(a_board_without_a_slate_is_known),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
