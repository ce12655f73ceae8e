/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables for people: columns as wide as their cells. Runs in spawnctl. Must
 * know nothing of jobs.
 */
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

/* A row has one cell more than columns: the note below the row. */
static char **cells_of(const ctl_table *t, size_t row)
{
    return t->cells + row * (t->count + 1);
}

char **ctl_table_row(ctl_table *t)
{
    char **row;

    if (t->rows == t->room) {
        size_t room = t->room ? 2 * t->room : 64;
        char **cells =
            realloc(t->cells, room * (t->count + 1) * sizeof(*cells));

        if (!cells)
            return NULL;
        t->cells = cells;
        t->room = room;
    }
    row = cells_of(t, t->rows++);
    memset(row, 0, (t->count + 1) * sizeof(*row));
    return row;
}

static const char *cell(const ctl_table *t, size_t row, unsigned column)
{
    const char *text = cells_of(t, row)[column];

    return text ? text : "?";
}

static unsigned width_of(const ctl_table *t, unsigned column)
{
    size_t width = strlen(t->columns[column].title);
    size_t i;

    for (i = 0; i < t->rows; i++) {
        size_t length = strlen(cell(t, i, column));

        if (length > width)
            width = length;
    }
    return (unsigned)width;
}

static void put_spaces(size_t count)
{
    (void)printf("%*s", (int)count, "");
}

/* The last column is text of any length, cut at the terminal, unless it is
 * aligned to the right. Names come from the broker, too, and a process that
 * poses as it may have put anything there. */
static void print_cell(const ctl_table *t, unsigned column, unsigned width,
                       const char *text, unsigned *used, unsigned terminal)
{
    bool last = column + 1 == t->count;
    bool right = t->columns[column].right;
    size_t rest = width - strlen(text);

    if (right)
        put_spaces(rest);
    if (right || !last)
        ctl_print_text(stdout, text, 0);
    else if (!terminal || *used < terminal)
        ctl_print_text(stdout, text, terminal ? terminal - *used : 0);
    if (!last)
        put_spaces(right ? 2 : rest + 2);
    *used += width + 2;
}

void ctl_table_print(const ctl_table *t)
{
    unsigned terminal = ctl_terminal_width();
    unsigned widths[TABLE_COLUMNS_MAX];
    unsigned used = 0, c;
    size_t i;

    for (c = 0; c < t->count; c++)
        widths[c] = width_of(t, c); /* once: there may be 100,000 rows */
    for (c = 0; c < t->count; c++)
        print_cell(t, c, widths[c], t->columns[c].title, &used, terminal);
    (void)putchar('\n');
    for (i = 0; i < t->rows; i++) {
        const char *note = cells_of(t, i)[t->count];

        for (used = c = 0; c < t->count; c++)
            print_cell(t, c, widths[c], cell(t, i, c), &used, terminal);
        (void)putchar('\n');
        if (!note)
            continue;
        (void)fputs("    ", stdout);
        ctl_print_text(stdout, note, 0);
        (void)putchar('\n');
    }
}

void ctl_table_free(ctl_table *t)
{
    size_t i;

    for (i = 0; i < t->rows * (t->count + 1); i++)
        free(t->cells[i]);
    free(t->cells);
    t->cells = NULL;
    t->rows = t->room = 0;
}
