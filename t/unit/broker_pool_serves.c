/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which functions a worker serves: not those that want surroundings, streams or
 * another template of their own, which a process of a worker cannot give them.
 * These have a process of their own. The protocol of broker_calls.h.
 */
#include "t/unit/broker_calls.h"

#include "common/spawn_field.h"

static spawn_id template;
static worker the_worker;

static void begin_call(spawn_writer *w, spawn_id *ret)
{
    (void)spawn_id_make(ret);
    begin(w, SPAWN_M_SUBMIT, ret);
    spawn_put_str(w, SPAWN_A_FUNCTION, "My::f");
}

static void put_stream(spawn_writer *w, uint16_t attr, spawn_stdio_how how)
{
    const spawn_stdio io = {how, 0, 0, how == SPAWN_STDIO_PATH ? "/x" : ""};

    spawn_put_stdio(w, attr, &io);
}

/* ---- what it serves ---- */

static void served(spawn_writer *w, const spawn_id *id)
{
    ask(w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&the_worker, id);
    worker_returns(&the_worker, id);
    is_there();
}

static void a_call_with_what_workers_have_is_served(void **state)
{
    spawn_writer w;
    spawn_id id;

    (void)state;
    reach_a_worker(&the_worker, &template);
    begin_call(&w, &id);
    served(&w, &id);
    begin_call(&w, &id);
    put_stream(&w, SPAWN_A_STDIN, SPAWN_STDIO_NULL);
    put_stream(&w, SPAWN_A_STDOUT, SPAWN_STDIO_NULL);
    put_stream(&w, SPAWN_A_STDERR, SPAWN_STDIO_LOG);
    served(&w, &id);
    begin_call(&w, &id);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app"); /* that of its queue */
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, 100000);
    served(&w, &id);
}

/* ---- what it does not ---- */

static void ordered(spawn_writer *w, const spawn_id *id)
{
    ask(w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_order(id, &template);
    say_started(id);
    say_exited(id, 0, 0);
    expect_id(SPAWN_M_FORGET, id);
    quiet_at(the_worker.link, 1);
}

static void put_env(spawn_writer *w)
{
    size_t mark = spawn_open_strv(w, SPAWN_A_ENV);

    spawn_add_text(w, mark, "A=b", 3);
    spawn_close(w, mark);
}

static const uint64_t core[] = {4, 0};

/* Each of them alone. */
static bool put_surroundings(spawn_writer *w, unsigned which)
{
    switch (which) {
    case 0:
        spawn_put_str(w, SPAWN_A_CWD, "/tmp");
        return true;
    case 1:
        put_env(w);
        return true;
    case 2:
        spawn_put_u64(w, SPAWN_A_UMASK, 022);
        return true;
    case 3:
        spawn_put_bytes(w, SPAWN_A_STDIN_DATA, "data", 4);
        return true;
    case 4:
        spawn_put_i64(w, SPAWN_A_NICE, 5);
        return true;
    case 5:
        spawn_put_u64(w, SPAWN_A_IONICE, 2 << 8 | 5);
        return true;
    case 6:
        spawn_put_u64(w, SPAWN_A_NO_NEW_PRIVS, 1);
        return true;
    case 7:
        spawn_put_u64(w, SPAWN_A_LEFTOVERS, SPAWN_LEFTOVERS_KILL);
        return true;
    case 8:
        spawn_put_u64v(w, SPAWN_A_LIMITS, core, 2);
        return true;
    case 9:
        spawn_put_str(w, SPAWN_A_USER, "they");
        return true;
    case 10:
        spawn_put_str(w, SPAWN_A_GROUP, "theirs");
        return true;
    case 11:
        spawn_put_u64(w, SPAWN_A_CAPTURE_LIMIT, 1000);
        return true;
    default:
        return false;
    }
}

static void surroundings_need_a_process(void **state)
{
    spawn_writer w;
    spawn_id id;
    unsigned i;

    (void)state;
    job_names = true;
    reach_a_worker(&the_worker, &template);
    for (i = 0;; i++) {
        begin_call(&w, &id);
        if (!put_surroundings(&w, i))
            break;
        ordered(&w, &id);
    }
    spawn_writer_free(&w);
    assert_int_equal(i, 12);
}

static void streams_need_a_process(void **state)
{
    static const struct {
        uint16_t attr;
        spawn_stdio_how how;
    } cases[] = {{SPAWN_A_STDIN, SPAWN_STDIO_PATH},
                 {SPAWN_A_STDOUT, SPAWN_STDIO_CAPTURE},
                 {SPAWN_A_STDOUT, SPAWN_STDIO_LOG},
                 {SPAWN_A_STDOUT, SPAWN_STDIO_PATH},
                 {SPAWN_A_STDERR, SPAWN_STDIO_CAPTURE},
                 {SPAWN_A_STDERR, SPAWN_STDIO_NULL},
                 {SPAWN_A_STDERR, SPAWN_STDIO_PATH}};
    spawn_writer w;
    spawn_id id;
    unsigned i;

    (void)state;
    reach_a_worker(&the_worker, &template);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin_call(&w, &id);
        put_stream(&w, cases[i].attr, cases[i].how);
        ordered(&w, &id);
    }
}

static void put_other_template(spawn_writer *w)
{
    size_t nest = spawn_open_nest(w, SPAWN_A_TEMPLATE_RULES);

    spawn_put_str(w, SPAWN_A_TEMPLATE, "other");
    spawn_put_u64(w, SPAWN_A_TEMPLATE_KIND, SPAWN_TEMPLATE_EXEC);
    spawn_put_str(w, SPAWN_A_PERL, "/usr/bin/perl");
    spawn_close(w, nest);
}

static void another_template_needs_its_process(void **state)
{
    spawn_writer w;
    spawn_id id;

    (void)state;
    more_rules = put_other_template;
    rules = "A";
    workers_min = workers_max = 1;
    make_inbox();
    reach_go();
    template_starts(&template, true);
    expect(SPAWN_M_LAUNCH); /* of the other one, which is not ready yet */
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEMPLATE, ""), "other");
    worker_starts(&the_worker);
    worker_says(&the_worker, NULL);
    call_in();
    is_there();
    begin_call(&w, &id);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "other");
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    is_there();
    quiet_at(the_worker.link, 1);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(a_call_with_what_workers_have_is_served),
        ALONE(surroundings_need_a_process),
        ALONE(streams_need_a_process),
        ALONE(another_template_needs_its_process),
    };

    find_broker();
    return cmocka_run_group_tests_name("broker pool serves", tests, NULL, NULL);
}
