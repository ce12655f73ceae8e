/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of anybody in HTML, and the small parts that all views have. Runs in
 * httpd children, in the thread of the request. Must write nothing of a job or
 * of a visitor but through an escape: a job's label may be chosen by an
 * attacker.
 */
#include "module/status/page.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "http_protocol.h"

#include "common/spawn_escape.h"

/* ---- what was asked for ---- */

/* As browsers write forms: with '+' for a space, which ap_args_to_table does
 * not know. */
void spawn_page_read_query(spawn_page *page)
{
    apr_pool_t *p = page->r->pool;
    const char *rest = page->r->args ? page->r->args : "";

    page->args = apr_table_make(p, 8);
    while (*rest) {
        const char *text = ap_getword(p, &rest, '&');
        char *name = ap_getword(p, &text, '=');
        char *value = apr_pstrdup(p, text);

        (void)ap_unescape_urlencoded(name);
        (void)ap_unescape_urlencoded(value);
        apr_table_setn(page->args, name, value);
    }
}

const char *spawn_page_arg(const spawn_page *page, const char *name)
{
    const char *value = apr_table_get(page->args, name);

    return value ? value : "";
}

int spawn_page_fail(spawn_page *page, int status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(page->why.text, sizeof(page->why.text), fmt, args);
    va_end(args);
    page->why.code = SPAWN_E_INVALID;
    page->status = status;
    return -1;
}

/* A browser is to load nothing but our own files, to run nothing that stands in
 * a page, and to show a page in no frame. */
void spawn_page_headers(spawn_page *page, const char *type)
{
    apr_table_t *headers = page->r->headers_out;

    ap_set_content_type(page->r, type);
    apr_table_setn(headers, "Content-Security-Policy",
                   "default-src 'none'; style-src 'self'; script-src 'self'; "
                   "img-src 'self'; connect-src 'self'; form-action 'self'; "
                   "base-uri 'none'; frame-ancestors 'none'");
    apr_table_setn(headers, "X-Content-Type-Options", "nosniff");
    apr_table_setn(headers, "X-Frame-Options", "DENY");
    apr_table_setn(headers, "Referrer-Policy", "no-referrer");
    apr_table_setn(headers, "Cross-Origin-Resource-Policy", "same-origin");
    apr_table_setn(headers, "Cache-Control", "no-store");
}

/* ---- writing ---- */

static void write_bytes(spawn_page *page, const void *data, size_t length)
{
    if (length)
        (void)apr_brigade_write(page->out, NULL, NULL, data, length);
}

void spawn_gather_begin(spawn_gather *g, spawn_page *page)
{
    g->page = page;
    g->used = 0;
}

void spawn_gather_end(spawn_gather *g)
{
    write_bytes(g->page, g->bytes, g->used);
    g->used = 0;
}

void spawn_gather_add(spawn_gather *g, const void *data, size_t length)
{
    if (length > sizeof(g->bytes) - g->used)
        spawn_gather_end(g);
    if (length > sizeof(g->bytes)) {
        write_bytes(g->page, data, length);
        return;
    }
    memcpy(g->bytes + g->used, data, length);
    g->used += length;
}

void spawn_gather_text(spawn_gather *g, const char *text)
{
    spawn_gather_add(g, text, strlen(text));
}

void spawn_page_html(spawn_page *page, const char *html)
{
    write_bytes(page, html, strlen(html));
}

void spawn_page_format(spawn_page *page, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    int length;

    va_start(args, fmt);
    length = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (length > 0)
        write_bytes(page, text,
                    (size_t)length < sizeof(text) ? (size_t)length
                                                  : sizeof(text) - 1);
}

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

/* How many bytes of text can be written as they are: no markup, nothing that
 * is not printed. */
static size_t plain_bytes(const uint8_t *p, size_t left)
{
    size_t n = 0;

    while (n < left
           && ((p[n] >= 0x20 && p[n] < 0x7f && !entity((char)p[n]))
               || p[n] == '\n' || p[n] == '\t'))
        n++;
    return n;
}

static void end_mark(spawn_gather *g, bool *marked)
{
    if (!marked || !*marked)
        return;
    spawn_gather_text(g, "</span>");
    *marked = false;
}

/* One that is not ASCII, or no character: as it is, or what stands for it.
 * *marked: a mark is open, which those that follow each other share: an output
 * of megabytes of them would be twenty times as long. NULL: without marks. */
static size_t odd_character(spawn_gather *g, const uint8_t *p, size_t left,
                            bool *marked)
{
    size_t length = spawn_utf8_length(p, left), used;
    char shown[64];

    if (length == 0)
        length = 1;
    (void)spawn_escape((const char *)p, length, shown, sizeof(shown), &used);
    if (used == length && memcmp(shown, p, used) == 0) {
        end_mark(g, marked);
        spawn_gather_add(g, p, length);
        return length;
    }
    if (marked && !*marked) {
        spawn_gather_text(g, "<span class=\"odd\">");
        *marked = true;
    }
    spawn_gather_add(g, shown, used);
    return length;
}

/* marked: false, or NULL: without marks. */
static void put(spawn_page *page, const void *data, size_t left, bool *marked)
{
    const uint8_t *p = data;
    spawn_gather gather, *g = &gather;
    size_t n;

    spawn_gather_begin(g, page);
    for (; left > 0; p += n, left -= n) {
        const char *escaped = entity((char)*p);

        n = plain_bytes(p, left);
        if (n) {
            end_mark(g, marked);
            spawn_gather_add(g, p, n);
        }
        else if (escaped) {
            end_mark(g, marked);
            spawn_gather_text(g, escaped);
            n = 1;
        }
        else {
            n = odd_character(g, p, left, marked);
        }
    }
    end_mark(g, marked);
    spawn_gather_end(g);
}

void spawn_page_bytes(spawn_page *page, const void *data, size_t length)
{
    bool marked = false;

    put(page, data, length, &marked);
}

void spawn_page_text(spawn_page *page, const char *text)
{
    spawn_page_bytes(page, text, strlen(text));
}

void spawn_page_short(spawn_page *page, const char *text, size_t most)
{
    size_t length = strlen(text);

    if (length <= most) {
        spawn_page_bytes(page, text, length);
        return;
    }
    spawn_page_bytes(page, text, spawn_escape_whole(text, most));
    spawn_page_html(page, "&#8230;");
}

void spawn_page_attr(spawn_page *page, const char *text)
{
    put(page, text, strlen(text), NULL);
}

void spawn_page_query(spawn_page *page, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    char escaped[3] = {'%'};

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (apr_isalnum(c) || strchr("-._~", c)) {
            write_bytes(page, text, 1);
            continue;
        }
        escaped[1] = digits[c >> 4];
        escaped[2] = digits[c & 15];
        write_bytes(page, escaped, 3);
    }
}

/* ---- small parts ---- */

void spawn_page_duration(spawn_page *page, int64_t ms)
{
    char text[32];

    spawn_duration_text(ms, text, sizeof(text));
    spawn_page_html(page, text);
}

void spawn_page_time(spawn_page *page, uint64_t ms)
{
    int64_t ago = page->now - (int64_t)ms;
    char iso[64], local[64];

    if (!ms) {
        spawn_page_html(page, "-");
        return;
    }
    spawn_time_iso(ms, iso, sizeof(iso));
    spawn_time_local(ms, local, sizeof(local));
    spawn_page_format(page, "<time datetime=\"%s\" title=\"%s\">", iso, local);
    spawn_page_html(page, ago < 0 ? "in " : "");
    spawn_page_duration(page, ago < 0 ? -ago : ago / 1000 * 1000);
    spawn_page_html(page, ago < 0 ? "</time>" : " ago</time>");
}

/* Not <meter>, which each browser paints in colours of its own. The words are
 * for everybody, the bar is not read out. */
void spawn_page_share(spawn_page *page, const char *kind, double share)
{
    double width = share * 100;

    if (width > 0 && width < 2)
        width = 2; /* one of thousands is to be seen */
    spawn_page_format(page,
                      "<svg class=\"bar %s\" viewBox=\"0 0 100 6\" "
                      "preserveAspectRatio=\"none\" aria-hidden=\"true\">"
                      "<rect class=\"track\" width=\"100\" height=\"6\"/>"
                      "<rect class=\"fill\" width=\"%.1f\" height=\"6\"/>"
                      "</svg>",
                      kind, width > 100 ? 100 : width);
}

void spawn_page_bar(spawn_page *page, const char *kind, uint64_t is,
                    uint64_t most)
{
    spawn_page_format(page, "<span class=\"of\"><b>%llu</b> of %llu</span>",
                      (unsigned long long)is, (unsigned long long)most);
    spawn_page_share(page, kind, most ? (double)is / (double)most : 0);
}

void spawn_page_badge(spawn_page *page, const char *kind, const char *word)
{
    static const struct {
        const char *kind, *sign;
    } signs[] = {{"good", "&#10003;"},
                 {"bad", "&#10005;"},
                 {"busy", "&#9679;"},
                 {"wait", "&#9675;"}};
    const char *sign = "&#8211;";
    size_t i;

    for (i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (strcmp(kind, signs[i].kind) == 0)
            sign = signs[i].sign;
    }
    spawn_page_format(page,
                      "<span class=\"badge %s\"><span class=\"sign\" "
                      "aria-hidden=\"true\">%s</span> ",
                      kind, sign);
    spawn_page_text(page, word);
    spawn_page_html(page, "</span>");
}
