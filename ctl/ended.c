/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output of run, wait and logs about a job that has ended: the job's own,
 * and on stderr anything but a plain exit. Runs in spawnctl. Must print nothing
 * beside the output on stdout.
 */
#include <string.h>

#include "ctl/ctl.h"

static unsigned number(const spawn_message *job, unsigned attr)
{
    return (unsigned)spawn_u64_or(job, attr, 0);
}

static void tell_lost(const spawn_message *job, unsigned attr,
                      const char *stream)
{
    unsigned long long lost = (unsigned long long)spawn_u64_or(job, attr, 0);

    if (lost == SPAWN_LOST_ALL)
        (void)fprintf(stderr,
                      "spawnctl: the job's %s is lost: it went with the job's "
                      "spawner\n",
                      stream);
    else if (lost)
        (void)fprintf(stderr,
                      "spawnctl: %llu bytes of the job's %s are lost\n  "
                      "--capture-limit says how many are kept, --%s - lets it "
                      "write here itself\n",
                      lost, stream, stream);
}

/* The reason of a start that failed begins with the step, as a rule: then it is
 * the whole sentence. */
static bool says_step(const spawn_message *job, const char *reason)
{
    const char *step = spawn_step_name(number(job, SPAWN_A_STEP));
    size_t length = strlen(step);

    return number(job, SPAWN_A_OUTCOME) == SPAWN_OUTCOME_START_FAILED
           && strncmp(reason, step, length) == 0 && reason[length] == ':';
}

/* Print what a plain exit does not need. */
static void tell_trouble(const spawn_message *job)
{
    const spawn_attr *argv = &job->attr[SPAWN_A_ARGV];
    const char *reason = spawn_str_or(job, SPAWN_A_TEXT, "");
    int error = (int)number(job, SPAWN_A_ERRNO);
    unsigned how = number(job, SPAWN_A_OUTCOME);
    char id_text[SPAWN_ID_TEXT];
    char outcome[128], text[320];
    spawn_id id;

    if (how == SPAWN_OUTCOME_EXITED)
        return;
    (void)fputs("spawnctl: ", stderr);
    if (spawn_has(job, SPAWN_A_FUNCTION))
        ctl_print_text(stderr, spawn_attr_str(&job->attr[SPAWN_A_FUNCTION]), 0);
    else if (spawn_has(job, SPAWN_A_ARGV) && spawn_strv_count(argv) > 0)
        ctl_print_text(stderr, spawn_strv_next(argv, NULL), 0);
    if (says_step(job, reason)) {
        (void)fprintf(stderr, ": %s: ", spawn_outcome_name(how));
        ctl_print_text(stderr, reason, 0);
        reason = "";
    }
    else {
        spawn_outcome_text(job, outcome, sizeof(outcome));
        (void)snprintf(text, sizeof(text), "%s%s%s", outcome, error ? ": " : "",
                       error ? strerrordesc_np(error) : "");
        (void)fprintf(stderr, ": %s", text);
        if (strstr(text, reason))
            reason = "";
    }
    spawn_attr_id(&job->attr[SPAWN_A_ID], &id);
    (void)fprintf(stderr, "\n  job %s%s", spawn_id_format(&id, id_text),
                  *reason ? ": " : "");
    ctl_print_text(stderr, reason, 0);
    (void)fputc('\n', stderr);
}

static void copy_output(FILE *to, const spawn_message *job, unsigned attr,
                        bool own)
{
    const spawn_attr *a = &job->attr[attr];

    if (!spawn_has(job, attr))
        return;
    if (own)
        (void)fwrite(a->data, 1, a->length, to);
    else
        ctl_print_output(to, a->data, a->length);
}

int ctl_tell_trouble(const spawn_message *job)
{
    tell_lost(job, SPAWN_A_OUT_LOST, "stdout");
    tell_lost(job, SPAWN_A_ERR_LOST, "stderr");
    tell_trouble(job);
    return ctl_exit_code(job);
}

int ctl_tell_end(const spawn_ctl *ctl, const spawn_message *job, bool own)
{
    if (ctl->json) {
        ctl_json_print(ctl_json_job(job));
        return ctl_exit_code(job);
    }
    copy_output(stdout, job, SPAWN_A_OUT, own);
    (void)fflush(stdout);
    copy_output(stderr, job, SPAWN_A_ERR, own);
    return ctl_tell_trouble(job);
}
