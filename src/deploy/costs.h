/* What an installation costs, estimated from AWS's prices. */
#ifndef DEPLOY_COSTS_H
#define DEPLOY_COSTS_H

#include "deploy/deploy.h"

typedef enum cara_price_id {
    CARA_PRICE_LAMBDA_GB_SECOND,
    CARA_PRICE_LAMBDA_MILLION,
    CARA_PRICE_FARGATE_CPU_HOUR,
    CARA_PRICE_FARGATE_GB_HOUR,
    CARA_PRICE_S3_GB_MONTH,
    CARA_PRICE_S3_1000_PUTS,
    CARA_PRICE_S3_1000_GETS,
    CARA_PRICE_EFS_GB_MONTH,
    CARA_PRICE_ECR_GB_MONTH,
    CARA_PRICE_NAT_HOUR,
    CARA_PRICE_ADDRESS_HOUR,
    CARA_PRICE_ENDPOINT_HOUR,
    CARA_N_PRICES
} cara_price_id;

typedef struct cara_price {
    const char *dollars; /* "0.045", as docs/deploy.md has it (a unit test compares) */
    const char *unit;    /* "NAT gateway, an hour" */
    const char *service; /* as AWS names its page of prices: "lambda" */
} cara_price;

/* Of us-east-1, without free tiers and taxes, as of CARA_PRICES_DATE. */
extern const cara_price cara_prices[CARA_N_PRICES];
#define CARA_PRICES_REGION "us-east-1"
#define CARA_PRICES_DATE "25 November 2026"

typedef struct cara_costs {
    double idle;              /* $ a month while nothing happens, within the free tiers */
    double notes, notes_most; /* $ for 1,000 notes of 20 s; both are the same where the model is
                               * known, else those of tiny and large-v3 */
    int knows_model;
} cara_costs;

/* Of what is requested, or deployed; after cara_deploy_check(). */
cara_costs cara_costs_estimate(const cara_deploy *d);

/* Processor seconds for a note of up to 30 s: fitted to the measurements in docs/deploy.md, for
 * tests. */
double cara_costs_cpu_s(const cara_dims *dims);

#endif
