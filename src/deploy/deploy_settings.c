#include "deploy/deploy_settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LANGUAGES                                                                                  \
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no "   \
    "th ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw "   \
    "gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl "   \
    "mg as tt haw ln ha ba jw su yue"

const cara_setting cara_deploy_settings[CARA_N_SETTINGS] = {
    [CARA_SET_VARIANT] =
        {"variant", "Variant", "NAME",
         "direct (default): SNS calls the function; queued: a queue takes bursts;\n"
         "vpc: in a network of its own; worker: containers on Fargate",
         "How should it run: direct, queued, vpc or worker", "direct", "direct queued vpc worker",
         0, 0},
    [CARA_SET_NETWORK] =
        {"network", "Network", "WAY",
         "with variant vpc or worker: internet (default: by NAT or public addresses) or\n"
         "endpoints (AWS's services inside the network, which has no way to the internet)",
         "Way from the network to AWS: internet or endpoints", "internet", "internet endpoints", 0,
         0},
    [CARA_SET_ZONES] = {"zones", "Zones", "N",
                        "with variant vpc or worker: availability zones, 1 (default) or 2",
                        "Availability zones, 1 or 2", "1", "1 2", 0, 0},
    [CARA_SET_DELIVERY] = {"delivery", "ModelDelivery", "WAY",
                           "where the model is: image (inside the package), s3 (default with\n"
                           "--model) or efs (variant vpc)",
                           NULL, "image", "image efs s3", 0, 0},
    [CARA_SET_LANGUAGE] = {"language", "Language", "CODE",
                           "what is spoken, as es; without it, it is detected",
                           "Language spoken, as es (none: it is detected)", "", LANGUAGES, 0, 0},
    [CARA_SET_TIMEZONE] =
        {"timezone", "TimeZone", "NAME",
         "time zone of the dates and times in the keys of records, as\n"
         "America/Mazatlan",
         "Time zone of the dates and times in the keys of records, as America/Mazatlan", "UTC",
         NULL, 0, 0},
    [CARA_SET_REPLY] = {"reply", "Reply", "WORD",
                        "yes: the sender gets the transcript as an answer",
                        "Answer the sender with the transcript, yes or no", "no", "no yes", 0, 0},
    [CARA_SET_MEMORY] = {"memory", "MemorySize", "MB",
                         "of the function, 128 to 10240; default 3008",
                         "Memory of the function in MB", "3008", NULL, 128, 10240},
    [CARA_SET_TIMEOUT] = {"timeout", "Timeout", "SECONDS",
                          "for one event: 60, 120, 180, 300 (default), 600 or 900", NULL, "300",
                          "60 120 180 300 600 900", 0, 0},
    [CARA_SET_CONCURRENCY] = {"concurrency", "Concurrency", "N",
                              "events at once at most, 5 by default; 0 sets no limit",
                              "Events at once at most", "5", NULL, 0, 1000},
    [CARA_SET_RETENTION] = {"retention", "MessageRetentionDays", "DAYS",
                            "after which messages are deleted; 0, the default, keeps them",
                            "Days after which messages are deleted (0: never)", "0", NULL, 0,
                            36500},
    [CARA_SET_VERSION_RETENTION] =
        {"version-retention", "VersionRetentionDays", "DAYS",
         "for which a deleted or replaced message can be restored; then it is gone;\n"
         "default 30",
         "Days for which a deleted or replaced message can be restored", "30", NULL, 1, 36500},
    [CARA_SET_LOG_RETENTION] = {"log-retention", "LogRetentionDays", "DAYS",
                                "after which logs are deleted; default 30", NULL, "30",
                                "1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827", 0, 0},
    [CARA_SET_EMAIL] = {"email", "AlarmEmail", "ADDRESS", "gets a mail when something fails",
                        "E-mail address for alarms (none: no mails)", "", NULL, 0, 0},
    [CARA_SET_TEST_EMAIL] = {"test-email", "TestEmail", "ADDRESS",
                             "gets every event by mail, with names and texts: for trying out only",
                             NULL, "", NULL, 0, 0},
    [CARA_SET_ARCHITECTURE] = {"architecture", "Architecture", "NAME",
                               "what the package was built for: x86_64 (default) or arm64", NULL,
                               "x86_64", "x86_64 arm64", 0, 0},
    [CARA_SET_WORKER_SIZE] = {"worker-size", "WorkerSize", "NAME",
                              "of a worker: small, medium (default), large or huge", NULL, "medium",
                              "small medium large huge", 0, 0},
    [CARA_SET_WORKER_MINIMUM] = {"worker-minimum", "WorkerMinimum", "N",
                                 "workers that run though nothing waits; default 0", NULL, "0",
                                 NULL, 0, 100},
    [CARA_SET_STORE_BUCKET] = {"store-bucket", "StoreBucket", "NAME",
                               "a bucket that is there already, for the messages", NULL, "", NULL,
                               0, 0},
    [CARA_SET_ACCESS_POINT] = {"access-point", "ExistingAccessPointArn", "ARN",
                               "an EFS access point that is there already, with the model", NULL,
                               "", NULL, 0, 0},
    [CARA_SET_MODEL_FILE] = {"model-file", "ModelFile", "NAME",
                             "the model's name on EFS, as medium.pt; default model.cara", NULL,
                             "model.cara", NULL, 0, 0},
    [CARA_SET_SUBNET] = {"subnet", "ExistingSubnetId", "ID", "the private subnet to it", NULL, "",
                         NULL, 0, 0},
    [CARA_SET_SECURITY_GROUP] = {"security-group", "ExistingSecurityGroupId", "ID",
                                 "the security group to it", NULL, "", NULL, 0, 0},
};

void cara_setting_takes(const cara_setting *setting, char *dst, size_t size) {
    if (setting->min != setting->max)
        snprintf(dst, size, "a number from %ld to %ld", setting->min, setting->max);
    else if (setting->choices && strlen(setting->choices) > 100)
        snprintf(dst, size, "a code such as es");
    else if (setting->choices)
        snprintf(dst, size, "one of %s", setting->choices);
    else if (strcmp(setting->takes, "ADDRESS") == 0)
        snprintf(dst, size, "an e-mail address");
    else
        snprintf(dst, size, "a value without spaces");
}

static int is_among(const char *value, const char *choices) {
    size_t n = strlen(value);
    for (const char *p = choices; *p;) {
        size_t m = strcspn(p, " ");
        if (n == m && strncmp(p, value, n) == 0)
            return 1;
        p += m + (p[m] == ' ');
    }
    return 0;
}

int cara_setting_fits(const cara_setting *setting, const char *value) {
    if (!value[0])
        return !setting->fallback[0];
    for (const char *p = value; *p; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f)
            return 0;
    if (setting->choices)
        return is_among(value, setting->choices);
    if (setting->min != setting->max) {
        char *end;
        errno = 0;
        long n = strtol(value, &end, 10);
        return !errno && !*end && n >= setting->min && n <= setting->max &&
               strspn(value, "0123456789") == strlen(value);
    }
    const char *at = strchr(value, '@');
    if (strcmp(setting->takes, "ADDRESS") == 0)
        return at && at > value && strchr(at + 1, '.') && !strchr(at + 1, '@');
    return strlen(value) < 256;
}
