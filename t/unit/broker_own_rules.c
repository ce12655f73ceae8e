/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules that a job brought (where, how long, with which limits) are told to
 * who asks for it by its id: the same while the broker has it in memory, and
 * out of the store. A list has none of them.
 */
#include "t/unit/broker_jobs.h"

static void look(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
}

static void it_has_its_rules(void)
{
    const spawn_attr *a = message.attr;
    spawn_stdio out;

    assert_string_equal(spawn_str_or(&message, SPAWN_A_CWD, ""), "/tmp");
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_TIMEOUT, 0), 90000);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_GRACE, 0), 3000);
    assert_int_equal(spawn_attr_i64(&a[SPAWN_A_NICE]), 7);
    assert_int_equal(spawn_attr_i64(&a[SPAWN_A_RETRY]), 2);
    assert_int_equal(spawn_u64v_count(&a[SPAWN_A_LIMITS]), 2);
    assert_int_equal(spawn_u64v_at(&a[SPAWN_A_LIMITS], 1), 60);
    assert_true(spawn_has(&message, SPAWN_A_STDOUT));
    spawn_attr_stdio(&a[SPAWN_A_STDOUT], &out);
    assert_int_equal(out.how, SPAWN_STDIO_LOG);
    assert_false(spawn_has(&message, SPAWN_A_STDERR));
    assert_false(spawn_has(&message, SPAWN_A_IONICE));
    assert_false(spawn_has(&message, SPAWN_A_ENV));
}

static void one_with_rules(void)
{
    static const spawn_stdio to_log = {SPAWN_STDIO_LOG, 0, 0, ""};
    spawn_writer w;
    size_t mark;

    assert_int_equal(spawn_id_make(&job), 0);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_str(&w, SPAWN_A_CWD, "/tmp");
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_add_text(&w, mark, "SECRET=1", 8);
    spawn_close(&w, mark);
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &to_log);
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, 90000);
    spawn_put_u64(&w, SPAWN_A_GRACE, 3000);
    spawn_put_i64(&w, SPAWN_A_NICE, 7);
    spawn_put_i64(&w, SPAWN_A_RETRY, 2);
    spawn_put_u64v(&w, SPAWN_A_LIMITS, (const uint64_t[]){1, 60}, 2);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_STARTED);
    ask(&w);
}

static void they_are_told_at_each_time(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_with_rules();
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    expect_answer(SPAWN_M_JOB); /* at its start */
    it_has_its_rules();
    look();
    it_has_its_rules();
    ends(0);
    has_heard();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DONE);
    it_has_its_rules();
    kill_broker();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    look();
    it_has_its_rules();
}

static void a_list_has_none(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    one_with_rules();
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    expect_answer(SPAWN_M_JOB);
    has_heard();
    begin(&w, SPAWN_M_LIST, NULL);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_true(spawn_has(&message, SPAWN_A_ARGV));
    assert_false(spawn_has(&message, SPAWN_A_CWD));
    assert_false(spawn_has(&message, SPAWN_A_TIMEOUT));
    assert_false(spawn_has(&message, SPAWN_A_STDOUT));
}

static void one_without_tells_none(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    look();
    assert_false(spawn_has(&message, SPAWN_A_CWD));
    assert_false(spawn_has(&message, SPAWN_A_TIMEOUT));
}

/* The handle itself does not come with an answer, which must be read all the
 * same. */
static void a_handle_is_told_as_one(void **state)
{
    const spawn_stdio to_handle = {SPAWN_STDIO_FD, 0, 0, ""};
    spawn_stdio out;
    spawn_writer w;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)state;
    reach_go_and_call_in();
    assert_int_equal(spawn_id_make(&job), 0);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &to_handle);
    assert_int_equal(spawn_writer_finish(&w, 1), 0);
    assert_int_equal(spawn_packet_send(caller, w.data, w.length, &fd, 1), 0);
    spawn_writer_free(&w);
    (void)close(fd);
    expect_answer(SPAWN_M_ACCEPTED);
    look();
    assert_true(spawn_has(&message, SPAWN_A_STDOUT));
    spawn_attr_stdio(&message.attr[SPAWN_A_STDOUT], &out);
    assert_int_equal(out.how, SPAWN_STDIO_FD);
}

#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(they_are_told_at_each_time),
        ALONE(a_list_has_none),
        ALONE(one_without_tells_none),
        ALONE(a_handle_is_told_as_one),
    };

    find_broker();
    return cmocka_run_group_tests_name("rules of jobs", tests, NULL, NULL);
}
