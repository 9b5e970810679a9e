/* Text of paragraphs on standard output. */
#include "base/utf8.h"
#include "cli/cli.h"

#include <string.h>

enum { WIDTH = 80 };

void cara_cli_print_wrapped(const char *text, int column, FILE *out) {
    int at = column;
    while (*text) {
        size_t n = strcspn(text, " \n");
        int wide = (int)cara_utf8_count(text, n);
        if (at > column && at + 1 + wide > WIDTH) {
            fprintf(out, "\n%*s", column, "");
            at = column;
        } else if (at > column) {
            fputc(' ', out);
            at++;
        }
        fwrite(text, 1, n, out);
        at += wide;
        text += n;
        if (text[0] == '\n' && (text[1] == '\n' || text[1] == ' ')) {
            /* An empty line, or lines to be kept, up to the next paragraph. */
            do {
                n = 1 + strcspn(text + 1, "\n");
                fwrite(text, 1, n, out);
                text += n;
            } while (text[0] && text[1] && strchr("\n ", text[1]));
            if (*text && text[1])
                fprintf(out, "\n%*s", column, "");
            at = column;
        }
        text += strspn(text, " \n");
    }
    fputc('\n', out);
}
