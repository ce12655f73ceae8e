/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives jobs fresh memory. Runs in a template, once, when all is loaded.
 *
 * Memory that was freed while modules were loaded lies in small pieces all
 * over, and each allocation gets one after another. Each piece that a job takes
 * is on a page of its own, which it has to copy. So what is free is used up
 * here: from then on what is allocated lies side by side. It writes to the
 * pages where the pieces are, so it is done only where no other process has
 * them: a template that shares httpd's memory would have a copy of all of them.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "perl/xs/template/mallocs.h"
#include "perl/xs/template/template.h"

/* Bytes and pieces that are used up at most. */
#define BYTES  ((size_t)32 << 20)
#define PIECES 100000

/* So many pieces side by side are no longer leftovers. */
#define IN_A_ROW 4

static size_t bytes, pieces;

static void use_up(size_t size)
{
    char *last = NULL, *piece;
    unsigned in_a_row = 0;

    while (in_a_row < IN_A_ROW && bytes + size <= BYTES && pieces < PIECES) {
        piece = malloc(size);
        if (!piece)
            return;
        in_a_row = last && piece > last && piece - last < (ptrdiff_t)size + 32
                       ? in_a_row + 1
                       : 0;
        last = piece;
        bytes += size;
        pieces++;
    }
}

void spawn_template_fresh_memory(pTHX_ bool alone)
{
    const char *other;
    size_t size, i;

    /* Perl's own lists of what is free */
    PL_sv_root = NULL;
    for (i = 0; i < C_ARRAY_LENGTH(PL_body_roots); i++)
        PL_body_roots[i] = NULL;
    if (!alone || !spawn_template_malloc_is_ours(&other))
        return;
    for (size = (size_t)64 << 10; size > 1024; size /= 2)
        use_up(size - 32);
    for (; size >= 32; size -= 16)
        use_up(size - 8);
}
