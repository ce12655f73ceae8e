/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brokers with recurring jobs, whose clock the test steps. For unit tests.
 */
#ifndef BROKER_CRONS_H
#define BROKER_CRONS_H

#include "t/unit/broker_clock.h"

#include <time.h>

typedef struct {
    const char *name, *schedule, *zone;
    unsigned catch_up;
    bool overlap;
    uint64_t timeout; /* ms; 0: none is given */
    void (*rules)(spawn_writer *w);
} entry;

static entry entries[8];
static unsigned entries_count;
static spawn_id run;

/* ---- the configuration ---- */

static inline void put_entries(spawn_writer *w)
{
    unsigned i;

    for (i = 0; i < entries_count; i++) {
        const entry *e = &entries[i];
        size_t nest = spawn_open_nest(w, SPAWN_A_CRON_RULES), list;

        spawn_put_str(w, SPAWN_A_CRON, e->name);
        spawn_put_str(w, SPAWN_A_CRON_SCHEDULE, e->schedule);
        spawn_put_str(w, SPAWN_A_CRON_ZONE, e->zone ? e->zone : "UTC");
        spawn_put_u64(w, SPAWN_A_CRON_CATCH_UP, e->catch_up);
        spawn_put_u64(w, SPAWN_A_CRON_OVERLAP, e->overlap);
        if (e->timeout)
            spawn_put_u64(w, SPAWN_A_TIMEOUT, e->timeout);
        if (e->rules)
            e->rules(w);
        list = spawn_open_strv(w, SPAWN_A_ARGV);
        spawn_add_text(w, list, "/bin/true", 9);
        spawn_close(w, list);
        spawn_close(w, nest);
    }
}

static inline void one(const char *schedule, unsigned catch_up, bool overlap)
{
    entries[0] = (entry){.name = "it",
                         .schedule = schedule,
                         .catch_up = catch_up,
                         .overlap = overlap};
    entries_count = 1;
    more_rules = put_entries;
    log_is_kept = true;
}

/* ---- the clock ---- */

/* Seconds of Unix time; the text is in UTC. */
static inline int64_t time_of(const char *text)
{
    struct tm tm;

    memset(&tm, 0, sizeof(tm));
    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
    return (int64_t)timegm(&tm);
}

/* The clock is this; a broker that runs sees it in its next turn, not within
 * one. */
static inline void it_is(const char *text)
{
    if (broker > 0 && caller >= 0)
        has_heard();
    steps[0] = time_of(text) - spawn_wall_ms() / 1000;
}

static inline void expect_time_of(const spawn_id *id, const char *wanted)
{
    time_t t = (time_t)(spawn_id_time(id) / 1000);
    struct tm tm;
    char text[40];

    assert_non_null(gmtime_r(&t, &tm));
    (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    assert_string_equal(text, wanted);
}

/* An id that is made now, by the clock of the broker. */
static inline void make_id(spawn_id *ret)
{
    uint64_t ms = (uint64_t)(spawn_wall_ms() + steps[0] * 1000);
    int i;

    (void)spawn_id_make(ret);
    for (i = 0; i < 6; i++)
        ret->bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
}

/* ---- brokers and runs ---- */

static inline void starts(void)
{
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    has_heard();
}

static inline void is_stopped(void)
{
    end_broker();
    (void)close(caller);
}

static inline void expect_run(const char *planned)
{
    expect(SPAWN_M_LAUNCH);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &run);
    assert_true(spawn_id_valid(&run));
    if (planned)
        expect_time_of(&run, planned);
}

/* What is planned for one o'clock. */
static inline void starts_and_runs(void)
{
    it_is("2027-01-01 12:59:30");
    starts();
    later_by(40);
    expect_run("2027-01-01 13:00:00");
}

static inline void it_ends(int status)
{
    say_started(&run);
    say_exited(&run, 0, status);
    expect_id(SPAWN_M_FORGET, &run);
}

static inline void no_run(void)
{
    has_heard();
    quiet_for(100);
}

static inline void ask_cron(uint64_t what, const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_CRON, id);
    spawn_put_u64(&w, SPAWN_A_CRON_DO, what);
    if (what != SPAWN_CRON_LIST)
        spawn_put_str(&w, SPAWN_A_CRON, "it");
    ask(&w);
}

static inline void expect_end_of_rows(void)
{
    expect_answer(SPAWN_M_END);
}

static inline void do_cron(uint64_t what)
{
    ask_cron(what, NULL);
    expect_answer(SPAWN_M_CRON_ENTRY);
    expect_end_of_rows();
}

static inline bool is_in_log(const char *text)
{
    return logged(text) > 0;
}

/* It runs and ends, and with its end the next one comes. */
static inline void then_comes(const char *planned)
{
    spawn_id before = run;

    say_started(&run);
    say_exited(&run, 0, 0);
    expect_run(planned);
    expect_id(SPAWN_M_FORGET, &before);
    no_run(); /* one after the other */
}

#endif
