"""What the public headers declare, with their comments: for the man pages, and for tests that go
through every public function."""
import dataclasses
import pathlib
import re


@dataclasses.dataclass
class Item:
    """A declaration or a macro, and the comment before it."""
    kind: str  # "function", "struct", "enum", "callback", "type" or "macro"
    name: str
    text: str  # as the header has it, without the comment before it
    doc: str  # "" where it has none
    joined: bool = False  # it follows the one before without a blank line or comment: one text for both

    @property
    def must_use(self):
        return "CARA_MUST_USE" in self.text

    @property
    def returns(self):
        return tidy(re.match(r"CARA_API\s+(?:CARA_MUST_USE\s+)?(.*?)\bcara_\w+\s*\(", self.text, re.S).group(1))

    @property
    def parameters(self):
        """[(type, name)] of a function."""
        inside = without_comments(self.text[self.text.index("(") + 1:self.text.rindex(")")])
        found = [re.fullmatch(r"(.*?)(\w+)", tidy(part)) for part in inside.split(",") if tidy(part) != "void"]
        return [(match.group(1).strip(), match.group(2)) for match in found]


@dataclasses.dataclass
class Header:
    name: str  # "audio"
    doc: str  # of the whole file
    items: list

    @property
    def functions(self):
        return [item for item in self.items if item.kind == "function"]


def tidy(text):
    return " ".join(text.split())


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def plain(comment):
    """A comment's text: without its marks, indentation kept."""
    lines = comment.strip()[2:-2].split("\n")
    lines = [lines[0].strip()] + [re.sub(r"^\s*\* ?", "", line).rstrip() for line in lines[1:]]
    return "\n".join(lines).strip()


def classify(text):
    """(kind, name) of a declaration."""
    if text.startswith("CARA_API"):
        return "function", re.search(r"\b(cara_\w+)\s*\(", text).group(1)
    callback = re.match(r"typedef\s[^{;]*\(\*(\w+)\)\s*\(", text)
    if callback:
        return "callback", callback.group(1)
    kind = re.match(r"typedef\s+(struct|enum)\b[^{;]*\{", text)
    return kind.group(1) if kind else "type", re.search(r"(\w+)\s*;$", text).group(1)


def read(path):
    """A Header from a file; SystemExit where a declaration is not understood."""
    path = pathlib.Path(path)
    text = re.sub(r"#ifdef __cplusplus.*?#endif\n", "", path.read_text(encoding="utf-8"), flags=re.S)
    text = re.sub(r"^#(ifndef|include|endif)\b.*\n|^#define CARACOLA_\w+_H\n", "", text, flags=re.M)
    first = re.match(r"/\*.*?\*/", text, re.S)
    header = Header(path.name.split(".")[0], plain(first.group(0)), [])
    text, doc, gap = text[first.end():], "", True
    while text.strip():
        space = re.match(r"\s*", text).group(0)
        gap = gap or space.count("\n") > 1
        text = text[len(space):]
        comment = re.match(r"/\*.*?\*/", text, re.S)
        macro = re.match(r"#define (\w+)(?:[^\n\\]|\\\n?)*", text)
        if comment:
            doc, gap, end = plain(comment.group(0)), True, comment.end()
        elif macro:
            kind, name, end = "macro", macro.group(1), macro.end()
        else:
            declaration = re.match(r"(?:/\*.*?\*/|\{(?:/\*.*?\*/|[^{}])*\}|[^{;])*?;(?:[ \t]*/\*.*?\*/)?", text, re.S)
            if not declaration:
                raise SystemExit(f"{path}: this declaration is not understood: {tidy(text)[:80]}")
            (kind, name), end = classify(without_comments(declaration.group(0)).strip()), declaration.end()
        if not comment:
            header.items.append(Item(kind, name, text[:end], doc, joined=not gap))
            doc, gap = "", False
        text = text[end:]
    return header
