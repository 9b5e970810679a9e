// What the peers' benches share.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sys/resource.h>
#include <vector>

enum { STEPS = 32, BEAMS = 5 }; // as caracola bench

static double now_ms() {
    using namespace std::chrono;
    return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

static double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
}

static int report(const std::vector<double> &encode, const std::vector<double> &decode,
                  const std::vector<double> &beam, double load) {
    rusage u;
    getrusage(RUSAGE_SELF, &u);
    printf("{\"encode_ms\": %.3f, \"decode_ms_per_token\": %.3f, \"beam5_step_ms\": %.3f, "
           "\"open_ms\": %.3f, "
           "\"peak_rss_mb\": %.1f}\n",
           median(encode), median(decode), median(beam), load,
           static_cast<double>(u.ru_maxrss) * 1024 / 1e6);
    return 0;
}
