/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnAllow in the broker: what a queue does not run is refused when it is
 * submitted, and when it is to start; the error says which queue, which rule
 * and who asked, and so does the log. Nothing of it is ordered.
 */
#include "t/unit/broker_jobs.h"

#include "common/spawn_rule.h"

static const char *list; /* of queue default, words between blanks; or NULL */

/* Attributes of the request. */
static const char *cwd, *context, *env;

static void put_words(spawn_writer *w, uint16_t attr, const char *words)
{
    size_t mark = spawn_open_strv(w, attr);

    while (*words) {
        size_t length = strcspn(words, " ");

        spawn_add_text(w, mark, words, length);
        words += length + (words[length] == ' ');
    }
    spawn_close(w, mark);
}

static void put_rules(spawn_writer *w)
{
    size_t mark;

    if (!list)
        return;
    mark = spawn_open_nest(w, SPAWN_A_QUEUE_ALLOW);
    spawn_put_str(w, SPAWN_A_QUEUE, "default");
    if (*list)
        put_words(w, SPAWN_A_ALLOW, list);
    spawn_close(w, mark);
}

static int set_up_each(void **state)
{
    int rv = set_up(state);

    list = cwd = context = env = NULL;
    log_is_kept = true;
    more_rules = put_rules;
    return rv;
}

static void configure_again(const char *words)
{
    list = words;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
}

static void begin_program(spawn_writer *w, const char *program)
{
    assert_int_equal(spawn_id_make(&job), 0);
    begin_submit(w, &job, program);
    if (cwd)
        spawn_put_str(w, SPAWN_A_CWD, cwd);
    if (context)
        put_words(w, SPAWN_A_CONTEXT, context);
    if (env)
        put_words(w, SPAWN_A_ENV, env);
}

static void accepted(const char *program)
{
    spawn_writer w;

    begin_program(&w, program);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_QUEUE, ""), "default");
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
}

static void expect_not_allowed(const char *text)
{
    assert_string_equal(spawn_message_name(message.header.type), "refused");
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""), text);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_CODE, 0),
                     SPAWN_E_NOT_PERMITTED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STEP, 0), SPAWN_STEP_ALLOW);
}

static void known_to_the_kernel(const char *path)
{
    struct stat unused;

    (void)stat(path, &unused);
}

/* The broker waits for no file system: until the kernel can say at once where a
 * program lies, it leaves that to the job's process. */
static void ask_for(const char *program)
{
    static const char *const places[] = {"", "/usr/local/bin/", "/usr/bin/",
                                         "/bin/"};
    char path[200];
    spawn_writer w;
    size_t i;
    int tries;

    for (tries = 0; tries < 100; tries++) {
        for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            (void)snprintf(path, sizeof(path), "%s%s", places[i], program);
            known_to_the_kernel(path);
        }
        begin_program(&w, program);
        ask(&w);
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
        if (message.header.type == SPAWN_M_REFUSED)
            return;
        expect_id(SPAWN_M_LAUNCH, &job);
        say_exited(&job, SPAWN_STEP_ALLOW, EPERM);
        expect_id(SPAWN_M_FORGET, &job);
    }
}

static const char *by_us(const char *what)
{
    static char text[400];

    (void)snprintf(text, sizeof(text), "%s; asked for by uid %ld", what,
                   (long)getuid());
    return text;
}

static void a_program_that_is_not_listed_is_refused(void **state)
{
    (void)state;
    list = "/usr/bin/true !/usr/bin/id";
    reach_go_and_call_in();
    accepted("/usr/bin/true");
    ask_for("/usr/bin/false");
    expect_not_allowed(by_us("queue 'default' does not run '/usr/bin/false'; "
                             "SpawnAllow: /usr/bin/true !/usr/bin/id"));
    wait_until_logged("MS0514: job ", 1);
    ask_for("/usr/bin/id");
    expect_not_allowed(by_us("queue 'default' does not run '/usr/bin/id'; "
                             "SpawnAllow: !/usr/bin/id"));
    accepted("/usr/bin/true");
    configure_again("");
    accepted("/usr/bin/false");
    configure_again(NULL);
    accepted("/usr/bin/false");
}

/* Not there, it is told as in any queue; its process looks again. */
static void what_is_not_there_is_left_to_its_process(void **state)
{
    (void)state;
    list = "/usr/bin/true";
    reach_go_and_call_in();
    accepted("/usr/bin/no-such-program-here");
    accepted("no-such-program-here");
}

static void a_name_is_looked_up(void **state)
{
    (void)state;
    list = "/usr/bin/true";
    reach_go_and_call_in();
    accepted("true");
    ask_for("false");
    expect_not_allowed(
        by_us("queue 'default' does not run 'false'; SpawnAllow: "
              "/usr/bin/true"));
    cwd = "/usr";
    ask_for("bin/false");
    expect_not_allowed(by_us("queue 'default' does not run 'bin/false'; "
                             "SpawnAllow: /usr/bin/true"));
}

static void who_asked_is_told(void **state)
{
    (void)state;
    list = "/usr/bin/true";
    reach_go_and_call_in();
    context = "vhost=www.example.org request_id=abc client=192.0.2.7";
    ask_for("/usr/bin/false");
    expect_not_allowed(
        "queue 'default' does not run '/usr/bin/false'; SpawnAllow: "
        "/usr/bin/true; asked for by virtual host www.example.org, "
        "request abc, client 192.0.2.7");
    wait_until_logged("(request abc) is refused: queue 'default' does not run "
                      "'/usr/bin/false'; SpawnAllow: /usr/bin/true; asked for "
                      "by virtual host www.example.org, request abc, client "
                      "192.0.2.7",
                      1);
}

static void a_variable_that_brings_code_is_refused(void **state)
{
    spawn_writer w;

    (void)state;
    list = "/usr/bin/true";
    reach_go_and_call_in();
    env = "A=1 LD_PRELOAD=/tmp/x.so";
    begin_program(&w, "/usr/bin/true");
    ask(&w);
    expect_answer(SPAWN_M_REFUSED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_CODE, 0),
                     SPAWN_E_NOT_PERMITTED);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                           "its jobs may not set LD_PRELOAD: "));
    env = "A=1";
    accepted("/usr/bin/true");
}

static void a_function_is_refused(void **state)
{
    spawn_id template;
    spawn_writer w;

    (void)state;
    list = "My::App::*";
    reach_a_template(&template);
    begin_function(&w, &job);
    ask(&w);
    expect_answer(SPAWN_M_REFUSED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STEP, 0), SPAWN_STEP_ALLOW);
    configure_again("My::*");
    begin_function(&w, &job);
    function_is_ordered(&w, &job, &template);
}

/* The rules came after it. It has not run, and its record says why. */
/* No file has to be looked at for it, nor be there. */
static void where_no_program_runs_all_are_refused(void **state)
{
    spawn_writer w;

    (void)state;
    list = "My::*";
    reach_go_and_call_in();
    begin_program(&w, "/nowhere/program");
    ask(&w);
    expect_answer(SPAWN_M_REFUSED);
    expect_not_allowed(by_us("queue 'default' does not run "
                             "'/nowhere/program'; SpawnAllow: My::*"));
}

static void a_job_that_waits_is_looked_at_when_it_starts(void **state)
{
    spawn_id first;
    spawn_writer w;

    (void)state;
    queue_jobs = 1;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    first = job;
    begin_program(&w, "/usr/bin/true");
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    configure_again("/usr/bin/id");
    known_to_the_kernel("/usr/bin/true");
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    wait_until_logged(
        "could not be started: queue 'default' does not run "
        "'/usr/bin/true'; SpawnAllow: /usr/bin/id; asked for by uid",
        1);
    accepted("/usr/bin/id"); /* nothing was ordered before it */
    end_broker();
    assert_int_equal(logged("MS0514"), 0); /* one line is enough */
    expect_sql("SELECT outcome || ' ' || step FROM job "
               "WHERE step > 0",
               "5 38");
}

/* The line of its end is for others: who waits has the end, and the log says
 * who asked. */
static void who_waits_for_it_is_told_and_the_log_too(void **state)
{
    spawn_id first;
    spawn_writer w;

    (void)state;
    queue_jobs = 1;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    first = job;
    begin_program(&w, "/usr/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    has_heard();
    configure_again("/usr/bin/id");
    known_to_the_kernel("/usr/bin/true");
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 99),
                     SPAWN_OUTCOME_START_FAILED);
    wait_until_logged("is refused: queue 'default' does not run "
                      "'/usr/bin/true'; SpawnAllow: /usr/bin/id; asked for by "
                      "uid",
                      1);
}

/* An attempt that follows is a start, too. */
static void so_is_each_attempt(void **state)
{
    static const uint64_t soon[] = {SPAWN_BACKOFF_FIXED, 1};
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    begin_program(&w, "/usr/bin/true");
    spawn_put_i64(&w, SPAWN_A_RETRY, 1);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, soon, 2);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    configure_again("/usr/bin/id");
    known_to_the_kernel("/usr/bin/true");
    say_exited(&job, 0, 1 << 8);
    expect_id(SPAWN_M_FORGET, &job);
    wait_until_logged("could not be started: queue 'default' does not run "
                      "'/usr/bin/true'",
                      1);
    accepted("/usr/bin/id"); /* nothing was ordered before it */
}

/* The refusal of its process is told with queue, rule and caller. */
static void what_its_process_refuses_is_told(void **state)
{
    spawn_writer w;

    (void)state;
    list = "/usr/bin/** !/usr/bin/true?";
    reach_go_and_call_in();
    begin_program(&w, "/usr/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_exited(&job, SPAWN_STEP_ALLOW, EPERM);
    expect_answer(SPAWN_M_JOB);
    assert_string_equal(
        spawn_str_or(&message, SPAWN_A_TEXT, ""),
        by_us("allow: Operation not permitted: queue 'default' does not run "
              "the file that '/usr/bin/true' leads to; SpawnAllow: "
              "/usr/bin/** !/usr/bin/true?"));
    wait_until_logged("is refused: queue 'default' does not run the file that "
                      "'/usr/bin/true' leads to; SpawnAllow: /usr/bin/** "
                      "!/usr/bin/true?; asked for by",
                      1);
}

/* Its queue has a list no more by the time that is told. */
static void a_list_that_has_gone_is_not_told(void **state)
{
    spawn_writer w;

    (void)state;
    list = "/usr/bin/**";
    reach_go_and_call_in();
    begin_program(&w, "/usr/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_id(SPAWN_M_LAUNCH, &job);
    configure_again(NULL);
    say_exited(&job, SPAWN_STEP_ALLOW, EPERM);
    expect_answer(SPAWN_M_JOB);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                           "leads to; SpawnAllow: all, by now; asked for by "));
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up_each, tear_down)
    const struct CMUnitTest tests[] = {
        ALONE(a_program_that_is_not_listed_is_refused),
        ALONE(what_is_not_there_is_left_to_its_process),
        ALONE(a_name_is_looked_up),
        ALONE(who_asked_is_told),
        ALONE(a_variable_that_brings_code_is_refused),
        ALONE(a_function_is_refused),
        ALONE(where_no_program_runs_all_are_refused),
        ALONE(a_job_that_waits_is_looked_at_when_it_starts),
        ALONE(who_waits_for_it_is_told_and_the_log_too),
        ALONE(so_is_each_attempt),
        ALONE(what_its_process_refuses_is_told),
        ALONE(a_list_that_has_gone_is_not_told)};

    find_broker();
    return cmocka_run_group_tests_name("what queues allow", tests, NULL, NULL);
}
