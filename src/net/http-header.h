/*
 * The header of one HTTP answer, and what it means for a file that is wanted from some offset on:
 * take the body, follow a redirect, start over because the server has another version, or fail.
 * Pure: bytes and numbers in, a decision out.
 */
#pragma once

#include "wire/protocol.h"

enum {
        HEADER_BYTES_MAX = 64 * 1024, /* of all header lines that one request is answered with */
        HEADER_TEXT_MAX = 16 * 1024,  /* of them that is kept for people */
        HEADER_VALUE_MAX = 1000,      /* of an ETag or Last-Modified that is worth keeping */
};

/* "bytes first-last/total"; `last` is the last byte, total may be SIZE_UNKNOWN. */
typedef struct ContentRange {
        uint64_t first, last, total;
} ContentRange;

typedef struct Answer {
        unsigned status; /* 0 before the status line */
        size_t header_bytes;
        bool complete; /* the empty line after a final status was seen */
        bool malformed;
        bool chunked;
        bool refuses_ranges; /* Accept-Ranges: none */
        bool has_range;      /* a well-formed Content-Range of one part */
        ContentRange range;
        uint64_t whole; /* of a range that cannot be satisfied: the file's length, or unknown */
        uint64_t content_length;                  /* SIZE_UNKNOWN without one */
        char etag[HEADER_VALUE_MAX + 1];          /* "" if there is none that can be kept */
        char last_modified[HEADER_VALUE_MAX + 1]; /* likewise */
        char *location;                           /* owned, NULL if there is none */
        char *text;                               /* owned: the lines, plain ASCII; may be NULL */
        size_t text_size;
} Answer;

/* What is known of the file that is asked for. Strings may be "" but not NULL. */
typedef struct Wanted {
        uint64_t offset;
        uint64_t total;
        const char *etag;
        const char *last_modified;
        bool part;    /* exactly [offset, end) is wanted */
        uint64_t end; /* SIZE_UNKNOWN: to the end of the file */
} Wanted;

typedef enum AnswerStep {
        ANSWER_MORE,      /* go on with the next line */
        ANSWER_COMPLETE,  /* that was the end of the final header */
        ANSWER_MALFORMED, /* contradicts itself, or is no HTTP */
        ANSWER_TOO_LARGE, /* past HEADER_BYTES_MAX */
        ANSWER_STEP_MAX,
        ANSWER_STEP_INVALID = -1,
} AnswerStep;

typedef enum Verdict {
        VERDICT_TAKE,     /* the body belongs to the file, from answer_offset() on */
        VERDICT_REDIRECT, /* answer.location is the way to go */
        VERDICT_VERSION_CHANGED,
        VERDICT_STATUS,   /* the status is the error */
        VERDICT_NONSENSE, /* nonsense for the question asked */
        VERDICT_WHOLE,    /* a part was wanted, the server has only whole files */
        VERDICT_BEYOND,   /* the part lies behind the file's end, or reaches beyond it */
        VERDICT_MAX,
        VERDICT_INVALID = -1,
} Verdict;

/* Empties the answer before a request; frees what an earlier one left. A zeroed Answer is fine. */
void answer_reset(Answer *a);
void answer_done(Answer *a);

/* One header line as the server wrote it, line end included. Interim answers (1xx) are skipped,
   lines after ANSWER_COMPLETE are trailers: counted, not read. */
AnswerStep answer_line(Answer *a, const char *line, size_t size);

/* The lines of the final header so far, each with CR and LF, cut at a line; "" before. */
const char *answer_text(const Answer *a);
/* Only for a complete answer. */
Verdict answer_judge(const Answer *a, const Wanted *wanted);
/* Where the body begins in the file, where it has to end, and how long the file is; the last two
   may be SIZE_UNKNOWN. */
uint64_t answer_offset(const Answer *a);
uint64_t answer_end(const Answer *a);
uint64_t answer_total(const Answer *a);
/* The server takes ranges and names the version well enough for answer_judge() to recognise it. */
bool answer_resumable(const Answer *a);

bool content_range_parse(const char *value, ContentRange *ret);
/* `"…"` without W/ before it (RFC 9110 section 8.8.3). */
bool etag_is_strong(const char *etag);
/* Exactly `digits`, below SIZE_UNKNOWN. */
bool number_parse(const char *digits, uint64_t *ret);
