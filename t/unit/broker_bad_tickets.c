/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tickets of workers that cannot be made, are none of ours, or make no sense:
 * what stands there is not believed, and neither the broker nor the worker's
 * queue is lost for it. The protocol of broker_calls.h.
 */
#include "t/unit/broker_calls.h"

#include "t/unit/corner.h"

#define ORDER_MAX 32000 /* bytes of an order that a ticket takes */

static spawn_id template;
static worker the_worker;
static uint32_t ticket_size;

static void submit_args(const spawn_id *id, size_t length, spawn_reply reply)
{
    static const uint8_t args[ORDER_MAX];
    spawn_writer w;

    begin(&w, SPAWN_M_SUBMIT, id);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    if (length)
        spawn_put_bytes(&w, SPAWN_A_ARGS, args, length);
    ask(&w);
}

/* A call is served by the worker, and no other than this one. */
static void serves(void)
{
    spawn_id id;

    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &id);
    worker_returns(&the_worker, &id);
    expect_answer(SPAWN_M_JOB);
}

/* ---- the ticket's end: how long the order is, and of which its arguments ----
 */

typedef struct {
    uint32_t length;
    uint32_t args_length;
    uint8_t order[ORDER_MAX];
} order;

static uint32_t size_of_ticket(void)
{
    struct stat st;

    assert_int_equal(fstat(the_worker.kept[2], &st), 0);
    return (uint32_t)st.st_size;
}

static void read_lengths(order *ret)
{
    const size_t head = sizeof(*ret) - ORDER_MAX;

    assert_int_equal(pread(the_worker.kept[2], ret, head,
                           (off_t)(size_of_ticket() - sizeof(*ret))),
                     head);
}

static void write_lengths(uint32_t length, uint32_t args_length)
{
    const uint32_t both[2] = {length, args_length};

    assert_int_equal(pwrite(the_worker.kept[2], both, sizeof(both),
                            (off_t)(size_of_ticket() - sizeof(order))),
                     sizeof(both));
}

/* It may run a call, of which nothing is known but the id: it gets no other one
 * beside it, and another worker follows it. */
static void returns_and_leaves(const spawn_id *id)
{
    worker before = the_worker;

    expect_no_more(&before);
    worker_returns(&before, id);
    worker_starts(&the_worker);
    worker_says(&the_worker, NULL);
    is_there();
    say_exited(&before.id, 0, 0);
    expect_id(SPAWN_M_FORGET, &before.id);
    (void)close(before.link);
    spawn_close_fds(before.kept, 4);
}

/* ---- what makes no sense ---- */

static void lengths_that_cannot_be_are_not_believed(void **state)
{
    static const struct {
        uint32_t length, args_length;
    } cases[] = {{0, 0},
                 {0, 10},
                 {ORDER_MAX + 1, 0},
                 {UINT32_MAX, 0},
                 {ORDER_MAX, 1},
                 {1, ORDER_MAX},
                 {10, UINT32_MAX},
                 {UINT32_MAX, UINT32_MAX}};
    unsigned i;
    spawn_id id;

    (void)state;
    make_store();
    reach_a_worker(&the_worker, &template);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)spawn_id_make(&id);
        broker_sleeps(); /* not stored: all of it in one turn */
        submit_args(&id, 0, SPAWN_REPLY_FINISHED);
        broker_goes_on();
        expect_call(&the_worker, &id);
        kill_broker();
        write_lengths(cases[i].length, cases[i].args_length);
        call_stands_nowhere_else();
        start_another(&the_worker, &template);
        returns_and_leaves(&id);
        serves();
    }
}

/* An order of the most bytes that it takes is one. */
static void the_longest_order_outlives_its_broker(void **state)
{
    size_t length = 1000;
    spawn_id id;
    order is;
    int i;

    (void)state;
    make_store();
    reach_a_worker(&the_worker, &template);
    for (i = 0; i < 2; i++) {
        (void)spawn_id_make(&id);
        broker_sleeps();
        submit_args(&id, length, SPAWN_REPLY_FINISHED);
        broker_goes_on();
        expect_call(&the_worker, &id);
        read_lengths(&is);
        assert_int_equal(is.args_length, length);
        if (i == 1)
            break;
        length = ORDER_MAX - is.length; /* of the next one */
        worker_returns(&the_worker, &id);
        expect_answer(SPAWN_M_JOB);
    }
    assert_int_equal(is.length + is.args_length, ORDER_MAX);
    kill_broker();
    call_stands_nowhere_else();
    start_another(&the_worker, &template);
    expect_call(&the_worker, &id);
    assert_int_equal(message.attr[SPAWN_A_ARGS].length, length);
    worker_returns(&the_worker, &id);
    serves();
}

/* It has no order of its own on the ticket, and not that of the one before. */
static void a_call_that_stood_in_a_lost_store_is_not_called(void **state)
{
    spawn_id id;

    (void)state;
    make_store();
    reach_a_worker(&the_worker, &template);
    serves();
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&the_worker, &id);
    kill_broker();
    call_stands_nowhere_else();
    start_another(&the_worker, &template);
    returns_and_leaves(&id);
    serves();
}

/* ---- what is none ---- */

static void what_is_no_ticket_of_ours_is_not_taken(void **state)
{
    static uint8_t bytes[65536];
    static const struct {
        int longer; /* than a ticket */
        int seals;
        char first;                   /* letter of its queue's name */
    } cases[] = {{0, F_SEAL_GROW, 0}, /* could be cut */
                 {0, 0, 0},
                 {-1, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, 0},
                 {1, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, 0},
                 {0, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, '/'}};
    unsigned i, size;
    char *queue;
    int fd;

    (void)state;
    ONLY_ROOT_LOOKS;
    reach_a_worker(&the_worker, &template);
    size = size_of_ticket();
    assert_in_range(size, ORDER_MAX, sizeof(bytes));
    assert_int_equal(pread(the_worker.kept[2], bytes, size, 0), size);
    queue = memmem(bytes, size, "default", 8);
    assert_non_null(queue);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        kill_broker();
        if (cases[i].first)
            *queue = cases[i].first;
        fd = spawn_os_memfd("strange-ticket");
        assert_int_equal(write(fd, bytes, size + (unsigned)cases[i].longer),
                         size + (unsigned)cases[i].longer);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, cases[i].seals), 0);
        assert_int_equal(dup3(fd, the_worker.kept[2], O_CLOEXEC),
                         the_worker.kept[2]);
        (void)close(fd);
        start_another(&the_worker, &template);
        expect_no_more(&the_worker);
        assert_int_equal(has_open("strange-ticket"), 0);
        /* the next one is ordered */
        spawn_close_fds(&the_worker.link, 1);
        spawn_close_fds(the_worker.kept, 4);
        worker_starts(&the_worker);
    }
}

/* ---- what cannot be made, or used ---- */

static void no_length(void)
{
    deny_when(SYS_ftruncate, 1, ticket_size, EFBIG);
}

static void no_seals(void)
{
    deny_when(SYS_fcntl, 2, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, EPERM);
}

static void no_map(void)
{
    deny_when(SYS_mmap, 1, ticket_size, ENOMEM);
}

static void without_a_ticket_there_is_no_worker_and_all_else(void **state)
{
    static void (*const denied[])(void) = {no_length, no_seals, no_map};
    spawn_id id;
    unsigned i;

    (void)state;
    ONLY_ROOT_LOOKS;
    log_is_kept = true;
    reach_a_worker(&the_worker, &template);
    ticket_size = size_of_ticket();
    kill_broker();
    for (i = 0; i < 3; i++) {
        in_broker = denied[i];
        workers_min = 1;
        start_broker();
        say_running_app(&template);
        expect_ready();
        say(SPAWN_M_GO);
        call_in();
        is_there();
        is_there();
        assert_int_equal(logged("MS0610"), i + 1);
        assert_int_equal(has_open("spawn-ticket"), 0);
        (void)spawn_id_make(&id);
        submit_as(&id, "/bin/true");
        expect_answer(SPAWN_M_ACCEPTED);
        expect_id(SPAWN_M_LAUNCH, &id);
        kill_broker();
        run_sql("DELETE FROM job");
        empty_inbox();
    }
}

static void a_ticket_that_cannot_be_read_is_none(void **state)
{
    (void)state;
    ONLY_ROOT_LOOKS;
    reach_a_worker(&the_worker, &template);
    ticket_size = size_of_ticket();
    kill_broker();
    in_broker = no_map;
    start_another(&the_worker, &template);
    expect_no_more(&the_worker);
    assert_int_equal(has_open("spawn-ticket"), 0);
}

/* ---- what is left of those that have gone ---- */

static unsigned maps_of_tickets(void)
{
    char path[64], line[512];
    unsigned count = 0;
    FILE *in;

    (void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)broker);
    in = fopen(path, "re");
    assert_non_null(in);
    while (fgets(line, sizeof(line), in))
        count += strstr(line, "spawn-ticket") != NULL;
    (void)fclose(in);
    return count;
}

static void of_workers_that_have_gone_nothing_is_left(void **state)
{
    spawn_id gone;
    int i;

    (void)state;
    ONLY_ROOT_LOOKS;
    log_is_kept = true;
    reach_a_worker(&the_worker, &template);
    for (i = 0; i < 5; i++) {
        serves();
        gone = the_worker.id;
        say_exited(&the_worker.id, 0, SIGKILL);
        spawn_close_fds(&the_worker.link, 1);
        spawn_close_fds(the_worker.kept, 4);
        worker_starts(&the_worker);
        expect_id(SPAWN_M_FORGET, &gone);
        worker_says(&the_worker, NULL);
    }
    is_there();
    assert_int_equal(has_open("spawn-ticket"), 1);
    assert_int_equal(maps_of_tickets(), 1);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(lengths_that_cannot_be_are_not_believed),
        ALONE(the_longest_order_outlives_its_broker),
        ALONE(a_call_that_stood_in_a_lost_store_is_not_called),
        ALONE(what_is_no_ticket_of_ours_is_not_taken),
        ALONE(without_a_ticket_there_is_no_worker_and_all_else),
        ALONE(a_ticket_that_cannot_be_read_is_none),
        ALONE(of_workers_that_have_gone_nothing_is_left)};

    find_broker();
    return cmocka_run_group_tests_name("broker bad tickets", tests, NULL, NULL);
}
