/*
 * Descriptors: how many files and sockets this process has open, and how many it may have. Counted without opening one,
 * so that it can still be told when there are none left. Thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct SkyDescriptorUse {
  size_t used;
  size_t limit;
  bool exhausted; /* fewer are left than a process needs to go on: one in fifty, at least 4, at most 64 */
} SkyDescriptorUse;

/* To be called once early, while there are descriptors. Takes one for as long as the process lives. */
void sky_descriptors_prepare(void);
/* used is 0 when there is no /proc. */
SkyDescriptorUse sky_descriptors_count(void);
