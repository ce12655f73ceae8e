/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request that asks for what there is not is refused, and nothing comes of
 * it. The protocol of broker_jobs.h.
 */
#include "t/unit/broker_jobs.h"

static void expect_invalid(const char *text)
{
    expect_refusal(SPAWN_E_INVALID);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""), text);
}

/* Of a job that runs. */
static void are_refused(uint16_t request, uint16_t attr, const uint64_t *values,
                        size_t count, const char *text)
{
    spawn_writer w;
    size_t i;

    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    for (i = 0; i < count; i++) {
        begin(&w, request, &job);
        spawn_put_u64(&w, attr, values[i]);
        ask(&w);
        expect_invalid(text);
    }
}

static void a_signal_that_there_is_not(void **state)
{
    static const uint64_t none[] = {0, 65, 4711};

    (void)state;
    are_refused(SPAWN_M_KILL, SPAWN_A_SIGNO, none, 3, "signo: no such signal");
    quiet_for(50);
}

static void a_wait_for_what_does_not_come(void **state)
{
    static const uint64_t none[] = {SPAWN_REPLY_ACCEPTED, 4711};

    (void)state;
    are_refused(SPAWN_M_WAIT, SPAWN_A_WAIT_FOR, none, 2,
                "wait_for: wanted: started or finished");
    ends(0);
    has_heard(); /* and the caller is told of no end */
}

static void output_from_one_place_alone(void **state)
{
    static const uint64_t from[] = {0};
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    begin(&w, SPAWN_M_GET, &job);
    spawn_put_u64v(&w, SPAWN_A_OUTPUT_FROM, from, 1);
    ask(&w);
    expect_invalid("output_from: wanted: a number for stdout and one for "
                   "stderr");
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(a_signal_that_there_is_not),
        ALONE(a_wait_for_what_does_not_come),
        ALONE(output_from_one_place_alone),
    };

    find_broker();
    return cmocka_run_group_tests_name("bad requests", tests, NULL, NULL);
}
