/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job is posted and submitted, with the same id, and comes after one that was
 * posted just before: it is there once. The protocol of broker_post.h.
 */
#include "t/unit/broker_post.h"

static spawn_id first, second;

static void put_after(spawn_writer *w)
{
    spawn_put_bytes(w, SPAWN_A_AFTER, first.bytes, sizeof(first.bytes));
}

static void both_are_one_job(void **state)
{
    spawn_writer w;

    (void)state;
    (void)spawn_id_make(&first);
    (void)spawn_id_make(&second);
    make_inbox();
    reach_go_and_call_in();
    broker_sleeps();
    begin_submit(&w, &second, "/bin/true");
    put_after(&w);
    ask(&w);
    begin_post(&w, &first, "/bin/true");
    send_post(&w);
    begin_post(&w, &second, "/bin/true");
    put_after(&w);
    send_post(&w);
    broker_goes_on();
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &first);
    say_started(&first);
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    expect_id(SPAWN_M_LAUNCH, &second);
    say_started(&second);
    say_exited(&second, 0, 0);
    expect_id(SPAWN_M_FORGET, &second);
    has_heard();
    quiet_for(100); /* no other launch */
    the_store_has("2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        both_are_one_job, set_up, tear_down_all)};

    find_broker();
    return cmocka_run_group_tests_name("after_posted", tests, NULL, NULL);
}
