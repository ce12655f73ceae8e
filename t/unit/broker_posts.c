/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts: each runs once, or is known as refused, whatever the store does and
 * however many come; and what an inbox keeps is found by the next broker. The
 * protocol of broker_post.h.
 */
#include "t/unit/broker_clock.h"
#include "t/unit/broker_post.h"

#define MANY 70 /* more than there are slots */

static spawn_id ids[MANY];

static void post_to(const spawn_id *id, const char *queue)
{
    spawn_writer w;

    begin_post(&w, id, "/bin/true");
    spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    send_post(&w);
}

/* ---- all of them run, once ---- */

static void more_than_there_are_slots_run(void **state)
{
    bool seen[MANY] = {false};
    spawn_id got;
    int i, k;

    (void)state;
    queue_jobs = MANY;
    log_is_kept = true;
    make_store_that_fails_a_while(NO_INSERT);
    make_inbox();
    reach_go();
    for (i = 0; i < MANY; i++)
        post(&ids[i]);
    wait_until_logged("MS0530", 1);
    store_takes_again();
    for (i = 0; i < MANY; i++) {
        expect(SPAWN_M_LAUNCH);
        spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
        for (k = 0; k < MANY && !spawn_id_equal(&ids[k], &got); k++)
            ;
        assert_true(k < MANY && !seen[k]);
        seen[k] = true;
    }
    end_broker();
    assert_int_equal(full_slots(), 0);
    expect_sql("SELECT count(*) FROM job", "70");
}

static void a_slot_is_free_when_its_job_is_stored(void **state)
{
    static const uint8_t zeros[16];
    uint8_t *map;
    spawn_id id;
    int i;

    (void)state;
    make_inbox();
    reach_go();
    for (i = 0; i < MANY; i++) {
        post(&id);
        runs(&id);
        assert_int_equal(full_slots(), 0);
    }
    /* the lowest one was used each time: the others are no memory */
    map = slots();
    for (i = 0; i < SLOTS; i++)
        assert_int_equal(memcmp(map + (size_t)i * SLOT_SIZE + SPAWN_WIRE_HEADER,
                                zeros, sizeof(zeros))
                             != 0,
                         i == 0);
    (void)munmap(map, (size_t)SLOTS * SLOT_SIZE);
}

static void what_could_not_be_stored_stays_and_is_tried_again(void **state)
{
    spawn_id first, second;

    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    make_inbox();
    log_is_kept = true;
    reach_ready_and_call_in();
    post(&first);
    wait_until_logged("MS0530", 1);
    post(&second);
    wait_until_logged("MS0860", 2);
    assert_int_equal(full_slots(), 2);
    say(SPAWN_M_GO);
    store_takes_again();
    expect_id(SPAWN_M_LAUNCH, &first);
    expect_id(SPAWN_M_LAUNCH, &second);
    end_broker();
    assert_int_equal(full_slots(), 0);
    expect_sql("SELECT count(*) FROM job", "2");
}

static void the_last_slot_is_tried_again_too(void **state)
{
    spawn_writer w;
    spawn_id id;

    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    log_is_kept = true;
    make_inbox();
    (void)spawn_id_make(&id);
    begin_post(&w, &id, "/bin/true");
    lies_in_slot(SLOTS - 1, &w);
    reach_ready_and_call_in();
    wait_until_logged("MS0860", 1);
    say(SPAWN_M_GO);
    has_heard();
    store_takes_again();
    expect_id(SPAWN_M_LAUNCH, &id);
}

/* It was accepted before the commit that failed. */
static void what_was_accepted_is_known_until_it_is_stored(void **state)
{
    spawn_writer w;
    spawn_id id;

    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    make_inbox();
    reach_ready_and_call_in();
    (void)spawn_id_make(&id);
    submit_as(&id, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    begin(&w, SPAWN_M_GET, &id);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_QUEUED);
    submit_as(&id, "/bin/false");
    expect_refusal(SPAWN_E_CONFLICT);
    say(SPAWN_M_GO);
    has_heard();
    store_takes_again();
    expect_id(SPAWN_M_LAUNCH, &id);
    assert_string_equal(spawn_strv_next(&message.attr[SPAWN_A_ARGV], NULL),
                        "/bin/true");
    end_broker();
    assert_int_equal(full_slots(), 0);
    expect_sql("SELECT count(*) FROM job", "1");
}

static void what_a_killed_broker_left_runs_once(void **state)
{
    spawn_writer w;
    spawn_id id;

    (void)state;
    make_inbox();
    (void)spawn_id_make(&id);
    begin_post(&w, &id, "/bin/true");
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    put_in_slot(0, w.data, w.length);
    put_in_slot(SLOTS - 1, w.data, w.length); /* and a resend of it */
    reach_go();
    runs(&id);
    assert_int_equal(full_slots(), 0);
    end_broker();
    /* killed before it was freed */
    put_in_slot(5, w.data, w.length);
    spawn_writer_free(&w);
    reach_go();
    post(&ids[0]);
    runs(&ids[0]);
    assert_int_equal(full_slots(), 0);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "2");
}

static void what_lies_in_a_slot_without_sense_is_dropped(void **state)
{
    uint8_t noise[SPAWN_WIRE_HEADER + 40];
    spawn_writer w;
    spawn_id id;

    (void)state;
    make_inbox();
    (void)spawn_id_make(&id);
    memset(noise, 0xee, sizeof(noise));
    put_in_slot(0, noise, sizeof(noise));
    begin_post(&w, &id, "/bin/true");
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    memset(w.data, 0, 4); /* its header tells of another length */
    put_in_slot(1, w.data, w.length);
    memset(w.data, 0xff, 4);
    put_in_slot(2, w.data, w.length);
    spawn_writer_free(&w);
    reach_go();
    post(&ids[0]);
    runs(&ids[0]);
    assert_int_equal(full_slots(), 0);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
}

static void packets_without_sense_are_dropped(void **state)
{
    static uint8_t big[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX + 1];
    spawn_writer w;
    spawn_id id;

    (void)state;
    make_inbox();
    log_is_kept = true;
    reach_go();
    assert_int_equal(send(post_fds[0], "?", 1, 0), 1);
    assert_int_equal(send(post_fds[0], big, sizeof(big), 0), sizeof(big));
    (void)spawn_id_make(&id);
    begin_post(&w, &id, "/bin/true"); /* a body in a memfd */
    spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, big, sizeof(big));
    (void)spawn_writer_finish(&w, 0);
    (void)spawn_packet_send(post_fds[0], w.data, w.length, NULL, 0);
    spawn_writer_free(&w);
    (void)spawn_id_make(&id);
    begin(&w, SPAWN_M_SUBMIT, &id); /* not what is posted */
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    send_post(&w);
    post(&ids[0]);
    runs(&ids[0]);
    assert_int_equal(full_slots(), 0);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
    assert_true(logged("MS0561") > 0 && logged("MS0570") > 0);
}

static void the_end_of_all_senders_is_borne(void **state)
{
    spawn_id id;

    (void)state;
    make_inbox();
    reach_go();
    post(&ids[0]);
    (void)close(post_fds[0]);
    post_fds[0] = -1;
    runs(&ids[0]);
    call_in();
    (void)spawn_id_make(&id);
    submit_as(&id, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    runs(&id);
}

/* ---- refused ones are known ---- */

static void a_refused_post_is_a_job_that_did_not_start(void **state)
{
    char who[32];

    (void)state;
    make_inbox();
    log_is_kept = true;
    reach_go();
    (void)spawn_id_make(&ids[0]);
    post_to(&ids[0], "nowhere");
    post(&ids[1]);
    runs(&ids[1]);
    assert_int_equal(full_slots(), 0);
    end_broker();
    expect_sql("SELECT state || ' ' || outcome || ' ' || step || ' ' || queue"
               " FROM job WHERE seq = 1",
               "4 5 7 nowhere");
    expect_sql("SELECT text FROM job WHERE seq = 1",
               "queue 'nowhere' is not configured; configured: default");
    (void)snprintf(who, sizeof(who), "%d %d", (int)getuid(), (int)getpid());
    expect_sql("SELECT caller_uid || ' ' || caller_pid FROM job WHERE seq = 1",
               who);
    assert_int_equal(logged("MS0560"), 1);
    assert_int_equal(logged("/bin/true"), 1); /* and not MS0683 too */
}

static void a_post_that_finds_its_queue_full_is_refused_so(void **state)
{
    (void)state;
    make_inbox();
    queue_jobs = queue_waits = 1;
    reach_go();
    post(&ids[0]);
    expect_id(SPAWN_M_LAUNCH, &ids[0]);
    post(&ids[1]);
    post(&ids[2]);
    call_in(); /* after them */
    say_started(&ids[0]);
    say_exited(&ids[0], 0, 0);
    expect_id(SPAWN_M_LAUNCH, &ids[1]);
    end_broker();
    expect_sql("SELECT outcome || ' ' || step || ' ' || text FROM job"
               " WHERE outcome = 5",
               "5 7 queue 'default' is full: 1 jobs run and 1 wait");
}

static void what_has_no_name_is_not_recorded(void **state)
{
    (void)state;
    make_inbox();
    log_is_kept = true;
    reach_go();
    (void)spawn_id_make(&ids[0]);
    post_to(&ids[0], "no name");
    memset(&ids[0], 0, sizeof(ids[0]));
    post_to(&ids[0], "default");
    post(&ids[1]);
    runs(&ids[1]);
    assert_int_equal(full_slots(), 0);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
    assert_int_equal(logged("MS0560"), 2);
}

static void a_conflict_leaves_the_first_one_alone(void **state)
{
    spawn_writer w;

    (void)state;
    make_inbox();
    log_is_kept = true;
    reach_go();
    post(&ids[0]);
    expect_id(SPAWN_M_LAUNCH, &ids[0]);
    begin_post(&w, &ids[0], "/bin/false");
    send_post(&w);
    begin_post(&w, &ids[0], "/bin/true"); /* a resend is none */
    send_post(&w);
    say_started(&ids[0]);
    say_exited(&ids[0], 0, 0);
    expect_id(SPAWN_M_FORGET, &ids[0]);
    begin_post(&w, &ids[0], "/bin/false");
    send_post(&w);
    post(&ids[1]);
    runs(&ids[1]);
    assert_int_equal(full_slots(), 0);
    end_broker();
    expect_sql("SELECT group_concat(outcome || exit_code) FROM job", "10,10");
    assert_int_equal(logged("conflict"), 2);
}

static void too_many_refusals_are_counted(void **state)
{
    int i;

    (void)state;
    make_inbox();
    log_is_kept = true;
    reach_go();
    for (i = 0; i < MANY; i++) {
        (void)spawn_id_make(&ids[i]);
        post_to(&ids[i], "nowhere");
    }
    post(&ids[0]);
    runs(&ids[0]);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "71");
    assert_int_equal(logged("is refused: unknown_queue"), 30);
    assert_true(logged("MS0375") > 0);
}

static void a_refusal_is_in_the_log_of_its_virtual_host(void **state)
{
    static const char *const vhosts[] = {"vhost=other", NULL, "vhost=site"};
    char path[80];
    spawn_writer w;
    size_t mark;
    int i;

    (void)state;
    make_inbox();
    log_is_kept = true;
    (void)snprintf(path, sizeof(path), "%s/site.log", dir);
    site_log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    reach_go();
    for (i = 0; i < 3; i++) {
        (void)spawn_id_make(&ids[i]);
        begin_post(&w, &ids[i], "/bin/true");
        spawn_put_str(&w, SPAWN_A_QUEUE, "nowhere");
        if (vhosts[i]) {
            mark = spawn_open_strv(&w, SPAWN_A_CONTEXT);
            spawn_add_text(&w, mark, vhosts[i], strlen(vhosts[i]));
            spawn_close(&w, mark);
        }
        send_post(&w);
    }
    assert_int_equal(send(post_fds[0], "?", 1, 0), 1); /* of nobody */
    post(&ids[0]);
    runs(&ids[0]);
    assert_int_equal(logged_in("site.log", "MS0560"), 1);
    assert_int_equal(logged("MS0560"), 2);
    assert_int_equal(logged_in("site.log", "MS05"), 1);
}

/* ---- accepted before it is stored ---- */

static void submit_so(spawn_reply reply, bool handles, bool big)
{
    static const uint8_t data[SPAWN_INLINE_MAX + 1];
    const spawn_stdio in = {SPAWN_STDIO_FD, 0, 0, ""};
    spawn_writer w;
    spawn_id id;
    size_t mark;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)spawn_id_make(&id);
    begin(&w, SPAWN_M_SUBMIT, &id);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    if (handles)
        spawn_put_stdio(&w, SPAWN_A_STDIN, &in);
    if (big)
        spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, data, sizeof(data));
    assert_int_equal(spawn_writer_finish(&w, handles), 0);
    assert_int_equal(spawn_packet_send(caller, w.data, w.length, &fd, handles),
                     0);
    spawn_writer_free(&w);
    (void)close(fd);
}

/* A job that a slot cannot keep is accepted when the store has it, and not
 * before. */
static void what_a_slot_cannot_keep_waits_for_the_store(void **state)
{
    static const struct {
        spawn_reply reply;
        bool handles, big;
    } cases[] = {{SPAWN_REPLY_STARTED, false, false},
                 {SPAWN_REPLY_FINISHED, false, true},
                 {SPAWN_REPLY_STARTED, true, false},
                 {SPAWN_REPLY_ACCEPTED, true, true},
                 {SPAWN_REPLY_ACCEPTED, false, true}};
    unsigned i;

    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        reach_go();
        call_in();
        submit_so(cases[i].reply, cases[i].handles, cases[i].big);
        expect_refusal(SPAWN_E_STORE);
        assert_int_equal(full_slots(), 0);
        kill_broker();
    }
}

/* The sender of what was in the slot before is not this one's. */
static void what_was_accepted_has_no_strangers_name(void **state)
{
    spawn_sender other = {1, 65534};
    spawn_packet_control *control;
    struct ucred *who;
    spawn_id id;
    uint8_t *map;

    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_go();
    call_in();
    map = slots();
    control = (void *)(map + SLOT_SIZE - sizeof(*control));
    control->align.cmsg_len = CMSG_LEN(sizeof(*who));
    control->align.cmsg_level = SOL_SOCKET;
    control->align.cmsg_type = SCM_CREDENTIALS;
    who = (void *)CMSG_DATA(&control->align);
    *who = (struct ucred){.pid = other.pid, .uid = other.uid, .gid = 65534};
    assert_true(spawn_packet_sender(control, &other));
    (void)spawn_id_make(&id);
    submit_as(&id, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    kill_broker();
    assert_false(spawn_packet_sender(control, &other));
    (void)munmap(map, (size_t)SLOTS * SLOT_SIZE);
    run_sql("DROP TRIGGER no");
    reach_go();
    runs(&id);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(more_than_there_are_slots_run),
        ALONE(a_slot_is_free_when_its_job_is_stored),
        ALONE(what_could_not_be_stored_stays_and_is_tried_again),
        ALONE(the_last_slot_is_tried_again_too),
        ALONE(what_was_accepted_is_known_until_it_is_stored),
        ALONE(what_a_killed_broker_left_runs_once),
        ALONE(what_lies_in_a_slot_without_sense_is_dropped),
        ALONE(packets_without_sense_are_dropped),
        ALONE(the_end_of_all_senders_is_borne),
        ALONE(a_refused_post_is_a_job_that_did_not_start),
        ALONE(a_post_that_finds_its_queue_full_is_refused_so),
        ALONE(what_has_no_name_is_not_recorded),
        ALONE(a_conflict_leaves_the_first_one_alone),
        ALONE(too_many_refusals_are_counted),
        ALONE(a_refusal_is_in_the_log_of_its_virtual_host),
        ALONE(what_a_slot_cannot_keep_waits_for_the_store),
        ALONE(what_was_accepted_has_no_strangers_name)};

    find_broker();
    return cmocka_run_group_tests_name("broker posts", tests, NULL, NULL);
}
