#include "net/ack.h"

#include "net/redirect.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

enum {
        CONTENT_NAME_MAX = 260,
        CONTEXT_APPLICATION = 7,
};

void ack_reset(Ack *ack)
{
        answer_reset(&ack->answer);
        *ack = (Ack){ .answer = ack->answer, .host_fallback = UINT32_MAX };
}

void ack_done(Ack *ack)
{
        answer_done(&ack->answer);
}

bool ack_parse_hex(const char *text, uint32_t *ret)
{
        char *end;
        unsigned long value;

        if (text[0] == '0' && tolower((unsigned char)text[1]) == 'x')
                text += 2;
        if (!isxdigit((unsigned char)*text) || strlen(text) > 8)
                return false;
        value = strtoul(text, &end, 16);
        if (*end)
                return false;
        *ret = (uint32_t)value;
        return true;
}

/* Visible ASCII without spaces, as it goes back into a header line or a URL. */
static void keep(const char *value, char *ret, size_t size)
{
        ret[0] = 0;
        if (strlen(value) >= size)
                return;
        for (const char *p = value; *p; p++)
                if (*p <= 0x20 || *p > 0x7e)
                        return;
        strcpy(ret, value);
}

static void keep_url(const char *value, char *ret, size_t size)
{
        ret[0] = 0;
        for (const char *p = value; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        return;
        if (strlen(value) < size)
                strcpy(ret, value);
}

static bool is_made_of(const char *text, const char *characters)
{
        return strspn(text, characters) == strlen(text);
}

/* NET-121: a host and nothing else: it takes the place of one in a URL, where an IPv6 address has
   brackets. NET-422 */
static void keep_host(const char *value, char *ret, size_t size)
{
        bool address = strchr(value, ':') != strrchr(value, ':') &&
                       is_made_of(value, "0123456789abcdefABCDEF:.");

        ret[0] = 0;
        if (strlen(value) + (address ? 2 : 0) < size &&
            is_made_of(value, "-.0123456789:ABCDEFGHIJKLMNOPQRSTUVWXYZ[]_"
                              "abcdefghijklmnopqrstuvwxyz"))
                snprintf(ret, size, "%s%s%s", address ? "[" : "", value, address ? "]" : "");
}

static void read_fallback(Ack *ack, const char *value)
{
        uint64_t seconds;

        if (number_parse(value, &seconds))
                ack->host_fallback = (uint32_t)MIN(seconds, (uint64_t)UINT32_MAX);
}

/* NET-122: both names of the error's header are in use. */
static void read_field(Ack *ack, const char *name, const char *value)
{
        uint32_t number;

        if (strcasecmp(name, "BITS-Packet-Type") == 0 ||
            strcasecmp(name, "BITS-Package-Type") == 0) /* the specification has it once */
                ack->is_ack = strcasecmp(value, "Ack") == 0;
        else if (strcasecmp(name, "BITS-Protocol") == 0)
                ack->speaks = strcasecmp(value, BITS_UPLOAD_PROTOCOL) == 0;
        else if (strcasecmp(name, "BITS-Session-Id") == 0)
                keep(value, ack->session, sizeof(ack->session));
        else if (strcasecmp(name, "BITS-Host-Id") == 0)
                keep_host(value, ack->host, sizeof(ack->host));
        else if (strcasecmp(name, "BITS-Host-Id-Fallback-Timeout") == 0)
                read_fallback(ack, value);
        else if (strcasecmp(name, "BITS-Received-Content-Range") == 0)
                ack->has_next = number_parse(value, &ack->next);
        else if (strcasecmp(name, "BITS-Reply-URL") == 0)
                keep_url(value, ack->reply_url, sizeof(ack->reply_url));
        else if (strcasecmp(name, "BITS-Error") == 0 || strcasecmp(name, "BITS-Error-Code") == 0)
                (void)ack_parse_hex(value, &ack->error);
        else if (strcasecmp(name, "BITS-Error-Context") == 0)
                ack->of_the_application =
                        ack_parse_hex(value, &number) && number == CONTEXT_APPLICATION;
}

static bool begins_status(const char *line, size_t size)
{
        return size > 5 && memcmp(line, "HTTP/", 5) == 0;
}

AnswerStep ack_line(Ack *ack, const char *line, size_t size)
{
        bool trailer = ack->answer.complete;
        AnswerStep step = answer_line(&ack->answer, line, size);
        char *text, *colon, *end;

        if (step != ANSWER_MORE || trailer)
                return step;
        if (begins_status(line, size)) {
                Answer answer = ack->answer;

                *ack = (Ack){ .answer = answer, .host_fallback = UINT32_MAX };
                return step;
        }
        text = strndup(line, size);
        if (!text)
                return ANSWER_MALFORMED;
        colon = strchr(text, ':');
        if (colon) {
                *colon++ = 0;
                colon += strspn(colon, " \t");
                end = colon + strlen(colon);
                while (end > colon && strchr("\r\n \t", end[-1]))
                        *--end = 0;
                read_field(ack, text, colon);
        }
        free(text);
        return step;
}

void content_name(const char *name, char *ret, size_t size)
{
        size_t n = 0;

        for (; *name && n + 1 < size && n < CONTENT_NAME_MAX; name++)
                ret[n++] =
                        *name < 0x20 || *name > 0x7e || strchr("\\/:*?\"<>|", *name) ? '_' : *name;
        ret[n] = 0;
}

/* NET-123 */
char *reply_url_resolve(const char *base, const char *text)
{
        _cleanup_free_ char *encoded = malloc(3 * strlen(text) + 1);
        char *url = NULL, *out = encoded;

        if (!encoded || !*text)
                return NULL;
        for (const char *p = text; *p; p++) {
                unsigned char c = (unsigned char)*p;

                if (c == '\\')
                        *out++ = '/';
                else if (c <= 0x20 || c > 0x7e || strchr("{}<>\"^`|", c))
                        out += sprintf(out, "%%%02X", c);
                else
                        *out++ = (char)c;
        }
        *out = 0;
        if (redirect_decide(base, encoded, 0, 1, &url) != REDIRECT_FOLLOW)
                return NULL;
        if (strlen(url) <= ACK_URL_MAX)
                return url;
        free(url);
        return NULL;
}
