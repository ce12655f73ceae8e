/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages to a broker, their order, and that nothing is lost or said twice
 * when its link is full. Those on each job: spawner_tells_of_jobs.c.
 */
#include "t/unit/spawner_told.h"

/* ---- a full link ---- */

static unsigned fill(void)
{
    static const char dummy[1024];
    unsigned n = 0;

    while (send(spawner.link, dummy, sizeof(dummy), MSG_NOSIGNAL) >= 0)
        n++;
    assert_int_equal(errno, EAGAIN);
    return n;
}

static void empty(unsigned n)
{
    static char room[2048];

    for (; n > 0; n--)
        assert_int_equal(recv(broker, room, sizeof(room), 0), 1024);
}

/* A message waits for room, and is sent once and not more. */
static void expect_told_later(unsigned type)
{
    unsigned n = fill();

    assert_true(tell_flush());
    expect_called("rewatch link in, out; ");
    assert_true(tell_flush());
    expect_called("");
    empty(n);
    expect_quiet(broker);
    expect_told(type);
    expect_called("rewatch link in; ");
    assert_true(tell_flush());
    expect_quiet(broker);
    expect_called("");
}

static void nothing_is_lost_when_the_link_is_full(void **state)
{
    int fd = spawn_os_memfd("handle");
    spawn_id held_id = id_of(9);
    job *j;

    (void)state;
    spawner.tell.configure = true;
    expect_told_later(SPAWN_M_CONFIGURE);
    spawner.tell.places = true;
    expect_told_later(SPAWN_M_PLACES);
    spawner.tell.table_end = true;
    expect_told_later(SPAWN_M_TABLE_END);
    tell_go();
    expect_told_later(SPAWN_M_GO);
    tell_linger();
    expect_told_later(SPAWN_M_LINGER);
    tell_quit();
    expect_told_later(SPAWN_M_QUIT);

    j = have(1, JOB_RUNNING);
    table_tell(j, JOB_TELL_STARTED);
    expect_told_later(SPAWN_M_STARTED);
    assert_int_equal(j->flags, 0);
    j->state = JOB_STARTING;
    table_tell(j, JOB_TELL_PID);
    expect_told_later(SPAWN_M_STARTED);
    assert_int_equal(number_of(SPAWN_A_STATE), SPAWN_STATE_STARTING);
    assert_int_equal(j->flags, 0);
    table_tell(j, JOB_TELL_EXITED);
    expect_told_later(SPAWN_M_EXITED);
    assert_int_equal(j->flags, 0);
    table_tell(j, JOB_TELL_SAID);
    expect_told_later(SPAWN_M_TEMPLATE_SAID);
    assert_int_equal(j->flags, 0);
    assert_int_equal(j->said, SAID_NOTHING);
    table_tell(j, JOB_TELL_ORPHAN);
    expect_told_later(SPAWN_M_ORPHANED);
    assert_int_equal(j->flags, 0);
    assert_int_equal(j->said, SAID_ORPHAN);

    spawner.tell.sync = true;
    spawner.tell.cursor = 1;
    expect_told_later(SPAWN_M_RUNNING);
    held_add(&held_id, 0, &fd, 1);
    tell_nothing();
    spawner.tell.sync = true;
    spawner.tell.cursor = table_end();
    expect_told_later(SPAWN_M_HELD);
}

static void who_is_silent_is_asked(void **state)
{
    (void)state;
    tell_alive();
    expect_told(SPAWN_M_ALIVE);
    assert_true(tell_flush()); /* once */
    expect_quiet(broker);
    tell_alive();
    expect_told_later(SPAWN_M_ALIVE);
}

static void who_has_gone_is_told_nothing(void **state)
{
    int link = spawner.link;

    (void)state;
    tell_go();
    spawner.link = -1;
    assert_true(tell_flush());
    spawner.link = link;
    spawn_close_fds(&broker, 1);
    assert_true(tell_flush()); /* its death is seen elsewhere */
    expect_called("");
    assert_true(spawner.tell.go);
}

static int breaks(void)
{
    tell_go();
    deny(SYS_sendmsg, ECONNRESET);
    return tell_flush() && strcmp(called, "") == 0 ? 0 : 1;
}

/* The kernel is short of something: no event tells when that is over. */
static int is_short(void)
{
    tell_go();
    deny(SYS_sendmsg, ENOBUFS);
    return !tell_flush() && strcmp(called, "") == 0 && spawner.tell.go ? 0 : 1;
}

static void what_fails_without_an_event_is_tried_again(void **state)
{
    size_t heap;

    (void)state;
    assert_int_equal(in_a_child(breaks), 0);
    assert_int_equal(in_a_child(is_short), 0);
    spawner.tell.configure = true;
    config_error = -ENOMEM;
    assert_false(tell_flush());
    expect_quiet(broker);
    config_error = 0;
    heap = heap_bytes();
    expect_told(SPAWN_M_CONFIGURE);
    assert_true(heap_bytes() < heap + 3000);
}

/* ---- the order ---- */

static void have_jobs_of_each_kind(void)
{
    job *j = have(1, JOB_RUNNING), *forgotten;

    table_tell(j, JOB_TELL_STARTED); /* RUNNING says it */
    forgotten = have(2, JOB_ENDED);
    table_tell(have(3, JOB_ENDED), JOB_TELL_EXITED);
    j = have(4, JOB_RUNNING);
    j->flags |= JOB_GIVEN_UP;
    (void)have(5, JOB_ENDED); /* its exit was told to the one before */
    j = have(6, JOB_ENDED);
    j->said = SAID_ORPHAN; /* as was that of this one */
    j = have(7, JOB_ENDED);
    table_tell(j, JOB_TELL_ORPHAN);
    j = have(8, JOB_STARTING);
    table_remove(forgotten);
}

static void a_new_one_hears_all_in_order(void **state)
{
    int handle = spawn_os_memfd("handle"), second = spawn_os_memfd("second");
    spawn_id one = id_of(20), two = id_of(21);

    (void)state;
    have_jobs_of_each_kind();
    held_add(&one, 3, &handle, 1);
    held_add(&two, 0, &second, 1);
    spawner.tell.configure = spawner.tell.sync = spawner.tell.table_end = true;
    spawner.tell.go = spawner.tell.linger = spawner.tell.places =
        spawner.tell.quit = true;
    spawner.tell.cursor = 1;

    assert_true(tell_flush());
    assert_true(told(SPAWN_M_CONFIGURE));
    assert_int_equal(part_packet.fds_count, 1);
    assert_true(is_same_file(part_packet.fds[0], spawner.fds[SPAWN_FD_INBOX]));
    assert_true(told_of(SPAWN_M_RUNNING, 1));
    assert_int_equal(number_of(SPAWN_A_STATE), SPAWN_STATE_RUNNING);
    assert_true(told_of(SPAWN_M_RUNNING, 3));
    assert_true(told_of(SPAWN_M_RUNNING, 5));
    assert_true(told_of(SPAWN_M_RUNNING, 6));
    assert_true(told_of(SPAWN_M_RUNNING, 7));
    assert_true(told_of(SPAWN_M_RUNNING, 8));
    assert_int_equal(number_of(SPAWN_A_STATE), SPAWN_STATE_STARTING);
    assert_true(told_of(SPAWN_M_HELD, 21));
    assert_false(spawn_has(&got, SPAWN_A_BOXED));
    assert_true(is_same_file(part_packet.fds[0], second));
    assert_true(told_of(SPAWN_M_HELD, 20));
    assert_int_equal(number_of(SPAWN_A_BOXED), 3);
    assert_int_equal(part_packet.fds_count, 1);
    assert_true(is_same_file(part_packet.fds[0], handle));
    assert_true(told_of(SPAWN_M_EXITED, 3));
    assert_true(told_of(SPAWN_M_ORPHANED, 7));
    assert_true(told_of(SPAWN_M_EXITED, 5));
    assert_true(told_of(SPAWN_M_ORPHANED, 6));
    assert_true(told(SPAWN_M_TABLE_END));
    assert_true(told(SPAWN_M_PLACES));
    assert_int_equal(part_packet.fds_count, 1);
    assert_true(is_same_file(part_packet.fds[0], spawner.fds[SPAWN_FD_LISTEN]));
    assert_int_equal(spawn_u64v_count(&got.attr[SPAWN_A_FD_ROLES]), 1);
    assert_int_equal(spawn_u64v_at(&got.attr[SPAWN_A_FD_ROLES], 0),
                     SPAWN_FD_LISTEN);
    assert_true(told(SPAWN_M_GO));
    assert_true(told(SPAWN_M_LINGER));
    assert_true(told(SPAWN_M_QUIT));
    expect_quiet(broker);
    expect_called("");
    assert_int_equal(table_at(1)->flags & JOB_TELL_STARTED, 0);
}

static void nothing_to_do_but_its_table(void **state)
{
    (void)state;
    spawner.tell.sync = spawner.tell.table_end = true;
    spawner.tell.cursor = 1;
    expect_told(SPAWN_M_TABLE_END);
    /* places without a socket wait for one */
    spawn_close_fds(&spawner.fds[SPAWN_FD_LISTEN], 1);
    spawner.tell.places = true;
    assert_true(tell_flush());
    expect_quiet(broker);
    assert_true(spawner.tell.places);
}

/* Events before TABLE_END are told before it; GO, LINGER and the places come
 * after. */
static void go_and_linger_wait_for_the_table(void **state)
{
    (void)state;
    spawner.tell.table_end = spawner.tell.go = spawner.tell.linger =
        spawner.tell.places = true;
    table_tell(have(1, JOB_ENDED), JOB_TELL_EXITED);
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_EXITED, 1));
    assert_true(told(SPAWN_M_TABLE_END));
    assert_true(told(SPAWN_M_PLACES));
    assert_true(told(SPAWN_M_GO));
    assert_true(told(SPAWN_M_LINGER));
    expect_quiet(broker);
    /* and later they go before what jobs have to tell */
    tell_go();
    table_tell(table_at(1), JOB_TELL_EXITED);
    tell_quit();
    assert_true(tell_flush());
    assert_true(told(SPAWN_M_GO));
    assert_true(told_of(SPAWN_M_EXITED, 1));
    assert_true(told(SPAWN_M_QUIT));
    expect_quiet(broker);
}

static void to_linger_takes_go_back(void **state)
{
    (void)state;
    tell_go();
    tell_linger();
    expect_told(SPAWN_M_LINGER);
    tell_places();
    expect_told(SPAWN_M_PLACES);
    spawner.link = -1 - spawner.link;
    tell_places(); /* the next one is told by CONFIGURE */
    assert_false(spawner.tell.places);
    spawner.link = -1 - spawner.link;
}

/* ---- handles that go while they are told ---- */

static void a_handle_that_goes_is_stepped_over(void **state)
{
    int fd[3];
    spawn_id ids[3];
    uint8_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        fd[i] = spawn_os_memfd("handle");
        ids[i] = id_of(i);
        held_add(&ids[i], 0, &fd[i], 1);
    }
    tell_step_over(&ids[2]); /* none is being told */
    spawner.tell.sync = spawner.tell.held = true;
    spawner.tell.cursor = 1;
    spawner.tell.held_cursor = held_first();
    tell_step_over(&ids[0]); /* not the next one */
    assert_ptr_equal(spawner.tell.held_cursor, held_first());
    tell_step_over(&ids[2]);
    held_remove(&ids[2]);
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_HELD, 1));
    assert_true(told_of(SPAWN_M_HELD, 0));
    expect_quiet(broker);
    /* the same id twice, and the last */
    fd[2] = spawn_os_memfd("handle");
    held_add(&ids[1], 0, &fd[2], 1);
    spawner.tell.held_cursor = held_first();
    tell_step_over(&ids[1]);
    assert_true(spawner.tell.held_cursor
                && spawn_id_equal(&spawner.tell.held_cursor->id, &ids[0]));
    tell_step_over(&ids[0]);
    assert_null(spawner.tell.held_cursor);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(nothing_is_lost_when_the_link_is_full),
        T(who_is_silent_is_asked),
        T(who_has_gone_is_told_nothing),
        T(what_fails_without_an_event_is_tried_again),
        T(a_new_one_hears_all_in_order),
        T(nothing_to_do_but_its_table),
        T(go_and_linger_wait_for_the_table),
        T(to_linger_takes_go_back),
        T(a_handle_that_goes_is_stepped_over),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_tells_broker", tests, NULL,
                                       NULL);
}
