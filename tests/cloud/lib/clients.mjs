// AWS's own JavaScript SDK, pointed at an endpoint of ours.
import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { S3Client } from '@aws-sdk/client-s3';
import { SNSClient } from '@aws-sdk/client-sns';
import { SocialMessagingClient } from '@aws-sdk/client-socialmessaging';
import { SQSClient } from '@aws-sdk/client-sqs';

const credentialsOf = ({ accessKeyId, secretAccessKey, sessionToken }) => ({ accessKeyId, secretAccessKey, sessionToken });
const options = (endpoint, key, more) => ({
  endpoint, region: 'us-east-1', credentials: credentialsOf(key), maxAttempts: 1, ...more,
});

export const s3Client = (endpoint, key, more = {}) => new S3Client(options(endpoint, key, { forcePathStyle: true, ...more }));
export const lambdaClient = (endpoint, key, more = {}) => new LambdaClient(options(endpoint, key, more));
export const stackClient = (endpoint, key, more = {}) => new CloudFormationClient(options(endpoint, key, more));
export const snsClient = (endpoint, key, more = {}) => new SNSClient(options(endpoint, key, more));
export const socialClient = (endpoint, key, more = {}) => new SocialMessagingClient(options(endpoint, key, more));
export const sqsClient = (endpoint, key, more = {}) => new SQSClient(options(endpoint, key, { useQueueUrlAsEndpoint: false, ...more }));
