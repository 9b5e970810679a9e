#include "ogg_voice_test.h"

#include <math.h>
#include <opus.h>

#define END_OF(page) ((int64_t)((page) + 1) * 3 * VOICE_PACKET) /* with three packets a page */
#define PAGE_S 0.18                                             /* so long is one of them */

enum { AS_IS, DROPPED, BIT, GARBAGE, LONG, ZEROS }; /* what happens to a page */

/* The voice with the damage done to pages `first` to `last`. */
static blob damaged(const paging *how, int damage, int first, int last) {
    blob b = {0};
    add_headers(&b, &v, how);
    for (int page = 0; page < pages_of(how); page++) {
        size_t at = b.n;
        if (damage == AS_IS || page < first || page > last) {
            add_sound(&b, &v, how, page);
            continue;
        }
        switch (damage) {
        case DROPPED:
            break;
        case BIT:
            add_sound(&b, &v, how, page);
            b.data[(at + b.n) / 2 + 10] ^= 4;
            break;
        case GARBAGE:
            for (uint32_t i = 0, x = 7; i < 3000; i++) {
                x = x * 1664525 + 1013904223;
                uint8_t byte = (uint8_t)(x >> 24);
                add_bytes(&b, &byte, 1);
            }
            break;
        case LONG: /* its header claims more bytes than the file has */
            add_sound(&b, &v, how, page);
            memset(b.data + at + 26, 255, 2);
            break;
        case ZEROS:
            add_sound(&b, &v, how, page);
            memset(b.data + at, 0, b.n - at);
            break;
        }
    }
    return b;
}

/* What was before the gap is as it was, and what is behind it is there, in its place. */
static void check_places(const decoded *d, double from_s, double to_s) {
    double first = from_s * 16000 - 104 - 24, last = to_s * 16000 - 104;
    size_t from = first > 0 ? (size_t)first : 0, to = last > 0 ? (size_t)last : 0;
    assert_memory_equal(d->got.pcm, v.pcm.pcm, from * sizeof(float));
    double at[3] = {0}, power = 0;
    for (size_t i = to + 3200; i + 1 < d->got.n; i++) {
        for (int k = 0; k < 3; k++) {
            double diff = (double)(d->got.pcm[i] - v.pcm.pcm[i + (size_t)k - 1]);
            at[k] += diff * diff;
        }
        power += (double)(v.pcm.pcm[i] * v.pcm.pcm[i]);
    }
    if (power > 0.1) /* louder than the silence after the last word */
        assert_true(at[1] < at[0] / 1000 && at[1] < at[2] / 1000);
    for (size_t i = from + 24 + 1600 + 24; i + 24 < to && i < d->got.n; i++)
        assert_true(d->got.pcm[i] == 0);
}

static void gaps_keep_their_length_and_are_counted(void **state) {
    (void)state;
    static const paging numbered = {.on_each = 3, .serial = 9},
                        unnumbered = {.on_each = 3, .serial = 9, .unnumbered = 1},
                        like_whatsapp = {.on_each = 3, .no_end = 1};
    static const struct {
        const paging *how;
        int damage, first, last;
        int gaps;
    } cases[] = {
        {&numbered, AS_IS, 4, 4, 0},
        {&numbered, DROPPED, 4, 4, 1},
        {&numbered, BIT, 4, 4, 1},
        {&numbered, GARBAGE, 4, 4, 1},
        {&numbered, LONG, 4, 4, 1},
        {&numbered, ZEROS, 4, 4, 1},
        {&numbered, DROPPED, 0, 0, 1},
        {&numbered, BIT, 0, 0, 1},
        {&numbered, DROPPED, 3, 6, 1},
        {&numbered, BIT, 3, 6, 1},
        {&numbered, GARBAGE, 1, 7, 1},
        /* Before the last page, whose granule position says where the end is cut. */
        {&numbered, DROPPED, 9, 9, 1},
        {&numbered, BIT, 9, 9, 1},
        {&numbered, LONG, 9, 9, 1},
        {&numbered, DROPPED, 2, 9, 1},
        {&unnumbered, AS_IS, 4, 4, 0},
        {&unnumbered, DROPPED, 4, 4, 1},
        {&unnumbered, BIT, 4, 4, 1},
        {&unnumbered, GARBAGE, 4, 4, 1},
        {&unnumbered, BIT, 0, 0, 1},
        {&unnumbered, DROPPED, 9, 9, 1},
        {&like_whatsapp, DROPPED, 4, 4, 1},
        {&like_whatsapp, BIT, 5, 6, 1},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        blob b = damaged(cases[k].how, cases[k].damage, cases[k].first, cases[k].last);
        decoded d = decode(b.data, b.n, NULL, 4096);
        double seconds = cases[k].gaps ? PAGE_S * (cases[k].last - cases[k].first + 1) : 0;
        /* No page is marked as the last, so none is cut either. */
        size_t want = cases[k].how->no_end ? VOICE_UNCUT : VOICE_SAMPLES;
        if (d.code || d.got.n != want || d.truncated || d.gaps.count != cases[k].gaps ||
            fabs(d.gaps.seconds - seconds) > 1e-9)
            fail_msg("case %zu: code %d, %zu samples, truncated %d, %d gaps of %.6f s", k, d.code,
                     d.got.n, d.truncated, (int)d.gaps.count, d.gaps.seconds);
        d.got.n = VOICE_SAMPLES;
        if (cases[k].gaps)
            check_places(&d, PAGE_S * cases[k].first, PAGE_S * (cases[k].last + 1));
        else
            assert_memory_equal(d.got.pcm, v.pcm.pcm, VOICE_SAMPLES * sizeof(float));
        free(d.got.pcm);
        free(b.data);
    }
}

static void each_gap_counts(void **state) {
    (void)state;
    const paging how = {.on_each = 3, .serial = 9};
    blob b = {0};
    add_headers(&b, &v, &how);
    for (int page = 0; page < pages_of(&how); page++)
        if (page != 2 && page != 5 && page != 6)
            add_sound(&b, &v, &how, page);
    decoded d = decode(b.data, b.n, NULL, 4096);
    assert_int_equal(d.code, CARA_OK);
    assert_int_equal(d.got.n, VOICE_SAMPLES);
    assert_int_equal(d.gaps.count, 2);
    assert_true(fabs(d.gaps.seconds - 3 * PAGE_S) < 1e-9);
    free(d.got.pcm);
    free(b.data);
}

/* Without a granule position behind it, the length of what is missing is not known. */
static void a_missing_end_is_no_gap_but_truncated(void **state) {
    (void)state;
    const paging how = {.on_each = 3, .serial = 9}, like_whatsapp = {.on_each = 3, .no_end = 1};
    static const int damages[] = {DROPPED, BIT, LONG};
    for (size_t k = 0; k < sizeof damages / sizeof *damages; k++) {
        blob b = damaged(&how, damages[k], 10, 10);
        decoded d = decode(b.data, b.n, NULL, 4096);
        assert_int_equal(d.code, CARA_OK);
        assert_int_equal(d.truncated, 1);
        assert_int_equal(d.gaps.count, 0);
        assert_int_equal(d.got.n, (END_OF(9) - 312) / 3);
        free(d.got.pcm);
        free(b.data);
    }
    /* Cut anywhere but between two pages, it is noticed in the other file, too. */
    blob b = voice_file(&v, &like_whatsapp);
    size_t last_page = b.n - page_at(&b, 12);
    for (size_t cut = 1; cut < last_page; cut++) {
        decoded d = decode(b.data, b.n - cut, NULL, 4096);
        assert_int_equal(d.truncated, 1);
        free(d.got.pcm);
    }
    /* What is no piece of a page does not count. */
    add_bytes(&b, "TAG", 3);
    for (int i = 0; i < 125; i++)
        add_bytes(&b, "", 1);
    decoded d = decode(b.data, b.n, NULL, 4096);
    assert_int_equal(d.truncated, 0);
    assert_int_equal(d.gaps.count, 0);
    free(d.got.pcm);
    free(b.data);
}

/* `at[page]` is added to the granule position of each page from there on, and `skip` to its number.
 */
static blob renumbered(const int64_t *at, const uint32_t *skip, int dropped) {
    const paging how = {.on_each = 3, .serial = 9};
    blob b = {0};
    uint64_t before = 0;
    uint32_t number = 2;
    add_headers(&b, &v, &how);
    for (int page = 0; page < pages_of(&how); page++, number++) {
        before += at ? (uint64_t)at[page] : 0;
        number += skip ? skip[page] : 0;
        int n = page == 10 ? 1 : 3;
        if (page != dropped)
            add_page(&b, page == 10 ? LAST : 0, 9, number,
                     (int64_t)((uint64_t)page_granule(&how, page) + before), v.sound + 3 * page, n,
                     0);
    }
    return b;
}

static void granules_alone_make_no_gap(void **state) {
    (void)state;
    static const int64_t pause[11] = {[5] = 480000}, live[11] = {[0] = (int64_t)48000 * 3 * 3600},
                         back[11] = {[5] = -20000};
    static const uint32_t odd[11] = {[3] = 1000000, [6] = 7, [8] = (uint32_t)-900},
                          joined[11] = {[0] = 5000};
    static const struct {
        const int64_t *at;
        const uint32_t *skip;
    } cases[] = {
        {pause, NULL},  /* a writer that left something out */
        {NULL, odd},    /* pages counted wrongly, and nothing missing */
        {back, NULL},   /* a granule position before that of the last page */
        {live, joined}, /* recorded from the middle of a live stream */
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        blob b = renumbered(cases[k].at, cases[k].skip, -1);
        decoded d = decode(b.data, b.n, NULL, 4096);
        if (d.code || d.got.n != VOICE_SAMPLES || d.gaps.count || d.truncated)
            fail_msg("case %zu: code %d, %zu samples, %d gaps", k, d.code, d.got.n,
                     (int)d.gaps.count);
        assert_memory_equal(d.got.pcm, v.pcm.pcm, VOICE_SAMPLES * sizeof(float));
        free(d.got.pcm);
        free(b.data);
    }
}

static void absurd_gaps_are_shortened(void **state) {
    (void)state;
    /* A gap of years becomes one minute more than the sound before it. */
    int64_t at[11] = {[5] = (int64_t)1 << 50};
    blob b = renumbered(at, NULL, 4);
    decoded d = decode(b.data, b.n, NULL, 4096);
    assert_int_equal(d.code, CARA_OK);
    assert_int_equal(d.gaps.count, 1);
    assert_true(fabs(d.gaps.seconds - (60 + 4 * PAGE_S)) < 1e-9);
    assert_int_equal(d.got.n, VOICE_SAMPLES + (size_t)lround((60 + 3 * PAGE_S) * 16000));
    free(d.got.pcm);
    free(b.data);
    /* So do all together. */
    uint32_t skip[11];
    for (int page = 0; page < 11; page++) {
        at[page] = page ? (int64_t)1 << 40 : 0;
        skip[page] = 1;
    }
    b = renumbered(at, skip, -1);
    d = decode(b.data, b.n, NULL, 4096);
    assert_int_equal(d.code, CARA_OK);
    assert_int_equal(d.gaps.count, 10);
    assert_true(d.gaps.seconds <= 60 + 10 * PAGE_S + 1e-9);
    assert_true((double)d.got.n / 16000 < 60 + 20 * PAGE_S + 1);
    free(d.got.pcm);
    free(b.data);
    /* The greatest numbers that there are. */
    static const int64_t ends[] = {INT64_MAX, INT64_MIN, INT64_MAX - 1, (int64_t)1 << 60, -1, 0};
    for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
        memset(at, 0, sizeof at);
        at[6] = (int64_t)((uint64_t)ends[k] - (uint64_t)END_OF(6));
        b = renumbered(at, NULL, 5);
        d = decode(b.data, b.n, NULL, 4096);
        assert_int_equal(d.code, CARA_OK);
        assert_true((double)d.got.n / 16000 < 60 + 20 * PAGE_S + 1);
        free(d.got.pcm);
        free(b.data);
    }
}

/* Granule positions that count otherwise than the packets: the missing pages are as long as the one
 * that follows. */
static void gaps_are_guessed_where_granules_tell_nothing(void **state) {
    (void)state;
    int64_t at[11];
    for (int page = 0; page < 11; page++)
        at[page] = -2 * END_OF(0) / 3; /* samples at 16 kHz */
    at[10] = 0;
    blob b = renumbered(at, NULL, 4);
    decoded d = decode(b.data, b.n, NULL, 4096);
    assert_int_equal(d.code, CARA_OK);
    assert_int_equal(d.gaps.count, 1);
    assert_true(fabs(d.gaps.seconds - PAGE_S) < 1e-9);
    check_places(&d, 4 * PAGE_S, 5 * PAGE_S);
    free(d.got.pcm);
    free(b.data);
}

/* The first 40 s: where bytes are in their place they were lost; without, it is a recording that
 * begins in the middle of a stream. */
static void a_long_gap_at_the_beginning(void **state) {
    (void)state;
    const int64_t late[11] = {[0] = (int64_t)40 * 48000};
    const uint32_t skip[11] = {[0] = 222};
    for (int remains = 0; remains < 2; remains++) {
        blob whole = renumbered(late, skip, -1), b = {0};
        size_t headers = page_at(&whole, 2);
        add_bytes(&b, whole.data, headers);
        for (int i = 0; i < 1000 * remains; i++)
            add_bytes(&b, "x", 1);
        add_bytes(&b, whole.data + headers, whole.n - headers);
        decoded d = decode(b.data, b.n, NULL, 4096);
        assert_int_equal(d.code, CARA_OK);
        assert_int_equal(d.gaps.count, remains);
        assert_true(fabs(d.gaps.seconds - 40 * remains) < 1e-9);
        assert_int_equal(d.got.n, VOICE_SAMPLES + 40 * 16000 * remains);
        free(d.got.pcm);
        free(whole.data);
        free(b.data);
    }
}

static void damaged_packets_are_gaps(void **state) {
    (void)state;
    const uint8_t toc = ((const uint8_t *)v.sound[13].data)[0] & 0xFC;
    const uint8_t no_frames[] = {toc | 3, 0}, bad_padding[] = {toc | 3, 0x41, 255};
    const packet bad[] = {{no_frames, 2}, {bad_padding, 3}, {"", 0}};
    const paging how = {.on_each = 3, .serial = 9};
    static const int at[] = {13, 1, 30}; /* in the middle, on the first page, the very last */
    for (size_t k = 0; k < 9; k++) {
        int i = at[k / 3];
        double end = i == 30 ? (double)VOICE_END / 48000 : (i + 1) * 0.06;
        packet was = v.sound[i];
        v.sound[i] = bad[k % 3];
        blob b = voice_file(&v, &how);
        v.sound[i] = was;
        decoded d = decode(b.data, b.n, NULL, 4096);
        assert_int_equal(d.code, CARA_OK);
        assert_int_equal(d.got.n, VOICE_SAMPLES);
        assert_int_equal(d.gaps.count, 1);
        assert_true(fabs(d.gaps.seconds - (end - i * 0.06)) < 1e-9);
        check_places(&d, i * 0.06, end);
        free(d.got.pcm);
        free(b.data);
    }
}

/* Packets of 600 bytes, each of which begins on one page and ends on the next. */
static void packets_over_two_pages(void **state) {
    (void)state;
    static uint8_t padded[VOICE_PACKETS][600];
    for (int i = 0; i < VOICE_PACKETS; i++) {
        memcpy(padded[i], v.sound[i].data, v.sound[i].n);
        assert_int_equal(opus_packet_pad(padded[i], (opus_int32)v.sound[i].n, 600), OPUS_OK);
    }
    for (int dropped = -1; dropped < VOICE_PACKETS - 1; dropped += 4) {
        blob b = {0};
        add_headers(&b, &v, &(paging){.serial = 9});
        for (int i = 0; i < VOICE_PACKETS; i++) {
            int first = i == 0, last = i + 1 == VOICE_PACKETS;
            packet rest = {padded[i] + (first ? 0 : 255), first ? 600 : 345};
            packet pieces[2] = {rest, {padded[last ? i : i + 1], 255}};
            if (i != dropped)
                add_page(&b, (first ? 0 : CONTINUED) | (last ? LAST : 0), 9, (uint32_t)i + 2,
                         last ? VOICE_END : (int64_t)(i + 1) * VOICE_PACKET, pieces, last ? 1 : 2,
                         !last);
        }
        decoded d = decode(b.data, b.n, NULL, 4096);
        assert_int_equal(d.code, CARA_OK);
        assert_int_equal(d.got.n, VOICE_SAMPLES);
        assert_int_equal(d.truncated, 0);
        assert_int_equal(d.gaps.count, dropped >= 0);
        if (dropped >= 0) { /* with the page both packets that it had pieces of */
            assert_true(fabs(d.gaps.seconds - 0.12) < 1e-9);
            check_places(&d, dropped * 0.06, (dropped + 2) * 0.06);
        } else {
            assert_memory_equal(d.got.pcm, v.pcm.pcm, VOICE_SAMPLES * sizeof(float));
        }
        free(d.got.pcm);
        free(b.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaps_keep_their_length_and_are_counted),
        cmocka_unit_test(each_gap_counts),
        cmocka_unit_test(a_missing_end_is_no_gap_but_truncated),
        cmocka_unit_test(granules_alone_make_no_gap),
        cmocka_unit_test(absurd_gaps_are_shortened),
        cmocka_unit_test(gaps_are_guessed_where_granules_tell_nothing),
        cmocka_unit_test(a_long_gap_at_the_beginning),
        cmocka_unit_test(damaged_packets_are_gaps),
        cmocka_unit_test(packets_over_two_pages),
    };
    return cmocka_run_group_tests(tests, open_voice, close_voice);
}
