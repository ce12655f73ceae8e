/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run of a recurring job that is started by hand has an id of its caller's:
 * it is taken as that of any job, when it cannot be of one that has run and was
 * forgotten, and is not of the future.
 */
#include "t/unit/broker_crons.h"

#define HOUR 3600000

static void of_time(spawn_id *ret, uint64_t ms)
{
    int i;

    (void)spawn_id_make(ret);
    for (i = 0; i < 6; i++)
        ret->bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
}

static uint64_t now(void)
{
    return (uint64_t)(spawn_wall_ms() + steps[0] * 1000);
}

static void an_id_that_may_have_been_forgotten_is_refused(void **state)
{
    char sql[200];

    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    it_is("2027-01-01 12:30:00");
    make_store();
    (void)snprintf(sql, sizeof(sql),
                   "INSERT OR REPLACE INTO meta VALUES('watermark', %llu)",
                   (unsigned long long)(now() - HOUR));
    run_sql(sql);
    starts();
    of_time(&run, now() - 2 * HOUR);
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_refusal(SPAWN_E_TOO_OLD);
    no_run();
    of_time(&run, now());
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &run);
    it_ends(0);
}

static void an_id_of_the_future_is_refused(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    it_is("2027-01-01 12:30:00");
    starts();
    of_time(&run, now() + 24 * HOUR);
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_refusal(SPAWN_E_TOO_OLD);
    no_run();
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(an_id_that_may_have_been_forgotten_is_refused),
        ALONE(an_id_of_the_future_is_refused)};

    find_broker();
    return cmocka_run_group_tests_name("cron_ids", tests, NULL, NULL);
}
