/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs with handles that were accepted, or launched, before the store had them:
 * a slot of the inbox has the message, and the spawner the handles. Time stands
 * still, so that nothing is stored that can wait. The protocol of
 * broker_found.h.
 */
#include "t/unit/broker_unstored.h"

#include "common/spawn_box.h"

static uint64_t expires; /* ms; 0: never */

static void submit_with_handle(spawn_reply reply)
{
    const spawn_stdio in = {SPAWN_STDIO_FD, 0, 0, ""};
    int fd = spawn_bytes_memfd("handle", "words", 5);
    spawn_writer w;

    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_stdio(&w, SPAWN_A_STDIN, &in);
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    if (expires)
        spawn_put_u64(&w, SPAWN_A_EXPIRES, expires);
    assert_int_equal(spawn_writer_finish(&w, 1), 0);
    assert_int_equal(spawn_packet_send(caller, w.data, w.length, &fd, 1), 0);
    spawn_writer_free(&w);
    (void)close(fd);
}

/* A box of one with the words; it stays open: ret. */
static int expect_box(unsigned type)
{
    char words[8] = "";
    int fd = -1, box;

    expect_id(type, &job);
    assert_int_equal(packet.fds_count, 1);
    box = packet.fds[0];
    packet.fds[0] = -1;
    assert_int_equal(spawn_box_look(box, &fd, 1), 1);
    assert_int_equal(pread(fd, words, sizeof(words), 0), 5);
    assert_string_equal(words, "words");
    (void)close(fd);
    return box;
}

static void say_held(int box)
{
    spawn_writer w;

    begin(&w, SPAWN_M_HELD, &job);
    spawn_put_u64(&w, SPAWN_A_BOXED, 1);
    send_fds(&w, &box, 1);
    (void)close(box);
}

/* Accepted, and it waits, since nothing starts before GO. */
static int waits_with_handle(void)
{
    make_store();
    make_inbox();
    start_broker();
    expect_ready();
    call_in();
    time_stands();
    submit_with_handle(SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    return expect_box(SPAWN_M_HOLD);
}

/* Accepted, and its order is sent; the box that is held. */
static int is_launched_with_handle(void)
{
    int box;

    begins();
    submit_with_handle(SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    box = expect_box(SPAWN_M_HOLD);
    (void)close(expect_box(SPAWN_M_LAUNCH));
    return box;
}

static void runs_to_its_end(void)
{
    (void)close(expect_box(SPAWN_M_LAUNCH));
    expect_id(SPAWN_M_RELEASE, &job);
    say_started(&job);
    say_exited(&job, 0, 7 << 8);
    time_goes_on();
    expect_id(SPAWN_M_FORGET, &job);
    assert_int_equal(full_slots(), 0);
    expect_jobs("4 1 7 -");
}

/* ---- before it is stored ---- */

static void it_is_accepted_and_launched_before_it_is_stored(void **state)
{
    (void)state;
    (void)close(is_launched_with_handle());
    assert_int_equal(full_slots(), 1);
    assert_true(says_launched());
    kill_broker();
    expect_sql("SELECT count(*) FROM job", "0");
}

static void so_is_one_whose_end_is_waited_for(void **state)
{
    (void)state;
    begins();
    submit_with_handle(SPAWN_REPLY_FINISHED);
    (void)close(expect_box(SPAWN_M_HOLD));
    (void)close(expect_box(SPAWN_M_LAUNCH));
    kill_broker();
    expect_sql("SELECT count(*) FROM job", "0");
}

/* A broker that finds the slot needs them. */
static void its_handles_are_held_before_it_is_accepted(void **state)
{
    struct pollfd held = {.events = POLLIN};

    (void)state;
    begins();
    submit_with_handle(SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    held.fd = link_fd;
    assert_int_equal(poll(&held, 1, 0), 1);
    (void)close(expect_box(SPAWN_M_HOLD));
}

/* ---- the next broker ---- */

static void one_that_waits_starts_with_its_handles(void **state)
{
    int box = waits_with_handle();

    (void)state;
    kill_broker();
    expect_sql("SELECT count(*) FROM job", "0");
    assert_int_equal(full_slots(), 1);
    start_broker();
    say_held(box);
    expect_ready();
    say(SPAWN_M_GO);
    runs_to_its_end();
}

static void one_whose_order_was_not_sent_starts_with_its_handles(void **state)
{
    int box = is_launched_with_handle();

    (void)state;
    comes_anew();
    say_held(box);
    expect_ready();
    say(SPAWN_M_GO);
    runs_to_its_end();
}

static void one_that_runs_is_not_run_again(void **state)
{
    (void)state;
    (void)close(is_launched_with_handle());
    expect_id(SPAWN_M_RELEASE, &job);
    say_started(&job);
    is_there();
    comes_anew();
    say_running(SPAWN_STATE_RUNNING, 3999998, 5000);
    go();
    quiet_for(NO_EVENT);
    say_exited(&job, 0, 6 << 8);
    time_goes_on();
    expect_id(SPAWN_M_FORGET, &job);
    assert_int_equal(full_slots(), 0);
    expect_jobs("4 1 6 -");
}

static void without_its_handles_one_that_waits_fails(void **state)
{
    (void)state;
    (void)close(waits_with_handle());
    (void)close(caller);
    caller = -1;
    kill_broker();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    time_goes_on();
    end_broker();
    assert_int_equal(full_slots(), 0);
    expect_sql("SELECT outcome || ' ' || step || ' ' || errno FROM job",
               "5 30 9");
    expect_sql(
        "SELECT text LIKE '%did not outlive the server''s stop' FROM job", "1");
}

#define LATER(test)                                                            \
    cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)

/* They count from when its id was made, and not from the next broker. */
static void one_that_waits_keeps_its_times(void **state)
{
    char came[64];
    int box;

    (void)state;
    expires = 3600000;
    box = waits_with_handle();
    expires = 0;
    kill_broker();
    steps[0] += 100;
    start_broker();
    say_held(box);
    expect_ready();
    end_broker();
    (void)snprintf(came, sizeof(came), "%lld 1",
                   (long long)spawn_id_time(&job));
    expect_sql("SELECT submitted_at || ' ' ||"
               " (abs(expires_at - submitted_at - 3600000) < 1000) FROM job",
               came);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LATER(it_is_accepted_and_launched_before_it_is_stored),
        LATER(so_is_one_whose_end_is_waited_for),
        LATER(its_handles_are_held_before_it_is_accepted),
        LATER(one_that_waits_starts_with_its_handles),
        LATER(one_whose_order_was_not_sent_starts_with_its_handles),
        LATER(one_that_runs_is_not_run_again),
        LATER(without_its_handles_one_that_waits_fails),
        LATER(one_that_waits_keeps_its_times)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("handles unstored", tests, NULL, NULL);
}
