/* Text as a terminal shows it: how many columns it takes, and what must not reach a terminal. */
#ifndef CLI_SHOWN_H
#define CLI_SHOWN_H

#include <stddef.h>

/* Copies text to dst ([size], NUL-terminated, no character cut in two). "?" replaces what a
 * terminal might obey or cannot show: control characters, marks of direction, ill-formed UTF-8.
 * Returns the columns that it takes; a wide character takes two, a combining one none. */
int cara_cli_shown(const char *text, char *dst, size_t size);

/* The same within `columns`: a longer text loses its middle, "..." in its place where there is room
 * for that. */
int cara_cli_shown_within(const char *text, int columns, char *dst, size_t size);

#endif
