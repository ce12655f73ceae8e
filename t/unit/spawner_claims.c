/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process a template can have for a job, seen from the spawner: one that
 * it could signal itself, and none that a set-uid program has left behind. The
 * test's program, copied to where every account can execute it, plays the
 * template; a set-uid copy of it is the program that becomes root.
 */
#include <sched.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>

#include "t/unit/corner.h"
#include "t/unit/spawner_look.h"

#define LINK 3 /* of the template */

typedef struct {
    pid_t pid;
    bool is_root;
} orphan;

/* ---- the template ---- */

static bool spare; /* LAUNCHED is about one */

static void tell(uint16_t type, const spawn_id *job, pid_t pid, unsigned step)
{
    spawn_writer w;

    spawn_writer_init(&w, 1024);
    spawn_writer_begin(&w, type, 0);
    spawn_put_id(&w, SPAWN_A_ID, job);
    if (pid)
        spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    if (spare && type == SPAWN_M_LAUNCHED)
        spawn_put_u64(&w, SPAWN_A_SPARE, 1);
    if (step) {
        spawn_put_u64(&w, SPAWN_A_STEP, step);
        spawn_put_u64(&w, SPAWN_A_ERRNO, ENOTSUP);
    }
    if (spawn_writer_finish(&w, 0) != 0
        || spawn_packet_send(LINK, w.data, w.length, NULL, 0) != 0)
        _exit(4);
    spawn_writer_free(&w);
}

static int gate[2]; /* while it is open orphans stay */

static void stay(int ready) __attribute__((noreturn));

static void stay(int ready)
{
    const orphan self = {getpid(), getuid() == 0};
    char byte;

    (void)close(gate[1]);
    (void)!write(ready, &self, sizeof(self));
    (void)!read(gate[0], &byte, 1);
    _exit(0);
}

/* A process that is the spawner's child when this returns: of the template's
 * account or, by the set-uid program, root's. It may tell of itself. */
static orphan leave_orphan(const char *set_uid, const spawn_id *tells)
{
    char number[3][16];
    orphan o = {0, false};
    pid_t helper;
    int ends[2];

    if (pipe(ends) < 0 || pipe(gate) < 0)
        _exit(5);
    helper = fork();
    if (helper == 0) {
        pid_t self = getpid();

        if (fork() != 0)
            _exit(0);
        while (getppid() == self) /* not the spawner's yet */
            (void)poll(NULL, 0, 1);
        (void)snprintf(number[0], sizeof(number[0]), "%d", ends[1]);
        (void)snprintf(number[1], sizeof(number[1]), "%d", gate[0]);
        (void)snprintf(number[2], sizeof(number[2]), "%d", gate[1]);
        if (set_uid)
            (void)execl(set_uid, "be root", number[0], number[1], number[2],
                        NULL);
        if (tells)
            tell(SPAWN_M_FORKED, tells, getpid(), 0);
        stay(ends[1]);
    }
    (void)waitpid(helper, NULL, 0);
    if (read(ends[0], &o, sizeof(o)) != (ssize_t)sizeof(o))
        _exit(6);
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)close(gate[0]);
    return o;
}

/* When the spawner has read what it was told. It is in no other order: the
 * spawner reads its links before it reaps. */
static void ends_now(const orphan *o)
{
    int unread = 1;

    while (ioctl(LINK, SIOCOUTQ, &unread) == 0 && unread > 0)
        (void)poll(NULL, 0, 1);
    (void)close(gate[1]);
    while (kill(o->pid, 0) == 0 || errno == EPERM)
        (void)poll(NULL, 0, 1);
}

/* Orders say what is to be told: "account::way". Then that the job could not be
 * set up: it ends when the spawner has no process of it. */
static int be_the_template(const char *set_uid)
{
    for (;;) {
        const char *function;
        spawn_id job;
        orphan o;

        next_message(LINK, SPAWN_FROM_BROKER_TO_SPAWNER);
        if (message.header.type != SPAWN_M_LAUNCH)
            return 0;
        function = spawn_str_or(&message, SPAWN_A_FUNCTION, "");
        spawn_attr_id(&message.attr[SPAWN_A_ID], &job);
        o = leave_orphan(strncmp(function, "root", 4) == 0 ? set_uid : NULL,
                         strstr(function, "itself") ? &job : NULL);
        if (strstr(function, "forked"))
            tell(SPAWN_M_FORKED, &job, o.pid, 0);
        spare = strstr(function, "spare") != NULL;
        if (strstr(function, "launched"))
            tell(SPAWN_M_LAUNCHED, &job, o.pid, 0);
        if (strstr(function, "ends")) {
            (void)kill(o.pid, SIGTERM);
            continue;
        }
        if (strstr(function, "leaves"))
            ends_now(&o);
        tell(SPAWN_M_SET_UP, &job, 0,
             strncmp(function, "root", 4) == 0 && !o.is_root ? SPAWN_STEP_CWD
                                                             : SPAWN_STEP_EXEC);
    }
}

/* ---- the test ---- */

static spawn_id template;
static char program[128], set_uid[128];

static void copy(char *to, size_t room, const char *name, unsigned mode)
{
    char command[512], self[256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    assert_true(n > 0);
    self[n] = '\0';
    (void)snprintf(to, room, "%s/%s", dir, name);
    (void)snprintf(command, sizeof(command), "cp '%s' %s && chmod %o %s", self,
                   to, mode, to);
    assert_int_equal(system(command), 0);
}

static void start_template(void)
{
    spawn_writer w;
    size_t mark;

    copy(program, sizeof(program), "template", 0755);
    copy(set_uid, sizeof(set_uid), "set-uid", 04755);
    new_id(&template);
    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, &template);
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 1);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "own");
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, program, strlen(program));
    spawn_add_text(&w, mark, "be the template", 15);
    spawn_add_text(&w, mark, set_uid, strlen(set_uid));
    spawn_close(&w, mark);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    send_on(link_fd, &w, NULL, 0);
    expect_id(SPAWN_M_STARTED, &template);
}

static void order(spawn_id *job, const char *function)
{
    spawn_writer w;
    size_t mark;

    new_id(job);
    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, job);
    spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, &template);
    spawn_put_str(&w, SPAWN_A_FUNCTION, function);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    send_on(link_fd, &w, NULL, 0);
}

/* An order and a signal, which waits for the job's process. */
static void order_and_kill(spawn_id *job, const char *function)
{
    spawn_writer w;

    order(job, function);
    begin(&w, SPAWN_M_SIGNAL);
    spawn_put_id(&w, SPAWN_A_ID, job);
    spawn_put_u64(&w, SPAWN_A_SIGNO, SIGKILL);
    send_on(link_fd, &w, NULL, 0);
}

static void is_its_job(const char *function)
{
    spawn_id job;

    (void)reach_ready();
    start_template();
    order_and_kill(&job, function);
    expect_id(SPAWN_M_EXITED, &job);
    if (spawn_u64_or(&message, SPAWN_A_STEP, 0) == 0)
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_WAIT_STATUS, 0),
                         SIGKILL);
    assert_true(spawn_u64_or(&message, SPAWN_A_PID, 0) > 1);
}

/* Not to be had, and not ended by the signal. */
static void is_nobodys_job(const char *function)
{
    struct statvfs fs;
    spawn_id job;

    LEAVE_OUT_IF(geteuid() != 0, "only root can become another account");
    reach_ready();
    LEAVE_OUT_IF(statvfs(dir, &fs) < 0 || fs.f_flag & ST_NOSUID,
                 "set-user-id programs are forbidden here");
    start_template();
    order_and_kill(&job, function);
    expect_id(SPAWN_M_EXITED, &job);
    LEAVE_OUT_IF(spawn_u64_or(&message, SPAWN_A_STEP, 0) == SPAWN_STEP_CWD,
                 "nobody becomes root here");
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STEP, 0), SPAWN_STEP_EXEC);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), 0);
}

static void a_process_that_tells_of_itself_is_the_job(void **state)
{
    (void)state;
    is_its_job("own::itself");
}

/* As on a kernel before 6.13 with a /proc that shows no other accounts. */
static void where_no_process_is_shown(void)
{
    if (unshare(CLONE_NEWNS) < 0
        || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
        || mount("none", "/proc", "tmpfs", 0, NULL) < 0)
        _exit(98);
    deny_bits(SYS_pidfd_open, 0, UINT32_MAX, ENOSYS);
}

static int can_hide_processes(void)
{
    where_no_process_is_shown();
    return 0;
}

static int start_where_no_process_is_shown(void **state)
{
    if (in_a_child(can_hide_processes) != 0)
        return 0;
    before_exec = where_no_process_is_shown;
    return start_spawner(state);
}

/* It is told by the kernel who tells of itself. */
static void one_that_is_not_shown_is_the_job(void **state)
{
    (void)state;
    LEAVE_OUT_IF(!before_exec, "no file systems can be mounted");
    is_its_job("own::itself");
}

/* Before it has told of itself. */
static void the_end_of_one_that_is_not_shown_is_told(void **state)
{
    spawn_id first, next;

    (void)state;
    LEAVE_OUT_IF(!before_exec, "no file systems can be mounted");
    (void)reach_ready();
    start_template();
    order(&first, "own::launched, and ends");
    expect_id(SPAWN_M_EXITED, &first);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_WAIT_STATUS, 0), SIGTERM);
    assert_true(spawn_u64_or(&message, SPAWN_A_PID, 0) > 1);
    order(&next, "own::launched, a spare, and ends");
    expect_id(SPAWN_M_EXITED, &next); /* it has not run */
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STEP, 0),
                     SPAWN_STEP_TEMPLATE);
}

/* Nor has it ended with it. */
static void what_became_root_and_is_not_shown_is_not_a_job(void **state)
{
    spawn_id job;

    (void)state;
    LEAVE_OUT_IF(!before_exec, "no file systems can be mounted");
    (void)reach_ready();
    start_template();
    order(&job, "root::launched, and leaves");
    expect_id(SPAWN_M_EXITED, &job);
    LEAVE_OUT_IF(spawn_u64_or(&message, SPAWN_A_STEP, 0) == SPAWN_STEP_CWD,
                 "nobody becomes root here");
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STEP, 0), SPAWN_STEP_EXEC);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), 0);
}

static void one_that_its_template_tells_of_is_the_job(void **state)
{
    (void)state;
    is_its_job("own::launched");
}

static void what_became_root_is_not_a_job_by_launched(void **state)
{
    (void)state;
    is_nobodys_job("root::launched");
}

static void what_became_root_is_not_a_job_by_forked(void **state)
{
    (void)state;
    is_nobodys_job("root::forked");
}

int main(int argc, char **argv)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, start_spawner, stop_spawner)
    const struct CMUnitTest tests[] = {
        ALONE(a_process_that_tells_of_itself_is_the_job),
        cmocka_unit_test_setup_teardown(one_that_is_not_shown_is_the_job,
                                        start_where_no_process_is_shown,
                                        stop_spawner),
        cmocka_unit_test_setup_teardown(
            the_end_of_one_that_is_not_shown_is_told,
            start_where_no_process_is_shown, stop_spawner),
        cmocka_unit_test_setup_teardown(
            what_became_root_and_is_not_shown_is_not_a_job,
            start_where_no_process_is_shown, stop_spawner),
        ALONE(one_that_its_template_tells_of_is_the_job),
        ALONE(what_became_root_is_not_a_job_by_launched),
        ALONE(what_became_root_is_not_a_job_by_forked)};

    if (argc == 3 && strcmp(argv[1], "be the template") == 0)
        return be_the_template(argv[2]);
    if (argc == 4 && strcmp(argv[0], "be root") == 0) {
        (void)!setresuid(0, 0, 0);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* forgotten by setresuid */
        gate[0] = atoi(argv[2]);
        gate[1] = atoi(argv[3]);
        stay(atoi(argv[1]));
    }
    BE_THE_BROKER_IF_ASKED(argc, argv);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_claims", tests, NULL, NULL);
}
