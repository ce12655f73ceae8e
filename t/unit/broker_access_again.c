/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An account that SpawnAccess lets in, and that sends a job again: it is told
 * of one of its own, as long as it may submit in the queue of that job, and of
 * one that it may see there. It cannot choose the queue that is asked, though
 * it finds another order with the same digest.
 */
#include "t/unit/broker_listed.h"
#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"
#include "t/unit/corner.h"

#include "common/spawn_digest.h"

static void comes_as(unsigned uid)
{
    connect_with(uid, uid, 0);
    say_hello();
    expect_answer(SPAWN_M_WELCOME);
}

static void order(spawn_writer *w, const char *queue)
{
    begin_submit(w, &job, "/bin/true");
    spawn_put_str(w, SPAWN_A_QUEUE, queue);
}

/* Of this account; root reads what the spawner is told. */
static void a_job_ends(unsigned uid, const char *queue)
{
    spawn_writer w;

    comes_as(uid);
    assert_int_equal(spawn_id_make(&job), 0);
    order(&w, queue);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    comes_to_rest();
}

static void expect_not_permitted(const char *where)
{
    expect_refusal(SPAWN_E_NOT_PERMITTED);
    if (!strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), where))
        fail_msg("%s: not %s", spawn_str_or(&message, SPAWN_A_TEXT, ""), where);
}

static void who_may_not_submit_there_any_more_is_told_nothing(void **state)
{
    spawn_writer w;
    uint64_t digest;

    NEEDS_ROOT;
    say_of("other", BACKUP, 0, SPAWN_MAY_SUBMIT);
    say_of("default", BACKUP, 0, SPAWN_MAY_ALL);
    reach_go_and_call_in();
    a_job_ends(BACKUP, "other");
    order(&w, "other");
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    end_broker();
    /* the same digest, of another queue */
    order(&w, "default");
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    digest =
        spawn_digest(w.data + SPAWN_WIRE_HEADER, w.length - SPAWN_WIRE_HEADER);
    spawn_writer_free(&w);
    {
        char sql[100];

        (void)snprintf(sql, sizeof(sql), "UPDATE job SET digest = %lld",
                       (long long)digest);
        run_sql(sql);
    }
    said[0].uid = OTHER;
    reach_go_and_call_in();
    comes_as(BACKUP);
    order(&w, "default");
    ask(&w);
    expect_not_permitted("has not the right");
    said[0] = (access_rule){"other", BACKUP, 0, SPAWN_MAY_SEE};
    configure_again();
    order(&w, "default");
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
}

/* ---- a call that ended while the store took nothing ---- */

static spawn_id template;
static worker the_worker;

static void begin_call(spawn_writer *w)
{
    begin(w, SPAWN_M_SUBMIT, &job);
    spawn_put_str(w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
}

static int set_up_both(void **state)
{
    int rv = set_up_clock(state);

    said_count = 0;
    more_rules = put_said;
    log_is_kept = true;
    return rv;
}

static void ends_unstored(void)
{
    spawn_writer w;

    make_store_that_fails_a_while(NO_INSERT);
    reach_workers(0, 1, &template);
    comes_as(BACKUP);
    (void)spawn_id_make(&job);
    begin_call(&w);
    ask(&w);
    worker_ordered(&the_worker);
    wait_until_logged("MS0530", 1);
    time_stands();
    say_started(&the_worker.id);
    worker_says(&the_worker, NULL);
    expect_call(&the_worker, &job);
    worker_returns(&the_worker, &job);
    expect_answer(SPAWN_M_JOB);
    time_goes_on();
    later_by(2);
    call_in();
    is_there();
    store_takes_again();
}

static void send_again(unsigned uid)
{
    spawn_writer w;

    comes_as(uid);
    begin(&w, SPAWN_M_SUBMIT, &job);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    ask(&w);
}

static void its_own_that_is_not_stored_is_told(void **state)
{
    NEEDS_ROOT;
    say_of("default", BACKUP, 0, SPAWN_MAY_SUBMIT);
    ends_unstored();
    send_again(BACKUP);
    expect_answer(SPAWN_M_ACCEPTED);
}

static void nobody_elses_is(void **state)
{
    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_SUBMIT);
    say_of(NULL, OTHER, 0, SPAWN_MAY_SUBMIT);
    ends_unstored();
    send_again(OTHER);
    expect_not_permitted("'see'");
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up_each, tear_down_all)
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_both, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(who_may_not_submit_there_any_more_is_told_nothing),
        STEPPED(its_own_that_is_not_stored_is_told), STEPPED(nobody_elses_is)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("a job is sent again", tests, NULL,
                                       NULL);
}
