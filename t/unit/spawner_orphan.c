/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals for orphans in the spawner, without its process: to which process the
 * order's number may belong. The kernel's answers are played.
 */
#include "t/unit/spawner_part.h"

static pid_t there;      /* the process; 0: there is none */
static int64_t began;    /* ms since boot */
static bool leads;       /* its session */
static int uid_error;    /* of the look at its account */
static int signal_error; /* of the signal */
static bool is_jobs;     /* the account */
static int pidfd_now;    /* -1: none is open */
static unsigned signals; /* that were sent */

static int play_pidfd(pid_t pid)
{
    if (pid != there)
        return -ESRCH;
    pidfd_now = spawn_os_memfd("pidfd");
    return pidfd_now;
}

static bool play_is_noted(pid_t pid, int64_t noted, int64_t late)
{
    assert_int_equal(pid, there);
    assert_int_equal(late, 60000);
    return leads && noted == began;
}

static int play_real_uid(pid_t pid, uid_t *ret)
{
    assert_int_equal(pid, there);
    *ret = 4711;
    return uid_error;
}

static int play_signal(int pidfd, int signo)
{
    assert_int_equal(pidfd, pidfd_now);
    assert_int_equal(signo, SIGUSR2);
    signals++;
    return signal_error;
}

bool accounts_has(uid_t uid)
{
    return is_jobs && uid == 4711;
}

#define spawn_os_pidfd        play_pidfd
#define spawn_os_is_noted     play_is_noted
#define spawn_os_real_uid     play_real_uid
#define spawn_os_pidfd_signal play_signal
#include "spawner/orphan.c"

#define NOTED 1000000

static spawn_message m;

static const spawn_message *order_of(int64_t pid, int64_t noted)
{
    static spawn_writer w;
    const spawn_id id = {{1}};

    spawn_writer_free(&w);
    begin(&w, SPAWN_M_SIGNAL);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_u64(&w, SPAWN_A_SIGNO, SIGUSR2);
    if (pid)
        spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    if (noted)
        spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)noted);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(spawn_message_parse(w.data, w.length,
                                         SPAWN_FROM_BROKER_TO_SPAWNER, 0, &m,
                                         NULL),
                     0);
    return &m;
}

/* It comes to this, and no descriptor stays open. */
static void comes_to(const spawn_message *order, int result, bool is_sent)
{
    unsigned before = open_count();

    signals = 0;
    assert_int_equal(orphan_signal(order, SIGUSR2), result);
    assert_int_equal(signals, is_sent);
    assert_int_equal(open_count(), before);
}

static int start(void **state)
{
    (void)state;
    no_state();
    there = 4000;
    began = NOTED;
    leads = true;
    uid_error = signal_error = 0;
    is_jobs = true;
    return 0;
}

static void one_that_can_be_meant_is_signalled(void **state)
{
    (void)state;
    comes_to(order_of(4000, NOTED), 0, true);
    signal_error = -EPERM;
    comes_to(order_of(4000, NOTED), -EPERM, true);
    signal_error = 0;
    there = 2; /* as in a container */
    comes_to(order_of(2, NOTED), 0, true);
}

static void it_began_when_the_order_says(void **state)
{
    (void)state;
    began = NOTED + 1;
    comes_to(order_of(4000, NOTED), -EPERM, false);
    comes_to(order_of(4000, NOTED + 1), 0, true);
    comes_to(order_of(4000, 0), -EPERM, false);
}

static void nobody_else_is(void **state)
{
    (void)state;
    leads = false;
    comes_to(order_of(4000, NOTED), -EPERM, false);
    leads = true;
    uid_error = -EACCES;
    comes_to(order_of(4000, NOTED), -EPERM, false);
    uid_error = 0;
    is_jobs = false;
    comes_to(order_of(4000, NOTED), -EPERM, false);
}

static void one_that_has_gone_is_no_fault(void **state)
{
    (void)state;
    comes_to(order_of(4001, NOTED), -ESRCH, false);
    comes_to(order_of(0, NOTED), -ESRCH, false);
    there = 1; /* that is never a job */
    comes_to(order_of(1, NOTED), -ESRCH, false);
    there = -1;
    comes_to(order_of(0xffffffff, NOTED), -ESRCH, false);
}

#define T(f) cmocka_unit_test_setup(f, start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_that_can_be_meant_is_signalled),
        T(it_began_when_the_order_says),
        T(nobody_else_is),
        T(one_that_has_gone_is_no_fault),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_orphan", tests, NULL, NULL);
}
