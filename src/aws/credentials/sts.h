/* Credentials of a role, from STS. */
#ifndef AWS_STS_H
#define AWS_STS_H

#include "aws/credentials/credentials.h"

typedef struct cara_assume_role {
    const char *role_arn;
    const char *session_name; /* NULL: "caracola-" and the time */
    const char *external_id;  /* NULL: none */
    const char *duration;     /* seconds, as text; NULL: STS's default */
    const char *token_file;
    const cara_credentials *source; /* NULL: web identity, with the token in `token_file` */
} cara_assume_role;

/* AssumeRole, signed with the source's keys, or AssumeRoleWithWebIdentity, which is not signed. On
 * success the caller frees *out; on failure it is zeroed. DENIED where STS refuses; NETWORK; USAGE;
 * MEMORY. */
int cara_credentials_assume_role(const cara_credentials_search *search,
                                 const cara_assume_role *role, cara_credentials *out,
                                 cara_error *err);

#endif
