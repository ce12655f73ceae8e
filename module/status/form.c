/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forms by which something is done. Runs in httpd children, in the thread of
 * the request. Must let nothing through that a visitor has not confirmed on a
 * page of ours, and nobody who has not logged in.
 */
#include "module/status/form.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

#include "module/few.h"
#include "module/status/token.h"

#define FORM_FIELDS 8
#define FORM_SIZE   4096
#define FIELD_SIZE  256

/* A visitor without a name here can be anybody on this machine, or a page whose
 * name points to it. */
int spawn_form_no_control(spawn_page *page)
{
    if (page->switched_on)
        return spawn_page_fail(page, HTTP_FORBIDDEN,
                               "Only who has logged in can act here: httpd "
                               "knows no user (Require valid-user).");
    return spawn_page_fail(page, HTTP_FORBIDDEN,
                           "This page only shows: SpawnStatusControl is off "
                           "here.");
}

/* ---- what a form has ---- */

void spawn_form_signals(spawn_page *page)
{
    static const char *const signals[] = {"TERM", "KILL", "INT",  "HUP", "QUIT",
                                          "USR1", "USR2", "STOP", "CONT"};
    size_t i;

    spawn_page_html(page, "<label>Signal<select name=\"signal\">");
    for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        spawn_page_format(page, "<option>%s</option>", signals[i]);
    spawn_page_html(page, "</select></label>\n");
}

int spawn_form_signal_number(const char *name)
{
    int i;

    for (i = 1; i < NSIG; i++) {
        const char *known = sigabbrev_np(i);

        if (known && strcmp(known, name) == 0)
            return i;
    }
    return 0;
}

/* ---- did our page send it? ---- */

const char *spawn_form_field(spawn_page *page, const apr_array_header_t *pairs,
                             const char *name)
{
    char *text;
    int i;

    for (i = 0; pairs && i < pairs->nelts; i++) {
        const ap_form_pair_t *pair = &APR_ARRAY_IDX(pairs, i, ap_form_pair_t);
        apr_off_t length;
        apr_size_t size;

        if (strcmp(pair->name, name) != 0
            || apr_brigade_length(pair->value, 1, &length) != APR_SUCCESS
            || length > FIELD_SIZE)
            continue;
        size = (apr_size_t)length;
        text = apr_pcalloc(page->r->pool, size + 1);
        (void)apr_brigade_flatten(pair->value, text, &size);
        return text;
    }
    return "";
}

/* A browser says from where a form comes: in Sec-Fetch-Site, which no page can
 * set, or else in Origin. A client that sends none of them is no browser of
 * today, and needs the token all the same. */
static bool from_elsewhere(const request_rec *r)
{
    const char *site = apr_table_get(r->headers_in, "Sec-Fetch-Site");
    const char *origin = apr_table_get(r->headers_in, "Origin");
    const char *host = apr_table_get(r->headers_in, "Host");

    if (site)
        return strcmp(site, "same-origin") != 0;
    if (!origin)
        return false;
    origin = strstr(origin, "://");
    return !origin || !host || strcasecmp(origin + 3, host) != 0;
}

const char *spawn_form_who(const request_rec *r)
{
    return apr_psprintf(r->pool, "user '%s', client %s", r->user ? r->user : "",
                        r->useragent_ip);
}

static int refuse(spawn_page *page, const char *why)
{
    static spawn_few few;
    request_rec *r = page->r;

    if (spawn_few_lines(&few, r->server, APLOG_WARNING, "MS0961",
                        r->useragent_ip))
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      MSNO(0961) "status page: an act is refused: %s (%s)", why,
                      spawn_form_who(r));
    return spawn_page_fail(page, HTTP_FORBIDDEN,
                           "%s Nothing was done. Go to the page again, and "
                           "confirm it there.",
                           why);
}

int spawn_form_check(spawn_page *page, const char *act, const char *target,
                     const apr_array_header_t *pairs)
{
    if (from_elsewhere(page->r))
        return refuse(page, "The form came from another site.");
    if (!spawn_token_good(page->r, act, target,
                          spawn_form_field(page, pairs, "token")))
        return refuse(page, "The form is too old, or was not made for this.");
    return 0;
}

int spawn_form_read(spawn_page *page, apr_array_header_t **ret)
{
    *ret = NULL;
    if (ap_parse_form_data(page->r, NULL, ret, FORM_FIELDS, FORM_SIZE) == OK)
        return 0;
    return spawn_page_fail(page, HTTP_BAD_REQUEST,
                           "What was sent is no form of this page.");
}

int spawn_form_token(spawn_page *page, const char *act, const char *target)
{
    const char *token = spawn_token_make(page->r, act, target);

    if (!token)
        return spawn_page_fail(page, HTTP_SERVICE_UNAVAILABLE,
                               "httpd is being started.");
    spawn_page_format(page,
                      "<input type=\"hidden\" name=\"token\" "
                      "value=\"%s\">\n",
                      token);
    return 0;
}

int spawn_form_signal(spawn_page *page, const apr_array_header_t *pairs,
                      const char **ret)
{
    *ret = spawn_form_field(page, pairs, "signal");
    if (!**ret)
        return spawn_page_fail(page, HTTP_BAD_REQUEST, "No signal is given.");
    if (!spawn_form_signal_number(*ret))
        return spawn_page_fail(page, HTTP_BAD_REQUEST,
                               "'%.64s' is not a signal.", *ret);
    return 0;
}
