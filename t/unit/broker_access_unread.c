/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callers that have a right in some queues only, and a store that cannot tell
 * in which one a job was: they are told an error of the store. The protocol of
 * broker_listed.h.
 */
#include "t/unit/broker_listed.h"
#include "t/unit/broker_damage.h"
#include "t/unit/corner.h"

static void expect_unread(spawn_writer *w)
{
    ask(w);
    expect_refusal(SPAWN_E_STORE);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                        "the store could not be read");
}

static void nothing_is_granted(void **state)
{
    spawn_writer w;
    spawn_id old;

    NEEDS_ROOT;
    make_store();
    fill_history("900");
    oldest(&old);
    say_of("other", BACKUP, 0, SPAWN_MAY_ALL);
    reach_go_and_call_in();
    others_are_read();
    damage();
    (void)close(caller);
    backup_comes();
    begin(&w, SPAWN_M_WAIT, &old); /* nobody looks at its fault */
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_ACCEPTED);
    expect_unread(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_granted, set_up_each,
                                        tear_down_all),
    };

    find_broker();
    return cmocka_run_group_tests_name("broker access unread", tests, NULL,
                                       NULL);
}
