/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order that starts a template's process. Runs in the broker, which must
 * fork nothing itself. The process is set up as a job's is: a clean
 * environment, the directory /, no input, its output in the log; but it has a
 * link.
 */
#include "broker/process/template_start.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_template.h"
#include "broker/job/template.h"
#include "broker/process/environment.h"
#include "broker/process/link.h"
#include "broker/process/output.h"

static void add(spawn_writer *w, size_t mark, const char *before,
                const char *text)
{
    char room[SPAWN_NAME_MAX + 8192];
    int n = snprintf(room, sizeof(room), "%s%s", before, text);

    spawn_add_text(w, mark, room, (size_t)n);
}

static void add_all(spawn_writer *w, size_t mark, const char *before,
                    const spawn_message *rules, unsigned attr)
{
    const spawn_attr *a = &rules->attr[attr];
    const char *text = NULL;
    uint32_t i;

    for (i = 0; spawn_has(rules, attr) && i < spawn_strv_count(a); i++) {
        text = spawn_strv_next(a, text);
        add(w, mark, before, text);
    }
}

static const char *memory_name(const spawn_message *rules)
{
    uint64_t memory =
        spawn_u64_or(rules, SPAWN_A_TEMPLATE_MEMORY, SPAWN_MEMORY_SHARED);

    return memory == SPAWN_MEMORY_FROZEN ? "frozen"
           : memory == SPAWN_MEMORY_HUGE ? "huge"
                                         : "shared";
}

static void add_spares(spawn_writer *w, size_t mark, const spawn_template *t)
{
    char number[24];

    (void)snprintf(number, sizeof(number), "%u", (unsigned)t->spares);
    add(w, mark, "spares=", number);
}

static void put_argv(spawn_writer *w, const spawn_template *t,
                     const spawn_message *rules)
{
    size_t mark = spawn_open_strv(w, SPAWN_A_ARGV);

    add(w, mark, "", spawn_str_or(rules, SPAWN_A_PERL, "perl"));
    add_all(w, mark, "-I", rules, SPAWN_A_INCLUDE);
    add(w, mark, "-e", "");
    add(w, mark, SPAWN_TEMPLATE_RUN, "");
    add(w, mark, "--", "");
    add(w, mark, "name=", t->name);
    add(w, mark, "memory=", memory_name(rules));
    add_spares(w, mark, t);
    add_all(w, mark, "preload=", rules, SPAWN_A_PRELOAD);
    if (spawn_has(rules, SPAWN_A_REQUIRE))
        add(w, mark, "require=", spawn_attr_str(&rules->attr[SPAWN_A_REQUIRE]));
    spawn_close(w, mark);
}

/* Pipes for stdout and stderr; their ends for the process into fds. */
static int make_streams(spawn_template_process *process, int *fds)
{
    char who[SPAWN_NAME_MAX + 16];
    int i, rv;

    (void)snprintf(who, sizeof(who), "template %s", process->template->name);
    for (i = 0; i < 2; i++) {
        rv = spawn_output_make(process->streams, who, i, false, 0, &fds[i]);
        if (rv < 0)
            return rv;
    }
    return 0;
}

static void put_streams(const spawn_template_process *process, spawn_writer *w,
                        int *fds)
{
    static const uint8_t roles[] = {SPAWN_KEEP_OUT_PIPE, SPAWN_KEEP_ERR_PIPE};
    spawn_stdio s = {SPAWN_STDIO_FD, 0, 0, ""};
    uint64_t keep[4];
    int i, unused;

    for (i = 0; i < 2; i++) {
        s.fd = (uint16_t)i;
        spawn_put_stdio(w, (uint16_t)(SPAWN_A_STDOUT + i), &s);
        spawn_output_fds(process->streams, i, &fds[2 + i], &unused);
        keep[2 * i] = (uint64_t)(2 + i);
        keep[2 * i + 1] = roles[i];
    }
    spawn_put_u64v(w, SPAWN_A_KEEP, keep, 4);
}

int spawn_template_process_launch(spawn_template_process *process)
{
    const spawn_template *t = process->template;
    int fds[4] = {-1, -1, -1, -1};
    spawn_message rules;
    spawn_writer w;
    int rv = spawn_body_parse(t->rules, t->rules_length,
                              SPAWN_BODY_TEMPLATE_RULES, 0, &rules, NULL);

    if (rv == 0)
        rv = make_streams(process, fds);
    if (rv == 0) {
        spawn_writer_init(&w, SPAWN_SUBMIT_MAX);
        spawn_writer_begin(&w, SPAWN_M_LAUNCH, 0);
        spawn_put_id(&w, SPAWN_A_ID, &process->id);
        spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 1);
        spawn_put_str(&w, SPAWN_A_TEMPLATE, t->name);
        put_argv(&w, t, &rules);
        spawn_launch_env_template(t, &w);
        put_streams(process, &w, fds);
        rv = spawn_link_send(&w, fds, 4);
        spawn_writer_free(&w);
    }
    spawn_close_fds(fds, 2);
    return rv;
}

void spawn_template_process_signal(const spawn_template_process *process,
                                   int signo)
{
    spawn_link_signal(&process->id, signo, 0);
}
