/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file parts.h
 * @brief The store as the files of this folder see it: a part for each of them,
 * which no other file uses, and the database for all. Runs in the broker.
 *
 * No file of this folder may have variables, so that a process can have more
 * than one store. A store belongs to the code that made it (spawn_store_new).
 */
#ifndef SPAWN_BROKER_STORE_PARTS_H
#define SPAWN_BROKER_STORE_PARTS_H

#include <limits.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "broker/base/timer.h"
#include "broker/store/store.h"

/** sql.c */
typedef struct {
    sqlite3_stmt *begin, *commit, *rollback, *pages, *size;
    int page;      /* bytes; a pragma is prepared anew each time it is asked */
    bool outgrown; /* no room for the pages of the transaction */
} spawn_part_sql;

/** write.c */
typedef struct {
    sqlite3_stmt *insert, *input, *state, *end, *again, *output, *input_gone;
    bool ends_only;
} spawn_part_write;

/** read.c */
typedef struct {
    sqlite3_stmt *find, *order, *answer, *output, *open, *dead;
} spawn_part_read;

/** list.c */
enum {
    SPAWN_LIST_ALL,
    SPAWN_LIST_OPEN,
    SPAWN_LIST_DEAD,
    SPAWN_LIST_FAILED,
    SPAWN_LISTS
};
typedef struct {
    sqlite3_stmt *row[SPAWN_LISTS][2], *some[SPAWN_LISTS][2]; /* or NULL */
    sqlite3_stmt *place, *ends, *newest_row, *late, *note;

    /* A row whose time lies before that of an earlier one, since its post or
     * its order in the spool waited for a broker, or the clock was set back. */
    int64_t newest, newest_seq; /* time of all rows, and whose it is */
    int64_t late_by;            /* at most: ms before the newest one of then */
    int64_t late_seq;           /* the last such row; 0: there is none */
    bool late_noted;            /* in meta, as far as it is committed */
} spawn_part_list;

/** Failed, in SQL: the condition of the index job_failed, which a store that
 * was big already does not have. */
#define SPAWN_FAILED                                                           \
    "state = 4 AND outcome <> 4 AND (outcome <> 1 OR exit_code <> 0)"

/** history.c */
typedef struct {
    sqlite3_stmt *get, *set, *reboot, *ran_before, *dead_reboot, *holds_reboot,
        *count, *last, *aged, *oldest, *drop, *drop_output, *drop_input,
        *drop_attempts;
    sqlite3_stmt *kept_of, *oldest_of; /* of one queue */
    int by_queue; /* 1: these have an index; 0: not; -1: not known */
    uint64_t done_count;
    int64_t last_end; /* the newest job's place in the order of ends */
    int64_t clock;    /* time of day less spawn_boot_ms, as noted last */

    /* Ids up to this time may have been forgotten. When this is not long past,
     * the clock was ahead: then only ids up to `sure` count, so that a wrong
     * clock cannot close the store to right ids. */
    uint64_t watermark;
    uint64_t sure;
    bool set_back;

    /* Which ends were KEEP_AT_LEAST ago: a few notes of the last minutes. */
#define SPAWN_STORE_NOTES 16
    struct {
        int64_t at; /* as spawn_boot_ms */
        int64_t end;
    } notes[SPAWN_STORE_NOTES];
    unsigned notes_used, last_note;
    bool ledger_known; /* the ledger was read in this boot, */
    bool ledger_was;   /* or ever */
} spawn_part_history;

/** room.c */
typedef struct {
    sqlite3_stmt *pages, *free, *page_size, *open_input, *open_body, *outputs,
        *drop, *drop_of_attempts, *whole, *trim;
    int64_t dropped_to;    /* in the order of ends: no output is before it */
    uint64_t written;      /* bytes of outputs since the last look */
    uint64_t spent;        /* and in this transaction */
    int64_t log_frames;    /* in the WAL at the last commit; -1: not known */
    int64_t outputs_limit; /* at the last look */
    int64_t open_bytes;    /* of open jobs, when they were summed up last */
    int64_t open_until;    /* mono us: that counts as long; 0: never was */
    uint64_t opened;       /* bytes of open jobs that came since */
    bool crowded;          /* a checkpoint had no room */
    int64_t room_at;       /* when to look for room again, mono ms */
    int64_t told_at;       /* when a full disk was logged last; 0: never */

    /* Outputs that were delivered, and are to be cut. */
#define SPAWN_STORE_TRIM_MAX 256
    spawn_id delivered[SPAWN_STORE_TRIM_MAX];
    unsigned delivered_count;
    size_t delivered_bytes;
    spawn_timer trim_timer;
} spawn_part_room;

/** grace.c */
typedef struct {
    sqlite3_stmt *note, *drop, *all, *drop_others;
    char boot[37]; /* that the machine is in */
} spawn_part_grace;

/** cron.c */
typedef struct {
    sqlite3_stmt *read, *write, *any, *unmark, *mark, *drop, *end;
} spawn_part_cron;

/** control.c */
typedef struct {
    sqlite3_stmt *read, *write, *drop;
} spawn_part_control;

/** share.c */
typedef struct {
    sqlite3_stmt *put, *get, *told, *untold;
} spawn_part_share;

/** attempts.c */
typedef struct {
    sqlite3_stmt *add, *of_job, *from_row, *revive, *output_gone;
} spawn_part_attempts;

/** order.c */
typedef struct {
    sqlite3_stmt *need, *need_over, *needs_gone, *needs, *outcome, *hold,
        *holds_over, *hold_over, *holds, *mark;
} spawn_part_order;

/** recent.c */
typedef struct {
#define SPAWN_RECENT_RING   4096  /* ids */
#define SPAWN_RECENT_PLACES 16384 /* a power of two */
    spawn_id ring[SPAWN_RECENT_RING];
    uint16_t next_in_place[SPAWN_RECENT_RING]; /* + 1; 0: the last one */
    uint16_t places[SPAWN_RECENT_PLACES];      /* + 1; 0: none */
    unsigned used, oldest;
    uint64_t floor_time; /* ids up to it may be forgotten */
} spawn_part_recent;

/** launches.c */
typedef struct {
#define SPAWN_LAUNCHES 128 /* fewer than wait to be stored: job/changes.c */
    struct {
        spawn_id id, life;
        uint64_t attempt;
    } notes[SPAWN_LAUNCHES];    /* as the file has them */
    bool taken[SPAWN_LAUNCHES]; /* its job is not stored yet */
    int fd;                     /* -1: not open */
    bool known;                 /* the file's content was read */
} spawn_part_launches;

/** place.c */
typedef struct {
    struct stat opened;
    bool known;
} spawn_part_place;

/** lock.c */
typedef struct {
    int mark; /* the broker's own file; -1: not open */
} spawn_part_lock;

/** dead.c */
typedef struct {
    sqlite3_stmt *count;
    struct spawn_dead_count *queues;
    size_t queues_used, queues_room;
    uint64_t total;
    int64_t counted_at; /* mono ms; 0: never */
} spawn_part_dead;

/** look.c */
typedef struct {
    sqlite3_stmt *from, *note, *over, *next, *by_id, *open, *ended, *aged,
        *dead, *all_open, *state;
    sqlite3_stmt *failed; /* NULL: the store has no such index */
    bool on;
    int64_t seq; /* looked at up to this one */
} spawn_part_look;

/** in_use.c */
typedef struct {
    bool begun, was;
    ino_t file; /* the mark that is ours; 0: none */
} spawn_part_in_use;

/** list.c: a row was added, of this time; before a commit, and when it was
 * good. */
void spawn_store_came(spawn_store *store, int64_t seq, int64_t at);
int spawn_store_note_late(spawn_store *store);
void spawn_store_late_noted(spawn_store *store);

/** room.c: bytes of a job that waits or runs are written. */
void spawn_store_opened(spawn_store *store, size_t bytes);

/** damage.c: hear of damage from here on; what was heard is over. */
void spawn_store_watch_damage(void);
void spawn_store_damage_over(void);
/** It was met, without SQLite. */
void spawn_store_say_damage(void);
/** Was it found to be damaged when it was open? */
bool spawn_store_marked(const spawn_store *store);
/** It was looked at, and is good; or it was set aside. */
void spawn_store_unmark(spawn_store *store, bool good);

/** commit.c */
typedef struct {
    spawn_timer retry_timer;
    int64_t complained_at;
    int64_t failed_at;
    int64_t job_failed_at; /* one job, and not the store; 0: never */
    bool failing;
    bool waited_for; /* a job waits until that is over */
} spawn_part_commit;

/* aside.c */
#define SPAWN_STORE_ASIDE "jobs.db.damaged-" /* and the time */
/* Is this the name of one? A file that SQLite leaves beside it when somebody
 * looks at it, or that somebody made of it, is none. */
bool spawn_store_is_aside(const char *name);
/* Give the files of a damaged store other names. False: that was not possible.
 * Before it, the store has to be closed. */
bool spawn_store_set_aside(spawn_store *store, spawn_failure *why);
/* In meta of a new store, as long as what one before it had is not taken in. */
#define SPAWN_UNSALVAGED "unsalvaged"

struct spawn_store {
    sqlite3 *db; /* NULL: not open; open.c alone writes it */
    char directory[PATH_MAX];
    char path[PATH_MAX]; /* of the database */
    bool full;           /* open.c: it failed since the disk is full */
    bool damaged;        /* open.c: it failed since it is no store any more */
    bool salvaged;       /* salvage.c: it does not say that it is not */
    int64_t
        cannot_restore_at; /* restore.c: when that was logged last; 0: never */
    spawn_part_sql sql;
    spawn_part_write write;
    spawn_part_read read;
    spawn_part_history history;
    spawn_part_room room;
    spawn_part_grace grace;
    spawn_part_cron cron;
    spawn_part_control control;
    spawn_part_share share;
    spawn_part_attempts attempts;
    spawn_part_order order;
    spawn_part_recent recent;
    spawn_part_launches launches;
    spawn_part_place place;
    spawn_part_commit commit;
    spawn_part_lock lock;
    spawn_part_in_use in_use;
    spawn_part_look look;
    spawn_part_list list;
    spawn_part_dead dead;
    int64_t checked_at; /* damage.c: it was marked, and was good; mono ms */
};

#endif
