/*
 * What other verbs need of proxies: `bits set` and `bits get --proxy`.
 */
#pragma once

#include "cli/base.h"

/* "preconfig", "no-proxy", "autodetect", or a proxy list. The library's result. */
int proxy_set(bits_job *job, const char *value);
/* Changes the bypass list of a job that has a proxy list. */
int proxy_set_bypass(bits_job *job, const char *value);
