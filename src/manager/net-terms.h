/*
 * What a job says about every request that is made for it, in whichever message: the fields that
 * NET_START, NET_UPLOAD and NET_FAREWELL have in common.
 */
#pragma once

#include "core/job.h"
#include "wire/protocol.h"

/* Designated initialisers, for the beginning of the message's structure. */
#define NET_TERMS(job, remote_name)                                                   \
        .url = (remote_name),                                                         \
        .flags = (job)->priority == PRIORITY_FOREGROUND ? 0u : NET_FLAG_BACKGROUND,   \
        .proxy_usage = (uint32_t)(job)->proxy_usage, .proxy_list = (job)->proxy_list, \
        .proxy_bypass = (job)->proxy_bypass

/* A list with that descriptor, or an empty one. */
#define NET_CREDENTIALS(fd)                           \
        {                                             \
                .items = { (fd) }, .count = (fd) >= 0 \
        }
