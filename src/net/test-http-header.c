/*
 * Answers, line by line, and the decision about each: what is taken, what restarts a file, what is
 * an error. No connection, no file.
 */
#include "net/http-header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* Feeds lines separated by "\n" and the empty line; the last step. */
static AnswerStep feed(Answer *a, const char *lines)
{
        AnswerStep step = ANSWER_MORE;

        answer_reset(a);
        while (*lines && step == ANSWER_MORE) {
                size_t n = strcspn(lines, "\n");
                char line[8192];

                snprintf(line, sizeof(line), "%.*s\r\n", (int)n, lines);
                step = answer_line(a, line, strlen(line));
                lines += n + (lines[n] == '\n');
        }
        return step == ANSWER_MORE ? answer_line(a, "\r\n", 2) : step;
}

static Verdict judge(const char *lines, Wanted wanted)
{
        Answer a = { 0 };
        Verdict verdict;

        assert_int_equal(feed(&a, lines), ANSWER_COMPLETE);
        verdict = answer_judge(&a, &wanted);
        answer_done(&a);
        return verdict;
}

static void content_range(void **state)
{
        static const char *const wrong[] = {
                "",
                "bytes",
                "bytes ",
                "bytes 0-4",
                "bytes */10",
                "bytes 4-0/9",
                "bytes 0-9/9",
                "bytes 0-4/",
                "bytes -4/9",
                "bytes 0-/9",
                "0-4/9",
                "items 0-4/9",
                "bytes 0-4/9x",
                "bytes 0 - 4/9",
                "bytes +0-4/9",
                "bytes 18446744073709551616-18446744073709551617/*",
                "bytes 0-18446744073709551615/*",
                "bytes 0-4/9/9",
        };
        ContentRange r;

        (void)state;
        assert_true(content_range_parse("bytes 5-9/10", &r));
        assert_true(r.first == 5 && r.last == 9 && r.total == 10);
        assert_true(content_range_parse("Bytes 5-9/*", &r));
        assert_true(r.total == SIZE_UNKNOWN);
        assert_true(content_range_parse("bytes 9223372036854775808-9223372036854775809/"
                                        "9223372036854775810",
                                        &r));
        assert_true(r.first == 9223372036854775808u);
        for (size_t i = 0; i < ELEMENTS(wrong); i++)
                assert_false(content_range_parse(wrong[i], &r));
}

static void strong_etags(void **state)
{
        (void)state;
        assert_true(etag_is_strong("\"a\""));
        assert_true(etag_is_strong("\"\""));
        assert_false(etag_is_strong("W/\"a\""));
        assert_false(etag_is_strong("a"));
        assert_false(etag_is_strong("\""));
        assert_false(etag_is_strong(""));
}

/* NET-01, NET-07, NET-08 */
static void whole_files(void **state)
{
        Wanted all = { 0, SIZE_UNKNOWN, "", "" };
        Answer a = { 0 };

        (void)state;
        assert_int_equal(feed(&a, "HTTP/1.1 200 OK\ncontent-length: 7\nETag:  \"x\"  "),
                         ANSWER_COMPLETE);
        assert_int_equal(answer_judge(&a, &all), VERDICT_TAKE);
        assert_true(answer_offset(&a) == 0 && answer_end(&a) == 7 && answer_total(&a) == 7);
        assert_string_equal(a.etag, "\"x\"");
        assert_true(answer_resumable(&a));

        assert_int_equal(feed(&a, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n"
                                  "Last-Modified: Thu, 01 Jan 1970 00:00:09 GMT"),
                         ANSWER_COMPLETE);
        assert_true(answer_end(&a) == SIZE_UNKNOWN && answer_total(&a) == SIZE_UNKNOWN);
        assert_false(answer_resumable(&a)); /* no length to compare besides the date */

        assert_int_equal(feed(&a, "HTTP/2 200\nAccept-Ranges: none\nETag: \"x\""), ANSWER_COMPLETE);
        assert_false(answer_resumable(&a));
        assert_int_equal(feed(&a, "HTTP/1.1 200 OK\nContent-Length: 7\nETag: W/\"x\""),
                         ANSWER_COMPLETE);
        assert_false(answer_resumable(&a));
        answer_done(&a);
}

/* NET-03, NET-04 */
static void parts(void **state)
{
        const Wanted etag = { 5, 10, "\"x\"", "" };
        const Wanted date = { 5, 10, "W/\"x\"", "yesterday" };
        const Wanted nothing = { 5, SIZE_UNKNOWN, "", "" };

        (void)state;
#define PART "HTTP/1.1 206 Partial Content\nContent-Range: bytes "
        assert_int_equal(judge(PART "5-9/10\nETag: \"x\"", etag), VERDICT_TAKE);
        assert_int_equal(judge(PART "5-9/*\nETag: \"x\"", etag), VERDICT_TAKE);
        assert_int_equal(judge(PART "5-7/10\nETag: \"x\"", etag), VERDICT_TAKE);
        assert_int_equal(judge(PART "5-9/10\nLast-Modified: yesterday", date), VERDICT_TAKE);

        assert_int_equal(judge(PART "5-9/10\nETag: \"y\"", etag), VERDICT_VERSION_CHANGED);
        assert_int_equal(judge(PART "5-9/10\nETag: W/\"x\"", etag), VERDICT_VERSION_CHANGED);
        assert_int_equal(judge(PART "5-9/10", etag), VERDICT_VERSION_CHANGED);
        assert_int_equal(judge(PART "5-9/11\nETag: \"x\"", etag), VERDICT_VERSION_CHANGED);
        assert_int_equal(judge(PART "4-9/10\nETag: \"x\"", etag), VERDICT_VERSION_CHANGED);
        assert_int_equal(judge(PART "6-9/10\nETag: \"x\"", etag), VERDICT_VERSION_CHANGED);
        assert_int_equal(judge(PART "nonsense\nETag: \"x\"", etag), VERDICT_VERSION_CHANGED);
        assert_int_equal(judge("HTTP/1.1 206 x\nETag: \"x\"", etag), VERDICT_VERSION_CHANGED);
        assert_int_equal(judge(PART "5-9/10\nLast-Modified: today", date), VERDICT_VERSION_CHANGED);
        assert_int_equal(judge(PART "5-9/*\nLast-Modified: yesterday", date),
                         VERDICT_VERSION_CHANGED);
        assert_int_equal(judge(PART "5-9/10\nETag: \"x\"", nothing), VERDICT_VERSION_CHANGED);
        assert_int_equal(judge("HTTP/1.1 200 OK\nETag: \"x\"", etag), VERDICT_VERSION_CHANGED);
        assert_int_equal(judge("HTTP/1.1 416 x", etag), VERDICT_VERSION_CHANGED);

        assert_int_equal(judge(PART "5-9/10\nETag: \"x\"\nContent-Length: 9", etag),
                         VERDICT_NONSENSE);
        assert_int_equal(judge("HTTP/1.1 503 x", etag), VERDICT_STATUS);
#undef PART
}

/* NET-20, NET-30, NET-34 */
static void other_answers(void **state)
{
        const Wanted all = { 0, SIZE_UNKNOWN, "", "" };

        (void)state;
        assert_int_equal(judge("HTTP/1.1 302 Found\nLocation: /x", all), VERDICT_REDIRECT);
        assert_int_equal(judge("HTTP/1.1 302 Found", all), VERDICT_STATUS);
        assert_int_equal(judge("HTTP/1.1 300 Several\nLocation: /x", all), VERDICT_STATUS);
        assert_int_equal(judge("HTTP/1.1 304 x", all), VERDICT_STATUS);
        assert_int_equal(judge("HTTP/1.1 404 Not Found", all), VERDICT_STATUS);
        assert_int_equal(judge("HTTP/1.1 416 x", all), VERDICT_STATUS);
        assert_int_equal(judge("HTTP/1.1 206 x\nContent-Range: bytes 0-9/10", all),
                         VERDICT_NONSENSE);
}

static void interim_answers_and_trailers(void **state)
{
        Answer a = { 0 };

        (void)state;
        answer_reset(&a);
        assert_int_equal(answer_line(&a, "HTTP/1.1 103 Early Hints\r\n", 26), ANSWER_MORE);
        assert_int_equal(answer_line(&a, "ETag: \"early\"\r\n", 15), ANSWER_MORE);
        assert_int_equal(answer_line(&a, "\r\n", 2), ANSWER_MORE);
        assert_int_equal(answer_line(&a, "HTTP/1.1 200 OK\r\n", 17), ANSWER_MORE);
        assert_int_equal(answer_line(&a, "\r\n", 2), ANSWER_COMPLETE);
        assert_string_equal(a.etag, "");
        assert_int_equal(answer_line(&a, "ETag: \"late\"\r\n", 14), ANSWER_MORE);
        assert_string_equal(a.etag, "");
        answer_done(&a);
}

/* NET-34 */
static void broken_headers(void **state)
{
        Answer a = { 0 };
        AnswerStep step = ANSWER_MORE;

        (void)state;
        assert_int_equal(feed(&a, "HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2"),
                         ANSWER_MALFORMED);
        assert_int_equal(feed(&a, "HTTP/1.1 200 OK\nContent-Length: -1"), ANSWER_MALFORMED);
        assert_int_equal(feed(&a, "HTTP/1.1 200 OK\nContent-Length: 18446744073709551616"),
                         ANSWER_MALFORMED);
        assert_int_equal(feed(&a, "HTTP/1.1 20\nx: y"), ANSWER_MALFORMED);
        assert_int_equal(feed(&a, "ETag: \"x\""), ANSWER_MALFORMED);

        answer_reset(&a);
        for (unsigned lines = 0; step == ANSWER_MORE; lines++) {
                assert_true(lines * 10 <= HEADER_BYTES_MAX);
                step = answer_line(&a, "x-y: 1234\n", 10);
        }
        assert_int_equal(step, ANSWER_TOO_LARGE);
        /* a new status line does not give new room */
        assert_int_equal(answer_line(&a, "HTTP/1.1 100 x\n", 15), ANSWER_TOO_LARGE);
        answer_done(&a);
}

/* NET-09 */
static void values_that_cannot_be_kept(void **state)
{
        char lines[HEADER_VALUE_MAX + 100], value[HEADER_VALUE_MAX + 2];
        Answer a = { 0 };

        (void)state;
        memset(value, 'x', sizeof(value) - 1);
        value[sizeof(value) - 1] = '\0';
        snprintf(lines, sizeof(lines), "HTTP/1.1 200 OK\nETag: %s", value);
        feed(&a, lines);
        assert_string_equal(a.etag, "");
        snprintf(lines, sizeof(lines), "HTTP/1.1 200 OK\nETag: %s", value + 1);
        feed(&a, lines);
        assert_int_equal(strlen(a.etag), HEADER_VALUE_MAX);
        feed(&a, "HTTP/1.1 200 OK\nETag: \"\x1b[2J\"\nLast-Modified: \xc3\xa4");
        assert_string_equal(a.etag, "");
        assert_string_equal(a.last_modified, "");
        answer_done(&a);
}

/* NET-170 … NET-173: bytes 100 to 199 of a file of 1000 bytes, known or not. */
static void parts_that_are_wanted(void **state)
{
        static const Wanted fresh = { .offset = 100,
                                      .end = 200,
                                      .part = true,
                                      .total = SIZE_UNKNOWN,
                                      .etag = "",
                                      .last_modified = "" };
        static const Wanted known = { .offset = 100,
                                      .end = 200,
                                      .part = true,
                                      .total = 1000,
                                      .etag = "\"a\"",
                                      .last_modified = "Mon" };
        static const Wanted rest = { .offset = 100,
                                     .end = SIZE_UNKNOWN,
                                     .part = true,
                                     .total = SIZE_UNKNOWN,
                                     .etag = "",
                                     .last_modified = "" };
        static const struct {
                const char *answer;
                const Wanted *wanted;
                Verdict verdict;
        } rows[] = {
                { "HTTP/1.1 206 x\nContent-Range: bytes 100-199/1000", &fresh, VERDICT_TAKE },
                { "HTTP/1.1 206 x\nContent-Range: bytes 100-199/*", &fresh, VERDICT_TAKE },
                { "HTTP/1.1 206 x\nContent-Range: bytes 100-149/1000", &fresh, VERDICT_TAKE },
                { "HTTP/1.1 206 x\nContent-Range: bytes 100-149/150", &fresh, VERDICT_BEYOND },
                { "HTTP/1.1 206 x\nContent-Range: bytes 100-200/1000", &fresh, VERDICT_NONSENSE },
                { "HTTP/1.1 206 x\nContent-Range: bytes 0-199/1000", &fresh, VERDICT_NONSENSE },
                { "HTTP/1.1 206 x\nContent-Range: bytes 101-199/1000", &fresh, VERDICT_NONSENSE },
                { "HTTP/1.1 206 x\nContent-Type: multipart/byteranges", &fresh, VERDICT_NONSENSE },
                { "HTTP/1.1 206 x\nContent-Range: bytes 100-199/1000\nContent-Length: 99", &fresh,
                  VERDICT_NONSENSE },
                { "HTTP/1.1 200 x\nContent-Length: 1000", &fresh, VERDICT_WHOLE },
                { "HTTP/1.1 416 x", &fresh, VERDICT_BEYOND },
                { "HTTP/1.1 416 x\nContent-Range: bytes */50", &fresh, VERDICT_BEYOND },
                { "HTTP/1.1 404 x", &fresh, VERDICT_STATUS },
                { "HTTP/1.1 302 x\nLocation: /y", &fresh, VERDICT_REDIRECT },
                { "HTTP/1.1 206 x\nContent-Range: bytes 100-999/1000", &rest, VERDICT_TAKE },
                { "HTTP/1.1 206 x\nContent-Range: bytes 100-199/1000\nETag: \"a\"", &known,
                  VERDICT_TAKE },
                { "HTTP/1.1 206 x\nContent-Range: bytes 100-199/1000\nETag: \"b\"", &known,
                  VERDICT_VERSION_CHANGED },
                { "HTTP/1.1 206 x\nContent-Range: bytes 100-199/999\nETag: \"a\"", &known,
                  VERDICT_VERSION_CHANGED },
                { "HTTP/1.1 206 x\nContent-Range: bytes 100-199/1000\nLast-Modified: Tue", &known,
                  VERDICT_VERSION_CHANGED },
                { "HTTP/1.1 206 x\nContent-Range: bytes 100-199/1000\nLast-Modified: Mon", &known,
                  VERDICT_TAKE },
                { "HTTP/1.1 416 x\nContent-Range: bytes */50", &known, VERDICT_VERSION_CHANGED },
                { "HTTP/1.1 416 x\nContent-Range: bytes */1000", &known, VERDICT_NONSENSE },
                { "HTTP/1.1 416 x", &known, VERDICT_VERSION_CHANGED },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(rows); i++)
                assert_int_equal(judge(rows[i].answer, *rows[i].wanted), rows[i].verdict);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(parts_that_are_wanted),
                cmocka_unit_test(content_range),
                cmocka_unit_test(strong_etags),
                cmocka_unit_test(whole_files),
                cmocka_unit_test(parts),
                cmocka_unit_test(other_answers),
                cmocka_unit_test(interim_answers_and_trailers),
                cmocka_unit_test(broken_headers),
                cmocka_unit_test(values_that_cannot_be_kept),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
