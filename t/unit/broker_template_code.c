/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose code a job runs when httpd is restarted: what new children call waits
 * for a template of the new configuration, until that is ready or has failed;
 * children of before have the old one meanwhile.
 */
#include "t/unit/broker_coded.h"

/* ---- one after the other ---- */

static void calls_of_new_children_wait_for_the_new_one(void **state)
{
    spawn_id first, of_before, second;

    (void)state;
    serves();
    is_accepted(&first);
    expect_order(&first, &old);
    is_restarted();
    is_accepted(&first);
    nothing_starts(); /* before GO, too */
    loads();
    is_accepted(&second);
    nothing_starts();
    child_of_before_submits(&of_before);
    expect_order(&of_before, &old);
    said(&new, true, 0);
    expect_id(SPAWN_M_DISMISS, &old);
    expect_order(&first, &new);
    expect_order(&second, &new);
    child_of_before_submits(&of_before);
    expect_order(&of_before, &new);
}

/* A restart is no reason to hold up what was there. */
static void what_waited_before_has_the_old_one(void **state)
{
    spawn_id runs, waits;

    (void)state;
    begins_with(SPAWN_TEMPLATE_EXEC);
    queue_jobs = 1;
    reach_go();
    a_child_calls_in();
    template_starts(&old, true);
    is_accepted(&runs);
    expect_order(&runs, &old);
    say_started(&runs);
    is_accepted(&waits);
    is_restarted();
    loads();
    say_exited(&runs, 0, 0);
    expect_order(&waits, &old);
}

/* Only httpd's children are known to be of before. */
static void a_script_waits_though_it_called_in_before(void **state)
{
    spawn_id id;

    (void)state;
    begins_with(SPAWN_TEMPLATE_EXEC);
    reach_go_and_call_in();
    template_starts(&old, true);
    is_there();
    is_restarted();
    loads();
    child_of_before_submits(&id);
    nothing_starts();
    said(&new, true, 0);
    expect_id(SPAWN_M_DISMISS, &old);
    expect_order(&id, &new);
}

static void when_it_fails_the_old_one_serves(void **state)
{
    spawn_id first, second;

    (void)state;
    log_is_kept = true;
    serves();
    is_restarted();
    loads();
    is_accepted(&first);
    nothing_starts();
    said(&new, false, 0);
    expect_id(SPAWN_M_DISMISS, &new);
    expect(SPAWN_M_SIGNAL); /* one that preloads does not look */
    expect_order(&first, &old);
    is_accepted(&second);
    expect_order(&second, &old);
    wait_until_logged("until then jobs are forked from the old one", 1);
}

static void when_it_ends_the_old_one_serves(void **state)
{
    spawn_id id;

    (void)state;
    serves();
    is_restarted();
    loads();
    is_accepted(&id);
    nothing_starts();
    say_exited(&new, 0, SIGKILL);
    expect_id(SPAWN_M_FORGET, &new);
    expect_order(&id, &old);
}

/* The second restart comes before the first one's template is ready. */
static void each_has_the_code_of_its_own_restart(void **state)
{
    spawn_id first, second;

    (void)state;
    serves();
    is_restarted();
    loads();
    is_accepted(&first);
    a_moment_later();
    say_configure();
    expect_id(SPAWN_M_DISMISS, &new);
    expect(SPAWN_M_SIGNAL);
    expect(SPAWN_M_BROKER_READY);
    spawn_close_fds(&caller, 1);
    a_child_calls_in();
    loads();
    is_accepted(&second);
    nothing_starts(); /* the old one is too old for both */
    said(&new, true, 0);
    expect_id(SPAWN_M_DISMISS, &old);
    expect_order(&first, &new);
    expect_order(&second, &new);
}

static void a_module_that_says_nothing_has_nobody_wait(void **state)
{
    spawn_id id;

    (void)state;
    serves();
    a_moment_later();
    configured_at = 0;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    spawn_close_fds(&caller, 1);
    a_child_calls_in();
    loads();
    is_accepted(&id);
    expect_order(&id, &old);
}

/* httpd may be in another time namespace. */
static void a_clock_that_is_ahead_has_nobody_wait_for_ever(void **state)
{
    spawn_id id;

    (void)state;
    serves();
    a_moment_later();
    configured_at += 1000000;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    spawn_close_fds(&caller, 1);
    a_child_calls_in();
    loads();
    is_accepted(&id);
    nothing_starts();
    said(&new, true, 0);
    expect_id(SPAWN_M_DISMISS, &old);
    expect_order(&id, &new);
}

/* ---- workers ---- */

static void calls_wait_for_workers_of_the_new_one(void **state)
{
    spawn_id id, of_before;
    worker w, next;

    (void)state;
    begins_with(SPAWN_TEMPLATE_EXEC);
    workers_min = workers_max = 1;
    reach_go();
    a_child_calls_in();
    template_starts(&old, true);
    worker_starts(&w);
    worker_says(&w, NULL);
    is_there();
    is_restarted();
    loads();
    submit(&id, SPAWN_REPLY_FINISHED);
    is_there();
    quiet_at(w.link, 20);
    nothing_starts();
    swap(&caller, &child);
    submit(&of_before, SPAWN_REPLY_FINISHED);
    expect_call(&w, &of_before);
    worker_returns(&w, &of_before);
    expect_answer(SPAWN_M_JOB);
    said(&new, true, 0);
    expect_id(SPAWN_M_DISMISS, &old);
    expect_no_more(&w); /* and not the call */
    worker_ordered(&next);
    say_started(&next.id);
    worker_says(&next, NULL);
    expect_call(&next, &id);
}

/* Workers of the old one are no reason to tell a call that none gets ready. */
static void calls_do_not_fail_with_workers_of_the_old_one(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    begins_with(SPAWN_TEMPLATE_EXEC);
    workers_min = workers_max = 1;
    reach_go();
    a_child_calls_in();
    template_starts(&old, true);
    worker_starts(&w); /* of the old one, still */
    is_restarted();
    loads();
    submit(&id, SPAWN_REPLY_FINISHED);
    says_it_cannot(&w);
    is_there();
    nothing_starts();
    said(&new, true, 0);
    expect_id(SPAWN_M_DISMISS, &old);
}

/* ---- a broker that comes anew ---- */

/* Its store has a job that waits. */
static void another_broker_begins(spawn_id *ret)
{
    is_accepted(ret);
    is_there();
    kill_broker();
    start_broker();
}

static void goes_on(void)
{
    expect_ready();
    say(SPAWN_M_GO);
    a_child_calls_in();
}

/* The restart was told, and no process of it was ordered yet. */
static void a_broker_that_comes_anew_replaces_an_old_one(void **state)
{
    int64_t began = spawn_mono_ms();
    spawn_id id, next;

    (void)state;
    serves();
    is_restarted();
    another_broker_begins(&id);
    say_runs(&old, true, began);
    goes_on();
    loads();
    is_accepted(&next);
    nothing_starts();
    said(&new, true, 0);
    expect_id(SPAWN_M_DISMISS, &old);
    expect_order(&id, &new);
    expect_order(&next, &new);
}

/* As above, and the next one is there. */
static void and_waits_for_one_that_loads(void **state)
{
    int64_t began = spawn_mono_ms();
    spawn_id id;

    (void)state;
    serves();
    is_restarted();
    loads();
    another_broker_begins(&id);
    say_runs(&new, false, spawn_mono_ms());
    say_runs(&old, true, began);
    goes_on();
    nothing_starts();
    said(&new, true, 0);
    expect_id(SPAWN_M_DISMISS, &old);
    expect_order(&id, &new);
}

/* Within a millisecond nobody tells what came first. */
static void one_that_began_with_its_configuration_has_its_code(void **state)
{
    spawn_id id;

    (void)state;
    serves();
    kill_broker();
    start_broker();
    say_runs(&old, true, configured_at);
    goes_on();
    is_accepted(&id);
    expect_order(&id, &old);
    nothing_starts();
}

/* ---- templates of httpd's ---- */

static void httpds_is_waited_for(void **state)
{
    spawn_id id;

    (void)state;
    httpds_serves();
    is_restarted();
    say(SPAWN_M_GO);
    is_accepted(&id);
    nothing_starts();
    said(&new, true, spawn_mono_ms());
    expect_id(SPAWN_M_DISMISS, &old);
    expect_order(&id, &new);
}

/* Whether it could not be loaded, or httpd has no Perl any more. */
static void when_httpds_fails_the_old_one_serves(void **state)
{
    spawn_id id;

    (void)state;
    httpds_serves();
    is_restarted();
    say(SPAWN_M_GO);
    is_accepted(&id);
    nothing_starts();
    said(&new, false, spawn_mono_ms());
    expect_id(SPAWN_M_DISMISS, &new);
    expect_order(&id, &old);
}

/* It was stopped, say, and goes on when another one has taken its place. */
static void one_that_is_ready_too_late_serves_nobody(void **state)
{
    int64_t began = spawn_mono_ms();
    spawn_id id, late;

    (void)state;
    httpds_serves();
    is_restarted();
    say(SPAWN_M_GO);
    said(&new, true, spawn_mono_ms());
    expect_id(SPAWN_M_DISMISS, &old);
    (void)spawn_id_make(&late);
    said(&late, true, began);
    expect_id(SPAWN_M_DISMISS, &late);
    is_accepted(&id);
    expect_order(&id, &new);
}

/* The same before that one is there. */
static void an_old_one_that_is_ready_late_is_not_the_new_one(void **state)
{
    int64_t between;
    spawn_id id, late;

    (void)state;
    httpds_serves();
    a_moment_later();
    between = spawn_mono_ms();
    is_restarted();
    say(SPAWN_M_GO);
    is_accepted(&id);
    (void)spawn_id_make(&late);
    said(&late, true, between);
    expect_id(SPAWN_M_DISMISS, &old);
    nothing_starts();
    said(&new, true, spawn_mono_ms());
    expect_id(SPAWN_M_DISMISS, &late);
    expect_order(&id, &new);
}

/* That is no news of what came after it. */
static void an_old_one_that_is_ready_last_holds_nothing_up(void **state)
{
    int64_t between;
    spawn_id id, late;

    (void)state;
    httpds_serves();
    a_moment_later();
    between = spawn_mono_ms();
    is_restarted();
    say(SPAWN_M_GO);
    said(&new, false, spawn_mono_ms());
    expect_id(SPAWN_M_DISMISS, &new);
    (void)spawn_id_make(&late);
    said(&late, true, between);
    expect_id(SPAWN_M_DISMISS, &old);
    time_stands(); /* not for the end of patience */
    is_accepted(&id);
    expect_order(&id, &late);
    time_goes_on();
}

/* A broker before it may have been told that httpd has none. */
static void without_news_the_old_one_serves_after_some_time(void **state)
{
    int64_t began = spawn_mono_ms();
    spawn_id id;

    (void)state;
    httpds_serves();
    is_restarted();
    another_broker_begins(&id);
    say_runs(&old, true, began);
    goes_on();
    time_stands();
    time_moves((NEWS_WITHIN - 2) * 1000);
    nothing_starts();
    say(SPAWN_M_GO); /* httpd has read its configuration just now */
    is_there();
    time_moves((NEWS_WITHIN - 1) * 1000);
    nothing_starts();
    later_by(2 * NEWS_WITHIN); /* a clock that stands has nothing of it yet */
    time_goes_on();
    has_heard();
    expect_order(&id, &old);
}

/* With news of it nobody gives up. */
static void one_that_httpd_has_forked_is_waited_for(void **state)
{
    int64_t began = spawn_mono_ms();
    spawn_id id;

    (void)state;
    httpds_serves();
    is_restarted();
    another_broker_begins(&id);
    say_runs(&old, true, began);
    say_runs(&new, false, spawn_mono_ms());
    goes_on();
    later_by(CODE_WITHIN - 3);
    nothing_starts();
    say_exited(&new, 0, SIGKILL);
    expect_id(SPAWN_M_FORGET, &new);
    expect_order(&id, &old);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_children)
    const struct CMUnitTest tests[] = {
        ALONE(calls_of_new_children_wait_for_the_new_one),
        ALONE(what_waited_before_has_the_old_one),
        ALONE(a_script_waits_though_it_called_in_before),
        ALONE(when_it_fails_the_old_one_serves),
        ALONE(when_it_ends_the_old_one_serves),
        ALONE(each_has_the_code_of_its_own_restart),
        ALONE(a_module_that_says_nothing_has_nobody_wait),
        ALONE(a_clock_that_is_ahead_has_nobody_wait_for_ever),
        ALONE(calls_wait_for_workers_of_the_new_one),
        ALONE(calls_do_not_fail_with_workers_of_the_old_one),
        ALONE(a_broker_that_comes_anew_replaces_an_old_one),
        ALONE(and_waits_for_one_that_loads),
        ALONE(one_that_began_with_its_configuration_has_its_code),
        ALONE(httpds_is_waited_for),
        ALONE(when_httpds_fails_the_old_one_serves),
        ALONE(one_that_is_ready_too_late_serves_nobody),
        ALONE(an_old_one_that_is_ready_late_is_not_the_new_one),
        ALONE(an_old_one_that_is_ready_last_holds_nothing_up),
        ALONE(without_news_the_old_one_serves_after_some_time),
        ALONE(one_that_httpd_has_forked_is_waited_for),
    };

    if (no_clocks())
        return 0;
    find_broker();
    return cmocka_run_group_tests_name("code of templates", tests, NULL, NULL);
}
