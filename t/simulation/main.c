/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulation of the broker: run after run, each from its seed. A run is some
 * hundred things that happen by chance (world.h says to whom), then calm: all
 * that was promised must come to its end, be told truly, and leave nothing
 * behind. A broken promise is said with the seed, and told again with --trace.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>

#include "t/simulation/body.h"
#include "t/simulation/bound.h"
#include "t/simulation/controls.h"
#include "t/simulation/cron_asked.h"
#include "t/simulation/durable.h"
#include "t/simulation/logged.h"
#include "t/simulation/metered.h"
#include "t/simulation/past.h"
#include "t/simulation/patience.h"
#include "t/simulation/workers.h"

#define SETTLE_TURNS  4000
#define LEAVE_TURNS   200
#define NUMBERS_TURNS 20
#define NUMBERS_AGAIN 16 /* turns */
#define POINTS_MOST   400
#define FIRST_MONO    1000000
#define FIRST_WALL    1800000000000

static board_of_world the_board;
board_of_world *board = &the_board;
static bool clock_steps;

/* ---- time ---- */

static void pass(int64_t ms)
{
    board->mono_ms += ms;
    board->wall_ms += ms;
    if (board->wall_ms > board->wall_most)
        board->wall_most = board->wall_ms;
    if (board->boot > 0 && board->wall_ms - board->mono_ms > board->ahead_most)
        board->ahead_most = board->wall_ms - board->mono_ms;
}

/* At most so far from where it would be: an id that is too far ahead is
 * refused. */
static int64_t a_little_off(void)
{
    return FIRST_WALL - FIRST_MONO + board->mono_ms + random_below(50000)
           - 25000;
}

/* By minutes or hours, where no caller has ids of its own. */
static int64_t far_off(void)
{
    int64_t by = 1000 * (int64_t)random_below(chance(60) ? 600 : 15000);

    if (chance(50))
        by = -by;
    return board->wall_ms + by;
}

static void clock_is_set(void)
{
    int64_t to = only_crons && chance(50) ? far_off() : a_little_off();

    if (only_crons && !crons_may_jump(to - board->wall_ms))
        return;
    board->wall_ms = to;
    say("the clock is set, %lld ms from where it was at most",
        (long long)(board->wall_ms - board->wall_most));
    pass(0);
    jobs_clock_is_set();
    crons_clock_is_set();
}

/* To when the broker wants its next turn, at most so long. */
static void pass_to_next(int64_t most)
{
    int64_t left = alive ? board->next - board->mono_ms : 0;

    if (left > most)
        left = most;
    if (left > 0)
        pass(left);
}

static void time_passes(void)
{
    unsigned dice = random_below(100);

    if (clock_steps && chance(3))
        clock_is_set();
    if (callers_hurry() && chance(90))
        pass(random_below(8));
    else if (with_crons && chance(6))
        pass(crons_leap());
    else if (dice < 60)
        pass(random_below(20));
    else if (dice < 90)
        pass_to_next(3000);
    else
        pass(random_below(4000));
}

/* ---- by chance ---- */

static void set_limits(bool again)
{
    unsigned i;

    for (i = 0; i < QUEUES; i++) {
        limits *l = &queue_limits[i];
        unsigned sum;

        l->max_jobs = 1 + random_below(4);
        l->max_queued = random_below(8);
        if (l->max_jobs > l->most_jobs)
            l->most_jobs = l->max_jobs;
        sum = l->max_jobs + l->max_queued;
        if (!again || sum > l->most)
            l->most = sum;
        if (!again)
            l->least_room = sum;
        else if (l->max_queued < l->least_room)
            l->least_room = l->max_queued;
    }
}

/* httpd starts again, or its machine. */
static void stops(void)
{
    life_kill();
    pass(crons_leap());
}

static void reconfigure(void)
{
    /* room that there is only while fewer run than once might */
    unsigned i;

    for (i = 0; i < QUEUES; i++) {
        if (queue_limits[i].max_queued < queue_limits[i].least_room)
            queue_limits[i].least_room = queue_limits[i].max_queued;
        queue_limits[i].most += 4; /* running jobs may run on */
    }
    set_limits(true);
    crons_change_rules();
    say("configured anew: %u run and %u wait; %u and %u",
        queue_limits[0].max_jobs, queue_limits[0].max_queued,
        queue_limits[1].max_jobs, queue_limits[1].max_queued);
    life_configure();
}

static void disk_changes(void)
{
    static const char *const words[] = {"good", "broken", "full"};

    calm = store_calm = false;
    calls_unsure = true;
    board->fail_in = 0;
    if (board->store != STORE_GOOD) {
        board->store = STORE_GOOD;
    }
    else if (chance(40)) {
        board->fail_in = 1 + random_below(30);
        say("write %u of the store will fail", (unsigned)board->fail_in);
        return;
    }
    else {
        /* where hours pass, a full one costs jobs that others ask for */
        board->store = chance(50) || (with_crons && !only_crons) ? STORE_BROKEN
                                                                 : STORE_FULL;
        store_was_full |= board->store == STORE_FULL;
        board->room = chance(60) ? random_below(400000) : 0;
    }
    say("the store is %s, with room for %lld bytes", words[board->store],
        (long long)board->room);
}

static void ledger_changes(void)
{
    static const char *const words[] = {"good", "broken", "full"};

    ledger_calm = false;
    if (chance(30)) {
        scribe_dies();
        return;
    }
    ledger_disk = ledger_disk != DISK_GOOD ? DISK_GOOD
                  : chance(50)             ? DISK_FAILS
                                           : DISK_TAKES_SOME;
    say("the disk of the ledger is %s", words[ledger_disk]);
}

/* spawner_too: in so many of a hundred of these cases. */
static void fate(unsigned deaths, unsigned spawner_too)
{
    if (with_crons && chance(deaths / 3)) {
        stops();
        return;
    }
    if (!chance(deaths))
        return;
    if (with_power_cuts && chance(30)) {
        power_fails();
        return;
    }
    if (chance(spawner_too)) {
        life_lose_spawner();
        return;
    }
    if (chance(20))
        life_kill();
    else
        board->die_at = board->points + 1 + random_below(POINTS_MOST);
}

static void something(bool faults)
{
    unsigned dice = random_below(100);

    if (callers_hurry())
        (void)workers_something();
    if (dice < 50)
        callers_something();
    else if (dice < 85)
        (void)((with_workers && chance(60) && workers_something())
               || spawner_something());
    else if (dice < 87 && alive)
        reconfigure();
    else if (dice < 89 && faults)
        disk_changes();
    else if (dice < 92 && with_durable && faults)
        ledger_changes();
    else if ((dice < 95 && callers_change_queue())
             || (dice >= 95 && callers_revive())) {
        return;
    }
    else if (!going && chance(30)) {
        going = true;
        say("GO");
        if (alive)
            life_say(SPAWN_M_GO);
    }
}

/* ---- calm ---- */

static void revive(void)
{
    if (!alive)
        life_begin(0);
    else if (broker_refused && board->store == STORE_GOOD) {
        say("it is configured again, with a store that is good");
        broker_refused = false;
        life_configure();
    }
}

static void becomes_calm(void)
{
    say("it becomes calm");
    if (with_crons && board->wall_ms < board->wall_most) {
        if (crons_spare(board->wall_most - board->wall_ms) && alive)
            life_configure();
        board->wall_ms = board->wall_most;
        clocks_set++;
    }
    board->store = STORE_GOOD;
    board->fail_in = board->die_at = 0;
    ledger_disk = DISK_GOOD;
    callers_are_calm();
    bound_are_calm();
    if (!going && alive)
        life_say(SPAWN_M_GO);
    going = true;
}

/* A job that came by another way too may have ended before its file is looked
 * at again. */
static bool spool_is_read(void)
{
    const struct dirent *entry;
    bool found = false;
    char path[128];
    DIR *dir;

    (void)snprintf(path, sizeof(path), "%s/spool", world_dir);
    dir = opendir(path);
    while (dir && !found && (entry = readdir(dir)))
        found = *entry->d_name != '.';
    if (dir)
        (void)closedir(dir);
    return !found;
}

/* Rows and files of jobs that the power has cost are left out. */
static void remove_unsure(void)
{
    char path[192], id[SPAWN_ID_TEXT];
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        if (!jobs[i].unsure)
            continue;
        (void)snprintf(path, sizeof(path), "%s/spool/%s.bad", world_dir,
                       spawn_id_format(&jobs[i].id, id));
        (void)unlink(path);
    }
}

static bool all_is_done(void)
{
    return broker_ready && spawner_empty() && !callers_open_job()
           && !callers_wait_for_answers() && spool_is_read() && scribe_is_well()
           && controls_undone() && cron_undone() && !workers_lent();
}

static bool settled(void)
{
    return all_is_done() && crons_settled();
}

/* A job that is sent again comes to be known; a run of a recurring job does
 * not, but when a broker has taken it after all. */
static bool stays_gone(const job *j)
{
    return j->gone
           && (j->claims == 0
               || (job_is_run(j) && !j->promised && j->launches == 0));
}

static void settle(void)
{
    unsigned i;
    const job *j;

    becomes_calm();
    for (i = 0; i < SETTLE_TURNS && !broken && !settled(); i++) {
        unsigned k;

        revive();
        for (k = 0; k < jobs_used && i % 8 == 7; k++)
            jobs[k].gone = stays_gone(&jobs[k]);
        if (broker_ready && i % 4 == 2)
            callers_undo_changes();
        if (broker_ready && i % 8 == 0) {
            callers_send_again();
            callers_ask_all();
        }
        if (i % 2 == 0)
            (void)(spawner_all() | workers_all());
        life_turn();
        patience_check();
        pass_to_next(i % 4 == 3 ? 2000 : 0);
        if (with_crons && all_is_done()) {
            crons_have_to_run();
            pass(crons_next());
        }
        if (with_power_cuts)
            remove_unsure();
    }
    if (broken || settled())
        return;
    j = callers_open_job();
    if (j)
        promise_broken("job %u was %s, and is neither run nor reported",
                       job_number(j),
                       j->promised ? "taken" : "sent again and again");
    else if (!spawner_empty())
        promise_broken("an end that the spawner told is never forgotten");
    else if (!broker_ready)
        promise_broken("a broker with a good store is not ready");
    else if (!spool_is_read())
        promise_broken("a file stays in the spool");
    else if (!scribe_is_well())
        promise_broken("a disk that is good is not written to");
    else if (!controls_undone() || !cron_undone())
        promise_broken("a change of a queue is not undone");
    else if (workers_lent())
        promise_broken("a worker stays lent, and nobody calls it");
    else if (!crons_settled())
        promise_broken("a recurring job never runs");
    else
        promise_broken("a request is never answered");
}

static bool nothing_in_spool(void)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/spool", world_dir);
    return rmdir(path) == 0 || errno == ENOENT;
}

/* Ends are counted when they are stored. Recurring jobs have no last one. */
static void numbers_agree(void)
{
    unsigned i;

    if (with_crons)
        return;
    for (i = 0;
         (i < NUMBERS_TURNS || !spawner_empty()) && i < SETTLE_TURNS && !broken;
         i++) {
        if (i == NUMBERS_TURNS / 2)
            callers_ask_numbers();
        (void)(spawner_all() | workers_all());
        life_turn();
        pass(10);
    }
    if (!broken && all_is_done())
        metered_check();
}

/* A pair that has nothing more to do ends. */
static void pair_leaves(void)
{
    unsigned i;

    if (broken)
        return;
    callers_close();
    said_bye = false;
    say("httpd is stopped");
    crons_linger();
    life_say(SPAWN_M_LINGER);
    for (i = 0; i < LEAVE_TURNS && alive && !broken; i++) {
        (void)workers_all();
        life_turn();
        pass_to_next(1000);
    }
    if (broken)
        return;
    if (alive || !said_bye)
        promise_broken("the pair has nothing more to do, and stays");
    else if (!nothing_in_spool())
        promise_broken("all jobs have ended, and the spool is not empty");
    else if (!life_inbox_is_empty())
        promise_broken("all jobs have ended, and the inbox is not empty");
    logged_check();
    scribe_finishes();
    ledger_check();
}

/* ---- a run ---- */

/* Which runs have durable jobs. The same seed has the same kind of run, unless
 * it is forced. */
static enum {
    DURABLE_NONE,
    DURABLE_BY_SEED, /* two of five, and in one of these two the power fails */
    DURABLE_ALL
} durable_runs = DURABLE_BY_SEED;

static void choose_durable(uint64_t seed)
{
    bool some = durable_runs == DURABLE_ALL
                || (durable_runs == DURABLE_BY_SEED
                    && (seed % 5 == 1 || seed % 5 == 3));

    with_power_cuts = some && (seed % 5 == 3 || seed % 5 == 0);
    scribe_reset(some);
}

static void begin_run(uint64_t seed)
{
    random_seed(seed);
    memset(board, 0, sizeof(*board));
    board->mono_ms = FIRST_MONO;
    board->wall_ms = board->wall_most = FIRST_WALL;
    good_since = board->mono_ms;
    jobs_used = turns = 0;
    broken = broker_ready = false;
    going = chance(80);
    calm = store_calm = true;
    store_was_full = false;
    memset(queue_limits, 0, sizeof(queue_limits));
    calls_unsure = false;
    crons_reset(seed % 11 == 3 || seed % 11 == 7, seed % 11 == 7);
    with_workers = seed % 2 == 0;
    bound_reset(seed % 4 == 1);
    with_leases = with_workers && !only_crons && seed % 13 < 5;
    clock_steps = seed % 3 == 0 || seed % 11 == 7;
    choose_durable(seed);
    past_begin(with_power_cuts);
    set_limits(false);
    callers_reset(seed % 7 == 4 || seed % 7 == 2);
    controls_reset(seed % 7 == 2);
    life_places_open();
    workers_reset(with_workers);
    patience_reset();
    logged_reset();
    metered_reset();
}

static void empty_spool(void)
{
    char path[192], id[SPAWN_ID_TEXT];
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        (void)snprintf(path, sizeof(path), "%s/spool/%s", world_dir,
                       spawn_id_format(&jobs[i].id, id));
        (void)unlink(path);
    }
}

static bool run(uint64_t seed)
{
    unsigned steps, step, deaths, spawner_too, faults, lazy;

    begin_run(seed);
    steps = 20 + random_below(120);
    deaths = chance(60) ? random_below(12) : 0;
    spawner_too = chance(50) ? 30 : 0;
    faults = chance(50);
    lazy = 1 + random_below(6);
    for (step = 0; step < steps && !broken; step++) {
        unsigned k = random_below(lazy + 1);

        if (!alive)
            life_begin(chance(deaths * 3) ? 1 + random_below(POINTS_MOST / 2)
                                          : 0);
        revive();
        while (k-- > 0 && !broken)
            something(faults);
        if (alive)
            life_turn();
        if (broker_ready && step % NUMBERS_AGAIN == NUMBERS_AGAIN - 1)
            callers_ask_numbers();
        time_passes();
        fate(deaths, spawner_too);
    }
    if (!broken)
        settle();
    numbers_agree();
    pair_leaves();
    life_kill();
    callers_close();
    if (!nothing_in_spool()) {
        empty_spool();
        (void)nothing_in_spool();
    }
    workers_close();
    life_places_close();
    return !broken;
}

/* ---- the program ---- */

static double seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void open_world(void)
{
    const char *where = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    (void)snprintf(world_dir, sizeof(world_dir), "%s/spawn-simulation-XXXXXX",
                   where);
    if (!mkdtemp(world_dir)) {
        perror("simulation");
        exit(2);
    }
    disk_open();
    body_keep_sqlite();
    life_open();
}

static int usage(void)
{
    (void)fprintf(stderr,
                  "usage: simulation [--seed N] [--runs N] [--seconds N] "
                  "[--durable] [--no-durable] [--trace]\n");
    return 2;
}

/* ---- a crash: the broker's is ours ---- */

static uint64_t seed_of_run;

/* With write(2) only: nothing else can be relied on. */
static void crashed(int signo)
{
    static const char ended[] = "\nBROKEN: the broker ended by a signal, or "
                                "took over 120 s\nseed ";
    char digits[24], *d = digits + sizeof(digits);
    uint64_t n = seed_of_run;

    *--d = '\n';
    do
        *--d = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    (void)!write(STDOUT_FILENO, ended, sizeof(ended) - 1);
    (void)!write(STDOUT_FILENO, d, (size_t)(digits + sizeof(digits) - d));
    (void)signal(signo, SIG_DFL);
    (void)raise(signo);
}

static void watch_for_crash(void)
{
    static const int signals[] = {SIGALRM,
#ifndef SIMULATION_SANITIZED /* which says more */
                                  SIGABRT, SIGBUS, SIGFPE,
                                  SIGILL,  SIGSEGV
#endif
    };
    size_t i;

    for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        (void)signal(signals[i], crashed);
    if (tracing) /* earlier lines are of use */
        (void)setvbuf(stdout, NULL, _IOLBF, 0);
}

/* Its libraries are bound now, since each life finds them as they were before
 * the first. */
static void bind_now(char **argv)
{
    if (getenv("LD_BIND_NOW"))
        return;
    (void)setenv("LD_BIND_NOW", "1", 1);
    (void)setenv("TZ", "UTC0", 1); /* no file, which the C library looks at */
    (void)execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", 1, NULL, 's'},    {"runs", 1, NULL, 'r'},
        {"seconds", 1, NULL, 't'}, {"durable", 0, NULL, 'd'},
        {"trace", 0, NULL, 'v'},   {"no-durable", 0, NULL, 'n'},
        {NULL, 0, NULL, 0}};
    static const char *const forced[] = {"--no-durable ", "", "--durable "};
    unsigned long long seed = 1, runs = 0, durable = 0, most = 0, i;
    double until = 0, began = seconds();
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            seed = strtoull(optarg, NULL, 10);
            break;
        case 'r':
            most = strtoull(optarg, NULL, 10);
            break;
        case 't':
            until = strtod(optarg, NULL);
            break;
        case 'd':
            durable_runs = DURABLE_ALL;
            break;
        case 'n':
            durable_runs = DURABLE_NONE;
            break;
        case 'v':
            tracing = true;
            break;
        default:
            return usage();
        }
    }
    if (!most && until <= 0)
        most = 1;
    bind_now(argv);
    body_open();
    watch_for_crash();
    open_world();
    for (i = seed; (!most || runs < most)
                   && (until <= 0 || seconds() - began < until) && !broken;
         i++, runs++) {
        seed_of_run = i;
        (void)alarm(120);
        if (!run(i))
            (void)printf("seed %llu; again with: t/simulation/run --seed %llu "
                         "%s--trace\n",
                         i, i, forced[durable_runs]);
        durable += with_durable;
    }
    (void)rmdir(world_dir);
    (void)printf("%llu runs, %llu of them with durable jobs, in %.1f s\n", runs,
                 durable, seconds() - began);
    return broken ? 1 : 0;
}
