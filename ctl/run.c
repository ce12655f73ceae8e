/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl run: hand a program to the broker, and (unless told otherwise) wait
 * for it as if it had been started here. Runs in spawnctl. Ctrl-C must not end
 * the job, unless signals are to go there (beside.c).
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"

const char ctl_run_help[] =
    "usage: spawnctl run [options] [--] program [argument ...]\n"
    "Start a program. Waits for its end, prints what it wrote, and exits as\n"
    "it did; with --detach prints its id and returns.\n"
    "\n"
    "  -d, --detach            return when the job is accepted (stdout and\n"
    "                          stderr then default to null)\n"
    "      --reply WHEN        posted, accepted, started or finished\n"
    "      --queue NAME        queue (default)\n"
    "      --cwd DIR           directory to start in (/)\n"
    "      --env NAME=VALUE    a variable; NAME alone: the value it has here\n"
    "      --unset NAME        no such variable (PATH, HOME, USER, LOGNAME, "
    "LANG)\n"
    "      --umask MODE        file creation mask (022)\n"
    "      --user, --group     account and group to run as\n"
    "      --stdin WHAT        null, a path, or - for our own (with --detach:\n"
    "                          read to its end first, at most 16 MB)\n"
    "      --stdout WHAT       capture, null, log, a path (>>path appends),\n"
    "                          or - for our own\n"
    "      --stderr WHAT       the same, or stdout\n"
    "      --fds N[=M],...     our descriptor M as N\n"
    "      --timeout TIME      longest run time (2, 500ms, 5m, 1h, 1d)\n"
    "      --grace TIME        between TERM and KILL (5 s)\n"
    "      --nice N            0 to 19\n"
    "      --ionice CLASS      idle, best-effort or best-effort:0-7\n"
    "      --limits R=VAL,...  cpu, memory, files, processes, core, filesize,\n"
    "                          tree-memory, tree-cpu, tree-processes,\n"
    "                          tree-weight\n"
    "      --no-new-privs      forbid gaining rights by set-id programs\n"
    "      --leftovers WHAT    keep or kill what it leaves running\n"
    "      --delay TIME        do not start before it is over\n"
    "      --at WHEN           do not start before 2030-01-31T17:30:00Z\n"
    "      --expires WHEN      do not start after a time, or a moment\n"
    "      --priority N        -100 to 100: the highest of a queue go first\n"
    "      --unique KEY        one job at a time has this key\n"
    "      --on-conflict WHAT  reject, keep, replace or after\n"
    "      --unique-for WHAT   waiting, ended or a time\n"
    "      --after ID,...      jobs that end well before it starts\n"
    "      --after-failed WHAT cancel, run or keep, when one of these fails\n"
    "      --on-failure NAME   Perl function that is called when it has "
    "failed,\n"
    "                          or none\n"
    "      --retry N           try again so often when it has failed (0)\n"
    "      --backoff WHAT      pause before that (exponential:1:300)\n"
    "      --retry-on WHAT,... failed, lost, timeout, start_failed, signal,\n"
    "                          out_of_memory, N (failed,lost)\n"
    "      --forward-signals   signals that spawnctl gets go to the job; a\n"
    "                          second Ctrl-C ends spawnctl\n"
    "      --tty               a terminal for the job, which ours stands for\n"
    "      --durable           outlive a power cut\n"
    "      --label TEXT        a word for people\n"
    "      --context NAME=VAL  what the job belongs to\n"
    "      --capture-limit N   most captured bytes of each stream (1M)\n"
    "      --id UUID           the job's id (made anew)\n"
    "  -s, --socket PATH, --json, -h, --help, -V, --version\n"
    "\n"
    "Exit code: the program's; 128+N signal N; 124 timed out; 125 spawnctl or\n"
    "the broker failed; 126 not executable; 127 not found.\n";

/* For the signal handler: made before that is set. */
static char interrupted[128];
static size_t interrupted_length;

/* Ctrl-C ends us and not the job: say so, and how to reach it. */
static void on_interrupt(int signo)
{
    (void)!write(STDERR_FILENO, interrupted, interrupted_length);
    (void)raise(signo); /* SA_RESETHAND: ends us when we return */
}

static void watch_interrupt(const ctl_job *job)
{
    struct sigaction action;

    ctl_goes_on_text(&job->id, interrupted, sizeof(interrupted));
    interrupted_length = strlen(interrupted);
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_interrupt;
    action.sa_flags = (int)SA_RESETHAND;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
}

/* Accepted or posted. */
static int tell_accepted(const spawn_ctl *ctl, const ctl_job *job,
                         const spawn_message *answer)
{
    unsigned state = (unsigned)spawn_u64_or(answer, SPAWN_A_STATE, 0);
    char id[SPAWN_ID_TEXT];

    (void)spawn_id_format(&job->id, id);
    if (ctl->json)
        ctl_json_print(json_pack("{s:s, s:s}", "id", id, "state",
                                 spawn_state_name(state)));
    else
        (void)puts(id);
    return CTL_OK;
}

/* started: the id and the pid; a start that failed is reported as an end. */
static int tell_started(const spawn_ctl *ctl, const spawn_message *answer)
{
    char text[SPAWN_ID_TEXT];
    spawn_id id;

    if (ctl->json) {
        ctl_json_print(ctl_json_job(answer));
        return CTL_OK;
    }
    spawn_attr_id(&answer->attr[SPAWN_A_ID], &id);
    (void)printf("%s %llu\n", spawn_id_format(&id, text),
                 (unsigned long long)spawn_u64_or(answer, SPAWN_A_PID, 0));
    return CTL_OK;
}

static int submit_failed(const spawn_ctl *ctl, const ctl_job *job,
                         const spawn_answer *answer, spawn_failure *why)
{
    char id[SPAWN_ID_TEXT];
    int code;

    if (why->code == SPAWN_E_START_FAILED
        && answer->message.header.type == SPAWN_M_JOB)
        return ctl_tell_end(ctl, &answer->message, true);
    code = ctl_refused_option(ctl, why);
    if (code >= 0)
        return code;
    (void)ctl_fail(why);
    if (why->code == SPAWN_E_UNCONFIRMED || why->code == SPAWN_E_TIMED_OUT)
        (void)fprintf(stderr, "  the job's id: %s\n",
                      spawn_id_format(&job->id, id));
    return why->code == SPAWN_E_TIMED_OUT ? CTL_TIMED_OUT : CTL_TROUBLE;
}

static int submit(spawn_ctl *ctl, ctl_job *job)
{
    struct ctl_beside *beside = NULL;
    spawn_answer answer;
    spawn_failure why;
    int code, rv;

    memset(&answer, 0, sizeof(answer));
    code = ctl_connect(ctl);
    if (code)
        return code;
    spawn_submit_id(&job->message, &job->id);
    if (job->forward || job->terminal.ours >= 0) {
        code = ctl_beside_begin(ctl, job, &beside);
        if (code >= 0)
            return code;
    }
    else if (job->reply >= SPAWN_REPLY_STARTED)
        watch_interrupt(job);
    rv = spawn_client_submit(ctl->client, &job->message, job->fds,
                             job->fds_count, 0, &job->id, &answer, &why);
    if (beside)
        ctl_beside_end(beside);
    if (rv)
        code = submit_failed(ctl, job, &answer, &why);
    else if (job->reply == SPAWN_REPLY_FINISHED)
        code = ctl_tell_end(ctl, &answer.message, true);
    else if (job->reply == SPAWN_REPLY_STARTED)
        code = tell_started(ctl, &answer.message);
    else
        code = tell_accepted(ctl, job, &answer.message);
    spawn_answer_free(&answer);
    return code;
}

int ctl_run(spawn_ctl *ctl, int argc, char **argv)
{
    ctl_job job = {.terminal = CTL_NO_TERMINAL};
    int code = ctl_job_options(ctl, argc, argv, &job);

    if (code >= 0) {
        ctl_terminal_close(&job.terminal);
        return code;
    }
    code = submit(ctl, &job);
    ctl_terminal_close(&job.terminal);
    spawn_writer_free(&job.message);
    return code;
}
