/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power is cut while durable jobs come, start and end: CUTS times, each at
 * a moment that the seed SEED chooses. The store is on an ext4 of its own in a
 * file, which is shut down as if its disk had lost the power: what was not
 * synced is not there afterwards. This program plays spawner and callers. With
 * LIES=1 the disk says that it has synced, and has not.
 *
 * After each cut, what callers were told has to be true: every job that was
 * accepted is known; one that was not launched runs; one that was does not run
 * again, and is lost or has its end, and no other one.
 *
 * For root, with loop devices: 77 is "cannot be done here". Prints what it
 * found, and ends with 1 when a promise was broken.
 */
#include "t/unit/broker_durable.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#define CALLERS     8
#define SHUTDOWN    _IOR('X', 125, uint32_t) /* of ext4: no log is written */
#define NO_LOG      2
#define LOAD_MS_MAX 120
#define SETTLE_MS   10000

typedef struct {
    spawn_id id;
    bool accepted, launched, durable;
    bool ended; /* we told its exit */
    bool known; /* after the cut */
    bool over;  /* its end was seen after one */
    int boot;   /* of its launch */
} entry;

static entry *jobs;
static unsigned jobs_used, jobs_room;
static int callers[CALLERS];
static unsigned asked[CALLERS]; /* index + 1 of the job; 0: none */
static char image[128], boot_file[128];
static int cut;
static bool loaded; /* callers submit */
static unsigned broken, accepted_count, launched_count, lost_count, ended_count,
    waited_count, refused_count;
static unsigned long seed;

static unsigned pick(unsigned below)
{
    seed = seed * 6364136223846793005UL + 1442695040888963407UL;
    return (unsigned)((seed >> 33) % below);
}

static void complain(const entry *e, const char *what)
{
    char text[SPAWN_ID_TEXT];

    broken++;
    (void)printf("# cut %d: job %s %s\n", cut, spawn_id_format(&e->id, text),
                 what);
}

static int by_shell(const char *fmt, const char *a, const char *b)
{
    char command[400];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(command, sizeof(command), fmt, a, b);
#pragma GCC diagnostic pop
    return system(command);
}

static void cannot(const char *reason)
{
    (void)printf("# left out: %s\n", reason);
    exit(77);
}

/* ---- the machine ---- */

static void a_new_boot(void)
{
    FILE *out = fopen(boot_file, "we");

    assert_non_null(out);
    (void)fprintf(out, "%08d-0000-4000-8000-000000000000\n", cut);
    (void)fclose(out);
}

static void make_disk(void)
{
    (void)strcpy(dir, "/tmp/broker-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(image, sizeof(image), "%s.img", dir);
    (void)snprintf(boot_file, sizeof(boot_file), "%s.boot", dir);
    a_new_boot();
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0
        || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
        || mount(boot_file, "/proc/sys/kernel/random/boot_id", NULL, MS_BIND,
                 NULL)
               < 0)
        cannot("only root can mount");
    if (by_shell(
            "truncate -s 64M %s && mke2fs -q -t ext4 -F %s >/dev/null 2>&1",
            image, image)
        || by_shell("mount -o loop,commit=300 %s %s 2>/dev/null", image, dir))
        cannot("no ext4 can be mounted from a file");
}

static void unmount(void)
{
    int64_t end = spawn_mono_ms() + DEADLINE_MS;

    /* a scribe that was killed may still close its files */
    while (umount2(dir, 0) < 0) {
        assert_int_equal(errno, EBUSY);
        assert_true(spawn_mono_ms() < end);
        (void)usleep(1000);
    }
}

static void remove_disk(void)
{
    (void)umount2(dir, MNT_DETACH);
    (void)by_shell("rm -rf %s %s", dir, image);
    (void)by_shell("rm -f %s %s", boot_file, disk_file);
}

static void the_power_goes(void)
{
    uint32_t how = NO_LOG;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, SHUTDOWN, &how), 0);
    (void)close(fd);
}

/* Its scribe ends with it, at latest when the disk answers, which it does. */
static void processes_go(void)
{
    int i;

    assert_int_equal(kill(broker, SIGKILL), 0);
    assert_int_equal(waitpid(broker, NULL, 0), broker);
    broker = 0;
    (void)close(link_fd);
    link_fd = -1;
    for (i = 0; i < CALLERS; i++) {
        (void)close(callers[i]);
        asked[i] = 0;
    }
}

/* ---- what is said ---- */

static entry *entry_of(const spawn_id *id)
{
    unsigned i;

    for (i = jobs_used; i > 0; i--) {
        if (spawn_id_equal(&jobs[i - 1].id, id))
            return &jobs[i - 1];
    }
    fail_msg("an unknown job");
    return NULL;
}

static void launched(const spawn_id *id)
{
    entry *e = entry_of(id);

    if (e->launched && e->durable)
        complain(e, "was launched twice");
    if (!e->launched && cut > e->boot && e->accepted)
        waited_count++;
    e->launched = true;
    launched_count++;
    e->boot = cut;
    say_started(id);
    if (loaded && pick(16) == 0)
        return; /* it runs until the cut */
    say_exited(id, 0, 0);
    e->ended = true;
}

/* The spawner's side. False: nothing came. */
static bool from_broker(int ms)
{
    struct pollfd p = {link_fd, POLLIN, 0};
    spawn_id id;

    if (poll(&p, 1, ms) != 1)
        return false;
    spawn_packet_close(&packet);
    memset(&packet, 0, sizeof(packet));
    if (spawn_packet_receive(link_fd, buffer, sizeof(buffer), &packet) != 1)
        return false;
    if (spawn_message_parse(packet.data, packet.length,
                            SPAWN_FROM_BROKER_TO_SPAWNER, packet.fds_count,
                            &message, &why))
        fail_msg("%s", why.text);
    if (message.header.type == SPAWN_M_LAUNCH) {
        spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
        launched(&id);
    }
    return true;
}

static void answered(int i)
{
    entry *e;

    if (asked[i] == 0
        || spawn_packet_receive(callers[i], buffer, sizeof(buffer), &packet)
               != 1)
        return;
    if (spawn_message_parse(packet.data, packet.length, SPAWN_FROM_BROKER,
                            packet.fds_count, &message, &why))
        fail_msg("%s", why.text);
    e = &jobs[asked[i] - 1];
    asked[i] = 0;
    if (message.header.type == SPAWN_M_ACCEPTED) {
        e->accepted = true;
        accepted_count += e->durable;
    }
    else {
        refused_count++;
    }
}

/* As many as the machine is fast, so there is no limit. */
static entry *new_entry(void)
{
    entry *e;

    if (jobs_used == jobs_room) {
        jobs_room = jobs_room ? jobs_room * 2 : 4096;
        jobs = realloc(jobs, jobs_room * sizeof(*jobs));
        assert_non_null(jobs);
    }
    e = &jobs[jobs_used++];
    memset(e, 0, sizeof(*e));
    return e;
}

static void submit_one(int i)
{
    spawn_writer w;
    entry *e = new_entry();

    assert_int_equal(spawn_id_make(&e->id), 0);
    e->durable = i != 0;
    e->boot = cut;
    begin_submit(&w, &e->id, "/bin/true");
    if (e->durable)
        spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    caller = callers[i];
    ask(&w);
    asked[i] = jobs_used;
}

/* ---- a life ---- */

static void callers_come(void)
{
    int i;

    for (i = 0; i < CALLERS; i++) {
        call_in();
        callers[i] = caller;
    }
    caller = -1;
}

/* For so long, or until a durable job is accepted, and at most so long. */
static void load(int ms, bool until_accepted)
{
    struct pollfd p[CALLERS + 1];
    int64_t end = spawn_mono_ms() + ms;
    unsigned before = accepted_count;
    int i;

    while (spawn_mono_ms() < end
           && (!until_accepted || accepted_count == before)) {
        for (i = 0; i < CALLERS; i++) {
            if (asked[i] == 0)
                submit_one(i);
            p[i] = (struct pollfd){callers[i], POLLIN, 0};
        }
        p[CALLERS] = (struct pollfd){link_fd, POLLIN, 0};
        if (poll(p, CALLERS + 1, 1) <= 0)
            continue;
        for (i = 0; i < CALLERS; i++) {
            if (p[i].revents)
                answered(i);
        }
        if (p[CALLERS].revents)
            (void)from_broker(0);
    }
}

/* Answers that were sent before the cut, and after it. */
static void hear_the_rest(void)
{
    struct pollfd p;
    int i;

    for (i = 0; i < CALLERS; i++) {
        p = (struct pollfd){callers[i], POLLIN, 0};
        while (asked[i] && poll(&p, 1, 2) == 1)
            answered(i);
    }
    while (from_broker(2))
        ;
}

/* The state that the broker tells of it now. 0: it does not know it. */
static spawn_state state_of(const entry *e, spawn_outcome *outcome)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &e->id);
    ask(&w);
    do {
        while (from_broker(0))
            ;
    } while (receive_at(caller, SPAWN_FROM_BROKER) != 1);
    if (message.header.type != SPAWN_M_JOB)
        return SPAWN_STATE_NONE;
    *outcome = (spawn_outcome)spawn_u64_or(&message, SPAWN_A_OUTCOME, 0);
    return (spawn_state)spawn_u64_or(&message, SPAWN_A_STATE, 0);
}

static void look_at(entry *e)
{
    int64_t end = spawn_mono_ms() + SETTLE_MS;
    spawn_outcome outcome = SPAWN_OUTCOME_NONE;
    spawn_state state;

    do {
        state = state_of(e, &outcome);
    } while (state != SPAWN_STATE_NONE && state != SPAWN_STATE_DONE
             && !(e->launched && e->boot == cut)
             && (from_broker(1) || spawn_mono_ms() < end));
    if (state == SPAWN_STATE_NONE)
        complain(e, e->launched ? "was accepted and launched, and is not known"
                                : "was accepted, and is not known");
    else if (state != SPAWN_STATE_DONE && e->boot != cut)
        complain(e, "neither runs nor ends");
    else if (state == SPAWN_STATE_DONE && !e->launched
             && outcome != SPAWN_OUTCOME_LOST) /* between sync and launch */
        complain(e, "was never launched, and has an end");
    else if (state == SPAWN_STATE_DONE && outcome != SPAWN_OUTCOME_LOST
             && (outcome != SPAWN_OUTCOME_EXITED || !e->ended))
        complain(e, "has an end that is not its own");
    else if (state == SPAWN_STATE_DONE && e->boot != cut)
        lost_count += outcome == SPAWN_OUTCOME_LOST;
    if (state == SPAWN_STATE_DONE) {
        e->over = true;
        ended_count += outcome == SPAWN_OUTCOME_EXITED;
    }
}

static void look_at_all(void)
{
    unsigned i;

    call_in();
    for (i = 0; i < jobs_used; i++) {
        if (jobs[i].accepted && jobs[i].durable && !jobs[i].over)
            look_at(&jobs[i]);
    }
    (void)close(caller);
    caller = -1;
}

static void one_life(bool first)
{
    char spool[80];

    (void)snprintf(spool, sizeof(spool), "%s/spool", dir);
    (void)mkdir(spool, 0700);
    (void)spawn_id_make(&life);
    start_broker();
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY);
    if (spawn_attr_u64(&message.attr[SPAWN_A_CODE]) != SPAWN_E_OK)
        fail_msg("%s", spawn_str_or(&message, SPAWN_A_TEXT, ""));
    say(SPAWN_M_GO);
    if (!first)
        look_at_all();
    callers_come();
    loaded = true;
    if (cut % 2 == 0) /* else a busy machine has its scribe at work too late */
        load(DEADLINE_MS, true);
    load((int)pick(LOAD_MS_MAX) + 1, false);
    loaded = false;
    the_power_goes();
    hear_the_rest();
    processes_go();
    unmount();
}

static void prepare_lies(void)
{
    const char *build = getenv("SPAWN_BUILD");
    char text[4096];
    int fd;

    (void)snprintf(disk_file, sizeof(disk_file), "%s.disk", dir);
    fd = open(disk_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, NUMBERS * sizeof(*disk)) == 0);
    disk = mmap(NULL, NUMBERS * sizeof(*disk), PROT_READ | PROT_WRITE,
                MAP_SHARED, fd, 0);
    (void)close(fd);
    disk[HANG_AFTER] = -1;
    disk[LIES] = getenv("LIES") != NULL;
    (void)setenv("TEST_SYNC", disk_file, 1);
    (void)snprintf(text, sizeof(text), "%s/t/sync.so", build ? build : "build");
    (void)setenv("LD_PRELOAD", text, 1);
}

static void cuts(void **state)
{
    const char *text = getenv("CUTS");
    int many = text ? atoi(text) : 10;

    (void)state;
    for (cut = 0; cut < many; cut++) {
        if (cut > 0)
            assert_int_equal(
                by_shell("mount -o loop,commit=300 %s %s", image, dir), 0);
        a_new_boot();
        one_life(cut == 0);
    }
    (void)printf(
        "# seed %s: %d cuts: %u durable jobs accepted, %u launches, "
        "%u waited over a cut, %u lost, %u ends, %u refused, %d syncs; "
        "%u promises broken\n",
        getenv("SEED") ? getenv("SEED") : "1", many, accepted_count,
        launched_count, waited_count, lost_count, ended_count, refused_count,
        disk[SYNCS], broken);
    assert_int_equal(broken, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cuts)};
    int rv;

    find_broker();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    seed = getenv("SEED") ? strtoul(getenv("SEED"), NULL, 10) : 1;
    queue_jobs = 8;
    queue_waits = 10000;
    history_jobs = 1000000;
    log_is_kept = false;
    make_disk();
    prepare_lies();
    rv = cmocka_run_group_tests(tests, NULL, NULL);
    remove_disk();
    free(jobs);
    return rv ? 1 : 0;
}
