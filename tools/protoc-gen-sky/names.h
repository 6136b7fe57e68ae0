/*
 * Names: how protoc-gen-c turns names of a contract into C, so that our code meets its, and how we shorten them.
 *
 * Results live in the arena. Without memory the process ends: a plugin has nobody to answer to by then.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sky/core/arena.h>
#include <sky/core/status.h>

char *sky_gen_printf(SkyArena *arena, const char *format, ...) SKY_PRINTF(2, 3);
void *sky_gen_alloc(SkyArena *arena, size_t size);

/* protoc-gen-c's rules. "fabrikam.delivery.v1.GetDelivery": */
char *sky_names_c_type(SkyArena *arena, const char *full_name);  /* Fabrikam__Delivery__V1__GetDelivery */
char *sky_names_c_lower(SkyArena *arena, const char *full_name); /* fabrikam__delivery__v1__get_delivery */
char *sky_names_c_upper(SkyArena *arena, const char *full_name); /* FABRIKAM__DELIVERY__V1__GET_DELIVERY */
/* Of a field or a handler: lower case, with an underscore behind a word that C or C++ reserves. */
char *sky_names_c_member(SkyArena *arena, const char *name);
/* "pick_one" to "PickOne". */
char *sky_names_camel(SkyArena *arena, const char *name);
/* "GetDelivery" to "get_delivery", "HTTPGet" to "http_get". */
char *sky_names_snake(SkyArena *arena, const char *name);
char *sky_names_lower(SkyArena *arena, const char *name); /* letter by letter */

/* "fabrikam.delivery.v1" to "delivery_v1"; "" when there is no package. */
char *sky_names_default_prefix(SkyArena *arena, const char *package);
/* A C identifier that is no reserved word. */
bool sky_names_is_identifier(const char *name);
/* Names that a header of the system or the compiler itself defines as a macro: no field can be called so. */
bool sky_names_is_macro(const char *member);
