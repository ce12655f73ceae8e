/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a broker is told, in which order, and that nothing is lost or said twice
 * when its link is full.
 */
#define PART_HAS_BROKER
#define PART_HAS_TABLE
#include "t/unit/spawner_part.h"

#include "spawner/template_note.h"

int orders_take_one(void)
{
    return 0;
}

static int config_error;

int config_for_broker(spawn_writer *w, int *fds, unsigned *ret_count)
{
    static const uint8_t secret[SPAWN_SECRET_SIZE] = {7};
    static char path[4000]; /* more than a small piece of memory */
    const uint64_t role = SPAWN_FD_INBOX;
    size_t mark;

    *ret_count = 0;
    spawn_writer_begin(w, SPAWN_M_CONFIGURE, 0);
    if (config_error)
        return config_error;
    memset(path, '/', sizeof(path) - 1);
    fds[0] = spawner.fds[SPAWN_FD_INBOX];
    *ret_count = 1;
    spawn_put_str(w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    spawn_put_bytes(w, SPAWN_A_SECRET, secret, sizeof(secret));
    spawn_put_u64v(w, SPAWN_A_FD_ROLES, &role, 1);
    mark = spawn_open_nest(w, SPAWN_A_QUEUE_RULES);
    spawn_put_str(w, SPAWN_A_QUEUE, "default");
    spawn_put_u64(w, SPAWN_A_MAX_JOBS, 10);
    spawn_put_u64(w, SPAWN_A_MAX_QUEUED, 10);
    spawn_close(w, mark);
    spawn_put_str(w, SPAWN_A_STORE_PATH, path);
    spawn_put_str(w, SPAWN_A_SOCKET_PATH, "/s");
    return spawn_writer_finish(w, 1);
}

#include "spawner/table.c"
#include "spawner/template_note.c"
#include "spawner/tell.c"
#include "spawner/broker.c"
#include "t/unit/spawner_internal.h"

static void tell_nothing(void)
{
    memset(&tell, 0, sizeof(tell));
    cursor = 1;
    held_cursor = NULL;
}

static int broker = -1; /* its end */

static int start(void **state)
{
    int ends[2];

    (void)state;
    no_state();
    end = 1;
    free_list = fifo_head = fifo_tail = used = 0;
    notes = NULL;
    tell_nothing();
    config_error = 0;
    make_pair(ends);
    spawner.link = ends[0];
    broker = ends[1];
    spawner.fds[SPAWN_FD_INBOX] = spawn_os_memfd("inbox");
    spawner.fds[SPAWN_FD_LISTEN] = spawn_os_memfd("listening");
    return table_init();
}

static int stop(void **state)
{
    (void)state;
    while (held_first())
        held_remove(&held_first()->id);
    spawn_packet_close(&part_packet);
    memset(&part_packet, 0, sizeof(part_packet));
    spawn_close_fds(&spawner.link, 1);
    spawn_close_fds(&broker, 1);
    spawn_close_fds(&spawner.fds[SPAWN_FD_INBOX], 1);
    spawn_close_fds(&spawner.fds[SPAWN_FD_LISTEN], 1);
    return 0;
}

/* ---- playing the broker ---- */

static spawn_id id_of(uint8_t n)
{
    spawn_id id = {{n, 1}};

    return id;
}

static job *have(uint8_t n, job_state state)
{
    spawn_id id = id_of(n);
    job *j = table_add(&id);

    j->state = (uint8_t)state;
    j->pid = 100 + n;
    return j;
}

static bool told(unsigned type)
{
    return comes(broker, SPAWN_FROM_SPAWNER, type);
}

static bool told_of(unsigned type, uint8_t n)
{
    spawn_id id, wanted = id_of(n);

    if (!told(type) || !spawn_has(&got, SPAWN_A_ID))
        return false;
    spawn_attr_id(&got.attr[SPAWN_A_ID], &id);
    return spawn_id_equal(&id, &wanted);
}

static uint64_t number_of(unsigned attr)
{
    return spawn_u64_or(&got, attr, 999999);
}

#define expect_told(type)                                                      \
    do {                                                                       \
        assert_true(tell_flush());                                             \
        assert_true(told(type));                                               \
        expect_quiet(broker);                                                  \
    } while (0)

/* ---- a full link ---- */

static unsigned fill(void)
{
    static const char dummy[1024];
    unsigned n = 0;

    while (send(spawner.link, dummy, sizeof(dummy), MSG_NOSIGNAL) >= 0)
        n++;
    assert_int_equal(errno, EAGAIN);
    return n;
}

static void empty(unsigned n)
{
    static char room[2048];

    for (; n > 0; n--)
        assert_int_equal(recv(broker, room, sizeof(room), 0), 1024);
}

/* What is to be told waits for room, and is told once and not more. */
static void expect_told_later(unsigned type)
{
    unsigned n = fill();

    assert_true(tell_flush());
    expect_called("rewatch link in, out; ");
    assert_true(tell_flush());
    expect_called("");
    empty(n);
    expect_quiet(broker);
    expect_told(type);
    expect_called("rewatch link in; ");
    assert_true(tell_flush());
    expect_quiet(broker);
    expect_called("");
}

static void nothing_is_lost_when_the_link_is_full(void **state)
{
    int fd = spawn_os_memfd("handle");
    spawn_id held_id = id_of(9);
    job *j;

    (void)state;
    tell.configure = true;
    expect_told_later(SPAWN_M_CONFIGURE);
    tell.places = true;
    expect_told_later(SPAWN_M_PLACES);
    tell.table_end = true;
    expect_told_later(SPAWN_M_TABLE_END);
    tell_go();
    expect_told_later(SPAWN_M_GO);
    tell_linger();
    expect_told_later(SPAWN_M_LINGER);
    tell_quit();
    expect_told_later(SPAWN_M_QUIT);

    j = have(1, JOB_RUNNING);
    table_tell(j, JOB_TELL_STARTED);
    expect_told_later(SPAWN_M_STARTED);
    assert_int_equal(j->flags, 0);
    j->state = JOB_STARTING;
    table_tell(j, JOB_TELL_PID);
    expect_told_later(SPAWN_M_STARTED);
    assert_int_equal(number_of(SPAWN_A_STATE), SPAWN_STATE_STARTING);
    assert_int_equal(j->flags, 0);
    table_tell(j, JOB_TELL_EXITED);
    expect_told_later(SPAWN_M_EXITED);
    assert_int_equal(j->flags, 0);
    table_tell(j, JOB_TELL_SAID);
    expect_told_later(SPAWN_M_TEMPLATE_SAID);
    assert_int_equal(j->flags, 0);
    assert_int_equal(j->said, SAID_NOTHING);
    table_tell(j, JOB_TELL_ORPHAN);
    expect_told_later(SPAWN_M_ORPHANED);
    assert_int_equal(j->flags, 0);
    assert_int_equal(j->said, SAID_ORPHAN);

    tell.sync = true;
    cursor = 1;
    expect_told_later(SPAWN_M_RUNNING);
    held_add(&held_id, 0, &fd, 1);
    tell_nothing();
    tell.sync = true;
    cursor = table_end();
    expect_told_later(SPAWN_M_HELD);
}

static void who_is_silent_is_asked(void **state)
{
    (void)state;
    tell_alive();
    expect_told(SPAWN_M_ALIVE);
    assert_true(tell_flush()); /* once */
    expect_quiet(broker);
    tell_alive();
    expect_told_later(SPAWN_M_ALIVE);
}

static void who_has_gone_is_told_nothing(void **state)
{
    int link = spawner.link;

    (void)state;
    tell_go();
    spawner.link = -1;
    assert_true(tell_flush());
    spawner.link = link;
    spawn_close_fds(&broker, 1);
    assert_true(tell_flush()); /* its death is seen elsewhere */
    expect_called("");
    assert_true(tell.go);
}

static int breaks(void)
{
    tell_go();
    deny(SYS_sendmsg, ECONNRESET);
    return tell_flush() && strcmp(called, "") == 0 ? 0 : 1;
}

/* The kernel is short of something: no event tells when that is over. */
static int is_short(void)
{
    tell_go();
    deny(SYS_sendmsg, ENOBUFS);
    return !tell_flush() && strcmp(called, "") == 0 && tell.go ? 0 : 1;
}

static void what_fails_without_an_event_is_tried_again(void **state)
{
    size_t heap;

    (void)state;
    assert_int_equal(in_a_child(breaks), 0);
    assert_int_equal(in_a_child(is_short), 0);
    tell.configure = true;
    config_error = -ENOMEM;
    assert_false(tell_flush());
    expect_quiet(broker);
    config_error = 0;
    heap = heap_bytes();
    expect_told(SPAWN_M_CONFIGURE);
    assert_true(heap_bytes() < heap + 3000);
}

/* ---- the order ---- */

static void a_new_one_hears_all_in_order(void **state)
{
    int handle = spawn_os_memfd("handle"), second = spawn_os_memfd("second");
    spawn_id one = id_of(20), two = id_of(21);
    job *j, *forgotten;

    (void)state;
    j = have(1, JOB_RUNNING);
    table_tell(j, JOB_TELL_STARTED); /* RUNNING says it */
    forgotten = have(2, JOB_ENDED);
    table_tell(have(3, JOB_ENDED), JOB_TELL_EXITED);
    j = have(4, JOB_RUNNING);
    j->flags |= JOB_GIVEN_UP;
    (void)have(5, JOB_ENDED); /* its exit was told to the one before */
    j = have(6, JOB_ENDED);
    j->said = SAID_ORPHAN; /* as was that of this one */
    j = have(7, JOB_ENDED);
    table_tell(j, JOB_TELL_ORPHAN);
    j = have(8, JOB_STARTING);
    table_remove(forgotten);
    held_add(&one, 3, &handle, 1);
    held_add(&two, 0, &second, 1);
    tell.configure = tell.sync = tell.table_end = true;
    tell.go = tell.linger = tell.places = tell.quit = true;
    cursor = 1;

    assert_true(tell_flush());
    assert_true(told(SPAWN_M_CONFIGURE));
    assert_int_equal(part_packet.fds_count, 1);
    assert_true(is_same_file(part_packet.fds[0], spawner.fds[SPAWN_FD_INBOX]));
    assert_true(told_of(SPAWN_M_RUNNING, 1));
    assert_int_equal(number_of(SPAWN_A_STATE), SPAWN_STATE_RUNNING);
    assert_true(told_of(SPAWN_M_RUNNING, 3));
    assert_true(told_of(SPAWN_M_RUNNING, 5));
    assert_true(told_of(SPAWN_M_RUNNING, 6));
    assert_true(told_of(SPAWN_M_RUNNING, 7));
    assert_true(told_of(SPAWN_M_RUNNING, 8));
    assert_int_equal(number_of(SPAWN_A_STATE), SPAWN_STATE_STARTING);
    assert_true(told_of(SPAWN_M_HELD, 21));
    assert_false(spawn_has(&got, SPAWN_A_BOXED));
    assert_true(is_same_file(part_packet.fds[0], second));
    assert_true(told_of(SPAWN_M_HELD, 20));
    assert_int_equal(number_of(SPAWN_A_BOXED), 3);
    assert_int_equal(part_packet.fds_count, 1);
    assert_true(is_same_file(part_packet.fds[0], handle));
    assert_true(told_of(SPAWN_M_EXITED, 3));
    assert_true(told_of(SPAWN_M_ORPHANED, 7));
    assert_true(told_of(SPAWN_M_EXITED, 5));
    assert_true(told_of(SPAWN_M_ORPHANED, 6));
    assert_true(told(SPAWN_M_TABLE_END));
    assert_true(told(SPAWN_M_PLACES));
    assert_int_equal(part_packet.fds_count, 1);
    assert_true(is_same_file(part_packet.fds[0], spawner.fds[SPAWN_FD_LISTEN]));
    assert_int_equal(spawn_u64v_count(&got.attr[SPAWN_A_FD_ROLES]), 1);
    assert_int_equal(spawn_u64v_at(&got.attr[SPAWN_A_FD_ROLES], 0),
                     SPAWN_FD_LISTEN);
    assert_true(told(SPAWN_M_GO));
    assert_true(told(SPAWN_M_LINGER));
    assert_true(told(SPAWN_M_QUIT));
    expect_quiet(broker);
    expect_called("");
    assert_int_equal(table_at(1)->flags & JOB_TELL_STARTED, 0);
}

static void nothing_to_do_but_its_table(void **state)
{
    (void)state;
    tell.sync = tell.table_end = true;
    cursor = 1;
    expect_told(SPAWN_M_TABLE_END);
    /* places without a socket wait for one */
    spawn_close_fds(&spawner.fds[SPAWN_FD_LISTEN], 1);
    tell.places = true;
    assert_true(tell_flush());
    expect_quiet(broker);
    assert_true(tell.places);
}

/* What happens before TABLE_END is told before it; what was ordered comes
 * after. */
static void go_and_linger_wait_for_the_table(void **state)
{
    (void)state;
    tell.table_end = tell.go = tell.linger = tell.places = true;
    table_tell(have(1, JOB_ENDED), JOB_TELL_EXITED);
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_EXITED, 1));
    assert_true(told(SPAWN_M_TABLE_END));
    assert_true(told(SPAWN_M_PLACES));
    assert_true(told(SPAWN_M_GO));
    assert_true(told(SPAWN_M_LINGER));
    expect_quiet(broker);
    /* and later they go before what jobs have to tell */
    tell_go();
    table_tell(table_at(1), JOB_TELL_EXITED);
    tell_quit();
    assert_true(tell_flush());
    assert_true(told(SPAWN_M_GO));
    assert_true(told_of(SPAWN_M_EXITED, 1));
    assert_true(told(SPAWN_M_QUIT));
    expect_quiet(broker);
}

static void to_linger_takes_go_back(void **state)
{
    (void)state;
    tell_go();
    tell_linger();
    expect_told(SPAWN_M_LINGER);
    tell_places();
    expect_told(SPAWN_M_PLACES);
    spawner.link = -1 - spawner.link;
    tell_places(); /* the next one is told by CONFIGURE */
    assert_false(tell.places);
    spawner.link = -1 - spawner.link;
}

/* ---- what is said of each ---- */

static void put_times(job *j)
{
    j->mono_us = 7000999;
    j->boot_ms = 12;
    j->wall_ms = 13;
    j->ended_ms = 14;
    j->elapsed_us = 15;
}

static void of_a_start(void **state)
{
    job *j = have(1, JOB_RUNNING);

    (void)state;
    put_times(j);
    table_tell(j, JOB_TELL_STARTED);
    expect_told(SPAWN_M_STARTED);
    assert_int_equal(number_of(SPAWN_A_PID), 101);
    assert_int_equal(number_of(SPAWN_A_MONO_STARTED), 7000);
    assert_int_equal(number_of(SPAWN_A_BOOT_STARTED), 12);
    assert_int_equal(number_of(SPAWN_A_STARTED_AT), 13);
    assert_false(spawn_has(&got, SPAWN_A_STATE));
    /* its process is asked for: no news of one that has started meanwhile */
    table_tell(j, JOB_TELL_PID);
    assert_true(tell_flush());
    expect_quiet(broker);
    assert_int_equal(j->flags, 0);
}

static void of_an_end(void **state)
{
    const spawn_attr *usage = &got.attr[SPAWN_A_RUSAGE];
    job *j = have(1, JOB_ENDED);
    uint32_t i;

    (void)state;
    put_times(j);
    j->status = -3;
    j->utime_us = 21;
    j->stime_us = 22;
    for (i = 2; i < SPAWN_RU_COUNT; i++)
        j->counts[i - 2] = 30 + i;
    table_tell(j, JOB_TELL_EXITED);
    expect_told(SPAWN_M_EXITED);
    assert_int_equal(number_of(SPAWN_A_PID), 101);
    assert_int_equal((int)(uint32_t)number_of(SPAWN_A_WAIT_STATUS), -3);
    assert_false(spawn_has(&got, SPAWN_A_STEP));
    assert_int_equal(number_of(SPAWN_A_STARTED_AT), 13);
    assert_int_equal(number_of(SPAWN_A_ENDED_AT), 14);
    assert_int_equal(number_of(SPAWN_A_ELAPSED), 15);
    assert_int_equal(spawn_u64v_count(usage), SPAWN_RU_COUNT);
    assert_int_equal(spawn_u64v_at(usage, SPAWN_RU_UTIME_US), 21);
    assert_int_equal(spawn_u64v_at(usage, SPAWN_RU_STIME_US), 22);
    for (i = 2; i < SPAWN_RU_COUNT; i++)
        assert_int_equal(spawn_u64v_at(usage, i), 30 + i);

    for (i = 0; i < SPAWN_RU_TREE_COUNT; i++) /* of its cgroup */
        table_tree(j)[i] = 50 + i;
    table_tree(j)[2] = SPAWN_RU_UNKNOWN;
    j->has_tree = true;
    table_tell(j, JOB_TELL_EXITED);
    expect_told(SPAWN_M_EXITED);
    assert_int_equal(spawn_u64v_count(usage), SPAWN_RU_ALL);
    for (i = 2; i < SPAWN_RU_ALL; i++)
        assert_int_equal(spawn_u64v_at(usage, i),
                         i < SPAWN_RU_COUNT        ? 30 + i
                         : i == SPAWN_RU_COUNT + 2 ? SPAWN_RU_UNKNOWN
                                                   : 50 + i - SPAWN_RU_COUNT);
    /* who comes to its place has none */
    assert_false(have(2, JOB_ENDED)->has_tree);

    j->step = SPAWN_STEP_CWD; /* it never was executed */
    j->error = ENOENT;
    table_tell(j, JOB_TELL_EXITED);
    expect_told(SPAWN_M_EXITED);
    assert_int_equal(number_of(SPAWN_A_STEP), SPAWN_STEP_CWD);
    assert_int_equal(number_of(SPAWN_A_ERRNO), ENOENT);
    assert_false(spawn_has(&got, SPAWN_A_WAIT_STATUS));
}

static void tell_running(void)
{
    tell_nothing();
    tell.sync = true;
    expect_told(SPAWN_M_RUNNING);
}

/* A short job: both are due. */
static void of_a_start_and_an_end_at_once(void **state)
{
    job *j = have(1, JOB_ENDED);

    (void)state;
    j->mono_us = 7000;
    j->boot_ms = 8;
    j->status = 9;
    spawner.broker_is_of_our_release = true;
    table_tell(j, JOB_TELL_STARTED);
    table_tell(j, JOB_TELL_EXITED);
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_EXITED, 1));
    assert_int_equal(number_of(SPAWN_A_PID), 101);
    assert_int_equal(number_of(SPAWN_A_MONO_STARTED), 7);
    assert_int_equal(number_of(SPAWN_A_BOOT_STARTED), 8);
    assert_int_equal(number_of(SPAWN_A_WAIT_STATUS), 9);
    expect_quiet(broker);
    assert_int_equal(j->flags, 0);
    /* of another release: as it knows it */
    spawner.broker_is_of_our_release = false;
    table_tell(j, JOB_TELL_STARTED);
    table_tell(j, JOB_TELL_EXITED);
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_STARTED, 1));
    assert_true(told_of(SPAWN_M_EXITED, 1));
    assert_false(spawn_has(&got, SPAWN_A_MONO_STARTED));
    expect_quiet(broker);
    assert_int_equal(j->flags, 0);
    /* its start was told: its end alone */
    spawner.broker_is_of_our_release = true;
    table_tell(j, JOB_TELL_EXITED);
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_EXITED, 1));
    assert_false(spawn_has(&got, SPAWN_A_MONO_STARTED));
}

static void of_one_that_runs(void **state)
{
    const spawn_attr *keep = &got.attr[SPAWN_A_KEEP];
    job *j = have(1, JOB_RUNNING), *template;
    uint32_t i;

    (void)state;
    put_times(j);
    tell_running();
    assert_int_equal(number_of(SPAWN_A_PID), 101);
    assert_int_equal(number_of(SPAWN_A_MONO_STARTED), 7000);
    assert_int_equal(number_of(SPAWN_A_BOOT_STARTED), 12);
    assert_false(spawn_has(&got, SPAWN_A_KEEP));
    assert_false(spawn_has(&got, SPAWN_A_IS_TEMPLATE));
    assert_false(spawn_has(&got, SPAWN_A_IS_WORKER));
    assert_false(spawn_has(&got, SPAWN_A_TEMPLATE_ID));
    assert_false(spawn_has(&got, SPAWN_A_TEMPLATE));

    for (i = 0; i < SPAWN_KEEP_MAX; i++)
        j->keep[i] = spawn_os_memfd("keep");
    spawn_close_fds(&j->keep[1], 1);
    j->flags |= JOB_IS_WORKER;
    tell_running();
    assert_int_equal(number_of(SPAWN_A_IS_WORKER), 1);
    assert_int_equal(part_packet.fds_count, SPAWN_KEEP_MAX - 1);
    assert_int_equal(spawn_u64v_count(keep), 2 * (SPAWN_KEEP_MAX - 1));
    for (i = 0; i < SPAWN_KEEP_MAX - 1; i++) {
        uint64_t role = spawn_u64v_at(keep, 2 * i + 1);

        assert_int_equal(spawn_u64v_at(keep, 2 * i), i);
        assert_int_equal(role, i == 0 ? 1 : i + 2);
        assert_true(is_same_file(part_packet.fds[i], j->keep[role - 1]));
    }
    table_close_kept(j);

    template = have(2, JOB_RUNNING);
    template->flags |= JOB_IS_TEMPLATE;
    assert_non_null(template_note_make(template, "app"));
    j->template = table_index(template);
    tell_nothing();
    tell.sync = true;
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_RUNNING, 1));
    assert_true(spawn_has(&got, SPAWN_A_TEMPLATE_ID));
    assert_int_equal(got.attr[SPAWN_A_TEMPLATE_ID].data[0], 2);
    assert_true(told_of(SPAWN_M_RUNNING, 2));
    assert_int_equal(number_of(SPAWN_A_IS_TEMPLATE), 1);
    assert_int_equal(number_of(SPAWN_A_TEMPLATE_KIND), SPAWN_TEMPLATE_EXEC);
    assert_string_equal(spawn_str_or(&got, SPAWN_A_TEMPLATE, ""), "app");
    template->said = SAID_READY;
    template->flags |= JOB_FOREIGN;
    tell_nothing();
    tell.sync = true;
    cursor = 2;
    expect_told(SPAWN_M_RUNNING);
    assert_int_equal(number_of(SPAWN_A_IS_TEMPLATE), 2);
    assert_int_equal(number_of(SPAWN_A_TEMPLATE_KIND), SPAWN_TEMPLATE_PARENT);
    template_forget(template);
}

static void of_what_a_template_said(void **state)
{
    static const struct {
        uint8_t said;
        unsigned code;
    } cases[] = {{SAID_READY, SPAWN_E_OK},
                 {SAID_FAILED, SPAWN_E_START_FAILED},
                 {SAID_ABSENT, SPAWN_E_UNREACHABLE}};
    job *j = have(1, JOB_RUNNING);
    unsigned i;

    (void)state;
    j->flags |= JOB_IS_TEMPLATE;
    assert_non_null(template_note_make(j, "app"));
    template_note_text(j, "first");
    template_note_text(j, "no such file");
    for (i = 0; i < 3; i++) {
        j->said = cases[i].said;
        j->pid = i ? 101 : 0;
        table_tell(j, JOB_TELL_SAID);
        expect_told(SPAWN_M_TEMPLATE_SAID);
        assert_int_equal(number_of(SPAWN_A_CODE), cases[i].code);
        assert_string_equal(spawn_str_or(&got, SPAWN_A_TEMPLATE, ""), "app");
        assert_string_equal(spawn_str_or(&got, SPAWN_A_TEXT, ""),
                            "no such file");
        if (i)
            assert_int_equal(number_of(SPAWN_A_PID), 101);
        else
            assert_false(spawn_has(&got, SPAWN_A_PID));
    }
    template_forget(j);
}

static void of_an_orphan(void **state)
{
    job *j = have(1, JOB_ENDED);

    (void)state;
    put_times(j);
    table_tell(j, JOB_TELL_ORPHAN);
    expect_told(SPAWN_M_ORPHANED);
    assert_int_equal(number_of(SPAWN_A_PID), 101);
    assert_int_equal(number_of(SPAWN_A_BOOT_STARTED), 12);
    assert_false(spawn_has(&got, SPAWN_A_STEP));
    j->step = SPAWN_STEP_TEMPLATE; /* it was not set up */
    j->error = ESRCH;
    table_tell(j, JOB_TELL_ORPHAN);
    expect_told(SPAWN_M_ORPHANED);
    assert_int_equal(number_of(SPAWN_A_STEP), SPAWN_STEP_TEMPLATE);
    assert_int_equal(number_of(SPAWN_A_ERRNO), ESRCH);
}

/* With all of these, when it is not the first. */
static void of_an_attempt(void **state)
{
    static const struct {
        unsigned flag, type;
    } cases[] = {{JOB_TELL_STARTED, SPAWN_M_STARTED},
                 {JOB_TELL_EXITED, SPAWN_M_EXITED},
                 {JOB_TELL_ORPHAN, SPAWN_M_ORPHANED}};
    job *j = have(1, JOB_ENDED);
    unsigned i;

    (void)state;
    for (i = 0; i < 3; i++) {
        j->attempt = 0;
        table_tell(j, cases[i].flag);
        expect_told(cases[i].type);
        assert_false(spawn_has(&got, SPAWN_A_ATTEMPT));
        j->attempt = 4;
        table_tell(j, cases[i].flag);
        expect_told(cases[i].type);
        assert_int_equal(number_of(SPAWN_A_ATTEMPT), 4);
    }
    j->state = JOB_RUNNING;
    tell_running();
    assert_int_equal(number_of(SPAWN_A_ATTEMPT), 4);
}

/* All that there is to tell of one comes together, and then the next. */
static void of_several(void **state)
{
    job *j = have(1, JOB_STARTING), *other = have(2, JOB_RUNNING);

    (void)state;
    table_tell(j, JOB_TELL_PID | JOB_TELL_STARTED);
    table_tell(other, JOB_TELL_STARTED);
    table_tell(j, JOB_TELL_EXITED);
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_STARTED, 1));
    assert_true(spawn_has(&got, SPAWN_A_STATE));
    assert_true(told_of(SPAWN_M_STARTED, 1));
    assert_false(spawn_has(&got, SPAWN_A_STATE));
    assert_true(told_of(SPAWN_M_EXITED, 1));
    assert_true(told_of(SPAWN_M_STARTED, 2));
    expect_quiet(broker);
}

/* ---- handles that go while they are told ---- */

static void a_handle_that_goes_is_stepped_over(void **state)
{
    int fd[3];
    spawn_id ids[3];
    uint8_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        fd[i] = spawn_os_memfd("handle");
        ids[i] = id_of(i);
        held_add(&ids[i], 0, &fd[i], 1);
    }
    tell_step_over(&ids[2]); /* none is being told */
    tell.sync = tell.held = true;
    cursor = 1;
    held_cursor = held_first();
    tell_step_over(&ids[0]); /* not the next one */
    assert_ptr_equal(held_cursor, held_first());
    tell_step_over(&ids[2]);
    held_remove(&ids[2]);
    assert_true(tell_flush());
    assert_true(told_of(SPAWN_M_HELD, 1));
    assert_true(told_of(SPAWN_M_HELD, 0));
    expect_quiet(broker);
    /* the same id twice, and the last */
    fd[2] = spawn_os_memfd("handle");
    held_add(&ids[1], 0, &fd[2], 1);
    held_cursor = held_first();
    tell_step_over(&ids[1]);
    assert_true(held_cursor && spawn_id_equal(&held_cursor->id, &ids[0]));
    tell_step_over(&ids[0]);
    assert_null(held_cursor);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(nothing_is_lost_when_the_link_is_full),
        T(who_is_silent_is_asked),
        T(who_has_gone_is_told_nothing),
        T(what_fails_without_an_event_is_tried_again),
        T(a_new_one_hears_all_in_order),
        T(nothing_to_do_but_its_table),
        T(go_and_linger_wait_for_the_table),
        T(to_linger_takes_go_back),
        T(of_a_start),
        T(of_an_end),
        T(of_a_start_and_an_end_at_once),
        T(of_one_that_runs),
        T(of_what_a_template_said),
        T(of_an_orphan),
        T(of_an_attempt),
        T(of_several),
        T(a_handle_that_goes_is_stepped_over),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_tells_broker", tests, NULL,
                                       NULL);
}
