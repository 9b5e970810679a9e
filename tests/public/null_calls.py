#!/usr/bin/env python3
"""Writes a test for each public function: it is called with each of its pointers NULL in turn.

Usage: null_calls.py MAN_FOLDER OUTPUT HEADER...

A pointer that may be NULL is in OPTIONAL; with any other, a function that can fail answers
CARA_ERR_USAGE with a sentence, with and without a cara_error, and the rest does no harm. The other
arguments are right, so that nothing else can be what is refused: VALUES, by the function and name,
the name, or the type. test_null.c has the variables.
"""
import pathlib
import re
import sys

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import headers  # noqa: E402

OPTIONAL = {"err", "cookie", "limits", "options", "vocab_path"}

VALUES = {
    "cara_model_open path": "model_path", "cara_audio_open_file path": "audio_path",
    "cara_audio_open_fd fd": "fresh_fd()", "cara_audio_open_fd name": '"the audio"',
    "cara_model_convert path": "fresh_path()", "cara_transcript_format_find name": '"txt"',
    "cara_audio_open_memory bytes": "audio_bytes", "cara_audio_open_memory n": "audio_size",
    "const cara_model *": "model", "cara_session *": "session", "const cara_session *": "session",
    "cara_audio *": "audio", "const cara_audio *": "audio", "const cara_result *": "result",
    "cara_result *": "result", "cara_pcm_source": "cara_pcm_memory_source(&samples)",
    "cara_pcm_memory *": "&samples", "cara_write_fn": "take", "cookie": "NULL",
    "vocab_path": "vocab_path", "n": "1", "err": "&err", "cara_code": "CARA_OK",
    "cara_transcript_format": "CARA_TRANSCRIPT_SRT",
}
FREE = {"cara_model": "cara_model_close", "cara_session": "cara_session_free",
        "cara_audio": "cara_audio_close", "cara_result": "cara_result_free"}


def is_pointer(kind):
    return kind.endswith("*") or kind.endswith("_fn")


def value(function, kind, name, structs):
    """The argument, and the variable that it needs (or None)."""
    handle = re.fullmatch(r"(cara_\w+) \*\*", kind)
    if handle:
        return f"&{name}", f"{handle.group(1)} *{name} = ({handle.group(1)} *)1;"
    for key in (f"{function.name} {name}", name, kind):
        if key in VALUES:
            return VALUES[key], None
    struct = re.fullmatch(r"(?:const )?(cara_\w+) \*", kind)
    if struct and struct.group(1) in structs:
        fill = (f"{struct.group(1)}_default(&{name}, sizeof {name});" if "struct_size" in structs[struct.group(1)]
                else f"memset(&{name}, 0, sizeof {name});")
        return f"&{name}", f"{struct.group(1)} {name}; {fill}"
    if name == "size":
        pointed = function.parameters[0][0].removesuffix("*").strip()
        return f"sizeof({pointed})", None
    sys.exit(f"null_calls.py: {function.name}() has the parameter {kind} {name}; add a value to VALUES")


def made(variables):
    """[(type, name)] of the handles that a call makes."""
    return re.findall(r"^(cara_\w+) \*(\w+) = ", "\n".join(variables), re.M)


def calls(function, structs):
    lines = []
    for at, (kind, null_name) in enumerate(function.parameters):
        if not is_pointer(kind):
            continue
        given = [("NULL", None) if i == at else value(function, other, name, structs)
                 for i, (other, name) in enumerate(function.parameters)]
        needed = [variable for _, variable in given if variable]
        arguments = [text for text, _ in given]
        text = f"{function.name}({', '.join(arguments)})"
        silent = text.replace("&err", "NULL")
        body = []
        if function.must_use and null_name not in OPTIONAL:
            body.append(f'is_refused({text}, "{function.name}", "{null_name}");')
            if silent != text:
                body.append(f"assert_int_equal({silent}, CARA_ERR_USAGE);")
            body += [f"assert_null({name});" for _, name in made(needed)]
        elif function.must_use:
            body.append(f"is_done({text});")
            body += [f"{FREE[kind]}({name});" for kind, name in made(needed)]
        elif function.returns == "cara_pcm_source":
            body.append(f"is_no_source({text});")
        elif function.returns == "const char *" or function.returns.endswith("*"):
            body.append(f"assert_non_null({text});")
        elif function.returns == "void":
            body.append(f"{text};")
        else:
            body.append(f"(void){text};")
        lines.append("    {\n" + "".join(f"        {line}\n" for line in needed + body) + "    }\n")
    return lines


def main():
    parsed = [headers.read(path) for path in sys.argv[3:]]
    structs = {item.name: item.text for header in parsed for item in header.items if item.kind == "struct"}
    tests = []
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        for function in [function for header in parsed for function in header.functions]:
            blocks = calls(function, structs)
            if not blocks:
                continue
            tests.append(function.name)
            out.write(f"static void null_{function.name}(void **state) {{\n    (void)state;\n{''.join(blocks)}}}\n\n")
        out.write("static const struct CMUnitTest null_calls[] = {\n")
        out.write("".join(f"    cmocka_unit_test(null_{name}),\n" for name in tests) + "};\n")
    if len(tests) < 20:
        sys.exit(f"null_calls.py: only {len(tests)} functions were found in {' '.join(sys.argv[3:])}")


main()
