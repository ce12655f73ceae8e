/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's answer about a job, as an Apache2::Spawn::Result. Runs in
 * callers. Must taint what other processes wrote.
 */
#include <string.h>

#include "perl/xs/spawn_perl.h"
#include "common/spawn_field.h"

/* A value that a job or another caller has written. */
static SV *foreign(pTHX_ SV *sv)
{
    spawn_perl_taint(aTHX_ sv);
    return sv;
}

/* An attribute without a value is left out: its method gives undef. */
static void put_number(pTHX_ HV *hv, const char *key, const spawn_message *m,
                       unsigned attr)
{
    if (spawn_has(m, attr))
        (void)hv_store(hv, key, (I32)strlen(key),
                       newSVuv((UV)spawn_attr_u64(&m->attr[attr])), 0);
}

static void put_seconds(pTHX_ HV *hv, const char *key, const spawn_message *m,
                        unsigned attr, double unit)
{
    if (spawn_has(m, attr) && spawn_attr_u64(&m->attr[attr]) > 0)
        (void)hv_store(hv, key, (I32)strlen(key),
                       newSVnv((NV)spawn_attr_u64(&m->attr[attr]) * unit), 0);
}

static void put_string(pTHX_ HV *hv, const char *key, const spawn_message *m,
                       unsigned attr)
{
    if (spawn_has(m, attr))
        (void)hv_store(
            hv, key, (I32)strlen(key),
            foreign(aTHX_ newSVpv(spawn_attr_str(&m->attr[attr]), 0)), 0);
}

static void put_bytes(pTHX_ HV *hv, const char *key, const uint8_t *data,
                      size_t length)
{
    (void)hv_store(hv, key, (I32)strlen(key),
                   foreign(aTHX_ newSVpvn((const char *)data, length)), 0);
}

/* The kept part of an output: all, or beginning and end (or nothing). */
static void put_output(pTHX_ HV *hv, unsigned which, const spawn_message *m,
                       unsigned attr, unsigned lost)
{
    static const char *const keys[2][3] = {
        {"stdout", "stdout_lost", "stdout_end"},
        {"stderr", "stderr_lost", "stderr_end"}};
    const char *const *key = keys[which];
    const spawn_attr *a = &m->attr[attr];
    const spawn_attr *all_cut = &m->attr[SPAWN_A_CUT];
    uint64_t cut = spawn_has(m, SPAWN_A_CUT)
                           && spawn_u64v_count(all_cut) == SPAWN_CUT_COUNT
                       ? spawn_u64v_at(all_cut, which)
                       : 0;
    uint64_t more = spawn_u64_or(m, lost, 0);
    size_t head = a->length;

    if (!spawn_has(m, attr))
        return;
    if (cut && head > SPAWN_KEPT_HEAD)
        head = SPAWN_KEPT_HEAD;
    put_bytes(aTHX_ hv, key[0], a->data, head);
    (void)hv_store(
        hv, key[1], (I32)strlen(key[1]),
        more == SPAWN_LOST_ALL ? newSViv(-1) : newSVuv((UV)(more + cut)), 0);
    if (cut)
        put_bytes(aTHX_ hv, key[2], a->data + head, a->length - head);
}

static void put_argv(pTHX_ HV *hv, const spawn_attr *a)
{
    AV *av = newAV();
    const char *text = NULL;
    uint32_t i;

    for (i = 0; i < spawn_strv_count(a); i++) {
        text = spawn_strv_next(a, text);
        av_push(av, foreign(aTHX_ newSVpv(text, 0)));
    }
    (void)hv_stores(hv, "argv", newRV_noinc((SV *)av));
}

static void put_context(pTHX_ HV *hv, const spawn_attr *a)
{
    HV *context = newHV();
    const char *text = NULL;
    uint32_t i;

    for (i = 0; i < spawn_strv_count(a); i++) {
        const char *eq;

        text = spawn_strv_next(a, text);
        eq = strchr(text, '=');
        if (eq)
            (void)hv_store(context, text, (I32)(eq - text),
                           foreign(aTHX_ newSVpv(eq + 1, 0)), 0);
    }
    (void)hv_stores(hv, "context", newRV_noinc((SV *)context));
}

static void put_rusage(pTHX_ HV *hv, const spawn_attr *a)
{
    static const char *const names[SPAWN_RU_ALL] = {
        [SPAWN_RU_UTIME_US] = "utime",
        [SPAWN_RU_STIME_US] = "stime",
        [SPAWN_RU_MAXRSS_KB] = "maxrss",
        [SPAWN_RU_MINFLT] = "minflt",
        [SPAWN_RU_MAJFLT] = "majflt",
        [SPAWN_RU_INBLOCK] = "inblock",
        [SPAWN_RU_OUBLOCK] = "oublock",
        [SPAWN_RU_NVCSW] = "nvcsw",
        [SPAWN_RU_NIVCSW] = "nivcsw",
        [SPAWN_RU_TREE_UTIME_US] = "tree_utime",
        [SPAWN_RU_TREE_STIME_US] = "tree_stime",
        [SPAWN_RU_TREE_MEMORY_KB] = "tree_memory",
        [SPAWN_RU_OOM_KILLS] = "oom_kills"};
    HV *rusage = newHV();
    uint32_t i;

    for (i = 0; i < SPAWN_RU_ALL && i < spawn_u64v_count(a); i++) {
        bool time = i == SPAWN_RU_UTIME_US || i == SPAWN_RU_STIME_US
                    || i == SPAWN_RU_TREE_UTIME_US
                    || i == SPAWN_RU_TREE_STIME_US;
        uint64_t n = spawn_u64v_at(a, i);
        SV *value;

        if (n == SPAWN_RU_UNKNOWN)
            continue;
        value = time ? newSVnv((NV)n / 1e6) : newSVuv((UV)n);
        (void)hv_store(rusage, names[i], (I32)strlen(names[i]), value, 0);
    }
    (void)hv_stores(hv, "rusage", newRV_noinc((SV *)rusage));
}

static void put_result_kind(pTHX_ HV *hv, const spawn_message *m)
{
    static const char *const names[] = {[SPAWN_RESULT_NONE] = "none",
                                        [SPAWN_RESULT_RETURNED] = "returned",
                                        [SPAWN_RESULT_DIED] = "died"};
    uint64_t kind = spawn_u64_or(m, SPAWN_A_RESULT_KIND, UINT64_MAX);

    if (kind < sizeof(names) / sizeof(names[0]))
        (void)hv_stores(hv, "result_kind", newSVpv(names[kind], 0));
}

/* The status of wait(2); -1, as system gives, where nobody knows. */
static int wait_status(const spawn_message *m)
{
    int signo = (int)spawn_u64_or(m, SPAWN_A_SIGNAL, 0);

    if (spawn_has(m, SPAWN_A_EXIT_CODE))
        return ((int)spawn_u64_or(m, SPAWN_A_EXIT_CODE, 0) & 0xff) << 8;
    if (signo > 0)
        return (signo & 0x7f) | (spawn_u64_or(m, SPAWN_A_CORE, 0) ? 0x80 : 0);
    return -1;
}

static void put_end(pTHX_ HV *hv, const spawn_message *m)
{
    unsigned outcome = (unsigned)spawn_u64_or(m, SPAWN_A_OUTCOME, 0);

    if (outcome == SPAWN_OUTCOME_NONE)
        return;
    (void)hv_stores(hv, "outcome", newSVpv(spawn_outcome_name(outcome), 0));
    if (spawn_has(m, SPAWN_A_FUNCTION))
        put_result_kind(aTHX_ hv, m);
    (void)hv_stores(hv, "status", newSViv(wait_status(m)));
    (void)hv_stores(hv, "core", newSViv(spawn_u64_or(m, SPAWN_A_CORE, 0) != 0));
    if (outcome == SPAWN_OUTCOME_EXITED)
        (void)hv_stores(hv, "exit_code",
                        newSVuv((UV)spawn_u64_or(m, SPAWN_A_EXIT_CODE, 0)));
    if (outcome == SPAWN_OUTCOME_START_FAILED) {
        unsigned step = (unsigned)spawn_u64_or(m, SPAWN_A_STEP, 0);

        (void)hv_stores(hv, "step", newSVpv(spawn_step_name(step), 0));
        put_number(aTHX_ hv, "errno", m, SPAWN_A_ERRNO);
    }
    else if (spawn_u64_or(m, SPAWN_A_SIGNAL, 0) > 0)
        put_number(aTHX_ hv, "signal", m, SPAWN_A_SIGNAL);
}

/* The fields of a job, and of an attempt at it. */
static void put_run(pTHX_ HV *hv, const spawn_message *m)
{
    put_string(aTHX_ hv, "message", m, SPAWN_A_TEXT);
    if (spawn_u64_or(m, SPAWN_A_PID, 0) > 0)
        put_number(aTHX_ hv, "pid", m, SPAWN_A_PID);
    put_end(aTHX_ hv, m);
    put_seconds(aTHX_ hv, "started_at", m, SPAWN_A_STARTED_AT, 1e-3);
    put_seconds(aTHX_ hv, "ended_at", m, SPAWN_A_ENDED_AT, 1e-3);
    put_seconds(aTHX_ hv, "elapsed", m, SPAWN_A_ELAPSED, 1e-6);
    put_output(aTHX_ hv, 0, m, SPAWN_A_OUT, SPAWN_A_OUT_LOST);
    put_output(aTHX_ hv, 1, m, SPAWN_A_ERR, SPAWN_A_ERR_LOST);
}

static SV *bless_result(pTHX_ HV *hv)
{
    return sv_bless(newRV_noinc((SV *)hv),
                    gv_stashpvs(SPAWN_PERL_RESULT, GV_ADD));
}

static void add_attempt(pTHX_ AV *list, const spawn_attr *one,
                        const char *function)
{
    spawn_message m;
    HV *hv;

    if (one->id != SPAWN_A_ATTEMPTS || one->kind != SPAWN_KIND_NEST
        || spawn_body_parse(one->data, one->length, SPAWN_BODY_ATTEMPT, 0, &m,
                            NULL)
               != 0)
        return;
    hv = newHV();
    (void)hv_stores(hv, "state", newSVpvs("done"));
    (void)hv_stores(hv, "attempt",
                    newSVuv((UV)spawn_u64_or(&m, SPAWN_A_ATTEMPT, 1)));
    if (function)
        put_result_kind(aTHX_ hv, &m);
    put_run(aTHX_ hv, &m);
    av_push(list, bless_result(aTHX_ hv));
}

static void put_attempts(pTHX_ HV *hv, const spawn_message *m)
{
    AV *list = newAV();
    spawn_reader reader;
    spawn_attr one;

    (void)hv_stores(hv, "attempt",
                    newSVuv((UV)spawn_u64_or(m, SPAWN_A_ATTEMPT, 1)));
    (void)hv_stores(hv, "attempts", newRV_noinc((SV *)list));
    if (!spawn_has(m, SPAWN_A_ATTEMPTS))
        return;
    spawn_reader_init(&reader, m->attr[SPAWN_A_ATTEMPTS].data,
                      m->attr[SPAWN_A_ATTEMPTS].length);
    while (spawn_reader_next(&reader, &one) == 1)
        add_attempt(aTHX_ list, &one, spawn_str_or(m, SPAWN_A_FUNCTION, NULL));
}

SV *spawn_perl_result(pTHX_ int endpoint, const spawn_message *m)
{
    HV *hv = newHV();
    char text[SPAWN_ID_TEXT];
    SV *progress;
    spawn_id id;

    TAINT_NOT;
    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    (void)hv_stores(hv, "id", newSVpv(spawn_id_format(&id, text), 0));
    (void)hv_stores(hv, "job",
                    spawn_perl_handle(aTHX_ endpoint, &id, false, NULL));
    (void)hv_stores(
        hv, "state",
        newSVpv(spawn_state_name((unsigned)spawn_u64_or(m, SPAWN_A_STATE, 0)),
                0));
    put_string(aTHX_ hv, "queue", m, SPAWN_A_QUEUE);
    put_string(aTHX_ hv, "label", m, SPAWN_A_LABEL);
    put_string(aTHX_ hv, "function", m, SPAWN_A_FUNCTION);
    progress = spawn_perl_progress(aTHX_ m);
    if (progress)
        (void)hv_stores(hv, "progress", progress);
    put_number(aTHX_ hv, "handles", m, SPAWN_A_HANDLES);
    spawn_perl_put_rules(aTHX_ hv, m);
    put_seconds(aTHX_ hv, "submitted_at", m, SPAWN_A_SUBMITTED_AT, 1e-3);
    put_seconds(aTHX_ hv, "due_at", m, SPAWN_A_DUE_AT, 1e-3);
    put_seconds(aTHX_ hv, "expires_at", m, SPAWN_A_EXPIRES_AT, 1e-3);
    put_number(aTHX_ hv, "dead", m, SPAWN_A_DEAD);
    put_attempts(aTHX_ hv, m);
    put_run(aTHX_ hv, m);
    if (spawn_has(m, SPAWN_A_ARGV))
        put_argv(aTHX_ hv, &m->attr[SPAWN_A_ARGV]);
    if (spawn_has(m, SPAWN_A_CONTEXT))
        put_context(aTHX_ hv, &m->attr[SPAWN_A_CONTEXT]);
    if (spawn_has(m, SPAWN_A_RUSAGE))
        put_rusage(aTHX_ hv, &m->attr[SPAWN_A_RUSAGE]);
    return bless_result(aTHX_ hv);
}

/* ---- list ---- */

typedef struct {
#ifdef MULTIPLICITY
    tTHX perl;
#endif
    int endpoint;
    AV *rows;
} listing;

static bool add_row(void *arg, const spawn_message *job)
{
    listing *l = arg;
    dTHXa(l->perl);

    av_push(l->rows, spawn_perl_result(aTHX_ l->endpoint, job));
    return true;
}

static const char *list_option(unsigned i)
{
    static const char *const names[] = {"queue", "state", "rows", NULL};

    return names[i];
}

static void put_list_option(pTHX_ spawn_writer *w, const char *name, SV *sv)
{
    STRLEN length;
    const char *text = spawn_perl_bytes(aTHX_ sv, &length, false, name);
    int64_t rows;
    int state;

    if (strcmp(name, "queue") == 0) {
        spawn_put_strn(w, SPAWN_A_QUEUE, text, length);
        return;
    }
    if (strcmp(name, "state") == 0) {
        bool dead = strcmp(text, "dead") == 0;

        state = spawn_state_number(text);
        if (state <= 0 && !dead)
            spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                              "state: '%.64s' is not allowed; wanted: "
                              "delayed, queued, starting, running, done or "
                              "dead",
                              text);
        spawn_put_u64(w, SPAWN_A_STATES,
                      dead ? SPAWN_STATES_DEAD : 1ull << state);
        return;
    }
    if (strcmp(name, "rows") != 0)
        spawn_perl_unknown_option(aTHX_ name, list_option);
    if (spawn_parse_integer(text, &rows) < 0 || rows < 1)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "rows: '%.64s' is not allowed; wanted: a whole "
                          "number from 1 on",
                          text);
    spawn_put_u64(w, SPAWN_A_ROWS, (uint64_t)rows);
}

void spawn_perl_list(pTHX_ int endpoint, SV **options, SSize_t count, AV *rows)
{
    uint8_t room[512];
    spawn_writer w;
    spawn_failure why;
    spawn_list_place place;
    sigset_t before;
    listing l;
    SSize_t i;
    int rv;

    if (count % 2 != 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_INVALID,
                          "list: options come in pairs, name => value");
    spawn_perl_hold_all(aTHX_ options, count);
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_LIST, 0);
    for (i = 0; i < count; i += 2) {
        STRLEN length;

        put_list_option(aTHX_ & w,
                        spawn_perl_bytes(aTHX_ options[i], &length, false,
                                         "the name of an option"),
                        options[i + 1]);
    }
    if (spawn_writer_finish(&w, 0) < 0)
        spawn_perl_refuse(aTHX_ SPAWN_E_TOO_BIG,
                          "list: the name of a queue is too long");
#ifdef MULTIPLICITY
    l.perl = aTHX;
#endif
    l.endpoint = endpoint;
    l.rows = rows;
    memset(&place, 0, sizeof(place));
    do {
        spawn_perl_signals_off(&before);
        rv = spawn_client_list_page(spawn_perl_client(endpoint, NULL), &w,
                                    &place, add_row, &l, &why);
        spawn_perl_signals_on(&before);
        if (rv < 0)
            spawn_perl_throw(aTHX_ & why, NULL);
        PERL_ASYNC_CHECK(); /* it may take as long as the history is big */
    } while (place.more);
}
