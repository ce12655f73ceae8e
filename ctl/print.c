/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for people. Runs in spawnctl. Must print no control character that a
 * job's caller wrote (arguments, label, context), nor one of a job's output to
 * a terminal, nor what turns the direction of writing there.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>
#include <sys/ioctl.h>

#include "common/spawn_escape.h"
#include "ctl/ctl.h"

/* The C library takes what turns the direction of writing for printable. */
static bool is_shown(wchar_t c)
{
    return iswprint((wint_t)c)
           && (c < 0x7f || !spawn_escape_obeyed((uint32_t)c));
}

/* may: control characters that stay as they are. */
static void print_span(FILE *to, const char *text, size_t left, unsigned width,
                       const char *may)
{
    unsigned used = 0;
    mbstate_t state;

    memset(&state, 0, sizeof(state));
    while (left > 0) {
        wchar_t c;
        size_t n = mbrtowc(&c, text, left, &state);
        bool bad = n == (size_t)-1 || n == (size_t)-2 || n == 0;
        bool shown = !bad && (is_shown(c) || strchr(may, *text));
        int columns = shown && iswprint((wint_t)c) ? wcwidth(c) : 1;

        if (bad) {
            memset(&state, 0, sizeof(state));
            n = 1;
        }
        if (width && used + (unsigned)columns > width)
            return;
        if (shown)
            (void)fwrite(text, 1, n, to);
        else
            (void)fputc('?', to);
        used += (unsigned)columns;
        text += n;
        left -= n;
    }
}

void ctl_print_text(FILE *to, const char *text, unsigned width)
{
    print_span(to, text, strlen(text), width, "");
}

void ctl_print_output(FILE *to, const void *data, size_t length)
{
    if (isatty(fileno(to)))
        print_span(to, data, length, 0, "\n\t");
    else
        (void)fwrite(data, 1, length, to);
}

unsigned ctl_terminal_width(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO))
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

void ctl_goes_on_text(const spawn_id *id, char *text, size_t room)
{
    char id_text[SPAWN_ID_TEXT];

    (void)snprintf(text, room, "\nspawnctl: the job goes on: %s\n",
                   spawn_id_format(id, id_text));
}
