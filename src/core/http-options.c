/*
 * Headers are judged line by line, when they are set: what libcurl is given later is a list of
 * whole lines without a line end in any of them, so that nothing can be smuggled into a request.
 * Refused are the fields by which the service itself keeps its promises: where a request goes, what
 * part of the file it asks for, how messages are framed, how the upload protocol speaks.
 */
#include "core/http-options.h"

#include "basic/secret.h"
#include "basic/utf8.h"
#include "core/policy.h"

#include <ctype.h>
#include <strings.h>

int http_options_init(HttpOptions *o)
{
        o->certificate = strdup("");
        o->certificate_key = strdup("");
        o->method = strdup("");
        return o->certificate && o->certificate_key && o->method ? 0 : -ENOMEM;
}

void http_options_done(HttpOptions *o)
{
        http_options_set_passphrase(o, NULL, 0);
        http_options_set_headers(o, NULL, 0);
        free(o->certificate);
        free(o->certificate_key);
        free(o->method);
}

void http_options_set_passphrase(HttpOptions *o, uint8_t *box, size_t size)
{
        secret_free(o->passphrase, o->passphrase_size);
        o->passphrase = box;
        o->passphrase_size = size;
}

void http_options_set_headers(HttpOptions *o, uint8_t *box, size_t size)
{
        secret_free(o->headers, o->headers_size);
        o->headers = box;
        o->headers_size = size;
}

/* SEC-155 */
void http_options_forget_secrets(HttpOptions *o)
{
        o->certificate[0] = o->certificate_key[0] = 0;
        http_options_set_passphrase(o, NULL, 0);
        http_options_set_headers(o, NULL, 0);
        o->headers_write_only = o->validated = false;
}

bool http_has_certificate(const HttpOptions *o)
{
        return o->certificate[0] && !string_equal(o->certificate, CERTIFICATE_NONE);
}

bool http_has_custom_method(const HttpOptions *o)
{
        return o->method[0] != 0;
}

/* ---- client certificate ---- */

/* SEC-150, SEC-151 */
BitsCode http_check_certificate(const char *certificate, const char *key, const char *passphrase,
                                const char **ret_why)
{
        BitsCode code;

        if (strncasecmp(certificate, "pkcs11:", 7) == 0 || strncasecmp(key, "pkcs11:", 7) == 0) {
                *ret_why = "keys in tokens and smart cards are not supported: such a key cannot be "
                           "handed to the process that makes the connection; use a PEM or PKCS#12 "
                           "file";
                return BITS_E_NOT_IMPLEMENTED;
        }
        if (strlen(passphrase) > CERTIFICATE_PASSPHRASE_MAX) {
                *ret_why = "the passphrase is longer than 1024 bytes";
                return BG_E_STRING_TOO_LONG;
        }
        if (string_equal(certificate, CERTIFICATE_NONE)) {
                if (!*key && !*passphrase)
                        return 0;
                *ret_why = "\"none\" has neither key nor passphrase";
                return BITS_E_INVALID_ARGUMENT;
        }
        if (strlen(certificate) > CERTIFICATE_NAME_BYTES_MAX ||
            strlen(key) > CERTIFICATE_NAME_BYTES_MAX) {
                *ret_why = "the name is longer than 4095 bytes";
                return BG_E_STRING_TOO_LONG;
        }
        code = policy_check_local_name(certificate, ret_why);
        return code == 0 && *key ? policy_check_local_name(key, ret_why) : code;
}

/* ---- security flags ---- */

/* NET-150 */
BitsCode http_check_security_flags(uint32_t flags, const char **ret_why)
{
        uint32_t redirect = flags & HTTP_REDIRECT_MASK;
        const uint32_t known =
                HTTP_CERTIFICATE_FLAGS | HTTP_REDIRECT_MASK | HTTP_REDIRECT_HTTPS_TO_HTTP;

        if ((flags & ~known) == 0 && (redirect == 0 || redirect == HTTP_REDIRECT_REPORT ||
                                      redirect == HTTP_REDIRECT_DISALLOW))
                return 0;
        *ret_why = "unknown security flags: 0x1 to 0x10 are about certificates, 0x100 reports "
                   "redirects, 0x200 forbids them, 0x800 permits those from https to http";
        return BITS_E_NOT_IMPLEMENTED;
}

/* ---- method ---- */

/* RFC 9110 section 5.6.2 */
static bool is_token(const char *text, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!isalnum((unsigned char)text[i]) && !strchr("!#$%&'*+-.^_`|~", text[i]))
                        return false;
        return n > 0;
}

/* NET-156 */
BitsCode http_check_method(const char *method, const char **ret_why)
{
        size_t n = strlen(method);

        if (n == 0)
                return 0;
        if (n > HTTP_METHOD_CHARACTERS_MAX) {
                *ret_why = "the method is longer than 32 characters";
                return BG_E_STRING_TOO_LONG;
        }
        if (!is_token(method, n)) {
                *ret_why = "the method has a character that HTTP does not permit";
                return BITS_E_INVALID_ARGUMENT;
        }
        if (strcasecmp(method, "HEAD") == 0 || strcasecmp(method, "CONNECT") == 0) {
                *ret_why = "this method brings no file";
                return BITS_E_INVALID_ARGUMENT;
        }
        return 0;
}

/* ---- custom headers ---- */

/* NET-410: a line ends with CR and LF, or with LF alone. */
bool http_next_header(const char **text, const char **ret_line, size_t *ret_size)
{
        const char *end;
        size_t size;

        if (!**text)
                return false;
        end = strchr(*text, '\n');
        size = end ? (size_t)(end - *text) : strlen(*text);
        *ret_line = *text;
        *text = end ? end + 1 : *text + size;
        *ret_size = end && size > 0 && end[-1] == '\r' ? size - 1 : size;
        return true;
}

/* NET-153 */
static bool is_reserved(const char *name, size_t n)
{
        static const char *const reserved[] = {
                "Accept-Encoding",
                "Connection",
                "Content-Length",
                "Content-Range",
                "Expect",
                "Host",
                "HTTP2-Settings",
                "If-Range",
                "Keep-Alive",
                "Range",
                "TE",
                "Trailer",
                "Transfer-Encoding",
                "Upgrade",
        };
        static const char *const prefixes[] = { "Proxy-", "BITS-" };

        for (size_t i = 0; i < ELEMENTS(reserved); i++)
                if (strlen(reserved[i]) == n && strncasecmp(reserved[i], name, n) == 0)
                        return true;
        for (size_t i = 0; i < ELEMENTS(prefixes); i++)
                if (n >= strlen(prefixes[i]) &&
                    strncasecmp(prefixes[i], name, strlen(prefixes[i])) == 0)
                        return true;
        return false;
}

static const char *wrong_line(const char *line, size_t size)
{
        const char *colon = memchr(line, ':', size);

        for (size_t i = 0; i < size; i++)
                if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
                        return "a header has a control character; lines are divided by CR and LF, "
                               "or LF";
        if (!colon)
                return "a header line is not \"Name: value\"";
        if (!is_token(line, (size_t)(colon - line)))
                return "the name of a header has a character that HTTP does not permit";
        if (is_reserved(line, (size_t)(colon - line)))
                return "a header of that name is the service's own affair (Host, Range, lengths, "
                       "encodings, connection, Proxy-… and BITS-…)";
        return NULL;
}

/* NET-152, NET-153 */
BitsCode http_check_headers(const char *text, const char **ret_why)
{
        const char *line;
        size_t size;

        if (!utf8_length(text, &size) || size > HTTP_HEADERS_CHARACTERS_MAX) {
                *ret_why = "the headers are longer than 16383 characters";
                return BG_E_STRING_TOO_LONG;
        }
        while (http_next_header(&text, &line, &size)) {
                *ret_why = wrong_line(line, size);
                if (*ret_why)
                        return BITS_E_INVALID_ARGUMENT;
        }
        return 0;
}
