/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store of another release: what it does not have is made, with all that it
 * has kept, and one of a newer layout is refused and stays as it was (of an
 * older one: broker_perl.c). The protocol of broker_play.h.
 */
#include "t/unit/broker_play.h"

/* Of a release of this layout that does not know the table. */
static void a_table_that_is_missing_is_made(void **state)
{
    spawn_id waits;

    (void)state;
    make_store();
    run_sql("DROP TABLE grace");
    (void)spawn_id_make(&waits);
    put_job(&waits, 1, NULL);
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_LAUNCH, &waits);
    say_started(&waits);
    say_exited(&waits, 0, 5 << 8);
    expect_id(SPAWN_M_FORGET, &waits);
    end_broker();
    expect_sql("SELECT count(*) FROM grace", "0");
    expect_sql("SELECT exit_code FROM job", "5");
}

static void a_store_of_a_newer_layout_is_refused(void **state)
{
    (void)state;
    make_store();
    run_sql("PRAGMA user_version=4");
    start_broker();
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]),
                     SPAWN_E_STORE);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                           "newer mod_spawn (layout 4, this one knows 3)"));
    end_broker();
    expect_sql("PRAGMA user_version", "4");
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ALONE(a_table_that_is_missing_is_made),
        ALONE(a_store_of_a_newer_layout_is_refused)};

    find_broker();
    return cmocka_run_group_tests_name("broker layouts", tests, NULL, NULL);
}
