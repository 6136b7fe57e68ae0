/*
 * Naming: ids of accounts and users whose creator gives none. Pure.
 */
#pragma once

#include <sky/core/id.h>

/*
 * Of the key when the client gave one, so that asking again finds what the first call made; otherwise a new one ordered
 * by time. scope: what ids are unique in, "" for accounts, the account for users.
 */
void account_name(const char *scope, const char *idempotency_key, int64_t now_ms, const SkyRandom *random,
                  char id[SKY_UUID_TEXT_SIZE]);
