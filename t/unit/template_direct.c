/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's side of calls that come directly: its broker, which looks at the
 * slate when the caller has closed its end, sees each call that runs; so one
 * that it has not seen does not run. This program plays caller and broker.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

static int poll_and_more(struct pollfd *p, nfds_t n, int ms);

#define poll poll_and_more
#include "perl/xs/template/direct.c"
#undef poll

static spawn_board *board;
static int theirs = -1; /* the caller's end */
static int board_fd;
static bool closes; /* when the worker has looked */
static bool seen;   /* that a call runs, when the end was closed */
static int result;  /* that was on the board then */

int spawn_template_tell(int link, spawn_writer *w)
{
    (void)link;
    (void)w;
    return 0;
}

spawn_board *spawn_template_board(void)
{
    return board;
}

/* In this moment the caller closes its end, and the broker looks. */
static void caller_gives_up(void)
{
    spawn_slate head;
    void *data = NULL;
    size_t length;

    (void)close(theirs);
    theirs = -1;
    assert_int_equal(spawn_slate_look(board_fd, &head), 0);
    seen = head.running == head.ended + 1;
    result = spawn_board_result(board_fd, &data, &length);
    free(data);
}

static int poll_and_more(struct pollfd *p, nfds_t n, int ms)
{
    int rv = poll(p, n, ms);

    if (closes && theirs >= 0)
        caller_gives_up();
    return rv;
}

static int set_up(void **state)
{
    spawn_message lend;
    spawn_packet packet;
    int ends[2];

    (void)state;
    board_fd = spawn_board_make();
    board = spawn_board_map(board_fd);
    assert_non_null(board);
    assert_int_equal(spawn_slate_begin(board_fd, 1, 1, 1), 0);
    assert_int_equal(socketpair(AF_UNIX,
                                SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
                                0, ends),
                     0);
    theirs = ends[1];
    memset(&lend, 0, sizeof(lend));
    memset(&packet, 0, sizeof(packet));
    lend.attr[SPAWN_A_SEQ] =
        (spawn_attr){.id = SPAWN_A_SEQ,
                     .data = (const uint8_t *)"\1\0\0\0\0\0\0",
                     .length = 8};
    packet.fds[0] = ends[0];
    packet.fds_count = 1;
    spawn_direct_begins(&packet, &lend);
    closes = seen = false;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    spawn_direct_leave();
    if (theirs >= 0)
        (void)close(theirs);
    theirs = -1;
    (void)munmap(board, SPAWN_BOARD_FILE);
    (void)close(board_fd);
    return 0;
}

static void submits(void)
{
    uint8_t room[256];
    spawn_writer w;
    spawn_id id;

    assert_int_equal(spawn_id_make(&id), 0);
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 7);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(spawn_packet_send(theirs, w.data, w.length, NULL, 0), 0);
}

static void a_call_runs(void **state)
{
    spawn_packet packet;
    spawn_message m;

    (void)state;
    submits();
    assert_int_equal(spawn_direct_receive(&packet, &m), 1);
    spawn_packet_close(&packet);
}

static void what_was_left_behind_does_not_run(void **state)
{
    spawn_packet packet;
    spawn_slate head;
    spawn_message m;

    (void)state;
    submits();
    (void)close(theirs);
    theirs = -1;
    assert_int_not_equal(spawn_direct_receive(&packet, &m), 1);
    assert_int_equal(spawn_slate_look(board_fd, &head), 0);
    assert_int_equal(head.running, 0);
}

static void what_the_broker_has_not_seen_does_not_run(void **state)
{
    spawn_packet packet;
    spawn_message m;

    (void)state;
    closes = true;
    submits();
    if (spawn_direct_receive(&packet, &m) == 1) {
        assert_true(seen);
        spawn_packet_close(&packet);
    }
}

/* The result of the call before is not taken for its own. */
static void what_it_has_seen_has_no_result(void **state)
{
    spawn_packet packet;
    spawn_message m;

    (void)state;
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_RETURNED, "value", 5), 0);
    closes = true;
    submits();
    if (spawn_direct_receive(&packet, &m) == 1)
        spawn_packet_close(&packet);
    assert_true(seen);
    assert_int_equal(result, SPAWN_RESULT_NONE);
}

int main(void)
{
#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        EACH(a_call_runs), EACH(what_was_left_behind_does_not_run),
        EACH(what_the_broker_has_not_seen_does_not_run),
        EACH(what_it_has_seen_has_no_result)};

    return cmocka_run_group_tests_name("template_direct", tests, NULL, NULL);
}
