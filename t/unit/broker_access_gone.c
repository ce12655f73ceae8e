/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of accounts to which a new configuration gives no right any more:
 * they are closed; one that waits for an answer has it first. All others stay.
 */
#include "t/unit/broker_listed.h"
#include "t/unit/corner.h"

static void is_closed(void)
{
    struct pollfd p = {caller, POLLIN, 0};
    char byte;

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    assert_true(recv(caller, &byte, 1, MSG_DONTWAIT) <= 0);
}

static void one_without_rights_is_closed(void **state)
{
    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_ALL);
    reach_go_and_call_in();
    backup_comes();
    said_count = 0;
    configure_again();
    is_closed();
    wait_until_logged("MS0549", 1);
}

static bool answers_list(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_LIST, NULL);
    ask(&w);
    return receive_at(caller, SPAWN_FROM_BROKER) == 1
           && message.header.type == SPAWN_M_END;
}

static void others_stay(void **state)
{
    int backups;

    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    backup_comes();
    backups = caller;
    caller = -1;
    call_in();
    said[0].queue = "other";
    configure_again();
    assert_true(answers_list());
    (void)close(caller);
    caller = backups;
    assert_true(answers_list());
    comes_to_rest();
    assert_int_equal(logged("MS0549"), 0);
}

static void one_that_waits_has_its_answer_first(void **state)
{
    spawn_writer w;
    spawn_id id;

    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_ALL);
    reach_go_and_call_in();
    backup_comes();
    assert_int_equal(spawn_id_make(&id), 0);
    begin_submit(&w, &id, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_id(SPAWN_M_LAUNCH, &id);
    said_count = 0;
    configure_again();
    say_exited(&id, 0, 0);
    expect_answer(SPAWN_M_JOB);
    begin(&w, SPAWN_M_LIST, NULL);
    ask(&w);
    expect_refusal(SPAWN_E_NOT_PERMITTED);
    is_closed();
}

/* Its job would end with it. */
static void one_whose_job_is_bound_stays(void **state)
{
    spawn_writer w;
    spawn_id id;

    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_ALL);
    reach_go_and_call_in();
    connect_with(BACKUP, BACKUP, 0);
    begin(&w, SPAWN_M_HELLO, NULL);
    spawn_put_str(&w, SPAWN_A_CLIENT, "test");
    spawn_put_u64(&w, SPAWN_A_BOUND, 1);
    ask(&w);
    expect_answer(SPAWN_M_WELCOME);
    assert_int_equal(spawn_id_make(&id), 0);
    begin_submit(&w, &id, "/bin/true");
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &id);
    say_started(&id);
    said_count = 0;
    configure_again();
    quiet_for(100);
    assert_int_equal(logged("MS0549"), 0);
    say_exited(&id, 0, 0);
    expect_id(SPAWN_M_FORGET, &id);
    begin(&w, SPAWN_M_LIST, NULL);
    ask(&w);
    expect_refusal(SPAWN_E_NOT_PERMITTED);
    is_closed();
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up_each, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(one_without_rights_is_closed), ALONE(others_stay),
        ALONE(one_that_waits_has_its_answer_first),
        ALONE(one_whose_job_is_bound_stays)};

    find_broker();
    return cmocka_run_group_tests_name("callers without a right", tests, NULL,
                                       NULL);
}
