/* The CloudFormation templates of infra/, embedded at build (embed.py). */
#ifndef DEPLOY_TEMPLATES_H
#define DEPLOY_TEMPLATES_H

extern const char cara_template_caracola[];  /* infra/caracola.yaml */
extern const char cara_template_bootstrap[]; /* infra/bootstrap.yaml */

#endif
