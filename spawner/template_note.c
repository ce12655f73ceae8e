/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The note on a template beside its entry in the table: its name, its report on
 * its preloading, a pidfd when it is no child of ours, and the messages that it
 * could not be sent yet. Runs in the spawner only.
 *
 * There is one note for each template that lives, or whose end no broker knows
 * yet. Must be freed then: any number of generations of httpd's own template
 * may live on with a job.
 */
#include "spawner/template_note.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>

#include "common/spawn_packet.h"
#include "spawner/spawner.h"

template_note *template_note_of(const job *template)
{
    template_note *n = NULL;

    if (template->flags & JOB_IS_TEMPLATE)
        n = spawner.notes;
    for (; n && n->index != table_index(template); n = n->next)
        ;
    return n;
}

template_note *template_note_next(const template_note *n)
{
    return n ? n->next : spawner.notes;
}

static uint64_t sum_of(const spawn_identity *as)
{
    uint64_t sum = 0xcbf29ce484222325;
    int i;

    for (i = 0; i < as->groups_count; i++)
        sum = (sum ^ as->groups[i]) * 0x100000001b3;
    return sum | 1;
}

void template_note_account(template_note *n, const spawn_identity *as)
{
    n->uid = as->groups_count < 0 ? getuid() : as->uid;
    n->gid = as->groups_count < 0 ? getgid() : as->gid;
    n->groups = sum_of(as);
}

bool template_note_has_groups(const template_note *n, const spawn_identity *as)
{
    return n->groups == 0 || n->groups == sum_of(as);
}

template_note *template_note_make(const job *template, const char *name)
{
    size_t length = strlen(name);
    template_note *n = calloc(1, sizeof(*n) + length + 1);

    if (!n)
        return NULL;
    n->index = table_index(template);
    n->pidfd = -1;
    template_note_account(n, &spawner.job_as);
    n->groups = 0; /* of one that httpd has forked only httpd knows them */
    memcpy(n->name, name, length); /* zeros are behind it */
    n->next = spawner.notes;
    spawner.notes = n;
    return n;
}

void template_note_text(const job *template, const char *text)
{
    template_note *n = template_note_of(template);

    if (!n)
        return;
    free(n->text);
    n->text = strdup(text);
}

void template_watch(const job *template)
{
    const template_note *n = template_note_of(template);

    if (template->link < 0)
        return;
    (void)watch(template->link, ON_TEMPLATE | table_index(template), EPOLLIN);
    if (n && n->pidfd >= 0)
        (void)watch(n->pidfd, ON_GONE | table_index(template), EPOLLIN);
}

void template_forget(const job *template)
{
    template_note **link = &spawner.notes;
    template_note *n;

    if (!(template->flags & JOB_IS_TEMPLATE))
        return;
    while (*link && (*link)->index != table_index(template))
        link = &(*link)->next;
    n = *link;
    if (!n)
        return;
    *link = n->next;
    spawn_close_fds(&n->pidfd, 1);
    free(n->text);
    free(n);
}

void template_put_name(spawn_writer *w, const job *template)
{
    const template_note *n = template_note_of(template);

    if (n && n->name[0])
        spawn_put_str(w, SPAWN_A_TEMPLATE, n->name);
}

void template_put_text(spawn_writer *w, const job *template)
{
    const template_note *n = template_note_of(template);

    if (n && n->text)
        spawn_put_str(w, SPAWN_A_TEXT, n->text);
}
