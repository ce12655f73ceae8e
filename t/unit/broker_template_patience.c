/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that want the code of a new configuration wait for its template, but not
 * for ever; and one of httpd's templates that ends early is no end of them. */
#include "t/unit/broker_coded.h"

static void ended_early(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_TEMPLATE_SAID, id);
    spawn_put_u64(&w, SPAWN_A_CODE, SPAWN_E_NOT_RUNNING);
    spawn_put_str(&w, SPAWN_A_TEXT, "its process ended before it was ready");
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    send_fds(&w, NULL, 0);
    expect_id(SPAWN_M_DISMISS, id);
}

/* httpd forks another one, which may do: a job that waits for the first one
 * waits on, but not for ever. */
static void httpds_may_end_before_it_is_ready(void **state)
{
    spawn_id id, another;

    (void)state;
    begins_with(SPAWN_TEMPLATE_PARENT);
    reach_go();
    a_child_calls_in();
    (void)spawn_id_make(&old);
    (void)spawn_id_make(&new);
    is_accepted(&id);
    ended_early(&new);
    nothing_starts();
    (void)spawn_id_make(&another);
    ended_early(&another);
    nothing_starts();
    said(&old, true, spawn_mono_ms());
    expect_order(&id, &old);
}

static void but_not_again_and_again(void **state)
{
    spawn_id id;
    int i;

    (void)state;
    begins_with(SPAWN_TEMPLATE_PARENT);
    reach_go();
    a_child_calls_in();
    submit(&id, SPAWN_REPLY_FINISHED);
    for (i = 0; i < 3; i++) {
        (void)spawn_id_make(&new);
        ended_early(&new);
    }
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]),
                     SPAWN_OUTCOME_START_FAILED);
}

static void
one_that_hangs_while_it_loads_is_not_waited_for_for_ever(void **state)
{
    spawn_id id;

    (void)state;
    serves();
    is_restarted();
    loads();
    is_accepted(&id);
    later_by(CODE_WITHIN - 3);
    nothing_starts();
    later_by(4);
    expect_order(&id, &old);
}

static void nor_is_a_go_that_does_not_come(void **state)
{
    spawn_id id;

    (void)state;
    serves();
    is_restarted();
    is_accepted(&id);
    later_by(GO_WITHIN - 3);
    nothing_starts();
    later_by(4);
    expect_order(&id, &old);
}

static void httpds_may_begin_before_its_configuration_is_read(void **state)
{
    int64_t began;
    spawn_id id;

    (void)state;
    httpds_serves();
    a_moment_later();
    began = configured_at;
    while (spawn_mono_ms() <= began + 1)
        (void)usleep(500);
    is_read();
    say(SPAWN_M_GO);
    is_accepted(&id);
    nothing_starts();
    time_stands(); /* not for the end of patience */
    said(&new, true, began);
    expect_id(SPAWN_M_DISMISS, &old);
    expect_order(&id, &new);
    time_goes_on();
}

/* ---- a broker that comes anew, and does not know whether there is news ----
 */

/* The restart was told, and a job waits for its template. */
static void is_in_doubt(spawn_id *ret)
{
    int64_t began = spawn_mono_ms();

    httpds_serves();
    is_restarted();
    is_accepted(ret);
    is_there();
    kill_broker();
    start_broker();
    say_runs(&old, true, began);
    expect_ready();
    say(SPAWN_M_GO);
    a_child_calls_in();
}

static void
when_the_new_one_fails_the_next_go_is_no_reason_to_wait(void **state)
{
    spawn_id id, next;

    (void)state;
    is_in_doubt(&id);
    nothing_starts();
    said(&new, false, spawn_mono_ms());
    expect_id(SPAWN_M_DISMISS, &new);
    expect_order(&id, &old);
    time_stands(); /* not for the end of patience */
    say(SPAWN_M_GO);
    is_accepted(&next);
    expect_order(&next, &old);
    time_goes_on();
}

/* It stays in doubt, and is so no longer than it would be without that. */
static void an_old_one_that_is_ready_is_not_the_news(void **state)
{
    spawn_id id, late;

    (void)state;
    is_in_doubt(&id);
    (void)spawn_id_make(&late);
    said(&late, true, configured_at - 1);
    expect_id(SPAWN_M_DISMISS, &old);
    say(SPAWN_M_GO);
    is_there();
    later_by(NEWS_WITHIN - 3);
    nothing_starts();
    later_by(4);
    expect_order(&id, &late);
}

/* httpd took longer to read its code, and forks the new one now. */
static void a_go_after_all_patience_has_news_waited_for(void **state)
{
    spawn_id id, next;

    (void)state;
    is_in_doubt(&id);
    is_there();
    later_by(NEWS_WITHIN + 1);
    expect_order(&id, &old);
    say(SPAWN_M_GO);
    is_accepted(&next);
    nothing_starts();
    said(&new, true, spawn_mono_ms());
    expect_id(SPAWN_M_DISMISS, &old);
    expect_order(&next, &new);
}

/* After another restart it is no question any more what was told before. */
static void after_another_restart_it_waits_longer(void **state)
{
    spawn_id id;

    (void)state;
    is_in_doubt(&id);
    is_restarted();
    say(SPAWN_M_GO);
    is_there();
    later_by(NEWS_WITHIN + 5);
    nothing_starts();
    later_by(CODE_WITHIN - NEWS_WITHIN);
    expect_order(&id, &old);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_children)
    const struct CMUnitTest tests[] = {
        ALONE(httpds_may_end_before_it_is_ready),
        ALONE(but_not_again_and_again),
        ALONE(one_that_hangs_while_it_loads_is_not_waited_for_for_ever),
        ALONE(nor_is_a_go_that_does_not_come),
        ALONE(httpds_may_begin_before_its_configuration_is_read),
        ALONE(when_the_new_one_fails_the_next_go_is_no_reason_to_wait),
        ALONE(an_old_one_that_is_ready_is_not_the_news),
        ALONE(a_go_after_all_patience_has_news_waited_for),
        ALONE(after_another_restart_it_waits_longer),
    };

    if (no_clocks())
        return 0;
    find_broker();
    return cmocka_run_group_tests_name("patience with templates", tests, NULL,
                                       NULL);
}
