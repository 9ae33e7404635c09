/*
 * What people set of a job's HTTP options and of a copied file's rights, as rows of the settings.
 */
#pragma once

#include "cli/base.h"

/* A file's path; "": none. */
int http_set_certificate(bits_job *job, const char *text);
int http_get_certificate(bits_job *job, char **ret_text);
int http_get_certificate_key(bits_job *job, char **ret_text);
/* "Name: value", several divided by a line's end, also written \\n. */
int http_set_headers(bits_job *job, const char *text);
int http_get_headers(bits_job *job, char **ret_text);
int http_set_headers_write_only(bits_job *job, int on);
/* HTTP_SECURITY_VALUES */
int http_set_method(bits_job *job, const char *text);
int http_get_method(bits_job *job, char **ret_text);
bool http_is_security(const char *text);
int http_set_security(bits_job *job, const char *text);
int http_get_security(bits_job *job, char **ret_text);
/* "none", or letters of "ogds". */
bool acl_is_flags(const char *text);
int acl_set_flags(bits_job *job, const char *text);
int acl_get_flags(bits_job *job, char **ret_text);
