/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the spawner hang? The broker's own watchdog is in spawner/watchdog.c,
 * and this follows its rules: looks count and not time, and what waits for a
 * disk, is debugged, or has no CPU is left alone.
 *
 * Runs in the httpd parent, in its monitor hook. Must signal its own child
 * only, which has not been reaped: another process's number may be given away.
 */
#include "module/spawner_hangs.h"

#include <signal.h>

#include "module/configure.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "common/spawn_release.h"

#define LOOK_MS     5000 /* between looks, at least; mostly 10 s */
#define HANGS_LOOKS 2    /* without an answer */
#define LOOPS_MS    5000 /* of CPU: it does not just wait for one */

#define RELEASE_KEY  "mod_spawn-spawner-release-1"
#define RELEASE_SIZE 64

static bool asked;
static bool told;
static unsigned looks;
static int64_t looked_at;
static int64_t cpu_ms; /* when it was asked; below 0: not shown */

/* Of the spawner that there is. Kept over restarts, in which another release of
 * this module may be loaded. */
static char *its_release(void)
{
    char *ret = ap_retained_data_get(RELEASE_KEY);

    return ret ? ret : ap_retained_data_create(RELEASE_KEY, RELEASE_SIZE);
}

void spawn_hangs_release(const char *release)
{
    apr_cpystrn(its_release(), release, RELEASE_SIZE);
}

void spawn_hangs_begin(void)
{
    asked = told = false;
    looks = 0;
    (void)spawn_answer_heard();
}

static void ask(const spawn_setup *setup)
{
    char state;

    asked = true;
    looks = 0;
    if (spawn_os_state(setup->r->spawner_pid, &state, &cpu_ms) < 0)
        cpu_ms = -1;
    spawn_tell(setup->r, SPAWN_M_ALIVE);
}

static bool hangs(const spawn_setup *setup)
{
    int64_t cpu = 0;
    char state;

    if (spawn_os_state(setup->r->spawner_pid, &state, &cpu) < 0 || state == 'D'
        || state == 't') {
        looks = 0;
        return false;
    }
    if (cpu_ms < 0)
        cpu_ms = cpu;
    if (++looks < HANGS_LOOKS)
        return false;
    return state == 'T' || state == 'S'
           || (state == 'R' && cpu - cpu_ms >= LOOPS_MS);
}

void spawn_hangs_look(const spawn_setup *setup)
{
    const spawn_retained *r = setup->r;

    if (spawn_answer_heard())
        asked = told = false;
    if (strcmp(its_release(), SPAWN_RELEASE) != 0)
        return; /* it may not know the question */
    if (!r->ready || spawn_mono_ms() - looked_at < LOOK_MS)
        return; /* not ready: see MS0194 */
    looked_at = spawn_mono_ms();
    if (!asked) {
        ask(setup);
        return;
    }
    if (!hangs(setup) || told)
        return;
    told = true;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, setup->s,
                 MSNO(0195) "the spawner (pid %d) hangs: it has answered "
                            "nothing for %u s and more; %s",
                 (int)r->spawner_pid, HANGS_LOOKS * LOOK_MS / 1000,
                 r->own ? "it is killed, and another takes its place"
                        : "it is not httpd's child: kill it, and another takes "
                          "its place");
    if (r->own)
        (void)kill(r->spawner_pid, SIGKILL);
}
