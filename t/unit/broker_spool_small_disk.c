/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of the spool whose job is refused, on a disk with little room: it
 * stays until the store has the refusal. Only root mounts such a disk.
 */
#include "t/unit/broker_small_disk.h"
#include "t/unit/broker_spooled.h"

/* In a queue that nobody has. */
static void spool(spawn_id *ret)
{
    spawn_writer w;

    (void)spawn_id_make(ret);
    begin_submit(&w, ret, "/bin/true");
    spawn_put_str(&w, SPAWN_A_QUEUE, "unknown");
    lies_in_spool(ret, &w);
}

/* True: it was refused, and waited for its piece when the next file had the
 * spool read once more. Its own piece fails. */
static bool is_read_before_its_piece(spawn_id *ret)
{
    spawn_id next;
    unsigned i;
    bool before;

    make_store_that_fails("BEFORE INSERT ON job WHEN NEW.outcome = 5");
    log_is_kept = true;
    start();
    for (i = 0; i < JOBS; i++)
        says(&ids[i], 90 * 4096);
    for (i = 0; i < JOBS; i++)
        wait_for(&ids[i]);
    broker_sleeps();
    for (i = 0; i < JOBS; i++)
        say_exited(&ids[i], 0, 0);
    spool(ret);
    broker_goes_on();
    expect_answer(SPAWN_M_JOB); /* of the first piece */
    broker_sleeps();
    before = logged("MS0560") == 1 && logged("MS0860") == 0;
    spool(&next);
    broker_goes_on();
    for (i = 1; i < JOBS; i++)
        expect_answer(SPAWN_M_JOB);
    return before;
}

static void a_file_stays_until_its_refusal_has_its_piece(void **state)
{
    char path[SPOOL_PATH], who[80], text[SPAWN_ID_TEXT];
    int64_t end = spawn_mono_ms() + DEADLINE_MS;
    unsigned i;
    spawn_id id;

    for (i = 0; i < 20 && !is_read_before_its_piece(&id); i++) {
        assert_int_equal(tear_down_disk(state), 0);
        assert_int_equal(set_up_disk(state), 0);
    }
    assert_true(i < 20);
    (void)snprintf(who, sizeof(who), "MS0860: job %s",
                   spawn_id_format(&id, text));
    while (!logged(who) && spawn_mono_ms() < end) /* each second once more */
        (void)usleep(1000);
    assert_true(logged(who));
    assert_int_equal(access(path_in_spool(&id, path), F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        a_file_stays_until_its_refusal_has_its_piece, set_up_disk,
        tear_down_disk)};

    find_broker();
    if (no_clocks() || no_small_disk())
        return 0;
    return cmocka_run_group_tests_name("spool on a small disk", tests, NULL,
                                       NULL);
}
