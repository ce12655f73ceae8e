/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner ends before all of its orders could be sent to it: jobs that it
 * was never told of wait for the next one, and are not lost. The protocol of
 * broker_unstored.h.
 */
#include "t/unit/broker_unstored.h"

#define JOBS 700 /* the link takes some 250 orders */
#define READ 5

static spawn_id ids[JOBS];
static unsigned launched[JOBS];

static unsigned number_of(const spawn_id *id)
{
    unsigned i;

    for (i = 0; i < JOBS; i++) {
        if (spawn_id_equal(id, &ids[i]))
            return i;
    }
    fail_msg("a job of somebody else");
    return 0;
}

static void order_is_read(void)
{
    spawn_id id;

    expect(SPAWN_M_LAUNCH);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
    launched[number_of(&id)]++;
}

static void
jobs_whose_orders_were_not_sent_wait_for_the_next_spawner(void **state)
{
    unsigned i, lost, more;

    (void)state;
    make_store();
    queue_jobs = queue_waits = JOBS;
    for (i = 0; i < JOBS; i++) {
        (void)spawn_id_make(&ids[i]);
        put_job(&ids[i], 1, NULL);
    }
    reach_go();
    for (i = 0; i < READ; i++)
        order_is_read();
    end_broker();
    lost = JOBS
           - (unsigned)strtoul(ask_sql("SELECT count(*) FROM job"
                                       " WHERE state = 1"),
                               NULL, 10);
    assert_in_range(lost, READ, JOBS - 1);
    another_spawner();
    reach_go();
    for (more = JOBS - lost; more > 0; more--)
        order_is_read();
    for (i = 0; i < JOBS; i++)
        assert_in_range(launched[i], 0, 1);
    end_broker();
    expect_sql("SELECT count(*) FROM job WHERE state = 1", "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        jobs_whose_orders_were_not_sent_wait_for_the_next_spawner, set_up,
        tear_down)};

    find_broker();
    return cmocka_run_group_tests_name("broker", tests, NULL, NULL);
}
