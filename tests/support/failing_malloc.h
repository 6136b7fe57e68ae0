/*
 * Lets allocations fail: those of all that is linked statically, by the linker's --wrap (the dependency
 * failing_malloc_dep). check is a static library too, so its macros allocate: assert only when disarmed.
 */
#pragma once

/* After so many that succeed one fails; then every period-th: 1 is all of them, 0 none. Any thread's count. */
void failing_malloc_arm(int successes, int period);
void failing_malloc_disarm(void);
/* How many have failed since it was armed. */
int failing_malloc_failures(void);
