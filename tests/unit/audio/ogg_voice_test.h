/* The voice note that the tests of Ogg files cut and change, opened once for a whole program. */
#ifndef OGG_VOICE_TEST_H
#define OGG_VOICE_TEST_H

#include "ogg_test.h"

static voice v;

static int open_voice(void **state) {
    (void)state;
    v = voice_open();
    return 0;
}

static int close_voice(void **state) {
    (void)state;
    voice_close(&v);
    return 0;
}

#endif
