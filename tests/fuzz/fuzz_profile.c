/* ~/.aws/config and ~/.aws/credentials: any bytes, then the questions that the client asks. */
#include "aws/settings/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    cara_aws_config config = {.profile = "dev"};
    cara_arena_init(&config.arena, 64u << 20);
    cara_error err;
    if (cara_ini_parse("fuzz", (const char *)data, n, &config.arena, &config.config, &err) ==
        CARA_OK) {
        for (const cara_ini_entry *e = config.config.first; e; e = e->next) {
            const char *found = cara_ini_find(&config.config, e->section, e->parent, e->key);
            if (!found || memchr(found, '\n', strlen(found)))
                abort();
        }
        (void)cara_aws_profile_exists(&config, "dev");
        (void)cara_aws_profile_get(&config, "default", "region");
    } else if (!err.text[0]) {
        abort();
    }
    cara_arena_free(&config.arena);
    return 0;
}
