/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rooms of jobs that share the spawner's memory (spawner/clone.c): who has
 * executed is seen when the kernel has marked its room, or when /proc says so.
 * This program plays the kernel: it marks the rooms, and no process is begun.
 */
#define PART_HAS_TABLE
#include "t/unit/spawner_part.h"

#include <sched.h>

void child_run(const child_order *o)
{
    (void)o;
    _exit(0);
}

void job_executes(job *j)
{
    j->state = JOB_RUNNING;
    note("%d executes", (int)j->pid);
}

static bool limits_memory;

bool cgroup_limits_memory(const spawn_message *o)
{
    (void)o;
    return limits_memory;
}

static int64_t mono; /* mono ms */
static int forked_only;
static child_order begun; /* the last one */
static int clone_error;

static int play_only_forked(pid_t pid)
{
    note("asked of %d", (int)pid);
    return forked_only;
}

static int play_clone(int (*run)(void *), void *stack, int flags, void *arg,
                      void *a, void *b, void *mark)
{
    static pid_t pid;

    (void)run;
    (void)flags;
    (void)a;
    (void)b;
    begun = *(child_order *)arg;
    if (clone_error) {
        errno = clone_error;
        return -1;
    }
    if (stack == NULL || *(pid_t *)mark == 0)
        return -1;
    return 4000 + ++pid % 1000;
}

#define spawn_os_only_forked play_only_forked
#define spawn_mono_ms()      mono
#define clone                play_clone
#include "spawner/table.c"
#include "spawner/clone.c"
#undef clone

static spawn_writer w;
static spawn_message m;
static spawn_packet packet;
static child_order order;
static const spawn_identity same_account = {.groups_count = -1};
static const uint64_t bounding = 77;
static uint8_t count; /* of jobs */

static void make_order(void)
{
    size_t mark;
    const spawn_id id = {{1}};

    spawn_writer_init(&w, 4096);
    spawn_writer_begin(&w, SPAWN_M_LAUNCH, 0);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    assert_int_equal(spawn_writer_finish(&w, 2), 0);
    memset(&packet, 0, sizeof(packet));
    packet.data = w.data;
    packet.length = w.length;
    packet.fds_count = 2;
    packet.fds[0] = 61;
    packet.fds[1] = 62;
    assert_int_equal(spawn_message_parse(packet.data, packet.length,
                                         SPAWN_FROM_BROKER_TO_SPAWNER, 2, &m,
                                         NULL),
                     0);
    order = (child_order){.order = &m,
                          .fds = packet.fds,
                          .as = &same_account,
                          .report = 99,
                          .link = -1,
                          .cgroup = -1};
}

static int start(void **state)
{
    room *its = spawner.clones.rooms; /* one mapping does for all */

    (void)state;
    no_state();
    spawner.clones.rooms = its;
    mono = 1000;
    forked_only = 0;
    clone_error = 0;
    limits_memory = false;
    count = 0;
    if (its)
        memset(its, 0, ROOMS * sizeof(room));
    clone_open();
    make_order();
    return table_init();
}

static int stop(void **state)
{
    (void)state;
    spawn_writer_free(&w);
    spawn_close_fds(spawner.failures, 2);
    spawn_close_fds(&spawner.suid_dumpable, 1);
    return 0;
}

static job *begin_one(bool watched)
{
    const spawn_id id = {{++count, 1}};
    job *j = table_add(&id);
    pid_t pid = clone_job(j, &order, &packet, watched);

    if (pid > 0)
        table_set_pid(j, pid);
    else
        assert_int_equal(pid, 0);
    return j;
}

/* It has executed, or has ended. */
static void leaves(const job *j)
{
    spawner.clones.rooms[j->room - 1].taken = 0;
}

static void fails(const job *j, int step, int error)
{
    const int32_t what[] = {j->pid, step, error};

    assert_int_equal(write(spawner.failures[1], what, sizeof(what)),
                     sizeof(what));
}

static void expect_of(const job *j, const char *what)
{
    char text[64];

    if (j)
        (void)snprintf(text, sizeof(text), what, (int)j->pid);
    expect_called(j ? text : "");
}

/* ---- rooms ---- */

static void the_kernel_marks_the_room(void **state)
{
    job *a, *b, *c;

    (void)state;
    a = begin_one(false);
    b = begin_one(false);
    assert_int_equal(a->room, 1);
    assert_int_equal(b->room, 2);
    clone_look();
    expect_of(NULL, "");
    leaves(b);
    clone_look();
    expect_of(b, "%d executes; ");
    assert_int_equal(b->room, 0);
    assert_int_equal(a->state, JOB_STARTING);
    clone_look();
    expect_of(NULL, ""); /* once */
    c = begin_one(false);
    assert_int_equal(c->room, 2);
    leaves(a);
    clone_look();
    expect_of(a, "%d executes; ");
    leaves(c);
    clone_look();
    expect_of(c, "%d executes; ");
    assert_int_equal(clone_timers(mono), -1);
}

static void who_left_makes_room_without_a_look(void **state)
{
    job *all[ROOMS];
    unsigned i;

    (void)state;
    for (i = 0; i < ROOMS; i++) {
        all[i] = begin_one(false);
        assert_int_equal(all[i]->room, i + 1);
    }
    assert_int_equal(begin_one(false)->pid, 0);
    assert_int_equal(begin_one(true)->pid, 0);
    expect_of(NULL, "");
    leaves(all[ROOMS - 1]);
    assert_int_equal(begin_one(false)->room, ROOMS);
    expect_of(all[ROOMS - 1], "%d executes; ");
}

/* Its pipe tells of it; its room is free when the kernel says so. */
static void one_that_is_watched_is_not_looked_for(void **state)
{
    job *j = begin_one(true);

    (void)state;
    assert_true(j->pid > 0);
    assert_int_equal(j->room, 0);
    assert_int_equal(begun.report, 99);
    assert_false(begun.common);
    assert_int_equal(clone_timers(mono), -1);
    assert_int_equal(begin_one(false)->room, 2);
    spawner.clones.rooms[0].taken = 0;
    clone_look();
    expect_of(NULL, "");
    assert_int_equal(begin_one(false)->room, 1);
}

static void all_that_the_child_needs_is_in_its_room(void **state)
{
    (void)state;
    order.bounding_set = &bounding;
    order.file_limit[1] = 5;
    (void)begin_one(false);
    assert_int_equal(begun.report, spawner.failures[1]);
    assert_true(begun.common);
    assert_int_equal(begun.link, -1);
    assert_int_equal(begun.file_limit[1], 5);
    assert_ptr_equal(begun.order, &spawner.clones.rooms[0].order);
    assert_true(spawn_has(begun.order, SPAWN_A_ARGV));
    assert_in_range((uintptr_t)begun.order->attr[SPAWN_A_ARGV].data,
                    (uintptr_t)spawner.clones.rooms[0].bytes,
                    (uintptr_t)spawner.clones.rooms[0].bytes
                        + sizeof(spawner.clones.rooms[0].bytes));
    assert_ptr_equal(begun.fds, spawner.clones.rooms[0].fds);
    assert_int_equal(begun.fds[0], 61);
    assert_int_equal(begun.fds[1], 62);
    assert_ptr_equal(begun.as, &spawner.clones.rooms[0].as);
    assert_int_equal(begun.as->groups_count, -1);
    assert_ptr_equal(begun.bounding_set, &spawner.clones.rooms[0].bounding_set);
    assert_int_equal(*begun.bounding_set, 77);
}

static void who_could_not_be_begun_has_no_room(void **state)
{
    job *j;

    (void)state;
    clone_error = EAGAIN;
    j = begin_one(false);
    assert_int_equal(j->pid, 0);
    assert_int_equal(j->room, 0);
    clone_error = 0;
    assert_int_equal(begin_one(false)->room, 1);
}

/* The kernel kills all that share the memory of whom it kills for want of it:
 * that would be us. */
static void who_may_lack_memory_does_not_share_ours(void **state)
{
    (void)state;
    limits_memory = true;
    assert_int_equal(begin_one(false)->pid, 0);
    assert_int_equal(begin_one(true)->pid, 0);
    limits_memory = false;
    assert_true(begin_one(true)->pid > 0);
}

/* Nothing would tell of what fails. */
static void without_a_pipe_of_all_each_has_its_own(void **state)
{
    (void)state;
    spawn_close_fds(spawner.failures, 2);
    assert_int_equal(begin_one(false)->pid, 0);
    assert_true(begin_one(true)->pid > 0);
}

static void where_there_is_none_it_is_said(void **state)
{
    struct rlimit before, none;

    (void)state;
    spawn_close_fds(spawner.failures, 2);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    spawner.failures[0] = spawner.failures[1] = 7;
    clone_open();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(spawner.failures[0], -1);
    assert_int_equal(spawner.failures[1], -1);
}

/* ---- failures ---- */

static void a_failure_is_of_the_one_whose_pid_it_has(void **state)
{
    job *a = begin_one(false), *b = begin_one(false), *c = begin_one(true);
    const job stranger = {.pid = 777};

    (void)state;
    fails(&stranger, 1, 2);
    fails(c, 3, 4);
    fails(b, SPAWN_STEP_CWD, ENOENT);
    leaves(b);
    clone_look();
    expect_of(NULL, "");
    assert_int_equal(b->step, SPAWN_STEP_CWD);
    assert_int_equal(b->error, ENOENT);
    assert_int_equal(b->state, JOB_STARTING);
    assert_int_equal(b->room, 0);
    assert_int_equal(a->step, 0);
    assert_int_equal(c->step, 0);
    fails(a, SPAWN_STEP_EXEC, EACCES);
    leaves(a);
    clone_ended(a);
    expect_of(NULL, "");
    assert_int_equal(a->step, SPAWN_STEP_EXEC);
    assert_int_equal(a->room, 0);
    assert_int_equal(clone_timers(mono), -1);
}

/* ---- signals, and the end ---- */

static void who_was_signalled_may_not_have_executed(void **state)
{
    char text[100];
    job *a = begin_one(false), *b = begin_one(false);

    (void)state;
    a->flags |= JOB_SHOT;
    leaves(a);
    leaves(b); /* of this one nobody has to ask */
    clone_look();
    (void)snprintf(text, sizeof(text),
                   "asked of %d; %d executes; %d executes; ", (int)a->pid,
                   (int)a->pid, (int)b->pid);
    expect_called(text);
}

static void an_end_is_the_last_look(void **state)
{
    job *a = begin_one(false), *b = begin_one(false);

    (void)state;
    leaves(a);
    clone_ended(a); /* it ran */
    expect_of(a, "%d executes; ");
    b->flags |= JOB_SHOT;
    leaves(b);
    forked_only = 1;
    clone_ended(b); /* a signal was faster */
    assert_int_equal(b->state, JOB_STARTING);
    assert_int_equal(b->room, 0);
    called[0] = '\0';
    assert_int_equal(clone_timers(mono), -1);
}

static void who_was_given_up_is_told_of_no_more(void **state)
{
    job *a = begin_one(false);

    (void)state;
    a->flags |= JOB_GIVEN_UP;
    leaves(a);
    clone_look();
    expect_of(NULL, "");
    assert_int_equal(a->room, 0);
    assert_int_equal(clone_timers(mono), -1);
}

/* ---- /proc ---- */

static job *resumed(void)
{
    const spawn_id id = {{++count, 1}};
    job *j = table_add(&id);

    table_set_pid(j, 5000 + count);
    clone_resume(j);
    return j;
}

static void after_an_upgrade_proc_tells(void **state)
{
    job *a = resumed(), *b = resumed(), *c = resumed();

    (void)state;
    clone_look(); /* not in each turn */
    expect_of(NULL, "");
    forked_only = 1;
    mono += 5;
    (void)clone_timers(mono);
    expect_called("asked of 5001; asked of 5002; asked of 5003; ");
    forked_only = -ESRCH; /* it is not shown, or not there */
    mono += 100;
    (void)clone_timers(mono);
    expect_called("asked of 5001; asked of 5002; asked of 5003; ");
    forked_only = 1;
    clone_ended(a);
    expect_called("asked of 5001; ");
    assert_int_equal(a->state, JOB_STARTING);
    fails(b, SPAWN_STEP_UID, EPERM);
    clone_ended(b);
    expect_called("");
    assert_int_equal(b->step, SPAWN_STEP_UID);
    forked_only = 0;
    mono += 100;
    (void)clone_timers(mono);
    expect_called("asked of 5003; 5003 executes; ");
    assert_int_equal(c->room, 0);
    assert_int_equal(clone_timers(mono), -1);
    c = resumed();
    clone_ended(c);
    expect_called("asked of 5004; 5004 executes; ");
    assert_int_equal(clone_timers(mono), -1);
}

static void who_left_its_room_takes_none(void **state)
{
    job *a = begin_one(false), *b;

    (void)state;
    a->flags |= JOB_SHOT;
    forked_only = 1;
    leaves(a);
    clone_look();
    expect_of(a, "asked of %d; ");
    assert_int_equal(a->state, JOB_STARTING);
    b = begin_one(false);
    assert_int_equal(b->room, 1);
    clone_look();
    expect_of(NULL, "");
    forked_only = 0;
    mono += 5;
    (void)clone_timers(mono);
    called[0] = '\0';
    assert_int_equal(a->state, JOB_RUNNING);
    leaves(b);
    clone_look();
    expect_of(b, "%d executes; ");
}

/* ---- when it looks ---- */

static void it_looks_soon_and_then_less_often(void **state)
{
    static const int waits[] = {10, 20, 40, 80, 100, 100};
    unsigned i;

    (void)state;
    assert_int_equal(clone_timers(mono), -1);
    (void)begin_one(false);
    assert_int_equal(clone_timers(mono), 5);
    mono += 3;
    (void)begin_one(false); /* takes nothing from the first */
    assert_int_equal(clone_timers(mono), 2);
    mono += 2;
    for (i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        assert_int_equal(clone_timers(mono), waits[i]);
        mono += waits[i];
    }
    (void)begin_one(false); /* again soon */
    assert_int_equal(clone_timers(mono), 5);
    mono += 5;
    assert_int_equal(clone_timers(mono), 10);
}

static void the_first_of_all_begins_anew(void **state)
{
    job *j = begin_one(false);

    (void)state;
    leaves(j);
    clone_look();
    mono += 1000;
    (void)begin_one(false);
    assert_int_equal(clone_timers(mono), 5);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_kernel_marks_the_room),
        T(who_left_makes_room_without_a_look),
        T(one_that_is_watched_is_not_looked_for),
        T(all_that_the_child_needs_is_in_its_room),
        T(who_could_not_be_begun_has_no_room),
        T(who_may_lack_memory_does_not_share_ours),
        T(without_a_pipe_of_all_each_has_its_own),
        T(where_there_is_none_it_is_said),
        T(a_failure_is_of_the_one_whose_pid_it_has),
        T(who_was_signalled_may_not_have_executed),
        T(an_end_is_the_last_look),
        T(who_was_given_up_is_told_of_no_more),
        T(after_an_upgrade_proc_tells),
        T(who_left_its_room_takes_none),
        T(it_looks_soon_and_then_less_often),
        T(the_first_of_all_begins_anew),
    };

    if (!CAN_SHARE) {
        (void)puts("1..0 # SKIP no job shares the spawner's memory here");
        return 0;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_rooms", tests, NULL, NULL);
}
