/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Priorities: who starts first in a queue, also for a broker that comes after a
 * killed one, from store and inbox. The protocol of broker_caller.h.
 */
#include "t/unit/broker_post.h"

enum {
    LOW,
    NONE,
    HIGH,
    LATER, /* than NONE, and no other */
    TOP,
    JOBS
};

static const int priorities[JOBS] = {-100, 0, 7, 0, 100};
static const int order[JOBS] = {TOP, HIGH, NONE, LATER, LOW};
static spawn_id jobs[JOBS];

static void begin_job(spawn_writer *w, uint16_t type, int which)
{
    size_t mark;

    (void)spawn_id_make(&jobs[which]);
    begin(w, type, &jobs[which]);
    mark = spawn_open_strv(w, SPAWN_A_ARGV);
    spawn_add_text(w, mark, "/bin/true", 9);
    spawn_close(w, mark);
    if (priorities[which])
        spawn_put_i64(w, SPAWN_A_PRIORITY, priorities[which]);
}

static void submit_all(void)
{
    spawn_writer w;
    int i;

    for (i = 0; i < JOBS; i++) {
        begin_job(&w, SPAWN_M_SUBMIT, i);
        ask(&w);
        expect_answer(SPAWN_M_ACCEPTED);
    }
}

/* An end is stored, and forgotten, a moment after it came: before the next job
 * is launched, or after it. */
static void expect_launch(const spawn_id *wanted)
{
    spawn_id id;

    do {
        next_message();
    } while (message.header.type == SPAWN_M_FORGET);
    assert_int_equal(message.header.type, SPAWN_M_LAUNCH);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
    assert_true(spawn_id_equal(&id, wanted));
}

static void expect_them_in_order(void)
{
    int i;

    for (i = 0; i < JOBS; i++) {
        expect_launch(&jobs[order[i]]);
        say_started(&jobs[order[i]]);
        say_exited(&jobs[order[i]], 0, 0);
    }
}

static void higher_ones_start_first(void **state)
{
    spawn_id first;

    (void)state;
    queue_jobs = 1;
    reach_go_and_call_in();
    (void)spawn_id_make(&first);
    submit_as(&first, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &first);
    submit_all();
    say_exited(&first, 0, 0);
    expect_them_in_order();
}

static void the_store_keeps_the_order(void **state)
{
    (void)state;
    queue_jobs = 1;
    reach_ready_and_call_in();
    submit_all();
    kill_broker();
    expect_sql("SELECT group_concat(priority) FROM (SELECT * FROM job"
               " ORDER BY seq)",
               "-100,0,7,0,100");
    reach_go();
    expect_them_in_order();
}

/* They are accepted there, and were not stored. */
static void the_inbox_keeps_it(void **state)
{
    (void)state;
    queue_jobs = 1;
    make_inbox();
    reach_ready_and_call_in();
    submit_all();
    kill_broker();
    reach_go();
    expect_them_in_order();
}

static void it_is_told(void **state)
{
    spawn_writer w;

    (void)state;
    reach_ready_and_call_in();
    submit_all();
    begin(&w, SPAWN_M_GET, &jobs[LOW]);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_i64(&message.attr[SPAWN_A_PRIORITY]), -100);
    begin(&w, SPAWN_M_GET, &jobs[NONE]);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_false(spawn_has(&message, SPAWN_A_PRIORITY));
}

static void others_are_refused(void **state)
{
    static const int bad[] = {101, -101, 1000000};
    spawn_writer w;
    size_t i, mark;
    spawn_id id;

    (void)state;
    reach_ready_and_call_in();
    for (i = 0; i < 3; i++) {
        (void)spawn_id_make(&id);
        begin(&w, SPAWN_M_SUBMIT, &id);
        mark = spawn_open_strv(&w, SPAWN_A_ARGV);
        spawn_add_text(&w, mark, "/bin/true", 9);
        spawn_close(&w, mark);
        spawn_put_i64(&w, SPAWN_A_PRIORITY, bad[i]);
        ask(&w);
        expect_refusal(SPAWN_E_INVALID);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        TEST(higher_ones_start_first), TEST(the_store_keeps_the_order),
        TEST(the_inbox_keeps_it),      TEST(it_is_told),
        TEST(others_are_refused),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
