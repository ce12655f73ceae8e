/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers that are lent to callers, and do not do what they should: one that
 * does not give itself back, and what one makes up on its slate or says that it
 * was given. The protocol of broker_leased.h.
 */
#include <sys/ioctl.h>
#include <linux/sockios.h>

#include "t/unit/broker_leased.h"

/* It hangs, or does not want to: nobody waits for it for ever. */
static void who_does_not_give_back_is_killed(void **state)
{
    worker w, next;
    spawn_id id;

    (void)state;
    reach_lent(&w);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_take_back(&w);
    is_there();
    later_by(1); /* a look, which sets its deadline */
    is_there();
    later_by(8);
    quiet_at(link_fd, 1);
    later_by(3);
    expect_id(SPAWN_M_SIGNAL, &w.id);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_SIGNO]), SIGKILL);
    (void)close(w.link);
    say_exited(&w.id, 0, SIGKILL);
    worker_starts(&next);
    worker_says(&next, NULL);
    expect_call(&next, &id);
}

static void who_gives_back_in_time_is_not_killed(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    reach_lent(&w);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_take_back(&w);
    is_there();
    later_by(5);
    gives_back(&w, NULL);
    expect_call(&w, &id);
    later_by(30);
    quiet_at(link_fd, 1);
}

/* Its call has a time-out all the same. */
static void a_call_that_begins_in_the_future_has_its_time_out(void **state)
{
    spawn_slate_call *call;
    spawn_id id;
    worker w;

    (void)state;
    reach_lent(&w);
    timeout_ms = 5000;
    begins(&id, NULL);
    call = spawn_slate_running(slate);
    call->mono_us = INT64_MAX;
    timeout_ms = 0;
    expect_take_back(&w);
    is_there();
    later_by(6);
    expect_id(SPAWN_M_SIGNAL, &w.id);
}

static void times_and_callers_are_not_its_own_to_say(void **state)
{
    spawn_slate_call *call;
    spawn_id id;
    worker w;

    (void)state;
    reach_lent(&w);
    begins(&id, NULL);
    call = spawn_slate_running(slate);
    call->started_at = INT64_MAX;
    ends(SPAWN_RESULT_RETURNED);
    slate->caller_uid = 12345;
    slate->caller_pid = 4000001;
    spawn_slate_answered(slate);
    begins(&id, NULL);
    call = spawn_slate_running(slate);
    ends(SPAWN_RESULT_RETURNED);
    call->ended_at = 1;
    call->elapsed_us = -5;
    spawn_slate_answered(slate);
    begins(&id, NULL);
    call = spawn_slate_running(slate);
    call->started_at = -1;
    ends(SPAWN_RESULT_RETURNED);
    call->elapsed_us = INT64_MAX;
    call->ended_at = INT64_MAX;
    spawn_slate_answered(slate);
    gives_back(&w, NULL);
    has_heard();
    end_broker();
    expect_sql("SELECT count(*) FROM job", "6");
    expect_sql("SELECT count(*) FROM job WHERE elapsed < 0 OR"
               " elapsed > 1000000000000000 OR ended_at < started_at OR"
               " started_at <= 0",
               "0");
    expect_sql("SELECT count(*) FROM job WHERE caller_uid = 12345 OR"
               " caller_pid = 4000001",
               "0");
    expect_sql("SELECT count(*) FROM job WHERE ended_at > strftime('%s', 'now')"
               " * 1000 + 60000 OR submitted_at > strftime('%s', 'now') * 1000"
               " + 60000",
               "0");
}

/* The ticket of a call that is a job has no arguments. */
static void the_next_broker_does_not_send_it(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    reach_lent(&w);
    begins(&id, NULL);
    says_lost(&w.id);
    expect_take_back(&w);
    is_there();
    kill_broker();
    start_broker();
    say_running_worker(&w);
    expect_ready();
    say(SPAWN_M_GO);
    expect_take_back(&w);
    call_in();
    is_there();
    quiet_at(w.link, 1);
    spawn_slate_withdraw(slate);
    gives_back(&w, NULL);
    is_there();
    quiet_at(w.link, 1);
}

/* That its caller had gone is told, and not stored yet. */
static void nor_when_it_was_given_back(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    reach_lent(&w);
    time_stands();
    begins(&id, NULL);
    says_lost(&w.id);
    expect_take_back(&w);
    spawn_slate_withdraw(slate);
    gives_back(&w, NULL);
    is_there();
    kill_broker();
    start_broker();
    say_running_worker(&w);
    expect_ready();
    say(SPAWN_M_GO);
    expect_take_back(&w);
    call_in();
    is_there();
    quiet_at(w.link, 1);
    gives_back(&w, NULL);
    is_there();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    assert_int_equal(slate->lease, 0);
}

/* Its caller may call it at any time. */
static void nor_does_it_send_another_one_before_it_is_back(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    reach_lent(&w);
    kill_broker();
    start_broker();
    say_running_worker(&w);
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_take_back(&w);
    is_there();
    quiet_at(w.link, 1);
    gives_back(&w, NULL);
    expect_call(&w, &id);
}

static void what_is_given_back_twice_is_given_back_once(void **state)
{
    worker w;

    (void)state;
    reach_lent(&w);
    gives_back(&w, NULL);
    gives_back(&w, NULL);
    is_served(&w);
    expect_answer(SPAWN_M_JOB);
}

/* The other end has taken all that was sent. */
static void is_read(int fd)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    int unread = 1;

    while (ioctl(fd, SIOCOUTQ, &unread) == 0 && unread > 0) {
        assert_true(spawn_mono_ms() < until);
        (void)usleep(1000);
    }
    assert_int_equal(unread, 0);
}

/* Another broker, which waits for the end of the spawner's table. Recovery
 * takes it back, and it says so again. */
static void is_given_back_once(const worker *w, const spawn_id *last)
{
    expect_ready();
    say(SPAWN_M_GO);
    expect_take_back(w);
    gives_back(w, last);
    end_broker();
    expect_sql("SELECT count(*) FROM job WHERE elapsed = 7777777", "1");
}

static void what_it_says_before_the_store_is_open_is_asked_for(void **state)
{
    worker w;
    spawn_id id;

    (void)state;
    reach_lent(&w);
    begins(&id, NULL);
    ends(SPAWN_RESULT_RETURNED);
    spawn_slate_answered(slate);
    kill_broker();
    start_broker();
    say_running_worker(&w);
    tells(&w, SPAWN_M_SLATE, 0, NULL);
    gives_back(&w, &id);
    is_read(w.link);
    is_given_back_once(&w, &id);
}

static void nor_do_rules_take_it_back_before(void **state)
{
    worker w;
    spawn_id id;

    (void)state;
    reach_lent(&w);
    begins(&id, NULL);
    ends(SPAWN_RESULT_RETURNED);
    spawn_slate_answered(slate);
    kill_broker();
    start_broker();
    say_running_worker(&w);
    workers_min = workers_max = 0;
    say_configure();
    is_read(link_fd);
    is_given_back_once(&w, &id);
}

static void another_lease_is_not_given_back(void **state)
{
    worker w;

    (void)state;
    log_is_kept = true;
    reach_lent(&w);
    tells(&w, SPAWN_M_GIVEN_BACK, lease + 1, NULL);
    has_heard();
    assert_int_equal(slate->lease, lease);
    tells(&w, SPAWN_M_SLATE, 0, NULL);
    gives_back(&w, NULL);
    has_heard();
    assert_int_equal(slate->lease, 0);
    assert_int_equal(logged("MS0612"), 0); /* all is understood */
    tells(&w, SPAWN_M_SLATE, 0, NULL);
    wait_until_logged("MS0612", 1);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(who_does_not_give_back_is_killed),
        ALONE(who_gives_back_in_time_is_not_killed),
        ALONE(a_call_that_begins_in_the_future_has_its_time_out),
        ALONE(times_and_callers_are_not_its_own_to_say),
        ALONE(the_next_broker_does_not_send_it),
        ALONE(nor_when_it_was_given_back),
        ALONE(nor_does_it_send_another_one_before_it_is_back),
        ALONE(what_is_given_back_twice_is_given_back_once),
        ALONE(what_it_says_before_the_store_is_open_is_asked_for),
        ALONE(nor_do_rules_take_it_back_before),
        ALONE(another_lease_is_not_given_back),
    };

    find_broker();
    return cmocka_run_group_tests_name("leases hostile", tests, NULL, NULL);
}
