/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scribe as its broker sees it (broker/store/scribe_serve.c): a process
 * that takes records, writes all that have come in one transaction, and answers
 * when the disk has it. It may be late, the disk may fail or be full, and it
 * may die before or after the disk has a transaction. The socket is real, the
 * ledger is in ledger.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <linux/magic.h>

#include "broker/process/scribe.h"
#include "broker/store/ledger_file.h"
#include "t/simulation/body.h"
#include "t/simulation/durable.h"

#define AGAIN     1000 /* ms, as in broker/store/scribe_serve.c */
#define FIRST_PID 4400000
#define PIECE     65536

/* The names that --wrap gives. */
int __wrap_posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *files,
                                            int fd, int as);
int __wrap_posix_spawn(pid_t *ret, const char *path,
                       const posix_spawn_file_actions_t *files,
                       const posix_spawnattr_t *attr, char *const argv[],
                       char *const envp[]);
pid_t __real_waitpid(pid_t pid, int *status, int flags);
pid_t __wrap_waitpid(pid_t pid, int *status, int flags);
int __wrap_statfs(const char *path, struct statfs *ret);
bool __wrap_spawn_ledger_there(const char *directory);
void __wrap_spawn_ledger_mark(const char *directory);
void __real_spawn_scribe_send(const spawn_ledger_record *r, const void *message,
                              const char *text);
void __wrap_spawn_scribe_send(const spawn_ledger_record *r, const void *message,
                              const char *text);

typedef struct item item;
struct item {
    item *next;
    spawn_ledger_record r;
    uint8_t data[];
};

typedef struct {
    item *first, *last;
} list;

typedef struct {
    uint8_t *bytes;
    size_t used, room;
} buffer;

static bool marked; /* that a ledger is to be made */

bool with_durable;
ledger_health ledger_disk;
bool ledger_calm;

static struct {
    int fd; /* -1: there is none */
    pid_t pid;
    bool opened, syncs, bad;
    int64_t due_ms; /* when the disk has done what it does */
    buffer in, out;
    list came, batch; /* that is being written: the first of those that came */
} scribe = {.fd = -1};

static list left;   /* of scribes that write on without their broker */
static list failed; /* answered so, and on the disk perhaps */

/* ---- lists and buffers ---- */

static void add(list *l, item *it)
{
    it->next = NULL;
    if (l->last)
        l->last->next = it;
    else
        l->first = it;
    l->last = it;
}

static item *take(list *l)
{
    item *it = l->first;

    l->first = it->next;
    if (!l->first)
        l->last = NULL;
    return it;
}

static void move_all(list *from, list *to)
{
    while (from->first)
        add(to, take(from));
}

static void drop_all(list *l)
{
    while (l->first)
        free(take(l));
}

static void grow(buffer *b, size_t by)
{
    if (b->room - b->used >= by)
        return;
    b->room = b->used + by + PIECE;
    b->bytes = realloc(b->bytes, b->room);
    if (!b->bytes)
        abort();
}

static void take_off(buffer *b, size_t count)
{
    b->used -= count;
    memmove(b->bytes, b->bytes + count, b->used);
}

/* ---- its process ---- */

static void gone(void)
{
    spawn_close_fds(&scribe.fd, 1);
    scribe.in.used = scribe.out.used = 0;
    scribe.opened = scribe.syncs = scribe.bad = false;
}

void scribe_reset(bool some)
{
    gone();
    drop_all(&scribe.came);
    drop_all(&scribe.batch);
    drop_all(&left);
    drop_all(&failed);
    ledger_empty();
    marked = false;
    ledger_disk = DISK_GOOD;
    ledger_calm = true;
    ledger_unread_in = 0;
    with_durable = some;
}

static int its_end; /* of the socket, as the broker has it */

int __wrap_posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *files,
                                            int fd, int as)
{
    (void)files;
    (void)as;
    its_end = fd;
    return 0;
}

int __wrap_posix_spawn(pid_t *ret, const char *path,
                       const posix_spawn_file_actions_t *files,
                       const posix_spawnattr_t *attr, char *const argv[],
                       char *const envp[])
{
    (void)path;
    (void)files;
    (void)attr;
    (void)argv;
    (void)envp;
    life_point();
    if (chance(3) && ledger_disk != DISK_GOOD)
        return EAGAIN;
    if (scribe.fd >= 0)
        promise_broken("a second scribe is started");
    scribe.fd = fcntl(its_end, F_DUPFD_CLOEXEC, WORLD_FDS);
    scribe.pid = scribe.pid < FIRST_PID ? FIRST_PID : scribe.pid + 1;
    scribe.due_ms = board->mono_ms + random_below(20);
    if (chance(10) && ledger_disk != DISK_GOOD)
        scribe.due_ms += random_below(6000);
    *ret = scribe.pid;
    say("a scribe begins");
    return 0;
}

pid_t __wrap_waitpid(pid_t pid, int *status, int flags)
{
    if (!body_at_work())
        return __real_waitpid(pid, status, flags);
    return scribe.fd >= 0 && pid == scribe.pid ? 0 : pid;
}

/* The store is on a disk. */
int __wrap_statfs(const char *path, struct statfs *ret)
{
    (void)path;
    memset(ret, 0, sizeof(*ret));
    ret->f_type = EXT4_SUPER_MAGIC;
    return 0;
}

bool __wrap_spawn_ledger_there(const char *directory)
{
    (void)directory;
    return ledger_is_there() || marked;
}

void __wrap_spawn_ledger_mark(const char *directory)
{
    (void)directory;
    life_point();
    marked = true;
    life_point();
}

void __wrap_spawn_scribe_send(const spawn_ledger_record *r, const void *message,
                              const char *text)
{
    life_point();
    __real_spawn_scribe_send(r, message, text);
    life_point();
}

/* ---- in ---- */

static void take_records(void)
{
    spawn_ledger_record r;
    buffer *b = &scribe.in;

    while (b->used >= sizeof(r)) {
        size_t size;
        item *it;

        memcpy(&r, b->bytes, sizeof(r));
        size = (size_t)r.length + r.text_length;
        if (b->used < sizeof(r) + size)
            return;
        it = malloc(sizeof(*it) + size + 1);
        if (!it)
            abort();
        it->r = r;
        memcpy(it->data, b->bytes + sizeof(r), size);
        add(&scribe.came, it);
        take_off(b, sizeof(r) + size);
    }
}

static void receive(void)
{
    buffer *b = &scribe.in;
    ssize_t n;

    do {
        grow(b, PIECE);
        n = recv(scribe.fd, b->bytes + b->used, PIECE, MSG_DONTWAIT);
        if (n > 0)
            b->used += (size_t)n;
    } while (n > 0);
    take_records();
}

/* ---- words ---- */

static const char *record_name(unsigned type)
{
    static const char *const words[] = {
        [SPAWN_LEDGER_PUT] = "put",       [SPAWN_LEDGER_ORDER] = "ordered",
        [SPAWN_LEDGER_WAITS] = "waits",   [SPAWN_LEDGER_END] = "end",
        [SPAWN_LEDGER_DROP] = "dropped",  [SPAWN_LEDGER_TRIM] = "trimmed",
        [SPAWN_LEDGER_READ] = "was read", [SPAWN_LEDGER_REVIVE] = "revived"};

    return words[type];
}

static void say_record(const char *what, const item *it)
{
    const job *j = job_find(&it->r.id);

    if (j)
        say("  %s: job %u %s, record %llu", what, job_number(j),
            record_name(it->r.type), (unsigned long long)it->r.number);
    else
        say("  %s: %s, record %llu", what, record_name(it->r.type),
            (unsigned long long)it->r.number);
}

/* ---- out ---- */

static void flush(void)
{
    buffer *b = &scribe.out;

    while (b->used > 0) {
        ssize_t n =
            send(scribe.fd, b->bytes, b->used, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n <= 0)
            return;
        take_off(b, (size_t)n);
    }
}

static void put_out(const void *bytes, size_t count)
{
    buffer *b = &scribe.out;

    grow(b, count);
    if (count)
        memcpy(b->bytes + b->used, bytes, count);
    b->used += count;
}

static void tell(unsigned type, const char *text)
{
    spawn_ledger_record r = {.type = (uint16_t)type};

    r.text_length = text ? (uint32_t)strlen(text) : 0;
    put_out(&r, sizeof(r));
    put_out(text, r.text_length);
}

/* maybe: it is on the disk all the same. */
static void answer(const item *it, const char *why, bool full, bool maybe)
{
    spawn_ledger_record r = {.type =
                                 why ? SPAWN_LEDGER_FAILED : SPAWN_LEDGER_DONE,
                             .number = it->r.number,
                             .full = full,
                             .again = maybe};

    if (why) {
        say_record("not on the disk", it);
        ledger_did_not_take(&it->r);
    }
    r.text_length = why ? (uint32_t)strlen(why) : 0;
    put_out(&r, sizeof(r));
    put_out(why, r.text_length);
}

static void tell_rows(void)
{
    spawn_ledger_record end = {.type = SPAWN_LEDGER_ROWS_END};
    const uint8_t *data;
    unsigned i, count = 0;

    end.other_boot = ledger_of_other_boot();
    for (i = 0; i < ledger_rows(); i++) {
        const spawn_ledger_record *r = ledger_row(i, &data);

        if (!r
            || (r->state == SPAWN_LEDGER_IS_ENDED && !r->alone
                && !end.other_boot))
            continue;
        put_out(r, sizeof(*r));
        put_out(data, (size_t)r->length + r->text_length);
        count++;
    }
    put_out(&end, sizeof(end));
    say("the scribe tells %u rows%s", count,
        end.other_boot ? ", of another boot" : "");
}

/* ---- writing ---- */

static void on_disk(const item *it)
{
    say_record("on the disk", it);
    ledger_write(&it->r, it->data);
}

static bool may_fail(const item *it)
{
    return it->r.type == SPAWN_LEDGER_PUT || it->r.type == SPAWN_LEDGER_REVIVE
           || it->r.type == SPAWN_LEDGER_ORDER;
}

static void is_good(void)
{
    if (scribe.bad)
        tell(SPAWN_LEDGER_GOOD, NULL);
    scribe.bad = false;
    drop_all(&failed); /* it has gone on with another file */
}

static const char fails[] = "the disk fails";

/* maybe: they were in a sync that failed. The others of them are tried again.
 */
static void fail_all(list *l, list *again, bool maybe)
{
    while (l->first) {
        item *it = take(l);

        if (!may_fail(it)) {
            add(again, it);
            continue;
        }
        answer(it, fails, false, maybe);
        if (maybe)
            add(&failed, it);
        else
            free(it);
    }
}

static void is_bad(bool full)
{
    list again = {NULL, NULL};

    say("the disk of the ledger takes nothing");
    fail_all(&scribe.batch, &again, !full);
    fail_all(&scribe.came, &again, false);
    move_all(&again, &scribe.came);
    if (!scribe.bad)
        tell(SPAWN_LEDGER_BAD, fails);
    scribe.bad = true;
    scribe.due_ms = board->mono_ms + AGAIN;
}

static void write_batch(void)
{
    while (scribe.batch.first) {
        item *it = take(&scribe.batch);

        on_disk(it);
        answer(it, NULL, false, false);
        free(it);
    }
    is_good();
}

/* One by one: some fit. */
static void write_what_fits(void)
{
    list rest = {NULL, NULL};
    bool stuck = false;

    while (scribe.batch.first) {
        item *it = take(&scribe.batch);
        bool fits = !stuck && chance(60);

        if (fits) {
            drop_all(&failed); /* it is written into another file */
            on_disk(it);
        }
        if (!fits && (!may_fail(it) || it->r.type == SPAWN_LEDGER_ORDER))
            stuck = true; /* the next one may be of the same job */
        if (!fits && !may_fail(it)) {
            add(&rest, it);
            continue;
        }
        answer(it, fits ? NULL : "the disk is full", !fits, false);
        free(it);
    }
    move_all(&rest, &scribe.batch);
    if (stuck)
        is_bad(true);
    else
        is_good();
}

bool scribe_is_well(void)
{
    return scribe.fd < 0 ? !spawn_scribe_wanted()
                         : scribe.opened && !scribe.bad;
}

void scribe_finishes(void)
{
    if (left.first)
        ledger_make();
    while (left.first) {
        item *it = take(&left);

        on_disk(it);
        free(it);
    }
}

/* Another one may still wait for the disk. */
static void open_ledger(void)
{
    if (ledger_disk == DISK_FAILS) {
        drop_all(&left); /* the scribe that would try again has ended */
        is_bad(false);
        return;
    }
    scribe_finishes();
    ledger_make();
    tell_rows();
    scribe.opened = true;
    is_good();
}

static void begin_sync(void)
{
    move_all(&scribe.came, &scribe.batch);
    scribe.syncs = true;
    scribe.due_ms = board->mono_ms;
    if (ledger_disk != DISK_GOOD || chance(50))
        scribe.due_ms += random_below(chance(90) ? 30 : 6000);
}

static void end_sync(void)
{
    scribe.syncs = false;
    if (ledger_disk == DISK_FAILS)
        is_bad(false);
    else if (ledger_disk == DISK_TAKES_SOME)
        write_what_fits();
    else
        write_batch();
}

void scribe_goes_on(void)
{
    if (scribe.fd < 0)
        return;
    receive();
    if (board->mono_ms >= scribe.due_ms) {
        if (!scribe.opened)
            open_ledger();
        else if (scribe.syncs)
            end_sync();
        else if (scribe.came.first)
            begin_sync();
        else if (scribe.bad && ledger_disk == DISK_GOOD)
            is_good();
    }
    flush();
}

/* ---- its end ---- */

static void perhaps_on_disk(list *l)
{
    bool all = chance(50);

    if (all && l->first)
        ledger_make();
    while (l->first) {
        item *it = take(l);

        if (all)
            on_disk(it);
        free(it);
    }
}

/* A failed record comes to be, perhaps: the next scribe finds it. */
static void failed_on_disk(void)
{
    while (failed.first) {
        item *it = take(&failed);

        if (chance(50)) {
            say("a record that had failed is on the disk");
            on_disk(it);
        }
        free(it);
    }
}

void scribe_dies(void)
{
    if (scribe.fd < 0)
        return;
    say("the scribe is killed");
    failed_on_disk();
    perhaps_on_disk(&scribe.batch);
    drop_all(&scribe.came);
    gone();
}

void scribe_loses_broker(void)
{
    if (scribe.fd >= 0) {
        failed_on_disk();
        receive();
        move_all(&scribe.batch, &left);
        move_all(&scribe.came, &left);
        gone();
    }
}

void scribe_loses_power(void)
{
    failed_on_disk();
    perhaps_on_disk(&left);
    perhaps_on_disk(&scribe.batch);
    drop_all(&scribe.came);
    if (scribe.fd >= 0)
        gone();
}
