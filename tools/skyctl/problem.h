/*
 * Problem: an error answer of the gateway (application/problem+json, RFC 9457) as a status.
 */
#pragma once

#include <stdio.h>

#include <sky/core/status.h>
#include <sky/core/str.h>

/* Never SKY_OK. A body that is no problem gives the HTTP status alone. */
SKY_MUST_USE SkyStatus problem_status(long http_status, SkyStr body);

/* A line for each violation that the message does not tell already. */
void problem_print_violations(FILE *out, const char *indent, const SkyError *status);
