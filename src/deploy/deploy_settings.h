/* What can be chosen: one table that flags, questions and the template's parameters share. A unit
 * test compares it with infra/caracola.yaml. */
#ifndef DEPLOY_SETTINGS_H
#define DEPLOY_SETTINGS_H

#include "deploy/stack/change.h"

typedef enum cara_setting_id {
    CARA_SET_VARIANT,
    CARA_SET_NETWORK,
    CARA_SET_ZONES,
    CARA_SET_DELIVERY,
    CARA_SET_LANGUAGE,
    CARA_SET_TIMEZONE,
    CARA_SET_REPLY,
    CARA_SET_MEMORY,
    CARA_SET_TIMEOUT,
    CARA_SET_CONCURRENCY,
    CARA_SET_RETENTION,
    CARA_SET_VERSION_RETENTION,
    CARA_SET_LOG_RETENTION,
    CARA_SET_EMAIL,
    CARA_SET_TEST_EMAIL,
    CARA_SET_ARCHITECTURE,
    CARA_SET_WORKER_SIZE,
    CARA_SET_WORKER_MINIMUM,
    CARA_SET_STORE_BUCKET,
    CARA_SET_ACCESS_POINT,
    CARA_SET_MODEL_FILE,
    CARA_SET_SUBNET,
    CARA_SET_SECURITY_GROUP,
    CARA_N_SETTINGS
} cara_setting_id;

typedef struct cara_setting {
    const char *flag;
    const char *parameter; /* of the template */
    const char *takes;     /* "MB" */
    const char *help;
    const char *question; /* NULL: never asked, only a flag */
    const char *fallback; /* the template's default */
    const char *choices;  /* "direct queued vpc worker"; NULL: any text, or a number */
    long min, max;        /* of a number; both 0: it is none */
} cara_setting;

extern const cara_setting cara_deploy_settings[CARA_N_SETTINGS];

/* What may stand there, for sentences: "one of ...", "a number from ... to ...". */
void cara_setting_takes(const cara_setting *setting, char *dst, size_t size);
/* 1 where the value may stand there, as far as can be checked here; CloudFormation makes the final
 * check. */
int cara_setting_fits(const cara_setting *setting, const char *value);

#endif
