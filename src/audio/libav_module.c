/* caracola-libav.so: every format that is neither Ogg/Opus nor WAV, by FFmpeg's libraries.
 *
 * libav sees bytes in memory and nothing else: no names, no URLs, no protocol, no second file; one
 * container (the one that the sniffer found) and audio codecs only. It resamples and rounds as the
 * ffmpeg command does for openai/whisper's load_audio(), so the samples are the same. */
#include "audio/libav_module.h"

#include "audio/libav_memory.h"
#include "audio/libav_track.h"

#include <caracola/error.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <stdio.h>
#include <string.h>

#define RATE 16000
#define IO_BYTES 8192 /* small: `should_stop` is asked with each */

/* Ceilings beside the one of memory. Real files stay far below. */
#define MAX_STREAMS "64"
#define MAX_FRAME_SAMPLES (4 << 20) /* in one frame, of all channels */
#define MAX_EMPTY_PACKETS 100000    /* without a byte of sound in them */
#define MAX_REUSE (1 << 20)         /* bytes of packets beyond twice those of the file */

struct cara_libav_stream {
    cara_libav_input input;
    cara_libav_budget budget;
    size_t at; /* in the input's bytes */
    AVIOContext *io;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    SwrContext *swr;
    AVChannelLayout layout; /* what swr was made for */
    int rate, sample_format;
    int index; /* of the stream that is decoded */
    int16_t *pcm;
    size_t pcm_cap, pcm_at, pcm_n;
    int64_t made;   /* samples in all */
    uint64_t taken; /* bytes of packets in all */
    int empty_packets;
    int ended, draining, cut, last_bad, stopped;
};

static void log_nothing(void *who, int level, const char *format, va_list ap) {
    (void)who;
    (void)level;
    (void)format;
    (void)ap;
}

static int should_stop(void *opaque) {
    cara_libav_stream *s = opaque;
    if (!s->stopped && s->input.should_stop) {
        /* The caller's memory is not libav's. */
        cara_libav_budget_enter(NULL);
        s->stopped = s->input.should_stop(s->input.cookie) != 0;
        cara_libav_budget_enter(&s->budget);
    }
    return s->stopped;
}

/* Boxes that libav is not to read get a type that it skips. */
static void hide(const cara_libav_stream *s, uint8_t *dst, size_t n) {
    static const char skip[] = "skip";
    for (size_t i = 0; i < s->input.n_hidden; i++)
        for (size_t k = 0; k < 4; k++) {
            size_t at = s->input.hidden[i] + k;
            if (at >= s->at && at - s->at < n)
                dst[at - s->at] = (uint8_t)skip[k];
        }
}

static int io_read(void *opaque, uint8_t *dst, int n) {
    cara_libav_stream *s = opaque;
    size_t left = s->at < s->input.n ? s->input.n - s->at : 0, take = n < 0 ? 0 : (size_t)n;
    if (should_stop(s))
        return AVERROR_EXIT;
    if (take > left)
        take = left;
    if (!take)
        return AVERROR_EOF;
    memcpy(dst, s->input.bytes + s->at, take);
    hide(s, dst, take);
    s->at += take;
    return (int)take;
}

static int64_t io_seek(void *opaque, int64_t offset, int whence) {
    cara_libav_stream *s = opaque;
    int64_t size = (int64_t)s->input.n, to;
    switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
        return size;
    case SEEK_SET:
        to = offset;
        break;
    case SEEK_CUR:
        to = offset > INT64_MAX / 2 ? -1 : (int64_t)s->at + offset;
        break;
    case SEEK_END:
        to = offset > 0 ? -1 : size + offset;
        break;
    default:
        return AVERROR(EINVAL);
    }
    if (to < 0)
        return AVERROR(EINVAL);
    s->at = (size_t)(to > size ? size : to); /* a declared end beyond the data reads as the end */
    return to > size ? size : to;
}

/* Containers may ask for other files (playlists, references): never. */
static int io_open(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                   AVDictionary **options) {
    (void)format;
    (void)url;
    (void)flags;
    (void)options;
    *io = NULL;
    return AVERROR(EPERM);
}

/* A failure of libav's as a code and a sentence. What was refused for its cost is no lack of
 * memory, which may pass: the file will cost the same again. */
static int refuse(const cara_libav_stream *s, cara_code code, int av_error, const char *what,
                  char *why, size_t why_size) {
    char reason[AV_ERROR_MAX_STRING_SIZE] = "";
    if (s->stopped) {
        snprintf(why, why_size, "reading was stopped");
        return CARA_ERR_CANCELLED;
    }
    if (s->budget.failed || (av_error == AVERROR(ENOMEM) && !s->budget.counted)) {
        snprintf(why, why_size, "no memory");
        return CARA_ERR_MEMORY;
    }
    if (s->budget.refused) {
        snprintf(why, why_size,
                 "it would take more than %zu MiB of memory; convert it to another "
                 "format first",
                 s->budget.limit >> 20);
        return CARA_ERR_AUDIO_LIMIT;
    }
    /* libav calls impossible sizes a lack of memory. */
    if (av_error && av_error != AVERROR(ENOMEM))
        av_strerror(av_error, reason, sizeof reason);
    snprintf(why, why_size, "%s%s%s%s", what, *reason ? " (" : "", reason, *reason ? ")" : "");
    return code;
}

static void close_all(cara_libav_stream *s) {
    swr_free(&s->swr);
    av_channel_layout_uninit(&s->layout);
    av_frame_free(&s->frame);
    av_packet_free(&s->packet);
    avcodec_free_context(&s->codec);
    avformat_close_input(&s->format);
    if (s->io)
        av_freep(&s->io->buffer);
    avio_context_free(&s->io);
    av_freep(&s->pcm);
}

static void stream_close(cara_libav_stream *s) {
    if (!s)
        return;
    cara_libav_budget_enter(&s->budget);
    close_all(s);
    cara_libav_budget_enter(NULL);
    av_free(s);
}

static int open_container(cara_libav_stream *s, const char *demuxer) {
    uint8_t *buffer = av_malloc(IO_BYTES);
    if (buffer)
        s->io = avio_alloc_context(buffer, IO_BYTES, 0, s, io_read, NULL, io_seek);
    if (!s->io) {
        av_free(buffer);
        return AVERROR(ENOMEM);
    }
    const AVInputFormat *input = av_find_input_format(demuxer);
    if (!input)
        return AVERROR_DEMUXER_NOT_FOUND;
    s->format = avformat_alloc_context();
    if (!s->format)
        return AVERROR(ENOMEM);
    s->format->pb = s->io;
    s->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    s->format->io_open = io_open;
    s->format->interrupt_callback = (AVIOInterruptCB){should_stop, s};
    s->format->protocol_whitelist = av_strdup("");
    s->format->format_whitelist = av_strdup(input->name);
    s->format->codec_whitelist = av_strdup(cara_libav_codecs);
    if (!s->format->protocol_whitelist || !s->format->format_whitelist ||
        !s->format->codec_whitelist)
        return AVERROR(ENOMEM);
    int rc = av_opt_set(s->format, "max_streams", MAX_STREAMS, 0);
    if (rc >= 0)
        rc = avformat_open_input(&s->format, NULL, input, NULL); /* frees format on failure */
    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < s->format->nb_streams; i++)
        if (s->format->streams[i]->codecpar->codec_type != AVMEDIA_TYPE_AUDIO)
            s->format->streams[i]->discard = AVDISCARD_ALL;
    return avformat_find_stream_info(s->format, NULL);
}

static int open_codec(cara_libav_stream *s, const AVCodec *codec) {
    AVStream *stream = s->format->streams[s->index];
    s->codec = avcodec_alloc_context3(codec);
    s->packet = av_packet_alloc();
    s->frame = av_frame_alloc();
    if (!s->codec || !s->packet || !s->frame)
        return AVERROR(ENOMEM);
    int rc = avcodec_parameters_to_context(s->codec, stream->codecpar);
    if (rc < 0)
        return rc;
    s->codec->pkt_timebase = stream->time_base; /* the decoder trims the encoder's delay by it */
    s->codec->thread_count = 1;
    s->codec->max_samples = MAX_FRAME_SAMPLES;
    s->codec->codec_whitelist = av_strdup(cara_libav_codecs);
    if (!s->codec->codec_whitelist)
        return AVERROR(ENOMEM);
    return avcodec_open2(s->codec, codec, NULL);
}

static int open_stream(cara_libav_stream *s, char *why, size_t why_size) {
    const AVCodec *codec = NULL;
    int rc = open_container(s, s->input.demuxer);
    if (rc < 0 || s->stopped || s->budget.refused)
        return refuse(s, CARA_ERR_AUDIO_CORRUPT, rc < 0 ? rc : 0,
                      "its header is damaged or cut short", why, why_size);
    int code = cara_libav_track(s->format, s->input.track, &s->index, &codec, why, why_size);
    if (code)
        return code;
    const AVCodecParameters *sound = s->format->streams[s->index]->codecpar;
    code = cara_libav_check_sound(sound->sample_rate, sound->ch_layout.nb_channels, why, why_size);
    if (code)
        return code;
    for (unsigned i = 0; i < s->format->nb_streams; i++)
        if ((int)i != s->index)
            s->format->streams[i]->discard = AVDISCARD_ALL;
    rc = open_codec(s, codec);
    return rc < 0
               ? refuse(s, CARA_ERR_AUDIO_CORRUPT, rc, "its sound cannot be decoded", why, why_size)
               : CARA_OK;
}

static int stream_open(const cara_libav_input *input, cara_libav_stream **out, char *why,
                       size_t why_size) {
    *out = NULL;
    /* libav logs to stderr through one callback for the whole process; ours is silent. */
    av_log_set_callback(log_nothing);
    cara_libav_stream *s = av_mallocz(sizeof *s);
    if (!s) {
        snprintf(why, why_size, "no memory");
        return CARA_ERR_MEMORY;
    }
    s->input = *input;
    s->budget.limit = input->max_memory;
    cara_libav_budget_enter(&s->budget);
    int code = open_stream(s, why, why_size);
    cara_libav_budget_enter(NULL);
    if (code)
        stream_close(s);
    else
        *out = s;
    return code;
}

/* Runs `in` (NULL: the resampler's rest) through the resampler and appends to pcm. */
static int convert(cara_libav_stream *s, const AVFrame *in) {
    int count = in ? in->nb_samples : 0, room = swr_get_out_samples(s->swr, count);
    if (room < 0)
        return room;
    room += 32;
    if (s->pcm_at == s->pcm_n)
        s->pcm_at = s->pcm_n = 0;
    size_t need = s->pcm_n + (size_t)room;
    if (need > s->pcm_cap) {
        int16_t *more = av_realloc_array(s->pcm, need, sizeof *more);
        if (!more)
            return AVERROR(ENOMEM);
        s->pcm = more;
        s->pcm_cap = need;
    }
    uint8_t *dst = (uint8_t *)(s->pcm + s->pcm_n);
    int got =
        swr_convert(s->swr, &dst, room, in ? (const uint8_t **)in->extended_data : NULL, count);
    if (got < 0)
        return got;
    s->pcm_n += (size_t)got;
    s->made += got;
    return 0;
}

/* The stream may change its rate or channels on the way (AAC finds SBR late, chains differ). */
static int fit_resampler(cara_libav_stream *s) {
    AVFrame *f = s->frame;
    if (f->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC) {
        int channels = f->ch_layout.nb_channels;
        av_channel_layout_uninit(&f->ch_layout);
        av_channel_layout_default(&f->ch_layout, channels);
    }
    char ignored[128];
    if (f->sample_rate <= 0 ||
        cara_libav_check_sound(f->sample_rate, f->ch_layout.nb_channels, ignored, sizeof ignored))
        return AVERROR_INVALIDDATA;
    if (s->swr && f->sample_rate == s->rate && f->format == s->sample_format &&
        av_channel_layout_compare(&f->ch_layout, &s->layout) == 0)
        return 0;
    if (s->swr) {
        int rc = convert(s, NULL);
        if (rc < 0)
            return rc;
        swr_free(&s->swr);
    }
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
    int rc = swr_alloc_set_opts2(&s->swr, &mono, AV_SAMPLE_FMT_S16, RATE, &f->ch_layout, f->format,
                                 f->sample_rate, 0, NULL);
    if (rc >= 0)
        rc = swr_init(s->swr);
    if (rc >= 0)
        rc = av_channel_layout_copy(&s->layout, &f->ch_layout);
    if (rc < 0) {
        swr_free(&s->swr);
        return rc;
    }
    s->rate = f->sample_rate;
    s->sample_format = f->format;
    return 0;
}

/* AMR's silence frames are errors for libav's decoder, but do not mean the end. */
static int is_amr(const cara_libav_stream *s) {
    return s->codec->codec_id == AV_CODEC_ID_AMR_NB || s->codec->codec_id == AV_CODEC_ID_AMR_WB;
}

/* An index can name the same bytes, or none, any number of times. */
static int is_made_up(cara_libav_stream *s) {
    if (s->packet->size <= 0)
        return ++s->empty_packets > MAX_EMPTY_PACKETS;
    s->taken += (uint64_t)s->packet->size;
    return s->taken / 2 > (uint64_t)s->input.n + MAX_REUSE / 2;
}

/* RIFF pads a chunk of odd length with one byte, which some writers count as sound. */
static int is_padding(const cara_libav_stream *s) {
    return s->packet->size == 1 && s->codec->block_align > 1;
}

/* Gives the decoder one more packet of our stream, or says that there are none. */
static int feed(cara_libav_stream *s) {
    for (;;) {
        int rc = av_read_frame(s->format, s->packet);
        if (should_stop(s))
            return AVERROR_EXIT;
        if (rc < 0) {
            s->cut |= rc != AVERROR_EOF;
            s->draining = 1;
            rc = avcodec_send_packet(s->codec, NULL);
            return rc == AVERROR_EOF ? 0 : rc;
        }
        int ours = s->packet->stream_index == s->index;
        if (ours && is_made_up(s)) {
            av_packet_unref(s->packet);
            return AVERROR_INVALIDDATA;
        }
        if (ours && !is_padding(s)) { /* a damaged packet costs itself only */
            rc = avcodec_send_packet(s->codec, s->packet);
            s->last_bad = rc < 0 && !is_amr(s);
        }
        av_packet_unref(s->packet);
        if (rc == AVERROR(ENOMEM))
            return rc;
        if (ours)
            return 0;
    }
}

/* The length that the container declares, in seconds; 0 where it has none, or libav only estimates,
 * or it may be that of another track: ASF has one for all. */
static double declared_seconds(const cara_libav_stream *s) {
    const AVStream *stream = s->format->streams[s->index];
    if (s->format->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE ||
        (s->format->nb_streams > 1 && strcmp(s->input.demuxer, "asf") == 0))
        return 0;
    if (stream->duration != AV_NOPTS_VALUE)
        return (double)stream->duration * av_q2d(stream->time_base);
    if (s->format->nb_streams == 1 && s->format->duration != AV_NOPTS_VALUE)
        return (double)s->format->duration / AV_TIME_BASE;
    return 0;
}

/* Puts the next decoded samples into pcm; 0 or an AVERROR. */
static int refill(cara_libav_stream *s) {
    while (s->pcm_at == s->pcm_n && !s->ended) {
        int rc = avcodec_receive_frame(s->codec, s->frame);
        if (rc == 0) {
            s->last_bad = 0;
            rc = s->frame->nb_samples > 0 ? fit_resampler(s) : 0;
            if (rc >= 0 && s->frame->nb_samples > 0)
                rc = convert(s, s->frame);
            av_frame_unref(s->frame);
            if (rc == AVERROR(ENOMEM))
                return rc;
            s->last_bad = rc < 0;
        } else if (rc == AVERROR(ENOMEM)) {
            return rc;
        } else if (rc == AVERROR_EOF || s->draining) {
            rc = s->swr ? convert(s, NULL) : 0;
            if (rc < 0)
                return rc;
            double declared = declared_seconds(s), decoded = (double)s->made / RATE;
            s->cut |= s->last_bad || decoded + 0.25 + declared * 0.002 < declared;
            s->ended = 1;
        } else {
            s->last_bad |= rc != AVERROR(EAGAIN) && !is_amr(s);
            rc = feed(s);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

static int64_t stream_read(cara_libav_stream *s, float *dst, size_t n, char *why, size_t why_size) {
    if (s->pcm_at == s->pcm_n) {
        cara_libav_budget_enter(&s->budget);
        int rc = refill(s);
        cara_libav_budget_enter(NULL);
        if (rc < 0 || s->stopped || s->budget.refused || s->budget.failed)
            return refuse(s, CARA_ERR_AUDIO_CORRUPT, rc, "its sound cannot be decoded", why,
                          why_size);
        if (s->ended && s->made == 0)
            return refuse(s, CARA_ERR_AUDIO_CORRUPT, 0, "it holds no sound that can be decoded",
                          why, why_size);
    }
    size_t take = s->pcm_n - s->pcm_at;
    if (take > n)
        take = n;
    for (size_t i = 0; i < take; i++)
        dst[i] = (float)s->pcm[s->pcm_at + i] * (1.0F / 32768);
    s->pcm_at += take;
    return (int64_t)take;
}

static int stream_truncated(const cara_libav_stream *s) {
    return s->cut;
}

extern CARA_API const cara_libav_module caracola_libav_module;
const cara_libav_module caracola_libav_module = {
    .abi = CARA_LIBAV_MODULE_ABI,
    .size = sizeof(cara_libav_module),
    .open = stream_open,
    .read = stream_read,
    .truncated = stream_truncated,
    .close = stream_close,
};
