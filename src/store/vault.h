/*
 * The vault seals what the store may not hold in the clear (libsodium's secretbox). Its key lies in
 * a file of the state directory that bitsd alone can read; it is made when it is first needed. What
 * was sealed for one job opens for no other.
 */
#pragma once

#include "core/job.h"

typedef struct Vault Vault;

/* `directory` is where the key is, or will be. Reads nothing yet. 0 or -ENOMEM. */
int vault_new(const char *directory, Vault **ret);
/* Wipes the key. NULL is fine. */
void vault_free(Vault *vault);
DEFINE_CLEANUP(Vault, vault_free);

/* Seals the bytes for the job of that id; the caller frees the box. -errno when the key cannot be
   read or made. */
int vault_seal(Vault *vault, const char *job_id, const uint8_t *bytes, size_t size, uint8_t **ret,
               size_t *ret_size);
/* Opens a box; the bytes are released with secret_free(). -EBADMSG: not sealed for this job with
   this key. */
int vault_open(Vault *vault, const char *job_id, const uint8_t *box, size_t size, uint8_t **ret,
               size_t *ret_size);
