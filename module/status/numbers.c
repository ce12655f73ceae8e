/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's numbers of a queue, as cells of a table and as JSON. Runs in
 * httpd children, in the thread of the request. Must say with each picture what
 * it shows, for people who do not see it, and must show no number more exactly
 * than it is known.
 */
#include "module/status/numbers.h"

#include <string.h>

#include "common/spawn_os.h"
#include "module/status/json.h"

#define MINUTE_MS 60000
#define STEP      3 /* of the picture, for a minute: a bar of 2, and a gap */
#define BAR       2
#define HEIGHT    24

static const unsigned percents[] = {50, 95};

const spawn_meter_row *spawn_numbers_of(const spawn_meters_answer *all,
                                        const char *queue)
{
    unsigned i;

    for (i = 0; i < all->count; i++) {
        if (strcmp(all->queues[i].queue, queue) == 0)
            return &all->queues[i];
    }
    return NULL;
}

void spawn_numbers_hour(const spawn_meters_answer *all, uint64_t *ret_ended,
                        uint64_t *ret_failed)
{
    uint64_t ended, failed;
    unsigned i;

    if (all->whole.has_jobs) {
        spawn_meter_hour(&all->whole, ret_ended, ret_failed);
        return;
    }
    *ret_ended = *ret_failed = 0;
    for (i = 0; i < all->count; i++) {
        spawn_meter_hour(&all->queues[i], &ended, &failed);
        *ret_ended += ended;
        *ret_failed += failed;
    }
}

/* ---- the last hour ---- */

static uint64_t most_in_a_minute(const spawn_meter_row *row)
{
    uint64_t most = 0;
    unsigned i;

    for (i = 0; i < SPAWN_TIMES_MINUTES; i++) {
        if (row->minutes[i].ended > most)
            most = row->minutes[i].ended;
    }
    return most;
}

/* One of thousands is to be seen. */
static unsigned height_of(uint64_t number, uint64_t most)
{
    double height = (double)number * HEIGHT / (double)most;

    return height < 1 ? 1 : height > HEIGHT ? HEIGHT : (unsigned)height;
}

/* One path for all minutes: a page may have hundreds of queues. */
static void put_bars(spawn_page *page, const spawn_meter_row *row,
                     const char *kind, uint64_t most, bool failed)
{
    unsigned i;

    spawn_page_format(page, "<path class=\"%s\" d=\"", kind);
    for (i = 0; i < SPAWN_TIMES_MINUTES; i++) {
        uint64_t number =
            failed ? row->minutes[i].failed : row->minutes[i].ended;

        if (number)
            spawn_page_format(page, "M%u %dv-%uh%dV%dz", i * STEP, HEIGHT,
                              height_of(number, most), BAR, HEIGHT);
    }
    spawn_page_html(page, "\"/>");
}

static void put_picture(spawn_page *page, const spawn_meter_row *row,
                        uint64_t ended, uint64_t failed)
{
    uint64_t most = most_in_a_minute(row);

    spawn_page_format(
        page,
        "<svg class=\"spark\" viewBox=\"0 0 %d %d\" "
        "preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Jobs that "
        "ended "
        "in each of the last 60 minutes: %llu in all, at most %llu in a "
        "minute; %llu failed\"><path class=\"floor\" d=\"M0 %dh%d\"/>",
        STEP * SPAWN_TIMES_MINUTES, HEIGHT, (unsigned long long)ended,
        (unsigned long long)most, (unsigned long long)failed, HEIGHT,
        STEP * SPAWN_TIMES_MINUTES);
    put_bars(page, row, "ends", most, false);
    if (failed)
        put_bars(page, row, "fails", most, true);
    spawn_page_html(page, "</svg>");
}

void spawn_numbers_put_hour(spawn_page *page, const spawn_meter_row *row)
{
    uint64_t ended, failed;

    if (!row || !row->has_jobs) {
        spawn_page_html(page, "-");
        return;
    }
    spawn_meter_hour(row, &ended, &failed);
    spawn_page_format(page, "<span class=\"of\"><b>%llu</b> ended",
                      (unsigned long long)ended);
    if (failed)
        spawn_page_format(page, ", <b class=\"failed\">%llu failed</b>",
                          (unsigned long long)failed);
    spawn_page_html(page, "</span>");
    if (ended)
        put_picture(page, row, ended, failed);
}

/* Minutes are those of the clock since the boot, the present one is counted. */
uint64_t spawn_numbers_hour_began(const spawn_page *page)
{
    int64_t into = spawn_mono_ms() % MINUTE_MS;

    return (uint64_t)(page->now - into)
           - (SPAWN_TIMES_MINUTES - 1) * (uint64_t)MINUTE_MS;
}

/* ---- how long ---- */

static void put_span(spawn_page *page, uint64_t us)
{
    if (us < 1000)
        spawn_page_html(page, "&lt; 1 ms");
    else if (us < 1000000)
        spawn_page_format(page, "%u ms", (unsigned)(us / 1000));
    else
        spawn_page_duration(page, (int64_t)(us / 1000));
}

void spawn_numbers_put_times(spawn_page *page, const spawn_times *times)
{
    size_t i;

    for (i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
        uint64_t us;
        int known = spawn_times_quantile(times, percents[i], &us);

        if (!known) {
            spawn_page_html(page, "-");
            return;
        }
        spawn_page_format(page,
                          "<span class=\"p\"><span class=\"soft\">p%u"
                          "</span> %s",
                          percents[i], known < 0 ? "&gt; " : "");
        put_span(page, us);
        spawn_page_html(page, "</span> ");
    }
}

/* ---- as JSON ---- */

static void told_minutes(spawn_page *page, const char *key,
                         const spawn_meter_row *row, bool failed)
{
    unsigned i;

    spawn_json_open(page, key, '[');
    for (i = 0; i < SPAWN_TIMES_MINUTES; i++)
        spawn_json_number(page, NULL,
                          failed ? row->minutes[i].failed
                                 : row->minutes[i].ended);
    spawn_json_close(page, ']');
}

static void told_seconds(spawn_page *page, const char *key, uint64_t us)
{
    spawn_json_word(page, key,
                    apr_psprintf(page->r->pool,
                                 "%" APR_UINT64_T_FMT ".%06" APR_UINT64_T_FMT,
                                 us / 1000000, us % 1000000));
}

static void told_times(spawn_page *page, const char *key,
                       const spawn_times *times)
{
    apr_pool_t *p = page->r->pool;
    size_t i;

    spawn_json_open(page, key, '{');
    spawn_json_number(page, "count", times->count);
    for (i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
        const char *name = apr_psprintf(p, "p%u", percents[i]);
        uint64_t us;
        int known = spawn_times_quantile(times, percents[i], &us);

        if (known)
            told_seconds(page, name, us);
        else
            spawn_json_word(page, name, "null");
        if (known < 0)
            spawn_json_word(page, apr_pstrcat(p, name, "_over", NULL), "true");
    }
    spawn_json_close(page, '}');
}

static void told_row(spawn_page *page, const char *key,
                     const spawn_meter_row *row)
{
    uint64_t ended, failed;

    spawn_meter_hour(row, &ended, &failed);
    spawn_json_open(page, key, '{');
    if (!key)
        spawn_json_text(page, "queue", row->queue);
    spawn_json_number(page, "ended_last_hour", ended);
    spawn_json_number(page, "failed_last_hour", failed);
    told_minutes(page, "ended_by_minute", row, false);
    told_minutes(page, "failed_by_minute", row, true);
    told_times(page, "wait_seconds", &row->waited);
    told_times(page, "run_seconds", &row->ran);
    told_times(page, "wait_seconds_last_hour", &row->waited_hour);
    told_times(page, "run_seconds_last_hour", &row->ran_hour);
    if (!key && row->oldest_at)
        told_seconds(page, "oldest_waiting_seconds",
                     page->now > (int64_t)row->oldest_at
                         ? (uint64_t)page->now * 1000 - row->oldest_at * 1000
                         : 0);
    else if (!key)
        spawn_json_word(page, "oldest_waiting_seconds", "null");
    spawn_json_close(page, '}');
}

void spawn_numbers_told(spawn_page *page, const spawn_meters_answer *all)
{
    unsigned i;

    spawn_json_open(page, "numbers", '{');
    spawn_json_time(page, "since", all->pair[SPAWN_PAIR_SINCE]);
    if (all->whole.has_jobs)
        told_row(page, "all", &all->whole);
    spawn_json_open(page, "queues", '[');
    for (i = 0; i < all->count; i++) {
        if (all->queues[i].has_jobs)
            told_row(page, NULL, &all->queues[i]);
    }
    spawn_json_close(page, ']');
    spawn_json_close(page, '}');
}
