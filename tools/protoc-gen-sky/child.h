/* Child: another program as a filter. */
#pragma once

#include <sky/core/buf.h>
#include <sky/core/status.h>

/* Runs the program (looked up in PATH) with input on its standard input; its standard output is appended to output. */
SKY_MUST_USE SkyStatus sky_child_filter(const char *program, SkyStr input, SkyBuf *output);
