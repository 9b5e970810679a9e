/* What `setup` says before and after it has done something. */
#ifndef CLI_SETUP_SUMMARY_H
#define CLI_SETUP_SUMMARY_H

#include "cli/setup/request.h"

/* What is about to be made, and what it costs, line by line by d->progress. */
void cara_setup_summarise(const cara_setup *s, const cara_deploy *d);
/* Says loudly that only the demo model is there, where that is so. */
void cara_setup_warn_of_toy(const cara_deploy *d);
/* What was made, on standard output. */
void cara_setup_show_result(cara_deploy *d);

/* "caracola setup --yes ..." that does the same, as a shell takes it; 0, or -1 on no memory. */
int cara_setup_command_line(const cara_setup *s, const cara_deploy *d, cara_buf *out);

#endif
