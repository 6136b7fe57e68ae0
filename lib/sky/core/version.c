#include <sky/core/version.h>

const char *sky_version_borrow(void) {
  return SKY_VERSION;
}
