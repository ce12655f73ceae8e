/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The times of a job as a picture: a bar for each attempt, from its submit (or
 * the end of the attempt before) over its start to its end, or to now. Runs in
 * httpd children, in the thread of the request. Must draw something readable
 * whatever the clocks said: times may go back.
 */
#include "module/status/timeline.h"

#define ATTEMPTS_MAX 64 /* further ones stand in the list below */
#define WIDTH        1000
#define ROW          22
#define BAR          12

typedef struct {
    int64_t waits, starts, ends; /* ms; starts 0: it has not started */
} attempt;

typedef struct {
    attempt all[ATTEMPTS_MAX + 1];
    unsigned count;
    int64_t from, to;
} times;

static int64_t time_of(const spawn_message *m, unsigned attr)
{
    return (int64_t)spawn_u64_or(m, attr, 0);
}

static void add(times *t, const spawn_message *m, int64_t waits, int64_t now)
{
    attempt *a = &t->all[t->count];

    a->waits = waits;
    a->starts = time_of(m, SPAWN_A_STARTED_AT);
    a->ends = time_of(m, SPAWN_A_ENDED_AT);
    if (!a->ends)
        a->ends = now;
    if (a->starts && a->starts < a->waits)
        a->starts = a->waits;
    if (a->ends < (a->starts ? a->starts : a->waits))
        a->ends = a->starts ? a->starts : a->waits;
    if (a->ends > t->to)
        t->to = a->ends;
    t->count++;
}

static void add_attempt(void *arg, const spawn_message *m)
{
    times *t = arg;

    if (t->count < ATTEMPTS_MAX)
        add(t, m, t->count ? t->all[t->count - 1].ends : t->from, t->from);
}

static double x_of(const times *t, int64_t ms)
{
    return (double)(ms - t->from) * WIDTH / (double)(t->to - t->from);
}

static void bar(spawn_page *page, const times *t, const char *kind, unsigned y,
                int64_t from, int64_t to)
{
    double x = x_of(t, from), width = x_of(t, to) - x;

    if (width < 3)
        width = 3; /* it is to be seen */
    if (x + width > WIDTH)
        x = WIDTH - width;
    spawn_page_format(page,
                      "<rect class=\"%s\" x=\"%.1f\" y=\"%u\" width=\"%.1f\" "
                      "height=\"%d\"/>",
                      kind, x, y, width, BAR);
}

static void put_picture(spawn_page *page, const times *t)
{
    unsigned i;

    spawn_page_format(
        page,
        "<svg class=\"timeline\" viewBox=\"0 0 %d %u\" height=\"%u\" "
        "preserveAspectRatio=\"none\" aria-hidden=\"true\">",
        WIDTH, t->count * ROW, t->count * ROW);
    for (i = 0; i < t->count; i++) {
        const attempt *a = &t->all[i];
        unsigned y = i * ROW + (ROW - BAR) / 2;

        spawn_page_format(page,
                          "<rect class=\"track\" y=\"%u\" width=\"%d\" "
                          "height=\"%d\"/>",
                          y, WIDTH, BAR);
        bar(page, t, "waits", y, a->waits, a->starts ? a->starts : a->ends);
        if (a->starts)
            bar(page, t, "runs", y, a->starts, a->ends);
    }
    spawn_page_html(page, "</svg>\n<p class=\"key\" aria-hidden=\"true\">"
                          "<span class=\"waits\"></span> waited "
                          "<span class=\"runs\"></span> ran</p>\n");
}

static void step(spawn_page *page, const char *word, int64_t at, int64_t since)
{
    char iso[64], local[64];

    if (!at)
        return;
    spawn_time_iso((uint64_t)at, iso, sizeof(iso));
    spawn_time_local((uint64_t)at, local, sizeof(local));
    spawn_page_format(page, "<li><b>%s</b> <time datetime=\"%s\">%s</time>",
                      word, iso, local);
    if (since && at >= since) {
        spawn_page_html(page, " <span class=\"soft\">after ");
        spawn_page_duration(page, at - since);
        spawn_page_html(page, "</span>");
    }
    spawn_page_html(page, "</li>\n");
}

void spawn_timeline(spawn_page *page, const spawn_message *job)
{
    int64_t submitted = time_of(job, SPAWN_A_SUBMITTED_AT);
    int64_t started = time_of(job, SPAWN_A_STARTED_AT);
    bool done = spawn_u64_or(job, SPAWN_A_STATE, 0) == SPAWN_STATE_DONE;
    int64_t ended = done ? time_of(job, SPAWN_A_ENDED_AT) : 0;
    times t = {.count = 0, .from = submitted, .to = submitted + 1};

    spawn_attempts_each(job, add_attempt, &t);
    /* one that was lost has no end: it is drawn as far as is known */
    add(&t, job, t.count ? t.all[t.count - 1].ends : submitted,
        done ? submitted : page->now);
    put_picture(page, &t);
    spawn_page_html(page, "<ol class=\"times\">\n");
    step(page, "Submitted", submitted, 0);
    step(page, "Due", time_of(job, SPAWN_A_DUE_AT), submitted);
    step(page, "Started", started, t.all[t.count - 1].waits);
    step(page, "Ended", ended, started);
    step(page, "Expires", done ? 0 : time_of(job, SPAWN_A_EXPIRES_AT), 0);
    spawn_page_html(page, "</ol>\n");
}
