/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts about a job's process: how its start went, its usage, when it ended.
 * Start pipes are real ones.
 */
#define PART_HAS_TABLE
#include "t/unit/spawner_part.h"

static int forked_only; /* the answer of the question about a process */

static int play_only_forked(pid_t pid)
{
    note("looked at %d", (int)pid);
    return forked_only;
}

void template_forget(const job *j)
{
    (void)j;
    note("template forgotten");
}

#define spawn_os_only_forked play_only_forked
#include "spawner/table.c"
#include "spawner/jobs.c"

#define PID 4000

static int start(void **state)
{
    (void)state;
    no_state();
    return table_init();
}

static job *have(unsigned flags)
{
    const spawn_id id = {{1, 1}};
    job *j;

    if ((j = table_by_id(&id)))
        table_remove(j);
    no_state();
    assert_int_equal(table_init(), 0);
    j = table_add(&id);
    j->pid = PID;
    j->flags = (uint16_t)flags;
    return j;
}

/* Its child writes this much, and ends or not. */
static void report(job *j, const void *bytes, size_t length, bool ends)
{
    int pipe[2];

    assert_int_equal(pipe2(pipe, O_CLOEXEC | O_NONBLOCK), 0);
    j->start_pipe = pipe[0];
    if (length)
        assert_int_equal(write(pipe[1], bytes, length), (ssize_t)length);
    if (ends)
        (void)close(pipe[1]);
    job_progress(j);
    if (!ends)
        (void)close(pipe[1]);
}

static void its_pipe_says_how_it_starts(void **state)
{
    static const int32_t failed[] = {SPAWN_STEP_CWD, ENOENT};
    static const struct {
        unsigned flags;
        int forked_only;
        bool ends;
        const char *calls;
        job_state state;
        unsigned flags_then;
    } cases[] = {
        /* nothing yet */
        {0, 0, false, "", JOB_STARTING, 0},
        {0, 1, true, "", JOB_RUNNING, JOB_TELL_STARTED | JOB_IN_FIFO},
        {JOB_SHOT, 0, true, "looked at 4000; ", JOB_RUNNING,
         JOB_SHOT | JOB_TELL_STARTED | JOB_IN_FIFO},
        /* it has gone, /proc is not there */
        {JOB_SHOT, -ESRCH, true, "looked at 4000; ", JOB_RUNNING,
         JOB_SHOT | JOB_TELL_STARTED | JOB_IN_FIFO},
        /* killed before it could execute: it never ran */
        {JOB_SHOT, 1, true, "looked at 4000; ", JOB_STARTING, JOB_SHOT}};
    unsigned i;
    job *j;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        j = have(cases[i].flags);
        forked_only = cases[i].forked_only;
        report(j, NULL, 0, cases[i].ends);
        expect_called(cases[i].calls);
        assert_int_equal(j->state, cases[i].state);
        assert_int_equal(j->flags, cases[i].flags_then);
        assert_int_equal(j->step, 0);
        assert_int_equal(j->start_pipe >= 0, !cases[i].ends);
        spawn_close_fds(&j->start_pipe, 1);
    }
    j = have(JOB_SHOT);
    forked_only = 0;
    report(j, failed, sizeof(failed), false);
    assert_int_equal(j->start_pipe, -1);
    assert_int_equal(j->step, SPAWN_STEP_CWD);
    assert_int_equal(j->error, ENOENT);
    assert_int_equal(j->state, JOB_STARTING); /* it ends, and is reaped */
    assert_int_equal(j->flags, JOB_SHOT);
    expect_called("");
    job_progress(j); /* once more in the same turn */
    assert_int_equal(j->state, JOB_STARTING);
}

static void one_that_never_came_to_be_has_ended(void **state)
{
    int64_t wall = spawn_wall_ms();
    job *j = have(0);

    (void)state;
    job_failed(j, SPAWN_STEP_FORK, EAGAIN);
    assert_int_equal(j->step, SPAWN_STEP_FORK);
    assert_int_equal(j->error, EAGAIN);
    assert_in_range(j->ended_ms, wall, spawn_wall_ms());
    assert_int_equal(j->state, JOB_ENDED);
    assert_int_equal(j->flags, JOB_TELL_EXITED | JOB_IN_FIFO);
}

/* ---- what it has used ---- */

static void expect_counts(const job *j, const uint32_t *counts)
{
    unsigned i;

    for (i = 2; i < SPAWN_RU_COUNT; i++)
        assert_int_equal(j->counts[i - 2], counts[i - 2]);
}

static void what_it_has_used_is_kept(void **state)
{
    static const uint32_t counts[] = {
        [SPAWN_RU_MAXRSS_KB - 2] = 11, [SPAWN_RU_MINFLT - 2] = 12,
        [SPAWN_RU_MAJFLT - 2] = 0,     [SPAWN_RU_INBLOCK - 2] = UINT32_MAX,
        [SPAWN_RU_OUBLOCK - 2] = 15,   [SPAWN_RU_NVCSW - 2] = UINT32_MAX,
        [SPAWN_RU_NIVCSW - 2] = 17};
    struct rusage u;
    job *j = have(0);

    (void)state;
    memset(&u, 0, sizeof(u));
    u.ru_utime = (struct timeval){2, 3};
    u.ru_stime = (struct timeval){4, 5};
    u.ru_maxrss = 11;
    u.ru_minflt = 12;
    u.ru_majflt = -1;
    u.ru_inblock = UINT32_MAX;
    u.ru_oublock = 15;
    u.ru_nvcsw = (long)UINT32_MAX + 1;
    u.ru_nivcsw = 17;
    job_keep_usage(j, &u);
    assert_int_equal(j->utime_us, 2000003);
    assert_int_equal(j->stime_us, 4000005);
    expect_counts(j, counts);
    assert_int_equal(j->next_id, 0); /* the field behind them */
}

/* Its template says so. */
static void tell_usage(job *j, unsigned count)
{
    static const uint64_t usage[] = {2000003, 4000005, 11, 12, 13,
                                     14,      15,      16, 17, 18};
    spawn_reader reader;
    spawn_writer w;
    spawn_attr a;

    begin(&w, SPAWN_M_CHILD_EXITED);
    spawn_put_u64v(&w, SPAWN_A_RUSAGE, usage, count);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    spawn_reader_init(&reader, w.data + SPAWN_WIRE_HEADER,
                      w.length - SPAWN_WIRE_HEADER);
    assert_int_equal(spawn_reader_next(&reader, &a), 1);
    job_told(j, 0x700, &a);
    spawn_writer_free(&w);
}

static void its_template_tells_of_its_end(void **state)
{
    static const uint32_t counts[] = {11, 12, 13, 14, 15, 16, 17};
    static const uint32_t none[SPAWN_RU_COUNT - 2];
    static const unsigned others[] = {0, SPAWN_RU_COUNT - 1,
                                      SPAWN_RU_COUNT + 1};
    int64_t wall = spawn_wall_ms(), mono = spawn_mono_us();
    unsigned i;
    job *j = have(0);

    (void)state;
    j->mono_us = mono - 5000000;
    tell_usage(j, SPAWN_RU_COUNT);
    assert_int_equal(j->utime_us, 2000003);
    assert_int_equal(j->stime_us, 4000005);
    expect_counts(j, counts);
    assert_int_equal(j->next_id, 0);
    assert_int_equal(j->status, 0x700);
    assert_in_range(j->ended_ms, wall, spawn_wall_ms());
    assert_in_range(j->elapsed_us, 5000000, 5000000 + spawn_mono_us() - mono);
    assert_int_equal(j->state, JOB_ENDED);
    assert_int_equal(j->flags, JOB_TELL_EXITED | JOB_IN_FIFO);
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        j = have(0);
        tell_usage(j, others[i]); /* of another release, or none */
        assert_int_equal(j->utime_us, 0);
        assert_int_equal(j->stime_us, 0);
        expect_counts(j, none);
        assert_int_equal(j->state, JOB_ENDED);
    }
}

/* A spare that ends before it has told of itself has not run its job, which is
 * ordered again. */
static void a_spare_that_ends_early_never_had_its_order(void **state)
{
    static const struct {
        unsigned flags;
        job_state state;
        uint8_t step;
        int step_then, error_then;
    } cases[] = {
        {JOB_SPARE, JOB_STARTING, 0, SPAWN_STEP_TEMPLATE, EAGAIN},
        {0, JOB_STARTING, 0, 0, 0},
        {JOB_SPARE | JOB_SHOT, JOB_STARTING, 0, 0, 0},
        {JOB_SPARE, JOB_RUNNING, 0, 0, 0},
        {JOB_SPARE, JOB_STARTING, SPAWN_STEP_CWD, SPAWN_STEP_CWD, 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        job *j = have(cases[i].flags);

        j->state = (uint8_t)cases[i].state;
        j->step = cases[i].step;
        job_note_end(j, 9);
        assert_int_equal(j->status, 9);
        assert_int_equal(j->step, cases[i].step_then);
        assert_int_equal(j->error, cases[i].error_then);
    }
}

#define T(f) cmocka_unit_test_setup(f, start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(its_pipe_says_how_it_starts),
        T(one_that_never_came_to_be_has_ended),
        T(what_it_has_used_is_kept),
        T(its_template_tells_of_its_end),
        T(a_spare_that_ends_early_never_had_its_order),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_jobs", tests, NULL, NULL);
}
