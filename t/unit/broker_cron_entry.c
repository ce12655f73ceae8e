/* SPDX-License-Identifier: Apache-2.0 */
/* Recurring jobs as the configuration has them: which of them there are when it
 * has been read anew, when each is due, the ids of its runs, and the order that
 * is made of it. Links the broker's rooms up to jobs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"
#include "broker/run/retry.h"
#include "broker/caller/cron_entry.h"

static spawn_writer w;

/* ---- the configuration ---- */

typedef struct {
    const char *name, *schedule, *zone; /* zone NULL: not given */
    uint64_t catch_up, overlap, timeout;
} plan;

static void put_program(const char *path)
{
    size_t list = spawn_open_strv(&w, SPAWN_A_ARGV);

    spawn_add_text(&w, list, path, strlen(path));
    spawn_close(&w, list);
}

static void begin_rule(const plan *p)
{
    spawn_writer_free(&w);
    spawn_writer_init(&w, SPAWN_CRON_MAX);
    spawn_writer_begin(&w, SPAWN_M_CONFIGURE, 0);
    spawn_put_str(&w, SPAWN_A_CRON, p->name);
    spawn_put_str(&w, SPAWN_A_CRON_SCHEDULE, p->schedule);
    if (p->zone)
        spawn_put_str(&w, SPAWN_A_CRON_ZONE, p->zone);
    if (p->catch_up)
        spawn_put_u64(&w, SPAWN_A_CRON_CATCH_UP, p->catch_up);
    if (p->overlap)
        spawn_put_u64(&w, SPAWN_A_CRON_OVERLAP, p->overlap);
    if (p->timeout)
        spawn_put_u64(&w, SPAWN_A_TIMEOUT, p->timeout);
    put_program("/bin/true");
}

/* A nest is its fields, one behind the other. */
static void end_rule(void)
{
    const spawn_attr nest = {.id = SPAWN_A_CRON_RULES,
                             .kind = SPAWN_KIND_NEST,
                             .length = (uint32_t)w.length - SPAWN_WIRE_HEADER,
                             .data = w.data + SPAWN_WIRE_HEADER};

    spawn_cron_rule(&nest);
    memset(w.data, 0xa5, w.length); /* it belongs to a message that goes */
}

static void rule(const char *name, const char *schedule, const char *zone)
{
    const plan p = {name, schedule, zone, 0, 0, 0};

    begin_rule(&p);
    end_rule();
}

/* Entries by these names, all of one schedule; NULL: no more. */
static void configured(const char *const *names)
{
    spawn_cron_rules_begin();
    for (; *names; names++)
        rule(*names, "0 13 * * *", "UTC");
    spawn_cron_rules_end();
}

static void expect_entries(const char *const *names)
{
    size_t count = 0, told;
    const spawn_cron_entry *e = spawn_cron_entries(&told);

    for (; *names; names++, e = e->next) {
        assert_non_null(e);
        assert_string_equal(e->name, *names);
        assert_ptr_equal(spawn_cron_find(*names), e);
        count++;
    }
    assert_null(e);
    assert_int_equal(told, count);
    assert_ptr_equal(spawn_cron_entries(NULL), spawn_cron_entries(&told));
}

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NOBODY     ((const char *const[]){NULL})

static int nothing_is_configured(void **state)
{
    (void)state;
    configured(NOBODY);
    (void)spawn_cron_rules_new();
    return 0;
}

/* ---- which there are ---- */

static void they_stand_in_the_order_of_the_configuration(void **state)
{
    (void)state;
    configured(NAMES("b", "c", "a"));
    expect_entries(NAMES("b", "c", "a"));
    assert_null(spawn_cron_find("d"));
    configured(NAMES("b", "c", "a", "d"));
    expect_entries(NAMES("b", "c", "a", "d"));
    configured(NAMES("b", "a", "d")); /* one of the middle goes */
    expect_entries(NAMES("b", "a", "d"));
    configured(NAMES("a", "d")); /* the first */
    expect_entries(NAMES("a", "d"));
    configured(NAMES("a")); /* the last */
    expect_entries(NAMES("a"));
    configured(NOBODY);
    expect_entries(NOBODY);
}

static void one_that_stays_keeps_what_is_known_of_it(void **state)
{
    const plan changed = {
        "it", "5 * * * *", "Europe/Berlin", SPAWN_CATCH_UP_ALL, 1, 0};
    spawn_cron_entry *e;

    (void)state;
    configured(NAMES("it"));
    e = spawn_cron_find("it");
    assert_int_equal(e->catch_up, SPAWN_CATCH_UP_NONE);
    assert_false(e->overlap);
    assert_false(e->known);
    assert_string_equal(e->plan, "0 13 * * *|UTC");
    assert_string_equal(e->row.plan, "0 13 * * *|UTC");
    assert_string_equal(e->row.name, "it");
    e->known = e->told = e->pending = true;
    e->row.done = 5;
    spawn_cron_rules_begin();
    begin_rule(&changed);
    end_rule();
    spawn_cron_rules_end();
    assert_ptr_equal(spawn_cron_find("it"), e);
    assert_true(e->pending && e->row.done == 5);
    assert_false(e->known); /* its row is read anew, by another plan */
    assert_false(e->told);
    assert_int_equal(e->catch_up, SPAWN_CATCH_UP_ALL);
    assert_true(e->overlap);
    assert_string_equal(e->schedule, "5 * * * *");
    assert_string_equal(e->zone, "Europe/Berlin");
    assert_string_equal(e->row.plan, "5 * * * *|Europe/Berlin");
    spawn_cron_rules_begin();
    rule("it", "5 * * * *", NULL);
    spawn_cron_rules_end();
    assert_string_equal(e->zone, "");
    assert_string_equal(e->row.plan, "5 * * * *|");
}

static void a_configuration_is_new_once(void **state)
{
    (void)state;
    assert_false(spawn_cron_rules_new());
    configured(NAMES("it"));
    assert_true(spawn_cron_rules_new());
    assert_false(spawn_cron_rules_new());
    configured(NAMES("it"));
    assert_true(spawn_cron_rules_new());
}

/* ---- what is wrong ---- */

static FILE *lines; /* lines to stderr, while it is read */
static int real_stderr;

static void read_log(void)
{
    lines = tmpfile();
    assert_non_null(lines);
    real_stderr = dup(2);
    assert_int_equal(dup2(fileno(lines), 2), 2);
}

static void end_log(char *text, size_t size)
{
    size_t length;

    assert_int_equal(dup2(real_stderr, 2), 2);
    (void)close(real_stderr);
    rewind(lines);
    length = fread(text, 1, size - 1, lines);
    text[length] = '\0';
    (void)fclose(lines);
}

/* Neither those that are there nor those that follow suffer. */
static void what_makes_no_sense_is_left_out(void **state)
{
    static const char *const wanted[] = {
        "recurring job no name is left out: this is no name",
        "recurring job  is left out: this is no name",
        "recurring job a is left out: minute: 60",
        "recurring job b is left out: 0 of five fields",
        "recurring job c is left out: 'Nowhere/Atall' is not",
        "recurring job other is left out: minute: 60",
        "recurring job ? is left out: "};
    char text[4096];
    size_t i;
    static const char longest[] = "0123456789012345678901234567890123456789012"
                                  "345678901234567890123";

    (void)state;
    assert_int_equal(strlen(longest), SPAWN_NAME_MAX);
    configured(NAMES("it", "other"));
    read_log();
    spawn_cron_rules_begin();
    rule("first", "0 13 * * *", "");
    rule("no name", "0 13 * * *", "UTC");
    rule("", "0 13 * * *", "UTC");
    rule("a", "60 13 * * *", "UTC");
    rule("b", "", "UTC");
    rule("c", "0 13 * * *", "Nowhere/Atall");
    rule("other", "60 13 * * *", "UTC"); /* it was a good one */
    {
        const plan broken = {"d", "0 13 * * *", "UTC", 0, 0, 0};

        begin_rule(&broken);
        w.length--; /* the message has ended before it */
        end_rule();
    }
    rule(longest, "0 13 * * *", "UTC");
    spawn_cron_rules_end();
    end_log(text, sizeof(text));
    for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (!strstr(text, wanted[i]))
            fail_msg("'%s' is not in: %s", wanted[i], text);
    }
    expect_entries(NAMES("first", longest));
}

/* ---- when, which and what ---- */

static void it_is_due_by_its_own_plan(void **state)
{
    spawn_cron_entry *e;

    (void)state;
    configured(NAMES("it"));
    e = spawn_cron_find("it");
    e->row.done = 1798804800; /* 2027-01-01 12:00 */
    assert_true(spawn_cron_entry_next(e) == 1798808400);
    assert_true(spawn_cron_entry_next(e) == 1798808400);
    e->row.done = 1798808400; /* that was at 13:00 */
    assert_true(spawn_cron_entry_next(e) == 1798808400 + 86400);
    spawn_cron_rules_begin();
    rule("it", "30 13 * * *", "UTC");
    spawn_cron_rules_end();
    assert_true(spawn_cron_entry_next(e) == 1798808400 + 1800);
    spawn_cron_rules_begin();
    rule("it", "30 15 * * *", "Europe/Berlin");
    spawn_cron_rules_end();
    assert_true(spawn_cron_entry_next(e) == 1798808400 + 3600 + 1800);
}

static void each_run_has_an_id_of_its_own(void **state)
{
    struct {
        spawn_id id;
        uint8_t behind;
    } room = {.behind = 0xa5};
    spawn_cron_entry *e, *other;
    spawn_id id, same;

    (void)state;
    configured(NAMES("it", "other"));
    e = spawn_cron_find("it");
    other = spawn_cron_find("other");
    spawn_cron_id(e, 1798808400, &id);
    assert_true(spawn_id_valid(&id));
    assert_true(spawn_id_time(&id) == 1798808400000);
    spawn_cron_id(e, 1798808400, &room.id);
    assert_int_equal(room.behind, 0xa5);
    spawn_cron_id(e, 1798808400, &same);
    assert_true(spawn_id_equal(&id, &same));
    spawn_cron_id(other, 1798808400, &same);
    assert_memory_not_equal(id.bytes + 6, same.bytes + 6, 2);
    assert_memory_not_equal(id.bytes + 8, same.bytes + 8, 8);
    spawn_cron_id(e, 1798808460, &same);
    assert_memory_not_equal(id.bytes + 8, same.bytes + 8, 8);
    e->row.round++; /* the clock was set back: 13:00 comes again */
    spawn_cron_id(e, 1798808400, &same);
    assert_memory_not_equal(id.bytes + 8, same.bytes + 8, 8);
}

/* ---- runs that are found ---- */

static spawn_batch batch;

static spawn_job *found(const spawn_cron_entry *e, int64_t planned)
{
    spawn_job *job;
    spawn_id id;

    spawn_cron_id(e, planned, &id);
    spawn_batch_init(&batch, NULL);
    job = spawn_job_new(&batch, &id);
    spawn_queue_join(job, "default");
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    return job;
}

static bool tried_again;

/* One that has ended is tried again, or not. */
void spawn_retry_judge(spawn_job *job)
{
    if (job->state == SPAWN_STATE_DONE && !job->judged)
        job->again = tried_again;
    job->judged = true;
}

static void forget(spawn_job *job)
{
    if (job->state == SPAWN_STATE_DONE)
        free(job->end);
    job->end = NULL;
    spawn_queue_leave(job);
    spawn_job_free(job);
}

static void ends(spawn_job *job)
{
    job->end = calloc(1, sizeof(*job->end));
    spawn_job_on(job, SPAWN_JOB_ENDED);
}

static bool is_adopted(spawn_cron_entry *e)
{
    bool pending;

    spawn_cron_adopt(e);
    pending = e->pending;
    e->pending = false;
    return pending;
}

static spawn_cron_entry *one_entry(bool overlap)
{
    plan p = {"it", "* * * * *", "UTC", 0, overlap, 0};
    spawn_cron_entry *e;

    spawn_cron_rules_begin();
    begin_rule(&p);
    end_rule();
    spawn_cron_rules_end();
    e = spawn_cron_find("it");
    e->row.done = 1798808400;
    e->row.round = 3;
    return e;
}

static void a_run_that_the_row_lacks_is_adopted(void **state)
{
    spawn_cron_entry *e = one_entry(false);
    spawn_job *job = found(e, 1798808460);

    (void)state;
    spawn_cron_adopt(e);
    assert_true(e->pending && e->pending_planned == 1798808460);
    assert_true(spawn_id_equal(&e->pending_id, &job->id));
    e->pending = false;
    ends(job); /* it is to be noted all the same */
    assert_true(is_adopted(e));
    forget(job);
    assert_false(is_adopted(e));
}

/* It is not dealt with while it goes on. */
static void so_is_one_that_counts_as_dealt_with(void **state)
{
    spawn_cron_entry *e = one_entry(false);
    spawn_job *job = found(e, 1798808400);

    (void)state;
    assert_true(is_adopted(e));
    e->overlap = true; /* others may run beside it */
    assert_false(is_adopted(e));
    e->overlap = false;
    ends(job);
    assert_false(is_adopted(e));
    forget(job);
}

/* One of a clock that is not any more ends, and that is all. */
static void so_is_one_of_the_clock_before(void **state)
{
    spawn_cron_entry *e = one_entry(false);
    spawn_job *job;

    (void)state;
    e->row.round = 1;
    job = found(e, 1798808460);
    e->row.round = 3;
    assert_true(is_adopted(e));
    ends(job);
    assert_false(is_adopted(e));
    forget(job);
}

/* A power cut may cost the row that the clock was set back, not the ledger. */
static void so_is_a_durable_one_of_a_clock_that_the_row_lost(void **state)
{
    spawn_cron_entry *e = one_entry(false);
    spawn_job *job = found(e, 1798808460);

    (void)state;
    e->row.round = 2;
    assert_false(is_adopted(e));
    e->durable = true;
    assert_true(is_adopted(e));
    ends(job);
    assert_false(is_adopted(e));
    forget(job);
}

static void one_beside_that_of_the_row_is_not(void **state)
{
    spawn_cron_entry *e = one_entry(false);
    spawn_job *job = found(e, 1798808400), *last = found(e, 1798808340);

    (void)state;
    e->row.has_run = true;
    e->row.id = last->id;
    assert_false(is_adopted(e));
    ends(last);
    assert_true(is_adopted(e));
    e->row.has_run = false;
    forget(last);
    forget(job);
}

/* Nobody has judged yet how it ended. */
static void nor_beside_one_that_is_tried_again(void **state)
{
    spawn_cron_entry *e = one_entry(false);
    spawn_job *job = found(e, 1798808400), *last = found(e, 1798808340);

    (void)state;
    e->row.has_run = true;
    e->row.id = last->id;
    ends(last);
    tried_again = true;
    assert_false(is_adopted(e));
    tried_again = false;
    e->row.has_run = false;
    forget(last);
    forget(job);
}

/* ---- runs by hand ---- */

static spawn_job *found_by_hand(const spawn_cron_entry *e, const char *label)
{
    const spawn_id id = {{1, 2, 3, 4, 5, 7, 0x70, 8, 0x80}};
    spawn_job *job;

    spawn_writer_free(&w);
    spawn_writer_init(&w, spawn_message_max(SPAWN_M_SUBMIT));
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    put_program(label ? "/bin/true" : "/bin/false");
    spawn_put_str(&w, SPAWN_A_LABEL, label ? label : e->name);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    spawn_batch_init(&batch, NULL);
    job = spawn_job_new(&batch, &id);
    job->body = spawn_body_new(w.data + SPAWN_WIRE_HEADER,
                               w.length - SPAWN_WIRE_HEADER);
    assert_non_null(job->body);
    job->caller_uid = geteuid();
    job->ledger = SPAWN_IN_LEDGER_WAITS;
    spawn_queue_join(job, "default");
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    return job;
}

static void forget_by_hand(spawn_job *job)
{
    free(job->body);
    job->body = NULL;
    forget(job);
}

/* The row has let go of it, since it was refused. */
static void one_by_hand_that_only_the_ledger_has_is_adopted(void **state)
{
    spawn_cron_entry *e = one_entry(false);
    spawn_job *job = found_by_hand(e, e->name);

    (void)state;
    assert_false(is_adopted(e));
    e->durable = true;
    assert_true(is_adopted(e));
    assert_int_equal(e->pending_planned, 0);
    spawn_cron_adopt_all();
    assert_false(e->pending); /* its row is not read */
    e->known = true;
    spawn_cron_adopt_all();
    assert_true(e->pending && spawn_id_equal(&e->pending_id, &job->id));
    e->pending = false;
    e->overlap = true;
    assert_false(is_adopted(e));
    e->overlap = false;
    job->in_store = true; /* and so has the row */
    assert_false(is_adopted(e));
    job->in_store = false;
    ends(job);
    assert_false(is_adopted(e));
    forget_by_hand(job);
}

static void another_job_is_no_run(void **state)
{
    spawn_cron_entry *e = one_entry(false);
    spawn_job *job = found_by_hand(e, "that");

    (void)state;
    e->durable = true;
    assert_false(is_adopted(e));
    forget_by_hand(job);
    job = found_by_hand(e, NULL);
    assert_false(is_adopted(e));
    forget_by_hand(job);
    job = found_by_hand(e, e->name);
    job->caller_uid++;
    assert_false(is_adopted(e));
    forget_by_hand(job);
}

/* A broker of another release, that goes on after this one, makes the same
 * ids: else a run that was not noted would come twice. */
static void an_id_stays_what_it_is(void **state)
{
    spawn_cron_entry *e;
    char text[SPAWN_ID_TEXT];
    spawn_id id;

    (void)state;
    configured(NAMES("backup"));
    e = spawn_cron_find("backup");
    spawn_cron_id(e, 1798808400, &id);
    assert_string_equal(spawn_id_format(&id, text),
                        "01a2d155-f080-7bcf-97c5-76f39c65179d");
    e->row.round = 3;
    spawn_cron_id(e, 1798808400, &id);
    assert_string_equal(spawn_id_format(&id, text),
                        "01a2d155-f080-7fdb-98af-7612ee79a83c");
}

static void an_order_is_what_the_entry_says(void **state)
{
    const plan p = {"it", "0 13 * * *", "UTC", 0, 0, 5000};
    const spawn_id id = {{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80}};
    spawn_cron_entry *e;
    spawn_message m;
    spawn_failure why;
    spawn_id got;

    (void)state;
    spawn_cron_rules_begin();
    begin_rule(&p);
    end_rule();
    spawn_cron_rules_end();
    e = spawn_cron_find("it");
    spawn_writer_free(&w);
    assert_int_equal(spawn_cron_order(e, &id, &w), 0);
    assert_int_equal(
        spawn_message_parse(w.data, w.length, SPAWN_FROM_CALLER, 0, &m, &why),
        0);
    spawn_attr_id(&m.attr[SPAWN_A_ID], &got);
    assert_true(spawn_id_equal(&got, &id));
    assert_string_equal(spawn_str_or(&m, SPAWN_A_LABEL, ""), "it");
    assert_true(spawn_u64_or(&m, SPAWN_A_TIMEOUT, 0) == 5000);
    assert_string_equal(spawn_strv_next(&m.attr[SPAWN_A_ARGV], NULL),
                        "/bin/true");
    assert_false(spawn_has(&m, SPAWN_A_USER));
    assert_false(spawn_has(&m, SPAWN_A_FUNCTION));
    e->rules_length--;
    spawn_writer_free(&w);
    assert_true(spawn_cron_order(e, &id, &w) < 0);
    e->rules_length++;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, nothing_is_configured)
    const struct CMUnitTest tests[] = {
        TEST(they_stand_in_the_order_of_the_configuration),
        TEST(one_that_stays_keeps_what_is_known_of_it),
        TEST(a_configuration_is_new_once),
        TEST(what_makes_no_sense_is_left_out),
        TEST(it_is_due_by_its_own_plan),
        TEST(each_run_has_an_id_of_its_own),
        TEST(a_run_that_the_row_lacks_is_adopted),
        TEST(so_is_one_that_counts_as_dealt_with),
        TEST(so_is_one_of_the_clock_before),
        TEST(so_is_a_durable_one_of_a_clock_that_the_row_lost),
        TEST(one_beside_that_of_the_row_is_not),
        TEST(nor_beside_one_that_is_tried_again),
        TEST(one_by_hand_that_only_the_ledger_has_is_adopted),
        TEST(another_job_is_no_run),
        TEST(an_id_stays_what_it_is),
        TEST(an_order_is_what_the_entry_says),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("cron entries", tests, NULL, NULL);
}
