/* The version this was built as: the project's, with "+<build>" when the meson option build_id names one. */
#pragma once

const char *sky_version_borrow(void); /* "0.1.0", "0.1.0+a969c86"; never freed */
