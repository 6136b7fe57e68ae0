#include "skyctl/problem.h"

#include "skyctl/api.h"
#include "skyctl/problem.sky.h"

enum { ARENA_BYTES = 1 << 20 };

static SkyCode code_of(long http_status, const char *name) {
  SkyCode code;
  if (sky_code_from_name(name, &code) && code != SKY_CODE_OK)
    return code;
  return http_status == 429 || http_status == 503 || http_status == 502 ? SKY_CODE_UNAVAILABLE : SKY_CODE_UNKNOWN;
}

static SkyStatus from_problem(long http_status, const problem_Problem *problem) {
  SkyStatus status = sky_status_new(code_of(http_status, problem->code), "%s",
                                    problem->detail[0] == '\0' ? problem->title : problem->detail);
  if (problem->reason[0] != '\0')
    status = sky_status_with_reason(status, problem->reason);
  for (size_t i = 0; i < problem->n_violations; i++)
    status =
        sky_status_with_violation(status, problem->violations[i]->field, "%s", problem->violations[i]->description);
  return status;
}

SkyStatus problem_status(long http_status, SkyStr body) {
  SkyArena arena;
  ProtobufCMessage *message;
  sky_arena_init(&arena, ARENA_BYTES);
  SkyStatus status = api_from_json(problem_Problem_descriptor, body, &arena, &message);
  if (status == SKY_OK) {
    status = from_problem(http_status, (const problem_Problem *)message);
  } else {
    sky_status_free(status);
    status = sky_status_new(code_of(http_status, ""), "the server answered HTTP %ld", http_status);
  }
  sky_arena_finish(&arena);
  return status;
}

void problem_print_violations(FILE *out, const char *indent, const SkyError *status) {
  for (size_t i = sky_status_is_its_first_violation(status); i < sky_status_violation_count(status); i++) {
    const SkyFieldViolation *violation = sky_status_violation(status, i);
    fprintf(out, "%s%s %s\n", indent, violation->field, violation->description);
  }
}
