/*
 * Preloaded by tools/dev/old_glibc.py under protobuf's conformance runner: the five symbols it wants of a C library
 * newer than Debian 12's. The C23 variants differ only in also reading 0b literals, which the runner does not parse.
 */
#include <stdlib.h>

long __isoc23_strtol(const char *text, char **end, int base) {
  return strtol(text, end, base);
}

unsigned long __isoc23_strtoul(const char *text, char **end, int base) {
  return strtoul(text, end, base);
}

long long __isoc23_strtoll(const char *text, char **end, int base) {
  return strtoll(text, end, base);
}

unsigned long long __isoc23_strtoull(const char *text, char **end, int base) {
  return strtoull(text, end, base);
}

/* std::ios_base::Init::Init(): in older libraries each program sets up its streams, newer ones do it themselves. */
extern void _ZNSt8ios_base4InitC1Ev(void *self) __attribute__((weak));

void _ZSt21ios_base_library_initv(void) {
  static char self[16];
  if (_ZNSt8ios_base4InitC1Ev)
    _ZNSt8ios_base4InitC1Ev(self);
}

/* Nobody calls the initialiser: its mere presence stands for it. And the programs that the runner starts need none of
 * this. */
__attribute__((constructor)) static void begin(void) {
  _ZSt21ios_base_library_initv();
  unsetenv("LD_PRELOAD");
}
