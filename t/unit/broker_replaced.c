/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs of a unique key that another one replaces: in one transaction with it,
 * and whoever waits for them is told; and jobs in whose place another one is
 * kept. The protocol of broker_ordered.h.
 */
#include "t/unit/broker_ordered.h"

static spawn_id first, second, third;

static void one_waits(void)
{
    next.key = "k";
    is_accepted(&first);
}

static void replace_by(spawn_id *ret)
{
    next.conflict = SPAWN_CONFLICT_REPLACE;
    send_it(ret);
}

/* The store takes both or none of them. */
static void what_cannot_be_marked_is_not_replaced(void **state)
{
    (void)state;
    make_store();
    store_fails("BEFORE UPDATE ON job WHEN NEW.cancel = 15");
    reach_ready_and_call_in();
    one_waits();
    replace_by(&second);
    expect_refusal(SPAWN_E_STORE);
    say(SPAWN_M_GO);
    runs_and_ends(&first, 0);
    nothing_is_launched();
}

/* One end is never stored: so the next broker ends it. */
static void the_next_broker_says_who_replaced_it(void **state)
{
    (void)state;
    make_store();
    store_fails("BEFORE UPDATE ON job WHEN NEW.state = 4");
    reach_ready_and_call_in();
    one_waits();
    replace_by(&second);
    expect_answer(SPAWN_M_ACCEPTED);
    kill_broker();
    expect_sql("SELECT state || ' ' || cancel FROM job WHERE seq = 1", "1 15");
    run_sql("DROP TRIGGER no");
    another_broker(NULL);
    is_launched(&second);
    expect_cancelled(&first, "replaces it");
    text_has_id(&second);
}

/* ---- who waits for it ---- */

static void who_waits_is_told(void **state)
{
    (void)state;
    reach_ready_and_call_in();
    next.key = "k";
    next.reply = SPAWN_REPLY_FINISHED;
    send_it(&first);
    next.reply = SPAWN_REPLY_ACCEPTED;
    replace_by(&second);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DONE);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_CANCELLED);
    text_has_id(&second);
}

/* Also who waits until it starts. */
static void who_waits_for_its_start_is_told(void **state)
{
    (void)state;
    reach_ready_and_call_in();
    next.key = "k";
    next.reply = SPAWN_REPLY_STARTED;
    send_it(&first);
    next.reply = SPAWN_REPLY_ACCEPTED;
    replace_by(&second);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_CANCELLED);
    text_has_id(&second);
}

/* ---- and others ---- */

static void what_comes_after_it_is_told(void **state)
{
    (void)state;
    reach_ready_and_call_in();
    one_waits();
    next.key = NULL;
    next.after = &first;
    next.after_count = 1;
    is_accepted(&third);
    next.after_count = 0;
    next.key = "k";
    replace_by(&second);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_cancelled(&third, "has ended as cancelled");
    text_has_id(&first);
}

/* One replaces another, and comes after it: that one has not ended well. */
static void one_that_comes_after_what_it_replaces_follows_it(void **state)
{
    (void)state;
    reach_ready_and_call_in();
    one_waits();
    next.after = &first;
    next.after_count = 1;
    replace_by(&second);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_cancelled(&first, "replaces it");
    expect_cancelled(&second, "has ended as cancelled");
    text_has_id(&first);
    next.after_count = 0;
    next.conflict = SPAWN_CONFLICT_REJECT;
    is_accepted(&third);
    say(SPAWN_M_GO);
    is_launched(&third);
}

static void many_are_replaced_by_one(void **state)
{
    enum {
        MANY = 300
    };
    static spawn_id waiting[MANY];
    unsigned i;

    (void)state;
    queue_waits = MANY + 1;
    reach_ready_and_call_in();
    next.key = "k";
    next.conflict = SPAWN_CONFLICT_AFTER;
    for (i = 0; i < MANY; i++)
        is_accepted(&waiting[i]);
    replace_by(&second);
    expect_answer(SPAWN_M_ACCEPTED);
    for (i = 0; i < MANY; i++)
        expect_cancelled(&waiting[i], "replaces it");
    say(SPAWN_M_GO);
    is_launched(&second);
    nothing_is_launched();
}

/* ---- another one is kept ---- */

/* Both come in one turn, and the store takes neither. */
static void who_is_refused_with_the_kept_one_has_its_own_id(void **state)
{
    spawn_id id;

    (void)state;
    make_store_that_fails(NO_INSERT);
    reach_ready_and_call_in();
    broker_sleeps();
    next.key = "k";
    send_it(&first);
    next.conflict = SPAWN_CONFLICT_KEEP;
    send_it(&second);
    broker_goes_on();
    expect_refusal(SPAWN_E_STORE);
    expect_refusal(SPAWN_E_STORE);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
    assert_true(spawn_id_equal(&id, &second));
}

/* ---- keys that are no usual ones ---- */

static void a_key_counts_to_its_last_byte(void **state)
{
    char longest[SPAWN_UNIQUE_MAX + 1], other[SPAWN_UNIQUE_MAX + 1];

    (void)state;
    memset(longest, 'x', SPAWN_UNIQUE_MAX);
    longest[SPAWN_UNIQUE_MAX] = '\0';
    memcpy(other, longest, sizeof(other));
    other[SPAWN_UNIQUE_MAX - 1] = 'y';
    reach_go_and_call_in();
    next.key = longest;
    it_dies(&first);
    kill_broker();
    another_broker(NULL);
    revive(&first);
    expect_answer(SPAWN_M_DONE);
    attempt_is_launched(&first, 3);
    next.key = other;
    is_accepted(&second);
    next.key = longest;
    send_it(&third);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
    text_has_id(&first);
}

static void a_key_is_neither_empty_nor_longer(void **state)
{
    char longer[SPAWN_UNIQUE_MAX + 2];

    (void)state;
    memset(longer, 'x', SPAWN_UNIQUE_MAX + 1);
    longer[SPAWN_UNIQUE_MAX + 1] = '\0';
    reach_go_and_call_in();
    next.key = longer;
    send_it(&first);
    expect_refusal(SPAWN_E_TOO_BIG);
    next.key = "";
    send_it(&first);
    expect_refusal(SPAWN_E_INVALID);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, set_up_ordered, tear_down_ordered)
    const struct CMUnitTest tests[] = {
        TEST(what_cannot_be_marked_is_not_replaced),
        TEST(the_next_broker_says_who_replaced_it),
        TEST(who_waits_is_told),
        TEST(who_waits_for_its_start_is_told),
        TEST(what_comes_after_it_is_told),
        TEST(one_that_comes_after_what_it_replaces_follows_it),
        TEST(many_are_replaced_by_one),
        TEST(who_is_refused_with_the_kept_one_has_its_own_id),
        TEST(a_key_counts_to_its_last_byte),
        TEST(a_key_is_neither_empty_nor_longer),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
