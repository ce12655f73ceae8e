/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which command lines of a template are those that its rules mean. Runs in the
 * spawner, on what a broker says that may be taken over. Must allocate nothing.
 */
#include "common/spawn_template.h"

#include <string.h>

/* The words of a command line, one after the other. */
typedef struct {
    const spawn_attr *argv;
    const char *word; /* NULL: there are no more */
    uint32_t left;
} words;

static void next(words *w)
{
    if (w->left > 0) {
        w->word = spawn_strv_next(w->argv, w->word);
        w->left--;
    }
    else {
        w->word = NULL;
    }
}

/* Is the next word this one, with these bytes before it? */
static bool take(words *w, const char *before, const char *text)
{
    size_t length = strlen(before);

    if (!w->word || strncmp(w->word, before, length) != 0
        || (text && strcmp(w->word + length, text) != 0))
        return false;
    next(w);
    return true;
}

/* All that the rules have of this kind, in their order. */
static bool take_all(words *w, const char *before, const spawn_attr *texts)
{
    uint32_t count = texts->id ? spawn_strv_count(texts) : 0, i;
    const char *text = NULL;

    for (i = 0; i < count; i++) {
        text = spawn_strv_next(texts, text);
        if (!take(w, before, text))
            return false;
    }
    return true;
}

bool spawn_template_argv_ok(const spawn_message *rules, const spawn_attr *argv)
{
    words w = {argv, NULL, argv->id ? spawn_strv_count(argv) : 0};

    next(&w);
    return take(&w, "", spawn_str_or(rules, SPAWN_A_PERL, "perl"))
           && take_all(&w, "-I", &rules->attr[SPAWN_A_INCLUDE])
           && take(&w, "", "-e") && take(&w, "", SPAWN_TEMPLATE_RUN)
           && take(&w, "", "--")
           && take(&w, "name=", spawn_str_or(rules, SPAWN_A_TEMPLATE, ""))
           && take(&w, "memory=", NULL) && take(&w, "spares=", NULL)
           && take_all(&w, "preload=", &rules->attr[SPAWN_A_PRELOAD])
           && (!spawn_has(rules, SPAWN_A_REQUIRE)
               || take(&w, "require=",
                       spawn_attr_str(&rules->attr[SPAWN_A_REQUIRE])))
           && !w.word;
}
