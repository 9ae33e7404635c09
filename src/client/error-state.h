/*
 * The last failure of the calling thread, as the public functions bits_error_code() and
 * bits_error_message() show it, and the translation of the bus's errors into BITS's numbers.
 * Every function here that records a failure returns a negative errno for the caller to return.
 */
#pragma once

#include "core/error.h"

#include <systemd/sd-bus.h>

/* The service cannot be reached (RPC_S_SERVER_UNAVAILABLE as a result code). */
#define CLIENT_E_UNREACHABLE 0x800706BAu
/* No reply in time (RPC_S_CALL_CANCELLED as a result code). */
#define CLIENT_E_NO_REPLY    0x8007071Au

/* Records code and sentence; error is the negative errno that is returned. */
int error_state_set(int error, BitsCode code, const char *format, ...) _printf_(3, 4);

/* A failed call on the bus or on a handle. bus_error may be unset: then error speaks. */
int error_state_from_bus(int error, const sd_bus_error *bus_error);

/* An answer of the service that this library does not understand. Always -EBADMSG. */
int error_state_bad_reply(int error);

/* A NULL where the contract wants an object or a string. Always -EINVAL. */
int error_state_null(const char *what);

/* No memory. Always -ENOMEM. */
int error_state_oom(void);

/* True when the error means that the other end of a connection is gone. */
bool error_is_disconnect(int error);
