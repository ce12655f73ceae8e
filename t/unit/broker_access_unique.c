/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnAccess, and a unique key that a job of another account has: who may not
 * see that job is told that it is there, and not which it is. The protocol of
 * broker_listed.h.
 */
#include "common/spawn_rule.h"
#include "t/unit/broker_listed.h"
#include "t/unit/corner.h"

static void submit_unique(spawn_id *ret, unsigned on_conflict)
{
    spawn_writer w;

    assert_int_equal(spawn_id_make(ret), 0);
    begin_submit(&w, ret, "/bin/true");
    spawn_put_str(&w, SPAWN_A_UNIQUE, "k");
    spawn_put_u64(&w, SPAWN_A_ON_CONFLICT, on_conflict);
    ask(&w);
}

/* It has the key; the id of that one stands in the text, or not. */
static void is_not_unique(const spawn_id *holder, bool told)
{
    char id[SPAWN_ID_TEXT];
    const char *text;

    expect_refusal(SPAWN_E_NOT_UNIQUE);
    text = spawn_str_or(&message, SPAWN_A_TEXT, "");
    assert_non_null(strstr(text, "has the unique key 'k'"));
    assert_int_equal(strstr(text, spawn_id_format(holder, id)) != NULL, told);
    assert_false(spawn_has(&message, SPAWN_A_OTHER));
}

static void its_id_is_told_to_who_may_know_it(void **state)
{
    spawn_id theirs, mine, again;

    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_SUBMIT);
    reach_go_and_call_in();
    submit_unique(&theirs, SPAWN_CONFLICT_REJECT);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &theirs);
    backup_comes();
    submit_unique(&mine, SPAWN_CONFLICT_REJECT);
    is_not_unique(&theirs, false);
    submit_unique(&mine, SPAWN_CONFLICT_KEEP);
    is_not_unique(&theirs, false);
    said[0].rights |= SPAWN_MAY_SEE;
    configure_again();
    submit_unique(&mine, SPAWN_CONFLICT_REJECT);
    is_not_unique(&theirs, true);
    submit_unique(&mine, SPAWN_CONFLICT_KEEP);
    expect_answer(SPAWN_M_ACCEPTED);
    assert_true(spawn_has(&message, SPAWN_A_OTHER));
    said[0].rights = SPAWN_MAY_SUBMIT;
    configure_again();
    say_exited(&theirs, 0, 0);
    expect_id(SPAWN_M_FORGET, &theirs);
    submit_unique(&mine, SPAWN_CONFLICT_REJECT); /* its own it may know */
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &mine);
    submit_unique(&again, SPAWN_CONFLICT_REJECT);
    is_not_unique(&mine, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        its_id_is_told_to_who_may_know_it, set_up_each, tear_down_all)};

    find_broker();
    return cmocka_run_group_tests_name("unique keys", tests, NULL, NULL);
}
