/* The log of a service, one line for each entry: JSON as Lambda's "advanced logging controls" ask
 * of a runtime (timestamp, level, requestId), or text; and CloudWatch's embedded metrics. Texts of
 * messages never come here, and phone numbers not above DEBUG. */
#ifndef PIPELINE_SERVICE_LOG_H
#define PIPELINE_SERVICE_LOG_H

#include "base/log.h"
#include "base/memory/buf.h"

#include <jansson.h>

typedef struct cara_service_log {
    cara_log log; /* what the rooms below write to; its cookie is this struct, so do not move it */
    int fd;       /* each line is one write(2) */
    int json;
    char request_id[128]; /* "" outside of an event */
} cara_service_log;

/* `format`: "JSON" or else text; `level`: TRACE to FATAL in any case, or NULL: INFO. Returns -1
 * where the level is none of these (INFO is then in force). */
int cara_service_log_init(cara_service_log *log, int fd, const char *format, const char *level);

/* A line with fields beside its sentence. Steals `fields` (an object, or NULL). */
void cara_service_log_fields(cara_service_log *log, cara_log_level level, const char *message,
                             json_t *fields);

/* One line of CloudWatch's embedded metric format: `metrics` is {"Name": number, ...}, `units`
 * {"Name": "Seconds", ...} with the same names, `dimensions` {"Function": "f", ...}. Steals all
 * three, any of which may be NULL on no memory: then nothing is written. */
void cara_service_log_metrics(cara_service_log *log, json_t *metrics, json_t *units,
                              json_t *dimensions);

#endif
