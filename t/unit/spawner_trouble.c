/* SPDX-License-Identifier: Apache-2.0 */
/* The spawner where something is short or in the way: jobs that hang before
 * exec, no descriptors left, an end in the middle of something. */
#include <time.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "t/unit/spawner_play.h"

#define FEW_FILES 100

static void few_files(void)
{
    const struct rlimit few = {FEW_FILES, FEW_FILES};

    /* descriptors that the test itself was started with are not to be counted
     */
    (void)close_range(4, ~0U, CLOSE_RANGE_CLOEXEC);
    (void)setrlimit(RLIMIT_NOFILE, &few);
}

static int start_with_few_files(void **state)
{
    before_exec = few_files;
    return start_spawner(state);
}

static int64_t cpu_ms(void)
{
    struct timespec t;
    clockid_t clock;

    assert_int_equal(clock_getcpuclockid(spawner_pid, &clock), 0);
    assert_int_equal(clock_gettime(clock, &t), 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A loop that spins uses all of a while, one that waits nothing. */
static void expect_idle(void)
{
    int64_t before = cpu_ms();

    (void)poll(NULL, 0, 300);
    assert_true(cpu_ms() - before < 100);
}

static void expect_end(void)
{
    assert_int_equal(spawner_ends(), 0);
}

static void read_out(char *text, size_t room)
{
    char path[128];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/out", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    n = read(fd, text, room - 1);
    assert_true(n >= 0);
    text[n] = '\0';
    (void)close(fd);
}

/* A file whose opening waits: a lease on it is broken first, and who has it
 * does not give it up. */
static int lease = -1;

static void lease_file(char *path, size_t room)
{
    (void)signal(SIGIO, SIG_IGN);
    (void)snprintf(path, room, "%s/leased", dir);
    lease = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    assert_true(lease >= 0);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(fcntl(lease, F_SETLEASE, F_WRLCK), 0);
}

static void give_up_lease(void)
{
    if (lease >= 0)
        (void)close(lease);
    lease = -1;
}

/* Both are forked before the first one's start is heard of. */
static void launch_one_that_hangs(const spawn_id *quick, const spawn_id *hangs)
{
    char path[128];

    lease_file(path, sizeof(path));
    assert_int_equal(kill(spawner_pid, SIGSTOP), 0);
    launch(quick, "/bin/sh", "exit 4", NULL);
    launch_into(path, hangs, "/bin/sh", "exit 6", NULL);
    assert_int_equal(kill(spawner_pid, SIGCONT), 0);
    expect_id(SPAWN_M_STARTED, quick);
    expect_exit(quick, 4);
    expect_idle();
}

static void a_job_that_hangs_before_exec_keeps_nothing_of_others(void **state)
{
    spawn_id quick, hangs;
    char link[64], target[64];
    pid_t pid;
    int i;

    (void)state;
    reach_ready();
    new_id(&quick);
    new_id(&hangs);
    launch_one_that_hangs(&quick, &hangs);
    /* the one that waits in open() has its own and no socket of ours */
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_id(SPAWN_M_RUNNING, &quick);
    expect_id(SPAWN_M_RUNNING, &hangs);
    pid = (pid_t)spawn_u64_or(&message, SPAWN_A_PID, 0);
    expect_exit(&quick, 4);
    for (i = 0; i < 100; i++) {
        ssize_t n;

        (void)snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pid, i);
        n = readlink(link, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        assert_null(strstr(target, "socket:"));
        assert_null(strstr(target, "anon_inode:"));
    }
    give_up_lease();
    do {
        next_message(link_fd, SPAWN_FROM_SPAWNER);
    } while (message.header.type != SPAWN_M_EXITED);
    assert_int_equal(
        WEXITSTATUS((int)spawn_u64_or(&message, SPAWN_A_WAIT_STATUS, 0)), 6);
}

static void tell_about(uint16_t type, const spawn_id *id)
{
    spawn_writer w;

    begin(&w, type);
    spawn_put_id(&w, SPAWN_A_ID, id);
    send_on(link_fd, &w, NULL, 0);
}

/* Its process is told when it is asked for, TERM ends it, and nobody is told
 * that it has started. */
static void a_job_that_hangs_before_exec_is_ended_by_term(void **state)
{
    spawn_id quick, hangs;
    spawn_writer w;
    int status;

    (void)state;
    reach_ready();
    new_id(&quick);
    new_id(&hangs);
    launch_one_that_hangs(&quick, &hangs);
    tell_about(SPAWN_M_TELL_PID, &hangs);
    expect_id(SPAWN_M_STARTED, &hangs);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_STARTING);
    assert_true(spawn_u64_or(&message, SPAWN_A_PID, 0) > 1);
    begin(&w, SPAWN_M_SIGNAL);
    spawn_put_id(&w, SPAWN_A_ID, &hangs);
    spawn_put_u64(&w, SPAWN_A_SIGNO, SIGTERM);
    send_on(link_fd, &w, NULL, 0);
    expect_id(SPAWN_M_EXITED, &hangs);
    assert_false(spawn_has(&message, SPAWN_A_STEP));
    status = (int)spawn_u64_or(&message, SPAWN_A_WAIT_STATUS, 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

/* FORGET of a job that lives: a broker has given it up. It is in no table that
 * the next one is told of, and its end is no news. */
static void a_job_that_was_given_up_is_nobodys(void **state)
{
    spawn_id quick, hangs;

    (void)state;
    reach_ready();
    new_id(&quick);
    new_id(&hangs);
    launch_one_that_hangs(&quick, &hangs);
    tell_about(SPAWN_M_FORGET, &hangs);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_id(SPAWN_M_RUNNING, &quick);
    expect_exit(&quick, 4);
    expect_link(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_GO);
    give_up_lease();
    new_id(&quick);
    launch(&quick, "/bin/sh", "exit 7", NULL);
    expect_id(SPAWN_M_STARTED, &quick);
    expect_exit(&quick, 7);
}

/* After a failure the job still hangs: without the lease it goes on. */
static int stop_spawner_and_job(void **state)
{
    give_up_lease();
    return stop_spawner(state);
}

static void a_file_limit_above_its_own_is_cut_down(void **state)
{
    static const uint64_t high[2] = {30, 4096};
    char text[32];
    spawn_id id;

    (void)state;
    file_limit = high;
    reach_ready();
    new_id(&id);
    launch(&id, "/bin/sh", "ulimit -Sn; ulimit -Hn", NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
    read_out(text, sizeof(text));
    assert_string_equal(text, "30\n100\n");
}

/* A job that holds four descriptors of the spawner until it is forgotten. */
static void launch_with_keep(const spawn_id *id)
{
    uint64_t keep[] = {0, 1, 1, 2, 2, 3, 3, 4};
    int fds[4], i;
    spawn_writer w;
    size_t mark;

    for (i = 0; i < 4; i++)
        fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, id);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 8);
    send_on(link_fd, &w, fds, 4);
    spawn_close_fds(fds, 4);
}

static void without_descriptors_every_order_is_answered(void **state)
{
    enum {
        JOBS = 40
    };
    int ended = 0, failed = 0, other;
    spawn_id id;
    char byte;

    (void)state;
    reach_ready();
    for (ended = 0; ended < JOBS; ended++) {
        new_id(&id);
        launch_with_keep(&id);
        do {
            next_message(link_fd, SPAWN_FROM_SPAWNER);
        } while (message.header.type != SPAWN_M_EXITED);
        if (spawn_has(&message, SPAWN_A_STEP)) {
            assert_int_equal(spawn_u64_or(&message, SPAWN_A_ERRNO, 0), EMFILE);
            failed++;
        }
    }
    assert_true(failed > 0 && failed < JOBS);
    /* a new configuration finds no room, and what there is goes on with the
     * one that it has */
    send_configure(SPAWN_RELEASE);
    expect_control(SPAWN_M_NOT_READY);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                           "no room for the descriptors"));
    /* for another broker there is room */
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    /* one more cannot be let in, and must not be asked for for ever */
    other = connect_control();
    expect_idle();
    (void)recv(other, &byte, 1, MSG_DONTWAIT);
    (void)close(other);
}

/* The kernel limits how many descriptors of an account may be on their way. */
static void what_cannot_be_sent_now_is_sent_later(void **state)
{
    int mine[2], fds[SPAWN_FDS_MAX], i;
    uint8_t head[SPAWN_WIRE_HEADER] = {0};
    struct pollfd link = {-1, POLLIN, 0};
    spawn_writer w;
    spawn_id id;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "the broker would be under the same limit");
    reach_ready();
    new_id(&id);
    begin(&w, SPAWN_M_HOLD);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    send_on(link_fd, &w, &handover, 1);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, mine), 0);
    for (i = 0; i < SPAWN_FDS_MAX; i++)
        fds[i] = handover;
    for (i = 0; i < 2 * FEW_FILES / SPAWN_FDS_MAX; i++)
        assert_int_equal(
            spawn_packet_send(mine[0], head, sizeof(head), fds, SPAWN_FDS_MAX),
            0);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    link.fd = link_fd;
    (void)poll(&link, 1, 300); /* where the kernel has no such limit it comes */
    spawn_close_fds(mine, 2);
    expect_id(SPAWN_M_HELD, &id);
}

static void a_parent_lost_in_an_upgrade_is_lost_after_it(void **state)
{
    (void)state;
    reach_ready();
    send_configure("another");
    expect_link(SPAWN_M_QUIT);
    (void)close(control);
    control = -1;
    expect_link(SPAWN_M_LINGER);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_link(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_LINGER);
    send_plain(link_fd, SPAWN_M_BYE);
    drop_broker();
    expect_end();
}

/* Children of an httpd that was killed may post until they end, too. */
static void what_is_posted_at_its_end_is_stored(void **state)
{
    const char post[] = "a post", late[] = "too late";
    char room[16];
    int ends[2], adopter;

    (void)state;
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    post_rx = ends[0];
    reach_ready();
    post_rx = -1;
    (void)close(control);
    control = -1;
    expect_link(SPAWN_M_LINGER);
    assert_int_equal(send(ends[1], post, sizeof(post), 0), sizeof(post));
    send_plain(link_fd, SPAWN_M_BYE);
    drop_broker();

    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_link(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_LINGER);
    assert_int_equal(send(ends[1], late, sizeof(late), MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    adopter = connect_control(); /* comes too late, too */
    wait_readable(adopter);
    assert_int_equal(recv(adopter, room, sizeof(room), 0), 0);
    (void)close(adopter);
    assert_int_equal(recv(ends[0], room, sizeof(room), MSG_DONTWAIT),
                     sizeof(post));
    send_plain(link_fd, SPAWN_M_BYE);
    drop_broker();
    expect_end();
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void a_pair_that_never_was_ready_ends_with_its_parent(void **state)
{
    (void)state;
    send_configure(SPAWN_RELEASE);
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_link(SPAWN_M_TABLE_END);
    say_ready(SPAWN_E_STORE, "the store is full");
    expect_control(SPAWN_M_NOT_READY);
    (void)close(control);
    control = -1;
    expect_end();
}

/* An account of its own with a capability that its programs inherit, as a unit
 * with AmbientCapabilities= starts httpd. */
static void with_ambient_capability(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    const uint32_t bind = 1u << CAP_NET_BIND_SERVICE;

    (void)prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    (void)syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY);
    memset(data, 0, sizeof(data));
    data[0].effective = data[0].permitted = data[0].inheritable = bind;
    if (syscall(SYS_capset, &head, data) < 0
        || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0,
                 0)
               < 0)
        _exit(8);
}

static int start_with_ambient_capability(void **state)
{
    before_exec = with_ambient_capability;
    return start_spawner(state);
}

static void jobs_inherit_no_capability(void **state)
{
    char text[64];
    spawn_id id;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "only root can hand on a capability");
    reach_ready();
    new_id(&id);
    launch(&id, "/bin/sh",
           "while read name set; do case $name in CapPrm:|CapAmb:) echo $set;; "
           "esac; done < /proc/self/status",
           NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
    read_out(text, sizeof(text));
    assert_string_equal(text, "0000000000000000\n0000000000000000\n");
}

/* More handles than the link takes messages, and a new broker that has read
 * CONFIGURE only: the spawner stands in the middle of telling them. */
enum {
    HELD = 6000
};
static spawn_id held_ids[HELD];

/* Handles on their way count as open ones, for who is not root. */
static bool few_handles(void)
{
    struct rlimit files;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_max < 2 * HELD;
}

static void reach_full_link(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), i;
    spawn_writer w;

    reach_ready();
    for (i = 0; i < HELD; i++) {
        new_id(&held_ids[i]);
        begin(&w, SPAWN_M_HOLD);
        spawn_put_id(&w, SPAWN_A_ID, &held_ids[i]);
        send_on(link_fd, &w, &fd, 1);
    }
    (void)close(fd);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
}

static void read_up_to(unsigned type)
{
    do {
        next_message(link_fd, SPAWN_FROM_SPAWNER);
    } while (message.header.type != type);
}

static void handles_let_go_while_they_are_told(void **state)
{
    int i;

    (void)state;
    LEAVE_OUT_IF(few_handles(), "the limit of open files is too low");
    reach_full_link();
    for (i = 0; i < HELD; i++)
        send_id(SPAWN_M_RELEASE, &held_ids[i]);
    read_up_to(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_GO);
}

static void a_linger_not_yet_told_is_off_when_adopted(void **state)
{
    spawn_id id;
    int other;

    (void)state;
    LEAVE_OUT_IF(few_handles(), "the limit of open files is too low");
    reach_full_link();
    (void)close(control);
    adopt();
    /* that another one is refused says that CONFIGURE was taken */
    other = connect_control();
    send_plain(other, SPAWN_M_ADOPT);
    next_message(other, SPAWN_FROM_SPAWNER_TO_PARENT);
    assert_int_equal(message.header.type, SPAWN_M_REFUSED);
    (void)close(other);
    send_plain(control, SPAWN_M_GO);
    read_up_to(SPAWN_M_TABLE_END);
    expect_link(SPAWN_M_GO);
    new_id(&id);
    launch(&id, "/bin/true", NULL, NULL);
    expect_id(SPAWN_M_STARTED, &id);
}

int main(int argc, char **argv)
{
#define AFTER(start, f) cmocka_unit_test_setup_teardown(f, start, stop_spawner)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_job_that_hangs_before_exec_keeps_nothing_of_others, start_spawner,
            stop_spawner_and_job),
        cmocka_unit_test_setup_teardown(
            a_job_that_hangs_before_exec_is_ended_by_term, start_spawner,
            stop_spawner_and_job),
        cmocka_unit_test_setup_teardown(a_job_that_was_given_up_is_nobodys,
                                        start_spawner, stop_spawner_and_job),
        AFTER(start_with_few_files, a_file_limit_above_its_own_is_cut_down),
        AFTER(start_with_few_files,
              without_descriptors_every_order_is_answered),
        AFTER(start_with_few_files, what_cannot_be_sent_now_is_sent_later),
        AFTER(start_spawner, a_parent_lost_in_an_upgrade_is_lost_after_it),
        AFTER(start_spawner, what_is_posted_at_its_end_is_stored),
        AFTER(start_spawner, a_pair_that_never_was_ready_ends_with_its_parent),
        AFTER(start_with_ambient_capability, jobs_inherit_no_capability),
        AFTER(start_spawner, a_linger_not_yet_told_is_off_when_adopted),
        AFTER(start_spawner, handles_let_go_while_they_are_told)};

    BE_THE_BROKER_IF_ASKED(argc, argv);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_trouble", tests, NULL, NULL);
}
