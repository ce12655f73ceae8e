/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts that come after jobs which were posted, or accepted, just before: also
 * when the job is submitted, too, and when a killed broker has left all of them
 * in the inbox. The protocol of broker_post.h.
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

static void leave(unsigned slot, const spawn_id *id, const spawn_id *after)
{
    spawn_writer w;

    begin_post(&w, id, "/bin/true");
    if (after)
        spawn_put_bytes(&w, SPAWN_A_AFTER, after->bytes, sizeof(after->bytes));
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    put_in_slot(slot, w.data, w.length);
    spawn_writer_free(&w);
}

/* The lowest free slot is taken first, so they lie in any order. */
static void one_that_was_left_is_found_in_a_higher_slot(void **state)
{
    spawn_id third;

    (void)state;
    (void)spawn_id_make(&first);
    (void)spawn_id_make(&second);
    (void)spawn_id_make(&third);
    make_inbox();
    leave(0, &third, &second);
    leave(1, &second, &first);
    leave(2, &first, NULL);
    reach_go_and_call_in();
    runs(&first);
    runs(&second);
    runs(&third);
    has_heard();
    assert_int_equal(full_slots(), 0);
}

/* Each of two would have to wait for the other one. */
static void one_that_nobody_knows_is_refused_all_the_same(void **state)
{
    spawn_id third;

    (void)state;
    log_is_kept = true;
    (void)spawn_id_make(&first);
    (void)spawn_id_make(&second);
    (void)spawn_id_make(&third);
    make_inbox();
    leave(0, &second, &first);
    leave(1, &first, &second);
    leave(2, &third, NULL);
    reach_go_and_call_in();
    runs(&third);
    has_heard();
    assert_int_equal(full_slots(), 0);
    assert_int_equal(logged("MS0560"), 1); /* and the other is cancelled */
    the_store_has("3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_are_one_job, set_up,
                                        tear_down_all),
        cmocka_unit_test_setup_teardown(
            one_that_was_left_is_found_in_a_higher_slot, set_up, tear_down_all),
        cmocka_unit_test_setup_teardown(
            one_that_nobody_knows_is_refused_all_the_same, set_up,
            tear_down_all)};

    find_broker();
    return cmocka_run_group_tests_name("after_posted", tests, NULL, NULL);
}
