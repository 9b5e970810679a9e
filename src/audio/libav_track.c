#include "audio/libav_track.h"

#include "audio/audio_decoder.h"

#include <libavcodec/avcodec.h>
#include <libavutil/avstring.h>
#include <stdio.h>

const char cara_libav_codecs[] =
    "aac,aac_fixed,aac_latm,ac3,ac3_fixed,eac3,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_sbpro_2,"
    "adpcm_sbpro_3,adpcm_sbpro_4,adpcm_swf,alac,amrnb,amrwb,ape,flac,g722,g726,g726le,gsm,gsm_ms,"
    "mp1,mp1float,mp2,mp2float,mp3,mp3float,mpc7,mpc8,nellymoser,opus,libopus,pcm_alaw,pcm_bluray,"
    "pcm_dvd,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,"
    "pcm_s24le,pcm_s32be,pcm_s32le,pcm_s8,pcm_u8,qdm2,speex,libspeex,tta,vorbis,libvorbis,wavpack,"
    "wmalossless,wmapro,wmav1,wmav2,wmavoice";

static const AVCodec *find_decoder(const AVStream *stream) {
    const AVCodec *codec = avcodec_find_decoder(stream->codecpar->codec_id);
    return codec && av_match_list(codec->name, cara_libav_codecs, ',') ? codec : NULL;
}

/* As fftools/ffmpeg_opt.c chooses: what brought packets while the header was read, then what is
 * marked as the default, then most channels; the first of equals. */
static int64_t score(const AVStream *stream) {
    return stream->codecpar->ch_layout.nb_channels +
           (stream->event_flags & AVSTREAM_EVENT_FLAG_NEW_PACKETS ? 100000000 : 0) +
           (stream->disposition & AV_DISPOSITION_DEFAULT ? 5000000 : 0);
}

static void name_codec(const AVStream *stream, char *dst, size_t size) {
    const AVCodecDescriptor *codec = avcodec_descriptor_get(stream->codecpar->codec_id);
    char tag[AV_FOURCC_MAX_STRING_SIZE];
    if (codec)
        snprintf(dst, size, "%s", codec->long_name ? codec->long_name : codec->name);
    else
        snprintf(dst, size, "of a codec that libav does not know (%s)",
                 av_fourcc_make_string(tag, stream->codecpar->codec_tag));
}

int cara_libav_track(const AVFormatContext *format, int track, int *index, const AVCodec **codec,
                     char *why, size_t why_size) {
    int n = 0, decodable = -1;
    int64_t best = 0;
    const AVStream *chosen = NULL;
    for (unsigned i = 0; i < format->nb_streams; i++) {
        const AVStream *stream = format->streams[i];
        if (stream->codecpar->codec_type != AVMEDIA_TYPE_AUDIO)
            continue;
        if (track < 0 ? score(stream) > best : n == track) {
            best = score(stream);
            chosen = stream;
        }
        if (decodable < 0 && find_decoder(stream))
            decodable = n;
        n++;
    }
    if (!n) {
        snprintf(why, why_size, "it has no sound track");
        return CARA_ERR_AUDIO_FORMAT;
    }
    if (!chosen && track >= 0) {
        snprintf(why, why_size, "it has no sound track %d: it has %d, counted from 0", track, n);
        return CARA_ERR_AUDIO_FORMAT;
    }
    if (!chosen) {
        snprintf(why, why_size, "its sound track has no channels");
        return CARA_ERR_AUDIO_CORRUPT;
    }
    *index = chosen->index;
    *codec = find_decoder(chosen);
    if (*codec)
        return CARA_OK;
    char name[96];
    name_codec(chosen, name, sizeof name);
    if (decodable >= 0)
        snprintf(why, why_size,
                 "its sound is %s, which is not decoded here; sound track %d, counted "
                 "from 0, can be",
                 name, decodable);
    else
        snprintf(why, why_size,
                 "its sound is %s, which is not decoded here; convert it first, "
                 "for example to FLAC",
                 name);
    return CARA_ERR_AUDIO_FORMAT;
}

int cara_libav_check_sound(int rate, int channels, char *why, size_t why_size) {
    if (rate && (rate < CARA_AUDIO_RATE_MIN || rate > CARA_AUDIO_RATE_MAX)) {
        snprintf(why, why_size, "its sound has %d samples a second; %d to %d are read", rate,
                 CARA_AUDIO_RATE_MIN, CARA_AUDIO_RATE_MAX);
        return CARA_ERR_AUDIO_CORRUPT;
    }
    if (channels < 0 || channels > CARA_AUDIO_CHANNELS_MAX) {
        snprintf(why, why_size, "its sound has %d channels; up to %d are read", channels,
                 CARA_AUDIO_CHANNELS_MAX);
        return CARA_ERR_AUDIO_CORRUPT;
    }
    return CARA_OK;
}
