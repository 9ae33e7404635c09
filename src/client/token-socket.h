/*
 * Capturing an identity: the broker's public socket takes the kernel's word for who connects and
 * answers with a descriptor that stands for it.
 */
#pragma once

#include "basic/macros.h"

/* Connects as the calling thread is at this moment. 0 and a descriptor of the caller's, or negative
   with the thread's error set. */
int token_socket_capture(const char *path, int timeout_ms, int *ret_token);
