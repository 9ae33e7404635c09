/*
 * Reading one answer. libcurl frames the answer (status line, lines, body); this file reads the few
 * fields that decide about a file, from the lines themselves, because the decision has to stand
 * before the first byte of the body is written.
 *
 * A field that cannot be kept whole is treated as absent: half an ETag names no version.
 */
#include "net/http-header.h"

#include <ctype.h>
#include <strings.h>

void answer_reset(Answer *a)
{
        free(a->location);
        free(a->text);
        *a = (Answer){ .content_length = SIZE_UNKNOWN, .whole = SIZE_UNKNOWN };
}

void answer_done(Answer *a)
{
        answer_reset(a);
}

bool number_parse(const char *digits, uint64_t *ret)
{
        uint64_t value = 0;

        if (!*digits)
                return false;
        for (const char *p = digits; *p; p++) {
                if (*p < '0' || *p > '9')
                        return false;
                if (__builtin_mul_overflow(value, 10u, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
                        return false;
        }
        if (value == SIZE_UNKNOWN)
                return false;
        *ret = value;
        return true;
}

bool etag_is_strong(const char *etag)
{
        size_t n = strlen(etag);

        return n >= 2 && etag[0] == '"' && etag[n - 1] == '"';
}

/* Cuts the text at the separator; what follows it is returned. */
static char *split(char *text, char separator)
{
        char *at = strchr(text, separator);

        if (!at)
                return NULL;
        *at = '\0';
        return at + 1;
}

bool content_range_parse(const char *value, ContentRange *ret)
{
        char text[128], *last, *total;
        ContentRange r = { 0 };

        /* The unit, one space, and three numbers of 20 digits at most fit easily. */
        if (strncasecmp(value, "bytes ", 6) != 0 || strlen(value) >= sizeof(text))
                return false;
        strcpy(text, value + 6);
        total = split(text, '/');
        last = split(text, '-');
        if (!total || !last)
                return false;
        if (!number_parse(text, &r.first) || !number_parse(last, &r.last) || r.first > r.last)
                return false;
        if (strcmp(total, "*") == 0)
                r.total = SIZE_UNKNOWN;
        else if (!number_parse(total, &r.total) || r.last >= r.total)
                return false;
        *ret = r;
        return true;
}

/* "bytes * /N" without the space: how long the file is of which there is no such range. */
static uint64_t parse_unsatisfied(const char *value)
{
        uint64_t length;

        return strncasecmp(value, "bytes */", 8) == 0 && number_parse(value + 8, &length)
                       ? length
                       : SIZE_UNKNOWN;
}

/* Copies a value that is short enough and plain ASCII: it travels over D-Bus, into a database and
   back into a request. NET-09 */
static void keep_value(char kept[HEADER_VALUE_MAX + 1], const char *value)
{
        size_t n = strlen(value);

        kept[0] = '\0';
        if (n > HEADER_VALUE_MAX)
                return;
        for (const char *p = value; *p; p++)
                if (*p < 0x20 || *p > 0x7e)
                        return;
        memcpy(kept, value, n + 1);
}

static void read_content_length(Answer *a, const char *value)
{
        uint64_t length;

        if (!number_parse(value, &length))
                a->malformed = true;
        else if (a->content_length != SIZE_UNKNOWN && a->content_length != length)
                a->malformed = true; /* two lengths: request smuggling, or a broken server */
        else
                a->content_length = length;
}

static void read_content_range(Answer *a, const char *value)
{
        a->has_range = content_range_parse(value, &a->range);
        if (!a->has_range)
                a->whole = parse_unsatisfied(value);
}

static void read_field(Answer *a, const char *name, const char *value)
{
        if (strcasecmp(name, "Content-Length") == 0)
                read_content_length(a, value);
        else if (strcasecmp(name, "Transfer-Encoding") == 0)
                a->chunked = true;
        else if (strcasecmp(name, "Content-Range") == 0)
                read_content_range(a, value);
        else if (strcasecmp(name, "Accept-Ranges") == 0)
                a->refuses_ranges = strcasecmp(value, "none") == 0;
        else if (strcasecmp(name, "ETag") == 0)
                keep_value(a->etag, value);
        else if (strcasecmp(name, "Last-Modified") == 0)
                keep_value(a->last_modified, value);
        else if (strcasecmp(name, "Location") == 0 && !a->location)
                a->location = strdup(value);
}

/* NET-158 */
static void keep_line(Answer *a, const char *line)
{
        size_t n = strlen(line);
        char *longer;

        if (a->text_size + n + 2 > HEADER_TEXT_MAX)
                return;
        longer = realloc(a->text, a->text_size + n + 3);
        if (!longer)
                return;
        a->text = longer;
        memcpy(longer + a->text_size, line, n);
        for (char *p = longer + a->text_size; p < longer + a->text_size + n; p++)
                if ((*p < 0x20 && *p != '\t') || *p > 0x7e)
                        *p = '?';
        a->text_size += n;
        memcpy(longer + a->text_size, "\r\n", 3);
        a->text_size += 2;
}

const char *answer_text(const Answer *a)
{
        return a->text ? a->text : "";
}

/* "HTTP/1.1 206 Partial Content": starts the header anew, but not its bound. */
static void read_status(Answer *a, const char *text)
{
        size_t header_bytes = a->header_bytes;
        const char *p = strchr(text, ' ');

        answer_reset(a);
        a->header_bytes = header_bytes;
        if (p && isdigit((unsigned char)p[1]) && isdigit((unsigned char)p[2]) &&
            isdigit((unsigned char)p[3]) && !isdigit((unsigned char)p[4]))
                a->status = (unsigned)atoi(p + 1);
        if (a->status < 100)
                a->malformed = true;
}

/* NET-10, NET-34 */
static AnswerStep end_of_header(Answer *a)
{
        if (a->malformed || a->status == 0)
                return ANSWER_MALFORMED;
        if (a->status < 200)
                return ANSWER_MORE;
        a->complete = true;
        return ANSWER_COMPLETE;
}

AnswerStep answer_line(Answer *a, const char *line, size_t size)
{
        _cleanup_free_ char *text = NULL;
        char *value;

        a->header_bytes += size;
        if (a->header_bytes > HEADER_BYTES_MAX)
                return ANSWER_TOO_LARGE;
        if (a->complete)
                return ANSWER_MORE;
        while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r' ||
                            line[size - 1] == ' ' || line[size - 1] == '\t'))
                size--;
        if (size == 0)
                return end_of_header(a);
        if (memchr(line, '\0', size))
                return ANSWER_MALFORMED;
        text = strndup(line, size);
        if (!text)
                return ANSWER_MALFORMED;
        if (strncmp(text, "HTTP/", 5) == 0) {
                read_status(a, text);
                keep_line(a, text);
                return ANSWER_MORE;
        }
        keep_line(a, text);
        value = split(text, ':');
        if (value)
                read_field(a, text, value + strspn(value, " \t"));
        return ANSWER_MORE;
}

/* The body is of the version that is partly here: strong ETag, else Last-Modified and length.
   JOB-31, DUR-11 */
static bool same_version(const Answer *a, const Wanted *w)
{
        uint64_t total = answer_total(a);

        if (w->total != SIZE_UNKNOWN && total != SIZE_UNKNOWN && total != w->total)
                return false;
        if (etag_is_strong(w->etag) && a->etag[0])
                return strcmp(w->etag, a->etag) == 0;
        return w->last_modified[0] && strcmp(w->last_modified, a->last_modified) == 0 &&
               w->total != SIZE_UNKNOWN && total == w->total;
}

/* NET-03, NET-04, JOB-38, JOB-39, DUR-13: an answer to "from `offset` on". */
static Verdict judge_partial(const Answer *a, const Wanted *w)
{
        switch (a->status) {
        case 200:
        case 416:
                return VERDICT_VERSION_CHANGED;
        case 206:
                if (!a->has_range || a->range.first != w->offset || !same_version(a, w))
                        return VERDICT_VERSION_CHANGED;
                if (!a->chunked && a->content_length != SIZE_UNKNOWN &&
                    a->content_length != a->range.last - a->range.first + 1)
                        return VERDICT_NONSENSE;
                return VERDICT_TAKE;
        }
        return VERDICT_STATUS;
}

/* Of a part of which maybe nothing is here yet: another version shows by what both name. */
static bool other_version(const Answer *a, const Wanted *w)
{
        uint64_t total = answer_total(a);

        if (w->total != SIZE_UNKNOWN && total != SIZE_UNKNOWN && total != w->total)
                return true;
        if (etag_is_strong(w->etag) && etag_is_strong(a->etag))
                return strcmp(w->etag, a->etag) != 0;
        return w->last_modified[0] && a->last_modified[0] &&
               strcmp(w->last_modified, a->last_modified) != 0;
}

/* NET-171, NET-172: a server that merges, moves or lengthens ranges would put bytes where others
   belong. */
static Verdict judge_part_content(const Answer *a, const Wanted *w)
{
        uint64_t end = a->range.last + 1;

        if (!a->has_range)
                return VERDICT_NONSENSE;
        if (other_version(a, w))
                return VERDICT_VERSION_CHANGED;
        if (a->range.first != w->offset || end > w->end)
                return VERDICT_NONSENSE;
        if (!a->chunked && a->content_length != SIZE_UNKNOWN &&
            a->content_length != end - a->range.first)
                return VERDICT_NONSENSE;
        if (w->end != SIZE_UNKNOWN && end < w->end && end == a->range.total)
                return VERDICT_BEYOND;
        return VERDICT_TAKE;
}

/* NET-173 */
static Verdict judge_unsatisfied(const Answer *a, const Wanted *w)
{
        if (w->total == SIZE_UNKNOWN || w->offset >= w->total)
                return VERDICT_BEYOND;
        return a->whole == w->total ? VERDICT_NONSENSE : VERDICT_VERSION_CHANGED;
}

/* NET-170 */
static Verdict judge_part(const Answer *a, const Wanted *w)
{
        switch (a->status) {
        case 200:
                return VERDICT_WHOLE;
        case 206:
                return judge_part_content(a, w);
        case 416:
                return judge_unsatisfied(a, w);
        }
        return VERDICT_STATUS;
}

/* NET-01 */
Verdict answer_judge(const Answer *a, const Wanted *wanted)
{
        switch (a->status) {
        case 301:
        case 302:
        case 303:
        case 307:
        case 308:
                return a->location ? VERDICT_REDIRECT : VERDICT_STATUS;
        }
        if (wanted->part)
                return judge_part(a, wanted);
        if (wanted->offset > 0)
                return judge_partial(a, wanted);
        if (a->status == 206)
                return VERDICT_NONSENSE; /* a part of a file of which the whole was wanted */
        return a->status == 200 ? VERDICT_TAKE : VERDICT_STATUS;
}

uint64_t answer_offset(const Answer *a)
{
        return a->status == 206 ? a->range.first : 0;
}

/* NET-08, JOB-35 */
uint64_t answer_end(const Answer *a)
{
        if (a->status == 206)
                return a->range.last + 1;
        return a->chunked ? SIZE_UNKNOWN : a->content_length;
}

uint64_t answer_total(const Answer *a)
{
        if (a->status == 206)
                return a->range.total;
        return a->chunked ? SIZE_UNKNOWN : a->content_length;
}

/* NET-07 */
bool answer_resumable(const Answer *a)
{
        if (a->refuses_ranges)
                return false;
        return etag_is_strong(a->etag) || (a->last_modified[0] && answer_total(a) != SIZE_UNKNOWN);
}
