/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages to a broker on each job: on its start, its end, an orphan, an
 * attempt, and of one that runs when the broker begins.
 */
#include "t/unit/spawner_told.h"

static void put_times(job *j)
{
    j->mono_us = 7000999;
    j->boot_ms = 12;
    j->wall_ms = 13;
    j->ended_ms = 14;
    j->elapsed_us = 15;
}

static void of_a_start(void **state)
{
    job *j = have(1, JOB_RUNNING);

    (void)state;
    put_times(j);
    table_tell(j, JOB_TELL_STARTED);
    expect_told(SPAWN_M_STARTED);
    assert_int_equal(number_of(SPAWN_A_PID), 101);
    assert_int_equal(number_of(SPAWN_A_MONO_STARTED), 7000);
    assert_int_equal(number_of(SPAWN_A_BOOT_STARTED), 12);
    assert_int_equal(number_of(SPAWN_A_STARTED_AT), 13);
    assert_false(spawn_has(&got, SPAWN_A_STATE));
    /* its process is asked for: no news of one that has started meanwhile */
    table_tell(j, JOB_TELL_PID);
    assert_true(tell_flush());
    expect_quiet(broker);
    assert_int_equal(j->flags, 0);
}

static void of_an_end(void **state)
{
    const spawn_attr *usage = &got.attr[SPAWN_A_RUSAGE];
    job *j = have(1, JOB_ENDED);
    uint32_t i;

    (void)state;
    put_times(j);
    j->status = -3;
    j->utime_us = 21;
    j->stime_us = 22;
    for (i = 2; i < SPAWN_RU_COUNT; i++)
        j->counts[i - 2] = 30 + i;
    table_tell(j, JOB_TELL_EXITED);
    expect_told(SPAWN_M_EXITED);
    assert_int_equal(number_of(SPAWN_A_PID), 101);
    assert_int_equal((int)(uint32_t)number_of(SPAWN_A_WAIT_STATUS), -3);
    assert_false(spawn_has(&got, SPAWN_A_STEP));
    assert_int_equal(number_of(SPAWN_A_STARTED_AT), 13);
    assert_int_equal(number_of(SPAWN_A_ENDED_AT), 14);
    assert_int_equal(number_of(SPAWN_A_ELAPSED), 15);
    assert_int_equal(spawn_u64v_count(usage), SPAWN_RU_COUNT);
    assert_int_equal(spawn_u64v_at(usage, SPAWN_RU_UTIME_US), 21);
    assert_int_equal(spawn_u64v_at(usage, SPAWN_RU_STIME_US), 22);
    for (i = 2; i < SPAWN_RU_COUNT; i++)
        assert_int_equal(spawn_u64v_at(usage, i), 30 + i);

    for (i = 0; i < SPAWN_RU_TREE_COUNT; i++) /* of its cgroup */
        table_tree(j)[i] = 50 + i;
    table_tree(j)[2] = SPAWN_RU_UNKNOWN;
    j->has_tree = true;
    table_tell(j, JOB_TELL_EXITED);
    expect_told(SPAWN_M_EXITED);
    assert_int_equal(spawn_u64v_count(usage), SPAWN_RU_ALL);
    for (i = 2; i < SPAWN_RU_ALL; i++)
        assert_int_equal(spawn_u64v_at(usage, i),
                         i < SPAWN_RU_COUNT        ? 30 + i
                         : i == SPAWN_RU_COUNT + 2 ? SPAWN_RU_UNKNOWN
                                                   : 50 + i - SPAWN_RU_COUNT);
    /* the next job in its place has none */
    assert_false(have(2, JOB_ENDED)->has_tree);

    j->step = SPAWN_STEP_CWD; /* it never was executed */
    j->error = ENOENT;
    table_tell(j, JOB_TELL_EXITED);
    expect_told(SPAWN_M_EXITED);
    assert_int_equal(number_of(SPAWN_A_STEP), SPAWN_STEP_CWD);
    assert_int_equal(number_of(SPAWN_A_ERRNO), ENOENT);
    assert_false(spawn_has(&got, SPAWN_A_WAIT_STATUS));
}

static void tell_running(void)
{
    tell_nothing();
    spawner.tell.sync = true;
    expect_told(SPAWN_M_RUNNING);
}

/* A short job: both are due. */
static void of_a_start_and_an_end_at_once(void **state)
{
    job *j = have(1, JOB_ENDED);

    (void)state;
    j->mono_us = 7000;
    j->boot_ms = 8;
    j->status = 9;
    spawner.broker_is_of_our_release = true;
    table_tell(j, JOB_TELL_STARTED);
    table_tell(j, JOB_TELL_EXITED);
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_EXITED, 1));
    assert_int_equal(number_of(SPAWN_A_PID), 101);
    assert_int_equal(number_of(SPAWN_A_MONO_STARTED), 7);
    assert_int_equal(number_of(SPAWN_A_BOOT_STARTED), 8);
    assert_int_equal(number_of(SPAWN_A_WAIT_STATUS), 9);
    expect_quiet(broker);
    assert_int_equal(j->flags, 0);
    /* of another release: as it knows it */
    spawner.broker_is_of_our_release = false;
    table_tell(j, JOB_TELL_STARTED);
    table_tell(j, JOB_TELL_EXITED);
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_STARTED, 1));
    assert_true(told_of(SPAWN_M_EXITED, 1));
    assert_false(spawn_has(&got, SPAWN_A_MONO_STARTED));
    expect_quiet(broker);
    assert_int_equal(j->flags, 0);
    /* its start was told: its end alone */
    spawner.broker_is_of_our_release = true;
    table_tell(j, JOB_TELL_EXITED);
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_EXITED, 1));
    assert_false(spawn_has(&got, SPAWN_A_MONO_STARTED));
}

static void of_one_that_runs(void **state)
{
    const spawn_attr *keep = &got.attr[SPAWN_A_KEEP];
    job *j = have(1, JOB_RUNNING);
    uint32_t i;

    (void)state;
    put_times(j);
    tell_running();
    assert_int_equal(number_of(SPAWN_A_PID), 101);
    assert_int_equal(number_of(SPAWN_A_MONO_STARTED), 7000);
    assert_int_equal(number_of(SPAWN_A_BOOT_STARTED), 12);
    assert_false(spawn_has(&got, SPAWN_A_KEEP));
    assert_false(spawn_has(&got, SPAWN_A_IS_TEMPLATE));
    assert_false(spawn_has(&got, SPAWN_A_IS_WORKER));
    assert_false(spawn_has(&got, SPAWN_A_TEMPLATE_ID));
    assert_false(spawn_has(&got, SPAWN_A_TEMPLATE));

    for (i = 0; i < SPAWN_KEEP_MAX; i++)
        j->keep[i] = spawn_os_memfd("keep");
    spawn_close_fds(&j->keep[1], 1);
    j->flags |= JOB_IS_WORKER;
    tell_running();
    assert_int_equal(number_of(SPAWN_A_IS_WORKER), 1);
    assert_int_equal(part_packet.fds_count, SPAWN_KEEP_MAX - 1);
    assert_int_equal(spawn_u64v_count(keep), 2 * (SPAWN_KEEP_MAX - 1));
    for (i = 0; i < SPAWN_KEEP_MAX - 1; i++) {
        uint64_t role = spawn_u64v_at(keep, 2 * i + 1);

        assert_int_equal(spawn_u64v_at(keep, 2 * i), i);
        assert_int_equal(role, i == 0 ? 1 : i + 2);
        assert_true(is_same_file(part_packet.fds[i], j->keep[role - 1]));
    }
    table_close_kept(j);
}

static void of_one_that_runs_and_its_template(void **state)
{
    job *j = have(1, JOB_RUNNING), *template = have(2, JOB_RUNNING);

    (void)state;
    template->flags |= JOB_IS_TEMPLATE;
    assert_non_null(template_note_make(template, "app"));
    j->template = table_index(template);
    tell_nothing();
    spawner.tell.sync = true;
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_RUNNING, 1));
    assert_true(spawn_has(&got, SPAWN_A_TEMPLATE_ID));
    assert_int_equal(got.attr[SPAWN_A_TEMPLATE_ID].data[0], 2);
    assert_true(told_of(SPAWN_M_RUNNING, 2));
    assert_int_equal(number_of(SPAWN_A_IS_TEMPLATE), 1);
    assert_int_equal(number_of(SPAWN_A_TEMPLATE_KIND), SPAWN_TEMPLATE_EXEC);
    assert_string_equal(spawn_str_or(&got, SPAWN_A_TEMPLATE, ""), "app");
    template->said = SAID_READY;
    template->flags |= JOB_FOREIGN;
    tell_nothing();
    spawner.tell.sync = true;
    spawner.tell.cursor = 2;
    expect_told(SPAWN_M_RUNNING);
    assert_int_equal(number_of(SPAWN_A_IS_TEMPLATE), 2);
    assert_int_equal(number_of(SPAWN_A_TEMPLATE_KIND), SPAWN_TEMPLATE_PARENT);
    template_forget(template);
}

static void of_what_a_template_said(void **state)
{
    static const struct {
        uint8_t said;
        unsigned code;
    } cases[] = {{SAID_READY, SPAWN_E_OK},
                 {SAID_FAILED, SPAWN_E_START_FAILED},
                 {SAID_ABSENT, SPAWN_E_UNREACHABLE}};
    job *j = have(1, JOB_RUNNING);
    unsigned i;

    (void)state;
    j->flags |= JOB_IS_TEMPLATE;
    assert_non_null(template_note_make(j, "app"));
    template_note_text(j, "first");
    template_note_text(j, "no such file");
    for (i = 0; i < 3; i++) {
        j->said = cases[i].said;
        j->pid = i ? 101 : 0;
        j->mono_us = 7000999 + i * 1000;
        table_tell(j, JOB_TELL_SAID);
        spawner.broker_is_of_our_release = i < 2;
        expect_told(SPAWN_M_TEMPLATE_SAID);
        if (i < 2)
            assert_int_equal(number_of(SPAWN_A_MONO_STARTED), 7000 + i);
        else
            assert_false(spawn_has(&got, SPAWN_A_MONO_STARTED));
        assert_int_equal(number_of(SPAWN_A_CODE), cases[i].code);
        assert_string_equal(spawn_str_or(&got, SPAWN_A_TEMPLATE, ""), "app");
        assert_string_equal(spawn_str_or(&got, SPAWN_A_TEXT, ""),
                            "no such file");
        if (i)
            assert_int_equal(number_of(SPAWN_A_PID), 101);
        else
            assert_false(spawn_has(&got, SPAWN_A_PID));
    }
    template_forget(j);
}

static void expect_word(const char *text)
{
    tell_nothing();
    spawner.tell.sync = true;
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_RUNNING, 1));
    assert_int_equal(number_of(SPAWN_A_IS_TEMPLATE), 1);
    assert_true(told_of(SPAWN_M_TEMPLATE_SAID, 1));
    assert_string_equal(spawn_str_or(&got, SPAWN_A_TEXT, ""), text);
    assert_true(told_of(SPAWN_M_EXITED, 1));
    expect_quiet(broker);
}

/* httpd says once that it has no template, or its process that it cannot be
 * loaded. */
static void of_a_template_that_failed_to_each_broker(void **state)
{
    static const uint8_t bad[] = {SAID_ABSENT, SAID_FAILED, SAID_ENDED};
    job *j = have(1, JOB_ENDED);
    unsigned i;

    (void)state;
    j->flags |= JOB_IS_TEMPLATE | JOB_FOREIGN;
    template_note_make(j, "app")->last_word = true;
    template_note_text(j, "no Perl");
    for (i = 0; i < 3; i++) {
        j->said = bad[i];
        expect_word("no Perl");
        assert_true(template_word_kept(j));
        expect_word("no Perl");
    }
    j->said = SAID_READY; /* it has lived since */
    tell_nothing();
    spawner.tell.sync = true;
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_RUNNING, 1));
    assert_true(told_of(SPAWN_M_EXITED, 1));
    expect_quiet(broker);
    template_forget(j);
}

static void of_an_orphan(void **state)
{
    job *j = have(1, JOB_ENDED);

    (void)state;
    put_times(j);
    table_tell(j, JOB_TELL_ORPHAN);
    expect_told(SPAWN_M_ORPHANED);
    assert_int_equal(number_of(SPAWN_A_PID), 101);
    assert_int_equal(number_of(SPAWN_A_BOOT_STARTED), 12);
    assert_false(spawn_has(&got, SPAWN_A_STEP));
    j->step = SPAWN_STEP_TEMPLATE; /* it was not set up */
    j->error = ESRCH;
    table_tell(j, JOB_TELL_ORPHAN);
    expect_told(SPAWN_M_ORPHANED);
    assert_int_equal(number_of(SPAWN_A_STEP), SPAWN_STEP_TEMPLATE);
    assert_int_equal(number_of(SPAWN_A_ERRNO), ESRCH);
}

/* With all of these, when it is not the first. */
static void of_an_attempt(void **state)
{
    static const struct {
        unsigned flag, type;
    } cases[] = {{JOB_TELL_STARTED, SPAWN_M_STARTED},
                 {JOB_TELL_EXITED, SPAWN_M_EXITED},
                 {JOB_TELL_ORPHAN, SPAWN_M_ORPHANED}};
    job *j = have(1, JOB_ENDED);
    unsigned i;

    (void)state;
    for (i = 0; i < 3; i++) {
        j->attempt = 0;
        table_tell(j, cases[i].flag);
        expect_told(cases[i].type);
        assert_false(spawn_has(&got, SPAWN_A_ATTEMPT));
        j->attempt = 4;
        table_tell(j, cases[i].flag);
        expect_told(cases[i].type);
        assert_int_equal(number_of(SPAWN_A_ATTEMPT), 4);
    }
    j->state = JOB_RUNNING;
    tell_running();
    assert_int_equal(number_of(SPAWN_A_ATTEMPT), 4);
}

/* All that there is to tell of one comes together, and then the next. */
static void of_several(void **state)
{
    job *j = have(1, JOB_STARTING), *other = have(2, JOB_RUNNING);

    (void)state;
    table_tell(j, JOB_TELL_PID | JOB_TELL_STARTED);
    table_tell(other, JOB_TELL_STARTED);
    table_tell(j, JOB_TELL_EXITED);
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_STARTED, 1));
    assert_true(spawn_has(&got, SPAWN_A_STATE));
    assert_true(told_of(SPAWN_M_STARTED, 1));
    assert_false(spawn_has(&got, SPAWN_A_STATE));
    assert_true(told_of(SPAWN_M_EXITED, 1));
    assert_true(told_of(SPAWN_M_STARTED, 2));
    expect_quiet(broker);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(of_a_start),
        T(of_an_end),
        T(of_a_start_and_an_end_at_once),
        T(of_one_that_runs),
        T(of_one_that_runs_and_its_template),
        T(of_what_a_template_said),
        T(of_a_template_that_failed_to_each_broker),
        T(of_an_orphan),
        T(of_an_attempt),
        T(of_several),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_tells_of_jobs", tests, NULL,
                                       NULL);
}
