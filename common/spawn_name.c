/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which names are allowed. Runs in every process. Must look at nothing but the
 * text.
 */
#include <ctype.h>
#include <string.h>

#include "common/spawn_name.h"
#include "common/spawn_proto.h"

#define REQUEST_ID_MAX 256

bool spawn_queue_name_ok(const char *name)
{
    size_t length = strlen(name);
    size_t i;

    if (length == 0 || length > SPAWN_NAME_MAX || *name == '.' || *name == '-')
        return false;
    for (i = 0; i < length; i++) {
        unsigned char c = (unsigned char)name[i];

        if (!isalnum(c) && c != '_' && c != '-' && c != '.')
            return false;
    }
    return true;
}

bool spawn_perl_name_ok(const char *name)
{
    bool start = true;

    for (; *name; name++) {
        if (name[0] == ':' && name[1] == ':' && !start) {
            name++;
            start = true;
            continue;
        }
        if (!isalpha((unsigned char)*name) && *name != '_'
            && (start || !isdigit((unsigned char)*name)))
            return false;
        start = false;
    }
    return !start;
}

bool spawn_request_id_ok(const char *id)
{
    size_t length = strlen(id), i;

    for (i = 0; i < length; i++) {
        if (id[i] <= ' ' || id[i] > '~')
            return false;
    }
    return length > 0 && length <= REQUEST_ID_MAX;
}
