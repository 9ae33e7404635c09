/*
 * One record per thread, overwritten by the next failure and never by a success, as errno is. The
 * sentence of the service is kept word for word: it knows the case. Errors that the bus makes
 * itself (nobody owns the name, the policy refuses, no answer) get sentences that say what to do.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/error-state.h"

#include "openbits.h"

#include <stdarg.h>
#include <stdio.h>

#define ERROR_PREFIX "org.openbits.BITS1.Error."

/* LIB-06 */
static _Thread_local struct {
        BitsCode code;
        char message[2048];
} last;

/* What the bus says in its own words, and what a BITS caller understands. The service's own
   sentence replaces `text` only where `text` is NULL. */
static const struct {
        const char *name;
        BitsCode code;
        const char *text;
} bus_errors[] = {
        { SD_BUS_ERROR_SERVICE_UNKNOWN, CLIENT_E_UNREACHABLE,
          "cannot reach the OpenBITS service (bitsd): nobody provides it on the bus; is it "
          "running? "
          "try: systemctl start bitsd" },
        { SD_BUS_ERROR_NAME_HAS_NO_OWNER, CLIENT_E_UNREACHABLE,
          "cannot reach the OpenBITS service (bitsd): nobody provides it on the bus; is it "
          "running? "
          "try: systemctl start bitsd" },
        { SD_BUS_ERROR_DISCONNECTED, CLIENT_E_UNREACHABLE,
          "cannot reach the OpenBITS service (bitsd): the connection to the bus is closed; open a "
          "new "
          "one" },
        { SD_BUS_ERROR_NO_REPLY, CLIENT_E_UNREACHABLE,
          "the OpenBITS service (bitsd) went away before it answered; is it running? try: "
          "systemctl "
          "status bitsd" },
        { SD_BUS_ERROR_TIMEOUT, CLIENT_E_NO_REPLY,
          "the OpenBITS service (bitsd) did not answer in time; try again, and if it persists look "
          "at: "
          "journalctl -u bitsd" },
        { SD_BUS_ERROR_ACCESS_DENIED, BITS_E_ACCESS_DENIED,
          "the bus does not let this user talk to the OpenBITS service (bitsd); is its bus policy "
          "installed?" },
        { SD_BUS_ERROR_AUTH_FAILED, BITS_E_ACCESS_DENIED,
          "the bus did not accept this user's identity" },
        /* LIB-413: the service's limits of handles and calls, or the bus's of connections. */
        { SD_BUS_ERROR_LIMITS_EXCEEDED, BITS_E_TOO_MANY_OPEN_FILES, NULL },
        { SD_BUS_ERROR_NO_MEMORY, BITS_E_OUT_OF_MEMORY, "out of memory" },
        { SD_BUS_ERROR_INVALID_ARGS, BITS_E_INVALID_ARGUMENT, NULL },
        { SD_BUS_ERROR_PROPERTY_READ_ONLY, BG_E_READ_ONLY_PROPERTY, NULL },
        { SD_BUS_ERROR_UNKNOWN_OBJECT, BG_E_NOT_FOUND, "the job does not exist (any more)" },
        { SD_BUS_ERROR_UNKNOWN_METHOD, BITS_E_NOT_IMPLEMENTED, NULL },
        { SD_BUS_ERROR_UNKNOWN_INTERFACE, BITS_E_NOT_IMPLEMENTED, NULL },
        { SD_BUS_ERROR_UNKNOWN_PROPERTY, BITS_E_NOT_IMPLEMENTED, NULL },
};

int error_state_set(int error, BitsCode code, const char *format, ...)
{
        va_list ap;

        assert(error < 0);

        last.code = code;
        va_start(ap, format);
        /* A sentence longer than the buffer is cut; its beginning says what happened. */
        (void)vsnprintf(last.message, sizeof(last.message), format, ap);
        va_end(ap);
        return error;
}

bool error_is_disconnect(int error)
{
        return error == -ECONNRESET || error == -ENOTCONN || error == -EPIPE || error == -ESHUTDOWN;
}

/* Failures of the transport itself, where nobody sent an error message. */
static int error_state_from_errno(int error)
{
        if (error_is_disconnect(error))
                return error_state_set(
                        error, CLIENT_E_UNREACHABLE,
                        "the OpenBITS service (bitsd) closed the connection: the job "
                        "ended, or the service stopped; open the job again");
        if (error == -ETIMEDOUT)
                return error_state_set(error, CLIENT_E_NO_REPLY,
                                       "the OpenBITS service (bitsd) did not answer in time; try "
                                       "again, and if it persists look at: journalctl -u bitsd");
        if (error == -ENOMEM)
                return error_state_oom();
        if (error == -ECHILD)
                return error_state_set(
                        error, BITS_E_UNEXPECTED,
                        "this connection was opened before a fork(); open a new one in "
                        "the child process");
        return error_state_set(error, BITS_E_UNEXPECTED,
                               "the OpenBITS service (bitsd) cannot be called: %s",
                               strerror(-error));
}

/* LIB-02 */
static int error_state_from_service(int error, const sd_bus_error *bus_error)
{
        BitsCode code = error_from_bus_name(bus_error->name + strlen(ERROR_PREFIX));
        const char *text = bus_error->message;

        if (code == 0)
                code = BITS_E_UNEXPECTED;
        if (string_empty(text))
                text = error_text(code);
        return error_state_set(error, code, "%s",
                               text ? text : "the OpenBITS service (bitsd) reports a failure");
}

/* LIB-03 */
int error_state_from_bus(int error, const sd_bus_error *bus_error)
{
        if (error >= 0)
                error = -EIO;
        /* sd-bus gives its own failures the name of an errno. */
        if (!bus_error || !sd_bus_error_is_set(bus_error) ||
            strncmp(bus_error->name, "System.Error.", strlen("System.Error.")) == 0)
                return error_state_from_errno(error);
        if (strncmp(bus_error->name, ERROR_PREFIX, strlen(ERROR_PREFIX)) == 0)
                return error_state_from_service(error, bus_error);

        for (size_t i = 0; i < ELEMENTS(bus_errors); i++)
                if (sd_bus_error_has_name(bus_error, bus_errors[i].name))
                        return error_state_set(error, bus_errors[i].code, "%s",
                                               bus_errors[i].text ? bus_errors[i].text
                                                                  : bus_error->message);

        /* Bus activation failed: the message says why, the advice is the same. */
        if (strncmp(bus_error->name, "org.freedesktop.DBus.Error.Spawn.", 33) == 0)
                return error_state_set(
                        error, CLIENT_E_UNREACHABLE,
                        "cannot reach the OpenBITS service (bitsd): %s; try: systemctl "
                        "start bitsd",
                        bus_error->message);

        return error_state_set(
                error, BITS_E_UNEXPECTED, "the OpenBITS service (bitsd) cannot be called: %s",
                string_empty(bus_error->message) ? bus_error->name : bus_error->message);
}

int error_state_bad_reply(int error)
{
        if (error == -ENOMEM)
                return error_state_oom();
        return error_state_set(
                -EBADMSG, BITS_E_UNEXPECTED,
                "the OpenBITS service (bitsd) gave an answer that this libopenbits does "
                "not understand: are both of the same version?");
}

/* LIB-04, LIB-415 */
int error_state_null(const char *what)
{
        return error_state_set(-EINVAL, BITS_E_INVALID_ARGUMENT, "%s may not be NULL", what);
}

int error_state_oom(void)
{
        return error_state_set(-ENOMEM, BITS_E_OUT_OF_MEMORY, "out of memory");
}

uint32_t bits_error_code(void)
{
        return last.code;
}

const char *bits_error_message(void)
{
        return last.message;
}

const char *bits_code_name(uint32_t code)
{
        switch (code) {
        case CLIENT_E_UNREACHABLE:
                return "RPC_S_SERVER_UNAVAILABLE";
        case CLIENT_E_NO_REPLY:
                return "RPC_S_CALL_CANCELLED";
        default:
                return error_name(code);
        }
}

const char *bits_code_text(uint32_t code)
{
        switch (code) {
        case CLIENT_E_UNREACHABLE:
                return N_("The OpenBITS service cannot be reached.");
        case CLIENT_E_NO_REPLY:
                return N_("The OpenBITS service did not answer in time.");
        default:
                return error_text(code);
        }
}
