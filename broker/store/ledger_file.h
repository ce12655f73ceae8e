/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file ledger_file.h
 * @brief The files of the ledger, for ledger.c: which one counts, and how it is
 * copied into the next.
 */
#ifndef SPAWN_BROKER_STORE_LEDGER_FILE_H
#define SPAWN_BROKER_STORE_LEDGER_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <sqlite3.h>
#include <sys/types.h>

#define SPAWN_LEDGER_STATEMENTS  13
#define SPAWN_LEDGER_LAYOUT      1
#define SPAWN_LEDGER_APPLICATION 0x73706e64 /* "spnd" */

typedef struct {
    sqlite3 *db; /* NULL: not open */
    sqlite3_stmt *statements[SPAWN_LEDGER_STATEMENTS];
    char directory[PATH_MAX];
    unsigned number; /* of the file */
    dev_t device;    /* that was opened */
    ino_t inode;
    int lock;         /* -1: not taken */
    bool spoiled;     /* the disk failed, and there is no copy yet */
    char why[300];    /* of the last failure */
    bool full;        /* it was for want of room */
    unsigned kept;    /* jobs of a damaged file, in the copy */
    unsigned damaged; /* number of that file; 0: none */
} spawn_ledger;

/** Keep what SQLite says of the last call. -1 */
int spawn_ledger_fail(spawn_ledger *l, sqlite3 *db, const char *what);
/** The same of errno. -1 */
int spawn_ledger_fail_errno(spawn_ledger *l, const char *what);

/** The path of a file in the directory, into room[PATH_MAX]. */
void spawn_ledger_path(const spawn_ledger *l, char *room, const char *fmt,
                       unsigned number);

/** Is there one in this directory, or is one to be made, as was marked? */
bool spawn_ledger_there(const char *directory);
/** A scribe is to make one, if there is none: it may take long, and outlive its
 * broker, and what it was sent is known to no other broker before. */
void spawn_ledger_mark(const char *directory);
/** There is one now. */
void spawn_ledger_unmark(const spawn_ledger *l);
/** The highest number of those in the directory, 0: none. The others go. */
unsigned spawn_ledger_find(spawn_ledger *l);
/** Make an empty one with number 1. 0 or -1: why. */
int spawn_ledger_begin_anew(spawn_ledger *l);
/** Copy the one with this number to the next number, which counts from then on.
 * db: has it open as main; or NULL. 0 or -1: why. */
int spawn_ledger_copy(spawn_ledger *l, sqlite3 *db);
/** Is the file that was opened still in its place? Note which one it is. */
void spawn_ledger_note_place(spawn_ledger *l);
bool spawn_ledger_in_place(const spawn_ledger *l);
/** Does it look whole? Of a big one that is not asked. */
bool spawn_ledger_whole(const spawn_ledger *l, sqlite3 *db);
/** Columns that a file of an older release may not have. */
#define SPAWN_LEDGER_LATER 3
extern const char *const spawn_ledger_later[SPAWN_LEDGER_LATER];
bool spawn_ledger_has_column(sqlite3 *db, const char *name);

#endif
