#include "net/refusal.h"

#include "net/redirect.h"

#include <stdio.h>

/* A full disk, as the protocol's specification prints it. */
#define DISK_FULL_MISPRINTED 0x80070112u

/* The server's own code, when it says more than the status; 0: it does not. NET-130 */
static BitsCode known_error(const Ack *ack)
{
        static const BitsCode known[] = {
                BG_E_TOO_LARGE,
                BG_E_CLIENT_SERVER_PROTOCOL_MISMATCH,
                BG_E_SERVER_EXECUTE_ENABLE,
                BITS_E_ACCESS_DENIED,
                BITS_E_INVALID_ARGUMENT,
        };

        for (size_t i = 0; i < ELEMENTS(known) && !ack->of_the_application; i++)
                if (known[i] == ack->error)
                        return ack->error;
        return 0;
}

/* What the answer means, where its status does not say so. NET-422 */
static const char *explain(const Ack *ack, bool creating)
{
        unsigned status = ack->answer.status;

        if (ack->of_the_application)
                return "";
        if (creating && (status == 405 || status == 501))
                return ": it takes no BITS uploads there";
        if (status >= 300 && status < 400)
                return ": an upload follows no redirect; name the place where it leads";
        if (ack->error == BITS_E_DISK_FULL || ack->error == DISK_FULL_MISPRINTED)
                return ": its disk is full";
        return "";
}

void refusal_set(NetFailure *failure, const Ack *ack, const char *packet, bool creating,
                 const char *url)
{
        unsigned status = ack->answer.status;
        BitsCode code = known_error(ack);
        const char *who = ack->of_the_application ? "the application behind " : "";
        const char *reason = http_reason(status), *what;
        char host[256], number[32] = "";

        if (ack->error != 0)
                snprintf(number, sizeof(number), " (error 0x%08x)", ack->error);
        /* NET-131: no later try would find another answer. */
        if (creating && (status == 409 || status == 403) && code != BG_E_SERVER_EXECUTE_ENABLE) {
                code = BITS_E_ACCESS_DENIED;
                what = status == 409 ? ": the file exists there and may not be replaced"
                                     : ": uploads to this URL are not permitted, or the file "
                                       "exists there and may not be replaced";
        } else
                what = explain(ack, creating);
        url_host(url, host, sizeof(host));
        net_failure_set(failure,
                        ack->of_the_application ? CONTEXT_REMOTE_APPLICATION : CONTEXT_REMOTE_FILE,
                        code != 0 ? code : BITS_E_HTTP(status), "%s%s answered %s with %u%s%s%s%s",
                        who, host, packet, status, *reason ? " " : "", reason, number, what);
}
