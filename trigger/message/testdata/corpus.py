#!/usr/bin/env python3
"""Writes the corpus: corpus/NAME.eml, and expect.json with what is true of each.

    python3 corpus.py

What is expected is said here, beside the message, and not taken from the
reader under test. A key that a message does not name is not checked by it;
the golden files beside the messages hold all the rest.
"""
import base64
import binascii
import hashlib
import json
import os
import quopri
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
sys.dont_write_bytecode = True
from corpus_tnef import winmail  # noqa: E402

out = os.path.join(here, "corpus")
expect = {}


def msg(name, raw, **want):
    """Adds a message. str is UTF-8; LF becomes CRLF unless eol says otherwise."""
    if isinstance(raw, str):
        raw = raw.encode("utf-8")
    eol = want.pop("eol", b"\r\n")
    if eol is not None:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\n", eol)
    assert name not in expect, name
    for a in want.get("attachments", []):
        if "bytes" in a:
            b = a.pop("bytes")
            a["size"], a["sha256"] = len(b), hashlib.sha256(b).hexdigest()
    expect[name] = want
    with open(os.path.join(out, name + ".eml"), "wb") as f:
        f.write(raw)


def b64(data, width=76):
    if isinstance(data, str):
        data = data.encode("utf-8")
    s = base64.b64encode(data).decode()
    return "\n".join(s[i:i + width] for i in range(0, len(s), width))


def qp(data):
    if isinstance(data, str):
        data = data.encode("utf-8")
    return quopri.encodestring(data).decode("ascii")


def word_b(text, charset, codec=None):
    return "=?%s?B?%s?=" % (charset, base64.b64encode(text.encode(codec or charset)).decode())


def word_q(text, charset, codec=None):
    enc = "".join(chr(c) if chr(c).isalnum() and c < 128 else "_" if c == 32 else "=%02X" % c for c in text.encode(codec or charset))
    return "=?%s?Q?%s?=" % (charset, enc)


def pct(text, charset, codec=None):
    return charset + "''" + "".join(chr(c) if c < 128 and chr(c).isalnum() or c in b"._-" else "%%%02X" % c for c in text.encode(codec or charset))


def uu(data, name, mode="644"):
    lines = ["begin %s %s" % (mode, name)]
    for i in range(0, len(data), 45):
        lines.append(binascii.b2a_uu(data[i:i + 45], backtick=i % 2 == 0).decode().rstrip("\n"))
    return "\n".join(lines + ["`", "end"]) + "\n"


PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
JPG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb") + bytes(range(64)) + b"\xff\xd9"
ZIP = bytes.fromhex("504b0506") + bytes(18)
BIN = bytes(range(256)) * 3
CSV = "id;Betrag\r\n1;12,50 €\r\n".encode("cp1252")

os.makedirs(out, exist_ok=True)
for f in os.listdir(out):
    if f.endswith(".eml"):
        os.remove(os.path.join(out, f))

for part in ("scripts", "charsets", "producers", "producers2", "header", "mime", "names"):
    with open(os.path.join(here, "corpus_" + part + ".py"), encoding="utf-8") as f:
        exec(compile(f.read(), "corpus_" + part + ".py", "exec"))

with open(os.path.join(here, "expect.json"), "w", encoding="utf-8") as f:
    json.dump(expect, f, ensure_ascii=False, indent=1, sort_keys=True)
    f.write("\n")
print(len(expect), "messages")
