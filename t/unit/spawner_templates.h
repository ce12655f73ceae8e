/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner's side of templates (template.c, template_note.c, table.c)
 * without its process: templates whose other end is in the test's hands, and
 * jobs of theirs in any state.
 */
#ifndef SPAWNER_TEMPLATES_H
#define SPAWNER_TEMPLATES_H

#define PART_HAS_TABLE
#include "t/unit/spawner_part.h"

#include "spawner/template_note.h"

void job_failed(job *j, spawn_step step, int error)
{
    j->state = JOB_ENDED;
    note("failed %s %d", spawn_step_name(step), error);
}

void job_told(job *j, int status, const spawn_attr *usage)
{
    note("ended %d, %d of usage", status, (int)spawn_u64v_count(usage));
    j->state = JOB_ENDED;
}

int job_signal(job *j, int signo)
{
    note("signal %d to %d", signo, (int)j->pid);
    return 0;
}

static int enter_error;

int cgroup_enter(job *j, pid_t pid)
{
    (void)j;
    (void)pid;
    return enter_error;
}

#include "spawner/table.c"
#include "spawner/template_note.c"
#include "spawner/template_word.c"
#include "spawner/template_trust.c"
#include "spawner/template_send.c"
#include "spawner/template.c"

static int thousands; /* of process ids, see have_template */
static int other_end; /* of the last template's link */

static __attribute__((unused)) int start(void **state)
{
    (void)state;
    while (spawner.notes) {
        template_note *n = spawner.notes;

        spawner.notes = n->next;
        free(n->text);
        free(n);
    }
    no_state();
    thousands += 1000;
    spawner.job_as.uid = getuid();
    spawner.job_as.groups_count = -1;
    read_log();
    return table_init();
}

static int stop(void **state)
{
    uint32_t i;

    (void)state;
    spawn_packet_close(&part_packet);
    memset(&part_packet, 0, sizeof(part_packet));
    for (i = 1; i < table_end(); i++)
        spawn_close_fds(&table_at(i)->link, 1);
    return 0;
}

/* ---- templates and jobs ---- */

static spawn_id id_of(uint8_t n)
{
    spawn_id id = {{n, 1}};

    return id;
}

static job *have(uint8_t n, job_state state, unsigned flags, pid_t pid)
{
    spawn_id id = id_of(n);
    job *j = table_add(&id);

    j->state = (uint8_t)state;
    j->flags = (uint16_t)flags;
    j->pid = pid;
    return j;
}

/** Its process is 1000 + n and a thousand more for each test: each has its own
 * lines of the log. */
static job *have_template(uint8_t n, unsigned flags)
{
    job *j = have(n, JOB_RUNNING, JOB_IS_TEMPLATE | flags, thousands + n);
    int ends[2];

    assert_non_null(template_note_make(j, "app"));
    make_pair(ends);
    j->link = ends[0];
    other_end = ends[1];
    (void)spawn_os_pass_credentials(j->link);
    return j;
}

static __attribute__((unused)) job *have_job_of(const job *template, uint8_t n,
                                                job_state state, pid_t pid)
{
    job *j = have(n, state, template->flags & JOB_FOREIGN, pid);

    j->template = table_index(template);
    return j;
}

#endif
