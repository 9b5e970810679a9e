/* Region and credentials, which the checks of the store and of the account both begin with. */
#ifndef DOCTOR_CREDENTIALS_H
#define DOCTOR_CREDENTIALS_H

#include "doctor/doctor.h"

void cara_doctor_credentials(cara_doctor *doctor);

#endif
