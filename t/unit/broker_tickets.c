/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tickets of workers: a call whose caller waits is not stored before it runs,
 * and yet it outlives its broker, with all that is known of it, and runs once.
 * The protocol of broker_calls.h.
 */
#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"

#include <sys/mman.h>

static spawn_id template;
static worker the_worker;

static void worker_is_ready(void)
{
    make_store();
    reach_a_worker(&the_worker, &template);
}

/* The broker is killed, and another one is told what there is. */
static void another_broker(void)
{
    kill_broker();
    start_another(&the_worker, &template);
}

static void submit_again(const spawn_id *id, const char *function)
{
    spawn_writer w;

    begin(&w, SPAWN_M_SUBMIT, id);
    spawn_put_str(&w, SPAWN_A_FUNCTION, function);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
}

static void expect_returned(void)
{
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]),
                     SPAWN_OUTCOME_EXITED);
}

/* ---- what is promised ---- */

static void a_call_outlives_its_broker(void **state)
{
    char wanted[160];
    int64_t before;
    spawn_id id;

    (void)state;
    worker_is_ready();
    before = spawn_wall_ms();
    broker_sleeps(); /* not stored: all of it in one turn */
    submit(&id, SPAWN_REPLY_FINISHED);
    broker_goes_on();
    expect_call(&the_worker, &id);
    another_broker();
    expect_call(&the_worker, &id); /* it may not have arrived */
    assert_string_equal(spawn_str_or(&message, SPAWN_A_FUNCTION, ""), "My::f");
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 1);
    submit_again(&id, "My::g");
    expect_refusal(SPAWN_E_CONFLICT);
    submit_again(&id, "My::f");
    worker_returns(&the_worker, &id);
    expect_returned();
    end_broker();
    (void)snprintf(wanted, sizeof(wanted), "1 4 1 %d %d", (int)getuid(),
                   (int)getpid());
    expect_sql("SELECT count(*) || ' ' || state || ' ' || outcome || ' ' ||"
               " caller_uid || ' ' || caller_pid FROM job",
               wanted);
    (void)snprintf(wanted, sizeof(wanted),
                   "SELECT submitted_at >= %lld AND started_at >= submitted_at"
                   " FROM job",
                   (long long)before);
    assert_string_equal(ask_sql(wanted), "1");
}

static void what_had_returned_is_not_called_again(void **state)
{
    struct pollfd p;
    spawn_id id;

    (void)state;
    worker_is_ready();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &id);
    broker_sleeps();
    worker_returns(&the_worker, &id);
    another_broker();
    submit_again(&id, "My::f");
    expect_returned();
    p = (struct pollfd){the_worker.link, POLLIN, 0};
    assert_int_equal(poll(&p, 1, 200), 0);
    end_broker();
    expect_sql("SELECT count(*) || ' ' || outcome || ' ' || result_kind"
               " FROM job",
               "1 1 1");
}

static void a_call_that_is_stored_outlives_its_broker_too(void **state)
{
    spawn_id id;

    (void)state;
    worker_is_ready();
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&the_worker, &id);
    another_broker();
    expect_call(&the_worker, &id);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_FUNCTION, ""), "My::f");
    worker_returns(&the_worker, &id);
    submit(&id, SPAWN_REPLY_FINISHED); /* another one: it is free */
    expect_call(&the_worker, &id);
    worker_returns(&the_worker, &id);
    expect_returned();
    end_broker();
    expect_sql("SELECT count(*) || ' ' || sum(outcome = 1) FROM job", "2 2");
}

static void arguments_stand_on_the_ticket(void **state)
{
    static const char args[] = "arguments, as they came";
    const spawn_attr *a;
    spawn_writer w;
    spawn_id id;
    int i;

    (void)state;
    worker_is_ready();
    (void)spawn_id_make(&id);
    begin(&w, SPAWN_M_SUBMIT, &id);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    spawn_put_bytes(&w, SPAWN_A_ARGS, args, sizeof(args));
    broker_sleeps(); /* not stored: all of it in one turn */
    ask(&w);
    broker_goes_on();
    for (i = 0; i < 2; i++) {
        expect_call(&the_worker, &id);
        a = &message.attr[SPAWN_A_ARGS];
        assert_int_equal(a->length, sizeof(args));
        assert_memory_equal(a->data, args, sizeof(args));
        if (i == 0) {
            kill_broker();
            call_stands_nowhere_else();
            start_another(&the_worker, &template);
        }
    }
    worker_returns(&the_worker, &id);
}

static void a_worker_that_idles_serves_on(void **state)
{
    spawn_id id;

    (void)state;
    worker_is_ready();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &id);
    worker_returns(&the_worker, &id);
    expect_returned();
    a_moment_passes(); /* it is stored */
    another_broker();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &id);
    worker_returns(&the_worker, &id);
    expect_returned();
    end_broker();
    expect_sql("SELECT count(*) FROM job", "2");
}

static void a_worker_with_no_ticket_of_ours_is_sent_away(void **state)
{
    int ticket;

    (void)state;
    worker_is_ready();
    ticket = spawn_os_memfd("not a ticket");
    assert_int_equal(ftruncate(ticket, 65536), 0);
    assert_int_equal(dup2(ticket, the_worker.kept[2]), the_worker.kept[2]);
    (void)close(ticket);
    another_broker();
    expect_no_more(&the_worker);
}

/* As one ends that leaves. */
static void expect_how_it_ended(const spawn_id *id, spawn_outcome outcome)
{
    (void)close(the_worker.link);
    say_exited(&the_worker.id, 0, 0);
    submit_again(id, "My::f");
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DONE);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]), outcome);
}

static void what_may_not_have_been_read_is_not_told_as_done(void **state)
{
    spawn_id id;

    (void)state;
    worker_is_ready();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &id);
    another_broker();
    is_there();
    expect_how_it_ended(&id, SPAWN_OUTCOME_LOST);
}

static void nor_what_may_not_have_been_sent(void **state)
{
    spawn_id id;

    (void)state;
    worker_is_ready();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &id);
    assert_int_equal(shutdown(the_worker.link, SHUT_RD), 0);
    another_broker();
    is_there();
    expect_how_it_ended(&id, SPAWN_OUTCOME_LOST);
}

/* It has called exit. */
static void what_was_read_is(void **state)
{
    spawn_id id;

    (void)state;
    worker_is_ready();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &id);
    another_broker();
    expect_call(&the_worker, &id);
    expect_how_it_ended(&id, SPAWN_OUTCOME_EXITED);
}

/* Its history is not that far behind. */
static void what_was_told_is_stored_a_moment_later(void **state)
{
    spawn_id id;

    (void)state;
    worker_is_ready();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &id);
    worker_returns(&the_worker, &id);
    expect_returned();
    a_moment_passes();
    kill_broker();
    expect_sql("SELECT count(*) || ' ' || outcome || ' ' || result_kind"
               " FROM job",
               "1 1 1");
}

static void a_list_has_what_was_told_a_moment_before(void **state)
{
    spawn_writer w;
    spawn_id id;

    (void)state;
    worker_is_ready();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &id);
    worker_returns(&the_worker, &id);
    expect_returned();
    begin(&w, SPAWN_M_LIST, NULL);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_DONE);
    expect_answer(SPAWN_M_END);
}

static void a_call_is_tried_again_as_often_as_it_asks(void **state)
{
    spawn_writer w;
    spawn_id id;
    int i;

    (void)state;
    make_store();
    reach_workers(1, 1, &template);
    (void)spawn_id_make(&id);
    for (i = 1; i <= 2; i++) {
        worker_starts(&the_worker);
        worker_says(&the_worker, NULL);
        if (i == 1) {
            begin(&w, SPAWN_M_SUBMIT, &id);
            spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
            spawn_put_i64(&w, SPAWN_A_RETRY, 1);
            spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
            ask(&w);
        }
        expect_call(&the_worker, &id);
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), i);
        say_exited(&the_worker.id, 0, SIGSEGV);
        (void)close(the_worker.link);
    }
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]),
                     SPAWN_OUTCOME_SIGNALLED);
}

/* The call that it was to be given, and could not be, is not on its ticket. */
static void what_a_dying_worker_never_got_is_not_taken_for_its(void **state)
{
    worker other;
    spawn_id id;
    int first;

    (void)state;
    for (first = 0; first < 2; first++) {
        worker_is_ready();
        assert_int_equal(shutdown(the_worker.link, SHUT_RD), 0);
        submit(&id, SPAWN_REPLY_FINISHED);
        worker_starts(&other);
        worker_says(&other, NULL);
        expect_call(&other, &id);
        kill_broker();
        start_broker();
        say_running_app(&template);
        say_running_worker(first ? &other : &the_worker);
        say_running_worker(first ? &the_worker : &other);
        expect_ready();
        say(SPAWN_M_GO);
        call_in();
        submit_again(&id, "My::f");
        expect_call(&other, &id);
        say_exited(&the_worker.id, 0, SIGKILL);
        expect_id(SPAWN_M_FORGET, &the_worker.id);
        worker_returns(&other, &id);
        expect_returned();
        kill_broker();
    }
}

/* Nobody sees that its process ends (there is none): as one that hangs. */
static void a_worker_that_cannot_be_killed_is_replaced(void **state)
{
    spawn_writer w;
    spawn_id id;

    (void)state;
    worker_is_ready();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &id);
    begin(&w, SPAWN_M_KILL, &id);
    spawn_put_u64(&w, SPAWN_A_SIGNO, SIGKILL);
    ask(&w);
    expect_id(SPAWN_M_SIGNAL, &the_worker.id);
    comes_to_rest();
    later_by(2);
    comes_to_rest(); /* it has looked once */
    later_by(1);
    do {
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    } while (message.header.type == SPAWN_M_DONE);
    assert_int_equal(message.header.type, SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]),
                     SPAWN_OUTCOME_CANCELLED);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(a_call_outlives_its_broker),
        ALONE(what_had_returned_is_not_called_again),
        ALONE(a_call_that_is_stored_outlives_its_broker_too),
        ALONE(arguments_stand_on_the_ticket),
        ALONE(what_may_not_have_been_read_is_not_told_as_done),
        ALONE(nor_what_may_not_have_been_sent),
        ALONE(what_was_read_is),
        ALONE(what_was_told_is_stored_a_moment_later),
        ALONE(a_list_has_what_was_told_a_moment_before),
        ALONE(a_call_is_tried_again_as_often_as_it_asks),
        ALONE(what_a_dying_worker_never_got_is_not_taken_for_its),
        ALONE(a_worker_that_cannot_be_killed_is_replaced),
        ALONE(a_worker_that_idles_serves_on),
        ALONE(a_worker_with_no_ticket_of_ours_is_sent_away)};

    find_broker();
    return cmocka_run_group_tests_name("broker tickets", tests, NULL, NULL);
}
