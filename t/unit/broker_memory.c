/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory runs out in the broker, at each piece that it asks for in turn, once
 * or for a while: what a caller asks ends in an error that is told, or the
 * broker ends and another takes its place. A job that was accepted runs once
 * and ends as it ended; one that was refused never runs. This program plays
 * spawner and caller (t/probe/memory.c is the memory).
 */
#include "t/unit/broker_clock.h"

enum {
    ASKED,
    NOT_GIVEN, /* the number of the piece */
    HOW_MANY,  /* pieces, from there on */
    NUMBERS
};

#define FOR_A_WHILE 40
#define CODE        7 /* that the job exits with */

static volatile int32_t *memory;
static char memory_file[80];
static unsigned deaths, refusals;

/* The job of a round, as spawner and caller know it. */
static spawn_id job;
static struct {
    bool accepted, refused, known_done;
    unsigned launched;
    bool forgotten;
    uint64_t outcome;
} its;

static int set_up_memory(void **state)
{
    const char *build = getenv("SPAWN_BUILD");
    char text[4096];
    int fd;

    if (set_up(state))
        return -1;
    (void)snprintf(memory_file, sizeof(memory_file), "%s.memory", dir);
    fd = open(memory_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, NUMBERS * sizeof(*memory)) < 0)
        return -1;
    memory = mmap(NULL, NUMBERS * sizeof(*memory), PROT_READ | PROT_WRITE,
                  MAP_SHARED, fd, 0);
    (void)close(fd);
    if (memory == MAP_FAILED)
        return -1;
    log_is_kept = true;
    deaths = refusals = 0;
    make_inbox();
    (void)setenv("TEST_MEMORY", memory_file, 1);
    (void)snprintf(text, sizeof(text), "%s/t/memory.so",
                   build ? build : "build");
    (void)setenv("LD_PRELOAD", text, 1); /* of the brokers */
    return 0;
}

static int tear_down_memory(void **state)
{
    (void)munmap((void *)(uintptr_t)memory, NUMBERS * sizeof(*memory));
    (void)unlink(memory_file);
    (void)unsetenv("LD_PRELOAD");
    (void)unsetenv("TEST_MEMORY");
    return tear_down_all(state);
}

static void runs_out_at(int32_t piece, int32_t how_many)
{
    memory[ASKED] = 0;
    memory[HOW_MANY] = how_many;
    memory[NOT_GIVEN] = piece;
}

static void there_is_enough(void)
{
    memory[NOT_GIVEN] = 0;
}

/* ---- a broker that may be gone ---- */

/* False: it has gone. */
static bool tell(int fd, spawn_writer *w)
{
    int rv;

    assert_int_equal(spawn_writer_finish(w, 0), 0);
    rv = spawn_packet_send(fd, w->data, w->length, NULL, 0);
    spawn_writer_free(w);
    if (rv != 0 && rv != -EPIPE && rv != -ECONNRESET && rv != -ENOTCONN)
        fail_msg("send: %s", strerror(-rv));
    return rv == 0;
}

/* FORGET is of one id, or of several. */
static bool names_it(void)
{
    const spawn_attr *ids = &message.attr[SPAWN_A_IDS];
    spawn_id id;
    size_t at;

    if (!spawn_has(&message, SPAWN_A_IDS)) {
        spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
        return spawn_id_equal(&id, &job);
    }
    for (at = 0; at + SPAWN_ID_SIZE <= ids->length; at += SPAWN_ID_SIZE) {
        if (memcmp(ids->data + at, job.bytes, SPAWN_ID_SIZE) == 0)
            return true;
    }
    return false;
}

/* The spawner's part: it starts a job, which ends at once. */
static void obey(void)
{
    spawn_id id;
    spawn_writer w;

    if (message.header.type == SPAWN_M_FORGET) {
        its.forgotten = its.forgotten || names_it();
        return;
    }
    if (message.header.type != SPAWN_M_LAUNCH)
        return;
    spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
    assert_true(spawn_id_equal(&id, &job));
    its.launched++;
    begin(&w, SPAWN_M_EXITED, &id);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    spawn_put_u64(&w, SPAWN_A_MONO_STARTED, (uint64_t)spawn_mono_ms());
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)spawn_boot_ms());
    spawn_put_u64(&w, SPAWN_A_STARTED_AT, 1234);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, CODE << 8);
    (void)tell(link_fd, &w);
}

/* One message from there; false: it has gone, and left nothing. */
static bool hear(int fd, unsigned from)
{
    int rv;

    spawn_packet_close(&packet);
    memset(&packet, 0, sizeof(packet));
    rv = spawn_packet_receive(fd, buffer, sizeof(buffer), &packet);
    if (rv == 0 || rv == -ECONNRESET || rv == -EPIPE)
        return false;
    if (rv != 1)
        fail_msg("receive: %s", strerror(-rv));
    if (spawn_message_parse(packet.data, packet.length, from, packet.fds_count,
                            &message, &why)
        != 0)
        fail_msg("%s", why.text);
    return true;
}

/* An end closes this one before those of callers. */
static bool has_gone(void)
{
    struct pollfd p = {link_fd, POLLIN, 0};

    (void)poll(&p, 1, 0);
    return (p.revents & POLLHUP) != 0;
}

/* Tries each second may go on for as long as no memory is given: then it is
 * given again, and the answer has to come. */
static void wait_for_any(struct pollfd p[2])
{
    if (poll(p, 2, 1500) > 0)
        return;
    there_is_enough();
    assert_true(poll(p, 2, DEADLINE_MS) > 0);
}

/* Serves as the spawner until the caller (fd below 0: the spawner) has heard
 * something of this kind, or REFUSED; false: the broker has gone, or has closed
 * the caller's connection. */
static bool serve_until(int fd, unsigned type)
{
    struct pollfd p[2] = {{link_fd, POLLIN, 0}, {fd, POLLIN, 0}};

    for (;;) {
        wait_for_any(p);
        if (p[0].revents) {
            if (!hear(link_fd, SPAWN_FROM_BROKER_TO_SPAWNER))
                return false;
            if (fd < 0 && message.header.type == type)
                return true;
            obey();
        }
        else if (p[1].revents) {
            if (!hear(fd, SPAWN_FROM_BROKER))
                return false;
            if (message.header.type == type
                || message.header.type == SPAWN_M_REFUSED)
                return true;
        }
    }
}

/* It has said all that it said: its end. 0 or 1, and nothing else. */
static void it_has_ended(void)
{
    struct pollfd p = {link_fd, POLLIN, 0};
    int status;

    while (poll(&p, 1, DEADLINE_MS) > 0
           && hear(link_fd, SPAWN_FROM_BROKER_TO_SPAWNER))
        obey();
    assert_int_equal(waitpid(broker, &status, 0), broker);
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
        fail_msg("piece %d: the broker ended with status %d", memory[NOT_GIVEN],
                 status);
    broker = 0;
    deaths++;
    (void)close(link_fd);
    if (caller >= 0)
        (void)close(caller);
    link_fd = caller = -1;
}

static void waits_to_be_executed(void)
{
    (void)raise(SIGSTOP);
}

/* A broker that finds its configuration when it begins, and all that the
 * spawner knows; false: it has ended. */
static bool begins(void)
{
    spawn_writer w;
    int status;

    in_broker = waits_to_be_executed;
    start_broker();
    if (its.launched && !its.forgotten) {
        begin(&w, SPAWN_M_RUNNING, &job);
        spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
        spawn_put_u64(&w, SPAWN_A_PID, 4000000);
        spawn_put_u64(&w, SPAWN_A_MONO_STARTED, (uint64_t)spawn_mono_ms());
        spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)spawn_boot_ms());
        assert_true(tell(link_fd, &w));
    }
    begin(&w, SPAWN_M_TABLE_END, NULL);
    assert_true(tell(link_fd, &w));
    assert_int_equal(waitpid(broker, &status, WUNTRACED), broker);
    assert_true(WIFSTOPPED(status));
    (void)kill(broker, SIGCONT);
    if (!serve_until(-1, SPAWN_M_BROKER_READY))
        return false;
    if (spawn_attr_u64(&message.attr[SPAWN_A_CODE]) != SPAWN_E_OK) {
        refusals++; /* it would try again in 2 s */
        kill_broker();
        there_is_enough();
        return begins();
    }
    begin(&w, SPAWN_M_GO, NULL);
    if (!tell(link_fd, &w))
        return false;
    if (its.launched && !its.forgotten) {
        begin(&w, SPAWN_M_EXITED, &job);
        spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, CODE << 8);
        if (!tell(link_fd, &w))
            return false;
    }
    return true;
}

/* A connection that has said HELLO; false: the broker has gone. One that it has
 * no room for is tried again. */
static bool calls_in(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int64_t end = spawn_mono_ms() + DEADLINE_MS;
    struct pollfd p[2];
    spawn_writer w;

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%.107s", listen_path);
    while (spawn_mono_ms() < end) {
        if (caller >= 0)
            (void)close(caller);
        caller = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (connect(caller, (struct sockaddr *)&a, sizeof(a)) < 0)
            return false;
        begin(&w, SPAWN_M_HELLO, NULL);
        spawn_put_str(&w, SPAWN_A_CLIENT, "test");
        if (!tell(caller, &w))
            continue;
        p[0] = (struct pollfd){link_fd, POLLIN, 0};
        p[1] = (struct pollfd){caller, POLLIN, 0};
        while (!p[1].revents) {
            wait_for_any(p);
            if (p[0].revents) {
                if (!hear(link_fd, SPAWN_FROM_BROKER_TO_SPAWNER))
                    return false;
                obey();
            }
        }
        if (hear(caller, SPAWN_FROM_BROKER)
            && message.header.type == SPAWN_M_WELCOME)
            return true;
        refusals++;
    }
    fail_msg("nobody is let in");
    return false;
}

/* From here on all is well: a broker serves. The one of before may have ended
 * when it had answered. */
static void recovers(void)
{
    there_is_enough();
    if (broker > 0 && !calls_in())
        it_has_ended();
    if (broker == 0)
        assert_true(begins() && calls_in());
}

/* ---- the story ---- */

static void begin_it(spawn_writer *w)
{
    begin_submit(w, &job, "/bin/true");
    spawn_put_u64(w, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
}

static bool submits(void)
{
    spawn_writer w;

    begin_it(&w);
    if (!tell(caller, &w) || !serve_until(caller, SPAWN_M_ACCEPTED))
        return false;
    its.accepted = message.header.type == SPAWN_M_ACCEPTED;
    its.refused = !its.accepted;
    refusals += its.refused;
    return true;
}

static bool is_over(void)
{
    its.known_done =
        message.header.type == SPAWN_M_JOB
        && spawn_attr_u64(&message.attr[SPAWN_A_STATE]) == SPAWN_STATE_DONE;
    if (its.known_done)
        its.outcome = spawn_u64_or(&message, SPAWN_A_OUTCOME, 0);
    return its.known_done;
}

static bool waits(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    if (!tell(caller, &w) || !serve_until(caller, SPAWN_M_JOB))
        return false;
    (void)is_over();
    return true;
}

static bool lists(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_LIST, NULL);
    return tell(caller, &w) && serve_until(caller, SPAWN_M_END);
}

static bool kills_it(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_KILL, &job);
    return tell(caller, &w) && serve_until(caller, SPAWN_M_DONE);
}

static bool hears_of_it(void)
{
    struct pollfd p = {link_fd, POLLIN, 0};

    if (poll(&p, 1, DEADLINE_MS) <= 0
        || !hear(link_fd, SPAWN_FROM_BROKER_TO_SPAWNER))
        return false;
    obey();
    return true;
}

/* The broker's promise holds. */
static void is_kept(void)
{
    spawn_writer w;

    if (its.refused) {
        begin(&w, SPAWN_M_GET, &job);
        assert_true(tell(caller, &w) && serve_until(caller, SPAWN_M_JOB));
        assert_int_equal(message.header.type, SPAWN_M_REFUSED);
        assert_int_equal(its.launched, 0);
        return;
    }
    if (!its.accepted) { /* nobody knows: it is sent again */
        assert_true(submits());
        assert_true(its.accepted);
    }
    assert_true(waits());
    if (!its.known_done)
        fail_msg("an accepted job is lost: %s",
                 spawn_str_or(&message, SPAWN_A_TEXT, "no end"));
    if (its.outcome == SPAWN_OUTCOME_EXITED) {
        assert_int_equal(its.launched, 1);
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), CODE);
        while (!its.forgotten)
            assert_true(hears_of_it());
        return;
    }
    /* it could not be ordered, and that is told */
    assert_int_equal(its.outcome, SPAWN_OUTCOME_START_FAILED);
    assert_int_equal(its.launched, 0);
    refusals++;
}

static void story(bool with_start, int32_t piece, int32_t how_many)
{
    memset(&its, 0, sizeof(its));
    assert_int_equal(spawn_id_make(&job), 0);
    if (with_start) {
        end_broker();
        (void)close(caller);
        caller = -1;
    }
    runs_out_at(piece, how_many);
    if (!((!with_start || begins()) && (caller >= 0 || calls_in()) && submits()
          && waits() && lists() && kills_it())) {
        if (has_gone())
            it_has_ended();
        else
            refusals++;
    }
    recovers();
    is_kept();
}

/* ---- the tests ---- */

/* From the first piece to the last that the story needs, in so many tries or
 * fewer. */
static void each_piece(bool with_start, int32_t how_many, int32_t tries)
{
    int32_t piece, pieces;

    history_jobs = 5;
    recovers();
    story(with_start, 0, 0); /* nothing is new any more */
    story(with_start, 0, 0);
    pieces = memory[ASKED];
    for (piece = 1; piece <= pieces; piece += 1 + pieces / tries)
        story(with_start, piece, how_many);
    print_message("# %d pieces; %u brokers ended, %u errors were told\n",
                  pieces, deaths, refusals);
    assert_true(pieces > 20);
    assert_true(deaths > 0);
    assert_true(refusals > 0);
}

static void one_piece_is_not_given(void **state)
{
    (void)state;
    each_piece(false, 1, 500);
}

static void nothing_is_given_for_a_while(void **state)
{
    (void)state;
    each_piece(false, FOR_A_WHILE, 200);
}

static void one_piece_is_not_given_to_one_that_begins(void **state)
{
    (void)state;
    each_piece(true, 1, 60);
}

static void nothing_is_given_to_one_that_begins(void **state)
{
    (void)state;
    each_piece(true, FOR_A_WHILE, 60);
}

int main(void)
{
#define MEMORY_TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, set_up_memory, tear_down_memory)
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(one_piece_is_not_given),
        MEMORY_TEST(nothing_is_given_for_a_while),
        MEMORY_TEST(one_piece_is_not_given_to_one_that_begins),
        MEMORY_TEST(nothing_is_given_to_one_that_begins)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker memory", tests, NULL, NULL);
}
