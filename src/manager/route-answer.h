/*
 * What the kernel says of one route (rtnetlink(7)). Pure: bytes in, an answer out.
 */
#pragma once

#include "basic/macros.h"

typedef enum RouteAnswer {
        ROUTE_NONE,    /* this message names no way to another machine */
        ROUTE_WAY,     /* it does */
        ROUTE_END,     /* the last message of a list */
        ROUTE_REFUSED, /* there is no such route, or no answer to be had */
        ROUTE_WRONG,   /* nothing that the kernel says */
        ROUTE_ANSWER_MAX,
        ROUTE_ANSWER_INVALID = -1,
} RouteAnswer;

/* NET-382: the first message among `size` bytes at `data`; *ret_next: how many bytes it takes.
   `serial`: of the question; what belongs to another one is ROUTE_NONE. A way is a route to other
   machines, over another interface than lo, that is up and has a carrier; or to an address of lo
   besides those that every lo has. */
RouteAnswer route_answer(const void *data, size_t size, uint32_t serial, size_t *ret_next);
