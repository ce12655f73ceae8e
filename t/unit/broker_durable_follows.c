/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger is waited for, but not for ever; it follows what happens to a job,
 * and forgets an end that the store has had for long. In one process
 * (broker_durable_clocked.h).
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "t/unit/broker_durable_clocked.h"

/* ---- it begins ---- */

static void nothing_is_read_where_there_is_none(void)
{
    spawn_failure why;

    ledger_is_there = false;
    CHECK(spawn_durable_begin("/nowhere"));
    ledger_is_there = true; /* another one */
    CHECK(spawn_durable_begin("/nowhere"));
    CHECK(begun == 0 && !scribe && marked == 0);
    CHECK(!spawn_durable_unread() && !spawn_durable_read());
    CHECK(spawn_durable_check(&why) == 0);
    CHECK(marked == 1 && scribe && spawn_durable_unread());
}

static void the_scribe_cannot_be_started(void)
{
    scribe_says = "no more processes";
    CHECK(spawn_durable_begin("/nowhere"));
    CHECK(begun == 0); /* it is said by what it returns */
    CHECK(spawn_durable_unread());
    CHECK(strstr(why_none_is_taken(), "no more processes"));
    CHECK(spawn_timer_next() == -1);
}

static void it_begins_within_four_seconds(void)
{
    timers(2000);
    CHECK(!spawn_durable_begin("/nowhere")); /* it still reads */
    timers(1999);
    CHECK(begun == 0);
    timers(1);
    CHECK(begun == 1);
    CHECK(spawn_durable_begin("/nowhere"));
    CHECK(strstr(why_none_is_taken(), "not read yet"));
    CHECK(spawn_timer_next() == -1);
}

static void it_begins_with_its_rows(void)
{
    scribe->rows_end(false);
    CHECK(begun == 1 && spawn_durable_begin("/nowhere"));
    CHECK(spawn_timer_next() == -1); /* it waits no longer */
    timers(MINUTE);
    CHECK(begun == 1);
}

/* ---- what is not known yet ---- */

static void nothing_is_decided_before_it_is_known(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_WAITS);
    CHECK(!spawn_durable_undecided(job));
    job->ledger = SPAWN_IN_LEDGER_UNREAD;
    CHECK(spawn_durable_undecided(job));
    job->ledger = SPAWN_IN_LEDGER_WAITS;
    is_noted = false; /* that it was read */
    CHECK(spawn_durable_undecided(job) && spawn_durable_in_trouble(job));
    job->ledger = SPAWN_IN_LEDGER_NOT;
    CHECK(!spawn_durable_undecided(job));
}

static void what_it_lacks_is_known_when_it_was_read(void)
{
    spawn_job *one, *two;

    spawn_batch_init(&batch, NULL);
    one = new_job(1, SPAWN_IN_LEDGER_ASKED);
    two = new_job(2, SPAWN_IN_LEDGER_ASKED);
    CHECK(!spawn_durable_lacks(one) && !spawn_durable_lacks(two));
    sends(1);
    scribe->rows_end(false);
    CHECK(!spawn_durable_lacks(one) && spawn_durable_lacks(two));
    two->ledger = SPAWN_IN_LEDGER_NOT;
    CHECK(!spawn_durable_lacks(two));
    two->ledger = SPAWN_IN_LEDGER_ASKED; /* it is in no lane */
}

static void another_one_is_made_for_those_of_one_that_is_lost(void)
{
    ledger_is_there = false;
    CHECK(spawn_durable_begin("/nowhere"));
    CHECK(spawn_durable_lost(NULL));
    ledger_was = false;
    CHECK(!spawn_durable_lost(NULL)); /* there was none */
    ledger_was = true;
    spawn_durable_recovered(false);
    CHECK(marked == 0 && !scribe);
    spawn_durable_recovered(true);
    CHECK(marked == 1 && scribe);
    CHECK(!spawn_durable_lost(NULL));
    spawn_durable_recovered(true);
    CHECK(marked == 1);
}

static void and_none_where_there_is_one(void)
{
    scribe->rows_end(false);
    spawn_durable_recovered(true);
    CHECK(marked == 0);
}

static void none_starts_before_it_was_read(void)
{
    spawn_job *job;

    spawn_batch_init(&batch, NULL);
    job = new_job(1, SPAWN_IN_LEDGER_WAITS);
    timers(4000);
    CHECK(begun == 1 && spawn_durable_in_trouble(job));
    scribe->rows_end(false);
    CHECK(!spawn_durable_in_trouble(job));
}

/* Nothing else has to happen. */
static void those_that_waited_for_it_start(void)
{
    is_noted = false;
    it_goes();
    spawn_durable_recovered(false);
    turns_wanted = 0;
    spawn_durable_stored(NULL);
    CHECK(decided == 1 && turns_wanted > 0);
}

/* ---- what people are told ---- */

static int log_file;

static void the_log_is_read(void)
{
    log_file = memfd_create("log", MFD_CLOEXEC);
    CHECK(log_file >= 0 && dup2(log_file, STDERR_FILENO) == STDERR_FILENO);
}

static unsigned lines_with(const char *part)
{
    static char text[20000];
    const char *at = text;
    unsigned count = 0;
    ssize_t n = pread(log_file, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    while ((at = strstr(at, part))) {
        count++;
        at++;
    }
    return count;
}

static void a_trouble_is_told_each_minute(void)
{
    the_log_is_read();
    it_goes();
    CHECK(lines_with("MS069") == 0);
    scribe->trouble("the disk fails");
    CHECK(lines_with("MS0696") == 1 && lines_with("the disk fails") == 1);
    clock_ms += MINUTE - 1;
    scribe->trouble("the disk fails");
    CHECK(lines_with("MS0696") == 1);
    clock_ms += 1;
    scribe->trouble("the disk fails");
    CHECK(lines_with("MS0696") == 2 && lines_with("MS0697") == 0);
    scribe->trouble(NULL);
    CHECK(lines_with("MS0697") == 1);
    scribe->trouble(NULL);
    CHECK(lines_with("MS0697") == 1);  /* once */
    scribe->trouble("the disk fails"); /* and this is another one */
    CHECK(lines_with("MS0696") == 3);
}

/* One of two reasons is not all. */
static void that_it_is_over_is_told_when_it_is(void)
{
    the_log_is_read();
    timers(4000);
    CHECK(lines_with("could not be read within 4 s") == 1);
    scribe->trouble("the disk fails");
    scribe->trouble(NULL);
    CHECK(lines_with("MS0697") == 0);
    scribe->trouble("the disk fails");
    scribe->rows_end(false);
    CHECK(lines_with("MS0697") == 0);
    scribe->trouble(NULL);
    CHECK(lines_with("MS0697") == 1);
}

static void so_it_is_with_the_rows(void)
{
    the_log_is_read();
    timers(4000);
    scribe->rows_end(false);
    CHECK(lines_with("MS0697") == 1);
}

static void so_it_is_with_the_last_late_one(void)
{
    the_log_is_read();
    timers(4000);
    spawn_durable_recovered(false);
    spawn_phase.recovered = true;
    sends(1);
    store_fails_at = 1;
    scribe->rows_end(false);
    CHECK(lines_with("MS0697") == 0);
    timers(1000);
    CHECK(late_count == 1 && lines_with("MS0697") == 1);
}

static void a_copy_is_told(void)
{
    the_log_is_read();
    scribe->copied(5, 0, "the disk fails");
    CHECK(lines_with("MS0699") == 1 && lines_with("(the disk fails)") == 1);
    CHECK(lines_with("/durable-5.db") == 1);
    scribe->copied(6, 7, NULL);
    CHECK(lines_with("MS0698") == 1 && lines_with("7 of its jobs") == 1);
    CHECK(lines_with("damaged-durable-6.db") == 1);
    CHECK(lines_with("MS0699") == 1);
}

/* ---- where the store is ---- */

static long type_of_disk;

int __wrap_statfs(const char *path, struct statfs *ret);

int __wrap_statfs(const char *path, struct statfs *ret)
{
    (void)path;
    memset(ret, 0, sizeof(*ret));
    ret->f_type = (__typeof__(ret->f_type))type_of_disk;
    return 0;
}

static void it_is_refused_in(const char *made_as, const char *why)
{
    static char path[60];
    spawn_failure failure = {.code = SPAWN_E_OK};
    int rv;

    (void)strcpy(path, made_as);
    CHECK(mkdtemp(path));
    spawn_conf.store_path = path;
    rv = spawn_durable_check(&failure);
    CHECK(rmdir(path) == 0);
    if (!why) {
        CHECK(rv == 0 && scribe);
        return;
    }
    CHECK(rv == -1 && failure.code == SPAWN_E_STORE && !scribe);
    CHECK(failure.error == ENOTSUP && strstr(failure.text, why));
    CHECK(strstr(failure.text, path));
}

static void in_memory_it_is_not(void)
{
    static char run[] = "/run";
    const char *beside = geteuid() == 0 ? "/run-test-XXXXXX" : "/tmp/XXXXXX";
    spawn_failure why;

    ledger_is_there = false;
    CHECK(spawn_durable_begin("/nowhere"));
    type_of_disk = 0x01021994; /* TMPFS_MAGIC */
    it_is_refused_in("/tmp/spawn-test-XXXXXX", "is on a tmpfs");
    type_of_disk = 0x858458f6; /* RAMFS_MAGIC */
    it_is_refused_in("/tmp/spawn-test-XXXXXX", "is on a ramfs");
    type_of_disk = 0xef53; /* EXT4_SUPER_MAGIC */
    if (geteuid() == 0)
        it_is_refused_in("/run/spawn-test-XXXXXX", "is below /run");
    spawn_conf.store_path = run;
    CHECK(spawn_durable_check(&why) == -1 && strstr(why.text, "below /run"));
    it_is_refused_in(beside, NULL);
}

/* ---- what the ledger forgets ---- */

static void it_is_noted_that_it_was_read(void)
{
    it_goes();
    spawn_durable_recovered(false);
    spawn_durable_stored(NULL);
    CHECK(sent == 0);
}

static void it_is_trimmed_when_the_store_has_had_it_for_long(void)
{
    int64_t before;

    it_is_noted_that_it_was_read();
    spawn_durable_trim(NULL, 5);
    clock_ms += MINUTE;
    spawn_durable_stored(NULL); /* something else */
    clock_ms -= MINUTE;
    clock_ms += 2 * MINUTE - 1;
    spawn_durable_trim(NULL, 5);
    CHECK(sent == 0);
    clock_ms += 1;
    spawn_durable_trim(NULL, 5);
    CHECK(sent == SPAWN_LEDGER_TRIM && last.size == 5);
    before = spawn_wall_ms() - 2 * MINUTE;
    CHECK(last.newest <= before && last.newest > before - MINUTE);
    CHECK(last.before == last.newest); /* the store has none */
    oldest_end = 4711;
    spawn_durable_trim(NULL, 5);
    CHECK(last.before == 4711 && last.newest > before - MINUTE);
    oldest_end = spawn_wall_ms();
    spawn_durable_trim(NULL, 5);
    CHECK(last.before == last.newest);
}

static void it_is_not_trimmed_while_it_takes_nothing(void)
{
    it_is_noted_that_it_was_read();
    clock_ms += 10 * MINUTE;
    scribe->trouble("the disk fails");
    spawn_durable_trim(NULL, 5);
    CHECK(sent == 0);
    scribe->trouble(NULL);
    spawn_durable_trim(NULL, 5);
    CHECK(sent == SPAWN_LEDGER_TRIM);
}

static void it_is_not_trimmed_before_it_was_read(void)
{
    spawn_batch_init(&batch, NULL);
    timers(4000);
    CHECK(begun == 1);
    spawn_durable_recovered(false);
    spawn_durable_stored(NULL);
    clock_ms += 10 * MINUTE;
    spawn_durable_trim(NULL, 5);
    CHECK(sent == 0);
}

/* The store has each as soon as it has ended. */
static void whatever_ends_meanwhile(void)
{
    spawn_job *job;

    it_is_noted_that_it_was_read();
    clock_ms += 10 * MINUTE;
    job = chosen_job(1);
    scribe->answered(&last, NULL);
    has_ended(job);
    job->due = SPAWN_DUE_NOT;
    spawn_durable_follow(job);
    CHECK(sent == SPAWN_LEDGER_END);
    spawn_durable_trim(NULL, 5);
    CHECK(sent == SPAWN_LEDGER_TRIM);
}

/* The store has it only since then. */
static void nor_soon_after_the_store_took_an_end_at_last(void)
{
    spawn_job *job;

    it_is_noted_that_it_was_read();
    job = chosen_job(1);
    scribe->answered(&last, NULL);
    job->started_at = 1;
    spawn_job_on(job, SPAWN_JOB_BEGAN);
    has_ended(job);
    job->due = SPAWN_DUE_SOON;
    spawn_durable_follow(job); /* the store does not take it */
    CHECK(sent == SPAWN_LEDGER_END && last.alone);
    CHECK(job->ledger == SPAWN_IN_LEDGER_ALONE);
    sent = 0;
    spawn_durable_follow(job);
    CHECK(sent == 0); /* once */
    clock_ms += 10 * MINUTE;
    job->due = SPAWN_DUE_NOT;
    spawn_durable_follow(job);
    CHECK(sent == SPAWN_LEDGER_END && !last.alone);
    sent = 0;
    spawn_durable_follow(job);
    CHECK(sent == 0);
    spawn_durable_trim(NULL, 5);
    clock_ms += 2 * MINUTE - 1;
    spawn_durable_trim(NULL, 5);
    CHECK(sent == 0);
    clock_ms += 1;
    spawn_durable_trim(NULL, 5);
    CHECK(sent == SPAWN_LEDGER_TRIM);
}

/* ---- what the ledger is told ---- */

static void it_is_told_when_a_job_waits_until_later(void)
{
    spawn_job *job;

    it_goes();
    job = chosen_job(1);
    scribe->answered(&last, NULL);
    job->attempt = 2;
    spawn_moment_at(&spawn_rules_get(job)->due, 4102444800000);
    spawn_job_on(job, SPAWN_JOB_CAME_BACK);
    spawn_durable_follow(job);
    CHECK(sent == SPAWN_LEDGER_WAITS && last.due_at == 4102444800000);
    CHECK(last.attempt == 2 && job->ledger == SPAWN_IN_LEDGER_WAITS);
    sent = 0;
    spawn_durable_follow(job); /* it knows that */
    CHECK(sent == 0);
    spawn_durable_hastened(job);
    CHECK(sent == SPAWN_LEDGER_WAITS && last.due_at == SPAWN_LEDGER_NOW);
    job->ledger = SPAWN_IN_LEDGER_ASKED; /* it takes it with that */
    sent = 0;
    spawn_durable_hastened(job);
    CHECK(sent == 0);
}

static void it_is_told_how_a_job_ended(void)
{
    static char text[] = "as it ended";
    const spawn_id id = id_of(5);
    spawn_end end = {.outcome = SPAWN_OUTCOME_SIGNALLED,
                     .exit_code = 2,
                     .signo = 3,
                     .core = true,
                     .step = SPAWN_STEP_EXEC,
                     .error = 6,
                     .ended_at = 7,
                     .elapsed_us = 8,
                     .rusage_count = SPAWN_RU_ALL,
                     .text = text};
    unsigned i;

    for (i = 0; i < SPAWN_RU_ALL; i++)
        end.rusage[i] = 100 + i;
    it_goes();
    spawn_durable_ended(&id, 9, &end, 10, 11, 12);
    CHECK(sent == SPAWN_LEDGER_END && spawn_id_equal(&last.id, &id));
    CHECK(last.attempt == 9 && !last.alone);
    CHECK(last.end.outcome == SPAWN_OUTCOME_SIGNALLED);
    CHECK(last.end.exit_code == 2 && last.end.signo == 3 && last.end.core);
    CHECK(last.end.step == SPAWN_STEP_EXEC && last.end.error == 6);
    CHECK(last.end.ended_at == 7 && last.end.elapsed_us == 8);
    CHECK(last.end.result_kind == 10 && last.end.pid == 11);
    CHECK(last.end.started_at == 12);
    CHECK(last.end.rusage_count == SPAWN_RU_ALL);
    CHECK(memcmp(last.end.rusage, end.rusage, sizeof(end.rusage)) == 0);
    CHECK(strcmp(last_text, text) == 0);
}

static void what_it_is_told_of(uint8_t n, spawn_returned *returned,
                               int64_t kind)
{
    spawn_perl perl = {.board = -1};
    spawn_job *job = new_job(n, SPAWN_IN_LEDGER_ORDERED);

    job->perl = &perl;
    job->pid = 4711;
    job->started_at = 4712;
    on_the_board = returned;
    has_ended(job);
    job->pid = 4711;
    spawn_durable_follow(job);
    CHECK(sent == SPAWN_LEDGER_END && last.end.result_kind == kind);
    CHECK(last.end.pid == 4711 && last.end.started_at == 4712);
    job->perl = NULL;
}

/* What became of a function is on its board until then. */
static void it_is_told_what_a_function_returned(void)
{
    spawn_returned returned = {.kind = SPAWN_RESULT_RETURNED};
    spawn_job *job;

    it_goes();
    what_it_is_told_of(1, &returned, SPAWN_RESULT_RETURNED);
    returned.kind = -EIO;
    what_it_is_told_of(2, &returned, SPAWN_RESULT_NONE);
    what_it_is_told_of(3, NULL, SPAWN_RESULT_NONE);
    job = new_job(4, SPAWN_IN_LEDGER_ORDERED); /* a program */
    has_ended(job);
    spawn_durable_follow(job);
    CHECK(sent == SPAWN_LEDGER_END && last.end.result_kind == -1);
}

static void it_is_told_what_is_to_be_dropped(void)
{
    const spawn_id id = id_of(5);

    it_goes();
    spawn_durable_drop(&id, SPAWN_LEDGER_IS_ENDED);
    CHECK(sent == SPAWN_LEDGER_DROP && spawn_id_equal(&last.id, &id));
    CHECK(last.state == SPAWN_LEDGER_IS_ENDED);
}

static void it_is_told_nothing_of_others(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_NOT);
    spawn_job_on(job, SPAWN_JOB_ORDERED);
    spawn_durable_follow(job);
    has_ended(job);
    spawn_durable_follow(job);
    spawn_durable_hastened(job);
    CHECK(sent == 0);
}

/* Within this boot the store is right of it, which has it as waiting. */
static void it_is_told_no_end_that_the_store_does_not_have(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_WAITS);
    has_ended(job);
    job->due = SPAWN_DUE_SOON;
    spawn_durable_follow(job);
    CHECK(sent == 0 && job->ledger == SPAWN_IN_LEDGER_WAITS);
    job->due = SPAWN_DUE_NOT;
    spawn_durable_follow(job);
    CHECK(sent == SPAWN_LEDGER_END && !last.alone && last.attempt == 1);
}

static void but_that_of(uint8_t n, uint16_t attempt, int64_t started_at,
                        bool in_table)
{
    spawn_job *job = new_job(n, SPAWN_IN_LEDGER_ORDERED);

    spawn_job_on(job, SPAWN_JOB_ORDERED);
    has_ended(job);
    job->attempt = attempt;
    job->started_at = started_at;
    job->in_table = in_table;
    job->due = SPAWN_DUE_SOON;
    sent = 0;
    spawn_durable_follow(job);
    CHECK(sent == SPAWN_LEDGER_END && last.alone && last.attempt == attempt);
}

static void but_that_of_one_that_began(void)
{
    it_goes();
    but_that_of(1, 2, 0, false); /* an attempt before it did */
    but_that_of(2, 1, 5, false);
    but_that_of(3, 1, 0, true); /* the spawner tells of it again */
}

/* ---- */

static void a_broker_begins_with_the_ledger_or_without(void **state)
{
    (void)state;
    in_a_process_of(is_opened, nothing_is_read_where_there_is_none);
    in_a_process_of(is_opened, the_scribe_cannot_be_started);
    in_a_process(it_begins_within_four_seconds);
    in_a_process(it_begins_with_its_rows);
}

static void what_it_may_know_is_waited_for(void **state)
{
    (void)state;
    in_a_process(nothing_is_decided_before_it_is_known);
    in_a_process(what_it_lacks_is_known_when_it_was_read);
    in_a_process_of(is_opened,
                    another_one_is_made_for_those_of_one_that_is_lost);
    in_a_process(and_none_where_there_is_one);
    in_a_process(none_starts_before_it_was_read);
    in_a_process(those_that_waited_for_it_start);
}

static void people_are_told_of_trouble(void **state)
{
    (void)state;
    in_a_process(a_trouble_is_told_each_minute);
    in_a_process(that_it_is_over_is_told_when_it_is);
    in_a_process(so_it_is_with_the_rows);
    in_a_process(so_it_is_with_the_last_late_one);
    in_a_process(a_copy_is_told);
}

static void it_outlives_a_reboot(void **state)
{
    (void)state;
    in_a_process_of(is_opened, in_memory_it_is_not);
}

static void the_ledger_forgets_what_the_store_has_had_for_long(void **state)
{
    (void)state;
    in_a_process(it_is_trimmed_when_the_store_has_had_it_for_long);
    in_a_process(whatever_ends_meanwhile);
    in_a_process(it_is_not_trimmed_while_it_takes_nothing);
    in_a_process(it_is_not_trimmed_before_it_was_read);
    in_a_process(nor_soon_after_the_store_took_an_end_at_last);
}

static void the_ledger_is_told_what_happens(void **state)
{
    (void)state;
    in_a_process(it_is_told_when_a_job_waits_until_later);
    in_a_process(it_is_told_how_a_job_ended);
    in_a_process(it_is_told_what_a_function_returned);
    in_a_process(it_is_told_what_is_to_be_dropped);
    in_a_process(it_is_told_nothing_of_others);
    in_a_process(it_is_told_no_end_that_the_store_does_not_have);
    in_a_process(but_that_of_one_that_began);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broker_begins_with_the_ledger_or_without),
        cmocka_unit_test(what_it_may_know_is_waited_for),
        cmocka_unit_test(people_are_told_of_trouble),
        cmocka_unit_test(it_outlives_a_reboot),
        cmocka_unit_test(the_ledger_forgets_what_the_store_has_had_for_long),
        cmocka_unit_test(the_ledger_is_told_what_happens),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
