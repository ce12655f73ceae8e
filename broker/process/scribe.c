/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's end of the scribe. Runs in the broker. Must never wait for the
 * scribe, which may hang on a disk: what it does not take stays in the list.
 *
 * The list of records that are not answered is the queue of the socket, too: a
 * scribe that comes after a dead one gets all of it, from the first. Each
 * record may therefore be written twice, and says the same then.
 */
#include "broker/process/scribe.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"

#define AGAIN       1000 /* ms */
#define READ        65536
#define DEATHS_MOST 10

typedef struct sent sent;
struct sent {
    sent *next;
    size_t size;                /* of what follows */
    spawn_ledger_record record; /* with message and text behind it */
};

static const spawn_scribe_events *to;
static const char *directory;
static spawn_watch watch = {.fd = -1};
static spawn_timer again;
static pid_t pid; /* 0: none, or reaped */
static bool rows_told, bad;
static bool disk_bad;   /* so says the scribe */
static unsigned deaths; /* one after another, without an answer */

static sent *first, *last;
static sent *unsent;     /* the first that is not sent, or not wholly */
static size_t unsent_at; /* bytes of it that are */
static size_t backlog;
static uint64_t numbers;

static uint8_t *in;
static size_t in_used, in_room;

static void start(void);

/* ---- the list ---- */

/* The first with this number or a higher one, taken out; NULL: it was answered
 * before. Answers come in the order of the records but for those that the
 * scribe could not write yet. */
static sent *take_out(uint64_t number)
{
    sent **at = &first, *before = NULL, *s;

    while (*at != unsent && (*at)->record.number < number) {
        before = *at;
        at = &(*at)->next;
    }
    s = *at;
    if (!s || s == unsent || s->record.number != number)
        return NULL;
    *at = s->next;
    if (last == s)
        last = before;
    backlog -= s->size;
    return s;
}

static void send_again(void)
{
    sent *s;

    for (s = first; s && s != unsent; s = s->next)
        s->record.again = true;
    if (unsent && unsent_at > 0) /* a part of it */
        unsent->record.again = true;
    unsent = first;
    unsent_at = 0;
}

/* ---- its life ---- */

static void reap(void)
{
    if (pid > 0 && waitpid(pid, NULL, WNOHANG) != 0)
        pid = 0;
}

static void try_again(spawn_timer *t)
{
    (void)t;
    reap();
    if (watch.fd < 0)
        start();
}

static void tell_trouble(const char *why)
{
    bad = why != NULL;
    to->trouble(why);
}

static void gone(const char *why)
{
    spawn_watch_close(&watch);
    disk_bad = false;
    deaths++;
    in_used = 0;
    send_again();
    again.fire = try_again;
    spawn_timer_set(&again, spawn_mono_ms() + AGAIN);
    tell_trouble(why);
}

/* ---- out ---- */

static void flush(void)
{
    while (unsent && watch.fd >= 0) {
        const uint8_t *data = (const uint8_t *)&unsent->record;
        ssize_t n = send(watch.fd, data + unsent_at, unsent->size - unsent_at,
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) /* its end is read, too */
            break;
        unsent_at += (size_t)n;
        if (unsent_at == unsent->size) {
            unsent = unsent->next;
            unsent_at = 0;
        }
    }
    spawn_watch_events(&watch, unsent ? SPAWN_IN | SPAWN_OUT : SPAWN_IN);
}

void spawn_scribe_send(const spawn_ledger_record *r, const void *message,
                       const char *text)
{
    size_t length = message ? r->length : 0;
    size_t text_length = text ? strlen(text) : 0;
    sent *s;

    if (!directory) /* no ledger has it, and none is to be told */
        return;
    if (text_length > SPAWN_LEDGER_TEXT_MAX)
        text_length = SPAWN_LEDGER_TEXT_MAX;
    s = spawn_alloc(sizeof(*s) + length + text_length);
    s->record = *r;
    s->record.length = (uint32_t)length;
    s->record.text_length = (uint32_t)text_length;
    s->record.number = ++numbers;
    if (length)
        memcpy(&s->record + 1, message, length);
    if (text_length)
        memcpy((uint8_t *)(&s->record + 1) + length, text, text_length);
    s->size = sizeof(s->record) + length + text_length;
    backlog += s->size;
    if (last)
        last->next = s;
    else
        first = s;
    last = s;
    if (!unsent) {
        unsent = s;
        unsent_at = 0;
        flush();
    }
}

size_t spawn_scribe_backlog(void)
{
    return backlog;
}

/* The next scribe, if there can be one, writes what a dying one has not. */
bool spawn_scribe_idle(void)
{
    return !first || disk_bad || deaths >= DEATHS_MOST;
}

bool spawn_scribe_wanted(void)
{
    return directory != NULL;
}

/* ---- in ---- */

static void answered(const spawn_ledger_record *answer, const char *why)
{
    sent *s = take_out(answer->number);

    if (!s)
        return;
    deaths = 0;
    s->record.full = answer->full;
    s->record.known = answer->known;
    s->record.again = s->record.again || answer->again;
    to->answered(&s->record, why);
    free(s);
}

static void take(const spawn_ledger_record *r, const uint8_t *message,
                 const uint8_t *text)
{
    char *copy = spawn_alloc(r->text_length + 1);

    if (r->text_length)
        memcpy(copy, text, r->text_length);
    switch (r->type) {
    case SPAWN_LEDGER_ROW:
        if (!rows_told)
            to->row(r, message, copy);
        break;
    case SPAWN_LEDGER_ROWS_END:
        if (!first) /* it may die at that, as the one before it did */
            deaths = 0;
        disk_bad = false;
        if (bad)
            tell_trouble(NULL);
        if (!rows_told) {
            rows_told = true;
            to->rows_end(r->other_boot != 0);
        }
        break;
    case SPAWN_LEDGER_DONE:
        answered(r, NULL);
        break;
    case SPAWN_LEDGER_FAILED:
        answered(r, copy);
        break;
    case SPAWN_LEDGER_BAD:
        disk_bad = true;
        tell_trouble(copy);
        break;
    case SPAWN_LEDGER_GOOD:
        disk_bad = false;
        if (bad)
            tell_trouble(NULL);
        break;
    case SPAWN_LEDGER_COPIED:
        to->copied(r->attempt, (unsigned)r->number,
                   r->text_length ? copy : NULL);
        break;
    default:
        break;
    }
    free(copy);
}

/* True: a whole record was taken out. */
static bool take_one(size_t *at)
{
    spawn_ledger_record r;
    size_t left = in_used - *at, size;

    if (left < sizeof(r))
        return false;
    memcpy(&r, in + *at, sizeof(r));
    if (r.length > SPAWN_LEDGER_MESSAGE_MAX
        || r.text_length > SPAWN_LEDGER_TEXT_MAX) {
        gone("the scribe is not understood");
        return false;
    }
    size = sizeof(r) + r.length + r.text_length;
    if (left < size)
        return false;
    take(&r, in + *at + sizeof(r), in + *at + sizeof(r) + r.length);
    *at += size;
    return watch.fd >= 0;
}

static void take_all(void)
{
    size_t at = 0;

    while (take_one(&at))
        ;
    if (watch.fd < 0)
        return;
    if (at > 0) {
        in_used -= at;
        memmove(in, in + at, in_used);
    }
    if (in_used == 0 && in_room > (size_t)4 * READ) {
        free(in);
        in = NULL;
        in_room = 0;
    }
}

static void ready(spawn_watch *w, int events)
{
    ssize_t n;

    if (events & SPAWN_OUT)
        flush();
    if (!(events & (SPAWN_IN | SPAWN_GONE)))
        return;
    if (in_room - in_used < READ) {
        in_room = in_room ? in_room * 2 : (size_t)2 * READ;
        in = spawn_realloc(in, in_room);
    }
    n = recv(w->fd, in + in_used, in_room - in_used, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        gone("the process that writes them has ended");
        return;
    }
    in_used += (size_t)n;
    take_all();
}

/* ---- its start ---- */

/* All descriptors of the broker are close-on-exec. */
static int execute(int fd)
{
    char name[] = "mod_spawn scribe", argument[] = SPAWN_SCRIBE_ARGUMENT;
    char *argv[] = {name, argument, (char *)(uintptr_t)directory, NULL};
    extern char **environ;
    posix_spawn_file_actions_t files;
    int rv = posix_spawn_file_actions_init(&files);

    if (rv)
        return rv;
    rv = posix_spawn_file_actions_adddup2(&files, fd, SPAWN_SCRIBE_FD);
    if (rv == 0)
        rv = posix_spawn(&pid, "/proc/self/exe", &files, NULL, argv, environ);
    if (rv)
        pid = 0;
    (void)posix_spawn_file_actions_destroy(&files);
    return rv;
}

static void start(void)
{
    int ends[2], rv = 0;
    char why[200];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        rv = errno;
    }
    else {
        /* its end must not be 3 already: dup2 would leave it close-on-exec */
        rv = execute(ends[1]);
        (void)close(ends[1]);
        if (rv)
            (void)close(ends[0]);
        else
            rv = -spawn_watch_open(&watch, ends[0], SPAWN_IN, ready);
    }
    if (rv) {
        (void)snprintf(why, sizeof(why),
                       "the process that writes them cannot be started: %s",
                       strerror(rv));
        gone(why);
        return;
    }
    send_again();
    flush();
}

void spawn_scribe_open(const char *where, const spawn_scribe_events *events)
{
    to = events;
    if (directory)
        return;
    directory = spawn_strdup(where);
    start();
}
