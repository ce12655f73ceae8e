/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scribe: takes records from the broker, writes all that have come in one
 * transaction, and answers when that is on the disk. Records that come
 * meanwhile are the next transaction: so callers share a sync, and nobody waits
 * for a timer.
 *
 * A process of its own, made of the broker's program, so that only it hangs
 * when a disk does. It ends with code 0 when the broker has closed its end,
 * after having written what came. Must answer no record before it is synced,
 * and none but PUT, REVIVE and ORDER with a failure: the others are tried until
 * they are written.
 */
#include "broker/store/scribe_serve.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "broker/base/alloc.h"
#include "broker/store/ledger.h"

#define AGAIN      1000 /* ms */
#define READ       (1u << 20)
#define BATCH_MOST (8u << 20) /* bytes of a transaction */

typedef struct item item;
struct item {
    item *next;
    uint8_t *data; /* message, then text, heap */
    bool written;  /* in the transaction that was committed */
    bool maybe;    /* it is on the disk: its commit failed */
    uint8_t known; /* it is not: spawn_ledger_known */
    spawn_ledger_record r;
};

static spawn_ledger ledger;
static item *first, **last = &first; /* to be written */
static uint8_t *in;
static size_t in_used, in_room;
static size_t to_skip; /* bytes that are still to come of `skipped` */
static spawn_ledger_record skipped;
static bool rows_sent, bad;
static bool alone; /* nobody hears answers any more */
static bool ended; /* and all that was sent has come */

/* ---- to the broker ---- */

static void send_all(const void *data, size_t length)
{
    const uint8_t *at = data;

    while (length > 0 && !alone) {
        ssize_t n = send(SPAWN_SCRIBE_FD, at, length, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            alone = true;
            return;
        }
        at += n;
        length -= (size_t)n;
    }
}

static void say(const spawn_ledger_record *r, const void *message,
                const char *text)
{
    spawn_ledger_record out = *r;
    size_t length = text ? strlen(text) : 0;

    if (length > SPAWN_LEDGER_TEXT_MAX)
        length = SPAWN_LEDGER_TEXT_MAX;
    out.text_length = (uint32_t)length;
    send_all(&out, sizeof(out));
    send_all(message, out.length);
    send_all(text, length);
}

static void tell(unsigned type, const char *text)
{
    const spawn_ledger_record r = {.type = (uint16_t)type};

    say(&r, NULL, text);
}

static void answer(const item *it, const char *why)
{
    bool good = !why && !it->known;
    spawn_ledger_record r = {.type =
                                 good ? SPAWN_LEDGER_DONE : SPAWN_LEDGER_FAILED,
                             .number = it->r.number,
                             .known = it->known,
                             .again = it->maybe,
                             .full = why && ledger.full};

    say(&r, NULL, why);
}

static void tell_bad(void)
{
    if (!bad)
        tell(SPAWN_LEDGER_BAD, ledger.why);
    bad = true;
}

static void tell_good(void)
{
    if (bad)
        tell(SPAWN_LEDGER_GOOD, NULL);
    bad = false;
}

/* why NULL: it was damaged. */
static void tell_copied(const char *why)
{
    spawn_ledger_record r = {.type = SPAWN_LEDGER_COPIED,
                             .attempt = (uint16_t)ledger.number};

    if (ledger.damaged) {
        r.number = ledger.kept;
        r.attempt = (uint16_t)ledger.damaged;
        say(&r, NULL, NULL);
    }
    else if (why) {
        say(&r, NULL, why);
    }
    ledger.damaged = 0;
}

/* ---- the list ---- */

static item *drop(item **at)
{
    item *it = *at;

    *at = it->next;
    if (last == &it->next)
        last = at;
    free(it->data);
    free(it);
    return *at;
}

static bool may_fail(const item *it)
{
    return it->r.type == SPAWN_LEDGER_PUT || it->r.type == SPAWN_LEDGER_REVIVE
           || it->r.type == SPAWN_LEDGER_ORDER;
}

static void fail_all(void)
{
    item **at = &first;

    while (*at) {
        if (may_fail(*at)) {
            answer(*at, ledger.why);
            (void)drop(at);
        }
        else {
            at = &(*at)->next;
        }
    }
    tell_bad();
}

/* ---- writing ---- */

/* 0 or -1 */
static int write_item(item *it)
{
    int rv = spawn_ledger_write(&ledger, &it->r, it->data,
                                (const char *)it->data + it->r.length,
                                it->r.text_length);

    it->known = rv > 0 ? (uint8_t)rv : 0;
    return rv < 0 ? -1 : 0;
}

/* Nobody knows which records of a failed commit were written. */
static void note_maybe(void)
{
    item *it;

    for (it = first; it; it = it->next)
        it->maybe = it->maybe || (it->written && !ledger.full);
}

/* All, or as many as make a transaction. 0 or -1 */
static int write_many(void)
{
    size_t bytes = 0;
    item *it;

    if (spawn_ledger_begin(&ledger))
        goto bad;
    for (it = first; it && bytes < BATCH_MOST; it = it->next) {
        if (write_item(it))
            goto bad;
        it->written = true;
        bytes += sizeof(it->r) + it->r.length + it->r.text_length;
    }
    if (spawn_ledger_commit(&ledger)) {
        note_maybe();
        goto bad;
    }
    tell_good(); /* before: a refused caller may submit again at once */
    while (first && first->written) {
        answer(first, NULL);
        (void)drop(&first);
    }
    return 0;
bad:
    spawn_ledger_rollback(&ledger);
    for (it = first; it; it = it->next)
        it->written = false;
    return -1;
}

/* On a disk without room for all of them. 0; -1: not even small ones. */
static int write_singly(void)
{
    bool stuck = false;
    item **at = &first;

    while (*at) {
        item *it = *at;
        int rv = -1;

        if (!stuck) {
            rv = spawn_ledger_begin(&ledger) || write_item(it)
                 || spawn_ledger_commit(&ledger);
            if (rv)
                spawn_ledger_rollback(&ledger);
            if (rv && !ledger.full) { /* not one more byte into this file */
                ledger.spoiled = it->maybe = true;
                return -1;
            }
        }
        if (rv && !may_fail(it)) {
            stuck = true; /* the next one may be of the same job */
            at = &it->next;
            continue;
        }
        if (rv && it->r.type == SPAWN_LEDGER_ORDER)
            stuck = true;
        answer(it, rv ? ledger.why : NULL);
        (void)drop(at);
    }
    return stuck ? -1 : 0;
}

static int open_ledger(void)
{
    int rv;

    rv = spawn_ledger_open(&ledger);
    tell_copied(NULL);
    return rv;
}

/* The disk failed: go on with a copy. */
static int renew(void)
{
    char why[sizeof(ledger.why)];
    item *it;

    (void)strcpy(why, ledger.why);
    if (spawn_ledger_renew(&ledger))
        return -1;
    for (it = first; it; it = it->next)
        it->maybe = false; /* the copy has what was committed */
    tell_copied(why);
    return 0;
}

static void send_row(void *of, const spawn_ledger_record *r,
                     const void *message, const char *text)
{
    (void)of;
    say(r, message, text);
}

static int send_rows(void)
{
    spawn_ledger_record r = {.type = SPAWN_LEDGER_ROWS_END};

    if (rows_sent)
        return 0;
    r.other_boot = spawn_ledger_other_boot(&ledger);
    if (spawn_ledger_rows(&ledger, r.other_boot, send_row, NULL))
        return -1;
    rows_sent = true;
    say(&r, NULL, NULL);
    return 0;
}

static int write_what_came(void)
{
    if (open_ledger() || send_rows())
        return -1;
    while (first) {
        if (write_many() == 0)
            continue;
        if (ledger.full)
            return write_singly();
        if (renew() || write_many())
            return ledger.db && !ledger.spoiled && ledger.full ? write_singly()
                                                               : -1;
    }
    return 0;
}

/* Nothing came, but something failed: can it be written now? */
static int probe(void)
{
    if (spawn_ledger_begin(&ledger) || spawn_ledger_probe(&ledger)
        || spawn_ledger_commit(&ledger)) {
        spawn_ledger_rollback(&ledger);
        return ledger.full || renew() ? -1 : 0;
    }
    return 0;
}

static void work(void)
{
    int rv = write_what_came();

    if (rv == 0 && bad)
        rv = probe();
    if (rv == 0)
        tell_good();
    else
        fail_all();
}

/* ---- from the broker ---- */

static void add(const spawn_ledger_record *r, const uint8_t *data)
{
    size_t size = (size_t)r->length + r->text_length;
    item *it = spawn_alloc(sizeof(*it));

    it->r = *r;
    it->data = spawn_alloc(size + 1);
    memcpy(it->data, data, size);
    *last = it;
    last = &it->next;
}

/* Passes over a record that is too large. If the scribe ended at it instead,
 * the next one would be given it again, and the one after. */
static size_t skip(size_t at)
{
    size_t here = in_used - at < to_skip ? in_used - at : to_skip;
    const spawn_ledger_record r = {.type = SPAWN_LEDGER_FAILED,
                                   .number = skipped.number};

    to_skip -= here;
    if (to_skip == 0 && skipped.number) {
        say(&r, NULL, "it is larger than a job may be");
        skipped.number = 0;
    }
    return at + here;
}

static bool is_too_large(const spawn_ledger_record *r)
{
    return r->length > SPAWN_LEDGER_MESSAGE_MAX
           || r->text_length > SPAWN_LEDGER_TEXT_MAX;
}

static void take_all(void)
{
    spawn_ledger_record r;
    size_t at = skip(0), size;

    while (in_used - at >= sizeof(r)) {
        memcpy(&r, in + at, sizeof(r));
        size = sizeof(r) + r.length + r.text_length;
        if (is_too_large(&r)) {
            skipped = r;
            to_skip = size;
            at = skip(at);
            continue;
        }
        if (in_used - at < size)
            break;
        add(&r, in + at + sizeof(r));
        at += size;
    }
    in_used -= at;
    memmove(in, in + at, in_used);
}

/* All that is there now. */
static void receive(void)
{
    size_t got = 0;

    while (got < BATCH_MOST) {
        ssize_t n;

        if (in_room - in_used < READ) {
            in_room = in_used + (size_t)2 * READ;
            in = spawn_realloc(in, in_room);
        }
        n = recv(SPAWN_SCRIBE_FD, in + in_used, in_room - in_used,
                 MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n <= 0) {
            ended = true;
            break;
        }
        got += (size_t)n;
        in_used += (size_t)n;
    }
    take_all();
    if (in_used == 0) { /* orders of some MB pass through */
        free(in);
        in = NULL;
        in_room = 0;
    }
}

void spawn_scribe_serve(const char *directory)
{
    spawn_ledger_init(&ledger, directory);
    (void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    work(); /* rows first */
    while (!ended) {
        struct pollfd p = {SPAWN_SCRIBE_FD, POLLIN, 0};

        if (poll(&p, 1, bad ? AGAIN : -1) != 0)
            receive();
        work();
    }
    spawn_ledger_close(&ledger);
    _exit(0);
}
