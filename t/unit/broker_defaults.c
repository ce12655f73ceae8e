/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings that a queue gives to its jobs, in the orders of programs and
 * workers: a job's own setting counts, of limits the lower one, of variables
 * the last one. A queue without rules gives nothing.
 */
#include "t/unit/broker_jobs.h"

#include <sys/resource.h>

#include "common/spawn_field.h"

#define MEMORY 2
#define CPU    1
#define FILES  3
#define WEIGHT 10

static unsigned
    what; /* which rules CONFIGURE has: 2, with much of the CPU; 3,
             with what this release does not know; 4, with a share */

static void put_texts(spawn_writer *w, uint16_t attr, const char *const *texts)
{
    size_t mark = spawn_open_strv(w, attr);

    for (; *texts; texts++)
        spawn_add_text(w, mark, *texts, strlen(*texts));
    spawn_close(w, mark);
}

static void put_rules(spawn_writer *w)
{
    static const char *const env[] = {"A=queue", "B=queue", "LANG", NULL};
    static const char *const of_templates[] = {"T=template", NULL};
    const uint64_t limits[] = {
        CPU,  what == 2 ? 601 : 30,    MEMORY,
        1000, what == 4 ? WEIGHT : 15, what == 4 ? 300 : 5};
    const spawn_stdio out = {SPAWN_STDIO_PATH, SPAWN_STDIO_APPEND, 0, "/o"};
    size_t mark;

    if (!what)
        return;
    mark = spawn_open_nest(w, SPAWN_A_QUEUE_DEFAULTS);
    spawn_put_str(w, SPAWN_A_QUEUE, "default");
    spawn_put_str(w, SPAWN_A_CWD, "/usr");
    spawn_put_i64(w, SPAWN_A_NICE, 7);
    spawn_put_u64(w, SPAWN_A_IONICE, 3 << 8);
    spawn_put_u64(w, SPAWN_A_LEFTOVERS, SPAWN_LEFTOVERS_KILL);
    spawn_put_u64(w, SPAWN_A_GRACE, 1);
    spawn_put_stdio(w, SPAWN_A_STDOUT, &out);
    spawn_put_stdio(w, SPAWN_A_STDERR, &out);
    spawn_put_u64v(w, SPAWN_A_LIMITS, limits, what >= 3 ? 6 : 4);
    put_texts(w, SPAWN_A_ENV, env);
    if (what == 3)
        spawn_put_u64(w, SPAWN_A_COUNT + 7, 1);
    spawn_close(w, mark);
    mark = spawn_open_nest(w, SPAWN_A_QUEUE_DEFAULTS);
    put_texts(w, SPAWN_A_ENV, of_templates);
    spawn_close(w, mark);
}

static void begin_with(unsigned rules_told)
{
    what = rules_told;
    more_rules = put_rules;
    reach_go_and_call_in();
}

static void begin_job(spawn_writer *w)
{
    assert_int_equal(spawn_id_make(&job), 0);
    begin_submit(w, &job, "/bin/true");
}

/* Its order comes. */
static void its_order_comes(spawn_writer *w)
{
    ask(w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
}

static const char *variable(const char *name)
{
    const spawn_attr *a = &message.attr[SPAWN_A_ENV];
    const char *text = NULL;
    size_t length = strlen(name);
    uint32_t i;

    for (i = 0; i < spawn_strv_count(a); i++) {
        text = spawn_strv_next(a, text);
        if (strncmp(text, name, length) == 0 && text[length] == '=')
            return text + length + 1;
    }
    return "none";
}

static const char *path_of(unsigned attr)
{
    static spawn_stdio s;

    spawn_attr_stdio(&message.attr[attr], &s);
    return s.how != SPAWN_STDIO_PATH       ? "no path"
           : s.flags != SPAWN_STDIO_APPEND ? "not appended"
                                           : s.path;
}

static uint64_t limit(uint64_t number)
{
    const spawn_attr *a = &message.attr[SPAWN_A_LIMITS];
    uint64_t found = 0, times = 0;
    uint32_t i;

    if (!spawn_has(&message, SPAWN_A_LIMITS))
        return 0;
    for (i = 0; i < spawn_u64v_count(a); i += 2) {
        if (spawn_u64v_at(a, i) != number)
            continue;
        found = spawn_u64v_at(a, i + 1);
        times++;
    }
    assert_true(times <= 1);
    return found;
}

/* A graceful restart. */
static void configure_again(void)
{
    say_configure();
    expect(SPAWN_M_BROKER_READY);
}

/* ---- what is promised ---- */

static void a_job_that_says_nothing_has_what_its_queue_gives(void **state)
{
    spawn_writer w;

    (void)state;
    begin_with(1);
    begin_job(&w);
    its_order_comes(&w);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_CWD, ""), "/usr");
    assert_int_equal(spawn_attr_i64(&message.attr[SPAWN_A_NICE]), 7);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_IONICE, 0), 3 << 8);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_LEFTOVERS, 0),
                     SPAWN_LEFTOVERS_KILL);
    assert_string_equal(path_of(SPAWN_A_STDOUT), "/o");
    assert_string_equal(path_of(SPAWN_A_STDERR), "/o");
    assert_string_equal(variable("A"), "queue");
    assert_string_equal(variable("LANG"), "none");
    assert_string_equal(variable("T"), "none");
    assert_string_not_equal(variable("PATH"), "none");
    assert_int_equal(limit(CPU), 30);
    assert_int_equal(limit(MEMORY), 1000);
    assert_int_equal(limit(FILES), 0);
}

static void what_it_says_itself_counts(void **state)
{
    static const char *const env[] = {"A=job", "B", "C=job", NULL};
    static const uint64_t limits[] = {MEMORY, 999, FILES, 5};
    const spawn_stdio null = {SPAWN_STDIO_NULL, 0, 0, ""};
    spawn_writer w;

    (void)state;
    begin_with(1);
    begin_job(&w);
    spawn_put_str(&w, SPAWN_A_CWD, "/");
    spawn_put_i64(&w, SPAWN_A_NICE, 0);
    spawn_put_u64(&w, SPAWN_A_IONICE, 2 << 8);
    spawn_put_u64(&w, SPAWN_A_LEFTOVERS, SPAWN_LEFTOVERS_KEEP);
    spawn_put_stdio(&w, SPAWN_A_STDERR, &null);
    spawn_put_u64v(&w, SPAWN_A_LIMITS, limits, 4);
    put_texts(&w, SPAWN_A_ENV, env);
    its_order_comes(&w);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_CWD, ""), "/");
    assert_int_equal(spawn_attr_i64(&message.attr[SPAWN_A_NICE]), 0);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_IONICE, 0), 2 << 8);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_LEFTOVERS, 9),
                     SPAWN_LEFTOVERS_KEEP);
    assert_string_equal(path_of(SPAWN_A_STDOUT), "/o");
    assert_string_equal(path_of(SPAWN_A_STDERR), "no path");
    assert_string_equal(variable("A"), "job");
    assert_string_equal(variable("B"), "none");
    assert_string_equal(variable("C"), "job");
    assert_int_equal(limit(CPU), 30);
    assert_int_equal(limit(MEMORY), 999);
    assert_int_equal(limit(FILES), 5);
}

static void a_queue_without_rules_gives_nothing(void **state)
{
    spawn_writer w;

    (void)state;
    begin_with(0);
    begin_job(&w);
    its_order_comes(&w);
    assert_false(spawn_has(&message, SPAWN_A_CWD));
    assert_false(spawn_has(&message, SPAWN_A_NICE));
    assert_false(spawn_has(&message, SPAWN_A_LIMITS));
    assert_string_not_equal(variable("LANG"), "none");
}

static void rules_can_come_and_go(void **state)
{
    spawn_writer w;

    (void)state;
    begin_with(1);
    what = 0;
    configure_again();
    begin_job(&w);
    its_order_comes(&w);
    assert_false(spawn_has(&message, SPAWN_A_CWD));
    what = 1;
    configure_again();
    begin_job(&w);
    its_order_comes(&w);
    assert_true(spawn_has(&message, SPAWN_A_CWD));
}

static void who_asks_for_more_is_refused(void **state)
{
    static const uint64_t more[] = {CPU, 30, MEMORY, 1001};
    static const uint64_t without[] = {CPU, SPAWN_LIMIT_UNLIMITED};
    spawn_writer w;

    (void)state;
    begin_with(1);
    begin_job(&w);
    spawn_put_u64v(&w, SPAWN_A_LIMITS, more, 4);
    ask(&w);
    expect_answer(SPAWN_M_REFUSED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_CODE, 0),
                     SPAWN_E_NOT_PERMITTED);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                        "limits: memory=1001 is more than queue 'default' lets "
                        "a job have: memory=1000 (SpawnLimit)");
    begin_job(&w);
    spawn_put_u64v(&w, SPAWN_A_LIMITS, without, 2);
    ask(&w);
    expect_answer(SPAWN_M_REFUSED);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                        "limits: cpu=unlimited is more than queue 'default' "
                        "lets a job have: cpu=30 (SpawnLimit)");
}

static void asks_for_a_share(uint64_t share)
{
    const uint64_t limits[] = {WEIGHT, share};
    spawn_writer w;

    begin_job(&w);
    spawn_put_u64v(&w, SPAWN_A_LIMITS, limits, 2);
    ask(&w);
}

static void has_a_share(uint64_t share)
{
    asks_for_a_share(share);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(limit(WEIGHT), share);
}

static void is_too_much(uint64_t share, const char *text)
{
    asks_for_a_share(share);
    expect_answer(SPAWN_M_REFUSED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_CODE, 0),
                     SPAWN_E_NOT_PERMITTED);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""), text);
}

/* With rules, and without. */
static void a_greater_share_than_each_has_is_the_queues_to_allow(void **state)
{
    static const char text[] =
        "limits: tree-weight=101 is more than queue 'default' lets a job have: "
        "tree-weight=100 (SpawnLimit)";
    spawn_writer w;

    (void)state;
    begin_with(0);
    is_too_much(101, text);
    has_a_share(100);
    has_a_share(SPAWN_LIMIT_UNLIMITED); /* as if it had not asked */
    what = 1;
    configure_again();
    is_too_much(101, text);
    has_a_share(1);
    begin_job(&w);
    its_order_comes(&w);
    assert_int_equal(limit(WEIGHT), 0);
    what = 4;
    configure_again();
    has_a_share(300);
    is_too_much(301, "limits: tree-weight=301 is more than queue 'default' "
                     "lets a job have: tree-weight=300 (SpawnLimit)");
    begin_job(&w);
    its_order_comes(&w);
    assert_int_equal(limit(WEIGHT), 300);
}

/* Its order has what the queue let it have, which has no such rule now. */
static void
one_that_was_accepted_with_a_share_has_no_more_than_others(void **state)
{
    spawn_id first;

    (void)state;
    queue_jobs = 1;
    begin_with(4);
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    first = job;
    asks_for_a_share(200);
    expect_answer(SPAWN_M_ACCEPTED);
    what = 1;
    configure_again();
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(limit(WEIGHT), 100);
    wait_until_logged("MS0512", 1);
}

/* As below a spawner that was started with less than httpd. */
static void what_the_spawner_does_not_have_it_cannot_give(void **state)
{
    const struct rlimit little = {600, 600};
    struct rlimit own;
    spawn_writer w;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_CPU, &own), 0);
    what = 2;
    more_rules = put_rules;
    make_store();
    assert_int_equal(setrlimit(RLIMIT_CPU, &little), 0);
    reach_go_and_call_in();
    begin_job(&w);
    its_order_comes(&w);
    assert_int_equal(limit(CPU), 600);
    assert_int_equal(limit(MEMORY), 1000);
    if (setrlimit(RLIMIT_CPU, &own) < 0) /* only root can */
        (void)puts("# the limit of 600 s stays");
}

/* The rules came after it, and its order had less. */
static void one_that_was_accepted_starts_with_the_lower_limit(void **state)
{
    static const uint64_t more[] = {MEMORY, 5000};
    spawn_id first;
    spawn_writer w;

    (void)state;
    queue_jobs = 1;
    begin_with(0);
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    first = job;
    begin_job(&w);
    spawn_put_u64v(&w, SPAWN_A_LIMITS, more, 2);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    what = 1;
    configure_again();
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(limit(MEMORY), 1000);
    wait_until_logged("MS0512", 1);
}

static void grace_is_the_queues(void **state)
{
    (void)state;
    begin_with(1); /* 1 ms */
    job_runs(20, 0, SPAWN_REPLY_ACCEPTED);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    ends(9);
}

/* cpu would count all its calls together. */
static void a_worker_has_what_its_queue_gives(void **state)
{
    spawn_id template;

    (void)state;
    what = 1;
    more_rules = put_rules;
    reach_workers(1, 1, &template);
    expect(SPAWN_M_LAUNCH);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_IS_WORKER, 0), 1);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_CWD, ""), "/usr");
    assert_int_equal(spawn_attr_i64(&message.attr[SPAWN_A_NICE]), 7);
    assert_string_equal(path_of(SPAWN_A_STDOUT), "/o");
    assert_string_equal(path_of(SPAWN_A_STDERR), "/o");
    assert_string_equal(variable("A"), "queue");
    assert_string_equal(variable("T"), "none");
    assert_int_equal(limit(MEMORY), 1000);
    assert_int_equal(limit(CPU), 0);
}

/* So that a warning is seen, whoever has submitted it. */
static void a_function_writes_its_errors_to_the_log(void **state)
{
    spawn_id template;
    spawn_writer w;

    (void)state;
    reach_a_template(&template);
    begin_function(&w, &job);
    function_is_ordered(&w, &job, &template);
    (void)place_of(SPAWN_KEEP_ERR_PIPE);
}

static void a_template_has_what_stands_outside(void **state)
{
    (void)state;
    what = 1;
    more_rules = put_rules;
    rules = "A";
    reach_go_and_call_in();
    expect(SPAWN_M_LAUNCH);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_IS_TEMPLATE, 0), 1);
    assert_string_equal(variable("T"), "template");
    assert_string_equal(variable("A"), "none");
    assert_false(spawn_has(&message, SPAWN_A_CWD));
    assert_false(spawn_has(&message, SPAWN_A_LIMITS));
}

static int set_up_each(void **state)
{
    int rv = set_up(state);

    log_is_kept = true;
    what = 0;
    return rv;
}

/* Of a newer httpd's module, when the pair could not be upgraded. */
static void what_is_not_known_is_passed_over_alone(void **state)
{
    spawn_writer w;

    (void)state;
    log_is_kept = true;
    begin_with(3);
    begin_job(&w);
    its_order_comes(&w);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_CWD, ""), "/usr");
    assert_int_equal(spawn_attr_i64(&message.attr[SPAWN_A_NICE]), 7);
    assert_int_equal(limit(MEMORY), 1000);
    assert_int_equal(limit(15), 0);
    assert_int_equal(logged("MS0509: attribute"), 1);
    assert_int_equal(logged("MS0508"), 0);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up_each, tear_down)
    const struct CMUnitTest tests[] = {
        ALONE(a_job_that_says_nothing_has_what_its_queue_gives),
        ALONE(what_it_says_itself_counts),
        ALONE(a_queue_without_rules_gives_nothing),
        ALONE(rules_can_come_and_go),
        ALONE(who_asks_for_more_is_refused),
        ALONE(a_greater_share_than_each_has_is_the_queues_to_allow),
        ALONE(one_that_was_accepted_with_a_share_has_no_more_than_others),
        ALONE(what_the_spawner_does_not_have_it_cannot_give),
        ALONE(one_that_was_accepted_starts_with_the_lower_limit),
        ALONE(grace_is_the_queues),
        ALONE(a_worker_has_what_its_queue_gives),
        ALONE(a_function_writes_its_errors_to_the_log),
        ALONE(a_template_has_what_stands_outside),
        ALONE(what_is_not_known_is_passed_over_alone)};

    find_broker();
    return cmocka_run_group_tests_name("what queues give to jobs", tests, NULL,
                                       NULL);
}
