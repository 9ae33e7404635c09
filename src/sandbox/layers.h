/*
 * Between the files of this directory: the two kernel mechanisms behind a profile. Not for others.
 */
#pragma once

#include "sandbox/sandbox.h"

/* The kernel's Landlock ABI; 0 when it has none or it is switched off. Works inside the sandbox. */
int landlock_abi(void);

/* Restricts the calling thread and adds the layers reached to *layers. 0, also when the kernel
   offers less than the profile would use, or -errno. Needs no_new_privs. */
int landlock_enter(SandboxProfile profile, const SandboxPaths *paths, uint32_t *layers);

/* Loads the filter for all threads. Needs no_new_privs. `landlocked`: paths are governed by
   Landlock already; without, the filter refuses more. 0 or -errno. */
int seccomp_enter(SandboxProfile profile, bool landlocked);
