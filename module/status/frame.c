/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of all pages. Runs in httpd children, in the thread of the request.
 * Must have no script or style in a page: the headers forbid them.
 */
#include "module/status/frame.h"

#include <string.h>

#include "module/status/files.h"

/* ---- links to the same page ---- */

static const char *const known[] = {
    "view",  "job",   "q",       "queue",   "state", "outcome",
    "what",  "label", "request", "user",    "vhost", "since",
    "until", "sort",  "before",  "refresh", "rows",  "ended_since"};

/* The same address with another value of one argument. Without JavaScript the
 * choices of the page live in its address. */
static void same_page(spawn_page *page, const char *name, const char *value)
{
    const char *between = "?";
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const char *is = spawn_page_arg(page, known[i]);

        if (!*is || strcmp(known[i], name) == 0)
            continue;
        spawn_page_format(page, "%s%s=", between, known[i]);
        spawn_page_query(page, is);
        between = "&amp;";
    }
    spawn_page_format(page, "%s%s=%s", between, name, value);
}

static void nav_link(spawn_page *page, const char *view, const char *href,
                     const char *is, const char *word)
{
    spawn_page_format(page, "<a href=\"%s\"%s>%s</a>", href,
                      strcmp(view, is) == 0 ? " aria-current=\"page\"" : "",
                      word);
}

/* ---- around a view ---- */

static void put_head(spawn_page *page, const char *title, bool live)
{
    const char *host = ap_get_server_name(page->r);

    spawn_page_html(page,
                    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
                    "<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" "
                    "content=\"width=device-width, initial-scale=1\">\n"
                    "<meta name=\"color-scheme\" content=\"light dark\">\n"
                    "<title>");
    spawn_page_attr(page, title); /* a title has no tags */
    spawn_page_html(page, " &#8211; mod_spawn on ");
    spawn_page_attr(page, host);
    spawn_page_format(page,
                      "</title>\n"
                      "<link rel=\"icon\" href=\"?file=icon.svg&amp;v=%s\">\n"
                      "<link rel=\"stylesheet\" "
                      "href=\"?file=style.css&amp;v=%s\">\n",
                      spawn_file_version("icon.svg"),
                      spawn_file_version("style.css"));
    if (live)
        spawn_page_format(page,
                          "<script src=\"?file=live.js&amp;v=%s\" "
                          "defer></script>\n",
                          spawn_file_version("live.js"));
    if (live && page->refresh)
        spawn_page_format(page,
                          "<noscript><meta http-equiv=\"refresh\" "
                          "content=\"%u\"></noscript>\n",
                          page->refresh);
    spawn_page_html(page, "</head>\n");
}

void spawn_frame_begin(spawn_page *page, const char *title, const char *view,
                       bool live)
{
    put_head(page, title, live);
    spawn_page_html(page, "<body>\n<a class=\"skip\" href=\"#main\">To the "
                          "content</a>\n<header><div class=\"wide\">"
                          "<strong>mod_spawn</strong>\n"
                          "<nav aria-label=\"Views\">");
    nav_link(page, view, "?", "", "Overview");
    nav_link(page, view, "?view=jobs", "jobs", "Jobs");
    nav_link(page, view, "?view=jobs&amp;state=dead", "dead", "Dead jobs");
    spawn_page_html(page, "</nav>\n<span class=\"host\">");
    spawn_page_text(page, ap_get_server_name(page->r));
    spawn_page_html(page, "</span></div></header>\n"
                          "<main id=\"main\" class=\"wide\" tabindex=\"-1\">\n"
                          "<div id=\"live\">\n");
}

static void put_choice(spawn_page *page, const char *seconds, const char *word)
{
    bool is = strcmp(spawn_page_arg(page, "refresh"), seconds) == 0;

    spawn_page_html(page, " <a href=\"");
    same_page(page, "refresh", seconds);
    spawn_page_format(page, "\" data-refresh=\"%s\"%s>%s</a>", seconds,
                      is ? " aria-current=\"true\"" : "", word);
}

void spawn_frame_end(spawn_page *page, bool live)
{
    char now[64];

    spawn_page_html(page, "</div>\n</main>\n<footer class=\"wide\">\n");
    spawn_time_local((uint64_t)page->now, now, sizeof(now));
    *strrchr(now, '.') = '\0'; /* ms and zone */
    spawn_page_format(page, "<p>As of <time id=\"as-of\">%s</time></p>\n", now);
    if (live) {
        spawn_page_html(page, "<p id=\"refresh\">Shown anew:");
        put_choice(page, "0", "by hand");
        put_choice(page, "5", "every 5 s");
        put_choice(page, "30", "every 30 s");
        spawn_page_html(page, "</p>\n<p><a href=\"");
        same_page(page, "format", "json");
        spawn_page_html(page, "\">As JSON</a>");
        if (strcmp(spawn_page_arg(page, "view"), "jobs") == 0) {
            spawn_page_html(page, " <a href=\"");
            same_page(page, "format", "csv");
            spawn_page_html(page, "\">As CSV</a>");
        }
        spawn_page_html(page, "</p>\n");
    }
    spawn_page_html(page, "</footer>\n</body>\n</html>\n");
}

/* ---- why there is none ---- */

static const char *headline(int status)
{
    switch (status) {
    case HTTP_SERVICE_UNAVAILABLE:
        return "The broker does not answer";
    case HTTP_NOT_FOUND:
        return "Not found";
    case HTTP_FORBIDDEN:
        return "Not allowed";
    case HTTP_CONFLICT:
        return "It has changed meanwhile";
    default:
        return "That cannot be shown";
    }
}

void spawn_frame_failed(spawn_page *page)
{
    bool away = page->status == HTTP_SERVICE_UNAVAILABLE;

    if (away)
        apr_table_setn(page->r->headers_out, "Retry-After", "5");
    /* a live page goes on asking, and shows the page when it is there again */
    spawn_frame_begin(page, headline(page->status), "-", away);
    spawn_page_format(page, "<h1>%s</h1>\n<p class=\"notice bad\">",
                      headline(page->status));
    spawn_page_text(page, page->why.text);
    spawn_page_html(page, "</p>\n");
    if (away)
        spawn_page_html(page,
                        "<p>Jobs that run are not affected, and jobs that "
                        "are accepted are kept. A broker that has ended "
                        "is started again by itself, in a moment; the "
                        "error log says more.</p>\n");
    spawn_page_html(page, "<p><a href=\"?\">To the overview</a></p>\n");
    spawn_frame_end(page, away);
}
