/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which ended jobs the store keeps, and for how long, and its notes about
 * itself. Runs in the broker. Must not drop a job that waits or runs, nor one
 * whose caller may send it again.
 */
#include <string.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

/* A caller that got no answer may send again: its job must still be known. It
 * counts by the clock that never jumps, so that no wrong time of day shortens
 * it. */
#define KEEP_AT_LEAST 120000 /* ms */

/* With a right clock no forgotten id is younger than this: jobs stay for
 * KEEP_AT_LEAST after their end, and ids are taken up to a minute ahead. */
#define SURE_AFTER 60000 /* ms */

#define NOTE_EVERY   10000 /* ms */
#define CLOCK_IS_SET 1000  /* ms: by less it is not noticed */

#define AT(name) offsetof(spawn_store, history.name)
static const spawn_statement all[] = {
    {AT(get), "SELECT value FROM meta WHERE key = ?1"},
    {AT(set), "INSERT INTO meta(key, value) VALUES(?1, ?2)"
              " ON CONFLICT(key) DO UPDATE SET value = ?2"},
    /* ?1 NULL: due_at is all that is known */
    {AT(reboot), "UPDATE job SET"
                 " due_at = ifnull(due_boot + ?1, due_at), due_boot = NULL,"
                 " expires_at = ifnull(expires_boot + ?1, expires_at),"
                 " expires_boot = NULL,"
                 " unique_until = ifnull(unique_boot + ?1, unique_until),"
                 " unique_boot = NULL WHERE state < 4 AND (due_boot NOT NULL"
                 " OR expires_boot NOT NULL OR unique_boot NOT NULL)"},
    /* a broker that finds the boot noted, and not yet what it meant, sees by
     * this that none of them runs */
    {AT(ran_before), "UPDATE job SET boot_started = -1 WHERE state IN (2, 3)"},
    {AT(dead_reboot), "UPDATE job SET"
                      " unique_until = ifnull(unique_boot + ?1, unique_until),"
                      " unique_boot = NULL"
                      " WHERE dead = 1 AND unique_boot NOT NULL"},
    {AT(holds_reboot), "UPDATE unique_hold SET"
                       " until = ifnull(until_boot + ?1, until),"
                       " until_boot = NULL"},
    {AT(count), "SELECT count(*) FROM job WHERE state = 4"},
    {AT(last), "SELECT max(end_seq) FROM job WHERE state = 4"},
    /* jobs that ended before a job that is too old are too old as well,
     * whatever the clock said then */
    {AT(aged), "SELECT max(end_seq) FROM job WHERE state = 4"
               " AND ended_at < ?1"},
    {AT(oldest), "SELECT seq, id, end_seq FROM job WHERE state = 4 AND"
                 " end_seq <= ?1 ORDER BY end_seq LIMIT ?2"},
    {AT(kept_of), "SELECT end_seq FROM job WHERE queue = ?1 AND state = 4"
                  " ORDER BY end_seq DESC LIMIT 1 OFFSET ?2"},
    {AT(oldest_of), "SELECT seq, id, end_seq, ended_at FROM job"
                    " WHERE queue = ?1 AND state = 4 AND end_seq <= ?2"
                    " ORDER BY end_seq LIMIT ?3"},
    {AT(drop), "DELETE FROM job WHERE seq = ?1"},
    {AT(drop_output), "DELETE FROM output WHERE seq = ?1"},
    /* one that is dead has it still */
    {AT(drop_input), "DELETE FROM input WHERE seq = ?1"},
    {AT(drop_attempts), "DELETE FROM attempt WHERE seq = ?1"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

static int get_number(sqlite3_stmt *s, uint64_t *ret)
{
    int rv = sqlite3_step(s);

    if (rv == SQLITE_ROW)
        *ret = (uint64_t)sqlite3_column_int64(s, 0);
    spawn_sql_reset(s);
    return rv == SQLITE_ROW || rv == SQLITE_DONE ? 0 : -1;
}

int spawn_store_prepare_history(spawn_store *store)
{
    spawn_part_history *h = &store->history;
    uint64_t last = 0;

    if (spawn_sql_prepare(store, all, STATEMENTS))
        return -1;
    (void)sqlite3_bind_text(h->get, 1, "watermark", -1, SQLITE_STATIC);
    if (get_number(h->get, &h->watermark)
        || get_number(h->count, &h->done_count) || get_number(h->last, &last))
        return -1;
    h->last_end = (int64_t)last;
    h->notes_used = 0;
    h->by_queue = -1;
    spawn_store_note(store);
    return 0;
}

void spawn_store_finish_history(spawn_store *store)
{
    spawn_sql_finish(store, all, STATEMENTS);
}

static void bind_clock(const spawn_part_history *h, int64_t clock)
{
    (void)sqlite3_bind_int64(h->reboot, 1, clock);
    (void)sqlite3_bind_int64(h->holds_reboot, 1, clock);
}

/* Moments of the boot before: the time of day decides from now on, so that one
 * that is wrong at first counts when it is right. It is reckoned by what the
 * clock said last, which may have been set since the job came. */
static int of_this_boot(spawn_part_history *h)
{
    int rv;

    (void)sqlite3_bind_text(h->get, 1, "clock", -1, SQLITE_STATIC);
    rv = sqlite3_step(h->get);
    if (rv == SQLITE_ROW)
        bind_clock(h, sqlite3_column_int64(h->get, 0));
    spawn_sql_reset(h->get);
    if (rv != SQLITE_ROW && rv != SQLITE_DONE)
        return -1;
    return spawn_sql_step(h->reboot) || spawn_sql_step(h->dead_reboot)
                   || spawn_sql_step(h->holds_reboot)
               ? -1
               : 0;
}

int spawn_store_note_clock(spawn_store *store)
{
    spawn_part_history *h = &store->history;
    int64_t clock = spawn_wall_ms() - spawn_boot_ms();
    int64_t moved = clock - h->clock;

    if (moved > -CLOCK_IS_SET && moved < CLOCK_IS_SET)
        return 0;
    (void)sqlite3_bind_text(h->set, 1, "clock", -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(h->set, 2, clock);
    if (spawn_sql_step(h->set))
        return -1;
    h->clock = clock;
    return 0;
}

/* 1; 0: there is none; -1: it cannot be read. One that is no boot id is of no
 * boot: "". */
static int get_boot(spawn_part_history *h, const char *key, char *ret)
{
    const char *text;
    int rv;

    ret[0] = '\0';
    (void)sqlite3_bind_text(h->get, 1, key, -1, SQLITE_STATIC);
    rv = sqlite3_step(h->get);
    if (rv == SQLITE_ROW) {
        text = (const char *)sqlite3_column_text(h->get, 0);
        if (text && strlen(text) == 36)
            memcpy(ret, text, 37);
    }
    spawn_sql_reset(h->get);
    return rv == SQLITE_ROW ? 1 : rv == SQLITE_DONE ? 0 : -1;
}

static int set_boot(spawn_part_history *h, const char *key, const char *boot)
{
    (void)sqlite3_bind_text(h->set, 1, key, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(h->set, 2, boot, -1, SQLITE_STATIC);
    return spawn_sql_step(h->set);
}

/* That one was read, in whatever boot. "ledger_boot" is there also when there
 * never was one. An older release did not note it: then it is noted as soon as
 * the ledger is read again. */
static int ledger_was(spawn_part_history *h)
{
    char value[37];
    int rv = get_boot(h, "ledger_was", value);

    h->ledger_was = rv == 1;
    return rv < 0 ? -1 : 0;
}

/* The first brokers of a boot may end before they could read the ledger. Until
 * one has, the store is of the boot in which one did. */
static int ledger_boot(spawn_part_history *h, const char *last, const char *now)
{
    char boot[37];
    int rv = get_boot(h, "ledger_boot", boot);

    if (rv < 0)
        return -1;
    h->ledger_known = strcmp(rv == 1 ? boot : last, now) == 0;
    if (rv == 1 || h->ledger_known)
        return 0;
    return set_boot(h, "ledger_boot", last);
}

int spawn_store_boot(spawn_store *store, char *ret_last)
{
    spawn_part_history *h = &store->history;
    char now[37] = "";
    int rv;

    (void)spawn_os_boot_id(now);
    rv = get_boot(h, "boot_id", ret_last);
    if (rv < 0)
        return -1;
    if ((now[0] == '\0' || strcmp(ret_last, now) != 0) && of_this_boot(h))
        return -1;
    if (now[0] && strcmp(ret_last, now) != 0 && spawn_sql_step(h->ran_before))
        return -1;
    h->clock = INT64_MIN / 2;
    if (spawn_store_note_clock(store))
        return -1;
    h->ledger_known = true;
    if (ledger_was(h) || (rv == 1 && ledger_boot(h, ret_last, now)))
        return -1;
    return set_boot(h, "boot_id", now);
}

bool spawn_store_ledger_known(const spawn_store *store)
{
    return store->history.ledger_known;
}

bool spawn_store_ledger_was(const spawn_store *store)
{
    return store->history.ledger_was;
}

int spawn_store_note_ledger(spawn_store *store)
{
    spawn_part_history *h = &store->history;
    char now[37] = "";

    (void)spawn_os_boot_id(now);
    if (set_boot(h, "ledger_boot", now) || set_boot(h, "ledger_was", now))
        return -1;
    h->ledger_known = h->ledger_was = true;
    return 0;
}

int64_t spawn_store_oldest_end(spawn_store *store)
{
    sqlite3_stmt *s = NULL;
    int64_t at = 0;

    if (sqlite3_prepare_v2(store->db,
                           "SELECT ended_at FROM job WHERE state = 4"
                           " ORDER BY end_seq LIMIT 1",
                           -1, &s, NULL)
            == SQLITE_OK
        && sqlite3_step(s) == SQLITE_ROW)
        at = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    return at;
}

bool spawn_store_end_of(spawn_store *store, const spawn_id *id, spawn_end *ret,
                        int *ret_kind, pid_t *ret_pid, int64_t *ret_started,
                        unsigned *ret_attempt)
{
    sqlite3_stmt *s = NULL;
    bool ended = false;

    *ret = (spawn_end){.exit_code = -1, .elapsed_us = -1};
    if (sqlite3_prepare_v2(store->db,
                           "SELECT pid, started_at, ended_at, outcome, signal,"
                           " core, step, errno, text,"
                           " ifnull(exit_code, -1), ifnull(elapsed, -1),"
                           " ifnull(result_kind, -1), attempt"
                           " FROM job WHERE id = ?1 AND state = 4",
                           -1, &s, NULL)
        != SQLITE_OK)
        return false;
    (void)sqlite3_bind_blob(s, 1, id->bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    if (sqlite3_step(s) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(s, 8);

        ended = true;
        *ret_pid = sqlite3_column_int(s, 0);
        *ret_started = sqlite3_column_int64(s, 1);
        ret->ended_at = sqlite3_column_int64(s, 2);
        ret->outcome = (spawn_outcome)sqlite3_column_int(s, 3);
        ret->signo = sqlite3_column_int(s, 4);
        ret->core = sqlite3_column_int(s, 5) != 0;
        ret->step = (spawn_step)sqlite3_column_int(s, 6);
        ret->error = sqlite3_column_int(s, 7);
        ret->text = text ? spawn_strdup(text) : NULL;
        ret->exit_code = sqlite3_column_int(s, 9);
        ret->elapsed_us = sqlite3_column_int64(s, 10);
        *ret_kind = sqlite3_column_int(s, 11);
        *ret_attempt = (unsigned)sqlite3_column_int(s, 12);
    }
    (void)sqlite3_finalize(s);
    return ended;
}

int spawn_store_probe(spawn_store *store)
{
    sqlite3_stmt *s = store->history.set;
    int rv;

    (void)sqlite3_bind_text(s, 1, "probed", -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 2, spawn_mono_ms());
    rv = spawn_sql_begin(store) || spawn_sql_step(s) || spawn_sql_commit(store)
             ? -1
             : 0;
    if (rv)
        spawn_sql_rollback(store);
    return rv;
}

uint64_t spawn_store_newest(spawn_store *store)
{
    uint64_t newest = UINT64_MAX;
    sqlite3_stmt *s = NULL;
    spawn_id id;

    if (sqlite3_prepare_v2(store->db, "SELECT max(id) FROM job", -1, &s, NULL)
            == SQLITE_OK
        && sqlite3_step(s) == SQLITE_ROW) {
        newest = 0;
        if (sqlite3_column_bytes(s, 0) == SPAWN_ID_SIZE) {
            memcpy(id.bytes, sqlite3_column_blob(s, 0), SPAWN_ID_SIZE);
            newest = spawn_id_time(&id);
        }
    }
    (void)sqlite3_finalize(s);
    return newest;
}

/* ---- what may have been forgotten ---- */

static uint64_t sure_by_now(void)
{
    int64_t now = spawn_wall_ms();

    return now > SURE_AFTER ? (uint64_t)(now - SURE_AFTER) : 0;
}

/* A job of this time is forgotten. */
static void forget(spawn_store *store, uint64_t time)
{
    spawn_part_history *h = &store->history;

    if (time > h->watermark)
        h->watermark = time;
    if (h->set_back && time > h->sure && time <= sure_by_now())
        h->sure = time;
}

bool spawn_store_forgotten(spawn_store *store, const spawn_id *id)
{
    spawn_part_history *h = &store->history;
    uint64_t time = spawn_id_time(id);
    uint64_t now = sure_by_now();

    if (now >= h->watermark) {
        h->set_back = false;
        return time < h->watermark;
    }
    if (!h->set_back)
        spawn_log(SPAWN_LOG_WARN,
                  MSNO(0660) "the clock was set back, or was ahead, by some "
                             "%llu s: the history had jobs of a time that has "
                             "not come; new jobs are taken all the same",
                  (unsigned long long)((h->watermark - now) / 1000));
    if (!h->set_back || h->sure > now)
        h->sure = now;
    h->set_back = true;
    return time < h->sure;
}

void spawn_store_count_done(spawn_store *store)
{
    store->history.done_count++;
}

void spawn_store_count_revived(spawn_store *store)
{
    store->history.done_count -= store->history.done_count > 0;
}

int64_t spawn_store_next_end(spawn_store *store)
{
    return ++store->history.last_end;
}

void spawn_store_note(spawn_store *store)
{
    spawn_part_history *h = &store->history;
    int64_t now = spawn_boot_ms();

    if (h->notes_used && now - h->notes[h->last_note].at < NOTE_EVERY)
        return;
    h->last_note = h->notes_used ? (h->last_note + 1) % SPAWN_STORE_NOTES : 0;
    if (h->notes_used < SPAWN_STORE_NOTES)
        h->notes_used++;
    h->notes[h->last_note].at = now;
    h->notes[h->last_note].end = h->last_end;
}

/* The last end that is KEEP_AT_LEAST ago; -1: none is known. */
static int64_t old_enough(const spawn_store *store)
{
    const spawn_part_history *h = &store->history;
    int64_t before = spawn_boot_ms() - KEEP_AT_LEAST, end = -1;
    unsigned i;

    for (i = 0; i < h->notes_used; i++) {
        if (h->notes[i].at <= before && h->notes[i].end > end)
            end = h->notes[i].end;
    }
    return end;
}

static int drop(spawn_store *store, int64_t seq)
{
    spawn_part_history *h = &store->history;

    (void)sqlite3_bind_int64(h->drop, 1, seq);
    (void)sqlite3_bind_int64(h->drop_output, 1, seq);
    (void)sqlite3_bind_int64(h->drop_input, 1, seq);
    (void)sqlite3_bind_int64(h->drop_attempts, 1, seq);
    return spawn_sql_step(h->drop) || spawn_sql_step(h->drop_output)
                   || spawn_sql_step(h->drop_input)
                   || spawn_sql_step(h->drop_attempts)
               ? -1
               : 0;
}

/* The last end that is over the age; -1: none. */
static int64_t aged(spawn_store *store, int64_t keep_ms)
{
    sqlite3_stmt *s = store->history.aged;
    uint64_t end = 0;

    if (keep_ms == 0)
        return -1;
    (void)sqlite3_bind_int64(s, 1, spawn_wall_ms() - keep_ms);
    return get_number(s, &end) ? -1 : (int64_t)end;
}

typedef struct {
    int64_t seqs[SPAWN_PRUNE_BATCH];
    uint64_t newest; /* time of their ids */
    int count;
} victims;

/* A row that begins with seq and id. */
static void add(victims *v, sqlite3_stmt *row)
{
    const void *id = sqlite3_column_blob(row, 1);
    spawn_id copy;

    v->seqs[v->count++] = sqlite3_column_int64(row, 0);
    if (!id || sqlite3_column_bytes(row, 1) != SPAWN_ID_SIZE)
        return;
    memcpy(copy.bytes, id, SPAWN_ID_SIZE);
    if (spawn_id_time(&copy) > v->newest)
        v->newest = spawn_id_time(&copy);
}

/* Choose the ended jobs that go now: the first that ended, as many as are over
 * the count, or too old. */
static void choose(spawn_store *store, uint64_t keep_jobs, int64_t keep_ms,
                   victims *ret)
{
    spawn_part_history *h = &store->history;
    uint64_t over = h->done_count > keep_jobs ? h->done_count - keep_jobs : 0;
    int64_t last_aged = aged(store, keep_ms);

    ret->count = 0;
    ret->newest = 0;
    (void)sqlite3_bind_int64(h->oldest, 1, old_enough(store));
    (void)sqlite3_bind_int(h->oldest, 2, SPAWN_PRUNE_BATCH);
    while (sqlite3_step(h->oldest) == SQLITE_ROW) {
        if ((uint64_t)ret->count >= over
            && sqlite3_column_int64(h->oldest, 2) > last_aged)
            break;
        add(ret, h->oldest);
    }
    spawn_sql_reset(h->oldest);
}

/* How many went, or -1. */
static int drop_all(spawn_store *store, const victims *go)
{
    spawn_part_history *h = &store->history;
    int i;

    if (go->count == 0)
        return 0;
    if (spawn_sql_begin(store))
        return -1;
    for (i = 0; i < go->count; i++) {
        if (drop(store, go->seqs[i]))
            goto bad;
    }
    (void)sqlite3_bind_text(h->set, 1, "watermark", -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(
        h->set, 2,
        (int64_t)(go->newest > h->watermark ? go->newest : h->watermark));
    if (spawn_sql_step(h->set) || spawn_sql_commit(store))
        goto bad;
    forget(store, go->newest);
    h->done_count -= (uint64_t)go->count < h->done_count ? (uint64_t)go->count
                                                         : h->done_count;
    return go->count;
bad:
    spawn_sql_rollback(store);
    return -1;
}

int spawn_store_prune(spawn_store *store, uint64_t keep_jobs, int64_t keep_ms)
{
    victims go;

    spawn_store_note(store);
    choose(store, keep_jobs, keep_ms, &go);
    return drop_all(store, &go);
}

/* ---- of one queue ---- */

/* Each end of a job costs a write of it: only while a queue has a limit. */
void spawn_store_by_queue(spawn_store *store, bool on)
{
    if (store->history.by_queue == (int)on)
        return;
    if (sqlite3_exec(store->db,
                     on ? "CREATE INDEX IF NOT EXISTS job_of_queue ON"
                          " job(queue, end_seq) WHERE state = 4"
                        : "DROP INDEX IF EXISTS job_of_queue",
                     NULL, NULL, NULL)
        == SQLITE_OK)
        store->history.by_queue = on;
}

/* The last end of this queue that is over the count; -1: none. */
static int64_t over_count(spawn_store *store, const char *queue, uint64_t keep)
{
    sqlite3_stmt *s = store->history.kept_of;
    uint64_t end = 0;

    if (keep > INT64_MAX)
        return -1;
    (void)sqlite3_bind_text(s, 1, queue, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 2, (int64_t)keep);
    return get_number(s, &end) || end == 0 ? -1 : (int64_t)end;
}

int spawn_store_prune_queue(spawn_store *store, const char *queue,
                            uint64_t keep_jobs, int64_t keep_ms)
{
    sqlite3_stmt *s = store->history.oldest_of;
    int64_t over = over_count(store, queue, keep_jobs);
    int64_t before = keep_ms ? spawn_wall_ms() - keep_ms : INT64_MIN;
    victims go = {.count = 0};

    (void)sqlite3_bind_text(s, 1, queue, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 2, old_enough(store));
    (void)sqlite3_bind_int(s, 3, SPAWN_PRUNE_BATCH);
    while (sqlite3_step(s) == SQLITE_ROW
           && (sqlite3_column_int64(s, 2) <= over
               || sqlite3_column_int64(s, 3) < before))
        add(&go, s);
    spawn_sql_reset(s);
    return drop_all(store, &go);
}

int spawn_store_forget_some(spawn_store *store)
{
    return spawn_store_prune(store,
                             store->history.done_count > SPAWN_PRUNE_BATCH
                                 ? store->history.done_count - SPAWN_PRUNE_BATCH
                                 : 0,
                             0);
}
