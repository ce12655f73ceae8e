/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is taken and what is refused, and when a submit is answered: at once, at
 * the start, at the end, and the same for who sends it again. Handles wait with
 * their job. The protocol of broker_caller.h.
 */
#include "t/unit/broker_caller.h"

#include "common/spawn_box.h"

static spawn_id job; /* of the test */

static void reach_go(void)
{
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

/* ---- submits ---- */

static void begin_submit(spawn_writer *w, const spawn_id *id)
{
    size_t mark;

    begin(w, SPAWN_M_SUBMIT, id);
    mark = spawn_open_strv(w, SPAWN_A_ARGV);
    spawn_add_text(w, mark, "/bin/true", 9);
    spawn_close(w, mark);
}

static void submit(const spawn_id *id, spawn_reply reply)
{
    spawn_writer w;

    begin_submit(&w, id);
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
}

static void submit_with(uint16_t attr, const char *value)
{
    spawn_writer w;

    (void)spawn_id_make(&job);
    begin_submit(&w, &job);
    spawn_put_str(&w, attr, value);
    ask(&w);
}

static void submit_function(const char *template, int retry, spawn_reply reply)
{
    spawn_writer w;

    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    if (template)
        spawn_put_str(&w, SPAWN_A_TEMPLATE, template);
    if (retry)
        spawn_put_i64(&w, SPAWN_A_RETRY, retry);
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
}

static void expect_text(const char *text)
{
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""), text);
}

static void expect_accepted(spawn_state state)
{
    expect_answer(SPAWN_M_ACCEPTED);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]), state);
}

static void expect_job(spawn_state state)
{
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]), state);
}

/* It answers, and nothing that was asked before. */
static void nothing_is_told(void)
{
    spawn_writer w;
    spawn_id nobody;

    (void)spawn_id_make(&nobody);
    begin(&w, SPAWN_M_GET, &nobody);
    ask(&w);
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
}

/* ---- what is refused ---- */

static void a_full_queue_refuses(void **state)
{
    spawn_id ids[3];
    int i;

    (void)state;
    queue_jobs = queue_waits = 1;
    reach_go();
    for (i = 0; i < 3; i++) {
        (void)spawn_id_make(&ids[i]);
        submit(&ids[i], SPAWN_REPLY_ACCEPTED);
        if (i < 2)
            expect_answer(SPAWN_M_ACCEPTED);
    }
    expect_refusal(SPAWN_E_QUEUE_FULL);
    expect_text("queue 'default' is full: 1 jobs run and 1 wait");
    expect_id(SPAWN_M_LAUNCH, &ids[0]);
    say_started(&ids[0]);
    say_exited(&ids[0], 0, 0);
    expect_id(SPAWN_M_LAUNCH, &ids[1]);
    expect_id(SPAWN_M_FORGET, &ids[0]);
    submit(&ids[2], SPAWN_REPLY_ACCEPTED); /* it was not known */
    expect_answer(SPAWN_M_ACCEPTED);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "3");
}

static void an_unknown_queue_names_those_there_are(void **state)
{
    static const char *const more[] = {"b", "c", NULL};

    (void)state;
    more_queues = more;
    reach_go();
    submit_with(SPAWN_A_QUEUE, "nowhere");
    expect_refusal(SPAWN_E_UNKNOWN_QUEUE);
    expect_text("queue 'nowhere' is not configured; configured: c, b, default");
    submit_with(SPAWN_A_QUEUE, "b");
    expect_answer(SPAWN_M_ACCEPTED);
}

/* It still has a job, but takes no more. */
static void a_queue_that_has_gone_is_not_named(void **state)
{
    static const char *const more[] = {"b", NULL};

    (void)state;
    more_queues = more;
    start_broker();
    expect_ready();
    call_in();
    submit_with(SPAWN_A_QUEUE, "b");
    expect_answer(SPAWN_M_ACCEPTED);
    more_queues = NULL;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    (void)close(caller);
    call_in();
    submit_with(SPAWN_A_QUEUE, "b");
    expect_refusal(SPAWN_E_UNKNOWN_QUEUE);
    expect_text("queue 'b' is not configured; configured: default");
}

static void names_of_queues_are_cut_where_there_is_no_room(void **state)
{
    static const char *const more[] = {
        "last", "a12345678901234567890123456789012345678901234567890123456789",
        "b12345678901234567890123456789012345678901234567890123456789",
        "c12345678901234567890123456789012345678901234567890123456789", NULL};

    (void)state;
    more_queues = more;
    reach_go();
    submit_with(SPAWN_A_QUEUE, "nowhere");
    expect_refusal(SPAWN_E_UNKNOWN_QUEUE);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), ", ..."));
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "b1234"));
    assert_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "a1234"));
}

static void only_the_account_that_jobs_have_can_be_asked_for(void **state)
{
    static const uint16_t attrs[] = {SPAWN_A_USER, SPAWN_A_GROUP};
    char own[24];
    int i;

    (void)state;
    job_names = true;
    reach_go();
    for (i = 0; i < 2; i++) {
        submit_with(attrs[i], i ? "theirs" : "they");
        expect_answer(SPAWN_M_ACCEPTED);
        (void)snprintf(own, sizeof(own), "%d", (int)(i ? getgid() : getuid()));
        submit_with(attrs[i], own);
        expect_answer(SPAWN_M_ACCEPTED);
        submit_with(attrs[i], i ? "they" : "theirs");
        expect_refusal(SPAWN_E_NOT_PERMITTED);
        submit_with(attrs[i], "60001");
        expect_refusal(SPAWN_E_NOT_PERMITTED);
    }
}

static void an_unknown_template_names_those_there_are(void **state)
{
    (void)state;
    rules = "A";
    reach_go();
    submit_function("nothing", 0, SPAWN_REPLY_ACCEPTED);
    expect_refusal(SPAWN_E_INVALID);
    expect_text("template 'nothing' is not configured; configured: app");
    submit_function("app", 0, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    submit_function(NULL, 0, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
}

static void
without_templates_functions_are_refused_and_programs_run(void **state)
{
    (void)state;
    reach_go();
    submit_function(NULL, 0, SPAWN_REPLY_ACCEPTED);
    expect_refusal(SPAWN_E_INVALID);
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
}

static void retries_are_for_workers(void **state)
{
    (void)state;
    rules = "A";
    reach_go();
    submit_function(NULL, 2, SPAWN_REPLY_ACCEPTED);
    expect_refusal(SPAWN_E_INVALID);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "retry"));
    end_broker();
    (void)close(caller);
    workers_max = 1;
    reach_go();
    submit_function(NULL, 2, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    submit_function("app", 2, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
}

static void an_id_of_the_future_is_refused(void **state)
{
    static const int seconds[] = {50, 70};
    uint64_t time;
    int i, k;

    (void)state;
    reach_go();
    for (i = 0; i < 2; i++) {
        (void)spawn_id_make(&job);
        time = (uint64_t)(spawn_wall_ms() + seconds[i] * 1000);
        for (k = 0; k < 6; k++)
            job.bytes[k] = (uint8_t)(time >> (8 * (5 - k)));
        submit(&job, SPAWN_REPLY_ACCEPTED);
        if (i == 0)
            expect_answer(SPAWN_M_ACCEPTED);
    }
    expect_refusal(SPAWN_E_TOO_OLD);
}

/* What a worker waits for in its own queue waits for that worker. */
static void a_worker_does_not_wait_for_itself(void **state)
{
    static const char *const more[] = {"b", NULL};
    spawn_id template, worker;
    spawn_writer w;

    (void)state;
    rules = "A";
    workers_min = workers_max = 1;
    more_queues = more;
    reach_go();
    template_starts(&template, true);
    expect(SPAWN_M_LAUNCH);
    assert_true(spawn_has(&message, SPAWN_A_IS_WORKER));
    spawn_attr_id(&message.attr[SPAWN_A_ID], &worker);
    submit_function(NULL, 0, SPAWN_REPLY_FINISHED); /* it is somebody else's */
    nothing_is_told();
    begin(&w, SPAWN_M_STARTED, &worker);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)getpid());
    send_fds(&w, NULL, 0);
    (void)usleep(20000);
    submit_function(NULL, 0, SPAWN_REPLY_FINISHED);
    expect_refusal(SPAWN_E_INVALID);
    submit_function(NULL, 0, SPAWN_REPLY_STARTED);
    expect_refusal(SPAWN_E_INVALID);
    submit_function(NULL, 0, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_STARTED); /* a program */
    nothing_is_told();
    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_str(&w, SPAWN_A_QUEUE, "b");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    nothing_is_told();
}

/* ---- when it is answered ---- */

static void who_waits_for_the_start_is_told_then(void **state)
{
    (void)state;
    reach_go();
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_STARTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    nothing_is_told();
    submit(&job, SPAWN_REPLY_STARTED); /* again: it waits too */
    nothing_is_told();
    say_started(&job);
    expect_job(SPAWN_STATE_RUNNING);
    expect_job(SPAWN_STATE_RUNNING);
    submit(&job, SPAWN_REPLY_STARTED); /* it runs: at once */
    expect_job(SPAWN_STATE_RUNNING);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    submit(&job, SPAWN_REPLY_STARTED);
    expect_job(SPAWN_STATE_DONE);
}

/* What is stored a moment later is told now. */
static void
who_asks_for_the_start_of_what_has_just_started_is_told(void **state)
{
    (void)state;
    reach_go();
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    broker_sleeps();
    say_started(&job);
    submit(&job, SPAWN_REPLY_STARTED);
    broker_goes_on();
    expect_job(SPAWN_STATE_RUNNING);
}

static void who_waits_for_the_end_is_told_then(void **state)
{
    (void)state;
    reach_go();
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    nothing_is_told();
    submit(&job, SPAWN_REPLY_FINISHED);
    nothing_is_told();
    say_exited(&job, 0, 3 << 8);
    expect_job(SPAWN_STATE_DONE);
    expect_job(SPAWN_STATE_DONE);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_EXIT_CODE]), 3);
    submit(&job, SPAWN_REPLY_FINISHED);
    expect_job(SPAWN_STATE_DONE);
}

static void who_waits_for_the_start_is_told_of_an_end_too(void **state)
{
    (void)state;
    reach_go();
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_STARTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_exited(&job, SPAWN_STEP_EXEC, ENOENT);
    expect_job(SPAWN_STATE_DONE);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STEP]),
                     SPAWN_STEP_EXEC);
}

static void a_resend_is_told_how_far_it_is(void **state)
{
    (void)state;
    reach_go();
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_accepted(SPAWN_STATE_STARTING);
    expect_id(SPAWN_M_LAUNCH, &job);
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_accepted(SPAWN_STATE_STARTING);
    say_started(&job);
    (void)usleep(10000);
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_accepted(SPAWN_STATE_RUNNING);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_accepted(SPAWN_STATE_DONE);
    end_broker();
    expect_sql("SELECT count(*) || ' ' || outcome FROM job", "1 1");
}

/* It has the number of its question, and the output that was asked for. */
static void an_answer_is_that_of_its_question(void **state)
{
    static const spawn_reply replies[] = {
        SPAWN_REPLY_ACCEPTED, SPAWN_REPLY_STARTED, SPAWN_REPLY_FINISHED};
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_writer w;
    spawn_stdio out;
    size_t mark;
    int i, pipe;

    (void)state;
    reach_go();
    (void)spawn_id_make(&job);
    for (i = 0; i < 3; i++) {
        spawn_writer_init(&w, SPAWN_REQUEST_MAX);
        spawn_writer_begin(&w, SPAWN_M_SUBMIT, 11u + (unsigned)i);
        spawn_put_id(&w, SPAWN_A_ID, &job);
        mark = spawn_open_strv(&w, SPAWN_A_ARGV);
        spawn_add_text(&w, mark, "/bin/true", 9);
        spawn_close(&w, mark);
        spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
        spawn_put_u64(&w, SPAWN_A_REPLY, replies[i]);
        ask(&w);
        if (i == 0) {
            expect_answer(SPAWN_M_ACCEPTED);
            assert_int_equal(message.header.seq, 11);
            expect_id(SPAWN_M_LAUNCH, &job);
            spawn_attr_stdio(&message.attr[SPAWN_A_STDOUT], &out);
            pipe = packet.fds[out.fd];
            packet.fds[out.fd] = -1;
            assert_int_equal(write(pipe, "words", 5), 5);
            (void)close(pipe);
            say_started(&job);
            say_exited(&job, 0, 0);
            expect_id(SPAWN_M_FORGET, &job);
            continue;
        }
        expect_job(SPAWN_STATE_DONE);
        assert_int_equal(message.header.seq, 11 + i);
        assert_true(spawn_attr_u64(&message.attr[SPAWN_A_SUBMITTED_AT])
                    > 1600000000000u);
        assert_int_equal(spawn_has(&message, SPAWN_A_OUT), i == 2);
    }
}

static void who_waits_may_leave(void **state)
{
    spawn_id other;

    (void)state;
    reach_go();
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    (void)close(caller);
    call_in();
    submit(&job, SPAWN_REPLY_FINISHED);
    nothing_is_told();
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_job(SPAWN_STATE_DONE);
    (void)spawn_id_make(&other);
    submit(&other, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
}

/* ---- handles ---- */

static void submit_with_handle(void)
{
    const spawn_stdio in = {SPAWN_STDIO_FD, 0, 0, ""};
    spawn_writer w;
    int fd = spawn_bytes_memfd("handle", "words", 5);

    (void)spawn_id_make(&job);
    begin_submit(&w, &job);
    spawn_put_stdio(&w, SPAWN_A_STDIN, &in);
    assert_int_equal(spawn_writer_finish(&w, 1), 0);
    assert_int_equal(spawn_packet_send(caller, w.data, w.length, &fd, 1), 0);
    spawn_writer_free(&w);
    (void)close(fd);
    expect_answer(SPAWN_M_ACCEPTED);
}

/* A box of one with the words; it stays open: ret. */
static int expect_box(unsigned type)
{
    char words[8] = "";
    int fd = -1, box;

    expect_id(type, &job);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_BOXED, 0), 1);
    assert_int_equal(packet.fds_count, 1);
    box = packet.fds[0];
    packet.fds[0] = -1;
    assert_int_equal(spawn_box_look(box, &fd, 1), 1);
    assert_int_equal(pread(fd, words, sizeof(words), 0), 5);
    assert_string_equal(words, "words");
    (void)close(fd);
    return box;
}

static void handles_are_held_until_their_job_has_them(void **state)
{
    (void)state;
    reach_go();
    submit_with_handle();
    (void)close(expect_box(SPAWN_M_HOLD));
    (void)close(expect_box(SPAWN_M_LAUNCH));
    expect_id(SPAWN_M_RELEASE, &job);
    end_broker();
    expect_sql("SELECT fds FROM job", "1");
}

/* An order may come back, and has to have them when it is given again. */
static void handles_of_a_function_are_held_until_its_end(void **state)
{
    const spawn_stdio in = {SPAWN_STDIO_FD, 0, 0, ""};
    int fd = spawn_bytes_memfd("handle", "words", 5);
    spawn_id template;
    spawn_writer w;

    (void)state;
    rules = "A";
    reach_go();
    template_starts(&template, true);
    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_stdio(&w, SPAWN_A_STDIN, &in);
    assert_int_equal(spawn_writer_finish(&w, 1), 0);
    assert_int_equal(spawn_packet_send(caller, w.data, w.length, &fd, 1), 0);
    spawn_writer_free(&w);
    (void)close(fd);
    expect_id(SPAWN_M_HOLD, &job);
    expect_order(&job, &template);
    say_exited(&job, SPAWN_STEP_TEMPLATE, EAGAIN);
    expect_id(SPAWN_M_FORGET, &job);
    expect_id(SPAWN_M_RELEASE, &job); /* and held again: it waits */
    (void)close(expect_box(SPAWN_M_HOLD));
    expect_order(&job, &template);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_BOXED, 0), 1);
    say_started(&job);
    say_exited(&job, 0, 0);
    do {
        next_message();
    } while (message.header.type == SPAWN_M_FORGET);
    assert_int_equal(message.header.type, SPAWN_M_RELEASE);
}

static void handles_of_a_job_that_is_cancelled_are_let_go(void **state)
{
    spawn_writer w;

    (void)state;
    start_broker();
    expect_ready();
    call_in();
    submit_with_handle();
    (void)close(expect_box(SPAWN_M_HOLD));
    begin(&w, SPAWN_M_KILL, &job);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
    expect_id(SPAWN_M_RELEASE, &job);
}

static void handles_of_a_job_that_cannot_be_stored_are_let_go(void **state)
{
    const spawn_stdio in = {SPAWN_STDIO_FD, 0, 0, ""};
    spawn_writer w;
    int fd = spawn_bytes_memfd("handle", "words", 5);

    (void)state;
    make_store_that_fails(NO_INSERT);
    reach_go();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job);
    spawn_put_stdio(&w, SPAWN_A_STDIN, &in);
    assert_int_equal(spawn_writer_finish(&w, 1), 0);
    assert_int_equal(spawn_packet_send(caller, w.data, w.length, &fd, 1), 0);
    spawn_writer_free(&w);
    (void)close(fd);
    expect_refusal(SPAWN_E_STORE);
    (void)close(expect_box(SPAWN_M_HOLD));
    expect_id(SPAWN_M_RELEASE, &job);
}

static void say_held(int box)
{
    spawn_writer w;

    begin(&w, SPAWN_M_HELD, &job);
    spawn_put_u64(&w, SPAWN_A_BOXED, 1);
    send_fds(&w, &box, 1);
}

static void the_next_broker_gets_what_is_held(void **state)
{
    int box;

    (void)state;
    start_broker();
    expect_ready();
    call_in();
    submit_with_handle();
    box = expect_box(SPAWN_M_HOLD);
    kill_broker();
    start_broker();
    say_held(box);
    expect_ready();
    say(SPAWN_M_GO);
    (void)close(expect_box(SPAWN_M_LAUNCH));
    expect_id(SPAWN_M_RELEASE, &job);
    (void)close(box);
}

/* A spawner of a release before this one holds them one by one. */
static void handles_that_are_in_no_box_are_taken_too(void **state)
{
    spawn_writer w;
    int fd = spawn_bytes_memfd("handle", "words", 5);

    (void)state;
    start_broker();
    expect_ready();
    call_in();
    submit_with_handle();
    (void)close(expect_box(SPAWN_M_HOLD));
    kill_broker();
    start_broker();
    begin(&w, SPAWN_M_HELD, &job);
    send_fds(&w, &fd, 1);
    expect_ready();
    say(SPAWN_M_GO);
    (void)close(expect_box(SPAWN_M_LAUNCH));
    expect_id(SPAWN_M_RELEASE, &job);
    (void)close(fd);
}

static void fewer_or_more_handles_than_there_were_fail_their_job(void **state)
{
    const int fds[2] = {spawn_bytes_memfd("handle", "words", 5),
                        spawn_bytes_memfd("handle", "words", 5)};
    int box = spawn_box_make(fds, 2);

    (void)state;
    start_broker();
    expect_ready();
    call_in();
    submit_with_handle();
    (void)close(expect_box(SPAWN_M_HOLD));
    kill_broker();
    start_broker();
    say_held(box);
    expect_ready();
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_RELEASE, &job);
    end_broker();
    (void)close(fds[0]);
    (void)close(fds[1]);
    (void)close(box);
    expect_sql("SELECT outcome || ' ' || step FROM job", "5 30");
}

static void handles_that_are_gone_fail_their_job(void **state)
{
    (void)state;
    start_broker();
    expect_ready();
    call_in();
    submit_with_handle();
    (void)close(expect_box(SPAWN_M_HOLD));
    (void)close(caller);
    caller = -1;
    end_broker();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    end_broker();
    expect_sql("SELECT outcome || ' ' || step || ' ' || errno FROM job",
               "5 30 9");
    expect_sql(
        "SELECT text LIKE '%did not outlive the server''s stop' FROM job", "1");
}

static void what_is_held_for_nobody_is_let_go(void **state)
{
    int fd = spawn_bytes_memfd("handle", "words", 5);
    int box = spawn_box_make(&fd, 1);

    (void)state;
    (void)spawn_id_make(&job);
    start_broker();
    say_held(box);
    say(SPAWN_M_TABLE_END);
    expect_id(SPAWN_M_RELEASE, &job);
    expect(SPAWN_M_BROKER_READY);
    (void)close(box);
    (void)close(fd);
}

/* It fails when httpd is stopped before it starts: who reads the log, and who
 * asks for its status, is told. */
static void a_job_that_waits_with_handles_is_warned_of(void **state)
{
    spawn_writer w;

    (void)state;
    queue_jobs = 1;
    log_is_kept = true;
    reach_go();
    submit_with_handle();
    expect_id(SPAWN_M_HOLD, &job);
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(logged("MS0670"), 0);
    expect_id(SPAWN_M_RELEASE, &job);
    submit_with_handle();
    expect_id(SPAWN_M_HOLD, &job);
    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_job(SPAWN_STATE_QUEUED);
    assert_int_equal(logged("MS0670"), 1);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_HANDLES, 0), 1);
    (void)spawn_id_make(&job);
    submit(&job, SPAWN_REPLY_ACCEPTED); /* it waits, without any */
    expect_answer(SPAWN_M_ACCEPTED);
    assert_int_equal(logged("MS0670"), 1);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(a_full_queue_refuses),
        ALONE(an_unknown_queue_names_those_there_are),
        ALONE(a_queue_that_has_gone_is_not_named),
        ALONE(names_of_queues_are_cut_where_there_is_no_room),
        ALONE(only_the_account_that_jobs_have_can_be_asked_for),
        ALONE(an_unknown_template_names_those_there_are),
        ALONE(without_templates_functions_are_refused_and_programs_run),
        ALONE(retries_are_for_workers),
        ALONE(an_id_of_the_future_is_refused),
        ALONE(a_worker_does_not_wait_for_itself),
        ALONE(who_waits_for_the_start_is_told_then),
        ALONE(who_asks_for_the_start_of_what_has_just_started_is_told),
        ALONE(who_waits_for_the_end_is_told_then),
        ALONE(who_waits_for_the_start_is_told_of_an_end_too),
        ALONE(a_resend_is_told_how_far_it_is),
        ALONE(an_answer_is_that_of_its_question),
        ALONE(who_waits_may_leave),
        ALONE(handles_are_held_until_their_job_has_them),
        ALONE(handles_of_a_function_are_held_until_its_end),
        ALONE(handles_of_a_job_that_is_cancelled_are_let_go),
        ALONE(handles_of_a_job_that_cannot_be_stored_are_let_go),
        ALONE(the_next_broker_gets_what_is_held),
        ALONE(handles_that_are_in_no_box_are_taken_too),
        ALONE(fewer_or_more_handles_than_there_were_fail_their_job),
        ALONE(handles_that_are_gone_fail_their_job),
        ALONE(what_is_held_for_nobody_is_let_go),
        ALONE(a_job_that_waits_with_handles_is_warned_of)};

    find_broker();
    return cmocka_run_group_tests_name("broker submits", tests, NULL, NULL);
}
