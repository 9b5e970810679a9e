/* What the checks of an account share; private to this room. */
#ifndef DOCTOR_ACCOUNT_H
#define DOCTOR_ACCOUNT_H

#include "aws/services/function.h"
#include "aws/services/sqs.h"
#include "doctor/doctor.h"

typedef struct account {
    cara_doctor *doctor;
    char function_arn[300];
    int timeout_s, cpus;
    char source[256], source_state[32]; /* the queue that feeds the function: its ARN */
    int partial;                        /* and its batches may fail in part */
    cara_function_failures failures;

    int is_worker;   /* the stack runs workers, not a function */
    int knows_model; /* the stack's parameters were judged, and the model with them */

    int n_accounts, n_phones, linked;
    char waba[128], waba_status[32], destination[300], number[48];

    int n_subscriptions, subscribed; /* 1: not confirmed, 2: confirmed */
    char endpoint[512];
} account;

/* Sets `dst` where it is empty. */
void cara_doctor_name(char *dst, size_t size, const char *value);
/* 1 where a queue's ARN and URL mean the same account and name. */
int cara_doctor_same_queue(const char *arn, const char *url);
/* The stack that was named: its state, parameters and alarm mails. */
void cara_doctor_stack(account *a);
/* The queue of events, and the dead letters. */
void cara_doctor_queues(account *a);

#endif
