/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of jobs: the next one that a filter lets through, in the order in which
 * they came, or the other way. Runs in the broker. Must look at a bounded
 * number of rows and of bytes at once, however big the history is and however
 * few are let through; where an index has the few that can be, it is used.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/job/body.h"
#include "broker/store/parts.h"
#include "broker/store/row.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

/* So many bytes of orders are read in one look. */
#define READ_MOST (2u << 20)

/* A row that is late by less is not noted: a clock is set back a little, and a
 * submit takes its time. */
#define SLACK 3600000 /* ms */

#define LATE "late" /* in meta */

/* The type of the pointer ?10, for SQLite. */
#define FILTER_POINTER "spawn_list_filter"

/* ?1: behind which row; ?4: up to which; ?2 states; ?3 queue; ?6 ended as; ?11,
 * ?12 submitted from and before; ?13 ended from; ?7 not all may be seen; ?5 the
 * order is to be read. The condition that costs most comes last. */
#define CHOSEN                                                                 \
    " AND (?2 = 0 OR ?2 & (1 << " SPAWN_ROW_TOLD ")"                           \
    " OR (?2 & 64 AND dead = 1)) AND (?3 = '' OR queue = ?3)"                  \
    " AND (?6 = 0 OR (state = 4 AND (?6 & (1 << outcome)"                      \
    " OR (?6 & 4294967296 AND (" SPAWN_FAILED ")))))"                          \
    " AND submitted_at >= ?11 AND submitted_at < ?12"                          \
    " AND (?13 = 0 OR (state = 4 AND ended_at >= ?13))"                        \
    " AND (?7 = 0 OR seen(queue, ?10))"                                        \
    " AND (?5 = 0 OR chosen(id, queue, text, body, ?10))"
_Static_assert(SPAWN_STATES_DEAD == 64, "as in CHOSEN");
_Static_assert(SPAWN_ENDED_FAILED == 4294967296, "as in CHOSEN");

#define ROW(index, which, behind, up_to, order)                                \
    SPAWN_ROW_COLUMNS index "WHERE " which "seq " behind " ?1 AND seq " up_to  \
                            " ?4" CHOSEN " ORDER BY seq " order " LIMIT 1"
/* Where a look at so many rows ends. */
#define SOME(end, index, which, behind, up_to, order)                          \
    "SELECT " end "(seq) FROM (SELECT seq FROM job " index "WHERE " which      \
    "seq " behind " ?1 AND seq " up_to " ?3 ORDER BY seq " order " LIMIT ?2)"

#define BOTH_WAYS(index, which)                                                \
    {                                                                          \
        {ROW(index, which, "<", ">=", "DESC"),                                 \
         SOME("min", index, which, "<", ">=", "DESC")},                        \
        {                                                                      \
            ROW(index, which, ">", "<=", "ASC"),                               \
                SOME("max", index, which, ">", "<=", "ASC")                    \
        }                                                                      \
    }

/* Which rows are looked at: all, the few that are open, or dead, or that have
 * failed. Prepared when they are wanted first: each has some kB. */
static const struct {
    const char *row, *some;
} lists[SPAWN_LISTS][2] = {
    [SPAWN_LIST_ALL] = BOTH_WAYS("", ""),
    [SPAWN_LIST_OPEN] = BOTH_WAYS("INDEXED BY job_open ", "state < 4 AND "),
    [SPAWN_LIST_DEAD] = BOTH_WAYS("INDEXED BY job_dead ", "dead = 1 AND "),
    [SPAWN_LIST_FAILED] =
        BOTH_WAYS("INDEXED BY job_failed ", SPAWN_FAILED " AND ")};

#define AT(name) offsetof(spawn_store, list.name)
static const spawn_statement all[] = {
    {AT(place), "SELECT seq, submitted_at FROM job WHERE seq >= ?1"
                " ORDER BY seq LIMIT 1"},
    {AT(ends), "SELECT (SELECT min(seq) FROM job),"
               " (SELECT max(seq) FROM job)"},
    {AT(newest_row),
     "SELECT max(submitted_at), seq FROM"
     " (SELECT submitted_at, seq FROM job ORDER BY seq DESC LIMIT 100)"},
    {AT(late), "SELECT value FROM meta WHERE key = '" LATE "'"},
    {AT(note), "INSERT OR REPLACE INTO meta VALUES('" LATE "', ?1)"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

/* ---- what an order says, as a function of SQL ---- */

static bool has_text(const spawn_attr *texts, const char *wanted)
{
    uint32_t left = spawn_strv_count(texts);
    const char *text = NULL;

    while (left-- > 0) {
        text = spawn_strv_next(texts, text);
        if (strcmp(text, wanted) == 0)
            return true;
    }
    return false;
}

static bool of_context(const spawn_message *m, const spawn_attr *wanted)
{
    uint32_t left = wanted->data ? spawn_strv_count(wanted) : 0;
    const char *text = NULL;

    if (left && !spawn_has(m, SPAWN_A_CONTEXT))
        return false;
    while (left-- > 0) {
        text = spawn_strv_next(wanted, text);
        if (!has_text(&m->attr[SPAWN_A_CONTEXT], text))
            return false;
    }
    return true;
}

/* In capitals or not, as far as it is ASCII. */
static bool in_text(const spawn_message *m, unsigned attr, const char *wanted)
{
    return spawn_has(m, attr)
           && strcasestr(spawn_attr_str(&m->attr[attr]), wanted) != NULL;
}

static bool in_texts(const spawn_message *m, unsigned attr, uint32_t first,
                     const char *wanted)
{
    uint32_t left = spawn_has(m, attr) ? spawn_strv_count(&m->attr[attr]) : 0;
    const char *text = NULL;

    if (left > first)
        left = first;
    while (left-- > 0) {
        text = spawn_strv_next(&m->attr[attr], text);
        if (strcasestr(text, wanted))
            return true;
    }
    return false;
}

static bool of_text(const spawn_message *m, const char *wanted)
{
    return in_texts(m, SPAWN_A_ARGV, UINT32_MAX, wanted)
           || in_text(m, SPAWN_A_FUNCTION, wanted)
           || in_text(m, SPAWN_A_LABEL, wanted)
           || in_texts(m, SPAWN_A_CONTEXT, UINT32_MAX, wanted);
}

static bool in_value(sqlite3_value *value, const char *wanted)
{
    const char *text = (const char *)sqlite3_value_text(value);

    return text && strcasestr(text, wanted);
}

static bool in_id(sqlite3_value *value, const char *wanted)
{
    char text[SPAWN_ID_TEXT];
    spawn_id id;

    if (sqlite3_value_bytes(value) != SPAWN_ID_SIZE)
        return false;
    memcpy(id.bytes, sqlite3_value_blob(value), SPAWN_ID_SIZE);
    return strcasestr(spawn_id_format(&id, text), wanted) != NULL;
}

static bool is_chosen(const spawn_list_filter *f, sqlite3_value **values)
{
    const void *body = sqlite3_value_blob(values[3]);
    spawn_message m;

    if (!body
        || spawn_body_parse(body, (size_t)sqlite3_value_bytes(values[3]),
                            SPAWN_M_SUBMIT, SPAWN_FDS_MAX, &m, NULL))
        return false;
    return of_context(&m, &f->context)
           && (!f->what || in_texts(&m, SPAWN_A_ARGV, 1, f->what)
               || in_text(&m, SPAWN_A_FUNCTION, f->what))
           && (!f->label || in_text(&m, SPAWN_A_LABEL, f->label))
           && (!f->search || in_id(values[0], f->search)
               || in_value(values[1], f->search)
               || in_value(values[2], f->search) || of_text(&m, f->search));
}

/* chosen(id, queue, text, body, pointer to the filter). Where enough was read,
 * the look ends with this row. */
static void chosen(sqlite3_context *context, int count, sqlite3_value **values)
{
    spawn_list_filter *f = sqlite3_value_pointer(values[4], FILTER_POINTER);

    (void)count;
    if (f && f->read >= READ_MOST) {
        f->stopped = true;
        sqlite3_result_int(context, 1);
        return;
    }
    if (f)
        f->read += (size_t)sqlite3_value_bytes(values[3]);
    sqlite3_result_int(context, f && is_chosen(f, values));
}

/* seen(queue, pointer to the filter) */
static void seen(sqlite3_context *context, int count, sqlite3_value **values)
{
    const spawn_list_filter *filter =
        sqlite3_value_pointer(values[1], FILTER_POINTER);
    const char *queue = (const char *)sqlite3_value_text(values[0]);

    (void)count;
    sqlite3_result_int(context,
                       filter && queue && filter->sees(filter->who, queue));
}

/* ---- rows that came late ---- */

static int64_t first_row(spawn_part_list *l)
{
    return spawn_sql_number(l->ends); /* its first column */
}

/* The newest row that was noted counts as long as it is there: a clock may have
 * been far ahead. Else some of the last rows say how new it is. */
static void read_late(spawn_part_list *l)
{
    long long by = 0, seq = 0, newest = 0, newest_seq = 0;
    const char *text;

    if (sqlite3_step(l->late) == SQLITE_ROW) {
        text = (const char *)sqlite3_column_text(l->late, 0);
        if (!text
            || sscanf(text, "%lld %lld %lld %lld", &by, &seq, &newest,
                      &newest_seq)
                   != 4)
            by = seq = newest = newest_seq = 0;
    }
    spawn_sql_reset(l->late);
    l->late_by = by;
    l->late_seq = seq;
    l->late_noted = true;
    l->newest = l->newest_seq = 0;
    if (sqlite3_step(l->newest_row) == SQLITE_ROW) {
        l->newest = sqlite3_column_int64(l->newest_row, 0);
        l->newest_seq = sqlite3_column_int64(l->newest_row, 1);
    }
    spawn_sql_reset(l->newest_row);
    if (l->newest < newest && newest_seq >= first_row(l)) {
        l->newest = newest;
        l->newest_seq = newest_seq;
    }
}

void spawn_store_came(spawn_store *store, int64_t seq, int64_t at)
{
    spawn_part_list *l = &store->list;

    if (at >= l->newest) {
        l->newest = at;
        l->newest_seq = seq;
        return;
    }
    if (l->newest - at <= SLACK)
        return;
    if (l->late_by < l->newest - at)
        l->late_by = l->newest - at;
    l->late_seq = seq;
    l->late_noted = false;
}

int spawn_store_note_late(spawn_store *store)
{
    spawn_part_list *l = &store->list;
    char text[100];

    if (l->late_noted)
        return 0;
    (void)snprintf(text, sizeof(text), "%lld %lld %lld %lld",
                   (long long)l->late_by, (long long)l->late_seq,
                   (long long)l->newest, (long long)l->newest_seq);
    (void)sqlite3_bind_text(l->note, 1, text, -1, SQLITE_STATIC);
    return spawn_sql_step(l->note);
}

void spawn_store_late_noted(spawn_store *store)
{
    store->list.late_noted = true;
}

/* No row has a time that lies further before that of an earlier one. The
 * noted difference goes with the last such row, and may be too much after a
 * rollback. */
static int64_t slack(spawn_part_list *l)
{
    return l->late_seq && l->late_seq >= first_row(l) && l->late_by > SLACK
               ? l->late_by
               : SLACK;
}

/* ---- statements ---- */

int spawn_store_prepare_list(spawn_store *store)
{
    int rv = sqlite3_create_function(store->db, "chosen", 5, SQLITE_UTF8, NULL,
                                     chosen, NULL, NULL);

    if (!rv)
        rv = sqlite3_create_function(store->db, "seen", 2, SQLITE_UTF8, NULL,
                                     seen, NULL, NULL);
    if (rv || spawn_sql_prepare(store, all, STATEMENTS))
        return -1;
    read_late(&store->list);
    return 0;
}

void spawn_store_finish_list(spawn_store *store)
{
    spawn_part_list *l = &store->list;
    unsigned i, way;

    spawn_sql_finish(store, all, STATEMENTS);
    for (i = 0; i < SPAWN_LISTS; i++) {
        for (way = 0; way < 2; way++) {
            (void)sqlite3_finalize(l->row[i][way]);
            (void)sqlite3_finalize(l->some[i][way]);
            l->row[i][way] = l->some[i][way] = NULL;
        }
    }
}

static bool prepare(spawn_store *store, const char *sql, sqlite3_stmt **s)
{
    return *s
           || sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                 s, NULL)
                  == SQLITE_OK;
}

static bool only_failed(uint64_t ended)
{
    const uint64_t well =
        1u << SPAWN_OUTCOME_EXITED | 1u << SPAWN_OUTCOME_CANCELLED;

    return ended && !(ended & well);
}

static unsigned list_for(const spawn_list_filter *filter)
{
    const uint64_t ended = 1u << SPAWN_STATE_DONE | SPAWN_STATES_DEAD;

    if (filter->states == SPAWN_STATES_DEAD)
        return SPAWN_LIST_DEAD;
    if (only_failed(filter->ended))
        return SPAWN_LIST_FAILED;
    return filter->states == 0 || filter->states & ended ? SPAWN_LIST_ALL
                                                         : SPAWN_LIST_OPEN;
}

/* A store that had no room for its index is read without it. */
static unsigned statements(spawn_store *store, const spawn_list_filter *filter,
                           sqlite3_stmt **ret_row, sqlite3_stmt **ret_some)
{
    spawn_part_list *l = &store->list;
    unsigned way = filter->oldest_first, which = list_for(filter);

    if (!prepare(store, lists[which][way].row, &l->row[which][way])
        || !prepare(store, lists[which][way].some, &l->some[which][way])) {
        which = SPAWN_LIST_ALL;
        (void)prepare(store, lists[which][way].row, &l->row[which][way]);
        (void)prepare(store, lists[which][way].some, &l->some[which][way]);
    }
    *ret_row = l->row[which][way];
    *ret_some = l->some[which][way];
    return which;
}

/* ---- where to look ---- */

/* The first row from which on all were submitted at this time or later, if
 * none came late: halving finds it in some twenty reads. */
static int64_t first_since(spawn_store *store, int64_t ms, bool *ret_found)
{
    sqlite3_stmt *s = store->list.ends;
    int64_t low = 0, high = 0, end;

    if (sqlite3_step(s) == SQLITE_ROW) {
        low = sqlite3_column_int64(s, 0);
        high = sqlite3_column_int64(s, 1) + 1;
    }
    spawn_sql_reset(s);
    end = high;
    s = store->list.place;
    while (low < high) {
        int64_t middle = low + (high - low) / 2, seq = high, at = 0;

        (void)sqlite3_bind_int64(s, 1, middle);
        if (sqlite3_step(s) == SQLITE_ROW) {
            seq = sqlite3_column_int64(s, 0);
            at = sqlite3_column_int64(s, 1);
        }
        spawn_sql_reset(s);
        if (seq >= high || at >= ms)
            high = middle;
        else
            low = seq + 1;
    }
    *ret_found = low < end;
    return low;
}

void spawn_store_list_narrow(spawn_store *store, spawn_list_filter *filter)
{
    const int64_t late = slack(&store->list);
    int64_t from = 0, to = INT64_MAX;
    bool found;

    if (filter->since > late)
        from = first_since(store, filter->since - late, &found);
    if (filter->until && filter->until < INT64_MAX - late) {
        to = first_since(store, filter->until + late, &found);
        if (!found)
            to = INT64_MAX; /* of those that come meanwhile, too */
    }
    if (filter->oldest_first) {
        filter->up_to = to;
        if (filter->before < from - 1)
            filter->before = from - 1;
    }
    else {
        filter->up_to = from;
        if (filter->before > to)
            filter->before = to;
    }
}

static bool reads(const spawn_list_filter *filter)
{
    return filter->context.data || filter->what || filter->label
           || filter->search;
}

/* Else thousands of rows that are left out would be one long look. 1; 0: there
 * are no more rows; -1. */
static int bound(sqlite3_stmt *s, spawn_list_filter *filter)
{
    const bool back = filter->oldest_first;
    int rv;

    if (filter->from
        && (back ? filter->from > filter->before
                 : filter->from < filter->before))
        return 1;
    filter->looks = reads(filter) ? SPAWN_LIST_READS : SPAWN_LIST_LOOKS;
    (void)sqlite3_bind_int64(s, 1, filter->before);
    (void)sqlite3_bind_int64(s, 2, filter->looks);
    (void)sqlite3_bind_int64(
        s, 3, back && !filter->up_to ? INT64_MAX : filter->up_to);
    rv = sqlite3_step(s);
    rv = rv == SQLITE_ROW ? sqlite3_column_type(s, 0) != SQLITE_NULL : -1;
    if (rv == 1)
        filter->from = sqlite3_column_int64(s, 0);
    spawn_sql_reset(s);
    return rv;
}

static void bind_all(sqlite3_stmt *s, spawn_list_filter *filter)
{
    (void)sqlite3_bind_int64(s, 1, filter->before);
    (void)sqlite3_bind_int64(s, 2, (int64_t)filter->states);
    (void)sqlite3_bind_text(s, 3, filter->queue, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 4, filter->from);
    (void)sqlite3_bind_int(s, 5, reads(filter));
    (void)sqlite3_bind_int64(s, 6, (int64_t)filter->ended);
    (void)sqlite3_bind_int(s, 7, filter->sees != NULL);
    spawn_row_bind_now(s);
    (void)sqlite3_bind_pointer(s, 10, filter, FILTER_POINTER, NULL);
    (void)sqlite3_bind_int64(s, 11, filter->since);
    (void)sqlite3_bind_int64(s, 12, filter->until ? filter->until : INT64_MAX);
    (void)sqlite3_bind_int64(s, 13, filter->ended_since);
}

/* It was looked at enough, or up to where it was to be. */
static int goes_on(spawn_list_filter *filter, int64_t behind)
{
    filter->looked += filter->looks;
    filter->before = behind;
    filter->from = 0;
    return 2;
}

int spawn_store_answer_list(spawn_store *store, spawn_list_filter *filter,
                            uint32_t asked, spawn_writer *w)
{
    const spawn_row_parts parts = {filter->argv_limited ? filter->argv_most
                                                        : SIZE_MAX,
                                   false, false, false, NULL};
    sqlite3_stmt *some, *s;
    int64_t seq;
    int rv;

    (void)statements(store, filter, &s, &some);
    if (!s || !some)
        return -1; /* no memory for them */
    filter->read = 0;
    filter->stopped = false;
    rv = bound(some, filter);
    if (rv != 1)
        return rv;
    bind_all(s, filter);
    rv = sqlite3_step(s);
    if (rv == SQLITE_ROW) {
        seq = sqlite3_column_int64(s, 0);
        if (filter->stopped) {
            rv = goes_on(filter, filter->oldest_first ? seq - 1 : seq + 1);
        }
        else {
            filter->read += (size_t)sqlite3_column_bytes(s, SPAWN_ROW_BODY);
            filter->before = seq;
            filter->looked++;
            rv = spawn_row_put(store, s, &parts, asked, w);
        }
    }
    else {
        rv = rv == SQLITE_DONE ? goes_on(filter, filter->from) : -1;
    }
    spawn_sql_reset(s);
    return rv;
}
