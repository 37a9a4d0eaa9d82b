#!/usr/bin/env python3
"""Reads the corpus with Python's email package and records what it reads in python.json.

    python3 python.py

A value is null where Python fails or says itself that it had to guess.
"""
import email
import email.policy
import glob
import hashlib
import json
import os

here = os.path.dirname(os.path.abspath(__file__))


def attempt(f):
    try:
        v = f()
    except Exception:  # noqa: BLE001 - a reader that raises has read nothing
        return None
    if isinstance(v, str):
        if "\ufffd" in v:
            return None
        try:
            v.encode("utf-8")
        except UnicodeEncodeError:  # surrogates: bytes that Python could not read
            return None
    return v


def subject(m):
    h = m["Subject"]
    return "" if h is None else None if h.defects else str(h)


def text(m):
    body = m.get_body(preferencelist=("plain",))
    if body is None or any(p.defects for p in m.walk()):
        return None
    for p in m.walk():
        if p.is_multipart() and p.get_content_type() != "multipart/alternative" and len([q for q in p.iter_parts() if q.get_content_type() == "text/plain"]) > 1:
            return None  # Python takes one of several
    return body.get_content(errors="strict")


def parts(m):
    """The hashes of all leaves that say they are attachments, in order, messages within skipped."""
    found = []

    def visit(p):
        if p.get_content_maintype() == "message":
            return
        if p.is_multipart():
            for q in p.iter_parts():
                visit(q)
            return
        if p.is_attachment() and p.get_content_type() != "application/ms-tnef":
            found.append(hashlib.sha256(p.get_payload(decode=True)).hexdigest())

    visit(m)
    return None if any(p.defects for p in m.walk()) else found


result = {}
for path in sorted(glob.glob(os.path.join(here, "corpus", "*.eml"))):
    with open(path, "rb") as f:
        raw = f.read()
    policy = email.policy.default
    m = attempt(lambda: email.message_from_bytes(raw, policy=policy))
    name = os.path.basename(path)[:-4]
    result[name] = None if m is None else {
        "subject": attempt(lambda: subject(m)),
        "text": attempt(lambda: text(m)),
        "attachments": attempt(lambda: parts(m)),
    }
with open(os.path.join(here, "python.json"), "w", encoding="utf-8") as f:
    json.dump(result, f, ensure_ascii=False, indent=1)
    f.write("\n")
print(len(result), "messages;", {k: sum(1 for r in result.values() if r and r[k] is not None) for k in ("subject", "text", "attachments")}, "read")
