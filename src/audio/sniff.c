#include "audio/sniff.h"

#include "audio/ogg/head.h"
#include "base/utf8.h"

#define AT(s, offset, text)                                                                        \
    ((s).len >= (offset) + sizeof(text) - 1 &&                                                     \
     !memcmp((s).ptr + (offset), (text), sizeof(text) - 1))

#define OGG_REACH ((size_t)64 * 1024)

static cara_sniffed libav(const char *format, const char *demuxer) {
    return (cara_sniffed){.kind = CARA_SNIFF_LIBAV, .format = format, .demuxer = demuxer};
}

static cara_sniffed none(const char *looks) {
    return (cara_sniffed){.kind = CARA_SNIFF_NONE, .looks = looks};
}

static cara_sniffed certainly(cara_sniffed found) {
    found.certain = 1;
    return found;
}

/* The first pages of an Ogg file each open one stream; its first packet names the codec. Bytes
 * before them, and a damaged page among them, are passed over, so far as OGG_REACH. */
static cara_sniffed sniff_ogg(cara_slice s, size_t from) {
    const char *opus = NULL, *other = NULL;
    for (size_t at = from; at < s.len && at - from < OGG_REACH; at++) {
        if (!AT(s, at, "OggS\0") || s.len - at < 28)
            continue;
        size_t body = at + 27 + s.ptr[at + 26], size = 0;
        if (body > s.len)
            continue;
        for (int i = 0; i < s.ptr[at + 26]; i++)
            size += s.ptr[at + 27 + (size_t)i];
        if ((opus || other) && !(s.ptr[at + 5] & 2)) /* no further stream is opened */
            break;
        cara_slice packet = cara_slice_of(s.ptr + body, s.len - body);
        const char *codec = cara_ogg_codec(packet);
        if (cara_opus_is_head(packet))
            opus = codec;
        else if (codec)
            other = codec;
        if (size <= s.len - body)
            at = body + size - 1;
    }
    if (opus)
        return (cara_sniffed){.kind = CARA_SNIFF_OGG_OPUS, .format = opus, .mixed = other != NULL};
    if (other)
        return libav(other, "ogg");
    return none("is an Ogg file whose codec is unknown or cut off");
}

/* Length of the MPEG audio (layers I to III) frame that starts here, or 0. */
static size_t mpeg_frame(const uint8_t *p) {
    static const uint16_t kbits[2][3][16] = {
        {{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448, 0},
         {0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 0},
         {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0}},
        {{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256, 0},
         {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0},
         {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0}}};
    static const uint16_t rates[3] = {44100, 48000, 32000};
    if (p[0] != 0xFF || (p[1] & 0xE0) != 0xE0)
        return 0;
    unsigned version = p[1] >> 3 & 3, layer = p[1] >> 1 & 3, bits = p[2] >> 4, rate = p[2] >> 2 & 3;
    unsigned padding = p[2] >> 1 & 1;
    if (version == 1 || layer == 0 || rate == 3 || bits == 0 || bits == 15)
        return 0;
    unsigned hz = version == 3 ? rates[rate] : version == 2 ? rates[rate] / 2U : rates[rate] / 4U;
    unsigned kbps = kbits[version != 3][3 - layer][bits];
    if (layer == 3)
        return (12000 * kbps / hz + padding) * 4;
    return (layer == 1 && version != 3 ? 72000 : 144000) * kbps / hz + padding;
}

/* Length of the ADTS frame that starts here, or 0. */
static size_t adts_frame(const uint8_t *p) {
    if (p[0] != 0xFF || (p[1] & 0xF6) != 0xF0 || (p[2] >> 2 & 15) > 12)
        return 0;
    size_t n = (size_t)(p[3] & 3) << 11 | (size_t)p[4] << 3 | p[5] >> 5;
    return n >= 7 ? n : 0;
}

/* Length of the AC-3 or E-AC-3 frame that starts here, or 0 (ETSI TS 102 366). */
static size_t ac3_frame(const uint8_t *p) {
    static const uint16_t kbits[19] = {32,  40,  48,  56,  64,  80,  96,  112, 128, 160,
                                       192, 224, 256, 320, 384, 448, 512, 576, 640};
    if (p[0] != 0x0B || p[1] != 0x77)
        return 0;
    unsigned id = p[5] >> 3, rate = p[4] >> 6, size = p[4] & 63;
    if (id > 10) /* E-AC-3 */
        return id <= 16 ? (((size_t)(p[2] & 7) << 8 | p[3]) + 1) * 2 : 0;
    if (rate == 3 || size >= 38)
        return 0;
    unsigned kbps = kbits[size / 2];
    return 2 * (rate == 0 ? kbps * 2 : rate == 1 ? kbps * 320 / 147 + size % 2 : kbps * 3);
}

typedef struct framing {
    size_t (*size)(const uint8_t *p); /* of the frame at p[7], or 0 */
    uint8_t same[7];                  /* bits of the header that all frames have in common */
} framing;

static const framing mpeg = {mpeg_frame, {0xFF, 0xFE, 0x0C}};     /* version, layer, rate */
static const framing adts = {adts_frame, {0xFF, 0xF6, 0xFC}};     /* version, profile, rate */
static const framing ac3 = {ac3_frame, {0xFF, 0xFF, 0, 0, 0xC0}}; /* rate */

/* 1 where three frames follow each other from `at`, or fewer up to the end of the file, which may
 * cut the last one. A single one is enough only at the beginning: any bytes can look like one. */
static int frames_at(cara_slice s, size_t from, size_t at, const framing *f) {
    const uint8_t *first = s.ptr + at;
    int n = 0, least = at == from ? 1 : 2;
    for (; n < 3 && s.len - at >= 7; n++) {
        const uint8_t *p = s.ptr + at;
        size_t size = f->size(p);
        if (!size)
            return 0;
        for (size_t i = 0; i < 7; i++)
            if ((p[i] ^ first[i]) & f->same[i])
                return 0;
        if (size > s.len - at)
            return n + 1 >= least;
        at += size;
    }
    return n >= least;
}

/* MP3, ADTS and AC-3 have no magic: look for frames that follow each other, near the start. */
static cara_sniffed sniff_frames(cara_slice s, size_t from, size_t reach) {
    for (size_t at = from; at < s.len && at - from < reach; at++) {
        if (s.ptr[at] == 0x0B && frames_at(s, from, at, &ac3))
            return s.ptr[at + 5] >> 3 > 10 ? libav("e-ac-3", "eac3") : libav("ac-3", "ac3");
        if (s.ptr[at] != 0xFF)
            continue;
        if (frames_at(s, from, at, &adts))
            return libav("aac", "aac");
        if (frames_at(s, from, at, &mpeg))
            return libav("mp3", "mp3");
    }
    return none(NULL);
}

static cara_sniffed sniff_mp4(cara_slice s) {
    if (AT(s, 8, "M4A") || AT(s, 8, "M4B"))
        return libav("m4a", "mov");
    if (AT(s, 8, "3g"))
        return libav("3gp", "mov");
    if (AT(s, 8, "qt  "))
        return libav("mov", "mov");
    if (AT(s, 8, "avif") || AT(s, 8, "heic") || AT(s, 8, "heix") || AT(s, 8, "mif1"))
        return none("is a HEIF or AVIF image");
    return libav("mp4", "mov");
}

static cara_sniffed sniff_matroska(cara_slice s) {
    size_t reach = s.len < 64 ? s.len : 64;
    for (size_t i = 4; i + 4 <= reach; i++)
        if (!memcmp(s.ptr + i, "webm", 4))
            return libav("webm", "matroska");
    return libav("matroska", "matroska");
}

static int is_text(cara_slice s) {
    size_t reach = s.len < 4096 ? s.len : 4096;
    for (size_t i = 0; i < reach;) {
        uint32_t c;
        size_t skip;
        int n = cara_utf8_decode(s.ptr + i, s.len - i, &c, &skip);
        if (!n || (c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f') || c == 0x7F)
            return 0;
        i += (size_t)n;
    }
    return 1;
}

static cara_sniffed sniff_text(cara_slice s) {
    size_t i = AT(s, 0, "\xEF\xBB\xBF") ? 3 : 0;
    while (i < s.len &&
           (s.ptr[i] == ' ' || s.ptr[i] == '\t' || s.ptr[i] == '\n' || s.ptr[i] == '\r'))
        i++;
    if (i == s.len)
        return none("holds only blanks");
    if (s.ptr[i] == '{' || s.ptr[i] == '[')
        return none("looks like JSON text");
    if (AT(s, i, "<?xml"))
        return none("looks like XML text");
    if (s.ptr[i] == '<')
        return none("looks like HTML or XML text");
    return none("looks like plain text");
}

/* Formats that begin with a signature. */
static cara_sniffed sniff_magic(cara_slice s) {
    static const struct {
        const char *magic;
        size_t n, offset;
        const char *format, *demuxer; /* demuxer NULL: `format` is what it looks like */
    } table[] = {
        {"fLaC", 4, 0, "flac", "flac"},
        {"#!AMR\n", 6, 0, "amr", "amr"},
        {"#!AMR-WB\n", 9, 0, "amr-wb", "amr"},
        {"caff", 4, 0, "caf", "caf"},
        {".snd", 4, 0, "au", "au"},
        {"riff\x2e\x91\xcf\x11", 8, 0, "w64", "w64"},
        {"\x30\x26\xb2\x75\x8e\x66\xcf\x11", 8, 0, "asf/wma", "asf"},
        {"FLV\x01", 4, 0, "flv", "flv"},
        {"\x00\x00\x01\xba", 4, 0, "mpeg", "mpeg"},
        {"wvpk", 4, 0, "wavpack", "wv"},
        {"MPCK", 4, 0, "musepack", "mpc8"},
        {"MP+", 3, 0, "musepack", "mpc"},
        {"MAC ", 4, 0, "ape", "ape"},
        {"TTA1", 4, 0, "tta", "tta"},
        {"TTA2", 4, 0, "tta", "tta"},
        {"Creative Voice File\x1a", 20, 0, "voc", "voc"},
        {"AVI ", 4, 8, "avi", "avi"},
        {"AIFF", 4, 8, "aiff", "aiff"},
        {"AIFC", 4, 8, "aiff", "aiff"},
        {"moov", 4, 4, "mov", "mov"},
        {"mdat", 4, 4, "mov", "mov"},
        {"wide", 4, 4, "mov", "mov"},
        {"\x89PNG", 4, 0, "is a PNG image", NULL},
        {"\xff\xd8\xff", 3, 0, "is a JPEG image", NULL},
        {"GIF8", 4, 0, "is a GIF image", NULL},
        {"WEBP", 4, 8, "is a WebP image", NULL},
        {"%PDF", 4, 0, "is a PDF document", NULL},
        {"PK\x03\x04", 4, 0, "is a ZIP archive", NULL},
        {"\x1f\x8b", 2, 0, "is a gzip file", NULL},
        {"\x7f"
         "ELF",
         4, 0, "is a program (ELF)", NULL},
        {"SQLite format 3", 15, 0, "is an SQLite database", NULL},
        {"\x1f\x07\x00", 3, 0, "is DV video, which is not read here", NULL},
        {"MThd", 4, 0, "is a MIDI file, notes without sound", NULL},
        {"\x7f\xfe\x80\x01", 4, 0, "is DTS sound, which is not decoded here", NULL},
        {"\xf8\x72\x6f\xba", 4, 4, "is TrueHD sound, which is not decoded here", NULL},
        {"\xf8\x72\x6f\xbb", 4, 4, "is MLP sound, which is not decoded here", NULL},
        {"RIFF", 4, 0, "is a RIFF file cut off in its header or of an unknown kind", NULL},
    };
    if (AT(s, 0, "OggS"))
        return certainly(sniff_ogg(s, 0));
    if ((AT(s, 0, "RIFF") || AT(s, 0, "RF64") || AT(s, 0, "BW64")) && AT(s, 8, "WAVE"))
        return certainly((cara_sniffed){.kind = CARA_SNIFF_WAV, .format = "wav"});
    if (AT(s, 4, "ftyp"))
        return certainly(sniff_mp4(s));
    if (AT(s, 0, "\x1a\x45\xdf\xa3"))
        return certainly(sniff_matroska(s));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (s.len < table[i].offset + table[i].n ||
            memcmp(s.ptr + table[i].offset, table[i].magic, table[i].n) != 0)
            continue;
        cara_sniffed found =
            table[i].demuxer ? libav(table[i].format, table[i].demuxer) : none(table[i].format);
        found.certain = table[i].n >= 4;
        return found;
    }
    return none(NULL);
}

/* The length of the ID3 tag that starts at `at`, or 0. */
static size_t id3_size(cara_slice s, size_t at) {
    if (s.len - at < 10 || !AT(s, at, "ID3"))
        return 0;
    const uint8_t *p = s.ptr + at;
    size_t size = (size_t)(p[6] & 127) << 21 | (size_t)(p[7] & 127) << 14 |
                  (size_t)(p[8] & 127) << 7 | (size_t)(p[9] & 127);
    return 10 + size + (p[5] & 0x10 ? 10 : 0);
}

/* Tags stand before MP3, and some programs put them before anything. */
static cara_sniffed sniff_id3(cara_slice s) {
    size_t at = 0, size;
    while (at < s.len && (size = id3_size(s, at)) > 0)
        at = size < s.len - at ? at + size : s.len;
    if (at == 0 || at == s.len)
        return none("is an ID3 tag without the sound that it describes");
    cara_slice rest = cara_slice_of(s.ptr + at, s.len - at);
    cara_sniffed found = sniff_magic(rest);
    if (found.kind) {
        found.skip = at;
        return found;
    }
    if (found.looks && found.certain)
        return none("is an ID3 tag before something else than sound");
    found = sniff_ogg(rest, 0);
    if (found.kind) {
        found.skip = at;
        return found;
    }
    found = sniff_frames(s, at, 4096);
    return found.kind ? found : libav("mp3", "mp3");
}

static int has_ts_packets(cara_slice s, size_t at, size_t size) {
    return s.len > at + 2 * size && s.ptr[at] == 0x47 && s.ptr[at + size] == 0x47 &&
           s.ptr[at + 2 * size] == 0x47;
}

cara_sniffed cara_sniff(cara_slice s) {
    if (s.len == 0)
        return none("is empty");
    if (AT(s, 0, "ID3"))
        return certainly(sniff_id3(s));
    cara_sniffed found = sniff_magic(s);
    if (found.kind || found.looks)
        return found;
    if (has_ts_packets(s, 0, 188) || has_ts_packets(s, 4, 192)) /* cameras put a time before each */
        return libav("mpeg-ts", "mpegts");
    if (is_text(s)) {
        found = sniff_text(s);
        found.certain = s.len >= 64;
        return found;
    }
    found = sniff_ogg(s, 0);
    if (found.kind)
        return certainly(found);
    found = sniff_frames(s, 0, 8192);
    if (found.kind)
        return found;
    size_t zeros = 0;
    while (zeros < s.len && !s.ptr[zeros])
        zeros++;
    found = none(zeros == s.len ? "holds only zero bytes" : "is binary data of an unknown kind");
    found.unknown = 1;
    return found;
}
