/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A damaged store is set aside while a job of it runs: the job is taken into
 * the new one, is looked at, killed and waited for, and has its end there.
 * Values of the damaged store that cannot be believed are not. The protocol of
 * broker_jobs.h.
 */
#include "t/unit/broker_jobs.h"

/* A store of which this job runs. */
static void one_runs(const char *function)
{
    log_is_kept = true;
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, SPAWN_STATE_RUNNING, function);
    run_sql("INSERT INTO job(id, queue, state, digest, fds, submitted_at, body)"
            " SELECT randomblob(16), 'other', 4, 5, 0, 1, x'00' FROM job");
}

static void begin_running(spawn_writer *w)
{
    begin(w, SPAWN_M_RUNNING, &job);
    spawn_put_u64(w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(w, SPAWN_A_PID, 4242);
    spawn_put_u64(w, SPAWN_A_MONO_STARTED, 1000);
    spawn_put_u64(w, SPAWN_A_BOOT_STARTED, 1000);
}

static void tell_running(unsigned attempt)
{
    spawn_writer w;

    begin_running(&w);
    if (attempt)
        spawn_put_u64(&w, SPAWN_A_ATTEMPT, attempt);
    send_fds(&w, NULL, 0);
}

static void goes_on(void)
{
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    assert_int_equal(logged("MS0866"), 1);
}

static void another_broker_is_told_of_it(void)
{
    start_broker();
    tell_running(0);
    goes_on();
}

static void ask_for_it(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
}

static void look(void)
{
    ask_for_it();
    expect_answer(SPAWN_M_JOB);
}

static void expect_it_runs(void)
{
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 99),
                     SPAWN_STATE_RUNNING);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), 4242);
}

static void expect_it_has_its_end(int code)
{
    say_exited(&job, 0, code << 8);
    expect_id(SPAWN_M_FORGET, &job);
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 99),
                     SPAWN_STATE_DONE);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 99),
                     SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), code);
}

static const char *program(void)
{
    return spawn_has(&message, SPAWN_A_ARGV)
               ? spawn_strv_next(&message.attr[SPAWN_A_ARGV], NULL)
               : "";
}

static void what_is_read_of_it_is_told(void **state)
{
    (void)state;
    one_runs(NULL);
    run_sql("UPDATE job SET queue = 'slow', submitted_at = 7000"
            " WHERE state = 3");
    damage_table("output");
    another_broker_is_told_of_it();
    expect_it_runs();
    assert_string_equal(spawn_attr_str(&message.attr[SPAWN_A_QUEUE]), "slow");
    assert_string_equal(program(), "/bin/true");
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SUBMITTED_AT, 0), 7000);
    assert_int_equal(logged("MS0896"), 1);
    assert_int_equal(logged("nothing of it can be read"), 0);
    expect_it_has_its_end(3);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1"); /* of those that ran */
    assert_int_equal(logged("MS0522"), 0);
    assert_int_equal(logged("MS0585"), 0);
}

static void so_is_a_function(void **state)
{
    (void)state;
    one_runs("My::function");
    damage_table("output");
    another_broker_is_told_of_it();
    expect_it_runs();
    assert_string_equal(spawn_str_or(&message, SPAWN_A_FUNCTION, ""),
                        "My::function");
    expect_it_has_its_end(0);
}

/* The index of ids is damaged, and the table is not. */
static void its_row_is_found_without_an_index(void **state)
{
    (void)state;
    one_runs(NULL);
    damage_table("sqlite_autoindex_job_1");
    another_broker_is_told_of_it();
    expect_it_runs();
    assert_string_equal(program(), "/bin/true");
    expect_it_has_its_end(0);
}

static void it_can_be_killed_and_waited_for(void **state)
{
    spawn_writer w;

    (void)state;
    one_runs(NULL);
    damage_table("output");
    another_broker_is_told_of_it();
    kill_it(SIGTERM);
    expect_id(SPAWN_M_SIGNAL, &job);
    expect_answer(SPAWN_M_DONE);
    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&w);
    say_exited(&job, 0, SIGTERM);
    expect_id(SPAWN_M_FORGET, &job);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SIGNAL, 0), SIGTERM);
}

static void it_has_a_place_in_its_queue(void **state)
{
    spawn_id runs, more;

    (void)state;
    queue_jobs = 1;
    one_runs(NULL);
    runs = job;
    damage_table("output");
    another_broker_is_told_of_it();
    (void)spawn_id_make(&more);
    submit_as(&more, "/bin/false");
    expect_answer(SPAWN_M_ACCEPTED);
    quiet_for(50);
    say_exited(&runs, 0, 0);
    do { /* before it, or after */
        next_message();
    } while (message.header.type == SPAWN_M_FORGET);
    assert_string_equal(spawn_message_name(message.header.type), "launch");
}

/* Not even the layout can be read. */
static void without_any_row_it_has_its_end_all_the_same(void **state)
{
    (void)state;
    one_runs(NULL);
    damage_table("job");
    another_broker_is_told_of_it();
    expect_it_runs();
    assert_string_equal(spawn_attr_str(&message.attr[SPAWN_A_QUEUE]),
                        "default");
    assert_string_equal(spawn_str_or(&message, SPAWN_A_LABEL, ""),
                        "the store was damaged");
    assert_int_equal(logged("nothing of it can be read"), 1);
    expect_it_has_its_end(3);
}

/* Else what ran for hours would be killed. */
static void then_it_has_no_time_out(void **state)
{
    (void)state;
    queue_timeout = 1000;
    one_runs(NULL);
    damage_table("job");
    another_broker_is_told_of_it();
    expect_it_runs();
    time_passes(3600);
    quiet_for(50);
    expect_it_has_its_end(0);
}

static void is_not_believed(const char *sql)
{
    one_runs(NULL);
    run_sql(sql);
    damage_table("output");
    another_broker_is_told_of_it();
    expect_it_runs();
    assert_string_equal(spawn_str_or(&message, SPAWN_A_LABEL, ""),
                        "the store was damaged");
    assert_string_equal(program(), "");
    assert_string_equal(spawn_attr_str(&message.attr[SPAWN_A_QUEUE]),
                        "default");
    expect_it_has_its_end(0);
}

static void a_queue_that_is_no_name_is_not_believed(void **state)
{
    (void)state;
    is_not_believed("UPDATE job SET queue = '../../x' WHERE state = 3");
}

static void a_long_name_is_not_believed(void **state)
{
    (void)state;
    is_not_believed("UPDATE job SET queue = hex(zeroblob(50000))"
                    " WHERE state = 3");
}

static void an_order_that_is_none_is_not_believed(void **state)
{
    (void)state;
    is_not_believed("UPDATE job SET body = x'ffffffff00' WHERE state = 3");
}

static void handles_without_number_are_not_believed(void **state)
{
    (void)state;
    is_not_believed("UPDATE job SET fds = 70000 WHERE state = 3");
}

static void a_program_is_not_taken_for_a_function(void **state)
{
    (void)state;
    is_not_believed("UPDATE job SET template = 'app' WHERE state = 3");
}

static void the_order_of_another_one_is_not_believed(void **state)
{
    (void)state;
    /* its id is the first of its attributes */
    is_not_believed("UPDATE job SET body = CAST(substr(body, 1, 12) ||"
                    " x'00' || substr(body, 14) AS BLOB) WHERE state = 3");
}

/* It was submitted with retry, and what it is to run may be wrong. */
static void it_is_not_tried_again(void **state)
{
    spawn_writer w;

    (void)state;
    log_is_kept = true;
    make_store();
    (void)spawn_id_make(&job);
    begin_order(&w, &job);
    {
        size_t mark = spawn_open_strv(&w, SPAWN_A_ARGV);

        spawn_add_text(&w, mark, "/bin/true", 9);
        spawn_close(&w, mark);
    }
    spawn_put_i64(&w, SPAWN_A_RETRY, 5);
    put_order(&job, SPAWN_STATE_RUNNING, &w);
    run_sql("UPDATE job SET attempt = 2");
    damage_table("output");
    start_broker();
    tell_running(2);
    goes_on();
    expect_it_runs();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 1), 2);
    expect_it_has_its_end(3);
    assert_false(spawn_has(&message, SPAWN_A_DEAD)); /* nor revived */
    time_passes(600);
    quiet_for(50);
}

/* Its end is told, and not that it runs. */
static void one_that_has_ended_meanwhile_is_told(void **state)
{
    (void)state;
    one_runs(NULL);
    damage_table("job");
    start_broker();
    say_exited(&job, 0, 3 << 8);
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY);
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_FORGET, &job);
    call_in();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), 3);
}

/* As the spawner tells of one that has ended: also that it runs. */
static void tell_ended(void)
{
    int i;

    tell_running(0);
    say_exited(&job, 0, 3 << 8);
    say(SPAWN_M_TABLE_END);
    for (i = 0; i < 2; i++) { /* one that nobody knows is forgotten at once */
        next_message();
        if (message.header.type == SPAWN_M_BROKER_READY)
            say(SPAWN_M_GO);
        else
            assert_int_equal(message.header.type, SPAWN_M_FORGET);
    }
    call_in();
}

/* By a broker that was killed then: no other store is there. */
static void set_it_aside(const char *when)
{
    char from[300], to[300];

    (void)snprintf(from, sizeof(from), "%s/jobs.db", dir);
    (void)snprintf(to, sizeof(to), "%s/jobs.db.damaged-%s", dir, when);
    assert_int_equal(rename(from, to), 0);
}

static void so_is_one_whose_store_another_broker_set_aside(void **state)
{
    (void)state;
    one_runs(NULL);
    damage_table("job");
    set_it_aside("20260101-120000");
    start_broker();
    tell_ended();
    assert_int_equal(logged("has ended, and only the store"), 1);
    assert_int_equal(logged("MS0866"), 0);
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), 3);
}

/* The history has dropped it since. */
static void is_not_taken_in_again(void)
{
    set_it_aside("20250101-120000");
    make_store();
    start_broker();
    tell_ended();
    ask_for_it();
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
    assert_int_equal(logged("MS0896"), 0);
}

static void one_that_has_ended_long_after_is_not(void **state)
{
    (void)state;
    one_runs(NULL);
    damage_table("job");
    is_not_taken_in_again();
}

static void nor_is_one_that_can_be_read_there(void **state)
{
    (void)state;
    one_runs(NULL);
    is_not_taken_in_again();
}

/* Files that an administrator's look leaves behind are no store. */
static void the_newest_is_no_log_of_another_one(void **state)
{
    static const char *const tails[] = {"-wal", "-shm", "-journal", ".old"};
    char path[300];
    unsigned i;

    (void)state;
    one_runs(NULL);
    set_it_aside("20260101-120000");
    for (i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        (void)snprintf(path, sizeof(path),
                       "%s/jobs.db.damaged-20260101-120000%s", dir, tails[i]);
        (void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    }
    start_broker();
    tell_running(0);
    expect_ready();
    call_in();
    expect_it_runs();
    assert_string_equal(program(), "/bin/true");
}

/* The spawner keeps what it has captured, 8 bytes, and 8 more in its pipe. */
static void tell_captured(void)
{
    static const uint64_t keep[] = {0, SPAWN_KEEP_OUT_PIPE, 1,
                                    SPAWN_KEEP_OUT_FILE};
    int ends[2], fds[2];
    spawn_writer w;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fds[0] = ends[0];
    fds[1] = spawn_os_memfd("spawn-stdout");
    assert_true(fds[1] >= 0);
    assert_int_equal(write(fds[1], "a secret", 8), 8);
    assert_int_equal(write(ends[1], ", and it", 8), 8);
    begin_running(&w);
    spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 4);
    send_fds(&w, fds, 2);
    spawn_close_fds(fds, 2);
    (void)close(ends[1]);
}

/* As it runs, or when it has ended. */
static void look_at_output(bool runs)
{
    static const uint64_t from[] = {0, 0};
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    if (runs)
        spawn_put_u64v(&w, SPAWN_A_OUTPUT_FROM, from, 2);
    else
        spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, 1);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
}

static size_t output(void)
{
    return spawn_has(&message, SPAWN_A_OUT) ? message.attr[SPAWN_A_OUT].length
                                            : 0;
}

/* Nobody knows who may read it. */
static void without_any_row_what_it_wrote_is_kept_from_all(void **state)
{
    (void)state;
    one_runs(NULL);
    damage_table("job");
    start_broker();
    tell_captured();
    goes_on();
    look_at_output(true);
    assert_int_equal(output(), 0);
    expect_it_has_its_end(3);
    look_at_output(false);
    assert_int_equal(output(), 0);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUT_LOST, 0), 16);
}

/* Its limit is known, and it is told whole. */
static void with_its_row_it_is_told(void **state)
{
    (void)state;
    one_runs(NULL);
    damage_table("output");
    start_broker();
    tell_captured();
    goes_on();
    expect_it_has_its_end(3);
    look_at_output(false);
    assert_int_equal(output(), 16);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUT_LOST, 0), 0);
}

static void each_of_several_is_taken_in(void **state)
{
    spawn_id ids[4];
    int i;

    (void)state;
    one_runs(NULL);
    ids[0] = job;
    for (i = 1; i < 4; i++) {
        (void)spawn_id_make(&ids[i]);
        put_job(&ids[i], SPAWN_STATE_RUNNING, NULL);
    }
    damage_table("output");
    start_broker();
    for (i = 4; i-- > 0;) { /* in another order than that of their ids */
        job = ids[i];
        tell_running(0);
    }
    goes_on();
    for (i = 0; i < 4; i++) {
        job = ids[i];
        expect_it_runs();
        assert_string_equal(program(), "/bin/true");
    }
    assert_int_equal(logged("MS0585"), 0);
}

/* ---- what it was ---- */

#define ITS_ROW                                                                \
    "SELECT queue || ' ' || ifnull(template, '-') || ' ' || digest || ' ' ||"  \
    " fds || ' ' || caller_uid || ' ' || caller_pid FROM job"

#define KNOWN_ROW "digest = 77, fds = 2, caller_uid = 12345, caller_pid = 678"

/* The next broker goes by it. */
static void is_stored_so(const char *wanted)
{
    damage_table("output");
    another_broker_is_told_of_it();
    expect_it_runs();
    end_broker();
    expect_sql(ITS_ROW, wanted);
}

static void its_row_is_what_it_was(void **state)
{
    (void)state;
    one_runs(NULL);
    run_sql("UPDATE job SET queue = 'slow', " KNOWN_ROW " WHERE state = 3");
    is_stored_so("slow - 77 2 12345 678");
}

static void so_is_that_of_a_function(void **state)
{
    (void)state;
    one_runs("My::function");
    run_sql("UPDATE job SET template = 'app', " KNOWN_ROW " WHERE state = 3");
    is_stored_so("default app 77 2 12345 678");
}

/* A function that names no template has its queue's. */
static void it_has_no_template_that_it_did_not_name(void **state)
{
    (void)state;
    one_runs("My::function");
    run_sql("UPDATE job SET " KNOWN_ROW " WHERE state = 3");
    is_stored_so("default  77 2 12345 678");
}

/* The rest of its row is as good as its order. */
static void of_what_is_not_believed_nothing_is_kept(void **state)
{
    char wanted[32];

    (void)state;
    one_runs("My::function");
    run_sql("UPDATE job SET body = x'ffffffff00', queue = 'slow',"
            " template = 'app', submitted_at = 7000, " KNOWN_ROW
            " WHERE state = 3");
    is_stored_so("default - 0 0 4294967295 0");
    (void)snprintf(wanted, sizeof(wanted), "%lld",
                   (long long)spawn_id_time(&job));
    expect_sql("SELECT submitted_at FROM job", wanted);
}

/* It is submitted again by a caller that had no answer. */
static void it_does_not_run_twice(void **state)
{
    (void)state;
    one_runs(NULL);
    damage_table("job");
    another_broker_is_told_of_it();
    submit_as(&job, "/bin/true");
    expect_refusal(SPAWN_E_CONFLICT);
    quiet_for(50);
    expect_it_has_its_end(0);
}

/* The broker that took it in is killed before it could store that. */
static void the_next_broker_knows_it_too(void **state)
{
    (void)state;
    one_runs(NULL);
    damage_table("output");
    another_broker_is_told_of_it();
    expect_it_runs();
    kill_broker();
    run_sql("DELETE FROM job");
    another_broker_is_told_of_it();
    expect_it_runs();
    assert_string_equal(program(), "/bin/true");
    expect_it_has_its_end(3);
}

/* Else a broker that is killed then leaves an end that the next one drops. */
static void the_end_of_one_is_stored_at_once(void **state)
{
    (void)state;
    one_runs(NULL);
    damage_table("job");
    start_broker();
    time_stands();
    tell_ended(); /* which is forgotten when it is stored */
    kill_broker();
    expect_sql("SELECT state || ' ' || exit_code FROM job", "4 3");
}

/* Not to be held open as long as the broker lives. */
static void what_was_set_aside_is_closed(void **state)
{
    spawn_id other;

    (void)state;
    ONLY_ROOT_LOOKS;
    one_runs(NULL);
    other = job;
    (void)spawn_id_make(&job);
    put_job(&job, SPAWN_STATE_RUNNING, NULL);
    damage_table("output");
    start_broker();
    tell_running(0);
    job = other;
    tell_running(0);
    goes_on();
    expect_it_runs();
    assert_int_equal(has_open("damaged-"), 0);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(what_is_read_of_it_is_told),
        ALONE(so_is_a_function),
        ALONE(its_row_is_found_without_an_index),
        ALONE(it_can_be_killed_and_waited_for),
        ALONE(it_has_a_place_in_its_queue),
        ALONE(without_any_row_it_has_its_end_all_the_same),
        ALONE(then_it_has_no_time_out),
        ALONE(a_queue_that_is_no_name_is_not_believed),
        ALONE(a_long_name_is_not_believed),
        ALONE(an_order_that_is_none_is_not_believed),
        ALONE(handles_without_number_are_not_believed),
        ALONE(a_program_is_not_taken_for_a_function),
        ALONE(the_order_of_another_one_is_not_believed),
        ALONE(it_is_not_tried_again),
        ALONE(one_that_has_ended_meanwhile_is_told),
        ALONE(so_is_one_whose_store_another_broker_set_aside),
        ALONE(one_that_has_ended_long_after_is_not),
        ALONE(nor_is_one_that_can_be_read_there),
        ALONE(the_newest_is_no_log_of_another_one),
        ALONE(without_any_row_what_it_wrote_is_kept_from_all),
        ALONE(with_its_row_it_is_told),
        ALONE(each_of_several_is_taken_in),
        ALONE(its_row_is_what_it_was),
        ALONE(so_is_that_of_a_function),
        ALONE(it_has_no_template_that_it_did_not_name),
        ALONE(of_what_is_not_believed_nothing_is_kept),
        ALONE(it_does_not_run_twice),
        ALONE(the_next_broker_knows_it_too),
        ALONE(the_end_of_one_is_stored_at_once),
        ALONE(what_was_set_aside_is_closed),
    };

    find_broker();
    return cmocka_run_group_tests_name("broker damaged runs", tests, NULL,
                                       NULL);
}
