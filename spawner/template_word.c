/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last word on a template of httpd's: that there is none, or that it cannot
 * be loaded. Runs in the spawner only.
 *
 * httpd says it once, and a broker forgets a template that has ended. So the
 * spawner keeps such a word, and tells each broker that comes: else jobs that
 * name the template would wait below that one for ever, instead of being
 * refused. There is at most one of each name; it goes when httpd tells of
 * another one, or sends a configuration. Must keep no process: these have
 * ended.
 */
#include <string.h>

#include "spawner/spawner.h"
#include "spawner/template_note.h"

static bool is_bad(const job *template)
{
    return template->said == SAID_FAILED || template->said == SAID_ABSENT
           || template->said == SAID_ENDED;
}

bool template_word_kept(const job *template)
{
    template_note *n = template_note_of(template);

    if (!n || !n->last_word)
        return false;
    n->forgotten = true;
    return true;
}

void template_word_again(job *template)
{
    template_note *n = template_note_of(template);

    if (!n || !is_bad(template))
        return;
    n->forgotten = false;
    table_tell(template, JOB_TELL_SAID);
}

static bool is_of(const template_note *n, const char *name)
{
    return n->last_word && (!name || strcmp(n->name, name) == 0);
}

/* One that this broker has not forgotten yet is forgotten as others are. */
void template_words_drop(const char *name)
{
    template_note *n = template_note_next(NULL), *next;

    for (; n; n = next) {
        job *template = table_at(n->index);

        next = template_note_next(n);
        if (!is_of(n, name))
            continue;
        n->last_word = false;
        if (!n->forgotten)
            continue;
        template_forget(template);
        table_remove(template);
    }
}
