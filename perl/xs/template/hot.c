/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot pages: those that each job of a template touches. Runs in a template,
 * once, when it is frozen and before it serves; the last function in jobs.
 *
 * A fork copies page tables only of areas with pages of their own (anonymous
 * ones), and then all entries. A job finds a page that was not copied by a page
 * fault, which maps the 16 pages around, and these are removed again when it
 * ends. So the least is: each area that jobs use has a page of its own, and the
 * template has entries of just those pages that jobs touch.
 *
 * Which these are is shown by jobs of nothing. The pages of the first are too
 * many, with what lies around. For the last one each of them is an area, so
 * that nothing lies around; a mark that means nothing in memory (how it will be
 * read) makes it one, and without the marks the areas are one again. It is the
 * same for what the template touches when it starts a job: it would map
 * what lies around.
 *
 * Entries are taken from the template between two looks at them, and a page
 * that is written in between would be lost. So there nothing is written but
 * shared memory and the stack, as in freeze.c.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "perl/xs/template/hot.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "common/spawn_areas.h"
#include "common/spawn_raw.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

#define OURSELVES (-10000) /* in the place of a pidfd; Linux 6.14 */

#define AREAS 1024
#define PAGES 8192 /* that the first job may touch, with what lies around */
#define RUNS  128  /* of pages that jobs write */
#define STATE 512  /* pages at a time */

/* Memory of no file, of which so much is only reserved, is not looked at, page
 * by page. */
#define RESERVED (UINT64_C(1) << 30)

/* Of a page, in /proc/self/pagemap. */
#define PRESENT (UINT64_C(1) << 63)
#define OF_FILE (UINT64_C(1) << 61)
#define ALONE   (UINT64_C(1) << 56) /* no other process has it */

typedef struct {
    uintptr_t from, to;
    bool own;     /* it has pages of its own */
    bool written; /* it can be */
    bool mapped;  /* of a file, so that entries can be taken away */
    bool touched; /* by the job */
} area;

typedef struct {
    uintptr_t pages[PAGES];
    size_t count;
} list;

/* Shared with the jobs. */
typedef struct {
    size_t page, count;
    area areas[AREAS];
    list touched; /* in mapped areas */
    list written;
} notes;

static notes *n;

static struct iovec runs[RUNS];
static size_t runs_count;

/* ---- areas ---- */

/* Another mark than ours, or memory that is not plain. See freeze.c; rr, sr:
 * how it is read. The stack is written like any other. */
static bool is_plain(const spawn_area *a)
{
    static const char *const flags[] = {"io", "pf", "lo", "dc", "wf", "de",
                                        "ht", "mm", "um", "uw", "ui", "mt",
                                        "ss", "sl", "rr", "sr"};
    size_t i;

    for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (spawn_area_has(a, flags[i]))
            return false;
    }
    return !a->has_key && strncmp(a->name, "[v", 2) != 0;
}

static bool note_area(const spawn_area *a, void *arg)
{
    area *to = &n->areas[n->count];

    (void)arg;
    if (a->rights[0] != 'r' || a->rights[3] != 'p' || !is_plain(a)
        || (*a->name != '/' && a->to - a->from - a->resident > RESERVED))
        return true;
    if (n->count == AREAS)
        return false;
    *to = (area){.from = (uintptr_t)a->from,
                 .to = (uintptr_t)a->to,
                 .own = a->anonymous > 0,
                 .written = a->rights[1] == 'w',
                 .mapped = *a->name == '/'};
    if (to->written || to->mapped)
        n->count++;
    return true;
}

/* ---- pages ---- */

typedef void page_fn(area *a, uintptr_t page, uint64_t state);

/* All pages of an area that are there. Writes only to the stack. */
static void look_at(int pagemap, area *a, page_fn *fn)
{
    uint64_t state[STATE];
    uintptr_t at = a->from;
    size_t want, i;
    long got;

    while (at < a->to) {
        want = (a->to - at) / n->page;
        if (want > STATE)
            want = STATE;
        got = spawn_raw_pread(pagemap, state, want * sizeof(*state),
                              (off_t)(at / n->page * sizeof(*state)));
        if (got < (long)sizeof(*state))
            return;
        for (i = 0; i < (size_t)got / sizeof(*state); i++, at += n->page) {
            if (state[i] & PRESENT)
                fn(a, at, state[i]);
        }
    }
}

static void look(page_fn *fn)
{
    int pagemap = spawn_raw_open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
    size_t i;

    if (pagemap < 0)
        return;
    for (i = 0; i < n->count; i++)
        look_at(pagemap, &n->areas[i], fn);
    (void)spawn_raw_close(pagemap);
}

static void add(list *to, uintptr_t page)
{
    if (to->count < PAGES)
        to->pages[to->count++] = page;
}

static void note_page(area *a, uintptr_t page, uint64_t state)
{
    if (a->written && !(state & OF_FILE) && (state & ALONE))
        add(&n->written, page);
    if (!a->mapped)
        return;
    add(&n->touched, page);
    a->touched = true;
}

void spawn_hot_note(void)
{
    if (n)
        look(note_page);
}

/* ---- in the template: what it has itself ---- */

static int advise(uintptr_t page, size_t size, int advice)
{
    return (int)spawn_raw(SYS_madvise, (long)page, (long)size, advice, 0, 0);
}

/* A page that was written to stays: it is no page of the file. */
static void take_entry(area *a, uintptr_t page, uint64_t state)
{
    if (a->touched && (state & OF_FILE))
        (void)advise(page, n->page, MADV_DONTNEED);
}

static bool is_hot(uintptr_t page)
{
    size_t i;

    for (i = 0; i < n->touched.count; i++) {
        if (n->touched.pages[i] == page)
            return true;
    }
    return false;
}

/* The pages that the template itself touches for a job. */
static void note_own_page(area *a, uintptr_t page, uint64_t state)
{
    (void)state;
    if (a->touched && !is_hot(page))
        add(&n->touched, page);
}

static void take_other_entry(area *a, uintptr_t page, uint64_t state)
{
    if (!is_hot(page))
        take_entry(a, page, state);
}

/* Each page that the job touched becomes an area. */
static void divide(void)
{
    size_t i;

    for (i = 0; i < n->touched.count; i++) {
        uintptr_t page = n->touched.pages[i];

        if (advise(page, n->page,
                   page / n->page % 2 ? MADV_RANDOM : MADV_SEQUENTIAL)
            < 0)
            return; /* too many areas: the others have what lies around */
    }
}

static void unite(void)
{
    size_t i;

    for (i = 0; i < n->count; i++) {
        const area *a = &n->areas[i];

        if (a->mapped)
            (void)advise(a->from, a->to - a->from, MADV_NORMAL);
    }
}

static void take_touched(void)
{
    size_t i;

    for (i = 0; i < n->touched.count; i++)
        (void)advise(n->touched.pages[i], n->page, MADV_POPULATE_READ);
}

/* A page is written as it is, also where that is not allowed to code: then the
 * area has one of its own. */
static void have_own_page(int memory, const area *a)
{
    size_t i;

    for (i = 0; i < n->touched.count; i++) {
        uintptr_t page = n->touched.pages[i];
        char byte;

        if (page < a->from || page >= a->to)
            continue;
        byte = *(const volatile char *)page;
        (void)spawn_raw_pwrite(memory, &byte, 1, (off_t)page);
        return;
    }
}

static void have_own_pages(void)
{
    int memory = spawn_raw_open("/proc/self/mem", O_RDWR | O_CLOEXEC, 0);
    size_t i;

    for (i = 0; memory >= 0 && i < n->count; i++) {
        const area *a = &n->areas[i];

        if (a->mapped && a->touched && !a->own)
            have_own_page(memory, a);
    }
    if (memory >= 0)
        (void)spawn_raw_close(memory);
}

static void note_runs(void)
{
    size_t i;

    for (i = 0; i < n->written.count; i++) {
        uintptr_t page = n->written.pages[i];
        struct iovec *last = runs_count ? &runs[runs_count - 1] : NULL;

        if (last && (uintptr_t)last->iov_base + last->iov_len == page)
            last->iov_len += n->page;
        else if (runs_count < RUNS)
            runs[runs_count++] = (struct iovec){(void *)page, n->page};
    }
}

/* ---- the whole ---- */

/* Which pages a job touches, and of the areas of these the template. */
static bool try_out(bool (*probe)(void *arg), void *arg)
{
    size_t i;

    look(take_entry);
    for (i = 0; i < n->count; i++)
        n->areas[i].touched = false;
    n->touched.count = n->written.count = 0;
    if (!probe(arg))
        return false;
    look(note_own_page);
    return n->touched.count < PAGES;
}

/* The second time the template's own entries are those of a probe, too. */
static void arrange(bool (*probe)(void *arg), void *arg)
{
    if (!try_out(probe, arg) || !try_out(probe, arg))
        return;
    divide();
    if (try_out(probe, arg)) {
        take_touched();
        unite();
        have_own_pages();
        note_runs();
    }
    else {
        unite();
    }
}

void spawn_hot_keep(bool (*probe)(void *arg), void *arg)
{
    notes *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED)
        return;
    n = shared;
    n->page = (size_t)sysconf(_SC_PAGESIZE);
    if (spawn_areas(0, note_area, NULL) == 0)
        arrange(probe, arg);
}

void spawn_hot_tidy(void)
{
    notes *shared = n;

    if (!shared)
        return;
    if (runs_count > 0)
        look(take_other_entry);
    n = NULL;
    (void)spawn_raw(SYS_munmap, (long)shared, sizeof(*shared), 0, 0, 0);
}

/* ---- in a job ---- */

bool spawn_hot_copy(void)
{
    size_t i;

    if (runs_count == 0)
        return false;
    if (spawn_raw(SYS_process_madvise, OURSELVES, (long)runs, (long)runs_count,
                  MADV_POPULATE_WRITE, 0)
        > 0)
        return true;
    for (i = 0; i < runs_count; i++)
        (void)advise((uintptr_t)runs[i].iov_base, runs[i].iov_len,
                     MADV_POPULATE_WRITE);
    return true;
}
