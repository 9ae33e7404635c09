/*
 * How much a server may send ahead of a paced transfer. What is not read is not sent, but the
 * kernel goes on reading until its buffer is full, and gives those who read much at a time buffers
 * of megabytes. POL-385
 *
 * libcurl does not say in its data callbacks which socket it reads from. It is known when libcurl
 * makes one, and when it wants one watched; the port of the connection tells whether it is that
 * one still.
 */
#pragma once

#include <stdint.h>

typedef struct Window {
        int fd;        /* the request's connection, -EBADF: not known */
        uint64_t rate; /* for which its buffer was sized, 0: not known */
} Window;

/* A new request: nothing is known. */
void window_forget(Window *window);
/* A socket was made for the request: its buffer is still as the kernel has it. */
void window_opened(Window *window, int fd);
/* The request waits for that socket, which may have served another one. */
void window_watched(Window *window, int fd);
/* The request goes out over the connection from that port of this machine. */
void window_check_port(Window *window, int port);
/* The transfer reads so many bytes a second, UINT64_MAX: as many as it can. Does nothing when that
   is as before, or when the socket is not known: then the next one to tell it does it. */
void window_hold(Window *window, uint64_t rate);
