#include "audio/headerless.h"

#include <strings.h>

/* The names are those of Asterisk's files and of media types. */
static const struct {
    const char *name;
    cara_headerless format;
} table[] = {
    {"gsm", {"gsm", "gsm", 0, 8000}},
    {"g722", {"g722", "g722", 0, 16000}},
    {"ulaw", {"ulaw", NULL, CARA_PCM_MULAW, 8000}},
    {"ul", {"ulaw", NULL, CARA_PCM_MULAW, 8000}},
    {"ulw", {"ulaw", NULL, CARA_PCM_MULAW, 8000}},
    {"mu", {"ulaw", NULL, CARA_PCM_MULAW, 8000}},
    {"mulaw", {"ulaw", NULL, CARA_PCM_MULAW, 8000}},
    {"pcmu", {"ulaw", NULL, CARA_PCM_MULAW, 8000}},  /* audio/PCMU, RFC 4856 */
    {"basic", {"ulaw", NULL, CARA_PCM_MULAW, 8000}}, /* audio/basic, RFC 2046 */
    {"alaw", {"alaw", NULL, CARA_PCM_ALAW, 8000}},
    {"al", {"alaw", NULL, CARA_PCM_ALAW, 8000}},
    {"alw", {"alaw", NULL, CARA_PCM_ALAW, 8000}},
    {"pcma", {"alaw", NULL, CARA_PCM_ALAW, 8000}}, /* audio/PCMA, RFC 4856 */
    {"sln", {"sln", NULL, CARA_PCM_S16LE, 8000}},
    {"sln12", {"sln12", NULL, CARA_PCM_S16LE, 12000}},
    {"sln16", {"sln16", NULL, CARA_PCM_S16LE, 16000}},
    {"sln24", {"sln24", NULL, CARA_PCM_S16LE, 24000}},
    {"sln32", {"sln32", NULL, CARA_PCM_S16LE, 32000}},
    {"sln44", {"sln44", NULL, CARA_PCM_S16LE, 44100}},
    {"sln48", {"sln48", NULL, CARA_PCM_S16LE, 48000}},
    {"sln96", {"sln96", NULL, CARA_PCM_S16LE, 96000}},
    {"sln192", {"sln192", NULL, CARA_PCM_S16LE, 192000}},
};

const cara_headerless *cara_headerless_find(const char *name) {
    for (size_t i = 0; name && i < sizeof table / sizeof *table; i++)
        if (strcasecmp(name, table[i].name) == 0)
            return &table[i].format;
    return NULL;
}
