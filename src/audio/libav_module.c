/* caracola-libav.so: every format that is neither Ogg/Opus nor WAV, by FFmpeg's libraries.
 *
 * libav sees bytes in memory and nothing else: no names, no URLs, no protocol, no second file; one
 * container (the one that the sniffer found) and audio codecs only. It resamples and rounds as the
 * ffmpeg command does for openai/whisper's load_audio(), so the samples are the same. */
#include "audio/libav_module.h"

#include <caracola/error.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <stdio.h>
#include <string.h>

#define RATE 16000
#define IO_BYTES 32768

/* Decoders that may run; a video stream beside the sound is never decoded. */
#define CODECS                                                                                     \
    "aac,aac_fixed,aac_latm,ac3,ac3_fixed,eac3,adpcm_g726,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,"    \
    "adpcm_swf,alac,amrnb,amrwb,flac,gsm,gsm_ms,mp1,mp1float,mp2,mp2float,mp3,mp3float,"           \
    "nellymoser,"                                                                                  \
    "opus,libopus,pcm_alaw,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le," \
    "pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le,pcm_s8,pcm_u8,pcm_bluray,pcm_dvd,qdm2,speex,"         \
    "libspeex,vorbis,libvorbis,wavpack,wmav1,wmav2,wmapro,wmalossless,wmavoice"

struct cara_libav_stream {
    const uint8_t *bytes;
    size_t n, at;
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
    int64_t made; /* samples in all */
    int ended, draining, cut, last_bad;
};

static void log_nothing(void *who, int level, const char *format, va_list ap) {
    (void)who;
    (void)level;
    (void)format;
    (void)ap;
}

static int io_read(void *opaque, uint8_t *dst, int n) {
    cara_libav_stream *s = opaque;
    size_t left = s->at < s->n ? s->n - s->at : 0, take = n < 0 ? 0 : (size_t)n;
    if (take > left)
        take = left;
    if (!take)
        return AVERROR_EOF;
    memcpy(dst, s->bytes + s->at, take);
    s->at += take;
    return (int)take;
}

static int64_t io_seek(void *opaque, int64_t offset, int whence) {
    cara_libav_stream *s = opaque;
    int64_t size = (int64_t)s->n, to;
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

static int refuse(cara_code code, int av_error, const char *what, char *why, size_t why_size) {
    char reason[AV_ERROR_MAX_STRING_SIZE] = "";
    if (av_error == AVERROR(ENOMEM))
        code = CARA_ERR_MEMORY;
    if (av_error)
        av_strerror(av_error, reason, sizeof reason);
    snprintf(why, why_size, "%s%s%s%s", what, av_error ? " (" : "", reason, av_error ? ")" : "");
    return code;
}

static void stream_close(cara_libav_stream *s) {
    if (!s)
        return;
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
    s->format->protocol_whitelist = av_strdup("");
    s->format->format_whitelist = av_strdup(input->name);
    s->format->codec_whitelist = av_strdup(CODECS);
    if (!s->format->protocol_whitelist || !s->format->format_whitelist ||
        !s->format->codec_whitelist)
        return AVERROR(ENOMEM);
    int rc = avformat_open_input(&s->format, NULL, input, NULL); /* frees format on failure */
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
    s->codec->codec_whitelist = av_strdup(CODECS);
    if (!s->codec->codec_whitelist)
        return AVERROR(ENOMEM);
    return avcodec_open2(s->codec, codec, NULL);
}

static int stream_open(const uint8_t *bytes, size_t n, const char *demuxer, cara_libav_stream **out,
                       char *why, size_t why_size) {
    *out = NULL;
    /* libav logs to stderr through one callback for the whole process; ours is silent. */
    av_log_set_callback(log_nothing);
    cara_libav_stream *s = av_mallocz(sizeof *s);
    if (!s)
        return refuse(CARA_ERR_MEMORY, 0, "no memory", why, why_size);
    s->bytes = bytes;
    s->n = n;
    int code, rc = open_container(s, demuxer);
    if (rc < 0) {
        code =
            refuse(CARA_ERR_AUDIO_CORRUPT, rc, "its header is damaged or cut short", why, why_size);
        goto fail;
    }
    const AVCodec *codec = NULL;
    s->index = av_find_best_stream(s->format, AVMEDIA_TYPE_AUDIO, -1, -1, &codec, 0);
    if (s->index == AVERROR_STREAM_NOT_FOUND) {
        code = refuse(CARA_ERR_AUDIO_FORMAT, 0, "it has no sound track", why, why_size);
        goto fail;
    }
    if (s->index < 0 || !codec) {
        code = refuse(CARA_ERR_AUDIO_FORMAT, 0, "no decoder for its sound's codec", why, why_size);
        goto fail;
    }
    for (unsigned i = 0; i < s->format->nb_streams; i++)
        if ((int)i != s->index)
            s->format->streams[i]->discard = AVDISCARD_ALL;
    rc = open_codec(s, codec);
    if (rc < 0) {
        code = refuse(CARA_ERR_AUDIO_CORRUPT, rc, "its sound cannot be decoded", why, why_size);
        goto fail;
    }
    *out = s;
    return CARA_OK;
fail:
    stream_close(s);
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

/* Gives the decoder one more packet of our stream, or says that there are none. */
static int feed(cara_libav_stream *s) {
    for (;;) {
        int rc = av_read_frame(s->format, s->packet);
        if (rc < 0) {
            s->cut |= rc != AVERROR_EOF;
            s->draining = 1;
            rc = avcodec_send_packet(s->codec, NULL);
            return rc == AVERROR_EOF ? 0 : rc;
        }
        int ours = s->packet->stream_index == s->index;
        if (ours) { /* a damaged packet costs itself only */
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

/* The length that the container declares, in seconds; 0 where it has none or libav only
 * estimates. */
static double declared_seconds(const cara_libav_stream *s) {
    const AVStream *stream = s->format->streams[s->index];
    if (s->format->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE)
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
        int rc = refill(s);
        if (rc < 0)
            return refuse(CARA_ERR_AUDIO_CORRUPT, rc, "its sound cannot be decoded", why, why_size);
        if (s->ended && s->made == 0)
            return refuse(CARA_ERR_AUDIO_CORRUPT, 0, "it holds no sound that can be decoded", why,
                          why_size);
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
