/*
 * How a local file is filled: which part of the remote file comes next, and what of it is there and
 * what would survive a power cut. Pure; the manager's transfer fetches and syncs by it.
 *
 *   - The whole file, from front to back: `written` and `kept` are watermarks.
 *   - Ranges, in the order given: the same in positions of the local file; range.h says where in
 *     the remote file a position lies.
 *   - Scattered: what is asked for first (RequestFileRanges, UpdateDownloadPosition), then the
 *     rest; in on-demand mode nothing else. A position is the same in both files. `filled` and
 *     `fresh` say what is there, `written` and `kept` how many bytes that is.
 *
 * Invariant: `filled` grows by what a sync has made safe, and by nothing else.
 */
#pragma once

#include "core/job.h"

/* One request: bytes [offset, end) of the remote file go to `position` of the local one. */
typedef struct Part {
        uint64_t offset;
        uint64_t end; /* JOB_SIZE_UNKNOWN: to the end of the remote file */
        uint64_t position;
        bool partial;   /* a part is wanted: the whole file is no answer */
        bool keep_tail; /* what lies behind in the local file belongs to it */
} Part;

typedef enum FillNext {
        FILL_FETCH, /* *ret is what to ask for */
        FILL_DONE,  /* every byte is there */
        FILL_IDLE,  /* not every one, but nothing that is asked for is missing */
        FILL_NEXT_MAX,
        FILL_NEXT_INVALID = -1,
} FillNext;

FillNext fill_next(const File *file, Part *ret);
/* The part is there up to `position` of the local file. True when that is news. */
bool fill_note(File *file, const Part *part, uint64_t position);
/* The file's size is known, maybe: what was requested behind its end is forgotten. */
void fill_set_remote_size(File *file, uint64_t size);

/* Whether more than one piece of the file may be filled at all (BITS: random access). False for
   ranges, dynamic content, and servers known to have no ranges. */
bool fill_can_scatter(const File *file);
/* What is asked for, or where a reader is, changed: whether the part that is there up to `position`
   should be left for another one. Makes a scattered file of a plain one when it is time. */
bool fill_turn_aside(File *file, const Part *part, uint64_t position);
/* A file of an on-demand job is scattered from the start. 0 or -ENOMEM. */
int fill_begin(File *file);

/* First positions behind what is kept, and behind what is written. */
uint64_t fill_kept_end(const File *file);
uint64_t fill_written_end(const File *file);

/* What a sync that begins now makes safe. */
typedef struct FillMark {
        uint64_t written;
        Ranges fresh;
} FillMark;

/* 0 or -ENOMEM: then the mark is of nothing. */
int fill_mark(const File *file, FillMark *ret);
void fill_mark_done(FillMark *mark);
/* It did. The bytes that became safe are added to *ret_news, a set of remote positions; not for
   ranges. */
void fill_keep(File *file, const FillMark *mark, Ranges *ret_news);
/* After it was read from the store: what counts is what was kept, and for a sequence what may have
   been written since. */
void fill_restore(File *file);
/* What is not kept may be lost: it is fetched again. */
void fill_forget_unkept(File *file);
