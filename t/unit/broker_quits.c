/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker that is told to quit when httpd has gone: post socket and inbox end
 * with the spawner, so all that was posted is in the store before.
 */
#include "t/unit/broker_post.h"

#define POSTS (SLOTS + 5) /* some are in the socket when all slots are full */

static void what_was_posted_is_stored_first(void **state)
{
    spawn_id ids[POSTS];
    int status;
    unsigned i;

    (void)state;
    queue_waits = POSTS;
    make_inbox();
    reach_ready_and_call_in();
    broker_sleeps();
    for (i = 0; i < POSTS; i++)
        post(&ids[i]);
    say(SPAWN_M_LINGER);
    say(SPAWN_M_QUIT);
    broker_goes_on();
    assert_int_equal(waitpid(broker, &status, 0), broker);
    broker = 0;
    assert_int_equal(status, 0);
    expect_sql("SELECT count(*) FROM job", "133");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        what_was_posted_is_stored_first, set_up, tear_down_all)};

    find_broker();
    return cmocka_run_group_tests_name("a broker that quits", tests, NULL,
                                       NULL);
}
