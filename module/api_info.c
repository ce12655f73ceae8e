/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failures and jobs as the structs of mod_spawn.h. Runs in httpd children, in
 * any thread. Must write no byte beyond the size that the caller has set: its
 * header may be older than ours, or newer.
 */
#include "module/api_info.h"

#include <stdlib.h>
#include <string.h>

#include "apr_strings.h"

/* The public numbers are those of the protocol, all of them. */
#define X_FAIL(n, NAME, name, text)                                            \
    _Static_assert((int)SPAWN_FAIL_##NAME == n, #NAME);
SPAWN_ERROR_LIST(X_FAIL)
#define SPAWN_JOB_NONE         SPAWN_JOB_UNKNOWN
#define X_STATE(n, NAME, name) _Static_assert((int)SPAWN_JOB_##NAME == n, name);
SPAWN_STATE_LIST(X_STATE)
#define SPAWN_END_NONE       SPAWN_END_NOT
#define SPAWN_END_ENDED      SPAWN_END_CODE_UNKNOWN
#define X_END(n, NAME, name) _Static_assert((int)SPAWN_END_##NAME == n, name);
SPAWN_OUTCOME_LIST(X_END)
#define X_UNTIL(n, NAME, name)                                                 \
    _Static_assert((int)SPAWN_UNTIL_##NAME == n, name);
SPAWN_REPLY_LIST(X_UNTIL)

/* The size of the first release of this API; and a size that no release will
 * have, which tells of memory that nobody has set. */
#define END_OF(type, last)                                                     \
    (offsetof(type, last) + sizeof(((const type *)0)->last))
#define INFO_LEAST    END_OF(spawn_job_info, err)
#define FAILURE_LEAST END_OF(spawn_job_failure, message)
#define FILTER_LEAST  END_OF(spawn_job_filter, rows)
#define SIZE_MOST     16384

static bool sized(apr_size_t size, apr_size_t least)
{
    return size >= least && size <= SIZE_MOST;
}

void spawn_api_copy(void *to, const void *from, apr_size_t known)
{
    apr_size_t size = *(const apr_size_t *)to;
    apr_size_t both = size < known ? size : known;

    memset(to, 0, size);
    memcpy(to, from, both);
    *(apr_size_t *)to = size;
}

bool spawn_api_sized(const spawn_job_info *info, spawn_job_failure *why)
{
    spawn_failure wrong;

    if (why && !sized(why->size, FAILURE_LEAST))
        return false;
    if (!info || sized(info->size, INFO_LEAST))
        return true;
    spawn_failure_set(&wrong, SPAWN_E_INVALID, SPAWN_STEP_OPTIONS, 0,
                      "info.size is %lu, which is no size of a "
                      "spawn_job_info: set it before each call, as in "
                      "spawn_job_info info = {.size = sizeof(info)}",
                      (unsigned long)info->size);
    (void)spawn_api_fail(why, &wrong);
    return false;
}

bool spawn_api_filter(const spawn_job_filter *from, spawn_job_filter *ret)
{
    apr_size_t both = from->size < sizeof(*ret) ? from->size : sizeof(*ret);

    if (!sized(from->size, FILTER_LEAST))
        return false;
    memcpy(ret, from, both);
    ret->size = sizeof(*ret);
    return true;
}

apr_status_t spawn_api_status(spawn_error code, int error)
{
    switch (code) {
    case SPAWN_E_OK:
        return APR_SUCCESS;
    case SPAWN_E_INVALID:
    case SPAWN_E_UNKNOWN_OPTION:
    case SPAWN_E_NOT_SENDABLE:
        return APR_EINVAL;
    case SPAWN_E_TOO_BIG:
        return APR_ENOSPC;
    case SPAWN_E_UNREACHABLE:
        return APR_ECONNREFUSED;
    case SPAWN_E_UNCONFIRMED:
        return APR_INCOMPLETE;
    case SPAWN_E_DEADLINE:
    case SPAWN_E_TIMED_OUT:
        return APR_TIMEUP;
    case SPAWN_E_QUEUE_FULL:
    case SPAWN_E_STOPPING:
        return APR_EAGAIN;
    case SPAWN_E_UNKNOWN_QUEUE:
    case SPAWN_E_NO_SUCH_JOB:
    case SPAWN_E_TOO_OLD:
    case SPAWN_E_OUTPUT_GONE:
        return APR_NOTFOUND;
    case SPAWN_E_NOT_PERMITTED:
        return APR_EACCES;
    case SPAWN_E_START_FAILED:
    case SPAWN_E_SYSTEM:
        return error > 0 ? APR_FROM_OS_ERROR(error) : APR_EGENERAL;
    case SPAWN_E_CONFLICT:
    case SPAWN_E_NOT_UNIQUE:
        return APR_EEXIST;
    case SPAWN_E_NOT_RUNNING:
    case SPAWN_E_NOT_DEAD:
    case SPAWN_E_NOT_DELAYED:
        return APR_EPROC_UNKNOWN;
    default:
        return APR_EGENERAL;
    }
}

apr_status_t spawn_api_fail(spawn_job_failure *why, const spawn_failure *what)
{
    if (why) {
        spawn_job_failure f = {.size = sizeof(f),
                               .code = what->code,
                               .error = what->error,
                               .code_name = spawn_error_name(what->code),
                               .step = spawn_step_name(what->step)};

        apr_cpystrn(f.message, what->text, sizeof(f.message));
        spawn_api_copy(why, &f, sizeof(f));
    }
    return spawn_api_status(what->code, what->error);
}

/* ---- a job ---- */

/* The kept part: all, or beginning and end. which: of CUT. */
static spawn_job_output output(apr_pool_t *p, const spawn_message *m,
                               unsigned which, unsigned attr, unsigned lost)
{
    spawn_job_output ret = {NULL, 0, 0, 0};
    const spawn_attr *cuts = &m->attr[SPAWN_A_CUT];
    const spawn_attr *a = &m->attr[attr];
    uint64_t cut = 0, more = spawn_u64_or(m, lost, 0);
    char *data;

    if (!spawn_has(m, attr))
        return ret;
    if (spawn_has(m, SPAWN_A_CUT) && spawn_u64v_count(cuts) == SPAWN_CUT_COUNT)
        cut = spawn_u64v_at(cuts, which);
    data = apr_palloc(p, a->length + 1);
    memcpy(data, a->data, a->length);
    data[a->length] = '\0';
    ret.data = data;
    ret.length = a->length;
    ret.lost_at =
        cut && a->length > SPAWN_KEPT_HEAD ? SPAWN_KEPT_HEAD : a->length;
    ret.lost = more == SPAWN_LOST_ALL ? APR_UINT64_MAX : more + cut;
    return ret;
}

static const char *text_of(apr_pool_t *p, const spawn_message *m, unsigned attr)
{
    const char *text = spawn_str_or(m, attr, "");

    return *text ? apr_pstrdup(p, text) : NULL;
}

static void fill(spawn_job_info *info, apr_pool_t *p, const spawn_message *m)
{
    info->state = (int)spawn_u64_or(m, SPAWN_A_STATE, 0);
    if (m->header.type != SPAWN_M_JOB)
        return;
    info->end = (int)spawn_u64_or(m, SPAWN_A_OUTCOME, 0);
    if (info->end == SPAWN_END_EXITED)
        info->exit_code = (int)spawn_u64_or(m, SPAWN_A_EXIT_CODE, 0);
    info->signal = (int)spawn_u64_or(m, SPAWN_A_SIGNAL, 0);
    info->core = spawn_u64_or(m, SPAWN_A_CORE, 0) != 0;
    info->attempt = (int)spawn_u64_or(m, SPAWN_A_ATTEMPT, 1);
    info->error = (int)spawn_u64_or(m, SPAWN_A_ERRNO, 0);
    info->step = spawn_step_name((unsigned)spawn_u64_or(m, SPAWN_A_STEP, 0));
    info->pid = (apr_int64_t)spawn_u64_or(m, SPAWN_A_PID, 0);
    info->queue = text_of(p, m, SPAWN_A_QUEUE);
    info->label = text_of(p, m, SPAWN_A_LABEL);
    info->message = text_of(p, m, SPAWN_A_TEXT);
    info->submitted =
        (apr_time_t)spawn_u64_or(m, SPAWN_A_SUBMITTED_AT, 0) * 1000;
    info->started = (apr_time_t)spawn_u64_or(m, SPAWN_A_STARTED_AT, 0) * 1000;
    info->ended = (apr_time_t)spawn_u64_or(m, SPAWN_A_ENDED_AT, 0) * 1000;
    info->elapsed = (apr_interval_time_t)spawn_u64_or(m, SPAWN_A_ELAPSED, 0);
    info->out = output(p, m, 0, SPAWN_A_OUT, SPAWN_A_OUT_LOST);
    info->err = output(p, m, 1, SPAWN_A_ERR, SPAWN_A_ERR_LOST);
    info->dead = spawn_u64_or(m, SPAWN_A_DEAD, 0) != 0;
}

void spawn_api_tell(spawn_job_info *info, apr_pool_t *p, const spawn_id *id,
                    const spawn_message *m)
{
    spawn_job_info told = {.size = sizeof(told), .exit_code = -1};

    if (!info)
        return;
    _Static_assert(sizeof(told.id) >= SPAWN_ID_TEXT, "room for an id");
    told.step = spawn_step_name(SPAWN_STEP_NONE);
    (void)spawn_id_format(id, told.id);
    if (m)
        fill(&told, p, m);
    spawn_api_copy(info, &told, sizeof(told));
}
