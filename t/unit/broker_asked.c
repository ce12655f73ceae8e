/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose job it is: a list of the jobs of one request, user or virtual host, and
 * the request's id in lines about a job and in a program's environment. The
 * protocol of broker_caller.h.
 */
#include "t/unit/broker_caller.h"

static void put_texts(spawn_writer *w, const char *const *texts)
{
    size_t mark = spawn_open_strv(w, SPAWN_A_CONTEXT);

    for (; *texts; texts++)
        spawn_add_text(w, mark, *texts, strlen(*texts));
    spawn_close(w, mark);
}

static void submit(const char *const *context, spawn_id *ret)
{
    spawn_writer w;

    (void)spawn_id_make(ret);
    begin_submit(&w, ret, "/bin/true");
    put_texts(&w, context);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
}

static void list(const char *const *context)
{
    spawn_writer w;

    begin(&w, SPAWN_M_LIST, NULL);
    put_texts(&w, context);
    ask(&w);
}

static void expect_listed(const spawn_id *id)
{
    spawn_id got;

    expect_answer(SPAWN_M_JOB);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
    assert_memory_equal(&got, id, sizeof(got));
}

#define TEXTS(...)                                                             \
    (const char *const[])                                                      \
    {                                                                          \
        __VA_ARGS__, NULL                                                      \
    }

static void jobs_are_listed_by_their_context(void **state)
{
    spawn_id id[4];

    (void)state;
    reach_go_and_call_in();
    submit(TEXTS("request_id=R1", "user=ann", "vhost=a"), &id[0]);
    submit(TEXTS("vhost=b", "user=ann", "request_id=R2"), &id[1]);
    submit(TEXTS("request_id=R1", "uri=/x"), &id[2]);
    submit(TEXTS("xrequest_id=R1", "request_id=R11", "user="), &id[3]);

    list(TEXTS("request_id=R1"));
    expect_listed(&id[2]);
    expect_listed(&id[0]);
    expect_answer(SPAWN_M_END);
    list(TEXTS("user=ann"));
    expect_listed(&id[1]);
    expect_listed(&id[0]);
    expect_answer(SPAWN_M_END);
    list(TEXTS("vhost=b", "user=ann"));
    expect_listed(&id[1]);
    expect_answer(SPAWN_M_END);
    list(TEXTS("vhost=b", "request_id=R1"));
    expect_answer(SPAWN_M_END);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ROWS, 9), 0);
    list(TEXTS("user="));
    expect_listed(&id[3]);
    expect_answer(SPAWN_M_END);
}

static void a_filter_without_a_value_is_refused(void **state)
{
    (void)state;
    reach_go_and_call_in();
    list(TEXTS("request_id"));
    expect_refusal(SPAWN_E_INVALID);
    list(TEXTS("request_id=R1", "user"));
    expect_refusal(SPAWN_E_INVALID);
}

/* The number of the dead is of all. */
static void the_dead_are_not_counted_for_some(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    begin(&w, SPAWN_M_LIST, NULL);
    spawn_put_u64(&w, SPAWN_A_STATES, SPAWN_STATES_DEAD);
    spawn_put_u64(&w, SPAWN_A_ROWS, 0);
    put_texts(&w, TEXTS("request_id=R1"));
    ask(&w);
    expect_answer(SPAWN_M_END);
    assert_false(spawn_has(&message, SPAWN_A_DEAD));
}

/* In LAUNCH: the last variable of this name, or NULL. */
static const char *variable(const char *name)
{
    const spawn_attr *env = &message.attr[SPAWN_A_ENV];
    size_t length = strlen(name);
    const char *text = NULL;
    uint32_t i;

    for (i = 0; i < spawn_strv_count(env); i++) {
        text = spawn_strv_next(env, text);
        if (strncmp(text, name, length) == 0 && text[length] == '=')
            return text + length + 1;
    }
    return NULL;
}

static void a_program_knows_its_request(void **state)
{
    char longest[257 + 20];
    spawn_id id;

    (void)state;
    reach_go_and_call_in();
    submit(TEXTS("uri=/", "request_id=R1"), &id);
    expect_id(SPAWN_M_LAUNCH, &id);
    assert_string_equal(variable("SPAWN_REQUEST_ID"), "R1");
    submit(TEXTS("uri=/"), &id);
    expect_id(SPAWN_M_LAUNCH, &id);
    assert_null(variable("SPAWN_REQUEST_ID"));
    /* an id that no server makes is in no program's environment */
    submit(TEXTS("request_id=() { :;}; x"), &id);
    expect_id(SPAWN_M_LAUNCH, &id);
    assert_null(variable("SPAWN_REQUEST_ID"));
    (void)snprintf(longest, sizeof(longest), "request_id=%0256d", 1);
    submit(TEXTS(longest), &id);
    expect_id(SPAWN_M_LAUNCH, &id);
    assert_non_null(variable("SPAWN_REQUEST_ID"));
    (void)snprintf(longest, sizeof(longest), "request_id=%0257d", 1);
    submit(TEXTS(longest), &id);
    expect_id(SPAWN_M_LAUNCH, &id);
    assert_null(variable("SPAWN_REQUEST_ID"));
}

/* A line about a job names it so. */
static void a_line_cannot_be_made_up(void **state)
{
    char text[SPAWN_ID_TEXT], wanted[200];
    spawn_id id;

    (void)state;
    log_is_kept = true;
    reach_go_and_call_in();
    submit(TEXTS("request_id=R1) \\x is fine\n(job", "vhost=a"), &id);
    expect_id(SPAWN_M_LAUNCH, &id);
    say_started(&id);
    say_exited(&id, 0, 3 << 8);
    expect_id(SPAWN_M_FORGET, &id);
    (void)snprintf(wanted, sizeof(wanted),
                   "job %s exited with code 3 (queue default, /bin/true, "
                   "request R1???x?is?fine??job)",
                   spawn_id_format(&id, text));
    wait_until_logged(wanted, 1);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(jobs_are_listed_by_their_context),
        ALONE(a_filter_without_a_value_is_refused),
        ALONE(the_dead_are_not_counted_for_some),
        ALONE(a_program_knows_its_request), ALONE(a_line_cannot_be_made_up)};

    find_broker();
    return cmocka_run_group_tests_name("broker asked", tests, NULL, NULL);
}
