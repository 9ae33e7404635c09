/*
 * Whether a connection failed because this machine has no network at the moment: the one thing that
 * a worker can tell of it where no network manager does.
 */
#pragma once

#include "basic/macros.h"

/* NET-350: `error` is the errno with which a connection failed, 0 if nobody knows. */
bool route_is_missing(int error);
