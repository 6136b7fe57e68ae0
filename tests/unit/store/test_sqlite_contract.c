/* The store's contract on SQLite: a file, and memory. */
#include <stdio.h>
#include <stdlib.h>

#include "contract.h"

int main(void) {
  char folder[] = "/tmp/skystore-contract-XXXXXX";
  if (mkdtemp(folder) == NULL)
    return EXIT_FAILURE;
  char uri[64];
  snprintf(uri, sizeof(uri), "sqlite:%s", folder);
  contract_target = (ContractTarget){.uri = uri, .persistent = true};
  int result = contract_run("store/sqlite file");
  contract_target = (ContractTarget){.uri = "sqlite::memory:"};
  result |= contract_run("store/sqlite memory");
  char command[64];
  snprintf(command, sizeof(command), "rm -r %s", folder);
  return system(command) == 0 ? result : EXIT_FAILURE;
}
