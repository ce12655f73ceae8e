/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Submits that are taken, and those that are refused. The protocol of
 * broker_caller.h.
 */
#include <sched.h>

#include "t/unit/broker_caller.h"
#include "t/unit/corner.h"

static spawn_id job; /* of the test */

/* ---- submits ---- */

static void submit(const spawn_id *id, spawn_reply reply)
{
    spawn_writer w;

    begin_submit(&w, id, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
}

static void submit_with(uint16_t attr, const char *value)
{
    spawn_writer w;

    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_str(&w, attr, value);
    ask(&w);
}

static void submit_function(const char *template, int retry, spawn_reply reply)
{
    spawn_writer w;

    begin_function(&w, &job);
    if (template)
        spawn_put_str(&w, SPAWN_A_TEMPLATE, template);
    if (retry)
        spawn_put_i64(&w, SPAWN_A_RETRY, retry);
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
}

static void expect_text(const char *text)
{
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""), text);
}

/* It answers, and nothing that was asked before. */
static void nothing_is_told(void)
{
    spawn_writer w;
    spawn_id nobody;

    (void)spawn_id_make(&nobody);
    begin(&w, SPAWN_M_GET, &nobody);
    ask(&w);
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
}

/* ---- what is refused ---- */

static void a_full_queue_refuses(void **state)
{
    spawn_id ids[3];
    int i;

    (void)state;
    queue_jobs = queue_waits = 1;
    reach_go_and_call_in();
    for (i = 0; i < 3; i++) {
        (void)spawn_id_make(&ids[i]);
        submit(&ids[i], SPAWN_REPLY_ACCEPTED);
        if (i < 2)
            expect_answer(SPAWN_M_ACCEPTED);
    }
    expect_refusal(SPAWN_E_QUEUE_FULL);
    expect_text("queue 'default' is full: 1 jobs run and 1 wait");
    expect_id(SPAWN_M_LAUNCH, &ids[0]);
    say_started(&ids[0]);
    say_exited(&ids[0], 0, 0);
    expect_id(SPAWN_M_LAUNCH, &ids[1]);
    expect_id(SPAWN_M_FORGET, &ids[0]);
    submit(&ids[2], SPAWN_REPLY_ACCEPTED); /* it was not known */
    expect_answer(SPAWN_M_ACCEPTED);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "3");
}

static void an_unknown_queue_names_those_there_are(void **state)
{
    static const char *const more[] = {"b", "c", NULL};

    (void)state;
    more_queues = more;
    reach_go_and_call_in();
    submit_with(SPAWN_A_QUEUE, "nowhere");
    expect_refusal(SPAWN_E_UNKNOWN_QUEUE);
    expect_text("queue 'nowhere' is not configured; configured: default, b, c");
    submit_with(SPAWN_A_QUEUE, "b");
    expect_answer(SPAWN_M_ACCEPTED);
}

/* It still has a job, but takes no more. */
static void a_queue_that_has_gone_is_not_named(void **state)
{
    static const char *const more[] = {"b", NULL};

    (void)state;
    more_queues = more;
    start_broker();
    expect_ready();
    call_in();
    submit_with(SPAWN_A_QUEUE, "b");
    expect_answer(SPAWN_M_ACCEPTED);
    more_queues = NULL;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    (void)close(caller);
    call_in();
    submit_with(SPAWN_A_QUEUE, "b");
    expect_refusal(SPAWN_E_UNKNOWN_QUEUE);
    expect_text("queue 'b' is not configured; configured: default");
}

static void names_of_queues_are_cut_where_there_is_no_room(void **state)
{
    static const char *const more[] = {
        "last", "a12345678901234567890123456789012345678901234567890123456789",
        "b12345678901234567890123456789012345678901234567890123456789",
        "c12345678901234567890123456789012345678901234567890123456789", NULL};

    (void)state;
    more_queues = more;
    reach_go_and_call_in();
    submit_with(SPAWN_A_QUEUE, "nowhere");
    expect_refusal(SPAWN_E_UNKNOWN_QUEUE);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), ", ..."));
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "b1234"));
    assert_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "c1234"));
}

static void only_the_account_that_jobs_have_can_be_asked_for(void **state)
{
    static const uint16_t attrs[] = {SPAWN_A_USER, SPAWN_A_GROUP};
    char own[24];
    int i;

    (void)state;
    job_names = true;
    reach_go_and_call_in();
    for (i = 0; i < 2; i++) {
        submit_with(attrs[i], i ? "theirs" : "they");
        expect_answer(SPAWN_M_ACCEPTED);
        (void)snprintf(own, sizeof(own), "%d", (int)(i ? getgid() : getuid()));
        submit_with(attrs[i], own);
        expect_answer(SPAWN_M_ACCEPTED);
        submit_with(attrs[i], i ? "they" : "theirs");
        expect_refusal(SPAWN_E_NOT_PERMITTED);
        submit_with(attrs[i], "60001");
        expect_refusal(SPAWN_E_NOT_PERMITTED);
    }
}

static void an_unknown_template_names_those_there_are(void **state)
{
    (void)state;
    rules = "A";
    reach_go_and_call_in();
    submit_function("nothing", 0, SPAWN_REPLY_ACCEPTED);
    expect_refusal(SPAWN_E_INVALID);
    expect_text("template 'nothing' is not configured; configured: app");
    submit_function("app", 0, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    submit_function(NULL, 0, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
}

static void
without_templates_functions_are_refused_and_programs_run(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_function(NULL, 0, SPAWN_REPLY_ACCEPTED);
    expect_refusal(SPAWN_E_INVALID);
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
}

static void retries_are_for_all(void **state)
{
    (void)state;
    rules = "A";
    for (workers_max = 0; workers_max < 2; workers_max++) {
        reach_go_and_call_in();
        submit_function(NULL, 2, SPAWN_REPLY_ACCEPTED);
        expect_answer(SPAWN_M_ACCEPTED);
        submit_function("app", 2, SPAWN_REPLY_ACCEPTED);
        expect_answer(SPAWN_M_ACCEPTED);
        end_broker();
        (void)close(caller);
        caller = -1;
    }
}

static void an_id_of_the_future_is_refused(void **state)
{
    static const int seconds[] = {50, 70};
    uint64_t time;
    int i, k;

    (void)state;
    reach_go_and_call_in();
    for (i = 0; i < 2; i++) {
        (void)spawn_id_make(&job);
        time = (uint64_t)(spawn_wall_ms() + seconds[i] * 1000);
        for (k = 0; k < 6; k++)
            job.bytes[k] = (uint8_t)(time >> (8 * (5 - k)));
        submit(&job, SPAWN_REPLY_ACCEPTED);
        if (i == 0)
            expect_answer(SPAWN_M_ACCEPTED);
    }
    expect_refusal(SPAWN_E_TOO_OLD);
}

/* A call that a worker waits for in its own queue waits for that worker. */
static void a_worker_does_not_wait_for_itself(void **state)
{
    static const char *const more[] = {"b", NULL};
    spawn_id template, worker;
    spawn_writer w;

    (void)state;
    rules = "A";
    workers_min = workers_max = 1;
    more_queues = more;
    reach_go_and_call_in();
    template_starts(&template, true);
    expect(SPAWN_M_LAUNCH);
    assert_true(spawn_has(&message, SPAWN_A_IS_WORKER));
    spawn_attr_id(&message.attr[SPAWN_A_ID], &worker);
    submit_function(NULL, 0, SPAWN_REPLY_FINISHED); /* it is somebody else's */
    nothing_is_told();
    begin(&w, SPAWN_M_STARTED, &worker);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)getpid());
    send_fds(&w, NULL, 0);
    has_heard();
    submit_function(NULL, 0, SPAWN_REPLY_FINISHED);
    expect_refusal(SPAWN_E_INVALID);
    submit_function(NULL, 0, SPAWN_REPLY_STARTED);
    expect_refusal(SPAWN_E_INVALID);
    submit_function(NULL, 0, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_STARTED); /* a program */
    nothing_is_told();
    begin_function(&w, &job);
    spawn_put_str(&w, SPAWN_A_QUEUE, "b");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    nothing_is_told();
}

/* The kernel names no process there, and a worker that is being started has
 * none: they are not the same. */
static void a_caller_of_another_namespace_is_no_worker(void **state)
{
    int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

    (void)state;
    LEAVE_OUT_IF(own < 0 || unshare(CLONE_NEWPID) < 0,
                 "only root makes a namespace of processes");
    rules = "A";
    workers_min = workers_max = 1;
    start_broker(); /* it is process 1 there */
    assert_int_equal(setns(own, CLONE_NEWPID), 0);
    (void)close(own);
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    template_starts(&job, true);
    expect(SPAWN_M_LAUNCH);
    assert_true(spawn_has(&message, SPAWN_A_IS_WORKER));
    submit_function(NULL, 0, SPAWN_REPLY_FINISHED);
    nothing_is_told();
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(a_full_queue_refuses),
        ALONE(an_unknown_queue_names_those_there_are),
        ALONE(a_queue_that_has_gone_is_not_named),
        ALONE(names_of_queues_are_cut_where_there_is_no_room),
        ALONE(only_the_account_that_jobs_have_can_be_asked_for),
        ALONE(an_unknown_template_names_those_there_are),
        ALONE(without_templates_functions_are_refused_and_programs_run),
        ALONE(retries_are_for_all),
        ALONE(an_id_of_the_future_is_refused),
        ALONE(a_worker_does_not_wait_for_itself),
        ALONE(a_caller_of_another_namespace_is_no_worker)};

    find_broker();
    return cmocka_run_group_tests_name("broker submits", tests, NULL, NULL);
}
