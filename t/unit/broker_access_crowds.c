/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An account that SpawnAccess lets in has a part of the broker's descriptors:
 * when its connections are so many, the next one is dropped and told in the
 * log, and all others are let in. Children of httpd are not counted so.
 */
#include "t/unit/broker_listed.h"
#include "t/unit/corner.h"

#include <sys/resource.h>

#define FILES 256 /* of the broker */
#define MOST  32  /* of an account */

static int callers[MOST];

static void few_descriptors(void)
{
    const struct rlimit few = {FILES, FILES};

    (void)setrlimit(RLIMIT_NOFILE, &few);
}

static int set_up_few(void **state)
{
    int rv = set_up_each(state);

    in_broker = few_descriptors;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_SEE);
    say_of(NULL, 0, OPS, SPAWN_MAY_SEE);
    return rv;
}

static void say_secret(void)
{
    static const uint8_t secret[SPAWN_SECRET_SIZE] = {7};
    spawn_writer w;

    begin(&w, SPAWN_M_HELLO, NULL);
    spawn_put_str(&w, SPAWN_A_CLIENT, "test");
    spawn_put_bytes(&w, SPAWN_A_SECRET, secret, sizeof(secret));
    ask(&w);
}

/* The broker has ended the connection. */
static bool is_dropped(void)
{
    struct pollfd p = {caller, POLLIN, 0};
    char byte;

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    return recv(caller, &byte, 1, 0) <= 0;
}

static void all_come(void)
{
    int i;

    for (i = 0; i < MOST; i++) {
        caller = -1;
        connect_with(BACKUP, BACKUP, 0);
        say_hello();
        expect_answer(SPAWN_M_WELCOME);
        callers[i] = caller;
    }
    caller = -1;
}

static void an_account_has_a_part_of_the_descriptors(void **state)
{
    NEEDS_ROOT;
    reach_go();
    all_come();
    connect_with(BACKUP, BACKUP, 0);
    assert_true(is_dropped());
    wait_until_logged("MS0548: a caller", 1);
    /* others come, also those that a group lets in */
    connect_with(OTHER, OPS, 0);
    say_hello();
    expect_answer(SPAWN_M_WELCOME);
    (void)close(caller);
    call_in();
    spawn_close_fds(callers, MOST);
}

static void one_that_goes_makes_room(void **state)
{
    int64_t until;

    NEEDS_ROOT;
    reach_go();
    all_come();
    (void)close(callers[5]);
    callers[5] = -1;
    for (until = spawn_mono_ms() + DEADLINE_MS;;) {
        spawn_writer w;

        connect_with(BACKUP, BACKUP, 0);
        begin(&w, SPAWN_M_HELLO, NULL);
        spawn_put_str(&w, SPAWN_A_CLIENT, "test");
        assert_int_equal(spawn_writer_finish(&w, 0), 0);
        (void)spawn_packet_send(caller, w.data, w.length, NULL, 0);
        spawn_writer_free(&w);
        if (!is_dropped())
            break;
        assert_true(spawn_mono_ms() < until);
    }
    connect_with(BACKUP, BACKUP, 0); /* in its place */
    say_hello();
    expect_answer(SPAWN_M_WELCOME);
    spawn_close_fds(callers, MOST);
}

static void children_of_httpd_are_as_many_as_they_are(void **state)
{
    int more[MOST + 8], i;

    NEEDS_ROOT;
    any_account = true;
    reach_go();
    for (i = 0; i < MOST + 8; i++) {
        caller = -1;
        connect_with(BACKUP, BACKUP, 0);
        say_secret();
        expect_answer(SPAWN_M_WELCOME);
        more[i] = caller;
    }
    caller = -1;
    all_come(); /* without it */
    spawn_close_fds(callers, MOST);
    spawn_close_fds(more, MOST + 8);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up_few, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(an_account_has_a_part_of_the_descriptors),
        ALONE(one_that_goes_makes_room),
        ALONE(children_of_httpd_are_as_many_as_they_are)};

    find_broker();
    return cmocka_run_group_tests_name("many callers of an account", tests,
                                       NULL, NULL);
}
