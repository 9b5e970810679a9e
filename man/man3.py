#!/usr/bin/env python3
"""Writes the man pages of section 3 from the public headers: a page for each header, and a link to
it for each function and type.

Usage: man3.py --list HEADER...                    the names of the files
       man3.py FOLDER VERSION DATE HEADER...       writes them
"""
import pathlib
import re
import sys
import textwrap

sys.dont_write_bytecode = True
import headers  # noqa: E402

ALL = "caracola"  # the header that includes the others; its page is libcaracola(3)
LINKED = ("function", "struct", "enum", "callback")


def page_of(header):
    return "libcaracola" if header.name == ALL else f"caracola_{header.name}"


def escape(text):
    text = text.replace("\\", "\\e")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def marked(text, parameters=()):
    """A piece of prose, with its names in bold and its parameters in italics."""
    def code(match):
        words = match.group(1).replace("-", "\\-")
        return f"\\fI{words}\\fR" if words in parameters else f"\\fB{words}\\fR"
    text = re.sub(r"`([^`]+)`", code, escape(text))
    text = re.sub(r"(?<![\w\\])(cara_\w+)\(\)", r"\\fB\1\\fR()", text)
    text = re.sub(r"(?<![\w\\.])(CARA_[A-Z][A-Z_]*[A-Z])\b", r"\\fB\1\\fR", text)
    return re.sub(r"(?<=[ (])-(?=\d)", r"\\-", text)


def prose(text, parameters=()):
    """Lines of roff for a comment: paragraphs, lists of "  NAME   what it means", and code."""
    if not text:
        return []
    out, paragraph, rows = [], [], []

    def flush():
        if paragraph:
            if re.search(r"\bCARA_\w+ {2,}|CARA_OK or CARA_", " ".join(paragraph)):
                raise SystemExit(f"man3.py: this list is joined to the text before it: {' '.join(paragraph)[:80]}")
            out.extend([".PP"] * bool(out) + [marked(" ".join(paragraph), parameters)])
        for name, words in rows:
            out.extend([".TP", f".B {escape(name)}", marked(" ".join(words), parameters)])
        paragraph.clear()
        rows.clear()

    for block in re.split(r"\n\s*\n", text):
        lines = block.split("\n")
        if all(line.startswith("    ") for line in lines):
            flush()
            out += [".PP", ".RS 4", ".EX", *[escape(line[4:]) for line in lines], ".EE", ".RE"]
            continue
        for line in lines:
            row = re.match(r" {1,3}(\S+)\s{2,}(\S.*)", line)
            if row and not (rows and line.startswith("    ")):
                if paragraph:
                    flush()
                rows.append((row.group(1), [row.group(2)]))
            elif rows and line.startswith("   "):
                rows[-1][1].append(line.strip())
            else:
                if rows:
                    flush()
                paragraph.append(line.strip())
        flush()
    return out


def comment_pieces(text, end):
    """[(code, comment)]: the members of a struct or enum, which end with `end`, with what is said of each."""
    pieces, pending, at = [], "", 0
    token = re.compile(rf"\s*(?:(/\*.*?\*/)|([^{end}/]+?(?:\([^;]*?\))?\s*{end}(?=\s))|([^{end}/]+?)(?=\s*(?:/\*|$)))", re.S)
    last_end = 0
    while text[at:].strip():
        match = token.match(text, at)
        if not match:
            raise SystemExit(f"man3.py: these members are not understood: {headers.tidy(text[at:])[:80]}")
        if match.group(1):
            said = headers.plain(match.group(1))
            # Behind a member on its line (the formatter may break it there), or before the next one.
            behind = pieces and "\n" not in text[last_end:match.start(1)]
            inside = pieces and pieces[-1][0][-1] != end
            if behind or inside:
                code, before = pieces[-1]
                pieces[-1] = (code, f"{before}\n\n{said}" if before else said)
            else:
                pending = said
        else:
            code = headers.tidy(match.group(2) or match.group(3))
            pieces.append((code, pending))
            pending, last_end = "", match.end()
        at = match.end()
    return pieces


def members(item):
    """A struct's or enum's members as a list."""
    body = item.text[item.text.index("{") + 1:item.text.rindex("}")]
    out = []
    for code, said in comment_pieces(body, "," if item.kind == "enum" else ";"):
        out += [".TP", f"\\fB{escape(code.rstrip(',')).replace('-', chr(92) + '-')}\\fR"]
        out += [".IP" if line == ".PP" else line for line in prose(said)] if said else ["\\&"]
    return out


def declaration(item):
    """In the synopsis: wrapped, with the parameters in italics."""
    text = headers.tidy(headers.without_comments(item.text)).replace("CARA_API ", "").replace("CARA_MUST_USE ", "")
    text = text.replace("( ", "(").replace(" )", ")")
    indent = text.index("(") + 1 if text.index("(") < 36 else 8
    lines = [""]
    for part in re.findall(r".*?(?:,|;$)", text):  # broken between parameters
        if lines[-1] and len(lines[-1] + part) > 76:
            lines.append(" " * indent + part.strip())
        else:
            lines[-1] += part
    return [".PP", ".nf", *[f"\\fB{escape(line)}\\fR" for line in lines], ".fi"]


def section(name, lines):
    return [f".SH {name}", *lines] if lines else []


def types(header):
    out = []
    for item in header.items:
        if item.kind == "macro":
            comment = re.search(r"/\*.*?\*/", item.text, re.S)
            words = headers.tidy(headers.without_comments(item.text).replace("\\\n", " ")).removeprefix("#define ")
            out += [f".SS {item.name}", ".nf", f"\\fB#define {escape(words)}\\fR", ".fi"]
            said = item.doc or (headers.plain(comment.group(0)) if comment else "")
            out += [".PP", *prose(said)] if said else []  # behind a display
        elif item.kind != "function":
            comment = re.search(r";\s*(/\*.*?\*/)\s*$", item.text, re.S) if item.kind == "type" else None
            out.append(f".SS {item.name}")
            if item.kind in ("callback", "type"):
                words = headers.tidy(headers.without_comments(item.text))
                lines = textwrap.wrap(words, 76, subsequent_indent="        ", break_on_hyphens=False)
                out += [".nf", *[f"\\fB{escape(line)}\\fR" for line in lines], ".fi", ".PP"]
            said = item.doc or (headers.plain(comment.group(1)) if comment else "")
            if said:
                out += prose(said)
            elif out[-1] == ".PP":
                out.pop()
            out += members(item) if item.kind in ("struct", "enum") else []
    return out


def functions(header):
    out = []
    for at, item in enumerate(header.items):
        if item.kind == "function":
            doc = item.doc
            if not doc and item.joined and header.items[at - 1].kind != "function":
                doc = header.items[at - 1].doc
            if not doc:
                raise SystemExit(f"man3.py: {item.name}() has no comment in {header.name}.h")
            out += [f".SS {item.name}()", *prose(doc, {name for _, name in item.parameters})]
    return out


def page(header, all_headers, version, date):
    names = [page_of(header), *[item.name for item in header.items if item.kind in LINKED]]
    title, _, rest = header.doc.partition(".")
    title = headers.tidy(title).removeprefix("libcaracola: ")
    if header.name != ALL:
        title = title[0].lower() + title[1:]
    others = sorted(page_of(other) for other in all_headers if other is not header)
    out = [f'.\\" Written from include/caracola/{header.name}.h.',
           f'.TH {page_of(header).upper()} 3 "{date}" "libcaracola {version}" "Library Functions Manual"',
           ".SH NAME", ", ".join(names) + f" \\- {escape(title)}",
           *section("LIBRARY", ["libcaracola (\\fB\\-lcaracola\\fR; \\fBpkg\\-config \\-\\-cflags \\-\\-libs caracola\\fR)"]),
           ".SH SYNOPSIS", ".nf", f"\\fB#include <caracola/{header.name}.h>\\fR", ".fi"]
    for function in header.functions:
        out += declaration(function)
    out += section("DESCRIPTION", prose(rest.strip("\n").strip()) or
                   ["Each declaration of the header is described below."])
    out += section("TYPES AND MACROS", types(header))
    out += section("FUNCTIONS", functions(header))
    out += section("SEE ALSO", [f".BR {name} (3){',' if name != others[-1] else ''}" for name in others])
    return "\n".join(out) + "\n"


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    listing = sys.argv[1] == "--list"
    parsed = [headers.read(path) for path in sys.argv[2 if listing else 4:]]
    files = {}
    for header in parsed:
        files[page_of(header)] = None if listing else page(header, parsed, *sys.argv[2:4])
        for item in header.items:
            if item.kind in LINKED:
                files[item.name] = f".so man3/{page_of(header)}.3\n"
    if listing:
        print("\n".join(f"{name}.3" for name in files))
    for name, text in files.items() if not listing else ():
        pathlib.Path(sys.argv[1], f"{name}.3").write_text(text, encoding="utf-8")


main()
