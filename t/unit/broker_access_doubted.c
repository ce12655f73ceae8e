/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnAccess, and a job that may have run in a worker which nobody knows any
 * more: without the right to submit it is unconfirmed, and not refused as one
 * that has not run. That holds for this one alone. The protocol of
 * broker_listed.h.
 */
#include "t/unit/broker_listed.h"
#include "t/unit/corner.h"

static void says_lost(void)
{
    spawn_id stranger;
    spawn_writer w;

    assert_int_equal(spawn_id_make(&stranger), 0);
    begin(&w, SPAWN_M_LEASE_LOST, &stranger);
    ask(&w);
}

static void submits_to(const char *queue)
{
    spawn_id id;
    spawn_writer w;

    assert_int_equal(spawn_id_make(&id), 0);
    begin_submit(&w, &id, "/bin/true");
    spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    ask(&w);
}

static void expect_doubt(void)
{
    const char *text;

    expect_refusal(SPAWN_E_UNCONFIRMED);
    text = spawn_str_or(&message, SPAWN_A_TEXT, "");
    assert_non_null(strstr(text, "may have run"));
    assert_non_null(strstr(text, "has not the right 'submit'"));
}

static void in_a_queue_that_it_may_not_use(void **state)
{
    NEEDS_ROOT;
    say_of("other", BACKUP, 0, SPAWN_MAY_SUBMIT);
    reach_go_and_call_in();
    backup_comes();
    says_lost();
    submits_to("default");
    expect_doubt();
    submits_to("default");
    expect_refusal(SPAWN_E_NOT_PERMITTED);
    says_lost();
    submits_to("default");
    expect_doubt();
    submits_to("other");
    expect_answer(SPAWN_M_ACCEPTED);
    assert_int_not_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                         SPAWN_STATE_DONE);
}

/* Nor may it say which worker it was. */
static void without_the_right_in_any(void **state)
{
    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    backup_comes();
    says_lost();
    expect_refusal(SPAWN_E_NOT_PERMITTED);
    submits_to("default");
    expect_doubt();
    submits_to("default");
    expect_refusal(SPAWN_E_NOT_PERMITTED);
}

int main(void)
{
#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up_each, tear_down_all)
    const struct CMUnitTest tests[] = {EACH(in_a_queue_that_it_may_not_use),
                                       EACH(without_the_right_in_any)};

    find_broker();
    return cmocka_run_group_tests_name("access_doubted", tests, NULL, NULL);
}
