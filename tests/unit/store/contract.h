/*
 * The contract of a store: one suite that every driver passes.
 */
#pragma once

#include <stdbool.h>

typedef struct ContractTarget {
  const char *uri;
  bool persistent;  /* documents outlive the store that wrote them */
  bool is_ferretdb; /* loses concurrent updates (system.md section 6) and has a few faults of its own, which the suite
                       names */
} ContractTarget;

extern ContractTarget contract_target;

/* Runs the suite against contract_target, each test on a database of its own; the program's exit code. */
int contract_run(const char *name);
