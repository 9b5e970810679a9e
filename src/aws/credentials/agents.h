/* Credentials from an agent on this machine or its host: a container's (ECS, EKS) or an EC2
 * instance's metadata service. */
#ifndef AWS_AGENTS_H
#define AWS_AGENTS_H

#include "aws/credentials/credentials.h"

/* On success the caller frees *out; on failure it is zeroed. NOT_FOUND where there is no such
 * agent; DENIED where it refuses; NETWORK where it does not answer, or not with credentials; USAGE;
 * MEMORY.
 */
int cara_credentials_container(const cara_credentials_search *search, cara_credentials *out,
                               cara_error *err);
int cara_credentials_imds(const cara_credentials_search *search, cara_credentials *out,
                          cara_error *err);

/* 1 where AWS_CONTAINER_CREDENTIALS_FULL_URI may be called: https, or loopback, or the addresses of
 * ECS's and EKS's agents. Else a token would go over the network in the clear. */
int cara_credentials_uri_is_allowed(const char *uri);

#endif
