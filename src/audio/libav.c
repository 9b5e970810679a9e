#include "audio/decoder.h"

int cara_libav_open(cara_slice bytes, const char *format, const char *demuxer, cara_decoder **out,
                    cara_error *err) {
    (void)bytes;
    (void)demuxer;
    *out = NULL;
    return cara_fail(err, CARA_ERR_AUDIO_MODULE, -1,
                     "this is %s audio, which needs the libav module", format);
}
