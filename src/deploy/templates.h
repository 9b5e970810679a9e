/* What is embedded at build: the CloudFormation templates of infra/ (embed.py), and the names of
 * time zones (zones.py). */
#ifndef DEPLOY_TEMPLATES_H
#define DEPLOY_TEMPLATES_H

extern const char cara_template_caracola[];  /* infra/caracola.yaml */
extern const char cara_template_bootstrap[]; /* infra/bootstrap.yaml */

/* "Africa/Abidjan\n...": the zones that packages which are built here have. */
extern const char cara_zone_names[];

#endif
