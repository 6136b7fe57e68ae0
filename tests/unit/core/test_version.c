#include <sky/core/version.h>

#include <sky/core/str.h>

#include "sky_check.h"

START_TEST(the_version_is_semantic) {
  SkyStr rest = sky_str(sky_version_borrow());
  SkyStr core = rest, build;
  if (sky_str_cut(&rest, '+', &core)) {
    build = rest;
    ck_assert_uint_gt(build.size, 0);
  }
  SkyStr part;
  uint64_t number;
  for (int i = 0; i < 2; i++)
    ck_assert(sky_str_cut(&core, '.', &part) && sky_str_to_uint64(part, &number));
  ck_assert(sky_str_to_uint64(core, &number));
}
END_TEST

SKY_CHECK_MAIN("core/version", the_version_is_semantic)
