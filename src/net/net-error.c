/*
 * The first failure of a transfer is the one that is told: what libcurl reports after a callback
 * has refused to go on is only the echo of that refusal.
 *
 * Sentences are plain ASCII, whatever a server put into its answers: they end up in terminals and
 * in D-Bus strings. They name host and path but neither user, password nor query.
 */
#include "net/net-error.h"

#include "net/redirect.h"

#include <stdarg.h>
#include <stdio.h>

enum {
        HOST_MAX = 256,
        URL_MAX = 300,
};

static void plain(char *text)
{
        for (; *text; text++)
                if (*text < 0x20 || *text > 0x7e)
                        *text = '?';
}

void net_failure_set(NetFailure *f, ErrorContext context, BitsCode code, const char *format, ...)
{
        va_list args;

        if (f->code != 0)
                return;
        f->context = context;
        f->code = code;
        va_start(args, format);
        vsnprintf(f->detail, sizeof(f->detail), format, args);
        va_end(args);
        plain(f->detail);
}

void net_failure_add(NetFailure *f, const char *format, ...)
{
        size_t used = strlen(f->detail);
        va_list args;

        va_start(args, format);
        vsnprintf(f->detail + used, sizeof(f->detail) - used, format, args);
        va_end(args);
        plain(f->detail);
}

void net_failure_file(NetFailure *f, int error)
{
        net_failure_set(f, CONTEXT_LOCAL_FILE, code_from_errno(error),
                        "Could not write to the temporary file: %s", strerror(error));
}

/* JOB-401 */
void net_failure_memory(NetFailure *f)
{
        net_failure_set(f, CONTEXT_GENERAL_QUEUE_MANAGER, BITS_E_OUT_OF_MEMORY,
                        "This machine has not enough memory for the transfer at the moment");
}

const char *http_reason(unsigned status)
{
        static const struct {
                unsigned status;
                const char *reason;
        } table[] = {
                { 204, "No Content" },
                { 300, "Multiple Choices" },
                { 301, "Moved Permanently" },
                { 302, "Found" },
                { 303, "See Other" },
                { 304, "Not Modified" },
                { 305, "Use Proxy" },
                { 307, "Temporary Redirect" },
                { 308, "Permanent Redirect" },
                { 400, "Bad Request" },
                { 401, "Unauthorized" },
                { 402, "Payment Required" },
                { 403, "Forbidden" },
                { 404, "Not Found" },
                { 405, "Method Not Allowed" },
                { 406, "Not Acceptable" },
                { 407, "Proxy Authentication Required" },
                { 408, "Request Timeout" },
                { 409, "Conflict" },
                { 410, "Gone" },
                { 411, "Length Required" },
                { 412, "Precondition Failed" },
                { 413, "Content Too Large" },
                { 414, "URI Too Long" },
                { 415, "Unsupported Media Type" },
                { 416, "Range Not Satisfiable" },
                { 417, "Expectation Failed" },
                { 421, "Misdirected Request" },
                { 429, "Too Many Requests" },
                { 431, "Request Header Fields Too Large" },
                { 451, "Unavailable For Legal Reasons" },
                { 500, "Internal Server Error" },
                { 501, "Not Implemented" },
                { 502, "Bad Gateway" },
                { 503, "Service Unavailable" },
                { 504, "Gateway Timeout" },
                { 505, "HTTP Version Not Supported" },
                { 507, "Insufficient Storage" },
                { 511, "Network Authentication Required" },
        };

        for (size_t i = 0; i < ELEMENTS(table); i++)
                if (table[i].status == status)
                        return table[i].reason;
        return "";
}

void net_failure_status(NetFailure *f, unsigned status, const char *url)
{
        const char *reason = http_reason(status), *but = "";
        char host[HOST_MAX];

        /* NET-421: one that says it is followed, or refused in words of its own. */
        if ((status >= 301 && status <= 303) || status == 307 || status == 308)
                but = ", and does not say where";
        url_host(url, host, sizeof(host));
        net_failure_set(f, CONTEXT_REMOTE_FILE, BITS_E_HTTP(status), "%s answered %u%s%s%s", host,
                        status, *reason ? " " : "", reason, but);
}

void net_failure_no_network(NetFailure *f, const char *url, int error)
{
        char host[HOST_MAX];

        url_host(url, host, sizeof(host));
        net_failure_set(f, CONTEXT_GENERAL_QUEUE_MANAGER, BG_E_NETWORK_DISCONNECTED,
                        "Could not connect to %s: %s, and this machine has no route to any other "
                        "network",
                        host, strerror(error));
}

/* NET-421 */
void net_failure_long_line(NetFailure *f, const char *url)
{
        char shown[URL_MAX];

        url_for_people(url, shown, sizeof(shown));
        net_failure_set(f, CONTEXT_REMOTE_FILE, BG_E_INVALID_SERVER_RESPONSE,
                        "The answer for %s makes no sense: a line of its header is too long",
                        shown);
}

/* NET-32, JOB-64, JOB-65, JOB-75, JOB-301 */
BitsCode net_code(CURLcode result, long connect_status)
{
        if (connect_status >= 300)
                return BITS_E_HTTP(connect_status);
        switch (result) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
                return BITS_E_NAME_NOT_RESOLVED;
        case CURLE_COULDNT_CONNECT:
        case CURLE_INTERFACE_FAILED:
                return BITS_E_CANNOT_CONNECT;
        case CURLE_OPERATION_TIMEDOUT:
                return BITS_E_TIMEOUT;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_CIPHER:
        case CURLE_SSL_ENGINE_NOTFOUND:
        case CURLE_SSL_ENGINE_INITFAILED:
        case CURLE_SSL_INVALIDCERTSTATUS:
        case CURLE_SSL_ISSUER_ERROR:
        case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        case CURLE_SSL_CRL_BADFILE:
        case CURLE_USE_SSL_FAILED:
                return BITS_E_SECURE_FAILURE;
        case CURLE_UNSUPPORTED_PROTOCOL: /* of the answer: our own URLs were checked before */
        case CURLE_WEIRD_SERVER_REPLY:
        case CURLE_BAD_CONTENT_ENCODING:
        case CURLE_TOO_MANY_REDIRECTS:
                return BG_E_INVALID_SERVER_RESPONSE;
        case CURLE_URL_MALFORMAT:
                return BITS_E_INVALID_ARGUMENT;
        case CURLE_OUT_OF_MEMORY:
                return BITS_E_OUT_OF_MEMORY;
        default: /* libcurl's enumeration: all that can happen to a connection once it is there */
                return BITS_E_CONNECTION_ERROR;
        }
}

void net_failure_curl(NetFailure *f, CURLcode result, long connect_status, const char *url,
                      const char *explanation)
{
        BitsCode code = net_code(result, connect_status);
        char host[HOST_MAX], shown[URL_MAX];

        url_host(url, host, sizeof(host));
        url_for_people(url, shown, sizeof(shown));
        if (string_empty(explanation))
                explanation = curl_easy_strerror(result);
        if (connect_status >= 300)
                net_failure_set(f, CONTEXT_REMOTE_FILE, code,
                                "The proxy refused a connection to %s: it answered %ld %s", host,
                                connect_status, http_reason((unsigned)connect_status));
        else if (result == CURLE_COULDNT_RESOLVE_HOST)
                net_failure_set(f, CONTEXT_REMOTE_FILE, code, "Could not resolve host %s", host);
        else if (code == BITS_E_CANNOT_CONNECT)
                net_failure_set(f, CONTEXT_REMOTE_FILE, code, "Could not connect to %s: %s", host,
                                explanation);
        else if (code == BITS_E_SECURE_FAILURE)
                net_failure_set(f, CONTEXT_REMOTE_FILE, code,
                                "No secure connection to %s could be made: %s", host, explanation);
        else if (code == BITS_E_OUT_OF_MEMORY)
                net_failure_memory(f);
        else
                net_failure_set(f, CONTEXT_REMOTE_FILE, code, "Transfer of %s failed: %s", shown,
                                explanation);
}
