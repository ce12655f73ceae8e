/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Big answers that lie in callers' sockets are counted for their account until
 * they are read, also when their connection is closed. Links unread.c and the
 * room base of the broker; connections are pairs of sockets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "broker/base/timer.h"
#include "broker/caller/unread.h"

#define SHE  4711
#define HE   4712
#define SOME 100000

typedef struct {
    int ours, theirs;
    spawn_unread *unread;
} connection;

static void sends(connection *c, uid_t uid, bool counts, size_t bytes)
{
    int ends[2];

    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    c->ours = ends[0];
    c->theirs = ends[1];
    assert_int_equal(send(c->ours, "a", 1, 0), 1);
    c->unread = spawn_unread_add(c->ours, uid, counts, bytes);
}

static void reads(const connection *c)
{
    char byte;

    assert_int_equal(recv(c->theirs, &byte, 1, 0), 1);
}

static void closes(connection *c)
{
    (void)close(c->ours);
    (void)close(c->theirs);
}

static void what_is_read_is_no_more(void **state)
{
    connection c;

    (void)state;
    sends(&c, SHE, true, SOME);
    assert_false(spawn_unread_is_read(c.unread));
    reads(&c);
    assert_true(spawn_unread_is_read(c.unread));
    closes(&c);
}

static void what_waits_here_is_not_read(void **state)
{
    connection c;

    (void)state;
    sends(&c, SHE, true, SOME);
    reads(&c);
    spawn_unread_waits(c.unread, true);
    assert_false(spawn_unread_is_read(c.unread));
    spawn_unread_waits(c.unread, false);
    assert_true(spawn_unread_is_read(c.unread));
    closes(&c);
}

static void small_ones_are_sent(const connection *c, int count)
{
    while (count-- > 0) {
        int before = spawn_unread_memory(c->unread);

        assert_int_equal(send(c->ours, "b", 1, 0), 1);
        spawn_unread_behind(c->unread, before);
    }
}

/* Also when its caller has not read them. */
static void small_ones_behind_it_do_not_count(void **state)
{
    connection c;

    (void)state;
    sends(&c, SHE, true, SPAWN_UNREAD_BYTES);
    small_ones_are_sent(&c, 3);
    assert_true(spawn_unread_too_many(SHE));
    reads(&c);
    assert_false(spawn_unread_too_many(SHE));
    small_ones_are_sent(&c, 2);
    assert_false(spawn_unread_too_many(SHE));
    assert_true(spawn_unread_is_read(c.unread));
    closes(&c);
}

static void small_ones_before_it_are_read_first(void **state)
{
    connection c;

    (void)state;
    sends(&c, SHE, true, SPAWN_UNREAD_BYTES);
    spawn_unread_waits(c.unread, true); /* that was a small one */
    small_ones_are_sent(&c, 1);
    assert_int_equal(send(c.ours, "a", 1, 0), 1);
    spawn_unread_waits(c.unread, false);
    small_ones_are_sent(&c, 1);
    reads(&c);
    assert_true(spawn_unread_too_many(SHE));
    reads(&c);
    assert_true(spawn_unread_too_many(SHE));
    reads(&c);
    assert_false(spawn_unread_too_many(SHE));
    assert_true(spawn_unread_is_read(c.unread));
    closes(&c);
}

/* Its caller reads it, and more, while that is measured. */
static void what_is_read_meanwhile_does_not_hold_it_for_ever(void **state)
{
    connection c;
    int before;

    (void)state;
    sends(&c, SHE, true, SPAWN_UNREAD_BYTES);
    assert_int_equal(send(c.ours, "a", 1, 0), 1);
    spawn_unread_waits(c.unread, false); /* of two, the last one */
    before = spawn_unread_memory(c.unread);
    assert_int_equal(send(c.ours, "b", 1, 0), 1);
    reads(&c);
    reads(&c);
    spawn_unread_behind(c.unread, before);
    reads(&c);
    assert_true(spawn_unread_is_read(c.unread));
    closes(&c);
}

static void an_account_has_so_many(void **state)
{
    connection c[SPAWN_UNREAD_MAX];
    int i;

    (void)state;
    for (i = 0; i < SPAWN_UNREAD_MAX; i++) {
        assert_false(spawn_unread_too_many(SHE));
        sends(&c[i], SHE, true, SOME);
    }
    assert_true(spawn_unread_too_many(SHE));
    assert_false(spawn_unread_too_many(HE));
    reads(&c[7]);
    assert_false(spawn_unread_too_many(SHE));
    for (i = 0; i < SPAWN_UNREAD_MAX; i++) {
        if (i != 7)
            reads(&c[i]);
        assert_true(spawn_unread_is_read(c[i].unread));
        closes(&c[i]);
    }
}

static void an_account_has_so_many_bytes(void **state)
{
    connection c[2];

    (void)state;
    sends(&c[0], SHE, true, SPAWN_UNREAD_BYTES - 1);
    assert_false(spawn_unread_too_many(SHE));
    sends(&c[1], SHE, true, 1);
    assert_true(spawn_unread_too_many(SHE));
    (void)close(c[0].theirs); /* and what lay in it has gone */
    assert_false(spawn_unread_too_many(SHE));
    reads(&c[1]);
    assert_true(spawn_unread_is_read(c[0].unread));
    assert_true(spawn_unread_is_read(c[1].unread));
    (void)close(c[0].ours);
    closes(&c[1]);
}

static void those_of_httpd_do_not_count(void **state)
{
    connection c;

    (void)state;
    sends(&c, SHE, false, SPAWN_UNREAD_BYTES);
    assert_false(spawn_unread_too_many(SHE));
    spawn_unread_leave(c.unread);
    closes(&c);
}

static void what_has_left_counts_until_it_is_read(void **state)
{
    connection c;
    char byte;

    (void)state;
    sends(&c, SHE, true, SPAWN_UNREAD_BYTES);
    spawn_unread_leave(c.unread);
    (void)close(c.ours);
    assert_true(spawn_unread_too_many(SHE));
    spawn_timers_run(spawn_timer_next());
    assert_true(spawn_unread_too_many(SHE));
    reads(&c);
    assert_false(spawn_unread_too_many(SHE));
    assert_int_equal(recv(c.theirs, &byte, 1, 0), 0); /* as if it were closed */
    spawn_timers_run(spawn_timer_next());
    assert_true(spawn_timer_next() < 0); /* and nobody looks any more */
    (void)close(c.theirs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_no_more),
        cmocka_unit_test(what_waits_here_is_not_read),
        cmocka_unit_test(small_ones_behind_it_do_not_count),
        cmocka_unit_test(small_ones_before_it_are_read_first),
        cmocka_unit_test(what_is_read_meanwhile_does_not_hold_it_for_ever),
        cmocka_unit_test(an_account_has_so_many),
        cmocka_unit_test(an_account_has_so_many_bytes),
        cmocka_unit_test(those_of_httpd_do_not_count),
        cmocka_unit_test(what_has_left_counts_until_it_is_read)};

    return cmocka_run_group_tests_name("unread", tests, NULL, NULL);
}
