/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Few log lines of what visitors can cause. Runs in httpd's children, on a
 * request's path. Must hold its lock for some comparisons only, never while a
 * line is written.
 */
#include "module/few.h"

#include <pthread.h>

#include "common/spawn_os.h"

#define FEW 20 /* lines a minute and process, of another job each */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

bool spawn_few_lines(spawn_few *few, server_rec *s, int level,
                     const char *number, const char *about)
{
    spawn_few_entry over[SPAWN_FEW_KEYS + 1];
    int64_t now = spawn_mono_ms();
    unsigned count = 0, i;
    bool may;

    if (pthread_mutex_lock(&lock) != 0)
        return true;
    while (spawn_few_over(few, now, &over[count]))
        count++;
    may = spawn_few_may(few, about, FEW, now);
    (void)pthread_mutex_unlock(&lock);
    for (i = 0; i < count; i++)
        ap_log_error(APLOG_MARK, level, 0, s,
                     MSNO(0202) "%lu more lines like %s were left out within a "
                                "minute by this process (%s)",
                     over[i].left_out, number, over[i].about);
    return may;
}
