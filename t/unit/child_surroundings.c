/* SPDX-License-Identifier: Apache-2.0 */
/* The surroundings of a job's process when it runs: session, signals, umask,
 * directory, limits, priorities, account and privileges; and which step it says
 * has failed. */
#include <errno.h>
#include <sched.h>
#include <linux/capability.h>

#include "t/unit/child_steps.h"
#include "common/spawn_os.h"

/* ---- session, signals, umask, directory ---- */

static void block_all(void)
{
    sigset_t all;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)umask(0);
    IS(chdir("/tmp") == 0);
    if (spawn_os_sched_batch(true) == 0)
        IS(sched_getscheduler(0) == SCHED_BATCH);
}

static void is_plain(void)
{
    sigset_t set;
    int signo;

    IS(getsid(0) == getpid());
    IS(sigprocmask(SIG_SETMASK, NULL, &set) == 0);
    for (signo = 1; signo < 65; signo++)
        IS(sigismember(&set, signo) != 1);
    IS(umask(0) == 022);
    IS(strcmp(getcwd((char[100]){0}, 100), "/") == 0);
    IS(sched_getscheduler(0) == SCHED_OTHER);
    IS(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
    IS(is_null(0) && is_null(1) && is_null(2));
    IS(fcntl(0, F_GETFD) == 0 && fcntl(1, F_GETFD) == 0
       && fcntl(2, F_GETFD) == 0);
    IS((fcntl(0, F_GETFL) & O_ACCMODE) == O_RDWR);
}

static void a_job_that_says_nothing_gets_the_plain_surroundings(void **state)
{
    (void)state;
    sets_up(NULL, 0, block_all, is_plain);
}

static void lead(void)
{
    (void)setsid();
}

static void a_session_cannot_be_made_twice(void **state)
{
    (void)state;
    fails(NULL, 0, lead, SPAWN_STEP_SESSION, EPERM);
}

static void one_that_leads_its_session_stays_there(void **state)
{
    (void)state;
    c.leads = true;
    sets_up(NULL, 0, lead, is_plain);
}

static void is_as_asked(void)
{
    IS(umask(0) == 077);
    IS(strcmp(getcwd((char[100]){0}, 100), "/tmp") == 0);
    IS(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

static void umask_directory_and_no_new_privs_are_as_asked(void **state)
{
    (void)state;
    spawn_put_u64(&w, SPAWN_A_UMASK, 077);
    spawn_put_str(&w, SPAWN_A_CWD, "/tmp");
    spawn_put_u64(&w, SPAWN_A_NO_NEW_PRIVS, 1);
    sets_up(NULL, 0, NULL, is_as_asked);
}

static void a_directory_that_is_not_there_is_told(void **state)
{
    (void)state;
    spawn_put_str(&w, SPAWN_A_CWD, "/nowhere");
    fails(NULL, 0, NULL, SPAWN_STEP_CWD, ENOENT);
}

/* ---- limits, priority ---- */

static bool limited(int what, rlim_t soft, rlim_t hard)
{
    struct rlimit r;

    return getrlimit((__rlimit_resource_t)what, &r) == 0 && r.rlim_cur == soft
           && r.rlim_max == hard;
}

static void is_limited(void)
{
    IS(limited(RLIMIT_NOFILE, 100, 200));
    IS(limited(RLIMIT_CORE, 0, 0));
    IS(limited(RLIMIT_CPU, 33, 33));
    IS(limited(RLIMIT_FSIZE, RLIM_INFINITY, RLIM_INFINITY));
}

static void limits_are_set(void **state)
{
    uint64_t pairs[6] = {0, 0, 0, 33, 0, SPAWN_LIMIT_UNLIMITED};

    (void)state;
    pairs[0] = limit_of(RLIMIT_CORE);
    pairs[2] = limit_of(RLIMIT_CPU);
    pairs[4] = limit_of(RLIMIT_FSIZE);
    spawn_put_u64v(&w, SPAWN_A_LIMITS, pairs, 6);
    c.file_limit[0] = 100;
    c.file_limit[1] = 200;
    sets_up(NULL, 0, NULL, is_limited);
}

static struct rlimit files;

static void has_its_files(void)
{
    IS(limited(RLIMIT_NOFILE, files.rlim_cur, files.rlim_max));
}

static void the_file_limit_stays_when_none_is_given(void **state)
{
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    c.file_limit[0] = 100;
    sets_up(NULL, 0, NULL, has_its_files);
}

static void the_jobs_own_file_limit_wins(void **state)
{
    uint64_t pair[2] = {0, 55};

    (void)state;
    pair[0] = limit_of(RLIMIT_NOFILE);
    spawn_put_u64v(&w, SPAWN_A_LIMITS, pair, 2);
    c.file_limit[0] = c.file_limit[1] = 100;
    files.rlim_cur = files.rlim_max = 55;
    sets_up(NULL, 0, NULL, has_its_files);
}

static void limits_that_cannot_be_set_are_told(void **state)
{
    uint64_t pairs[4] = {0, 0, 99, 1};

    (void)state;
    pairs[0] = limit_of(RLIMIT_CORE);
    spawn_put_u64v(&w, SPAWN_A_LIMITS, pairs, 4);
    fails(NULL, 0, NULL, SPAWN_STEP_LIMITS, EINVAL);
    (void)end(NULL);
    (void)begin(NULL);
    pairs[0] = limit_of(RLIMIT_NOFILE);
    pairs[1] = 1ull << 40; /* more than the kernel gives to anybody */
    spawn_put_u64v(&w, SPAWN_A_LIMITS, pairs, 2);
    fails(NULL, 0, NULL, SPAWN_STEP_LIMITS, EPERM);
    (void)end(NULL);
    (void)begin(NULL);
    c.file_limit[0] = 100;
    c.file_limit[1] = 1ull << 40;
    fails(NULL, 0, NULL, SPAWN_STEP_LIMITS, EPERM);
}

static void is_nice(void)
{
    IS(getpriority(PRIO_PROCESS, 0) == 17);
    IS(syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 5));
}

/* Its session's value, as the kernel shows it; -100 where it has none. */
static int autogroup_nice(void)
{
    char text[100];
    int fd = open("/proc/self/autogroup", O_RDONLY), nice;
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    return sscanf(text, "/autogroup-%*d nice %d", &nice) == 1 ? nice : -100;
}

static int wanted_nice;

static void its_session_is_nice(void)
{
    int is = autogroup_nice();

    IS(is == wanted_nice || is == -100);
}

static void a_session_is_nice_too(void **state)
{
    static const int values[] = {0, 7, 9, 10, 19, -5, -20};
    size_t i;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "the kernel takes few of these of others");
    LEAVE_OUT_IF(autogroup_nice() == -100, "sessions have no value here");
    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        (void)end(NULL);
        (void)begin(NULL);
        wanted_nice = values[i];
        spawn_put_i64(&w, SPAWN_A_NICE, wanted_nice);
        sets_up(NULL, 0, NULL, its_session_is_nice);
    }
}

static void cannot_open_autogroup(void)
{
    deny(SYS_openat, EACCES);
}

/* An order without streams opens /dev/null, too: that is the step that fails.
 */
static void a_session_without_a_value_is_no_error(void **state)
{
    (void)state;
    spawn_put_i64(&w, SPAWN_A_NICE, 17);
    fails(NULL, 0, cannot_open_autogroup, SPAWN_STEP_STDIN, EACCES);
}

static void priorities_are_set(void **state)
{
    (void)state;
    spawn_put_i64(&w, SPAWN_A_NICE, 17);
    spawn_put_u64(&w, SPAWN_A_IONICE, 2 << 8 | 5);
    sets_up(NULL, 0, NULL, is_nice);
}

static void deny_nice(void)
{
    deny(SYS_setpriority, EACCES);
}

static void priorities_that_cannot_be_set_are_told(void **state)
{
    (void)state;
    spawn_put_u64(&w, SPAWN_A_IONICE, 7 << 8);
    fails(NULL, 0, NULL, SPAWN_STEP_PRIORITY, EINVAL);
    (void)end(NULL);
    (void)begin(NULL);
    spawn_put_i64(&w, SPAWN_A_NICE, 17);
    spawn_put_u64(&w, SPAWN_A_IONICE, 2 << 8 | 5);
    fails(NULL, 0, deny_nice, SPAWN_STEP_PRIORITY, EACCES);
}

static void deny_class(void)
{
    deny(SYS_sched_setscheduler, EPERM);
}

static void a_denied_scheduling_class_fails_no_job(void **state)
{
    (void)state;
    sets_up(NULL, 0, deny_class, nothing);
}

/* ---- the account ---- */

static void is_another(void)
{
    uid_t u[3];
    gid_t g[3], groups[4];

    IS(getresuid(&u[0], &u[1], &u[2]) == 0);
    IS(u[0] == 65501 && u[1] == 65501 && u[2] == 65501);
    IS(getresgid(&g[0], &g[1], &g[2]) == 0);
    IS(g[0] == 65502 && g[1] == 65502 && g[2] == 65502);
    IS(getgroups(4, groups) == 2);
    IS(groups[0] == 65503 && groups[1] == 65504);
}

static void become_another(void)
{
    as.uid = 65501;
    as.gid = 65502;
    as.groups_count = 2;
    as.groups[0] = 65503;
    as.groups[1] = 65504;
}

static void has_no_group_more(void)
{
    IS(getuid() == 65501 && getgid() == 65502);
    IS(getgroups(0, NULL) == 0);
}

static void a_job_becomes_the_account_it_runs_as(void **state)
{
    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "not root");
    become_another();
    sets_up(NULL, 0, NULL, is_another);
    as.groups_count = 0; /* an account without others */
    sets_up(NULL, 0, NULL, has_no_group_more);
}

static void deny_groups(void)
{
    deny(SYS_setgroups, EPERM);
}

static void deny_gid(void)
{
    deny(SYS_setresgid, EACCES);
}

static void deny_uid(void)
{
    deny(SYS_setresuid, EAGAIN);
}

static void an_account_that_cannot_be_had_is_told(void **state)
{
    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "not root");
    become_another();
    fails(NULL, 0, deny_groups, SPAWN_STEP_GROUPS, EPERM);
    fails(NULL, 0, deny_gid, SPAWN_STEP_GID, EACCES);
    fails(NULL, 0, deny_uid, SPAWN_STEP_UID, EAGAIN);
}

static void is_bounded(void)
{
    int cap;

    for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        IS((prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1) == (cap == CAP_KILL));
}

static void deny_prctl(void)
{
    deny(SYS_prctl, EPERM);
}

static void the_bounding_set_is_what_is_to_be_kept(void **state)
{
    static const uint64_t keep = 1u << CAP_KILL;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0
                     || prctl(PR_CAPBSET_READ, CAP_KILL, 0, 0, 0) != 1,
                 "not root");
    c.bounding_set = &keep;
    sets_up(NULL, 0, NULL, is_bounded);
}

static void no_new_privs_that_is_denied_is_told(void **state)
{
    (void)state;
    spawn_put_u64(&w, SPAWN_A_NO_NEW_PRIVS, 1);
    fails(NULL, 0, deny_prctl, SPAWN_STEP_PRIVILEGES, EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_job_that_says_nothing_gets_the_plain_surroundings),
        T(a_session_cannot_be_made_twice),
        T(one_that_leads_its_session_stays_there),
        T(umask_directory_and_no_new_privs_are_as_asked),
        T(a_directory_that_is_not_there_is_told),
        T(limits_are_set),
        T(the_file_limit_stays_when_none_is_given),
        T(the_jobs_own_file_limit_wins),
        T(limits_that_cannot_be_set_are_told),
        T(priorities_are_set),
        T(a_session_is_nice_too),
        T(a_session_without_a_value_is_no_error),
        T(priorities_that_cannot_be_set_are_told),
        T(a_denied_scheduling_class_fails_no_job),
        T(a_job_becomes_the_account_it_runs_as),
        T(an_account_that_cannot_be_had_is_told),
        T(the_bounding_set_is_what_is_to_be_kept),
        T(no_new_privs_that_is_denied_is_told),
    };

    if (!share_what_is_told())
        return 99;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("child_surroundings", tests, NULL, NULL);
}
