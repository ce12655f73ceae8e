/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends of jobs: exits are told and kept as the spawner tells them, and starts
 * that failed say where and why.
 */
#include "t/unit/broker_jobs.h"

static void what_an_exit_says_is_told_and_kept(void **state)
{
    /* two more than are known: of a newer spawner */
    static const uint64_t usage[SPAWN_RU_ALL + 2] = {
        11, 22, 33, 44, 55, 66, 77, 88, 99, 110, 121, SPAWN_RU_UNKNOWN,
        0,  1,  2};
    const spawn_attr *a;
    spawn_writer w;
    unsigned i;

    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_FINISHED);
    begin(&w, SPAWN_M_EXITED, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, 7 << 8);
    spawn_put_u64(&w, SPAWN_A_PID, 3999999);
    spawn_put_u64(&w, SPAWN_A_STARTED_AT, 1234);
    spawn_put_u64(&w, SPAWN_A_ENDED_AT, 5678);
    spawn_put_u64(&w, SPAWN_A_ELAPSED, 4444000);
    spawn_put_u64v(&w, SPAWN_A_RUSAGE, usage, SPAWN_RU_ALL + 2);
    send_fds(&w, NULL, 0);
    expect_id(SPAWN_M_FORGET, &job);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), 7);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), 3999999);
    a = &message.attr[SPAWN_A_RUSAGE];
    assert_true(spawn_has(&message, SPAWN_A_RUSAGE));
    assert_int_equal(spawn_u64v_count(a), SPAWN_RU_ALL);
    for (i = 0; i < SPAWN_RU_ALL; i++)
        assert_int_equal(spawn_u64v_at(a, i), usage[i]);
    expect_end("1 7 -");
    expect_sql("SELECT pid || ' ' || started_at || ' ' || ended_at || ' ' ||"
               " elapsed FROM job",
               "3999999 1234 5678 4444000");
}

static void what_an_exit_does_not_say_is_not_made_up(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(0);
    expect_end("1 0 -");
    expect_sql("SELECT (pid = 4000000) || (started_at > 1600000000000) ||"
               " (ended_at >= started_at) || (elapsed IS NULL OR elapsed = -1)"
               " || ifnull(rusage, '-') || ifnull(text, '-') FROM job",
               "1111--");
}

static void a_signal_is_told_with_its_core(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(SIGSEGV | 0x80);
    expect_end("2 - 11");
    expect_sql("SELECT core FROM job", "1");
}

static void a_signal_without_a_core_too(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(SIGSEGV);
    expect_end("2 - 11");
    expect_sql("SELECT core FROM job", "0");
}

static void a_start_that_failed_says_where_and_why(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    fails_to_start(SPAWN_STEP_EXEC, ENOENT);
    fails_to_start(SPAWN_STEP_INTERPRETER, ENOENT);
    fails_to_start(SPAWN_STEP_STDOUT, ENXIO);
    fails_to_start(SPAWN_STEP_STDERR, ENXIO);
    fails_to_start(SPAWN_STEP_STDIN, ENXIO);
    fails_to_start(SPAWN_STEP_STDOUT, EACCES);
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    begin(&w, SPAWN_M_EXITED, &job); /* neither status nor step */
    send_fds(&w, NULL, 0);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT count(*) FROM job WHERE state = 4 AND outcome = 5", "7");
    expect_sql("SELECT group_concat(step || ' ' || errno, ',') FROM"
               " (SELECT * FROM job ORDER BY seq)",
               "36 2,37 2,31 6,32 6,30 6,31 13,20 0");
    expect_sql("SELECT group_concat(seq) FROM"
               " (SELECT seq FROM job WHERE text LIKE '%first line%'"
               "  ORDER BY seq)",
               "2");
    expect_sql("SELECT group_concat(seq) FROM"
               " (SELECT seq FROM job WHERE text LIKE '%FIFO%' ORDER BY seq)",
               "3,4");
    expect_sql("SELECT text FROM job WHERE seq = 1",
               "exec: No such file or directory");
    expect_sql("SELECT text FROM job WHERE seq = 6",
               "stdout: Permission denied");
}

static void an_end_that_is_told_twice_counts_once(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    broker_sleeps();
    say_exited(&job, 0, 3 << 8);
    say_exited(&job, 0, 4 << 8);
    broker_goes_on();
    expect_id(SPAWN_M_FORGET, &job);
    expect_end("1 3 -");
}

static void who_ended_before_it_ran_is_told_so(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    ends(SIGTERM);
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(SIGTERM);
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    ends(0);
    end_broker();
    expect_sql("SELECT group_concat(seq) FROM job"
               " WHERE text LIKE 'it ended before it ran%'",
               "1");
}

/* A function has no program. */
static void
a_function_that_ended_before_it_ran_has_words_of_its_own(void **state)
{
    spawn_id template;
    spawn_writer w;

    (void)state;
    reach_a_template(&template);
    begin_function(&w, &job);
    function_is_ordered(&w, &job, &template);
    ends(SIGTERM);
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    ends(SIGTERM);
    end_broker();
    expect_sql("SELECT group_concat(text LIKE '% program, %', ' ') FROM"
               " (SELECT text FROM job WHERE text LIKE"
               "  'it ended before it ran: its %' ORDER BY seq)",
               "0 1");
}

/* Its start was told by its end: it did run. */
static void an_end_that_tells_of_the_start_is_both(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_for(0, 0, SPAWN_REPLY_STARTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(message.header.seq, 1); /* at once, please */
    say_started_and_exited(&job, SIGSEGV);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), 4000000);
    expect_id(SPAWN_M_FORGET, &job);
    expect_end("2 - 11");
    expect_sql("SELECT started_at || ifnull(text, '-') FROM job", "1234-");
}

static void nobody_is_in_haste_who_does_not_wait(void **state)
{
    static const spawn_reply replies[] = {SPAWN_REPLY_ACCEPTED,
                                          SPAWN_REPLY_FINISHED};
    unsigned i;

    (void)state;
    reach_go_and_call_in();
    for (i = 0; i < 2; i++) {
        submit_for(0, 0, replies[i]);
        expect_id(SPAWN_M_LAUNCH, &job);
        assert_int_equal(message.header.seq, 0);
        say_started_and_exited(&job, 7 << 8);
        expect_id(SPAWN_M_FORGET, &job);
        if (replies[i] == SPAWN_REPLY_FINISHED)
            expect_answer(SPAWN_M_JOB);
    }
}

static void who_fails_with_nobody_waiting_leaves_a_line(void **state)
{
    (void)state;
    log_is_kept = true;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(3 << 8);
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(0);
    job_runs(0, 0, SPAWN_REPLY_FINISHED);
    ends(4 << 8);
    end_broker();
    assert_int_equal(logged("MS0682"), 1);
    assert_int_equal(logged("exited with code 3"), 1);
}

/* The numbers by which spawnctl tells the memory that jobs of a template need.
 */
static void faults_of_functions_are_counted_for_their_template(void **state)
{
    static const uint64_t usage[] = {1, 2, 3, 44}, few[] = {1, 2, 3};
    static const uint64_t never_ran[] = {1, 2, 3, 1000};
    const spawn_attr *a;
    spawn_id template;
    spawn_writer w;
    int i;

    (void)state;
    reach_a_template(&template);
    for (i = 0; i < 3; i++) {
        begin_function(&w, &job);
        function_is_ordered(&w, &job, &template);
        say_started(&job);
        begin(&w, SPAWN_M_EXITED, &job);
        spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, 0);
        spawn_put_u64v(&w, SPAWN_A_RUSAGE, i < 2 ? usage : few, i < 2 ? 4 : 3);
        send_fds(&w, NULL, 0);
        expect_id(SPAWN_M_FORGET, &job);
    }
    begin_function(&w, &job);
    function_is_ordered(&w, &job, &template);
    begin(&w, SPAWN_M_EXITED, &job);
    spawn_put_u64(&w, SPAWN_A_STEP, SPAWN_STEP_CWD);
    spawn_put_u64(&w, SPAWN_A_ERRNO, ENOENT);
    spawn_put_u64v(&w, SPAWN_A_RUSAGE, never_ran, 4);
    send_fds(&w, NULL, 0);
    expect_id(SPAWN_M_FORGET, &job);
    begin(&w, SPAWN_M_TEMPLATES, NULL);
    ask(&w);
    expect_answer(SPAWN_M_PROCESS);
    assert_true(spawn_has(&message, SPAWN_A_FAULTS));
    a = &message.attr[SPAWN_A_FAULTS];
    assert_int_equal(spawn_u64v_at(a, 0), 2);
    assert_int_equal(spawn_u64v_at(a, 1), 88);
}

static void a_template_that_ends_is_told_as_it_ended(void **state)
{
    spawn_id template;

    (void)state;
    rules = "A";
    log_is_kept = true;
    reach_go_and_call_in();
    template_starts(&template, true);
    say_exited(&template, 0, 5 << 8);
    expect_id(SPAWN_M_FORGET, &template);
    template_starts(&template, true);
    say_exited(&template, 0, SIGSEGV);
    expect_id(SPAWN_M_FORGET, &template);
    expect(SPAWN_M_LAUNCH);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &template);
    say_exited(&template, SPAWN_STEP_EXEC, ENOENT);
    expect_id(SPAWN_M_FORGET, &template);
    end_broker();
    assert_true(logged("it ended with exit code 5") > 0);
    assert_true(logged("it was killed by signal 11 (Segmentation fault)") > 0);
    assert_true(logged("it could not be started: exec: No such file") > 0);
}

/* The end that it writes to. */
static int captured_job(void)
{
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_stdio out;
    spawn_writer w;
    size_t mark;
    int pipe;

    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    spawn_attr_stdio(&message.attr[SPAWN_A_STDOUT], &out);
    assert_int_equal(out.how, SPAWN_STDIO_FD);
    pipe = packet.fds[out.fd];
    packet.fds[out.fd] = -1;
    return pipe;
}

static void what_it_wrote_last_is_captured(void **state)
{
    int pipe = captured_job();

    (void)state;
    broker_sleeps();
    say_exited(&job, 0, 0); /* this is read first */
    assert_int_equal(write(pipe, "words", 5), 5);
    broker_goes_on();
    expect_id(SPAWN_M_FORGET, &job);
    (void)close(pipe);
    end_broker();
    expect_sql("SELECT out FROM output", "words");
}

/* By a process that it left: its output is what it was at its end. */
static void what_is_written_after_its_end_is_not(void **state)
{
    int pipe = captured_job();

    (void)state;
    (void)signal(SIGPIPE, SIG_IGN); /* nobody reads there any more */
    assert_int_equal(write(pipe, "words", 5), 5);
    time_stands(); /* its end is not stored yet */
    say_exited(&job, 0, 0);
    is_there();
    (void)!write(pipe, " and more", 9);
    is_there();
    time_goes_on();
    expect_id(SPAWN_M_FORGET, &job);
    (void)close(pipe);
    (void)signal(SIGPIPE, SIG_DFL);
    end_broker();
    expect_sql("SELECT out FROM output", "words");
}

/* Not a moment later, as what nobody waits for is stored. */
static void who_waits_is_told_at_once(void **state)
{
    int64_t best = DEADLINE_MS * 1000;
    int i;

    (void)state;
    reach_go_and_call_in();
    for (i = 0; i < 40 && best > 10000; i++) {
        int64_t before;

        job_runs(0, 0, SPAWN_REPLY_FINISHED);
        before = spawn_mono_us();
        say_exited(&job, 0, 0);
        expect_answer(SPAWN_M_JOB);
        expect_id(SPAWN_M_FORGET, &job);
        if (spawn_mono_us() - before < best)
            best = spawn_mono_us() - before;
    }
    assert_in_range(best, 0, 10000);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(what_an_exit_says_is_told_and_kept),
        ALONE(what_an_exit_does_not_say_is_not_made_up),
        ALONE(a_signal_is_told_with_its_core),
        ALONE(a_signal_without_a_core_too),
        ALONE(a_start_that_failed_says_where_and_why),
        ALONE(an_end_that_is_told_twice_counts_once),
        ALONE(who_ended_before_it_ran_is_told_so),
        ALONE(a_function_that_ended_before_it_ran_has_words_of_its_own),
        ALONE(an_end_that_tells_of_the_start_is_both),
        ALONE(nobody_is_in_haste_who_does_not_wait),
        ALONE(who_fails_with_nobody_waiting_leaves_a_line),
        ALONE(faults_of_functions_are_counted_for_their_template),
        ALONE(a_template_that_ends_is_told_as_it_ended),
        ALONE(what_it_wrote_last_is_captured),
        STEPPED(what_is_written_after_its_end_is_not),
        ALONE(who_waits_is_told_at_once)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("exits", tests, NULL, NULL);
}
