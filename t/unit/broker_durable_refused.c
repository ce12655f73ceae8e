/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs while jobs.db does not take what becomes of them: neither
 * jobs.db nor the ledger says something of them that the other one does not
 * know; and new ones while the ledger is unread. The protocol of
 * broker_durable.h.
 */
#include "t/unit/broker_durable.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "common/spawn_rule.h"

#define TAKES_NO_END                                                           \
    "CREATE TRIGGER refuses BEFORE UPDATE OF state ON job"                     \
    " WHEN NEW.state = 4 BEGIN SELECT RAISE(ABORT, 'by a test'); END"
#define TAKES_ALL "DROP TRIGGER refuses"
#define IS_DUE    "UPDATE job SET due_at = 1, due_boot = NULL"

static void store_changes(const char *sql)
{
    kill_broker();
    wait_for_the_scribe();
    run_sql(sql);
    another_broker();
}

/* That it was killed is refused, so it waits still. */
static void one_that_was_killed_in_vain_starts_as_a_durable_one(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    store_changes(TAKES_NO_END);
    kill_it(0);
    expect_answer(SPAWN_M_REFUSED);
    has_heard();
    store_changes(TAKES_ALL ";" IS_DUE);
    expect_id(SPAWN_M_LAUNCH, &job);
    kill_broker();
    wait_for_the_scribe();
    expect_ledger("SELECT state FROM job", "2");
}

/* The kill was refused, and a power cut does not make it true. */
static void nor_does_it_end_with_the_power(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    store_changes(TAKES_NO_END);
    kill_it(0);
    expect_answer(SPAWN_M_REFUSED);
    has_heard();
    the_power_was_cut(TAKES_ALL);
    another_broker();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DELAYED);
}

#define TAKES_NO_JOB                                                           \
    "CREATE TRIGGER refuses BEFORE INSERT ON job WHEN NEW.due_at IS NULL"      \
    " BEGIN SELECT RAISE(ABORT, 'by a test'); END"

/* Until then a broker that comes anew would find it there. */
static void it_is_refused_when_the_ledger_has_forgotten_it(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    store_changes(TAKES_NO_JOB);
    a_durable_job_waits(); /* the next sync is of one record */
    disk[HANG_AFTER] = 1;
    submit_durable();
    wait_for_a_hang();
    quiet_at(caller, 50);
    disk_goes_on();
    expect_refused_with("the store did not take it");
    store_changes(TAKES_ALL);
    has_heard();
    quiet_for(30);
    kill_broker();
    wait_for_the_scribe();
    expect_ledger("SELECT count(*) FROM job", "2");
}

/* The next sync hangs as well: the broker can send nothing meanwhile. */
static void only_this_one_goes_on(void)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;

    broker_sleeps();
    disk[HANG_AFTER] = 1;
    while (disk[HANGS] && spawn_mono_ms() < until)
        (void)usleep(1000);
    assert_int_equal(disk[HANGS], 0);
    disk[HANG_AFTER] = 0;
    broker_goes_on();
}

static void replace_by(bool durable)
{
    spawn_writer w;

    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    if (durable)
        spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    else
        spawn_put_u64(&w, SPAWN_A_DELAY, 3600000);
    spawn_put_str(&w, SPAWN_A_UNIQUE, "k");
    spawn_put_u64(&w, SPAWN_A_ON_CONFLICT, SPAWN_CONFLICT_REPLACE);
    ask(&w);
}

/* The other one had it stored, so it is known: it waits until its end is. */
static void one_that_is_replaced_is_not(void **state)
{
    spawn_id first;
    spawn_writer w;

    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    store_changes(TAKES_NO_END);
    a_durable_job_waits();
    disk[HANG_AFTER] = 0;
    replace_by(true);
    first = job;
    wait_for_a_hang();
    replace_by(false);
    expect_answer(SPAWN_M_ACCEPTED);
    wait_until_logged("MS0530", 1);
    job = first;
    begin(&w, SPAWN_M_GET, &job); /* nor is it known yet */
    ask(&w);
    quiet_at(caller, 50);
    disk_goes_on();
    store_changes(TAKES_ALL);
    has_heard();
    expect_outcome(SPAWN_OUTCOME_CANCELLED);
}

#define TAKES_ONE_SLOWLY                                                       \
    "CREATE TABLE many (n INTEGER);"                                           \
    "INSERT INTO many VALUES (1), (2), (3), (4), (5), (6), (7), (8);"          \
    "INSERT INTO many SELECT a.n FROM many a, many b, many c, many d;"         \
    "CREATE TRIGGER slow AFTER INSERT ON job WHEN NEW.unique_key IS NOT NULL"  \
    " AND NEW.due_at IS NOT NULL BEGIN"                                        \
    " SELECT count(*) FROM many a, many b WHERE a.n + b.n = 3; END"

static void wait_until_it_is_read(int fd)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    int left = 1;

    while (ioctl(fd, SIOCOUTQ, &left) == 0 && left > 0
           && spawn_mono_ms() < until)
        (void)usleep(1000);
    assert_int_equal(left, 0);
}

/* While the other one is being stored: so its end, which is not, is of a job
 * that both have. */
static void nor_is_one_that_the_ledger_takes_meanwhile(void **state)
{
    spawn_id first;

    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    store_changes(TAKES_NO_END ";" TAKES_ONE_SLOWLY);
    a_durable_job_waits();
    disk[HANG_AFTER] = 0;
    replace_by(true);
    first = job;
    wait_for_a_hang();
    replace_by(false);
    wait_until_it_is_read(caller);
    disk_goes_on();
    expect_answer(SPAWN_M_ACCEPTED);
    wait_until_logged("MS0530", 1);
    quiet_at(caller, 50);
    store_changes(TAKES_ALL ";DROP TRIGGER slow;DROP TABLE many");
    has_heard();
    job = first;
    expect_outcome(SPAWN_OUTCOME_CANCELLED);
}

/* If the broker ended now, the next one would run both. */
static void who_comes_after_it_is_cancelled_then(void **state)
{
    spawn_id first;
    spawn_writer w;

    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    store_changes(TAKES_NO_JOB);
    a_durable_job_waits();
    disk[HANG_AFTER] = 0;
    submit_durable();
    first = job;
    wait_for_a_hang();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_DELAY, 3600000);
    spawn_put_bytes(&w, SPAWN_A_AFTER, &first, sizeof(first));
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    only_this_one_goes_on();
    wait_for_a_hang();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DELAYED);
    disk_goes_on();
    expect_refused_with("the store did not take it");
    has_heard();
    expect_outcome(SPAWN_OUTCOME_CANCELLED);
}

static void wait_until_the_disk_hangs_next(void)
{
    int64_t end = spawn_mono_ms() + DEADLINE_MS;

    while (disk[HANG_AFTER] && spawn_mono_ms() < end)
        (void)usleep(1000);
    assert_int_equal(disk[HANG_AFTER], 0);
}

/* It is durable as well, so the ledger takes both in one transaction: it is
 * looked at itself, and the one before it is gone already. */
static void so_is_one_that_came_with_it(void **state)
{
    spawn_id first;
    spawn_writer w;

    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    store_changes(TAKES_NO_JOB);
    a_durable_job_waits();
    disk[HANG_AFTER] = 0;
    begin_durable(&w);
    spawn_put_u64(&w, SPAWN_A_DELAY, 3600000);
    ask(&w);
    wait_for_a_hang(); /* orders that come now are the next transaction */
    submit_durable();
    first = job;
    begin_durable(&w);
    spawn_put_u64(&w, SPAWN_A_DELAY, 3600000);
    spawn_put_bytes(&w, SPAWN_A_AFTER, &first, sizeof(first));
    ask(&w);
    has_heard(); /* and has sent both */
    broker_sleeps();
    disk[HANG_AFTER] = 1; /* the one after it, which drops the first one */
    wait_until_the_disk_hangs_next();
    broker_goes_on();
    expect_answer(SPAWN_M_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    wait_for_a_hang();
    comes_to_rest();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DELAYED);
    disk_goes_on();
    expect_refused_with("the store did not take it");
    has_heard();
    expect_outcome(SPAWN_OUTCOME_CANCELLED);
}

static void so_is_who_waits_for_its_end(void **state)
{
    spawn_writer w;

    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    store_changes(TAKES_NO_JOB);
    a_durable_job_waits(); /* the next sync is of one record */
    disk[HANG_AFTER] = 1;
    begin_durable(&w);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    wait_for_a_hang();
    quiet_at(caller, 50);
    disk_goes_on();
    expect_refused_with("the store did not take it");
    has_heard();
}

/* One comes in the place of one that died, a second later. */
static void another_scribe_fails_too(void)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    const int32_t before = disk[SYNCS];

    while (disk[SYNCS] == before) {
        assert_true(spawn_mono_ms() < until);
        later_by(2);
        (void)poll(NULL, 0, 20);
    }
}

/* The scribe that died may have written it. */
static void so_is_one_that_may_be_there(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    disk[HANG_AFTER] = 0;
    submit_durable();
    wait_for_a_hang();
    disk[FAIL_NEXT] = -1;
    kill_scribe();
    disk_goes_on();
    wait_until_logged("MS0696", 1);
    another_scribe_fails_too();
    quiet_at(caller, 100);
    disk[FAIL_NEXT] = 0;
    expect_refused_with("cannot be stored");
    has_heard();
    quiet_for(30);
    kill_broker();
    wait_for_the_scribe();
    expect_ledger("SELECT count(*) FROM job", "1");
}

static spawn_id first;

static void begin_with_key(spawn_writer *w)
{
    spawn_put_str(w, SPAWN_A_UNIQUE, "k");
    spawn_put_u64(w, SPAWN_A_ON_CONFLICT, SPAWN_CONFLICT_REPLACE);
}

/* The type of the answer to the submitter of `first`. */
static unsigned answer_of_first(void)
{
    spawn_id id;

    do { /* the other one is accepted */
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
        spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
    } while (!spawn_id_equal(&id, &first));
    return message.header.type;
}

/* The answer about a job that is replaced while the ledger refuses it, in the
 * same turn, is as the store has it. */
static void the_answer_is_what_the_store_says_to(spawn_reply reply,
                                                 unsigned good)
{
    spawn_writer w;
    unsigned told;

    reach_go_and_call_in();
    a_durable_job_waits();
    disk[HANG_AFTER] = 0;
    begin_durable(&w);
    begin_with_key(&w);
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
    first = job;
    wait_for_a_hang();
    assert_int_equal(kill(broker, SIGSTOP), 0);
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    begin_with_key(&w);
    ask(&w);
    disk[FAIL_NEXT] = -1;
    disk_goes_on();
    (void)poll(NULL, 0, 100); /* so that the scribe answers before, mostly */
    assert_int_equal(kill(broker, SIGCONT), 0);
    wait_until_logged("MS0696", 1);
    disk[FAIL_NEXT] = 0;
    told = answer_of_first();
    assert_true(told == good || told == SPAWN_M_REFUSED);
    begin(&w, SPAWN_M_GET, &first);
    ask(&w);
    if (answer_of_first() == SPAWN_M_JOB) {
        assert_int_equal(told, good);
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                         SPAWN_STATE_DONE);
        return;
    }
    assert_int_equal(told, SPAWN_M_REFUSED);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]),
                     SPAWN_E_NO_SUCH_JOB);
}

static void the_answer_is_what_the_store_says(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    the_answer_is_what_the_store_says_to(SPAWN_REPLY_FINISHED, SPAWN_M_JOB);
}

static void so_is_that_it_is_accepted(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    the_answer_is_what_the_store_says_to(SPAWN_REPLY_ACCEPTED,
                                         SPAWN_M_ACCEPTED);
}

/* One that replaces it has it stored before the ledger does. */
static void it_is_not_known_before_it_is_on_the_disk(void **state)
{
    spawn_writer w;

    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    disk[HANG_AFTER] = 0;
    begin_durable(&w);
    begin_with_key(&w);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    first = job;
    wait_for_a_hang();
    assert_int_equal(kill(broker, SIGSTOP), 0); /* so that both come at once */
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    begin_with_key(&w);
    ask(&w);
    begin(&w, SPAWN_M_GET, &first);
    ask(&w);
    assert_int_equal(kill(broker, SIGCONT), 0);
    do { /* the other one's, and those of this one */
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    } while (message.header.type == SPAWN_M_ACCEPTED);
    assert_int_equal(message.header.type, SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DONE);
    disk_goes_on();
}

/* It may be one that the ledger has, and that is to run: no other reason says
 * that it was not taken. */
static void none_is_refused_by_a_full_queue(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    everything_is_killed();
    wait_for_the_scribe();
    hold_the_lock();
    queue_jobs = 1;
    queue_waits = 0;
    another_broker();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    submit_durable();
    queue_jobs = queue_waits = 10;
    expect_refusal(SPAWN_E_STORE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_was_killed_in_vain_starts_as_a_durable_one),
        TEST(nor_does_it_end_with_the_power),
        TEST(it_is_refused_when_the_ledger_has_forgotten_it),
        TEST(one_that_is_replaced_is_not),
        TEST(nor_is_one_that_the_ledger_takes_meanwhile),
        TEST(who_comes_after_it_is_cancelled_then),
        TEST(so_is_one_that_came_with_it),
        TEST(so_is_who_waits_for_its_end),
        TEST(so_is_one_that_may_be_there),
        TEST(the_answer_is_what_the_store_says),
        TEST(so_is_that_it_is_accepted),
        TEST(it_is_not_known_before_it_is_on_the_disk),
        TEST(none_is_refused_by_a_full_queue),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
