/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ledger's answers mean for the job that they are of: it is accepted,
 * starts, waits on, is asked for again or is refused; and nothing, when the job
 * has gone on meanwhile. In one process (broker_durable_clocked.h).
 */
#include "t/unit/broker_durable_clocked.h"

/* ---- its start ---- */

static void it_starts_when_that_is_written(void)
{
    spawn_job *job;

    it_goes();
    job = chosen_job(1);
    scribe->answered(&last, NULL);
    CHECK(job->ledger == SPAWN_IN_LEDGER_ORDERED);
    CHECK(job->due == SPAWN_DUE_THIS_TURN && job->launch);
    CHECK(held_back == 0);
    spawn_durable_follow(job); /* it has that */
    CHECK(sent == SPAWN_LEDGER_ORDER);
    job->due = SPAWN_DUE_NOT;
    sent = 0;
    spawn_durable_order(job); /* it is written once */
    CHECK(sent == 0 && job->due == SPAWN_DUE_THIS_TURN);
}

static void it_is_ordered_once(void)
{
    it_goes();
    (void)chosen_job(1);
    sent = 0;
    spawn_durable_order(spawn_job_next(NULL));
    CHECK(sent == 0);
}

/* The ledger hears that it waits again. */
static void it_waits_when_nothing_starts_any_more(void)
{
    spawn_job *job;

    it_goes();
    job = chosen_job(1);
    spawn_phase.lingering = true;
    scribe->answered(&last, NULL);
    CHECK(held_back == 1 && job->state == SPAWN_STATE_QUEUED);
    CHECK(job->ledger == SPAWN_IN_LEDGER_WAITS);
    CHECK(sent == SPAWN_LEDGER_WAITS && last.due_at == 0 && last.attempt == 1);
}

static void it_waits_when_its_queue_is_paused(void)
{
    spawn_job *job;

    it_goes();
    job = chosen_job(1);
    job->queue->control.mode = SPAWN_QUEUE_PAUSED;
    scribe->answered(&last, NULL);
    CHECK(held_back == 1 && job->state == SPAWN_STATE_QUEUED);
    CHECK(sent == SPAWN_LEDGER_WAITS);
}

static void it_waits_when_that_is_not_written(void)
{
    spawn_job *job;

    it_goes();
    job = chosen_job(1);
    sent = 0;
    scribe->answered(&last, "the disk fails");
    CHECK(held_back == 1 && job->state == SPAWN_STATE_QUEUED);
    CHECK(job->ledger == SPAWN_IN_LEDGER_WAITS);
    CHECK(job->due == SPAWN_DUE_NOT);
    CHECK(sent == 0 && !job->ask_again); /* the ledger has it as waiting */
}

/* It was lost meanwhile: it takes the job first. */
static void it_is_asked_for_when_the_ledger_does_not_have_it(void)
{
    spawn_job *job;

    it_goes();
    store_says = 0;
    job = chosen_job(1);
    last.known = SPAWN_LEDGER_KNOWS_NONE;
    scribe->answered(&last, "");
    CHECK(held_back == 1 && job->state == SPAWN_STATE_QUEUED);
    CHECK(job->ledger == SPAWN_IN_LEDGER_ASKED && job->ask_again);
    timers(0);
    CHECK(sent == SPAWN_LEDGER_REVIVE && last.asked);
}

static void it_has_ended_meanwhile(void)
{
    spawn_job *job;
    spawn_ledger_record order;

    it_goes();
    job = chosen_job(1);
    order = last;
    has_ended(job);
    scribe->answered(&order, NULL);
    CHECK(held_back == 0);
    CHECK(sent == SPAWN_LEDGER_END);
    CHECK(last.end.outcome == SPAWN_OUTCOME_CANCELLED);
    CHECK(job->ledger == SPAWN_IN_LEDGER_ENDED);
}

static void it_has_ended_and_the_ledger_does_not_have_it(void)
{
    spawn_job *job;
    spawn_ledger_record order;

    it_goes();
    job = chosen_job(1);
    order = last;
    has_ended(job);
    order.known = SPAWN_LEDGER_KNOWS_NONE;
    scribe->answered(&order, "");
    timers(0);
    CHECK(held_back == 0 && !job->ask_again);
    CHECK(sent == SPAWN_LEDGER_END);
}

/* One that was not waited for any more, of an attempt before. */
static void a_late_answer_is_nothing(void)
{
    spawn_job *job;

    it_goes();
    job = chosen_job(1);
    scribe->answered(&last, NULL);
    job->due = SPAWN_DUE_NOT;
    scribe->answered(&last, "the disk fails");
    CHECK(job->ledger == SPAWN_IN_LEDGER_ORDERED && held_back == 0);
    CHECK(job->due == SPAWN_DUE_NOT);
}

static void an_answer_without_a_job_is_nothing(void)
{
    spawn_ledger_record r = {.type = SPAWN_LEDGER_ORDER, .id = id_of(1)};

    it_goes();
    scribe->answered(&r, "");
    r.type = SPAWN_LEDGER_PUT;
    scribe->answered(&r, "");
    r.type = SPAWN_LEDGER_WAITS;
    scribe->answered(&r, NULL);
    CHECK(forgotten.bytes[SPAWN_ID_SIZE - 1] == 0);
    r.type = SPAWN_LEDGER_DROP;
    scribe->answered(&r, NULL);
    CHECK(forgotten.bytes[SPAWN_ID_SIZE - 1] == 1);
    r.type = SPAWN_LEDGER_END;
    r.id = id_of(2);
    scribe->answered(&r, NULL);
    CHECK(forgotten.bytes[SPAWN_ID_SIZE - 1] == 2);
    CHECK(accepted == 0 && refused == 0 && refused_later == 0);
}

/* ---- one that is asked for ---- */

static spawn_job *asked_job(uint8_t n)
{
    spawn_job *job = new_job(n, SPAWN_IN_LEDGER_ASKED);

    store_says = 0;
    spawn_durable_ask(job);
    timers(0);
    CHECK(sent == SPAWN_LEDGER_REVIVE && last.asked);
    sent = 0;
    return job;
}

static void it_is_accepted_when_it_is_taken(void)
{
    spawn_job *job;

    it_goes();
    job = asked_job(1);
    scribe->answered(&last, NULL);
    CHECK(accepted == 1 && refused == 0 && !job->ask_again);
    timers(MINUTE);
    CHECK(sent == 0);
}

static void it_is_asked_for_again_when_it_is_not(void)
{
    it_goes();
    (void)asked_job(1);
    scribe->answered(&last, "the disk fails");
    CHECK(accepted == 0 && refused == 0 && refused_later == 0);
    timers(999);
    CHECK(sent == 0);
    timers(1);
    CHECK(sent == SPAWN_LEDGER_REVIVE);
    scribe->answered(&last, NULL);
    CHECK(accepted == 1);
}

static void one_that_ended_is_not_accepted(void)
{
    it_goes();
    has_ended(asked_job(1));
    scribe->answered(&last, NULL);
    CHECK(accepted == 0);
    timers(MINUTE);
    CHECK(sent == 0);
}

/* Another one has its id since. */
static void one_that_was_sent_later_is_not_accepted(void)
{
    spawn_job *job;

    it_goes();
    job = asked_job(1);
    (void)spawn_durable_sending(job);
    scribe->answered(&last, NULL);
    CHECK(accepted == 0);
}

/* Its caller waits for another answer. */
static void one_that_is_revived_is_not_accepted(void)
{
    spawn_job *job;

    it_goes();
    job = asked_job(1);
    job->ask_again = false;
    scribe->answered(&last, NULL);
    CHECK(accepted == 0);
}

static void one_that_has_gone_holds_up_no_other(void)
{
    spawn_job *job;
    unsigned i;

    it_goes();
    job = asked_job(1);
    spawn_job_on(job, SPAWN_JOB_UNDONE);
    spawn_queue_leave(job);
    spawn_job_free(job);
    scribe->answered(&last, "the disk fails");
    timers(1000);
    for (i = 2; i < 250; i++) {
        (void)asked_job((uint8_t)i);
        scribe->answered(&last, NULL);
    }
    CHECK(accepted == 248);
}

static void what_cannot_be_read_is_refused(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_ASKED);
    store_says = -ENODATA;
    spawn_durable_ask(job);
    timers(0);
    timers(1000);
    CHECK(refused == 0);
    timers(1000);
    CHECK(refused == 1 && sent == 0);
    CHECK(refused_with.code == SPAWN_E_STORE);
    CHECK(refused_with.step == SPAWN_STEP_STORE && refused_with.error == EIO);
    CHECK(strstr(refused_with.text, "cannot be read in the store"));
    CHECK(job->ledger == SPAWN_IN_LEDGER_ASKED);
}

/* Nobody could tell before. */
static void what_is_not_durable_starts(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_ASKED);
    store_says = 0;
    is_durable = false;
    spawn_durable_ask(job);
    turns_wanted = 0;
    timers(0);
    CHECK(refused == 0 && accepted == 0 && sent == 0);
    CHECK(job->ledger == SPAWN_IN_LEDGER_NOT && !job->ask_again);
    CHECK(turns_wanted > 0);
}

/* ---- one that is put or revived ---- */

static void a_revive_is_sent_or_refused(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_ASKED);
    store_says = -ENODATA;
    spawn_durable_revive(job);
    CHECK(refused == 1 && sent == 0);
    store_says = 0;
    spawn_durable_revive(job);
    CHECK(refused == 1 && sent == SPAWN_LEDGER_REVIVE && !last.asked);
    scribe->answered(&last, NULL);
    CHECK(accepted == 1);
}

static void a_put_is_refused_as_it_failed(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_ASKED);
    spawn_durable_put(job, "m", 1);
    CHECK(sent == SPAWN_LEDGER_PUT && last.length == 1);
    last.known = SPAWN_LEDGER_KNOWS_OTHER;
    scribe->answered(&last, "");
    CHECK(refused == 1 && refused_with.code == SPAWN_E_CONFLICT);
    last.known = SPAWN_LEDGER_KNOWS_STARTED;
    scribe->answered(&last, "");
    CHECK(refused == 2 && refused_with.code == SPAWN_E_TOO_OLD);
    last.known = SPAWN_LEDGER_KNOWS_NOT;
    scribe->answered(&last, "the disk fails");
    CHECK(refused == 3 && refused_with.code == SPAWN_E_STORE);
    CHECK(refused_with.error == EIO && strstr(refused_with.text, "disk fails"));
    last.full = true;
    scribe->answered(&last, "the disk is full");
    CHECK(refused == 4 && refused_with.error == ENOSPC);
    CHECK(refused_later == 0);
    last.again = true; /* it may be there */
    scribe->answered(&last, "the disk fails");
    CHECK(refused == 4 && refused_later == 1);
    last.type = SPAWN_LEDGER_WAITS; /* of no submit */
    scribe->answered(&last, "the disk fails");
    CHECK(refused == 4 && refused_later == 1 && accepted == 0);
}

static void a_put_of_one_that_ended_is_nothing(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_ASKED);
    spawn_durable_put(job, "m", 1);
    has_ended(job);
    scribe->answered(&last, NULL);
    scribe->answered(&last, "the disk fails");
    CHECK(accepted == 0 && refused == 0 && refused_later == 0);
}

static void a_put_of_one_that_was_taken_is_nothing(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_ASKED);
    spawn_durable_put(job, "m", 1);
    spawn_queue_let_in(job);
    scribe->answered(&last, NULL);
    scribe->answered(&last, "the disk fails");
    CHECK(accepted == 0 && refused == 0 && refused_later == 0);
}

/* ---- trouble ---- */

static void none_is_taken_while_there_is_trouble(void)
{
    spawn_job *job;

    CHECK(strstr(why_none_is_taken(), "not read yet"));
    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_WAITS);
    CHECK(!why_none_is_taken() && !spawn_durable_in_trouble(job));
    scribe->trouble("the disk fails");
    CHECK(strstr(why_none_is_taken(), "the disk fails"));
    CHECK(spawn_durable_in_trouble(job));
    scribe->trouble(NULL);
    CHECK(!why_none_is_taken() && !spawn_durable_in_trouble(job));
    CHECK(begun == 1);
}

/* ---- */

static void its_start_is_written_before(void **state)
{
    (void)state;
    in_a_process(it_starts_when_that_is_written);
    in_a_process(it_is_ordered_once);
    in_a_process(it_waits_when_nothing_starts_any_more);
    in_a_process(it_waits_when_its_queue_is_paused);
    in_a_process(it_waits_when_that_is_not_written);
    in_a_process(it_is_asked_for_when_the_ledger_does_not_have_it);
}

static void an_answer_counts_for_what_waits_for_it(void **state)
{
    (void)state;
    in_a_process(it_has_ended_meanwhile);
    in_a_process(it_has_ended_and_the_ledger_does_not_have_it);
    in_a_process(a_late_answer_is_nothing);
    in_a_process(an_answer_without_a_job_is_nothing);
}

static void one_that_the_ledger_lacks_is_asked_for(void **state)
{
    (void)state;
    in_a_process(it_is_accepted_when_it_is_taken);
    in_a_process(it_is_asked_for_again_when_it_is_not);
    in_a_process(one_that_ended_is_not_accepted);
    in_a_process(one_that_was_sent_later_is_not_accepted);
    in_a_process(one_that_is_revived_is_not_accepted);
    in_a_process(one_that_has_gone_holds_up_no_other);
    in_a_process(what_cannot_be_read_is_refused);
    in_a_process(what_is_not_durable_starts);
}

static void a_submit_is_answered_as_the_ledger_says(void **state)
{
    (void)state;
    in_a_process(a_revive_is_sent_or_refused);
    in_a_process(a_put_is_refused_as_it_failed);
    in_a_process(a_put_of_one_that_ended_is_nothing);
    in_a_process(a_put_of_one_that_was_taken_is_nothing);
    in_a_process(none_is_taken_while_there_is_trouble);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_start_is_written_before),
        cmocka_unit_test(an_answer_counts_for_what_waits_for_it),
        cmocka_unit_test(one_that_the_ledger_lacks_is_asked_for),
        cmocka_unit_test(a_submit_is_answered_as_the_ledger_says),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
