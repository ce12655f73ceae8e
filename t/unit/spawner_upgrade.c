/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A spawner that executes its new self hands over every job, handle and
 * descriptor, and nothing else stays open. The test's program is the new self,
 * too: it looks whether all is as it was.
 */
#define PART_HAS_TABLE
#define PART_HAS_UPGRADE
#include "t/unit/spawner_part.h"

#include "spawner/template_note.h"

void reap_some(void)
{
    note("reap_some");
}

void job_leave_to_group(job *j)
{
    note("job_leave_to_group %u", table_index(j));
}

void templates_resume(void)
{
    note("templates_resume");
}

void clone_resume(job *j)
{
    note("clone_resume %u", table_index(j));
}

#include "spawner/table.c"
#include "spawner/template_note.c"
#include "spawner/upgrade.c"
#include "spawner/resume.c"

/* ---- descriptors with names ---- */

static int named(const char *name)
{
    int fd = spawn_os_memfd(name);

    if (write(fd, name, strlen(name)) < 0)
        return -1;
    return fd;
}

static bool is_named(int fd, const char *name)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    return n > 0 && strcmp(text, name) == 0;
}

/* ---- the old self ---- */

static spawn_id id_of(uint8_t number_)
{
    spawn_id id = {
        {number_, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

    return id;
}

static job *have_job(uint8_t id, job_state state, unsigned flags, pid_t pid)
{
    spawn_id full = id_of(id);
    job *j = table_add(&full);

    j->state = (uint8_t)state;
    j->flags = (uint16_t)flags;
    if (pid)
        table_set_pid(j, pid);
    return j;
}

/* With every number another one. */
static void fill(job *j)
{
    static const char *const names[] = {"keep1", "keep2", "keep3", "keep4",
                                        "keep5", "keep6", "keep7"};
    int i;

    for (i = 0; i < SPAWN_KEEP_MAX; i++)
        j->keep[i] = named(names[i]);
    j->step = 3;
    j->attempt = 9;
    j->error = 5;
    j->status = -7;
    j->pending_signal = 15;
    j->mono_us = 1ll << 40;
    j->boot_ms = 1ll << 41;
    j->wall_ms = 1ll << 42;
    j->ended_ms = 1ll << 43;
    j->elapsed_us = 1ll << 44;
    j->utime_us = 1ull << 45;
    j->stime_us = 1ull << 46;
    for (i = 0; i < SPAWN_RU_COUNT - 2; i++)
        j->counts[i] = 100 + (unsigned)i;
    for (i = 0; i < SPAWN_RU_TREE_COUNT; i++)
        table_tree(j)[i] = (1ull << 50) + (unsigned)i;
    j->has_tree = true;
    j->cgroup = 1;
    j->in_cgroup = true;
}

static uint8_t config[8192];
static size_t config_length;

static void make_config(void)
{
    static const uint8_t secret[SPAWN_SECRET_SIZE] = {7};
    static char path[4000]; /* more than a small piece of memory */
    spawn_writer w;
    size_t mark;

    begin(&w, SPAWN_M_CONFIGURE);
    spawn_put_str(&w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    spawn_put_bytes(&w, SPAWN_A_SECRET, secret, sizeof(secret));
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, NULL, 0);
    mark = spawn_open_nest(&w, SPAWN_A_QUEUE_RULES);
    spawn_put_str(&w, SPAWN_A_QUEUE, "default");
    spawn_put_u64(&w, SPAWN_A_MAX_JOBS, 10);
    spawn_put_u64(&w, SPAWN_A_MAX_QUEUED, 10);
    spawn_close(&w, mark);
    memset(path, '/', sizeof(path) - 1);
    spawn_put_str(&w, SPAWN_A_STORE_PATH, path);
    spawn_put_str(&w, SPAWN_A_SOCKET_PATH, "/socket");
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    config_length = w.length - SPAWN_WIRE_HEADER;
    memcpy(config, w.data + SPAWN_WIRE_HEADER, config_length);
    spawn_writer_free(&w);
}

static void have_templates(void)
{
    job *j, *app, *gone = have_job(90, JOB_ENDED, 0, 0);
    template_note *n;

    /* a job whose place is before its template's */
    j = have_job(6, JOB_RUNNING, JOB_FOREIGN, 0);
    j->pid = 106;
    app = have_job(5, JOB_RUNNING, JOB_IS_TEMPLATE | JOB_FOREIGN, 0);
    app->pid = 105;
    app->link = named("link5");
    n = template_note_make(app, "app");
    n->pidfd = named("pidfd5");
    n->dismissed = n->dismissal_waits = true;
    j->template = table_index(app);
    j = have_job(4, JOB_RUNNING, JOB_IS_TEMPLATE, 104);
    j->said = SAID_READY;
    j->link = named("link4");
    n = template_note_make(j, "own");
    n->uid = 4711; /* of its start */
    n->gid = 4712;
    j = have_job(7, JOB_RUNNING, JOB_IS_TEMPLATE, 107);
    j->link = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    n = template_note_make(j, "");
    n->dismissed = true;
    table_remove(gone);
}

static void have_all(void)
{
    const int handles[3] = {named("held1"), named("held2"), named("held3")};
    spawn_id id = id_of(20);
    unsigned i;
    job *j;

    assert_int_equal(table_init(), 0);
    fill(have_job(1, JOB_RUNNING,
                  JOB_KILL_LEFT | JOB_IS_WORKER | JOB_LEFT_WAIT | JOB_IN_FIFO
                      | JOB_TELL_STARTED,
                  101));
    j = have_job(2, JOB_STARTING, JOB_SHOT | JOB_PID_WANTED | JOB_GIVEN_UP,
                 102);
    j->cgroup = 1; /* and it was not put there */
    j->start_pipe = named("start2");
    j = have_job(3, JOB_ENDED, JOB_TELL_EXITED, 0);
    j->pid = 103;
    have_templates();
    j = have_job(8, JOB_RUNNING, JOB_LEADERLESS, 0);
    j->pid = 108;
    j->group = named("group8");
    j = have_job(9, JOB_ENDED, JOB_TELL_ORPHAN, 0);
    j->said = SAID_NOTHING;
    (void)have_job(10, JOB_STARTING, 0, 0); /* its process is not known yet */
    table_remove(have_job(91, JOB_ENDED, 0, 0));
    have_job(12, JOB_STARTING, 0, 112)->room = 3;
    table_remove(have_job(92, JOB_ENDED, 0, 0)); /* a place that is free */
    held_add(&id, 4, handles, 2);
    id = id_of(21);
    held_add(&id, 0, handles + 2, 1);

    for (i = 1; i < SPAWN_FD_ROLES; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "role%u", i);
        if (i != SPAWN_FD_POST_TX) /* one that there is not */
            spawner.fds[i] = named(name);
    }
    spawner.fds[SPAWN_FD_CONTROL] =
        socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    spawner.vhost_logs[0] = named("vhost0");
    spawner.vhost_logs[1] = named("vhost1");
    spawner.vhost_logs_count = 2;
    spawner.failures[0] = named("failures0");
    spawner.failures[1] = named("failures1");
    spawner.control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    spawner.gone_on = true;
    spawner.cleared_at = 77;
    spawner.life.bytes[2] = 5;
    (void)strcpy(spawner.socket_path, "/path/of/the/socket");
    make_config();
    spawner.config = config;
    spawner.config_length = config_length;
}

/* ---- the new self ---- */

static int wrong;
static int wrong_out = 2;

#define CHECK(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            (void)dprintf(wrong_out, "# line %d: not so: %s\n", __LINE__,      \
                          #what);                                              \
            wrong = 1;                                                         \
        }                                                                      \
    } while (0)

static job *the_job(uint8_t n)
{
    spawn_id id = id_of(n);
    job *j = table_by_id(&id);

    if (!j) {
        (void)dprintf(wrong_out, "# no job %d\n", n);
        _exit(2);
    }
    return j;
}

static void check_numbers(const job *j)
{
    int i;

    for (i = 0; i < SPAWN_KEEP_MAX; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "keep%d", i + 1);
        CHECK(is_named(j->keep[i], name));
    }
    CHECK(j->step == 3 && j->error == 5 && j->status == -7);
    CHECK(j->pending_signal == 15 && j->attempt == 9);
    CHECK(j->mono_us == 1ll << 40 && j->boot_ms == 1ll << 41);
    CHECK(j->wall_ms == 1ll << 42 && j->ended_ms == 1ll << 43);
    CHECK(j->elapsed_us == 1ll << 44);
    CHECK(j->utime_us == 1ull << 45 && j->stime_us == 1ull << 46);
    for (i = 0; i < SPAWN_RU_COUNT - 2; i++)
        CHECK(j->counts[i] == 100 + (unsigned)i);
    CHECK(j->has_tree);
    for (i = 0; i < SPAWN_RU_TREE_COUNT; i++)
        CHECK(table_tree(j)[i] == (1ull << 50) + (unsigned)i);
    CHECK(j->cgroup == 1 && j->in_cgroup);
}

static void check_jobs(void)
{
    const job *j = the_job(1);

    check_numbers(j);
    CHECK(j->state == JOB_RUNNING && j->pid == 101 && table_by_pid(101) == j);
    CHECK(j->flags == (JOB_KILL_LEFT | JOB_IS_WORKER | JOB_LEFT_WAIT));
    CHECK(j->start_pipe == -1 && j->link == -1 && j->group == -1);
    CHECK(j->template == 0);
    j = the_job(2);
    CHECK(j->state == JOB_STARTING && table_by_pid(102) == j);
    CHECK(j->flags == (JOB_SHOT | JOB_PID_WANTED | JOB_GIVEN_UP));
    CHECK(is_named(j->start_pipe, "start2") && j->keep[0] == -1);
    CHECK(j->step == 0 && j->status == 0 && j->counts[0] == 0);
    CHECK(j->pending_signal == 0);
    CHECK(j->cgroup == 1 && !j->in_cgroup);
    j = the_job(3);
    CHECK(j->cgroup == 0 && !j->in_cgroup);
    CHECK(j->state == JOB_ENDED && j->pid == 103 && !table_by_pid(103));
    j = the_job(8);
    CHECK(j->flags == JOB_LEADERLESS && is_named(j->group, "group8"));
    CHECK(j->pid == 108 && !table_by_pid(108));
    CHECK(the_job(9)->said == SAID_ORPHAN && the_job(9)->state == JOB_ENDED);
    j = the_job(10);
    CHECK(j->state == JOB_STARTING && j->pid == 0 && !table_by_pid(0));
    j = the_job(12);
    CHECK(j->state == JOB_STARTING && j->pid == 112 && j->room == 0);
    CHECK(table_end() == 12); /* and no others */
}

static bool tells_senders(int sock)
{
    int on = 0;
    socklen_t size = sizeof(on);

    return getsockopt(sock, SOL_SOCKET, SO_PASSCRED, &on, &size) == 0 && on;
}

static void check_templates(void)
{
    const job *j = the_job(5);
    const template_note *n = template_note_of(j);

    CHECK(j->flags == (JOB_IS_TEMPLATE | JOB_FOREIGN) && !table_by_pid(105));
    CHECK(j->pid == 105 && is_named(j->link, "link5"));
    CHECK(n && strcmp(n->name, "app") == 0 && is_named(n->pidfd, "pidfd5"));
    CHECK(n && n->dismissed && n->dismissal_waits);
    j = the_job(6);
    CHECK(j->flags == JOB_FOREIGN && j->pid == 106 && !table_by_pid(106));
    CHECK(j->template == table_index(the_job(5)));
    j = the_job(4);
    n = template_note_of(j);
    CHECK(j->said == SAID_READY && is_named(j->link, "link4"));
    CHECK(table_by_pid(104) == j && j->template == 0);
    CHECK(n && strcmp(n->name, "own") == 0 && n->pidfd == -1);
    CHECK(n && n->uid == 4711 && n->gid == 4712);
    CHECK(n && !n->dismissed && !n->dismissal_waits);
    n = template_note_of(the_job(7));
    CHECK(n && n->name[0] == '\0' && n->dismissed && !n->dismissal_waits);
    CHECK(tells_senders(the_job(7)->link));
    CHECK(!template_note_of(the_job(1)) && !template_note_of(the_job(6)));
}

static void check_held(void)
{
    const spawn_id two = id_of(20), one = id_of(21);
    const held *h;
    unsigned count = 0;

    for (h = held_first(); h; h = h->next) {
        count++;
        if (spawn_id_equal(&h->id, &two)) {
            CHECK(h->count == 2 && h->boxed == 4);
            CHECK(is_named(h->fds[0], "held1") && is_named(h->fds[1], "held2"));
        }
        else {
            CHECK(spawn_id_equal(&h->id, &one));
            CHECK(h->count == 1 && h->boxed == 0);
            CHECK(is_named(h->fds[0], "held3"));
        }
    }
    CHECK(count == 2);
}

static void check_self(void)
{
    unsigned i;

    for (i = 1; i < SPAWN_FD_ROLES; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "role%u", i);
        if (i == SPAWN_FD_POST_TX || i == SPAWN_FD_SPAWNER_BIN)
            CHECK(spawner.fds[i] == -1);
        else if (i == SPAWN_FD_CONTROL)
            CHECK(tells_senders(spawner.fds[i]));
        else
            CHECK(is_named(spawner.fds[i], name));
    }
    CHECK(spawner.vhost_logs_count == 2);
    CHECK(is_named(spawner.vhost_logs[0], "vhost0"));
    CHECK(is_named(spawner.vhost_logs[1], "vhost1"));
    CHECK(is_named(spawner.failures[0], "failures0"));
    CHECK(is_named(spawner.failures[1], "failures1"));
    CHECK(tells_senders(spawner.control));
    CHECK(spawner.control != spawner.fds[SPAWN_FD_CONTROL]);
    CHECK(spawner.gone_on && !spawner.lingering && spawner.wants_ready);
    CHECK(spawner.config == NULL); /* is who takes it to keep */
    CHECK(spawner.cleared_at == 77 && spawner.life.bytes[2] == 5);
}

/* Is the memfd mapped still? */
static bool is_mapped(void)
{
    static char maps[65536];
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    ssize_t n;

    while ((n = read(fd, maps + length, sizeof(maps) - 1 - length)) > 0)
        length += (size_t)n;
    (void)close(fd);
    maps[length] = '\0';
    return strstr(maps, "spawn-upgrade") != NULL;
}

/* role1..12 without 3 and 10; the link to httpd; keep1..7;
 * start2, link5, pidfd5, link4, link7, group8; held1..3; vhost0, vhost1;
 * failures0, failures1; and the state itself; three streams, and where it is
 * told what is wrong. */
#define OPEN_THEN (10 + 1 + 7 + 6 + 3 + 2 + 2 + 1 + 3 + 1)

/* The closer of the old self was killed. */
static bool has_no_child(void)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;
    bool has;

    while ((has = waitpid(-1, NULL, __WALL | WNOHANG) >= 0)
           && spawn_mono_ms() < deadline)
        (void)poll(NULL, 0, 1);
    return !has;
}

/* Of one that has nothing but its configuration. */
static int be_the_next_of_none(int fd)
{
    no_state();
    CHECK(table_init() == 0);
    CHECK(resume(fd) == 0);
    CHECK(strcmp(called, "config_take 0; templates_resume; reap_some; "
                         "broker_start; ")
          == 0);
    CHECK(spawner.lingering && !spawner.gone_on && spawner.control == -1);
    CHECK(table_end() == 1 && !held_first());
    return wrong;
}

static int be_the_next(int argc, char **argv)
{
    int fd = argc == 3 ? atoi(argv[2]) : -1;
    int own[2];

    if (argc == 3 && argv[1][0] == '\0')
        return be_the_next_of_none(fd);
    no_state();
    wrong_out = 100;
    CHECK(argc == 3 && strcmp(argv[1], "/path/of/the/socket") == 0);
    CHECK(open_count() == OPEN_THEN);
    CHECK(has_no_child());
    CHECK(table_init() == 0);
    CHECK(is_open(fd));
    read_log();
    own[0] = spawner.failures[0] = spawn_os_memfd("own");
    own[1] = spawner.failures[1] = spawn_os_memfd("own");
    spawner.reserve[0] = spawn_os_memfd("own");
    CHECK(resume(fd) == 0);
    CHECK(!is_open(own[0]) && !is_open(own[1]));
    CHECK(is_open(spawner.reserve[0])); /* stands behind them */
    CHECK(!is_open(fd) && !is_mapped());
    CHECK(strcmp(called,
                 "config_take 0; watch control in; watch listen in; "
                 "watch parent in; watch start in; job_leave_to_group 4; "
                 "watch template in; watch its end in; watch template in; "
                 "watch template in; "
                 "clone_resume 11; templates_resume; "
                 "reap_some; broker_start; ")
          == 0);
    CHECK(log_says("MS0315: the spawner goes on as release " SPAWN_RELEASE
                   " with 4 running jobs"));
    check_jobs();
    check_templates();
    check_held();
    check_self();
    return wrong;
}

/* ---- what is promised ---- */

static int changes_into_the_next(void)
{
    spawner.fds[SPAWN_FD_SPAWNER_BIN] =
        open("/proc/self/exe", O_PATH | O_CLOEXEC);
    (void)spawn_os_cloexec_from(3);
    (void)dup2(2, 100);
    (void)upgrade_exec();
    return 9;
}

static int hand_over(void)
{
    int given = named("given away");

    no_state();
    have_all();
    (void)open("/dev/null", O_RDONLY | O_CLOEXEC); /* nobody's */
    spawn_closer_give(given, 0);
    while (is_open(given)) /* a closer is there */
        (void)poll(NULL, 0, 1);
    return changes_into_the_next();
}

static int hand_nothing_over(void)
{
    no_state();
    make_config();
    spawner.config = config;
    spawner.config_length = config_length;
    spawner.lingering = true;
    return table_init() < 0 ? 1 : changes_into_the_next();
}

static void all_is_handed_over(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(hand_over), 0);
    assert_int_equal(in_a_child(hand_nothing_over), 0);
}

static unsigned without_cloexec(void)
{
    unsigned n = 0;
    int fd;

    for (fd = 3; fd < 300; fd++) {
        int flags = fcntl(fd, F_GETFD);

        n += flags >= 0 && !(flags & FD_CLOEXEC);
    }
    return n;
}

static unsigned before, before_open;

static bool goes_on_as_it_was(const char *why)
{
    char line[256];
    size_t heap;

    spawn_log(SPAWN_LOG_ERR, MSNO(0314) "so that a line has been written");
    heap = heap_bytes();
    (void)snprintf(line, sizeof(line),
                   "MS0314: the new release of the spawner cannot be executed, "
                   "release " SPAWN_RELEASE " goes on: %s",
                   why);
    CHECK(upgrade_exec() < 0);
    CHECK(without_cloexec() == before);
    CHECK(open_count() == before_open);
    CHECK(log_says(line));
    CHECK(heap_bytes() < heap + 3000);
    return !wrong;
}

static void prepare(const char *program)
{
    no_state();
    have_all();
    (void)close(spawner.fds[SPAWN_FD_SPAWNER_BIN]);
    spawner.fds[SPAWN_FD_SPAWNER_BIN] = open(program, O_PATH | O_CLOEXEC);
    read_log();
    (void)spawn_os_cloexec_from(3);
    before = without_cloexec();
    before_open = open_count();
}

static int cannot_execute(void)
{
    prepare("/etc/passwd");
    return goes_on_as_it_was("Permission denied") ? 0 : 1;
}

static int cannot_make_a_file(void)
{
    prepare("/proc/self/exe");
    deny(SYS_memfd_create, EPERM);
    return goes_on_as_it_was("Operation not permitted") ? 0 : 1;
}

static int cannot_write(void)
{
    prepare("/proc/self/exe");
    no_file_longer_than(0);
    return goes_on_as_it_was("File too large") ? 0 : 1;
}

static int cannot_write_all(void)
{
    prepare("/proc/self/exe");
    no_file_longer_than(6001); /* in the middle of something */
    return goes_on_as_it_was("No space left on device") ? 0 : 1;
}

static int has_no_memory(void)
{
    static uint8_t big[8 << 20];

    prepare("/proc/self/exe");
    spawner.config = big;
    spawner.config_length = sizeof(big);
    no_more_memory_than(1 << 20);
    return goes_on_as_it_was("Cannot allocate memory") ? 0 : 1;
}

/* Without all of the state there must be no new self: it would not know jobs
 * that live. */
static void what_cannot_be_handed_over_stays(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(cannot_execute), 0);
    assert_int_equal(in_a_child(cannot_make_a_file), 0);
    assert_int_equal(in_a_child(cannot_write), 0);
    assert_int_equal(in_a_child(cannot_write_all), 0);
    assert_int_equal(in_a_child(has_no_memory), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_handed_over),
        cmocka_unit_test(what_cannot_be_handed_over_stays),
    };

    if (argc > 0 && strcmp(argv[0], "mod_spawn spawner") == 0)
        return be_the_next(argc, argv);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_upgrade", tests, NULL, NULL);
}
