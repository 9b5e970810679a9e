#include "transcript/timestamp.h"

#include <inttypes.h>
#include <math.h>

int64_t cara_milliseconds(double seconds) {
    double ms = seconds * 1000.0;
    double below = floor(ms), rest = ms - below;
    int up = rest > 0.5 || (rest == 0.5 && fmod(below, 2.0) != 0.0);
    return (int64_t)(below + up);
}

int cara_is_time(double seconds) {
    return seconds >= 0 && seconds < 1e12;
}

int cara_transcript_timestamp(double seconds, int always_hours, char decimal_marker,
                              cara_buf *out) {
    if (!cara_is_time(seconds))
        return -1;
    int64_t ms = cara_milliseconds(seconds);
    int64_t hours = ms / 3600000;
    int minutes = (int)(ms / 60000 % 60), whole = (int)(ms / 1000 % 60), rest = (int)(ms % 1000);
    if (always_hours || hours > 0)
        cara_buf_printf(out, "%02" PRId64 ":", hours);
    return cara_buf_printf(out, "%02d:%02d%c%03d", minutes, whole, decimal_marker, rest);
}
