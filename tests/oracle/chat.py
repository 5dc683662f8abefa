"""Compares the tables of tests/chat with what transformers renders of the same templates.

    python3 tests/oracle/chat.py

Reads the templates, conversations and expected texts out of test_template.c and test_chat.c, so that an entry added
there is checked by running the script again.  Exits 1 where an expected text is not the library's.  Without the library
(`pip install transformers jinja2`) the script says "skipped" and ends with 0.
"""
import ast
import json
import re
import sys

try:
    from transformers.utils.chat_template_utils import _compile_jinja_template as compiled
except ImportError:
    print("skipped: the transformers library is not here")
    sys.exit(0)

LITERAL = r'"(?:[^"\\]|\\.)*"'
TEXT = rf"(?:{LITERAL}\s*)+"


def text(literals):
    """The string that adjacent C literals make."""
    parts = [ast.literal_eval("b" + one) if one.isascii() else ast.literal_eval(one).encode() for one in re.findall(LITERAL, literals)]
    return b"".join(parts).decode()


def table(source, name):
    return re.search(rf"\b{name}\[\] = \{{(.*?)\}};\n", source, re.S).group(1)


def rendered(template, **variables):
    try:
        return compiled(template).render(**variables)
    except Exception:  # whatever a template raises, it refuses
        return None


def templates():
    source = open("tests/chat/test_template.c").read()
    rows = json.loads(text(re.search(rf"ROWS\[\] = ({TEXT});", source).group(1)))
    for a, b in re.findall(rf"\{{\s*({TEXT}),\s*({TEXT})\}}", table(source, "SAME")):
        yield text(a), text(b), rendered(text(a), **rows)


def conversations():
    source = open("tests/chat/test_chat.c").read()
    template = {n: text(t) for n, t in re.findall(rf"static const char ([A-Z0-9]+)\[\] =\s*({TEXT});", source)}
    talk = [json.loads(text(t)) for t in re.findall(TEXT, table(source, "TALKS"))]
    for name, k, want in re.findall(rf"\{{([A-Z0-9]+), (\d),\s*(NULL|{TEXT})\}}", table(source, "SAME")):
        got = rendered(template[name], messages=talk[int(k)], add_generation_prompt=True, bos_token="<s>",
                       eos_token="</s>", tools=None, documents=None)
        yield f"{name}, conversation {k}", None if want == "NULL" else text(want), got


compared = different = 0
for what, want, got in [*templates(), *conversations()]:
    compared += 1
    if want != got:
        different += 1
        print(f"{what}\n  the test has  {want!r}\n  the library   {got!r}")
print(f"{compared} renderings, {different} differ")
sys.exit(different > 0)
