/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outputs that many callers are sent in one turn: all have them, and the broker
 * goes on. The protocol of broker_caller.h.
 */
#include "t/unit/broker_caller.h"

#define CALLERS 24
#define ASKS    12
#define BYTES   10000

static void many_callers_of_one_run_are_answered_at_once(void **state)
{
    static char output[BYTES];
    int callers[CALLERS], i, k, fd;
    spawn_stdio out = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_writer w;
    spawn_id job;

    (void)state;
    (void)spawn_id_make(&job);
    reach_go();
    for (i = 0; i < CALLERS; i++) {
        call_in();
        callers[i] = caller;
        for (k = 0; k < ASKS; k++) {
            begin_submit(&w, &job, "/bin/true");
            spawn_put_stdio(&w, SPAWN_A_STDOUT, &out);
            spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
            ask(&w);
        }
    }
    expect_id(SPAWN_M_LAUNCH, &job);
    spawn_attr_stdio(&message.attr[SPAWN_A_STDOUT], &out);
    fd = packet.fds[out.fd];
    packet.fds[out.fd] = -1;
    assert_int_equal(write(fd, output, BYTES), BYTES);
    (void)close(fd);
    say_started(&job);
    begin(&w, SPAWN_M_GET, &job); /* it is stored for that */
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    say_exited(&job, 0, 0);
    for (i = 0; i < CALLERS; i++) {
        caller = callers[i];
        for (k = 0; k < ASKS; k++) {
            expect_answer(SPAWN_M_JOB);
            assert_int_equal(message.attr[SPAWN_A_OUT].length, BYTES);
        }
    }
    expect_id(SPAWN_M_FORGET, &job);
    has_heard();
    for (i = 0; i < CALLERS; i++)
        (void)close(callers[i]);
    caller = -1;
    end_broker();
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(many_callers_of_one_run_are_answered_at_once)};

    find_broker();
    return cmocka_run_group_tests_name("broker", tests, NULL, NULL);
}
