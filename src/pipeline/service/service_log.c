#include "pipeline/service/service_log.h"
#include "json/json.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "pipeline/record/key.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define NAMESPACE "Caracola"

static const char *const level_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

static void put_line(const cara_service_log *log, cara_buf *line) {
    if (cara_buf_char(line, '\n'))
        return;
    for (size_t at = 0; at < line->len;) {
        ssize_t n = write(log->fd, line->data + at, line->len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* no work fails because its log cannot be written */
        at += (size_t)n;
    }
}

/* "2025-10-15T01:10:13.271Z" */
static void now(char out[40]) {
    int64_t ms = cara_clock_wall_ms();
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char date[24] = "";
    if (gmtime_r(&seconds, &tm))
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, 40, "%s.%03dZ", date, (int)(ms % 1000));
}

static void write_line(cara_service_log *log, cara_log_level level, const char *sentence,
                       json_t *fields) {
    char clean[3072 + 1], when[40];
    size_t n = strlen(sentence);
    while (3 * n > sizeof clean - 1)
        n--;
    cara_utf8_replace(sentence, n, clean);
    if (level > CARA_LOG_DEBUG)
        cara_key_hide(clean);
    now(when);
    cara_buf line;
    cara_buf_init(&line, CARA_MIB);
    if (log->json) {
        json_t *root = json_pack("{s:s, s:s}", "timestamp", when, "level", level_names[level]);
        if (log->request_id[0])
            json_object_set_new(root, "requestId", json_string(log->request_id));
        json_object_set_new(root, "message", json_string(clean));
        if (fields)
            json_object_update(root, fields);
        if (cara_json_write(root, CARA_JSON_COMPACT, &line) == 0)
            put_line(log, &line);
        json_decref(root);
    } else {
        cara_buf_printf(&line, "%s %s %s%s%s", when, level_names[level], log->request_id,
                        log->request_id[0] ? " " : "", clean);
        const char *name;
        json_t *value;
        json_object_foreach(fields, name, value) {
            cara_buf_printf(&line, " %s=", name);
            if (json_is_string(value))
                cara_buf_str(&line, json_string_value(value));
            else
                cara_json_write(value, CARA_JSON_COMPACT, &line);
        }
        if (!line.failed)
            put_line(log, &line);
    }
    cara_buf_free(&line);
}

static void on_line(void *cookie, cara_log_level level, const char *sentence) {
    write_line(cookie, level, sentence, NULL);
}

int cara_service_log_init(cara_service_log *log, int fd, const char *format, const char *level) {
    static const struct {
        const char *name;
        cara_log_level level;
    } levels[] = {{"TRACE", CARA_LOG_DEBUG}, {"DEBUG", CARA_LOG_DEBUG}, {"INFO", CARA_LOG_INFO},
                  {"WARN", CARA_LOG_WARN},   {"ERROR", CARA_LOG_ERROR}, {"FATAL", CARA_LOG_ERROR}};
    *log = (cara_service_log){.fd = fd};
    log->log = (cara_log){CARA_LOG_INFO, on_line, log};
    log->json = format && strcasecmp(format, "JSON") == 0;
    if (!level || !*level)
        return 0;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcasecmp(level, levels[i].name) == 0) {
            log->log.level = levels[i].level;
            return 0;
        }
    return -1;
}

void cara_service_log_fields(cara_service_log *log, cara_log_level level, const char *message,
                             json_t *fields) {
    if (level >= log->log.level)
        write_line(log, level, message, fields);
    json_decref(fields);
}

void cara_service_log_metrics(cara_service_log *log, json_t *metrics, json_t *units,
                              json_t *dimensions) {
    json_t *list = json_array(), *set = json_array();
    const char *name;
    json_t *value;
    json_object_foreach(metrics, name, value) json_array_append_new(
        list, json_pack("{s:s, s:O}", "Name", name, "Unit", json_object_get(units, name)));
    json_object_foreach(dimensions, name, value) json_array_append_new(set, json_string(name));
    json_t *root = json_pack("{s:{s:I, s:[{s:s, s:[o], s:o}]}}", "_aws", "Timestamp",
                             (json_int_t)cara_clock_wall_ms(), "CloudWatchMetrics", "Namespace",
                             NAMESPACE, "Dimensions", set, "Metrics", list);
    cara_buf line;
    cara_buf_init(&line, CARA_MIB);
    if (root && metrics && units && dimensions && json_object_update(root, dimensions) == 0 &&
        json_object_update(root, metrics) == 0 &&
        cara_json_write(root, CARA_JSON_COMPACT, &line) == 0)
        put_line(log, &line);
    cara_buf_free(&line);
    json_decref(root);
    json_decref(metrics);
    json_decref(units);
    json_decref(dimensions);
}
