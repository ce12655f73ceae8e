/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories of jobs in the spawner: when one is removed, with its job or
 * later, and whose are left alone.
 */
#include "t/unit/spawner_cgroups.h"

/* The first look is soon after the start. */
static void first_look(void)
{
    cgroup_configure(top);
    assert_int_equal(cgroup_timers(mono), -1);
    assert_int_equal(cgroup_timers(mono + 100000), -1);
}

static void one_goes_with_its_job(void **state)
{
    job *j;

    (void)state;
    first_look();
    j = add(1, 0);
    has_one(j, PROGRAM);
    cgroup_leave(j);
    assert_int_equal(j->cgroup, 0);
    assert_int_equal(entries_there(), 0);
    assert_int_equal(cgroup_timers(mono), -1);
    /* without a reason nothing is looked for */
    make_one(NAME("09"));
    wall += 60;
    assert_int_equal(cgroup_timers(mono + 1), -1);
    remove_one(NAME("09"));
    has_one(j, PROGRAM); /* it has gone already */
    remove_one(NAME("01"));
    cgroup_leave(j);
    assert_int_equal(j->cgroup, 0);
    assert_int_equal(cgroup_timers(mono), -1);
}

static void one_that_is_used_goes_later(void **state)
{
    static const int waits[] = {2000,  4000,  8000,  16000,
                                32000, 60000, 60000, 60000};
    unsigned i;
    job *j;

    (void)state;
    first_look();
    j = add(1, 0);
    has_one(j, PROGRAM);
    leave_one_in(NAME("01"));
    wall += 60;
    cgroup_leave(j);
    assert_int_equal(j->cgroup, 0);
    assert_int_equal(cgroup_timers(mono), 1000);
    assert_int_equal(cgroup_timers(mono + 999), 1);
    mono += 1000;
    assert_int_equal(cgroup_timers(mono), 1000);
    mono += 1000;
    for (i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        assert_int_equal(cgroup_timers(mono), waits[i]);
        mono += waits[i];
    }
    /* the next one that is left is looked at soon */
    j = add(2, 0);
    has_one(j, PROGRAM);
    leave_one_in(NAME("02"));
    cgroup_leave(j);
    assert_int_equal(cgroup_timers(mono), 1000);
    remove_left_of(NAME("01"));
    remove_left_of(NAME("02"));
    mono += 1000;
    assert_int_equal(cgroup_timers(mono), -1);
    assert_int_equal(entries_there(), 0);
    assert_int_equal(cgroup_timers(mono + 1), -1);
}

static void those_of_nobody_and_of_others_stay(void **state)
{
    static const char *const others[] = {"others",
                                         "spawn",
                                         OF_US,
                                         "x" NAME("01"),
                                         OF_US "01",
                                         "spawn-" ID("01"),
                                         OF_THEM ID("01"),
                                         OF_THEM ID("02") "-1",
                                         "spawn-acc63fb8_" ID("01"),
                                         "mod_spawn.self"};
    unsigned i;

    (void)state;
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        make_one(others[i]);
    make_one(NAME("09"));
    make_one(NAME("0a") "-7");
    (void)close(open(in_dir(NAME("0b")), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    wall += 60;
    cgroup_configure(top);
    assert_int_equal(cgroup_timers(mono), 1000); /* a file is not removed */
    assert_false(is_there(NAME("09")));
    assert_false(is_there(NAME("0a") "-7"));
    assert_int_equal(entries_there(), i + 1);
}

static void those_of_jobs_that_live_stay(void **state)
{
    job *j;

    (void)state;
    cgroup_configure(top);
    wall += 60;
    j = add(1, 0);
    has_one(j, PROGRAM);
    assert_int_equal(cgroup_timers(mono), -1);
    assert_true(is_there(NAME("01")));
    /* a group that an earlier attempt has left is not in use */
    make_one(NAME("01") "-2");
    leave_one_in(NAME("01") "-2");
    make_one(NAME("02"));
    (void)add(2, 0); /* it has none */
    cgroup_configure(top);
    assert_int_equal(cgroup_timers(mono), 1000);
    assert_false(is_there(NAME("02")));
    remove_left_of(NAME("01") "-2");
    mono += 1000;
    assert_int_equal(cgroup_timers(mono), -1);
    assert_false(is_there(NAME("01") "-2"));
    assert_true(is_there(NAME("01")));
}

/* Another spawner is about to use it. */
static void young_ones_stay(void **state)
{
    struct stat st;

    (void)state;
    make_one(NAME("09"));
    assert_int_equal(stat(in_dir(NAME("09")), &st), 0);
    wall = st.st_ctime;
    cgroup_configure(top);
    assert_int_equal(cgroup_timers(mono), 1000);
    wall = st.st_ctime + 9;
    mono += 1000;
    assert_int_equal(cgroup_timers(mono), 2000);
    assert_true(is_there(NAME("09")));
    wall = st.st_ctime + 10;
    mono += 2000;
    assert_int_equal(cgroup_timers(mono), -1);
    assert_false(is_there(NAME("09")));
}

static void all_places_are_looked_at(void **state)
{
    (void)state;
    make_one("a");
    make_one("b");
    make_one("a/" NAME("08"));
    make_one("b/" NAME("09"));
    wall += 60;
    cgroup_configure(in_dir("a"));
    cgroup_configure(in_dir("b"));
    assert_int_equal(cgroup_timers(mono), -1);
    assert_false(is_there("a/" NAME("08")));
    assert_false(is_there("b/" NAME("09")));
    remove_one("a");
    remove_one("b");
}

/* More than one look takes: the next one goes on behind it. */
static void those_behind_many_are_found(void **state)
{
    char name[16];
    int i;

    (void)state;
    make_one(NAME("09")); /* it comes last, or first */
    for (i = 0; i < LOOKS_MOST + 50; i++) {
        (void)snprintf(name, sizeof(name), "o%d", i);
        make_one(name);
    }
    make_one(NAME("0a"));
    wall += 60;
    cgroup_configure(top);
    assert_int_equal(cgroup_timers(mono), 1000);
    mono += 1000;
    assert_int_equal(cgroup_timers(mono), 2000);
    assert_false(is_there(NAME("09")));
    assert_false(is_there(NAME("0a")));
}

static int without_a_look(void)
{
    no_more_descriptors();
    IS(cgroup_timers(mono) == 1000);
    return 0;
}

static int without_memory_for_a_look(void)
{
    int next = dup(0);

    (void)close(next);
    deny(SYS_fcntl, ENOMEM); /* with which fdopendir begins */
    IS(cgroup_timers(mono) == 1000);
    IS(dup(0) == next); /* none is left open */
    return 0;
}

static void a_look_that_fails_is_made_again(void **state)
{
    unsigned before;

    (void)state;
    make_one(NAME("09"));
    cgroup_configure(top);
    before = open_count();
    HOLDS_IN_A_CHILD(without_a_look);
    HOLDS_IN_A_CHILD(without_memory_for_a_look);
    wall += 60;
    assert_int_equal(cgroup_timers(mono), -1);
    assert_int_equal(open_count(), before);
}

/* So many names are read in one look. */
static void a_look_is_short(void **state)
{
    char name[16];
    unsigned i;

    (void)state;
    for (i = 0; i < 1998; i++) { /* "." and ".." are names, too */
        (void)snprintf(name, sizeof(name), "%u", i);
        make_one(name);
    }
    cgroup_configure(top);
    assert_int_equal(cgroup_timers(mono), -1);
    make_one("one more");
    cgroup_configure(top);
    assert_int_equal(cgroup_timers(mono), 1000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_goes_with_its_job),
        T(one_that_is_used_goes_later),
        T(those_of_nobody_and_of_others_stay),
        T(those_of_jobs_that_live_stay),
        T(young_ones_stay),
        T(all_places_are_looked_at),
        T(those_behind_many_are_found),
        T(a_look_that_fails_is_made_again),
        T(a_look_is_short),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_cgroup_left", tests, NULL,
                                       NULL);
}
