/* What checks that call AWS or take long share: time limits, and calls that failed. Private to this
 * room. */
#ifndef DOCTOR_CALLS_H
#define DOCTOR_CALLS_H

#include "doctor/doctor.h"

/* What to change, by name: the function has no flags, only variables. Both are literals. */
#define CARA_DOCTOR_SETTING(doctor, flag, variable)                                                \
    ((doctor)->in_function ? variable : flag " or " variable)

/* Seconds that a check may take, of the `most` that it takes by itself: less where the deadline
 * comes first, at least 0.1. */
double cara_doctor_time(const cara_doctor *doctor, double most);
/* A new time limit for the calls of one check. */
void cara_doctor_limit_calls(cara_doctor *doctor);
/* Adds a check for a call that failed, whatever the reason. `needs`: the permission it takes. */
void cara_doctor_call_failed(cara_doctor *doctor, const char *name, const char *what, int rc,
                             const cara_error *err, const char *needs);
/* The same for a call that only reads: without the permission nothing is known of its object, so it
 * is a warning. */
void cara_doctor_read_failed(cara_doctor *doctor, const char *name, const char *what, int rc,
                             const cara_error *err, const char *needs);

#endif
