/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnHistory of a queue: its ended jobs go by its own count and age, and
 * those of other queues stay; the first that ended go first, and none in the
 * two minutes in which its caller may send it again. Without such a queue the
 * store has no index for it.
 */
#include "t/unit/broker_clock.h"

/* s; an end that is older may be forgotten */
#define LONG 200

static bool limited; /* rules of b and c are told */

static void put_one(spawn_writer *w, const char *queue, uint64_t jobs,
                    uint64_t age_ms)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_QUEUE_DEFAULTS);

    spawn_put_str(w, SPAWN_A_QUEUE, queue);
    spawn_put_u64(w, SPAWN_A_HISTORY_JOBS, jobs);
    if (age_ms)
        spawn_put_u64(w, SPAWN_A_HISTORY_AGE, age_ms);
    spawn_close(w, mark);
}

static void put_rules(spawn_writer *w)
{
    if (!limited)
        return;
    put_one(w, "b", 1, 0);
    put_one(w, "c", 100, 60000);
}

static void start_all(void)
{
    static const char *const more[] = {"b", "c", NULL};

    history_jobs = 100;
    more_queues = more;
    more_rules = put_rules;
    limited = true;
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

static void runs_in(const char *queue, spawn_id *ret)
{
    spawn_writer w;

    assert_int_equal(spawn_id_make(ret), 0);
    begin_submit(&w, ret, "/bin/true");
    spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, ret);
    say_started(ret);
    say_exited(ret, 0, 0);
    expect_id(SPAWN_M_FORGET, ret);
}

static bool known(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, id);
    ask(&w);
    assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    return message.header.type == SPAWN_M_JOB;
}

static void some_time(int seconds)
{
    spawn_id nobody;

    assert_int_equal(spawn_id_make(&nobody), 0);
    (void)known(&nobody); /* the next event is another turn */
    steps[0] += seconds;
    steps[1] += seconds;
    (void)known(&nobody);
    (void)known(&nobody);
}

/* So long that what has ended may be forgotten, and is if it should. */
static void time_passes(void)
{
    some_time(20); /* a note is made of what has ended */
    some_time(LONG);
}

/* ---- what is promised ---- */

static void each_queue_keeps_its_own(void **state)
{
    spawn_id other[2], counted[3], aged;
    unsigned i;

    (void)state;
    start_all();
    runs_in("c", &aged);
    for (i = 0; i < 3; i++)
        runs_in("b", &counted[i]);
    for (i = 0; i < 2; i++)
        runs_in("default", &other[i]);
    some_time(20);
    for (i = 0; i < 3; i++) /* their callers may send them again */
        assert_true(known(&counted[i]));
    assert_true(known(&aged));
    time_passes();
    assert_false(known(&counted[0]));
    assert_false(known(&counted[1]));
    assert_true(known(&counted[2]));
    assert_false(known(&aged));
    for (i = 0; i < 2; i++)
        assert_true(known(&other[i]));
}

static void the_index_is_there_while_it_is_needed(void **state)
{
    spawn_id one;

    (void)state;
    start_all();
    runs_in("b", &one);
    time_passes();
    kill_broker();
    expect_sql("SELECT count(*) FROM sqlite_master WHERE name = 'job_of_queue'",
               "1");
    limited = false;
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    time_passes();
    kill_broker();
    expect_sql("SELECT count(*) FROM sqlite_master WHERE name = 'job_of_queue'",
               "0");
    expect_sql("SELECT count(*) FROM job", "1");
}

int main(void)
{
#define ALONE(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(each_queue_keeps_its_own),
        ALONE(the_index_is_there_while_it_is_needed)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("history of queues", tests, NULL, NULL);
}
