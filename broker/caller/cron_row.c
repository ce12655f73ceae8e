/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's rows of recurring jobs: they are read when the configuration has
 * come, and noted when something has been dealt with. Runs in the broker. Must
 * not take a job for new that was paused, or had a run, before.
 */
#include "broker/caller/cron_row.h"

#include <stdlib.h>
#include <time.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/store/store.h"

const char *spawn_cron_time_text(const spawn_cron_entry *e, int64_t when,
                                 char *text)
{
    time_t t = (time_t)when;
    struct tm tm;

    spawn_zone_enter(e->zone);
    if (!localtime_r(&t, &tm)
        || !strftime(text, SPAWN_CRON_TIME_TEXT, "%F %H:%M %Z", &tm))
        *text = '\0';
    spawn_zone_leave();
    return text;
}

bool spawn_cron_note(spawn_batch *batch, spawn_cron_entry *e)
{
    if (spawn_store_cron_write(batch->store, &e->row) == 0)
        return true;
    e->retry_at = spawn_mono_ms() + SPAWN_CRON_TRY_AGAIN;
    e->refused = 0; /* it is not the queue that it waits for */
    spawn_log_few(spawn_log_about("recurring job", e->name), 1, SPAWN_LOG_ERR,
                  MSNO(0881) "recurring job %s cannot be noted in the store: "
                             "%s; it does not run until it can",
                  e->name, spawn_store_error(batch->store));
    return false;
}

static void tell_paused(spawn_cron_entry *e)
{
    char text[SPAWN_CRON_TIME_TEXT];

    if (!e->row.paused || e->told)
        return;
    e->told = true;
    spawn_log(SPAWN_LOG_NOTICE,
              MSNO(0882) "recurring job %s is paused since %s; 'spawnctl cron "
                         "resume %s' has it run again",
              e->name, spawn_cron_time_text(e, e->row.paused / 1000, text),
              e->name);
}

/* False: it could not be. */
static bool read_row(spawn_batch *batch, spawn_cron_entry *e)
{
    bool same = false;
    int rv;

    if (e->known)
        return true;
    rv = spawn_store_cron_read(batch->store, e->name, e->plan, &e->row, &same);
    if (rv < 0)
        return false;
    e->known = true;
    spawn_cron_adopt(e);
    if (rv == 0 || !same) { /* nobody knows what another plan has missed */
        e->row.done = spawn_wall_ms() / 1000;
        e->known = spawn_cron_note(batch, e);
    }
    tell_paused(e);
    return e->known;
}

bool spawn_cron_rows_read(spawn_batch *batch)
{
    size_t count, i = 0;
    spawn_cron_entry *e = spawn_cron_entries(&count);
    const char **names = spawn_alloc((count + 1) * sizeof(*names));
    bool all;

    for (; e; e = e->next)
        names[i++] = e->name;
    all = spawn_store_cron_keep(batch->store, names, count) == 0;
    free(names);
    for (e = spawn_cron_entries(NULL); e; e = e->next)
        all = read_row(batch, e) && all;
    return all;
}
