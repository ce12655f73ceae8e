/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the broker hang? One that is stopped and answers nothing for
 * STOPPED_LOOKS seconds, or does something else for SILENT_LOOKS, is killed,
 * and another takes its place, as after any death: its jobs are ours, the store
 * and the sockets outlive it.
 *
 * Any order is a sign of life; only a broker that has been silent is asked for
 * one. The number of looks counts, a second apart, and not the time that has
 * passed: a machine that was stopped, or a spawner that had no CPU, looks once
 * when it goes on, and the broker answers before the next look.
 *
 * Runs in the spawner only. Must not kill a broker that waits for a disk (the
 * next one would wait, too), that is being debugged, that has no CPU, or that
 * opens its store, which may take long. A broker that waits for a file system
 * in user space (FUSE) looks like any sleeper, since nothing shows us of
 * another account in which call that is, and a store that has become usable
 * again may be big: hence the patience with all but a stopped one.
 */
#include <signal.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "spawner/spawner.h"

#define QUIET_MS      3000 /* silent for so long, it is asked */
#define LOOK_MS       1000
#define STOPPED_LOOKS 10 /* without an answer */
#define SILENT_LOOKS  60
#define DISK_LOOKS    10
#define LOOPS_MS      30000 /* of CPU: it does not just wait for one */

void watchdog_begin(int64_t now)
{
    spawner.watchdog.heard = spawner.watchdog.asked =
        spawner.watchdog.told_disk = false;
    spawner.watchdog.heard_at = now;
}

void watchdog_heard(void)
{
    spawner.watchdog.heard = true;
}

static void ask(int64_t now)
{
    char state;

    spawner.watchdog.asked = true;
    spawner.watchdog.looks = spawner.watchdog.disk_looks = 0;
    spawner.watchdog.looked_at = now;
    if (spawn_os_state(spawner.broker_pid, &state, &spawner.watchdog.cpu_ms)
        < 0)
        spawner.watchdog.cpu_ms = -1;
    tell_alive();
}

/* It waits for a file system: that is nothing that another would do better. */
static void waits_for_disk(void)
{
    spawner.watchdog.looks = 0;
    if (++spawner.watchdog.disk_looks < DISK_LOOKS
        || spawner.watchdog.told_disk)
        return;
    spawner.watchdog.told_disk = true;
    spawn_log(SPAWN_LOG_WARN,
              MSNO(0358) "the broker (pid %d) has not answered for %u s: it "
                         "waits in the kernel for a disk or a file system, "
                         "and is let wait",
              (int)spawner.broker_pid, spawner.watchdog.disk_looks);
}

/* The words for a broker that is neither stopped nor waits for a disk. */
static const char *is_silent(char state, int64_t cpu)
{
    if (!spawner.broker_ready && !spawner.broker_refused)
        return NULL; /* it opens its store */
    if (spawner.watchdog.looks < SILENT_LOOKS)
        return NULL;
    if (!state)
        return "nothing shows what it does";
    if (state == 'S')
        return "it sleeps";
    return cpu - spawner.watchdog.cpu_ms >= LOOPS_MS ? "it uses the CPU" : NULL;
}

/* The words for what hangs, for the log; NULL: it does not hang, or nobody
 * knows yet. */
static const char *hangs(void)
{
    int64_t cpu = 0;
    char state;

    if (spawn_os_state(spawner.broker_pid, &state, &cpu) < 0) {
        spawner.watchdog.looks++;
        return is_silent('\0', 0);
    }
    if (spawner.watchdog.cpu_ms < 0)
        spawner.watchdog.cpu_ms = cpu;
    if (state == 'D') {
        waits_for_disk();
        return NULL;
    }
    if (state == 't') { /* somebody debugs it */
        spawner.watchdog.looks = 0;
        return NULL;
    }
    spawner.watchdog.looks++;
    if (state == 'T')
        return spawner.watchdog.looks >= STOPPED_LOOKS ? "it was stopped"
                                                       : NULL;
    return is_silent(state, cpu);
}

static void look(void)
{
    const char *what = hangs();

    if (!what)
        return;
    spawn_log(SPAWN_LOG_ERR,
              MSNO(0357) "the broker (pid %d) has not answered for %u s (%s): "
                         "it is killed, and another takes its place",
              (int)spawner.broker_pid, spawner.watchdog.looks, what);
    spawner.watchdog.looks = 0;
    (void)kill(spawner.broker_pid, SIGKILL); /* our child, not reaped */
}

int watchdog_timers(int64_t now)
{
    int64_t left;

    if (spawner.broker_pid <= 0 || spawner.link < 0
        || !spawner.broker_is_of_our_release)
        return -1;
    if (spawner.watchdog.heard) {
        spawner.watchdog.heard = spawner.watchdog.asked =
            spawner.watchdog.told_disk = false;
        spawner.watchdog.heard_at = now;
    }
    left = spawner.watchdog.asked ? spawner.watchdog.looked_at + LOOK_MS - now
                                  : spawner.watchdog.heard_at + QUIET_MS - now;
    if (left > 0)
        return (int)left;
    if (!spawner.watchdog.asked) {
        ask(now);
    }
    else {
        spawner.watchdog.looked_at = now;
        look();
    }
    return LOOK_MS;
}
