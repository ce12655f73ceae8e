/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run/durable.c with the rooms base and job of the broker; the scribe, the
 * store and those above are played. The state of the ledger lasts for a
 * broker's life: so each test is a process.
 */
#ifndef BROKER_DURABLE_PLAYED_H
#define BROKER_DURABLE_PLAYED_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "broker/base/timer.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/phase.h"
#include "broker/job/queue.h"
#include "broker/base/conf.h"
#include "broker/job/state.h"
#include "broker/job/perl.h"
#include "broker/job/rules.h"
#include "broker/process/perl.h"
#include "broker/process/scribe.h"
#include "broker/run/durable.h"
#include "broker/run/durable_follow.h"
#include "broker/store/commit.h"
#include "broker/store/ledger_file.h"
#include "common/spawn_os.h"

/* ---- what is played ---- */

static const spawn_scribe_events *scribe;
static unsigned sent; /* the last record */
static spawn_ledger_record last;
static char last_text[40];
static bool is_noted = true, takes_note = true; /* by the store */
static const char *scribe_says;                 /* at once, when it is opened */
static bool ledger_is_there = true;
static unsigned marked;

void spawn_scribe_open(const char *directory, const spawn_scribe_events *to)
{
    (void)directory;
    scribe = to;
    if (scribe_says)
        to->trouble(scribe_says);
}

bool spawn_scribe_wanted(void)
{
    return scribe != NULL;
}

void spawn_scribe_send(const spawn_ledger_record *r, const void *message,
                       const char *text)
{
    (void)message;
    sent = r->type;
    last = *r;
    (void)snprintf(last_text, sizeof(last_text), "%s", text ? text : "");
}

static size_t backlog;

size_t spawn_scribe_backlog(void)
{
    return backlog;
}

bool spawn_scribe_idle(void)
{
    return true;
}

void spawn_ledger_mark(const char *directory)
{
    (void)directory;
    marked++;
}

bool spawn_ledger_there(const char *directory)
{
    (void)directory;
    return ledger_is_there;
}

bool spawn_commit_waits(spawn_store *store)
{
    (void)store;
    return false;
}

bool spawn_commit_failing(const spawn_store *store)
{
    (void)store;
    return false;
}

bool spawn_store_ledger_known(const spawn_store *store)
{
    (void)store;
    return is_noted;
}

static unsigned notes; /* in the store, that it was read */

int spawn_store_note_ledger(spawn_store *store)
{
    (void)store;
    notes++;
    is_noted = takes_note;
    return takes_note ? 0 : -1;
}

static bool ledger_was = true; /* says the store */

bool spawn_store_ledger_was(const spawn_store *store)
{
    (void)store;
    return ledger_was;
}

static int64_t oldest_end;

int64_t spawn_store_oldest_end(spawn_store *store)
{
    (void)store;
    return oldest_end;
}

/* What it says of a body; and of one that it has, whether that is durable. */
static int store_says = -ENODATA;
static bool is_durable = true;

int spawn_store_read_body(const spawn_job *job, spawn_body **ret)
{
    spawn_body *body;
    spawn_writer w;
    size_t mark;

    if (store_says)
        return store_says;
    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, &job->id);
    spawn_put_u64(&w, SPAWN_A_DURABLE, is_durable);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    body = spawn_body_room(w.length - SPAWN_WIRE_HEADER, 0, 0);
    memcpy(body->data, w.data + SPAWN_WIRE_HEADER, body->length);
    spawn_writer_free(&w);
    *ret = body;
    return 0;
}

static spawn_returned *on_the_board;

void spawn_perl_take_result(spawn_job *job)
{
    job->perl->kept = on_the_board;
}

/* ---- a broker that begins ---- */

static unsigned begun, late_count, late_ends;
static uint8_t late_rows[8]; /* their ids' last byte */

static int above; /* what those above are given */

static void has_begun(void *of)
{
    begun += of == &above;
}

static unsigned store_fails_at; /* this one of the late ones, once */

static int is_late(void *of, spawn_durable_row *row)
{
    (void)of;
    if (store_fails_at && late_count + 1 == store_fails_at) {
        store_fails_at = 0;
        return -1;
    }
    if (late_count < sizeof(late_rows))
        late_rows[late_count] = row->record.id.bytes[SPAWN_ID_SIZE - 1];
    late_count++;
    return 0;
}

static void were_all(void *of)
{
    (void)of;
    late_ends++;
}

static unsigned decided;

static void is_decided(void *of)
{
    (void)of;
    decided++;
}

static unsigned accepted, refused, refused_later, held_back;
static spawn_failure refused_with;

static void is_accepted(spawn_job *job)
{
    (void)job;
    accepted++;
}

static void is_refused(spawn_job *job, const spawn_failure *why)
{
    (void)job;
    refused_with = *why;
    refused++;
}

static void is_refused_later(spawn_job *job, const spawn_failure *why)
{
    (void)job;
    refused_with = *why;
    refused_later++;
}

static void is_held_back(spawn_job *job)
{
    spawn_job_on(job, SPAWN_JOB_CAME_BACK);
    held_back++;
}

static spawn_id forgotten; /* the last one */

static void is_forgotten(void *of, const spawn_id *id)
{
    (void)of;
    forgotten = *id;
}

static const spawn_durable_events events = {.begun = has_begun,
                                            .accepted = is_accepted,
                                            .refused = is_refused,
                                            .refused_later = is_refused_later,
                                            .forgotten = is_forgotten,
                                            .held_back = is_held_back,
                                            .late = is_late,
                                            .late_end = were_all,
                                            .decided = is_decided};

static inline spawn_id id_of(uint8_t n)
{
    spawn_id id = {{0}};

    id.bytes[SPAWN_ID_SIZE - 1] = n;
    return id;
}

static inline void sends(uint8_t n)
{
    const spawn_ledger_record r = {.type = SPAWN_LEDGER_ROW,
                                   .state = SPAWN_LEDGER_IS_WAITING,
                                   .id = id_of(n),
                                   .length = 1};

    scribe->row(&r, "m", "");
}

static inline const spawn_durable_row *row_of(uint8_t n)
{
    const spawn_id id = id_of(n);

    return spawn_durable_row_of(&id);
}

static inline void is_opened(void)
{
    static char path[] = "/nowhere"; /* no CONFIGURE comes without one */

    spawn_conf.store_path = path;
    spawn_durable_open(&events, &above);
}

static inline void begins(void)
{
    is_opened();
    if (spawn_durable_begin(spawn_conf.store_path))
        _exit(9);
}

#define CHECK(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            (void)fprintf(stderr, "line %d: not so: %s\n", __LINE__, #what);   \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

static inline void in_a_process_of(void (*first)(void), void (*run)(void))
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        first();
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static inline void in_a_process(void (*run)(void))
{
    in_a_process_of(begins, run);
}

#endif
