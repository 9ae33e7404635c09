/*
 * The members of org.openbits.BITS1.Job that say how and as whom the job reaches the network:
 * proxies, credentials, credential caches. Handlers for the vtables of job.c and token.c.
 */
#pragma once

#include "bus/bus.h"

int bus_set_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_remove_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_set_proxy_settings(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_get_proxy_settings(sd_bus_message *m, void *userdata, sd_bus_error *error);

int bus_get_use_stored_credentials(sd_bus *bus, const char *path, const char *interface,
                                   const char *property, sd_bus_message *reply, void *userdata,
                                   sd_bus_error *error);
int bus_set_use_stored_credentials(sd_bus *bus, const char *path, const char *interface,
                                   const char *property, sd_bus_message *value, void *userdata,
                                   sd_bus_error *error);

/* "CredentialCache" of the owner, "HelperCredentialCache" of the helper. */
int bus_get_credential_cache(sd_bus *bus, const char *path, const char *interface,
                             const char *property, sd_bus_message *reply, void *userdata,
                             sd_bus_error *error);
int bus_set_credential_cache(sd_bus *bus, const char *path, const char *interface,
                             const char *property, sd_bus_message *value, void *userdata,
                             sd_bus_error *error);
