/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders for workers: the one that a worker is forked by, the calls over its
 * link, and the message when no descriptor is left for another one. The
 * protocol of broker_calls.h.
 */
#include "t/unit/broker_stepped.h"

#include <sys/resource.h>

static spawn_id template;

static void expect_numbers(unsigned attr, const uint64_t *wanted,
                           uint32_t count)
{
    const spawn_attr *a = &message.attr[attr];
    uint32_t i;

    assert_true(spawn_has(&message, attr));
    assert_int_equal(spawn_u64v_count(a), count);
    for (i = 0; i < count; i++)
        assert_int_equal(spawn_u64v_at(a, i), wanted[i]);
}

static bool in_env(const char *wanted)
{
    const spawn_attr *env = &message.attr[SPAWN_A_ENV];
    const char *text = NULL;
    uint32_t i;

    for (i = 0; i < spawn_strv_count(env); i++) {
        text = spawn_strv_next(env, text);
        if (strcmp(text, wanted) == 0)
            return true;
    }
    return false;
}

/* It comes within its time: another process reads and writes it. */
static void expect_logged(const char *text)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;

    while (logged(text) == 0 && spawn_mono_ms() < until)
        is_there();
    assert_int_equal(logged(text), 1);
}

/* ---- the order ---- */

static void the_order_says_what_a_worker_is(void **state)
{
    static const uint64_t numbers[] = {1, 3};
    static const uint64_t keep[] = {
        2, SPAWN_KEEP_BOARD,  3, SPAWN_KEEP_WORKER,
        4, SPAWN_KEEP_TICKET, 5, SPAWN_KEEP_ERR_PIPE};
    char text[160];
    spawn_stdio err;
    spawn_id from;

    (void)state;
    log_is_kept = true;
    worker_jobs = 7;
    worker_memory = 1u << 30;
    reach_workers(1, 1, &template);
    expect(SPAWN_M_LAUNCH);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_IS_WORKER, 0), 1);
    spawn_attr_id(&message.attr[SPAWN_A_TEMPLATE_ID], &from);
    assert_true(spawn_id_equal(&from, &template));
    assert_string_equal(spawn_str_or(&message, SPAWN_A_QUEUE, ""), "default");
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_WORKER_JOBS, 0), 7);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_WORKER_MEMORY, 0),
                     1u << 30);
    assert_true(in_env("SPAWN_QUEUE=default"));
    (void)snprintf(text, sizeof(text), "SPAWN_SOCKET=%s", listen_path);
    assert_true(in_env(text));
    spawn_attr_stdio(&message.attr[SPAWN_A_STDERR], &err);
    assert_int_equal(err.how, SPAWN_STDIO_FD);
    assert_int_equal(err.fd, 0);
    expect_numbers(SPAWN_A_FDS, numbers, 2);
    expect_numbers(SPAWN_A_KEEP, keep, 8);
    assert_int_equal(packet.fds_count, 6);
    assert_int_equal(write(packet.fds[0], "words of it\n", 12), 12);
    expect_logged("worker of queue default stderr: words of it");
}

static void there_are_limits_only_where_the_rules_have_some(void **state)
{
    (void)state;
    reach_workers(1, 1, &template);
    expect(SPAWN_M_LAUNCH);
    assert_false(spawn_has(&message, SPAWN_A_WORKER_JOBS));
    assert_false(spawn_has(&message, SPAWN_A_WORKER_MEMORY));
}

/* ---- calls ---- */

static uint8_t args[300000];

static void begin_call(spawn_writer *w, spawn_id *id, spawn_reply reply)
{
    assert_int_equal(spawn_id_make(id), 0);
    begin(w, SPAWN_M_SUBMIT, id);
    spawn_put_str(w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(w, SPAWN_A_REPLY, reply);
}

static void a_call_is_given_as_it_was_submitted(void **state)
{
    /* around the sizes that are copied on the stack, stored in a ticket, sent
     * in a packet */
    static const size_t lengths[] = {0,    1,    3900, 3999,  4000,  4090,
                                     4200, 8100, 8300, 31000, 40000, 300000};
    spawn_writer w;
    spawn_id id;
    worker it;
    size_t i, mark;

    (void)state;
    for (i = 0; i < sizeof(args); i++)
        args[i] = (uint8_t)(i * 7 + i / 251);
    reach_workers(1, 1, &template);
    worker_starts(&it);
    worker_says(&it, NULL);
    for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        const spawn_attr *a;

        begin_call(&w, &id, SPAWN_REPLY_FINISHED);
        if (lengths[i])
            spawn_put_bytes(&w, SPAWN_A_ARGS, args, lengths[i]);
        spawn_put_str(&w, SPAWN_A_LOAD, "My");
        spawn_put_u64(&w, SPAWN_A_WANT, SPAWN_WANT_LIST);
        spawn_put_str(&w, SPAWN_A_LABEL, "a label");
        mark = spawn_open_strv(&w, SPAWN_A_CONTEXT);
        spawn_add_text(&w, mark, "uri=/x", 6);
        spawn_close(&w, mark);
        ask(&w);
        expect_call(&it, &id);
        assert_string_equal(spawn_str_or(&message, SPAWN_A_FUNCTION, ""),
                            "My::f");
        assert_string_equal(spawn_str_or(&message, SPAWN_A_LOAD, ""), "My");
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_WANT, 99),
                         SPAWN_WANT_LIST);
        assert_string_equal(spawn_str_or(&message, SPAWN_A_LABEL, ""),
                            "a label");
        assert_true(spawn_has(&message, SPAWN_A_CONTEXT));
        assert_string_equal(
            spawn_strv_next(&message.attr[SPAWN_A_CONTEXT], NULL), "uri=/x");
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 1);
        a = &message.attr[SPAWN_A_ARGS];
        assert_int_equal(spawn_has(&message, SPAWN_A_ARGS), lengths[i] > 0);
        assert_int_equal(lengths[i] ? a->length : 0, lengths[i]);
        assert_true(lengths[i] == 0 || memcmp(a->data, args, lengths[i]) == 0);
        worker_returns(&it, &id);
        expect_answer(SPAWN_M_JOB);
    }
}

/* And nothing is made up. */
static void what_a_call_does_not_have_is_not_there(void **state)
{
    spawn_writer w;
    spawn_id id;
    worker it;

    (void)state;
    reach_workers(1, 1, &template);
    worker_starts(&it);
    worker_says(&it, NULL);
    begin_call(&w, &id, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_call(&it, &id);
    assert_false(spawn_has(&message, SPAWN_A_LOAD));
    assert_false(spawn_has(&message, SPAWN_A_WANT));
    assert_false(spawn_has(&message, SPAWN_A_LABEL));
    assert_false(spawn_has(&message, SPAWN_A_CONTEXT));
    assert_false(spawn_has(&message, SPAWN_A_ARGS));
}

static void a_call_that_is_tried_again_says_so(void **state)
{
    spawn_writer w;
    spawn_id id;
    worker it;

    (void)state;
    reach_workers(1, 1, &template);
    worker_starts(&it);
    worker_says(&it, NULL);
    begin_call(&w, &id, SPAWN_REPLY_FINISHED);
    spawn_put_i64(&w, SPAWN_A_RETRY, 2);
    ask(&w);
    expect_call(&it, &id);
    say_exited(&it.id, 0, SIGKILL);
    worker_starts(&it);
    worker_says(&it, NULL);
    expect_call(&it, &id);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 2);
}

/* Code of users has the other end: it can close it, or half of it. */
static void who_takes_no_calls_any_more_gets_none(void **state)
{
    spawn_id id;
    worker it, next;
    spawn_writer w;

    (void)state;
    reach_workers(1, 1, &template);
    worker_starts(&it);
    worker_says(&it, NULL);
    is_there();
    assert_int_equal(shutdown(it.link, SHUT_RD), 0);
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    worker_starts(&next);
    worker_says(&next, NULL);
    expect_call(&next, &id);
    begin(&w, SPAWN_M_GET, &id);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_RUNNING);
}

/* The worker was not given the call: the next broker does not take it for the
 * worker's either. */
static void nor_does_the_next_broker_think_so(void **state)
{
    spawn_id id;
    worker it, next;

    (void)state;
    make_store();
    reach_workers(1, 1, &template);
    worker_starts(&it);
    worker_says(&it, NULL);
    is_there();
    assert_int_equal(shutdown(it.link, SHUT_RD), 0);
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    worker_starts(&next);
    kill_broker();
    start_broker();
    say_running_app(&template);
    say_running_worker(&it);
    expect_ready();
    say(SPAWN_M_GO);
    worker_starts(&next);
    worker_says(&next, NULL);
    expect_call(&next, &id);
}

/* Code of users has its board, too: it can see to it that nobody writes it. */
static void one_whose_board_cannot_be_written_is_replaced(void **state)
{
    spawn_id id;
    worker it, next;

    (void)state;
    reach_workers(1, 1, &template);
    worker_starts(&it);
    worker_says(&it, NULL);
    is_there();
    assert_int_equal(fcntl(it.kept[0], F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_START_FAILED);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                           "the call could not be sent"));
    expect_no_more(&it);
    worker_ordered(&next);
}

/* ---- without descriptors ---- */

static void may_open(rlim_t most)
{
    struct rlimit l;

    assert_int_equal(prlimit(broker, RLIMIT_NOFILE, NULL, &l), 0);
    l.rlim_cur = most;
    assert_int_equal(prlimit(broker, RLIMIT_NOFILE, &l, NULL), 0);
}

/* A call that needs a worker, with so many descriptors. False: it failed, for
 * want of them. */
static bool a_call_works_with(rlim_t most)
{
    struct pollfd p[2] = {{caller, POLLIN, 0}, {0, POLLIN, 0}};
    spawn_id id;
    worker it;
    int i;

    may_open(most);
    submit(&id, SPAWN_REPLY_FINISHED);
    p[1].fd = link_fd;
    assert_true(poll(p, 2, DEADLINE_MS) > 0);
    if (p[0].revents) {
        may_open(1000);
        expect_answer(SPAWN_M_JOB);
        if (!strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                    "its start could not be ordered: Too many open files"))
            fail_msg("%s", spawn_str_or(&message, SPAWN_A_TEXT, ""));
        time_passes(61); /* it tries again after at most a minute */
        return false;
    }
    worker_starts(&it);
    may_open(1000);
    worker_says(&it, NULL);
    expect_call(&it, &id);
    worker_returns(&it, &id);
    expect_answer(SPAWN_M_JOB);
    (void)close(it.link);
    for (i = 0; i < 4; i++)
        (void)close(it.kept[i]);
    say_exited(&it.id, 0, 0);
    expect_id(SPAWN_M_FORGET, &it.id);
    return true;
}

static void without_descriptors_a_call_fails_and_none_is_lost(void **state)
{
    enum {
        ROUNDS = 30,
        SPARE = 8 /* others need some now and then */
    };

    rlim_t enough = 8;
    unsigned failed = 0, i;

    (void)state;
    ONLY_ROOT_LOOKS;
    log_is_kept = true;
    reach_workers(0, 1, &template);
    may_open(1000);
    while (!a_call_works_with(enough)) {
        enough++;
        failed++;
    }
    assert_in_range(failed, 5, 100);
    assert_int_equal(logged("MS0610"), failed);
    for (i = 0; i < ROUNDS; i++)
        assert_false(a_call_works_with(enough - 1 - i % 6));
    for (i = 0; i < ROUNDS; i++)
        assert_true(a_call_works_with(enough + SPARE));
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(the_order_says_what_a_worker_is),
        ALONE(there_are_limits_only_where_the_rules_have_some),
        ALONE(a_call_is_given_as_it_was_submitted),
        ALONE(what_a_call_does_not_have_is_not_there),
        ALONE(a_call_that_is_tried_again_says_so),
        ALONE(who_takes_no_calls_any_more_gets_none),
        ALONE(nor_does_the_next_broker_think_so),
        ALONE(one_whose_board_cannot_be_written_is_replaced),
        STEPPED(without_descriptors_a_call_fails_and_none_is_lost)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("orders of workers", tests, NULL, NULL);
}
