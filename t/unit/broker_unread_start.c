/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store of which a broker cannot read a part when it begins: it does not
 * begin as if there were nothing, and what lies in the inbox stays there. The
 * protocol of broker_clock.h.
 */
#include "t/unit/broker_clock.h"
#include "t/unit/broker_post.h"

/* So big that it is not read when it is opened. */
static void the_store_is_long(void)
{
    run_sql("INSERT INTO output(seq, out) VALUES(1, zeroblob(40000000))");
}

static void does_not_begin_without(const char *table)
{
    damage_table(table);
    start_broker();
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]),
                     SPAWN_E_STORE);
}

/* Nobody would end what they left behind. */
static void jobs_that_have_a_grace_are_needed(void **state)
{
    (void)state;
    make_store();
    boot_is_this_one();
    the_store_is_long();
    does_not_begin_without("grace");
}

/* Else what they hold could be taken twice. */
static void keys_that_are_held_are_needed(void **state)
{
    (void)state;
    make_store();
    boot_is_this_one();
    the_store_is_long();
    does_not_begin_without("unique_hold");
}

/* The store may know it. */
static void what_lies_in_the_inbox_stays_there(void **state)
{
    spawn_id id;

    (void)state;
    make_inbox();
    reach_go_and_call_in();
    time_stands(); /* nothing is stored a moment later */
    assert_int_equal(spawn_id_make(&id), 0);
    submit_as(&id, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &id);
    kill_broker();
    time_goes_on();
    the_store_is_long();
    assert_int_equal(full_slots(), 1);
    expect_sql("SELECT count(*) FROM job", "0");
    does_not_begin_without("sqlite_autoindex_job_1");
    assert_int_equal(full_slots(), 1);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(jobs_that_have_a_grace_are_needed),
        ALONE(keys_that_are_held_are_needed),
        STEPPED(what_lies_in_the_inbox_stays_there),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
