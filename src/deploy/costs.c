#include "deploy/costs.h"

#include "model/dims.h"

#include <stdlib.h>
#include <string.h>

const cara_price cara_prices[CARA_N_PRICES] = {
    [CARA_PRICE_LAMBDA_GB_SECOND] = {"0.0000166667", "Lambda, x86: GB-second", "lambda"},
    [CARA_PRICE_LAMBDA_MILLION] = {"0.20", "Lambda: a million calls", "lambda"},
    [CARA_PRICE_FARGATE_CPU_HOUR] = {"0.04048", "Fargate, Linux x86: vCPU-hour", "fargate"},
    [CARA_PRICE_FARGATE_GB_HOUR] = {"0.004445", "Fargate, Linux x86: GB-hour", "fargate"},
    [CARA_PRICE_S3_GB_MONTH] = {"0.023", "S3: GB-month", "s3"},
    [CARA_PRICE_S3_1000_PUTS] = {"0.005", "S3: 1,000 PUT", "s3"},
    [CARA_PRICE_S3_1000_GETS] = {"0.0004", "S3: 1,000 GET", "s3"},
    [CARA_PRICE_EFS_GB_MONTH] = {"0.30", "EFS, elastic: GB-month", "efs"},
    [CARA_PRICE_ECR_GB_MONTH] = {"0.10", "ECR: GB-month", "ecr"},
    [CARA_PRICE_NAT_HOUR] = {"0.045", "NAT gateway: hour", "vpc"},
    [CARA_PRICE_ADDRESS_HOUR] = {"0.005", "Public IPv4: hour", "vpc"},
    [CARA_PRICE_ENDPOINT_HOUR] = {"0.01", "Interface endpoint: hour in each zone", "privatelink"},
};

#define MONTH_HOURS 730.0
#define LAMBDA_MB_OF_A_CPU 1769.0 /* Lambda gives one processor for so much memory */
#define WAIT_S 1.0                /* of a function, for WhatsApp and S3 */

static double price(cara_price_id id) {
    return strtod(cara_prices[id].dollars, NULL);
}

static int is(const cara_deploy *d, cara_setting_id id, const char *value) {
    return strcmp(cara_deploy_value(d, id), value) == 0;
}

/* The encoder's and the decoder's work grow with layers and the square of their width. One window,
 * 90 tokens, 0.15 s for the rest. */
double cara_costs_cpu_s(const cara_dims *m) {
    double encoder = 1e-6 * m->n_audio_layer * (double)m->n_audio_state * m->n_audio_state;
    double decoder = 1e-6 * m->n_text_layer * (double)m->n_text_state * m->n_text_state;
    return 0.10 + 0.25 * encoder + 90 * (0.0012 + 0.00085 * decoder) + 0.15;
}

static double notes_of(const cara_deploy *d, const cara_dims *dims) {
    double cpu = cara_costs_cpu_s(dims), one;
    if (is(d, CARA_SET_VARIANT, "worker")) { /* every size has 4 GB for a processor */
        one = cpu / 3600 *
              (price(CARA_PRICE_FARGATE_CPU_HOUR) + 4 * price(CARA_PRICE_FARGATE_GB_HOUR));
    } else {
        double gb = strtod(cara_deploy_value(d, CARA_SET_MEMORY), NULL) / 1024;
        double gb_seconds = cpu * LAMBDA_MB_OF_A_CPU / 1024 + WAIT_S * gb;
        one = gb_seconds * price(CARA_PRICE_LAMBDA_GB_SECOND) +
              price(CARA_PRICE_LAMBDA_MILLION) / 1e6;
    }
    /* Each note: 4 PUTs and 3 GETs. */
    return 1000 * one + 4 * price(CARA_PRICE_S3_1000_PUTS) + 3 * price(CARA_PRICE_S3_1000_GETS);
}

static double idle_worker(const cara_deploy *d) {
    static const struct {
        const char *name;
        double cpus;
    } sizes[] = {{"small", 1}, {"medium", 2}, {"large", 4}, {"huge", 8}};
    double n = strtod(cara_deploy_value(d, CARA_SET_WORKER_MINIMUM), NULL), cpus = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (is(d, CARA_SET_WORKER_SIZE, sizes[i].name))
            cpus = sizes[i].cpus;
    double address = is(d, CARA_SET_NETWORK, "internet") ? price(CARA_PRICE_ADDRESS_HOUR) : 0;
    return n * MONTH_HOURS *
           (cpus * price(CARA_PRICE_FARGATE_CPU_HOUR) +
            4 * cpus * price(CARA_PRICE_FARGATE_GB_HOUR) + address);
}

/* What the network costs in each zone: endpoints of the services that are called (docs/deploy.md,
 * "The network"), or NAT for a function. */
static double idle_network(const cara_deploy *d) {
    double zones = strtod(cara_deploy_value(d, CARA_SET_ZONES), NULL);
    int worker = is(d, CARA_SET_VARIANT, "worker");
    if (is(d, CARA_SET_NETWORK, "endpoints"))
        return zones * (worker ? 5 : 1) * MONTH_HOURS * price(CARA_PRICE_ENDPOINT_HOUR);
    return worker ? 0
                  : zones * MONTH_HOURS *
                        (price(CARA_PRICE_NAT_HOUR) + price(CARA_PRICE_ADDRESS_HOUR));
}

static double idle_of(const cara_deploy *d) {
    double model_gb = (double)d->model.bytes / 1e9;
    int image = d->package.kind && strcmp(d->package.kind, "image") == 0;
    double idle = (double)d->package.packed / 1e9 *
                      price(image ? CARA_PRICE_ECR_GB_MONTH : CARA_PRICE_S3_GB_MONTH) +
                  model_gb * price(CARA_PRICE_S3_GB_MONTH);
    if (is(d, CARA_SET_VARIANT, "worker"))
        idle += idle_worker(d);
    if (is(d, CARA_SET_DELIVERY, "efs"))
        idle += model_gb * price(CARA_PRICE_EFS_GB_MONTH);
    if (cara_deploy_applies(d, CARA_SET_NETWORK))
        idle += idle_network(d);
    return idle;
}

cara_costs cara_costs_estimate(const cara_deploy *d) {
    cara_dims tiny, large;
    cara_costs out = {.idle = idle_of(d), .knows_model = d->model.bytes > 0};
    if (out.knows_model) {
        out.notes = out.notes_most = notes_of(d, &d->model.dims);
    } else if (!cara_dims_published("tiny", &tiny) && !cara_dims_published("large-v3", &large)) {
        out.notes = notes_of(d, &tiny);
        out.notes_most = notes_of(d, cara_deploy_is_toy(d) ? &tiny : &large);
    }
    return out;
}
