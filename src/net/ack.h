/*
 * What a BITS server answers: the headers of an Ack, of which nothing is believed that does not
 * have its form. Pure: header lines in, fields out.
 */
#pragma once

#include "core/error.h"
#include "net/http-header.h"

enum {
        ACK_SESSION_MAX = 100, /* characters (BITS reference 06 section 2) */
        ACK_HOST_MAX = 300,
        ACK_URL_MAX = 2200,
};

/* The one protocol there is: "BITS 1.5 Upload Protocol". */
#define BITS_UPLOAD_PROTOCOL "{7df0354d-249b-430f-820d-3d2a9bef4931}"

/* A text is "" when the header was absent, or had not its form. */
typedef struct Ack {
        Answer answer; /* status, and the end of the header */
        bool is_ack;   /* BITS-Packet-Type: Ack */
        bool speaks;   /* BITS-Protocol is ours */
        char session[ACK_SESSION_MAX + 1];
        char host[ACK_HOST_MAX + 1];
        uint32_t host_fallback; /* s, UINT32_MAX: never */
        bool has_next;
        uint64_t next; /* BITS-Received-Content-Range: the offset wanted now */
        char reply_url[ACK_URL_MAX + 1];
        BitsCode error;          /* 0: none told */
        bool of_the_application; /* BITS-Error-Context: 0x7 */
} Ack;

/* Before a request. A zeroed Ack is fine. */
void ack_reset(Ack *ack);
void ack_done(Ack *ack);

/* One header line as the server wrote it, as answer_line(). */
AnswerStep ack_line(Ack *ack, const char *line, size_t size);

/* Hexadecimal digits of any case, with or without 0x. */
bool ack_parse_hex(const char *text, uint32_t *ret);

/* A name for Content-Name: at most 260 characters, none that BITS forbids; those become "_". */
void content_name(const char *name, char *ret, size_t size);

/* The absolute URL of a reply, from what the server wrote: resolved against the URL of the request,
   backslashes are slashes, and what is no character of a URL is encoded. NULL: it makes none. The
   caller frees it. */
char *reply_url_resolve(const char *base, const char *text);
