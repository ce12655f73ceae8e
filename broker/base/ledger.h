/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file ledger.h
 * @brief The ledger of durable jobs: the records between the broker and the
 * scribe, the process that writes it. docs/durable.md says what both are.
 *
 * The two are one program, so a record is a struct. It is no part of the wire,
 * and is stored nowhere as it is.
 */
#ifndef SPAWN_BROKER_BASE_LEDGER_H
#define SPAWN_BROKER_BASE_LEDGER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/spawn_id.h"
#include "common/spawn_os.h"
#include "common/spawn_proto.h"

/** First argument of the broker's program when it is to be a scribe; the second
 * is the store's directory. The socket is descriptor SPAWN_SCRIBE_FD. */
#define SPAWN_SCRIBE_ARGUMENT "--scribe"
#define SPAWN_SCRIBE_FD       3

typedef enum {
    /* to the scribe, which answers each; it fails only PUT, REVIVE and ORDER,
     * and tries the others until they are written */
    SPAWN_LEDGER_PUT = 1, /* a new job, with its message */
    SPAWN_LEDGER_ORDER,   /* it starts */
    SPAWN_LEDGER_WAITS,   /* it waits again */
    SPAWN_LEDGER_END,     /* with its end, and a text */
    SPAWN_LEDGER_DROP,    /* forget it, if it is in this state */
    SPAWN_LEDGER_TRIM,    /* forget ends before a time, or over a size */
    SPAWN_LEDGER_READ,    /* the rows were taken: they are of this boot now */
    SPAWN_LEDGER_REVIVE,  /* one that had ended waits again: with its message,
                           * since the ledger may have forgotten it */
    /* from the scribe */
    SPAWN_LEDGER_ROW,      /* as it was found, with message and text */
    SPAWN_LEDGER_ROWS_END, /* that were all; the ledger can be written */
    SPAWN_LEDGER_DONE,     /* the one of this number is on the disk */
    SPAWN_LEDGER_FAILED,   /* it is not, and will not be: a text */
    SPAWN_LEDGER_BAD,      /* nothing can be written: a text */
    SPAWN_LEDGER_GOOD,     /* that is over */
    SPAWN_LEDGER_COPIED    /* file `attempt` is used now, with `number` jobs of
                            * the one before it: a text, or it was damaged */
} spawn_ledger_type;

/** The ledger's state of a job. The numbers are stored. */
typedef enum {
    SPAWN_LEDGER_IS_WAITING = 1,
    SPAWN_LEDGER_IS_ORDERED = 2,
    SPAWN_LEDGER_IS_ENDED = 4
} spawn_ledger_state;

/** Why a PUT is not written: its id is there. Or an ORDER: it is not. */
typedef enum {
    SPAWN_LEDGER_KNOWS_NOT,
    SPAWN_LEDGER_KNOWS_OTHER,   /* with another message */
    SPAWN_LEDGER_KNOWS_STARTED, /* with this one, and not as waiting */
    SPAWN_LEDGER_KNOWS_NONE
} spawn_ledger_known;

typedef struct {
    int32_t outcome, exit_code, signo, core, step, error, pid;
    uint32_t rusage_count;
    int64_t started_at, ended_at, elapsed_us;
    int64_t result_kind; /* SPAWN_RESULT_ of a function; -1: of a program, or
                          * not known */
    uint64_t rusage[SPAWN_RU_ALL];
} spawn_ledger_end;

typedef struct {
    uint16_t type;
    uint16_t state;       /* ROW, DROP: spawn_ledger_state */
    uint16_t other_boot;  /* ROWS_END: they are from before the machine's
                           * start */
    uint16_t attempt;     /* ORDER, WAITS, END, REVIVE, ROW */
    uint32_t length;      /* of the message behind it: PUT, REVIVE, ROW */
    uint32_t text_length; /* behind that */
    uint64_t number;
    spawn_id id;
    uid_t uid; /* of its caller */
    pid_t pid;
    uint32_t sending; /* PUT, REVIVE: its job's, the broker's own note */
    int64_t submitted_at;
    int64_t due_at; /* wall ms; 0: when it can; or SPAWN_LEDGER_NOW. WAITS, ROW
                     */
    int64_t before; /* TRIM: wall ms */
    int64_t newest; /* TRIM: those after it stay, whatever the size */
    uint64_t size;  /* TRIM: bytes */
    bool chosen;    /* ROW: an attempt at it was to start, once */
    bool full;      /* FAILED: for want of room, which others may have */
    uint8_t known;  /* FAILED: spawn_ledger_known, of a PUT or an ORDER */
    bool alone;     /* END, ROW: the store does not have this end */
    bool again;     /* FAILED: it may be on the disk all the same; and the
                     * broker's own note: a scribe that has died had it */
    bool asked;     /* REVIVE: for run/durable_ask.c, the broker's own note */
    spawn_ledger_end end;
} spawn_ledger_record;

/** due_at of a job that waited for its time, and waits for it no more: counts
 * whatever time the store has. */
#define SPAWN_LEDGER_NOW (-1)

static inline int64_t spawn_ledger_due(const spawn_ledger_record *r)
{
    return r->due_at == SPAWN_LEDGER_NOW ? spawn_wall_ms() : r->due_at;
}

/** As long as a SUBMIT may be. A longer one the scribe does not write, and says
 * so. */
#define SPAWN_LEDGER_MESSAGE_MAX (SPAWN_SUBMIT_MAX + SPAWN_WIRE_HEADER)
#define SPAWN_LEDGER_TEXT_MAX    8192

#endif
