/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the spawner reads its broker's orders: those that cannot be read, or come
 * without their descriptors, and how many are read in a turn.
 */
#include "t/unit/spawner_ordered.h"

/* ---- what cannot be read ---- */

static void what_is_not_understood_is_passed_over(void **state)
{
    spawn_writer w;
    int pipes[2];
    char byte;

    (void)state;
    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    begin_for(&w, SPAWN_M_SIGNAL, 1); /* which one? */
    send_on(broker, &w, &pipes[1], 1);
    (void)close(pipes[1]);
    assert_int_equal(orders_take_one(), 1);
    expect_logged("MS0308: an order of the broker was not understood: ");
    assert_int_equal(read(pipes[0], &byte, 1), 0);
    (void)close(pipes[0]);
    begin(&w, SPAWN_M_GO); /* is not its to say */
    give(&w);
    assert_false(spawner.gone_on);
    expect_called("");
    assert_int_equal(orders_take_one(), 0); /* no more */
    spawn_close_fds(&broker, 1);
    assert_int_equal(orders_take_one(), -EPIPE);
}

/* A whole LAUNCH in the buffer; its length. */
static size_t put_launch(uint16_t type, bool whole, size_t body)
{
    static uint8_t args[SPAWN_INLINE_MAX];
    spawn_id id = id_of(5);
    spawn_writer w;
    size_t mark, length;

    begin(&w, type);
    if (whole)
        spawn_put_id(&w, SPAWN_A_ID, &id);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    if (body)
        spawn_put_bytes(&w, SPAWN_A_ARGS, args,
                        body + SPAWN_WIRE_HEADER - w.length
                            - SPAWN_WIRE_ATTR_HEADER);
    assert_int_equal(spawn_writer_finish(&w, 2), 0);
    memcpy(input, w.data, w.length);
    length = w.length;
    spawn_writer_free(&w);
    return length;
}

static void expect_cut(int error, bool told)
{
    spawn_id id = id_of(5);
    char byte;

    memset(&impossible, 0, sizeof(impossible));
    assert_int_equal(cut_order(error), 1);
    if (told) {
        expect_called("impossible 24; ");
        assert_true(spawn_id_equal(&impossible, &id));
        expect_quiet(broker);
        return;
    }
    expect_called("");
    assert_int_equal(recv(broker, &byte, 1, MSG_DONTWAIT), 0);
    (void)stop(NULL);
    (void)start(NULL);
}

/* Its descriptors found no room: the job's end is told. Of what is not known
 * nothing can be, so the broker is replaced, and its successor orders again. */
static void an_order_without_its_descriptors_is_not_lost(void **state)
{
    (void)state;
    (void)put_launch(SPAWN_M_LAUNCH, true, 0);
    expect_cut(-EMFILE, true);
    expect_no_line();
    expect_cut(-EBADMSG, false);
    (void)put_launch(SPAWN_M_LAUNCH, true, 0);
    expect_cut(-EMSGSIZE, false);
    (void)put_launch(SPAWN_M_HOLD, true, 0);
    expect_cut(-EMFILE, false);
    (void)put_launch(SPAWN_M_LAUNCH, false, 0); /* of whom? */
    expect_cut(-EMFILE, false);
    (void)put_launch(SPAWN_M_LAUNCH, true, 0);
    input[3] |= SPAWN_WIRE_BODY_IN_FD;
    expect_cut(-EMFILE, false);
    (void)put_launch(SPAWN_M_LAUNCH, true, 0);
    input[0] = 0; /* no header */
    expect_cut(-EMFILE, false);
    (void)put_launch(SPAWN_M_LAUNCH, true, 0);
    input[SPAWN_WIRE_HEADER - 2] = 0x20; /* of 2 MB */
    expect_cut(-EMFILE, false);
    assert_int_equal(put_launch(SPAWN_M_LAUNCH, true, SPAWN_INLINE_MAX),
                     sizeof(input));
    expect_cut(-EMFILE, true);
}

static void it_is_told_of_a_packet_that_broke_the_rules(void **state)
{
    (void)state;
    (void)put_launch(SPAWN_M_HOLD, true, 0);
    assert_int_equal(cut_order(-EBADMSG), 1);
    expect_logged("MS0307: an order of the broker could not be received: Bad "
                  "message");
}

/* It is still there, and would fail again. */
static void one_that_was_not_taken_out_is_left(void **state)
{
    (void)state;
    (void)put_launch(SPAWN_M_HOLD, true, 0);
    assert_int_equal(cut_order(-ENOMEM), 0);
    expect_logged("MS0307: an order of the broker could not be received");
}

/* A killed broker's orders count all the same, such as handles to hold. */
static void what_comes_behind_it_is_obeyed(void **state)
{
    spawn_writer w;
    int fd = dup(0);

    (void)state;
    begin_for(&w, SPAWN_M_RELEASE, 1);
    assert_int_equal(spawn_writer_finish(&w, 1), 0);
    w.data[3] |= SPAWN_WIRE_BODY_IN_FD; /* and it is in none */
    assert_int_equal(spawn_packet_send(broker, w.data, w.length, &fd, 1), 0);
    spawn_writer_free(&w);
    (void)close(fd);
    begin_for(&w, SPAWN_M_RELEASE, 1);
    send_on(broker, &w, NULL, 0);
    spawn_close_fds(&broker, 1);
    while (orders_take_one() > 0)
        continue;
    expect_called("step_over; ");
    expect_logged("MS0307: an order of the broker could not be received");
}

static int without_room(void)
{
    struct rlimit none = {0, 0};
    int fds[2] = {0, 0};
    spawn_writer w;
    size_t mark;

    begin_for(&w, SPAWN_M_LAUNCH, 5);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    send_on(broker, &w, fds, 2);
    (void)setrlimit(RLIMIT_NOFILE, &none);
    return orders_take_one() == 1 && strcmp(called, "impossible 24; ") == 0 ? 0
                                                                            : 1;
}

static void an_order_for_which_there_is_no_room_is_answered(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(without_room), 0);
}

/* ---- the turn ---- */

static unsigned orders_left(void)
{
    unsigned n = 0;
    char byte;

    while (recv(spawner.link, &byte, 1, MSG_DONTWAIT) > 0)
        n++;
    return n;
}

static void a_turn_has_an_end(void **state)
{
    spawn_writer w;
    unsigned i;

    (void)state;
    for (i = 0; i < 70; i++) {
        begin_for(&w, SPAWN_M_RELEASE, 1);
        send_on(broker, &w, NULL, 0);
    }
    orders_input();
    assert_int_equal(orders_left(), 6);
    orders_input();
    for (i = 0; i < 3; i++) {
        begin_for(&w, SPAWN_M_RELEASE, 1);
        send_on(broker, &w, NULL, 0);
    }
    orders_input();
    assert_int_equal(orders_left(), 0);
    i = (unsigned)spawner.link;
    spawner.link = -1;
    orders_input();
    spawner.link = (int)i;
}

static unsigned ready_events(void)
{
    struct epoll_event e;

    return (unsigned)epoll_wait(spawner.epoll, &e, 1, 0);
}

/* Its end is not looked at again and again until it is reaped. */
static void its_end_does_not_make_us_spin(void **state)
{
    struct epoll_event e = {.events = EPOLLIN};
    spawn_writer w;

    (void)state;
    spawner.epoll = epoll_create1(EPOLL_CLOEXEC);
    assert_int_equal(epoll_ctl(spawner.epoll, EPOLL_CTL_ADD, spawner.link, &e),
                     0);
    begin_for(&w, SPAWN_M_RELEASE, 1);
    send_on(broker, &w, NULL, 0);
    orders_input();
    begin_for(&w, SPAWN_M_RELEASE, 1);
    send_on(broker, &w, NULL, 0);
    assert_int_equal(ready_events(), 1); /* it is still looked at */
    spawn_close_fds(&broker, 1);
    called[0] = '\0';
    orders_input();
    expect_called("step_over; ");
    assert_int_equal(ready_events(), 0);
    assert_true(spawner.link >= 0);
    (void)close(spawner.epoll);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(it_is_told_of_a_packet_that_broke_the_rules),
        T(one_that_was_not_taken_out_is_left),
        T(what_comes_behind_it_is_obeyed),
        T(what_is_not_understood_is_passed_over),
        T(an_order_without_its_descriptors_is_not_lost),
        T(an_order_for_which_there_is_no_room_is_answered),
        T(a_turn_has_an_end),
        T(its_end_does_not_make_us_spin),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_reads_orders", tests, NULL,
                                       NULL);
}
