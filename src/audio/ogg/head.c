#include "audio/ogg/head.h"

#define FIXED 19 /* bytes of every OpusHead */

const char *cara_ogg_codec(cara_slice packet) {
    static const struct {
        const char *begins, *codec;
    } table[] = {{"OpusHead", "ogg/opus"},
                 {"\x01vorbis", "ogg/vorbis"},
                 {"\x7f"
                  "FLAC",
                  "ogg/flac"},
                 {"Speex   ", "ogg/speex"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t n = strlen(table[i].begins);
        if (packet.len >= n && memcmp(packet.ptr, table[i].begins, n) == 0)
            return table[i].codec;
    }
    return NULL;
}

int cara_opus_is_head(cara_slice packet) {
    return packet.len >= 8 && memcmp(packet.ptr, "OpusHead", 8) == 0;
}

/* Two bytes, little-endian, two's complement. */
static int int16_at(const uint8_t *p) {
    int value = p[0] | p[1] << 8;
    return value < 32768 ? value : value - 65536;
}

/* Families 1 (Vorbis's order of channels), 2 (ambisonics) and 255 (no order); RFC 7845 asks to
 * treat those it does not know as 255. */
static const char *read_mapping(cara_slice packet, cara_opus_head *head) {
    if (packet.len < FIXED + 2 + (size_t)head->channels)
        return "ends within its channel mapping";
    memcpy(head->mapping, packet.ptr + FIXED + 2, (size_t)head->channels);
    for (int c = 0; c < head->channels; c++)
        if (head->mapping[c] != 255 && head->mapping[c] >= head->streams + head->coupled)
            return "maps a channel to a stream that there is not";
    return NULL;
}

/* Family 3 (RFC 8486): ambisonics from mixed streams. Its matrix has 16-bit numbers, column by
 * column (a column is a decoded channel). The first row makes the sound of all directions. */
static const char *read_matrix(cara_slice packet, cara_opus_head *head) {
    size_t rows = (size_t)head->channels, columns = (size_t)(head->streams + head->coupled);
    if (packet.len < FIXED + 2 + 2 * rows * columns)
        return "ends within its channel mapping";
    for (size_t c = 0; c < columns; c++) {
        head->mapping[c] = (unsigned char)c;
        head->to_mono[c] = (float)int16_at(packet.ptr + FIXED + 2 + 2 * c * rows) / 32768.0F;
    }
    head->channels = (int)columns;
    return NULL;
}

const char *cara_opus_head_read(cara_slice packet, cara_opus_head *head) {
    const uint8_t *p = packet.ptr;
    if (packet.len < FIXED)
        return "is too short";
    if (p[8] & 0xF0)
        return "has an unknown version";
    *head = (cara_opus_head){.channels = p[9],
                             .pre_skip = p[10] | p[11] << 8,
                             .gain = int16_at(p + 16),
                             .streams = 1,
                             .coupled = p[9] - 1,
                             .mapping = {0, 1}};
    int family = p[18];
    if (head->channels == 0)
        return "has no channels";
    if (head->channels > CARA_AUDIO_CHANNELS_MAX)
        return "has more channels than real sound has";
    for (int c = 0; c < head->channels; c++)
        head->to_mono[c] = 1.0F / (float)head->channels;
    if (family == 0)
        return head->channels > 2 ? "has too many channels for its channel mapping" : NULL;
    if (packet.len < FIXED + 2)
        return "ends within its channel mapping";
    head->streams = p[19];
    head->coupled = p[20];
    if (head->streams == 0 || head->coupled > head->streams)
        return "has an impossible number of streams";
    if (head->streams + head->coupled > CARA_AUDIO_CHANNELS_MAX)
        return "has more streams than real sound has";
    if (family == 3)
        return read_matrix(packet, head);
    if (family == 2) /* the first channel is the sound of all directions */
        for (int c = 0; c < head->channels; c++)
            head->to_mono[c] = c == 0;
    return read_mapping(packet, head);
}
