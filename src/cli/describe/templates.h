/* The parts of completion scripts that are the same for every command; made of the files beside
 * this one when it is built. */
#ifndef CLI_DESCRIBE_TEMPLATES_H
#define CLI_DESCRIBE_TEMPLATES_H

extern const char cara_completion_bash[], cara_completion_zsh[], cara_completion_fish[];

#endif
