#include "aws/exchange/xml.h"

#include "base/limits.h"
#include "base/memory/buf.h"

#include <expat.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_BYTES 256
#define TEXT_LIMIT (64 * CARA_KIB) /* a session token is 2 KiB, a key three times 1,024 bytes */

typedef struct reader {
    XML_Parser parser;
    const cara_xml_handler *handler;
    char path[PATH_MAX_BYTES];
    size_t path_len;
    cara_buf text;
    int rc;          /* the code that stopped the parser */
    const char *why; /* for our own refusals */
} reader;

static void stop(reader *r, int rc, const char *why) {
    if (!r->rc) {
        r->rc = rc;
        r->why = why;
    }
    XML_StopParser(r->parser, XML_FALSE);
}

static void XMLCALL on_start(void *cookie, const XML_Char *name, const XML_Char **attributes) {
    reader *r = cookie;
    if (r->rc)
        return;
    size_t n = strlen(name), slash = r->path_len ? 1 : 0;
    if (n + slash >= sizeof r->path - r->path_len) {
        stop(r, CARA_ERR_NETWORK, "elements are nested too deep");
        return;
    }
    if (slash)
        r->path[r->path_len++] = '/';
    memcpy(r->path + r->path_len, name, n + 1);
    r->path_len += n;
    cara_buf_clear(&r->text);
    if (r->handler->start)
        r->handler->start(r->handler->ctx, r->path);
}

static void XMLCALL on_end(void *cookie, const XML_Char *name) {
    reader *r = cookie;
    if (r->rc)
        return;
    int rc = 0;
    if (r->handler->end)
        rc = r->handler->end(r->handler->ctx, r->path, r->text.data ? r->text.data : "",
                             r->text.len);
    size_t n = strlen(name);
    r->path_len -= n < r->path_len ? n + 1 : n;
    r->path[r->path_len] = 0;
    cara_buf_clear(&r->text);
    if (rc)
        stop(r, rc, NULL);
}

static void XMLCALL on_text(void *cookie, const XML_Char *text, int n) {
    reader *r = cookie;
    if (r->rc || n <= 0)
        return;
    if ((size_t)n > r->text.limit - r->text.len)
        stop(r, CARA_ERR_NETWORK, "one text is too long");
    else if (cara_buf_add(&r->text, text, (size_t)n))
        stop(r, CARA_ERR_MEMORY, "no memory");
}

static void XMLCALL on_doctype(void *cookie, const XML_Char *name, const XML_Char *system,
                               const XML_Char *public, int internal) {
    stop(cookie, CARA_ERR_NETWORK, "it has a DOCTYPE");
}

int cara_xml_path_ends(const char *path, const char *end) {
    size_t n = strlen(path), m = strlen(end);
    return n >= m && strcmp(path + n - m, end) == 0 && (n == m || path[n - m - 1] == '/');
}

int cara_xml_parse(const char *xml, size_t n, const cara_xml_handler *handler, cara_error *err) {
    /* By name, so that a test that replaces malloc reaches expat too. */
    const XML_Memory_Handling_Suite memory = {malloc, realloc, free};
    reader r = {.handler = handler};
    cara_buf_init(&r.text, TEXT_LIMIT);
    r.parser = XML_ParserCreate_MM("UTF-8", &memory, NULL);
    if (!r.parser)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to read an XML answer");
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    enum XML_Status status =
        n > INT_MAX ? XML_STATUS_ERROR : XML_Parse(r.parser, xml ? xml : "", (int)n, XML_TRUE);
    int rc = r.rc;
    if (!rc && status != XML_STATUS_OK) {
        enum XML_Error code = XML_GetErrorCode(r.parser);
        rc = code == XML_ERROR_NO_MEMORY ? CARA_ERR_MEMORY : CARA_ERR_NETWORK;
        r.why = XML_ErrorString(code);
    }
    /* Where the handler stopped, it has filled *err. */
    if (rc && r.why)
        cara_fail(err, rc, XML_GetCurrentByteIndex(r.parser), "an XML answer cannot be read: %s",
                  r.why);
    XML_ParserFree(r.parser);
    cara_buf_free(&r.text);
    return rc;
}
