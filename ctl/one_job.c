/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What retry and start have in common: a request about one job, or about each
 * that is named. Runs in spawnctl. Must not decide what may be done to a job:
 * the broker does.
 */
#include "ctl/ctl.h"

int ctl_ask_of(spawn_ctl *ctl, uint16_t type, const spawn_id *id,
               spawn_error no)
{
    char id_text[SPAWN_ID_TEXT];
    spawn_failure why;
    uint8_t room[64];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, type, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    (void)spawn_writer_finish(&w, 0);
    if (spawn_client_ask(ctl->client, &w, 0, NULL, &why)) {
        (void)ctl_fail(&why);
        return why.code == SPAWN_E_NO_SUCH_JOB || why.code == no ? CTL_NO
                                                                 : CTL_TROUBLE;
    }
    if (ctl->json)
        ctl_json_print(json_pack("{s:s}", "id", spawn_id_format(id, id_text)));
    return CTL_OK;
}

int ctl_ask_of_each(spawn_ctl *ctl, uint16_t type, int argc, char **argv,
                    spawn_error no)
{
    int code, worst = CTL_OK;
    spawn_id id;

    for (; optind < argc; optind++) {
        code = ctl_lookup(ctl, argv[optind], &id);
        if (code == CTL_OK)
            code = ctl_ask_of(ctl, type, &id, no);
        if (code > worst)
            worst = code;
    }
    return worst;
}
