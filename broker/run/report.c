/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of the error log about jobs. Runs in the broker. Must not name
 * arguments of a job: a password may be among them.
 *
 * A failure that a caller waited for is the caller's business: it has the
 * outcome. All other failures would be seen by nobody. When thousands fail
 * alike, the log has some of them for each queue and outcome, and a count.
 */
#include "broker/run/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_board.h"
#include "common/spawn_log.h"
#include "common/spawn_proto.h"
#include "broker/base/logs.h"
#include "broker/job/body.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/store/store.h"

#define LINES_A_MINUTE 30 /* for each queue and outcome */
#define TEXT_ROOM      1000
#define WHAT_MAX       200
#define REQUEST_MAX    100
#define END_TEXT_MAX   500

/* ---- which job ---- */

static void add(char *text, size_t room, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void add(char *text, size_t room, const char *fmt, ...)
{
    size_t n = strlen(text);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text + n, room - n, fmt, ap);
    va_end(ap);
}

/* The request's id, or where it has none its URI without the query. */
static void add_request(const spawn_message *m, char *text, size_t room)
{
    const char *uri = spawn_logs_context(m, "uri");
    size_t n = uri ? strcspn(uri, "?") : 0;
    spawn_whose whose;

    spawn_logs_whose(m, &whose);
    if (whose.request[0])
        add(text, room, ", request %s", whose.request);
    else if (n)
        add(text, room, ", for %.*s", (int)(n < REQUEST_MAX ? n : REQUEST_MAX),
            uri);
}

/* Words that callers chose stand behind ours, and the label last, so that they
 * cannot pretend to be anything else. Returns the log of the job's virtual
 * host. */
static const spawn_sink *describe(const spawn_job *job, char *text, size_t room)
{
    const spawn_sink *log = NULL;
    spawn_body *read = job->body ? NULL : spawn_store_body(job);
    const spawn_body *body = job->body ? job->body : read;
    spawn_message m;

    (void)snprintf(text, room, "queue %s", job->queue->name);
    if (spawn_body_read(job, body, &m, NULL) == 0) {
        log = spawn_logs_find(spawn_logs_vhost(&m));
        add(text, room, ", %.*s", WHAT_MAX, spawn_logs_what(&m));
        add_request(&m, text, room);
        if (spawn_has(&m, SPAWN_A_LABEL))
            add(text, room, ", label \"%s\"",
                spawn_attr_str(&m.attr[SPAWN_A_LABEL]));
    }
    free(read);
    return log;
}

/* ---- what came of it ---- */

static bool died(const spawn_job *job)
{
    void *data = NULL;
    size_t length;
    int kind = SPAWN_RESULT_NONE;

    if (!job->perl)
        return false;
    if (job->perl->kept)
        kind = job->perl->kept->kind;
    else if (job->perl->board >= 0)
        kind = spawn_board_result(job->perl->board, &data, &length);
    if (kind > 0)
        free(data);
    return kind == SPAWN_RESULT_DIED;
}

static void say_with_text(const spawn_end *end, const char *words, char *text,
                          size_t room)
{
    (void)snprintf(text, room, "%s", words);
    if (end->text)
        add(text, room, ": %.*s", END_TEXT_MAX, end->text);
}

/* Others than its first one: that one's end is the job's. */
static void add_oom_kills(const spawn_end *end, char *text, size_t room)
{
    uint64_t kills =
        end->rusage_count > SPAWN_RU_OOM_KILLS
                && end->rusage[SPAWN_RU_OOM_KILLS] != SPAWN_RU_UNKNOWN
            ? end->rusage[SPAWN_RU_OOM_KILLS]
            : 0;

    if (kills && end->outcome == SPAWN_OUTCOME_OUT_OF_MEMORY)
        kills--;
    if (kills)
        add(text, room,
            "; for want of memory the kernel has killed %llu of its other "
            "processes",
            (unsigned long long)kills);
}

static void say_outcome(const spawn_job *job, char *text, size_t room)
{
    const spawn_end *end = job->end;

    switch (end->outcome) {
    case SPAWN_OUTCOME_EXITED:
        (void)snprintf(text, room, "%s with code %d",
                       died(job) ? "died: its function threw, it exited"
                                 : "exited",
                       end->exit_code);
        break;
    case SPAWN_OUTCOME_SIGNALLED:
        (void)snprintf(text, room, "was killed by signal %d (%s)%s", end->signo,
                       strsignal(end->signo), end->core ? ", core dumped" : "");
        break;
    case SPAWN_OUTCOME_OUT_OF_MEMORY:
        (void)snprintf(text, room,
                       "was killed by the kernel for want of memory");
        break;
    case SPAWN_OUTCOME_TIMED_OUT:
        (void)snprintf(text, room, "timed out after %.3g s",
                       (double)job->timeout_ms / 1000);
        break;
    case SPAWN_OUTCOME_START_FAILED:
        say_with_text(end, "could not be started", text, room);
        break;
    case SPAWN_OUTCOME_LOST:
        say_with_text(end, "is lost", text, room);
        break;
    case SPAWN_OUTCOME_EXPIRED:
        say_with_text(end, "expired", text, room);
        break;
    case SPAWN_OUTCOME_CANCELLED:
        say_with_text(end, "was cancelled", text, room);
        break;
    default:
        say_with_text(end, "ended, its exit code is not known", text, room);
        break;
    }
    add_oom_kills(end, text, room);
}

/* The level of its line; SPAWN_LOG_DEBUG: nobody has to know. */
static int level_of(const spawn_job *job)
{
    const spawn_end *end = job->end;

    switch (end->outcome) {
    case SPAWN_OUTCOME_START_FAILED:
    case SPAWN_OUTCOME_LOST:
        return SPAWN_LOG_ERR;
    case SPAWN_OUTCOME_CANCELLED:
        return SPAWN_LOG_DEBUG;
    case SPAWN_OUTCOME_EXITED:
        return end->exit_code == 0 ? SPAWN_LOG_DEBUG : SPAWN_LOG_WARN;
    default:
        return SPAWN_LOG_WARN;
    }
}

/* The caller knows that a function died, and why, when the function has
 * returned; it does not know what becomes of the process after that. */
static bool caller_knows(const spawn_job *job)
{
    return job->told
           || (job->result_told && job->end->outcome == SPAWN_OUTCOME_EXITED);
}

/* ---- lines ---- */

void spawn_report_start(const spawn_job *job)
{
    char id[SPAWN_ID_TEXT], which[TEXT_ROOM];

    if (!spawn_log_wants(SPAWN_LOG_DEBUG))
        return;
    spawn_log_to(describe(job, which, sizeof(which)));
    spawn_log(SPAWN_LOG_DEBUG, MSNO(0680) "job %s runs, pid %d (%s)",
              spawn_id_format(&job->id, id), (int)job->pid, which);
    spawn_log_to(NULL);
}

void spawn_report_attempt(const spawn_job *job)
{
    char id[SPAWN_ID_TEXT], which[TEXT_ROOM], how[TEXT_ROOM];
    int64_t left = job->rules && spawn_moment_is_set(&job->rules->due)
                       ? spawn_moment_left(&job->rules->due)
                       : 0;

    if (!spawn_log_wants(SPAWN_LOG_INFO))
        return;
    spawn_log_to(describe(job, which, sizeof(which)));
    say_outcome(job, how, sizeof(how));
    spawn_log_few(spawn_log_about("queue", job->queue->name), LINES_A_MINUTE,
                  SPAWN_LOG_INFO,
                  MSNO(0688) "attempt %u of job %s %s; another one follows in "
                             "%.3g s, and %u after it (%s)",
                  job->attempt, spawn_id_format(&job->id, id), how,
                  left > 0 ? (double)left / 1000 : 0.0, job->retries - 1u,
                  which);
    spawn_log_to(NULL);
}

void spawn_report_end(const spawn_job *job)
{
    char id[SPAWN_ID_TEXT], which[TEXT_ROOM], how[TEXT_ROOM], about[160];
    int level = level_of(job);

    if (caller_knows(job) || level == SPAWN_LOG_DEBUG) {
        if (!spawn_log_wants(SPAWN_LOG_DEBUG))
            return;
        level = SPAWN_LOG_DEBUG;
    }
    if (!spawn_log_wants(level))
        return;
    (void)spawn_id_format(&job->id, id);
    spawn_log_to(describe(job, which, sizeof(which)));
    say_outcome(job, how, sizeof(how));
    if (job->dead)
        add(how, sizeof(how), ", in attempt %u; it is dead: no more follow",
            job->attempt);
    (void)snprintf(about, sizeof(about), "queue %s, %s", job->queue->name,
                   spawn_outcome_name(job->end->outcome));
    if (level == SPAWN_LOG_DEBUG)
        spawn_log(level, MSNO(0681) "job %s has ended: %s (%s)", id, how,
                  which);
    else if (job->end->outcome == SPAWN_OUTCOME_EXPIRED)
        spawn_log_few(about, LINES_A_MINUTE, level, MSNO(0684) "job %s %s (%s)",
                      id, how, which);
    else if (level == SPAWN_LOG_WARN)
        spawn_log_few(about, LINES_A_MINUTE, level, MSNO(0682) "job %s %s (%s)",
                      id, how, which);
    else
        spawn_log_few(about, LINES_A_MINUTE, level, MSNO(0683) "job %s %s (%s)",
                      id, how, which);
    spawn_log_to(NULL);
}

/* Without a limit: there is no other place where these can be seen. */
void spawn_report_lost(const spawn_job *job)
{
    char id[SPAWN_ID_TEXT], which[TEXT_ROOM], how[TEXT_ROOM];

    (void)spawn_id_format(&job->id, id);
    spawn_log_to(describe(job, which, sizeof(which)));
    if (job->end) {
        say_outcome(job, how, sizeof(how));
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0665) "the end of job %s is not stored: it %s (%s)", id,
                  how, which);
    }
    else {
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0666) "job %s is lost: it waited, and has not run (%s)",
                  id, which);
    }
    spawn_log_to(NULL);
}
