/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that the kernel kills for want of memory, which the spawner knows from
 * their cgroup: which of them end as that, what is told, kept and written to
 * the log, and whether they are tried again.
 */
#include "common/spawn_rule.h"
#include "t/unit/broker_jobs.h"

#define EXIT(code) ((code) << 8)
#define UNKNOWN    SPAWN_RU_UNKNOWN

static void put_usage(spawn_writer *w, uint64_t kills, unsigned count)
{
    uint64_t usage[SPAWN_RU_ALL] = {1, 2, 3};

    usage[SPAWN_RU_TREE_UTIME_US] = 1500000;
    usage[SPAWN_RU_TREE_STIME_US] = 250000;
    usage[SPAWN_RU_TREE_MEMORY_KB] = 30720;
    usage[SPAWN_RU_OOM_KILLS] = kills;
    spawn_put_u64v(w, SPAWN_A_RUSAGE, usage, count);
}

static void says_exited(const spawn_id *id, int status, uint64_t kills)
{
    spawn_writer w;

    begin(&w, SPAWN_M_EXITED, id);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, (uint64_t)status);
    put_usage(&w, kills, SPAWN_RU_ALL);
    send_fds(&w, NULL, 0);
    expect_id(SPAWN_M_FORGET, id);
}

static void runs_and_ends(int status, uint64_t kills)
{
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    says_exited(&job, status, kills);
}

/* ---- which ---- */

static void who_got_sigkill_where_the_kernel_killed_is_one(void **state)
{
    (void)state;
    reach_go_and_call_in();
    runs_and_ends(SIGKILL, 1);
    runs_and_ends(SIGKILL, 7);
    /* by somebody else, or without anybody who could know */
    runs_and_ends(SIGKILL, 0);
    runs_and_ends(SIGKILL, UNKNOWN);
    /* it has coped with that others were killed, or not */
    runs_and_ends(EXIT(0), 1);
    runs_and_ends(EXIT(137), 1);
    runs_and_ends(SIGTERM, 1);
    runs_and_ends(SIGSEGV | 0x80, 1);
    end_broker();
    expect_sql("SELECT group_concat(outcome || ' ' || ifnull(exit_code, '-')"
               " || ' ' || ifnull(signal, '-'), ',') FROM"
               " (SELECT * FROM job ORDER BY seq)",
               "9 - 9,9 - 9,2 - 9,2 - 9,1 0 -,1 137 -,2 - 15,2 - 11");
}

/* Of an older spawner, or of a job without a cgroup. */
static void without_a_count_nobody_is(void **state)
{
    static const unsigned counts[] = {0, SPAWN_RU_COUNT, SPAWN_RU_OOM_KILLS};
    spawn_writer w;
    unsigned i;

    (void)state;
    reach_go_and_call_in();
    for (i = 0; i < 3; i++) {
        job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
        begin(&w, SPAWN_M_EXITED, &job);
        spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, SIGKILL);
        if (counts[i])
            put_usage(&w, 5, counts[i]);
        send_fds(&w, NULL, 0);
        expect_id(SPAWN_M_FORGET, &job);
    }
    end_broker();
    expect_sql("SELECT group_concat(outcome || ' ' || signal) FROM job",
               "2 9,2 9,2 9");
}

static void a_time_out_and_a_kill_are_told_as_ever(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(1000, 1000, SPAWN_REPLY_ACCEPTED);
    is_there();
    time_passes(2);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    says_exited(&job, SIGKILL, 1);
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    kill_it(SIGKILL);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    says_exited(&job, SIGKILL, 1);
    end_broker();
    expect_sql("SELECT group_concat(outcome || ' ' || signal, ',') FROM"
               " (SELECT * FROM job ORDER BY seq)",
               "3 9,4 9");
}

/* ---- what is told ---- */

static void expect_told(void)
{
    const spawn_attr *a = &message.attr[SPAWN_A_RUSAGE];

    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_OUT_OF_MEMORY);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SIGNAL, 0), SIGKILL);
    assert_false(spawn_has(&message, SPAWN_A_EXIT_CODE));
    assert_int_equal(spawn_u64v_count(a), SPAWN_RU_ALL);
    assert_int_equal(spawn_u64v_at(a, SPAWN_RU_TREE_UTIME_US), 1500000);
    assert_int_equal(spawn_u64v_at(a, SPAWN_RU_TREE_MEMORY_KB), 30720);
    assert_int_equal(spawn_u64v_at(a, SPAWN_RU_OOM_KILLS), 2);
}

static void who_waits_is_told_and_who_asks_later(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_FINISHED);
    says_exited(&job, SIGKILL, 2);
    expect_answer(SPAWN_M_JOB);
    expect_told();
    begin(&w, SPAWN_M_GET, &job); /* from the store */
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    expect_told();
}

static void the_log_says_it(void **state)
{
    (void)state;
    log_is_kept = true;
    reach_go_and_call_in();
    runs_and_ends(SIGKILL, 1);
    runs_and_ends(SIGKILL, 3);
    runs_and_ends(EXIT(137), 1);
    runs_and_ends(EXIT(4), UNKNOWN);
    runs_and_ends(SIGKILL, 0);
    end_broker();
    assert_int_equal(logged("MS0682"), 5);
    assert_int_equal(logged("killed by the kernel for want of memory (queue "),
                     1);
    assert_int_equal(logged("killed by the kernel for want of memory; for want "
                            "of memory the kernel has killed 2 of its other "
                            "processes (queue "),
                     1);
    assert_int_equal(logged("exited with code 137; for want of memory the "
                            "kernel has killed 1 of its other processes "
                            "(queue "),
                     1);
    assert_int_equal(logged("exited with code 4 (queue "), 1);
    assert_int_equal(logged("was killed by signal 9 (Killed) (queue "), 1);
}

/* ---- workers ---- */

static void a_call_whose_worker_was_killed_so_ends_so(void **state)
{
    spawn_id template, id;
    worker w;

    (void)state;
    log_is_kept = true;
    reach_workers(0, 1, &template);
    submit(&id, SPAWN_REPLY_FINISHED);
    worker_ordered(&w);
    say_started(&w.id);
    worker_says(&w, NULL);
    expect_call(&w, &id);
    says_exited(&w.id, SIGKILL, 1);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_OUT_OF_MEMORY);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SIGNAL, 0), SIGKILL);
    assert_false(spawn_has(&message, SPAWN_A_RUSAGE));
    end_broker();
    assert_int_equal(logged("MS0613: a worker of queue"), 1);
    assert_int_equal(logged("it was killed by signal 9 (Killed), by the "
                            "kernel, for want of memory; only the call"),
                     1);
}

static void returns(const worker *w, const spawn_id *id)
{
    expect_call(w, id);
    worker_returns(w, id);
    expect_answer(SPAWN_M_JOB);
}

static void is_signalled_only(void)
{
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_SIGNALLED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SIGNAL, 0), SIGKILL);
}

static void nobody_knows_for_sure(void)
{
    assert_int_equal(logged("by the kernel, for want of memory"), 0);
    assert_int_equal(
        logged("it was killed by signal 9 (Killed), perhaps by the kernel, "
               "which has killed processes of it for want of memory; only"),
        1);
}

/* The kernel may have killed a child of an earlier call: its count is of all
 * the worker's calls. */
static void of_a_later_call_that_is_not_known(void **state)
{
    spawn_id template, id;
    worker w;

    (void)state;
    log_is_kept = true;
    reach_workers(0, 1, &template);
    submit(&id, SPAWN_REPLY_FINISHED);
    worker_starts(&w);
    worker_says(&w, NULL);
    returns(&w, &id);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    says_exited(&w.id, SIGKILL, 1);
    is_signalled_only();
    end_broker();
    nobody_knows_for_sure();
}

static void of_one_that_has_no_call_that_is_not_known(void **state)
{
    spawn_id template, id;
    worker w;

    (void)state;
    log_is_kept = true;
    reach_workers(0, 1, &template);
    submit(&id, SPAWN_REPLY_FINISHED);
    worker_starts(&w);
    worker_says(&w, NULL);
    returns(&w, &id);
    says_exited(&w.id, SIGKILL, 1);
    end_broker();
    nobody_knows_for_sure();
}

/* Its calls under the last broker are not known. */
static void of_a_worker_that_was_found_that_is_not_known(void **state)
{
    spawn_id template, id;
    worker w;

    (void)state;
    log_is_kept = true;
    reach_workers(0, 1, &template);
    submit(&id, SPAWN_REPLY_FINISHED);
    worker_starts(&w);
    worker_says(&w, NULL);
    returns(&w, &id);
    end_broker();
    start_another(&w, &template);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    says_exited(&w.id, SIGKILL, 1);
    is_signalled_only();
    end_broker();
    nobody_knows_for_sure();
}

/* ---- what follows ---- */

static void submit_with(void (*put)(spawn_writer *w))
{
    spawn_writer w;
    size_t mark;

    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    put(&w);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void put_retry(spawn_writer *w)
{
    static const uint64_t at_once[] = {SPAWN_BACKOFF_LIST, 0};
    static const uint64_t on[] = {SPAWN_RETRY_ON_OUT_OF_MEMORY};

    spawn_put_i64(w, SPAWN_A_RETRY, 1);
    spawn_put_u64v(w, SPAWN_A_BACKOFF, at_once, 2);
    spawn_put_u64v(w, SPAWN_A_RETRY_ON, on, 1);
}

static void it_is_tried_again_where_that_was_asked_for(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_with(put_retry);
    says_exited(&job, SIGKILL, 1);
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 2);
    says_exited(&job, SIGKILL, 0);
    end_broker();
    expect_sql("SELECT group_concat(outcome) FROM attempt", "9");
    expect_sql("SELECT outcome || ' ' || attempt || ' ' || dead FROM job",
               "2 2 1");
}

static spawn_id before; /* which another job comes after */

static void put_after(spawn_writer *w)
{
    spawn_put_bytes(w, SPAWN_A_AFTER, before.bytes, SPAWN_ID_SIZE);
}

static void who_comes_after_it_is_told_why(void **state)
{
    spawn_writer w;
    size_t mark;

    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    before = job;
    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    put_after(&w);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    says_exited(&before, SIGKILL, 1);
    end_broker();
    expect_sql("SELECT count(*) FROM job WHERE outcome = 4"
               " AND text LIKE '% was killed for want of memory%'",
               "1");
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(who_got_sigkill_where_the_kernel_killed_is_one),
        ALONE(without_a_count_nobody_is),
        STEPPED(a_time_out_and_a_kill_are_told_as_ever),
        ALONE(who_waits_is_told_and_who_asks_later),
        ALONE(the_log_says_it),
        ALONE(a_call_whose_worker_was_killed_so_ends_so),
        ALONE(of_a_later_call_that_is_not_known),
        ALONE(of_one_that_has_no_call_that_is_not_known),
        ALONE(of_a_worker_that_was_found_that_is_not_known),
        ALONE(it_is_tried_again_where_that_was_asked_for),
        ALONE(who_comes_after_it_is_told_why),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("out_of_memory", tests, NULL, NULL);
}
