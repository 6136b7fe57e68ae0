/* The store's contract on the MongoDB wire: a real server where MONGODB_URI names one, and FerretDB. */
#include <stdio.h>
#include <stdlib.h>

#include "contract.h"
#include "ferretdb.h"

enum { SKIPPED = 77 }; /* to meson */

int main(void) {
  int result = SKIPPED;
  const char *real = getenv("MONGODB_URI");
  if (real != NULL && real[0] != '\0') {
    contract_target = (ContractTarget){.uri = real, .persistent = true};
    result = contract_run("store/mongodb");
  }
  Ferretdb server;
  if (!ferretdb_start(&server))
    return result;
  contract_target = (ContractTarget){.uri = server.uri, .persistent = true, .is_ferretdb = true};
  result = contract_run("store/ferretdb") | (result == SKIPPED ? 0 : result);
  ferretdb_stop(&server);
  return result;
}
