/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A caller on the broker's CPU goes on first: the broker sleeps for a moment
 * before it starts the job (caller/courtesy.c), and only then. Its CPU is what
 * this program says, and it tells of its naps (t/probe/cpu.c); its clock
 * stands.
 */
#include "t/unit/broker_clock.h"
#include "t/unit/broker_post.h"

#define CPU       2 /* of the broker, from 0 on as the kernel counts */
#define CALLER_US 30
#define SENDER_US 20

static struct {
    int32_t cpu, naps, us, late_ms, yields;
} * told;
static char cpu_file[96];

static int set_up_cpu(void **state)
{
    const char *build = getenv("SPAWN_BUILD");
    char text[4096 + 100];
    int fd;

    if (set_up_clock(state))
        return -1;
    (void)snprintf(cpu_file, sizeof(cpu_file), "%s.cpu", dir);
    fd = open(cpu_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(*told)) < 0)
        return -1;
    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (told == MAP_FAILED)
        return -1;
    told->cpu = CPU;
    (void)setenv("TEST_CPU", cpu_file, 1);
    (void)snprintf(text, sizeof(text), "%s:%s/t/cpu.so", getenv("LD_PRELOAD"),
                   build ? build : "build");
    (void)setenv("LD_PRELOAD", text, 1);
    return 0;
}

static int tear_down_cpu(void **state)
{
    (void)munmap(told, sizeof(*told));
    (void)unlink(cpu_file);
    return tear_down_clock(state);
}

static void reach_calls(void)
{
    make_inbox();
    reach_go_and_call_in();
    comes_to_rest();
    time_stands();
}

static void set_seq(spawn_writer *w, uint32_t count, unsigned cpu)
{
    spawn_writer_set_seq(w, spawn_seq(count, cpu));
}

/* cpu: from 1 on, as callers tell it; 0: not told. */
static void submit_from(unsigned cpu, spawn_reply reply, spawn_id *ret)
{
    static uint32_t count;
    spawn_writer w;

    (void)spawn_id_make(ret);
    begin_submit(&w, ret, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    set_seq(&w, ++count, cpu);
    ask(&w);
}

static void accepted_from(unsigned cpu)
{
    spawn_id id;

    submit_from(cpu, SPAWN_REPLY_ACCEPTED, &id);
    expect_answer(SPAWN_M_ACCEPTED);
    assert_int_equal(spawn_seq_cpu(message.header.seq), cpu);
    expect_id(SPAWN_M_LAUNCH, &id);
}

static void post_from(unsigned cpu, spawn_id *ret)
{
    spawn_writer w;

    (void)spawn_id_make(ret);
    begin_post(&w, ret, "/bin/true");
    set_seq(&w, 0, cpu);
    send_post(&w);
}

static void posted_from(unsigned cpu)
{
    spawn_id id;

    post_from(cpu, &id);
    expect_id(SPAWN_M_LAUNCH, &id);
}

/* ---- accepted ---- */

static void a_caller_on_our_cpu_goes_on_first(void **state)
{
    (void)state;
    reach_calls();
    accepted_from(CPU + 1);
    assert_int_equal(told->naps, 1);
    assert_int_equal(told->us, CALLER_US);
    accepted_from(CPU + 1);
    assert_int_equal(told->naps, 2);
    posted_from(0); /* its turn is another one's */
    assert_int_equal(told->naps, 2);
}

static void one_on_another_cpu_goes_on_anyway(void **state)
{
    (void)state;
    reach_calls();
    accepted_from(CPU + 2);
    assert_int_equal(told->naps, 0);
}

static void nothing_is_known_of_one_that_does_not_tell(void **state)
{
    (void)state;
    reach_calls();
    told->cpu = -1;
    accepted_from(0);
    accepted_from(CPU + 1);
    assert_int_equal(told->naps, 0);
}

static void who_waits_for_more_than_the_answer_gains_nothing(void **state)
{
    spawn_id id;

    (void)state;
    reach_calls();
    submit_from(CPU + 1, SPAWN_REPLY_FINISHED, &id);
    expect_id(SPAWN_M_LAUNCH, &id);
    say_started(&id);
    say_exited(&id, 0, 0);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(told->naps, 0);
}

static void a_job_that_has_to_wait_takes_no_time_from_it(void **state)
{
    spawn_id id;

    (void)state;
    queue_jobs = 1;
    reach_calls();
    accepted_from(CPU + 1);
    assert_int_equal(told->naps, 1);
    submit_from(CPU + 1, SPAWN_REPLY_ACCEPTED, &id);
    expect_answer(SPAWN_M_ACCEPTED);
    has_heard();
    assert_int_equal(told->naps, 1);
    queue_jobs = 10;
}

/* The broker is stopped meanwhile, so that both are there in one turn. */
static void nobody_else_is_kept_waiting(void **state)
{
    spawn_id id;

    (void)state;
    reach_calls();
    assert_int_equal(kill(broker, SIGSTOP), 0); /* our child */
    assert_int_equal(waitpid(broker, NULL, WUNTRACED), broker);
    submit_from(CPU + 1, SPAWN_REPLY_ACCEPTED, &id);
    post_from(CPU + 1, &id);
    assert_int_equal(kill(broker, SIGCONT), 0);
    expect_answer(SPAWN_M_ACCEPTED);
    expect(SPAWN_M_LAUNCH);
    expect(SPAWN_M_LAUNCH);
    assert_int_equal(told->naps, 0);
}

/* A caller that does not wait for its answers waits for no CPU. */
static void many_of_one_turn_have_one_nap(void **state)
{
    spawn_id ids[3];
    unsigned i;

    (void)state;
    reach_calls();
    assert_int_equal(kill(broker, SIGSTOP), 0); /* our child */
    assert_int_equal(waitpid(broker, NULL, WUNTRACED), broker);
    for (i = 0; i < 3; i++)
        submit_from(CPU + 1, SPAWN_REPLY_ACCEPTED, &ids[i]);
    assert_int_equal(kill(broker, SIGCONT), 0);
    for (i = 0; i < 3; i++)
        expect_answer(SPAWN_M_ACCEPTED);
    for (i = 0; i < 3; i++)
        expect(SPAWN_M_LAUNCH);
    assert_int_equal(told->naps, 1);
    accepted_from(CPU + 1);
    assert_int_equal(told->naps, 2);
}

/* Its answer comes at the end of the turn, and nobody is let go before it for
 * the answer of the turn before. */
static void who_asks_again_and_again_waits_for_nobody(void **state)
{
    int32_t before;
    spawn_id id;
    unsigned i;

    (void)state;
    reach_calls();
    before = told->yields;
    (void)spawn_id_make(&id);
    for (i = 0; i < 4; i++) {
        spawn_writer w;

        begin(&w, SPAWN_M_GET, &id);
        ask(&w);
        expect_answer(SPAWN_M_REFUSED);
    }
    assert_int_equal(told->yields, before);
}

/* ---- posted ---- */

static void a_sender_on_our_cpu_goes_on_first(void **state)
{
    (void)state;
    reach_calls();
    posted_from(CPU + 1);
    assert_int_equal(told->naps, 1);
    assert_int_equal(told->us, SENDER_US);
}

static void other_senders_go_on_anyway(void **state)
{
    (void)state;
    reach_calls();
    posted_from(CPU);
    posted_from(CPU + 2);
    posted_from(0);
    assert_int_equal(told->naps, 0);
}

static void what_is_no_message_is_no_sender(void **state)
{
    uint8_t bytes[SPAWN_WIRE_HEADER];

    (void)state;
    reach_calls();
    memset(bytes, 0xff, sizeof(bytes));
    bytes[11] = 0;
    bytes[10] = (CPU + 1) << 4;
    assert_int_equal(send(post_fds[0], bytes, 1, 0), 1);
    assert_int_equal(send(post_fds[0], bytes, sizeof(bytes), 0), sizeof(bytes));
    has_heard();
    assert_int_equal(told->naps, 0);
    posted_from(CPU + 1);
    assert_int_equal(told->naps, 1);
}

/* ---- on a busy machine ---- */

/* A nap that ends 2 ms late is followed by more than half a second without any.
 */
static void who_wakes_up_late_naps_no_more_for_a_time(void **state)
{
    (void)state;
    reach_calls();
    told->late_ms = 2;
    accepted_from(CPU + 1);
    assert_int_equal(told->naps, 1);
    told->late_ms = 0;
    accepted_from(CPU + 1);
    posted_from(CPU + 1);
    assert_int_equal(told->naps, 1);
    time_moves(500);
    accepted_from(CPU + 1);
    assert_int_equal(told->naps, 1);
    time_moves(100);
    accepted_from(CPU + 1);
    assert_int_equal(told->naps, 2);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up_cpu, tear_down_cpu)
    const struct CMUnitTest tests[] = {
        ALONE(a_caller_on_our_cpu_goes_on_first),
        ALONE(one_on_another_cpu_goes_on_anyway),
        ALONE(nothing_is_known_of_one_that_does_not_tell),
        ALONE(who_waits_for_more_than_the_answer_gains_nothing),
        ALONE(a_job_that_has_to_wait_takes_no_time_from_it),
        ALONE(nobody_else_is_kept_waiting),
        ALONE(many_of_one_turn_have_one_nap),
        ALONE(who_asks_again_and_again_waits_for_nobody),
        ALONE(a_sender_on_our_cpu_goes_on_first),
        ALONE(other_senders_go_on_anyway),
        ALONE(what_is_no_message_is_no_sender),
        ALONE(who_wakes_up_late_naps_no_more_for_a_time)};

    if (no_clocks())
        return 0;
    find_broker();
    return cmocka_run_group_tests_name("broker courtesy", tests, NULL, NULL);
}
