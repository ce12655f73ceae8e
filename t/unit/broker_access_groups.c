/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of callers that SpawnAccess lets in: a caller that brings very many
 * takes no memory of the broker's by that, and what they let it do is found
 * again when what is said of them changes.
 */
#include "t/unit/broker_listed.h"
#include "t/unit/corner.h"

#define MANY    60000
#define CALLERS 24

static gid_t many[MANY];

static void set_many(void)
{
    size_t i;

    for (i = 0; i < MANY; i++)
        many[i] = (gid_t)(70000 + i);
}

static long resident(void)
{
    char path[60];
    long pages = 0, used = 0;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)broker);
    f = fopen(path, "re");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &pages, &used), 2);
    (void)fclose(f);
    return used * sysconf(_SC_PAGESIZE);
}

static void groups_take_no_memory(void **state)
{
    int callers[CALLERS];
    long before;
    int i;

    NEEDS_ROOT;
    set_many();
    say_of(NULL, 0, many[MANY - 1], SPAWN_MAY_SEE);
    reach_go_and_call_in();
    for (i = 0; i <= CALLERS; i++) {
        connect_in(OTHER, OTHER, many, MANY);
        say_hello();
        expect_answer(SPAWN_M_WELCOME);
        if (i == 0) { /* the first has what any connection needs */
            before = resident();
            continue;
        }
        callers[i - 1] = caller;
        caller = -1;
    }
    /* they are CALLERS * MANY * 4 bytes */
    if (resident() - before > CALLERS * (long)MANY)
        fail_msg("%ld bytes", resident() - before);
    spawn_close_fds(callers, CALLERS);
}

static unsigned list(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_LIST, NULL);
    ask(&w);
    assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    return message.header.type;
}

static void a_change_finds_them_again(void **state)
{
    NEEDS_ROOT;
    set_many();
    say_of(NULL, OTHER, 0, SPAWN_MAY_KILL);
    reach_go_and_call_in();
    connect_in(OTHER, OTHER, many, MANY);
    say_hello();
    expect_answer(SPAWN_M_WELCOME);
    assert_int_equal(list(), SPAWN_M_REFUSED);
    say_of(NULL, 0, many[12345], SPAWN_MAY_SEE);
    configure_again();
    assert_int_equal(list(), SPAWN_M_END);
    said[1].gid = STAFF;
    configure_again();
    assert_int_equal(list(), SPAWN_M_REFUSED);
}

/* Its own stands before the others, whatever their numbers are. */
static void its_own_is_found_before_others(void **state)
{
    NEEDS_ROOT;
    say_of(NULL, 0, STAFF, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    connect_with(OTHER, STAFF, OPS);
    say_hello();
    expect_answer(SPAWN_M_WELCOME);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up_each, tear_down_all)
    const struct CMUnitTest tests[] = {ALONE(groups_take_no_memory),
                                       ALONE(a_change_finds_them_again),
                                       ALONE(its_own_is_found_before_others)};

    find_broker();
    return cmocka_run_group_tests_name("groups of callers", tests, NULL, NULL);
}
