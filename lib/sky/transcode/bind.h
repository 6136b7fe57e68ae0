/*
 * Bind: text from path, query and headers to bound fields. Private to the transcoder.
 */
#pragma once

#include <sky/transcode/request.h>

#include "bound.h"
#include "json_reader.h"

typedef struct Binder {
  const SkyBinding *binding;
  Reader *reader; /* takes the violations */
  Bound root;
  bool ignore_unknown;
} Binder;

/* All return false when reading cannot go on; the reader knows why. */
bool bind_headers(Binder *binder, const SkyHttpRequest *request);
bool bind_path(Binder *binder, const SkyRoute *route);
/* in_body: the text is a form body instead of a query, and fields of the body may be given. */
bool bind_query(Binder *binder, SkyStr query, bool in_body);
