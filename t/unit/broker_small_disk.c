/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store on a disk with little room, or none: what comes together is written
 * in pieces, each is told when it is stored and not before, the history goes
 * first, and what does not fit at all is refused. Only root mounts such a disk.
 */
#include "t/unit/broker_small_disk.h"

#define LATER 10

static void start_all(void)
{
    log_is_kept = false;
    start();
}

/* ---- jobs ---- */

static void submit_by(int peer, spawn_id *ret)
{
    int own = caller;

    caller = peer;
    submit(ret, SPAWN_REPLY_ACCEPTED);
    caller = own;
}

static void submit_data(spawn_id *ret, size_t bytes)
{
    static const uint8_t data[1 << 20];
    spawn_writer w;

    (void)spawn_id_make(ret);
    begin_submit(&w, ret, "/bin/true");
    spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, data, bytes);
    ask(&w);
}

/* How many jobs a FORGET is about. */
static unsigned ids_forgotten(void)
{
    return spawn_has(&message, SPAWN_A_IDS)
               ? message.attr[SPAWN_A_IDS].length / SPAWN_ID_SIZE
               : 1;
}

/* Ids of jobs whose exits may be forgotten, as they come. */
static void count_forgotten(unsigned *count)
{
    expect(SPAWN_M_FORGET);
    *count += ids_forgotten();
}

static bool answer_is_about(const spawn_id *id)
{
    spawn_id got;

    spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
    return spawn_id_equal(&got, id);
}

/* ---- what is promised ---- */

static void what_ends_together_is_written_in_pieces(void **state)
{
    spawn_id last, second;
    unsigned i, told, forgotten = 0;
    spawn_writer w;

    (void)state;
    start_all();
    for (i = 0; i < JOBS; i++)
        says(&ids[i], 90 * 4096);
    for (i = 0; i < JOBS; i++)
        wait_for(&ids[i]);
    has_heard();
    broker_sleeps();
    for (i = 0; i < JOBS; i++)
        say_exited(&ids[i], 0, (int)i << 8);
    submit(&last, SPAWN_REPLY_ACCEPTED);
    begin(&w, SPAWN_M_KILL, &last);
    ask(&w);
    submit(&second, SPAWN_REPLY_ACCEPTED);
    broker_goes_on();
    /* in the order in which they are stored */
    for (told = 0; told < 3;) {
        expect_answer(SPAWN_M_JOB);
        assert_true(answer_is_about(&ids[told++]));
    }
    for (i = 0; told + i < JOBS + 3;) {
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
        if (message.header.type == SPAWN_M_JOB)
            assert_true(answer_is_about(&ids[told++]));
        else if (i++ == 1)
            assert_int_equal(message.header.type, SPAWN_M_DONE);
        else
            assert_int_equal(message.header.type, SPAWN_M_ACCEPTED);
    }
    while (forgotten < JOBS)
        count_forgotten(&forgotten);
    expect_id(SPAWN_M_LAUNCH, &second);
    end_broker();
    expect_sql("SELECT group_concat(exit_code, ' ') FROM"
               " (SELECT * FROM job WHERE outcome = 1 ORDER BY seq)",
               "0 1 2 3 4 5 6 7 8 9");
}

/* Its start waits for the pieces before it: nobody has its order, and nobody is
 * to have it. */
static void who_is_cancelled_before_its_piece_does_not_start(void **state)
{
    unsigned i, forgotten = 0;
    int other;
    spawn_writer w;
    spawn_id id, next;

    (void)state;
    start_all();
    for (i = 0; i < JOBS; i++)
        says(&ids[i], 90 * 4096);
    for (i = 0; i < JOBS; i++)
        wait_for(&ids[i]);
    has_heard();
    other = caller;
    call_in();
    broker_sleeps();
    for (i = 0; i < JOBS; i++)
        say_exited(&ids[i], 0, 0);
    for (i = 0; i < 4; i++) { /* each is answered in a turn of its own */
        begin(&w, SPAWN_M_GET, &life);
        ask(&w);
    }
    submit_by(other, &id);
    begin(&w, SPAWN_M_KILL, &id);
    ask(&w);
    submit(&next, SPAWN_REPLY_ACCEPTED); /* behind the pieces */
    broker_goes_on();
    for (i = 0; i < 4; i++)
        expect_answer(SPAWN_M_REFUSED);
    expect_answer(SPAWN_M_DONE);
    expect_answer(SPAWN_M_ACCEPTED);
    for (i = 0; forgotten < JOBS || i == 0;) {
        next_message();
        if (message.header.type != SPAWN_M_LAUNCH) {
            assert_int_equal(message.header.type, SPAWN_M_FORGET);
            forgotten += ids_forgotten();
            continue;
        }
        assert_true(answer_is_about(&next));
        assert_int_equal(i++, 0);
    }
    quiet_for(50);
    (void)close(other);
    end_broker();
    expect_sql("SELECT group_concat(state || ' ' || outcome) FROM job"
               " WHERE outcome = 4",
               "4 4");
}

/* True: its order was still waiting for its commit when its time was over, and
 * nobody got it. The pieces before it go on while we look. */
static bool an_order_expires(void)
{
    struct pollfd p;
    unsigned i;
    spawn_id id;
    spawn_writer w;

    start_all();
    for (i = 0; i < JOBS; i++)
        says(&ids[i], 90 * 4096);
    for (i = 0; i < JOBS; i++)
        wait_for(&ids[i]);
    has_heard();
    broker_sleeps();
    for (i = 0; i < JOBS; i++)
        say_exited(&ids[i], 0, 0);
    (void)spawn_id_make(&id);
    begin_submit(&w, &id, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_EXPIRES, 60000);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    broker_goes_on();
    expect_answer(SPAWN_M_JOB); /* of the first piece: all are ordered */
    broker_sleeps();
    p = (struct pollfd){link_fd, POLLIN, 0};
    while (poll(&p, 1, 0) == 1) {
        next_message();
        if (message.header.type == SPAWN_M_LAUNCH)
            return false;
        assert_int_equal(message.header.type, SPAWN_M_FORGET);
    }
    steps[0] += 100;
    steps[1] += 100;
    broker_goes_on();
    do {
        expect_answer(SPAWN_M_JOB);
    } while (!answer_is_about(&id));
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_EXPIRED);
    has_heard();
    while (poll(&p, 1, 0) == 1) {
        next_message();
        assert_int_equal(message.header.type, SPAWN_M_FORGET);
    }
    return true;
}

static void what_expires_before_its_piece_does_not_start(void **state)
{
    unsigned i;

    for (i = 0; i < 20 && !an_order_expires(); i++) {
        assert_int_equal(tear_down_disk(state), 0);
        assert_int_equal(set_up_disk(state), 0);
    }
    assert_true(i < 20);
}

/* While what it asked for is written in pieces. */
static void who_has_left_is_answered_by_nobody(void **state)
{
    unsigned i, forgotten = 0;
    spawn_id id;

    (void)state;
    start_all();
    for (i = 0; i < JOBS; i++)
        says(&ids[i], 60 * 4096); /* room for all */
    has_heard();
    broker_sleeps();
    for (i = 0; i < JOBS; i++)
        say_exited(&ids[i], 0, 0);
    for (i = 0; i < 20; i++) /* more than it reads in a turn */
        submit(&id, SPAWN_REPLY_ACCEPTED);
    (void)close(caller);
    broker_goes_on();
    while (forgotten < JOBS) {
        next_message();
        if (message.header.type == SPAWN_M_FORGET)
            forgotten += spawn_has(&message, SPAWN_A_IDS)
                             ? message.attr[SPAWN_A_IDS].length / SPAWN_ID_SIZE
                             : 1;
    }
    call_in();
    has_heard();
}

/* Each end is stored, however much the file has yet to grow. */
static void a_log_that_finds_no_room_is_emptied(void **state)
{
    unsigned i, forgotten = 0;

    (void)state;
    start_all();
    for (i = 0; i < JOBS; i++)
        says(&ids[i], 100 * 4096);
    has_heard();
    for (i = 0; i < JOBS; i += 2) {
        broker_sleeps();
        say_exited(&ids[i], 0, 0);
        say_exited(&ids[i + 1], 0, 0);
        broker_goes_on();
        while (forgotten < i + 2)
            count_forgotten(&forgotten);
    }
    end_broker();
    expect_sql("SELECT count(*) || ' ' || sum(state = 4) FROM job", "10 10");
}

/* Others fill the disk, but for so much. The history makes room for one job
 * after the other, and all that was accepted is there in the end. */
static void takes_jobs(unsigned ended, off_t left)
{
    unsigned i, forgotten = 0;
    char wanted[40];
    spawn_id id;

    start_all();
    for (i = 0; i < ended; i++) {
        says(&id, 50 * 4096);
        say_exited(&id, 0, 0);
        count_forgotten(&forgotten);
    }
    has_heard();
    fill_disk();
    leave_room(left);
    for (i = 0; i < LATER; i++) {
        submit_data(&id, 100000);
        expect_answer(SPAWN_M_ACCEPTED);
        expect_id(SPAWN_M_LAUNCH, &id);
        say_started(&id);
        say_exited(&id, 0, 0);
        count_forgotten(&forgotten);
    }
    end_broker();
    empty_disk();
    (void)snprintf(wanted, sizeof(wanted), "%u ended", ended + LATER);
    expect_sql("SELECT sum(outcome = 1) || ' ended' FROM job", wanted);
    expect_sql("PRAGMA integrity_check", "ok");
}

static void a_disk_that_others_fill_takes_jobs(void **state)
{
    static const struct {
        unsigned ended;
        off_t left;
    } all[] = {{3, 0}, {3, 700000}, {5, 0}, {5, 100000}, {8, 0}, {8, 700000}};
    unsigned i;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        takes_jobs(all[i].ended, all[i].left);
        assert_int_equal(tear_down_disk(state), 0);
        assert_int_equal(set_up_disk(state), 0);
    }
}

static void a_full_disk_loses_history_first(void **state)
{
    spawn_id id;
    unsigned i, forgotten = 0;

    (void)state;
    start_all();
    for (i = 0; i < 8; i++) {
        says(&ids[i], 50 * 4096);
        say_exited(&ids[i], 0, 0);
        count_forgotten(&forgotten);
    }
    has_heard();
    broker_sleeps(); /* it finds both in one turn */
    fill_disk();
    leave_room(900000);
    submit_data(&id, 900000);
    broker_goes_on();
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &id);
    end_broker();
    empty_disk();
    expect_sql("SELECT count(*) || ' ' || sum(state = 4) FROM job", "9 8");
    expect_sql("SELECT sum(length(out)) < 8 * 50 * 4096 FROM output", "1");
}

static void what_does_not_fit_is_refused_until_it_does(void **state)
{
    spawn_id id;
    unsigned i;

    (void)state;
    history_jobs = 0;
    start_all();
    submit(&ids[0], SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &ids[0]);
    for (i = 0; i < 100; i++) {
        fill_disk();
        submit_data(&id, 10000);
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
        if (message.header.type == SPAWN_M_REFUSED)
            break;
        expect_id(SPAWN_M_LAUNCH, &id);
    }
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_CODE, 0), SPAWN_E_STORE);
    empty_disk();
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &id);
}

/* ---- no room for a store at all ---- */

/* A post that is so long as a whole, or longer than its slot. */
static void put_post(unsigned slot, const spawn_id *id, size_t length)
{
    static uint8_t data[1 << 20];
    const size_t head = 100;
    size_t bytes = 0;
    spawn_writer w;

    for (;;) {
        begin(&w, SPAWN_M_POST, id);
        spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
        if (bytes)
            spawn_put_bytes(&w, SPAWN_A_ARGS, data, bytes);
        assert_int_equal(spawn_writer_finish(&w, 0), 0);
        if (w.length >= length)
            break;
        bytes += bytes ? length - w.length : length - head - w.length;
        spawn_writer_free(&w);
    }
    put_in_slot(slot, w.data, w.length);
    spawn_writer_free(&w);
}

/* An end with its output, which is due in every turn. */
static void what_does_not_fit_keeps_no_other_out(void **state)
{
    spawn_id id;
    unsigned i;

    (void)state;
    history_jobs = 0;
    start_all();
    says(&id, 1 << 20);
    fill_disk();
    leave_room(400 << 10);
    say_exited(&id, 0, 0);
    quiet_for(100);
    for (i = 0; i < 3; i++) {
        submit(&ids[i], SPAWN_REPLY_ACCEPTED);
        expect_answer(SPAWN_M_ACCEPTED);
        expect_id(SPAWN_M_LAUNCH, &ids[i]);
    }
    empty_disk();
    expect_id(SPAWN_M_FORGET, &id);
}

/* Time passes until the broker gives up. */
static void time_passes_until_bye(void)
{
    struct pollfd wakes[2] = {{link_fd, POLLIN, 0}, {caller, POLLIN, 0}};
    int64_t end = spawn_mono_ms() + DEADLINE_MS;
    uint8_t answer[1024];
    spawn_writer w;

    do {
        assert_true(spawn_mono_ms() < end);
        steps[0] += 100;
        steps[1] += 100;
        begin(&w, SPAWN_M_GET, &ids[0]); /* it has a turn, or has ended */
        (void)spawn_writer_finish(&w, 0);
        (void)spawn_packet_send(caller, w.data, w.length, NULL, 0);
        spawn_writer_free(&w);
        (void)poll(wakes, 2, DEADLINE_MS);
        (void)recv(caller, answer, sizeof(answer), MSG_DONTWAIT);
        if (poll(wakes, 1, 0) == 1)
            any_message();
    } while (message.header.type != SPAWN_M_BYE);
}

static void posts_that_no_store_ever_took_are_named(void **state)
{
    static const uint8_t noise[64] = {0xee, 0xee, 0xee, 0xee, 0xee};
    const size_t longest = SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX;
    char path[80], text[SPAWN_ID_TEXT], line[100];
    int i, status, own = fcntl(2, F_DUPFD_CLOEXEC, 10), log;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s.log", dir);
    log = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(log >= 0 && dup2(log, 2) == 2);
    (void)close(log);
    make_inbox();
    for (i = 0; i < 3; i++)
        (void)spawn_id_make(&ids[i]);
    put_in_slot(0, noise, sizeof(noise));
    put_post(1, &ids[0], 0);
    put_post(2, &ids[1], longest);
    put_post(SLOTS - 1, &ids[2], 900000);
    fill_disk();
    start_broker();
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY);
    say(SPAWN_M_LINGER);
    call_in();
    time_passes_until_bye();
    assert_int_equal(waitpid(broker, &status, 0), broker);
    broker = 0;
    assert_int_equal(dup2(own, 2), 2);
    (void)close(own);
    (void)snprintf(line, sizeof(line), "../%s", strrchr(path, '/') + 1);
    assert_int_equal(logged_in(line, "MS0667"), 4);
    assert_int_equal(logged_in(line, "job unknown is lost"), 2);
    for (i = 0; i < 2; i++) {
        char wanted[80];

        (void)snprintf(wanted, sizeof(wanted), "MS0667: job %s is lost",
                       spawn_id_format(&ids[i], text));
        assert_int_equal(logged_in(line, wanted), 1);
    }
    assert_int_equal(logged_in(line, "and 4 that were posted or accepted"), 1);
    (void)unlink(path);
}

int main(void)
{
#define ON_DISK(name)                                                          \
    cmocka_unit_test_setup_teardown(name, set_up_disk, tear_down_disk)
    const struct CMUnitTest tests[] = {
        ON_DISK(what_ends_together_is_written_in_pieces),
        ON_DISK(who_is_cancelled_before_its_piece_does_not_start),
        ON_DISK(what_expires_before_its_piece_does_not_start),
        ON_DISK(who_has_left_is_answered_by_nobody),
        ON_DISK(a_log_that_finds_no_room_is_emptied),
        ON_DISK(a_disk_that_others_fill_takes_jobs),
        ON_DISK(a_full_disk_loses_history_first),
        ON_DISK(what_does_not_fit_is_refused_until_it_does),
        ON_DISK(what_does_not_fit_keeps_no_other_out),
        ON_DISK(posts_that_no_store_ever_took_are_named)};

    find_broker();
    if (no_clocks() || no_small_disk())
        return 0;
    return cmocka_run_group_tests_name("broker small disk", tests, NULL, NULL);
}
