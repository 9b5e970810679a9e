/* Calls of the services that take a form and answer in XML (AWS's query protocol): SNS, STS,
 * CloudFormation. */
#ifndef AWS_QUERY_CALL_H
#define AWS_QUERY_CALL_H

#include "aws/client/client.h"
#include "aws/exchange/xml.h"

typedef struct cara_query_pair {
    const char *name;
    const char *value;
} cara_query_pair;

typedef struct cara_aws_query_call { /* everything is borrowed for the call */
    const cara_aws_service *service;
    const char *what;             /* for sentences: "SNS GetTopicAttributes" */
    const char *action;           /* "GetTopicAttributes" */
    const char *version;          /* "2010-03-31" */
    const char *region;           /* NULL: the client's */
    const cara_query_pair *pairs; /* [n_pairs] beyond Action and Version */
    size_t n_pairs;
    int unsigned_call;               /* as in cara_aws_call */
    const cara_xml_handler *handler; /* gets the answer */
} cara_aws_query_call;

/* As cara_aws_do(); NETWORK too where the answer is no XML. What the handler stops with is
 * returned. */
int cara_aws_query(cara_aws *aws, const cara_aws_query_call *call, cara_error *err);

#endif
