/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves the memory of a template into a memfd that is mapped in its place,
 * private and copy-on-write as it was. Runs in a template with one thread,
 * once, before it serves.
 *
 * A piece is copied into the file, then the file is mapped over the piece.
 * Bytes that are written to the piece between these two calls are lost. So
 * nothing may write there: signals are blocked, there is no other thread, and
 * between the calls this file makes no other one: no malloc, no stdio, nothing
 * that sets errno (which lies in memory that is moved, too). Its own variables
 * are on its stack, which stays, and in shared memory, which is never moved.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "perl/xs/template/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/spawn_areas.h"
#include "common/spawn_os.h"
#include "common/spawn_raw.h"
#include "perl/xs/template/mallocs.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define AREAS 2048
#define TRIES 16
#define LOOKS 100 /* at the threads, 1 ms after each other */

/* So much memory exists twice at once; the state of pages is read for so
 * much. */
#define PIECE ((size_t)2 << 20)

#define HUGE_SIZE "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"

/* The file is larger than any memory: an area that grows (mremap) goes on in
 * it, and what it finds there is as undefined as realloc's new bytes. */
#define FILE_SIZE ((off_t)1 << 42)

/* Pages that were never touched stay as they are when so many follow each
 * other: in the file they would take memory. */
#define GAP_PAGES 32

/* An area is left alone when fewer of its pages are its own than one in so
 * many. Of a file; of memory whose pages are not looked at one by one, since
 * that is not shown to a process that has changed its account; of memory. */
#define OWN_OF_FILE   4
#define OWN_OF_HIDDEN 2
#define OWN_OF_MEMORY 64

/* So much that could stay where it is is moved, to have one area less. */
#define UNITE_MOST ((uint64_t)128 << 10)

typedef struct {
    uintptr_t from, to;
    int rights;
    bool of_file;
    bool to_unite; /* moved only beside another one */
} area;

/* All data that is needed while memory is moved, in memory that is not
 * moved. */
typedef struct {
    size_t count, page;
    bool full; /* there are more areas */
    uintptr_t stack;
    area areas[AREAS];
    uint64_t state[PIECE / 4096]; /* of pages, as /proc/self/pagemap has it */
    int file, pagemap;
    off_t at;                   /* end of what is in the file */
    uint64_t left;              /* bytes that could not be moved */
    int error;                  /* of the first of these */
    size_t huge;                /* a huge page */
    uint64_t anonymous, marked; /* bytes: of all areas, of those with a mark */
    uint64_t marked_most;       /* of one area, */
    const char *mark;           /* and its mark */
} plan;

static uint64_t frozen;

uint64_t spawn_template_frozen(void)
{
    return frozen;
}

/* ---- what may be moved ---- */

static int rights_of(const spawn_area *a)
{
    return (a->rights[0] == 'r' ? PROT_READ : 0)
           | (a->rights[1] == 'w' ? PROT_WRITE : 0)
           | (a->rights[2] == 'x' ? PROT_EXEC : 0);
}

static bool of_file(const spawn_area *a)
{
    return *a->name && *a->name != '[';
}

/* An area with a mark that a new mapping would forget. gd: grows, a stack; io,
 * pf: a device; lo: locked; dc, wf: not for children; dd: not for cores; de:
 * cannot grow; ht: huge pages of its own; mm: mixed; um, uw, ui: somebody
 * handles its faults; mt, ss, sl: tagged, a shadow stack, sealed; gu: some of
 * its pages are guards, and which ones is not looked at. */
static const char *mark_of(const plan *p, const spawn_area *a)
{
    static const char *const flags[] = {"gd", "io", "pf", "lo", "dc", "wf",
                                        "dd", "de", "ht", "mm", "um", "uw",
                                        "ui", "mt", "ss", "sl"};
    size_t i;

    for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (spawn_area_has(a, flags[i]))
            return flags[i];
    }
    if ((p->pagemap < 0 || of_file(a)) && spawn_area_has(a, "gu"))
        return "gu";
    return a->has_key ? "ProtectionKey" : NULL;
}

static bool is_stack(const spawn_area *a)
{
    return strncmp(a->name, "[stack", 6) == 0;
}

static bool is_special(const plan *p, const spawn_area *a)
{
    return mark_of(p, a) || is_stack(a) || strncmp(a->name, "[v", 2) == 0;
}

static bool may_move(const plan *p, const spawn_area *a)
{
    int rights = rights_of(a);
    uint64_t own = of_file(a)       ? OWN_OF_FILE
                   : p->pagemap < 0 ? OWN_OF_HIDDEN
                                    : OWN_OF_MEMORY;

    return a->rights[3] == 'p' && (rights & PROT_READ) && !(rights & PROT_EXEC)
           && !is_special(p, a) && !(p->stack >= a->from && p->stack < a->to)
           && a->anonymous && (a->to - a->from) / own <= a->anonymous;
}

/* A few read-only pages of a file: constants of a library, or a locale. */
static bool may_unite(const plan *p, const spawn_area *a)
{
    return of_file(a) && strcmp(a->rights, "r--p") == 0 && !is_special(p, a)
           && !a->anonymous && a->to - a->from <= UNITE_MOST;
}

static void count(plan *p, const spawn_area *a)
{
    const char *mark = is_stack(a) ? NULL : mark_of(p, a);

    if (a->rights[3] != 'p')
        return;
    p->anonymous += a->anonymous;
    if (!mark)
        return;
    p->marked += a->anonymous;
    if (a->anonymous > p->marked_most) {
        p->marked_most = a->anonymous;
        p->mark = mark;
    }
}

static bool note(const spawn_area *a, void *arg)
{
    plan *p = arg;
    area *to = &p->areas[p->count];
    bool moves = may_move(p, a);

    count(p, a);
    if (!moves && !may_unite(p, a))
        return true;
    if (p->count == AREAS) {
        p->full = true;
        return false;
    }
    to->from = (uintptr_t)a->from;
    to->to = (uintptr_t)a->to;
    to->rights = rights_of(a);
    to->of_file = of_file(a);
    to->to_unite = !moves;
    p->count++;
    return true;
}

static bool is_beside(const area *a, const area *next)
{
    return a->to == next->from && a->rights == next->rights;
}

/* Pieces that lie side by side in the file, too, are one area, and each area
 * less makes a fork and its end cheaper. A piece that would stay alone is left
 * where it is. */
static void leave_alone(plan *p)
{
    size_t i, count = 0;
    bool beside = false;

    for (i = 0; i < p->count; i++) {
        const area a = p->areas[i];
        bool beside_next = i + 1 < p->count && is_beside(&a, &p->areas[i + 1]);

        if (!a.to_unite || beside || beside_next)
            p->areas[count++] = a;
        beside = beside_next;
    }
    p->count = count;
}

/* ---- nothing but system calls ---- */

static void failed(plan *p, size_t bytes, int error)
{
    if (!p->left)
        p->error = error;
    p->left += bytes;
}

/* Mapped over itself by the file, whose bytes are there. The kernel may have
 * taken away what was there and then have found no memory; that moment passes,
 * or the process cannot go on. */
static int map_over(const plan *p, uintptr_t from, size_t size, int rights)
{
    unsigned char there[PIECE / 4096];
    int tries, rv;

    for (tries = 0; tries < 1000; tries++) {
        rv = spawn_raw_map_over((void *)from, size, rights, p->file, p->at);
        if (rv == 0
            || spawn_raw(SYS_mincore, (long)from, (long)size, (long)there, 0, 0)
                   == 0)
            return rv;
        (void)spawn_raw(SYS_sched_yield, 0, 0, 0, 0, 0);
    }
    spawn_raw_exit(1);
}

static void move_piece(plan *p, uintptr_t from, size_t size, int rights)
{
    size_t done = 0;
    long n;
    int rv;

    while (done < size) {
        n = spawn_raw_pwrite(p->file, (const void *)(from + done), size - done,
                             p->at + (off_t)done);
        if (n <= 0) {
            failed(p, size, n < 0 ? (int)-n : EIO);
            return;
        }
        done += (size_t)n;
    }
    rv = map_over(p, from, size, rights);
    if (rv < 0)
        failed(p, size, -rv);
    else
        p->at += (off_t)size;
}

/* ---- pages ---- */

#define TOUCHED                                                                \
    (UINT64_C(1) << 63 | UINT64_C(1) << 62) /* present, or swapped */

static void move_pages(plan *p, const area *a, uintptr_t from, uintptr_t to)
{
    size_t size;

    for (; from < to; from += size) {
        size = to - from < PIECE ? to - from : PIECE;
        move_piece(p, from, size, a->rights);
    }
}

/* A page that nobody may touch, of memory that is used, and that a new mapping
 * would make a usual one. Kernels without a mark (gu) for its area show it. */
#define GUARD (UINT64_C(1) << 58)

/* State of the pages from here on, as many as fit and are the area's. */
static size_t look(plan *p, const area *a, uintptr_t from)
{
    size_t count = (a->to - from) / p->page;
    size_t most = sizeof(p->state) / sizeof(p->state[0]);
    ssize_t n;

    if (count > most)
        count = most;
    n = pread(p->pagemap, p->state, count * sizeof(p->state[0]),
              (off_t)(from / p->page * sizeof(p->state[0])));
    return n > 0 ? (size_t)n / sizeof(p->state[0]) : 0;
}

/* The touched pages, in runs between gaps. */
static void move_touched(plan *p, const area *a)
{
    uintptr_t at = a->from, begin = 0, end = 0; /* of the run; end 0: none */
    size_t i, count;

    while (at < a->to) {
        count = look(p, a, at);
        if (count == 0) {
            failed(p, a->to - at, EIO);
            break;
        }
        for (i = 0; i < count; i++, at += p->page) {
            bool guard = p->state[i] & GUARD;

            if (!guard && !(p->state[i] & TOUCHED))
                continue;
            if (end && (guard || at - end > GAP_PAGES * p->page)) {
                move_pages(p, a, begin, end);
                end = 0;
            }
            if (guard)
                continue;
            if (!end)
                begin = at;
            end = at + p->page;
        }
    }
    if (end)
        move_pages(p, a, begin, end);
}

static void freeze(plan *p)
{
    size_t i;

    for (i = 0; i < p->count; i++) {
        const area *a = &p->areas[i];

        if (a->of_file || p->pagemap < 0)
            move_pages(p, a, a->from, a->to);
        else
            move_touched(p, a);
    }
}

/* ---- huge pages ---- */

/* Of a huge page. None where a page is a guard. */
static bool mostly_touched(plan *p, const area *a, uintptr_t from)
{
    size_t i, count, left = p->huge / p->page, touched = 0;

    if (p->pagemap < 0)
        return true; /* the area is */
    while (left > 0 && (count = look(p, a, from)) > 0) {
        count = count < left ? count : left;
        for (i = 0; i < count; i++) {
            if (p->state[i] & GUARD)
                return false;
            touched += (p->state[i] & TOUCHED) != 0;
        }
        left -= count;
        from += count * p->page;
    }
    return 2 * touched >= p->huge / p->page;
}

/* EAGAIN: the kernel has a page of it in its hands in this moment. */
static int make_huge(uintptr_t at, size_t size)
{
    int tries, rv;

    for (tries = 0; tries < TRIES; tries++) {
        rv = madvise((void *)at, size, MADV_COLLAPSE);
        if (rv == 0 || errno != EAGAIN)
            break;
        (void)sched_yield();
    }
    return rv;
}

static void collapse(plan *p)
{
    size_t i, size = p->huge;

    for (i = 0; i < p->count; i++) {
        const area *a = &p->areas[i];
        uintptr_t at = (a->from + size - 1) & ~(size - 1);

        for (; !a->of_file && at + size <= a->to; at += size) {
            if (!mostly_touched(p, a, at))
                continue;
            (void)madvise((void *)at, size, MADV_HUGEPAGE);
            if (make_huge(at, size) < 0)
                failed(p, size, errno);
        }
    }
}

/* 2 MB, but on machines with larger pages. */
static size_t huge_size(void)
{
    int fd = open(HUGE_SIZE, O_RDONLY | O_CLOEXEC);
    char text[32];
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    unsigned long long size;

    if (fd >= 0)
        (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    size = strtoull(text, NULL, 10);
    return size > 0 && (size & (size - 1)) == 0 ? (size_t)size : PIECE;
}

/* ---- whether it can be done ---- */

static void say(char *why, size_t room, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void say(char *why, size_t room, const char *fmt, ...)
{
    size_t used = strlen(why);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(why + used, room - used, fmt, ap);
    va_end(ap);
}

/* A thread can be joined a moment before the kernel lets it go. */
static bool one_thread(void)
{
    struct stat info;
    unsigned looks;

    for (looks = 0; looks < LOOKS; looks++) {
        if (looks > 0)
            (void)poll(NULL, 0, 1);
        if (stat("/proc/self/task", &info) == 0 && info.st_nlink == 3)
            return true;
    }
    return false;
}

static void free_plan(plan *p)
{
    if (p->pagemap >= 0)
        (void)close(p->pagemap);
    if (p->file >= 0)
        (void)close(p->file);
    (void)munmap(p, sizeof(*p));
}

/* A plan with what is to be moved; NULL, and why. */
static plan *make_plan(char *why, size_t room)
{
    plan *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int rv;

    if (p == MAP_FAILED) {
        say(why, room, "%s", strerror(errno));
        return NULL;
    }
    p->page = (size_t)sysconf(_SC_PAGESIZE);
    p->stack = (uintptr_t)__builtin_frame_address(0);
    p->huge = huge_size();
    p->file = -1;
    p->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    rv = spawn_areas(0, note, p);
    leave_alone(p);
    if (rv == 0)
        return p;
    say(why, room, "/proc/self/smaps: %s", strerror(-rv));
    free_plan(p);
    return NULL;
}

/* ---- the whole ---- */

/* Signals wait: their handlers would write. The one of RLIMIT_FSIZE, which the
 * kernel sends while we write, is ignored and not held, or it would come when
 * they are let in. */
typedef struct {
    sigset_t mask;
    struct sigaction too_large;
} signals;

static void hold_signals(signals *s)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t all;

    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGXFSZ);
    (void)sigprocmask(SIG_SETMASK, &all, &s->mask);
    (void)sigaction(SIGXFSZ, &ignore, &s->too_large);
}

static void let_signals_in(const signals *s)
{
    (void)sigaction(SIGXFSZ, &s->too_large, NULL);
    (void)sigprocmask(SIG_SETMASK, &s->mask, NULL);
}

static bool make_file(plan *p, char *why, size_t room)
{
    p->file = spawn_os_memfd(SPAWN_FROZEN_NAME);
    if (p->file < 0) {
        say(why, room, "memfd_create: %s", strerror(-p->file));
        return false;
    }
    if (ftruncate(p->file, FILE_SIZE) < 0) {
        say(why, room, "ftruncate of a memfd: %s", strerror(errno));
        return false;
    }
    return true;
}

/* So that no job can write what all see, not even one that may open the file
 * of a mapping (/proc/PID/map_files). Before Linux 5.1 there is only the seal
 * that waits until nobody else uses the pages. */
static void seal(int file)
{
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

    if (fcntl(file, F_ADD_SEALS, seals | F_SEAL_FUTURE_WRITE) < 0)
        (void)fcntl(file, F_ADD_SEALS, seals | F_SEAL_WRITE);
}

static void tell_left(const plan *p, const char *what, char *why, size_t room)
{
    if (p->left)
        say(why, room, "%llu kB of its memory are not %s: %s",
            (unsigned long long)(p->left / 1024), what, strerror(p->error));
    else if (p->marked > p->anonymous / 2)
        say(why, room,
            "%llu kB of its memory are left as they are, for a mark that they "
            "have in smaps (%s)",
            (unsigned long long)(p->marked / 1024), p->mark);
    else if (p->full)
        say(why, room, "its memory has more than %d areas, not all are %s",
            AREAS, what);
}

static void try_to_freeze(plan *p, char *why, size_t room)
{
    if (make_file(p, why, room)) {
        freeze(p);
        frozen = (uint64_t)p->at;
        seal(p->file);
        tell_left(p, "frozen", why, room);
    }
    else {
        say(why, room, "; it has huge pages where that can be");
        collapse(p);
    }
}

static void settle(unsigned how, char *why, size_t room)
{
    signals held;
    plan *p = make_plan(why, room);

    if (!p)
        return;
    hold_signals(&held);
    if (how == SPAWN_MEMORY_FROZEN) {
        try_to_freeze(p, why, room);
    }
    else {
        collapse(p);
        tell_left(p, "huge pages", why, room);
    }
    let_signals_in(&held);
    free_plan(p);
}

/* Why memory may not be in a file; then it may still be in huge pages. */
static bool may_be_in_a_file(char *why, size_t room)
{
    const char *file, *symbol;

    if (!spawn_template_malloc_is_ours(&file))
        say(why, room, "its malloc is not the C library's (%s)", file);
    else if (spawn_template_has_inner_malloc(&file, &symbol))
        say(why, room, "%s has a malloc of its own (%s)", file, symbol);
    return !*why;
}

void spawn_template_settle_memory(unsigned how, char *why, size_t room)
{
    char other[200] = "";

    *why = '\0';
    if (how == SPAWN_MEMORY_SHARED)
        return;
    if (spawn_template_is_sanitized()) {
        say(why, room, "it runs with a sanitizer");
    }
    else if (!one_thread()) {
        say(why, room, "it has several threads");
    }
    else if (how == SPAWN_MEMORY_FROZEN
             && !may_be_in_a_file(other, sizeof(other))) {
        settle(SPAWN_MEMORY_HUGE, why, room);
        *why = '\0';
        say(why, room, "%s; it has huge pages where that can be", other);
    }
    else {
        settle(how, why, room);
    }
}

/* ---- how much there is ---- */

/* Frozen memory counts whole, whether this process has looked at it or not. */
static bool add(const spawn_area *a, void *arg)
{
    uint64_t *sum = arg;

    *sum += spawn_area_frozen(a) ? a->to - a->from : a->resident;
    return true;
}

static uint64_t resident(void)
{
    unsigned long long whole, pages = 0;
    char text[100];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    if (sscanf(text, "%llu %llu", &whole, &pages) != 2)
        return 0;
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* To look at each area takes longer than a short call. It is done when what is
 * resident has grown such that it may have become too much since the last time:
 * memory grows by no more than what is resident does. */
bool spawn_template_is_bigger(uint64_t bytes)
{
    static uint64_t counted, when; /* sum, and what was resident then */
    uint64_t now = resident();

    if (!frozen || now > bytes)
        return now > bytes;
    if (now + frozen <= bytes)
        return false;
    if (!counted || now < when || counted + (now - when) > bytes) {
        counted = 0;
        when = now;
        if (spawn_areas(0, add, &counted) < 0)
            counted = now;
    }
    return counted + (now - when) > bytes;
}
