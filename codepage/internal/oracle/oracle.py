"""Prints what other programs' tables of character sets say.

Each line of the input asks for one table, in five words:

    program codec prefix range suffix

program is "python" (its codecs) or "iconv" (the C library's). The table has an
entry for each code of the range, which is FF-LL for each of its bytes, joined by
"x": 00-ffx40-7e. The code is decoded between the bytes of prefix and suffix
(in hexadecimal, "-" for none), which shift to the character set and back.

The output has one line for each of the input: "code=runes" in hexadecimal,
separated by spaces, for each code that is one character; "!" and a reason if
there is no such codec. Two-byte codes whose first byte is a
character by itself are left out.
"""

import codecs
import ctypes
import itertools
import sys


def python_decoder(codec):
    decode = codecs.lookup(codec).decode

    def run(data):
        try:
            return decode(data, "strict")[0]
        except UnicodeError:
            return None

    return run


libc = ctypes.CDLL(None, use_errno=True)


def iconv_decoder(codec):
    libc.iconv_open.restype = ctypes.c_void_p
    libc.iconv.argtypes = [ctypes.c_void_p] + 4 * [ctypes.c_void_p]
    libc.iconv.restype = ctypes.c_size_t
    handle = libc.iconv_open(b"UTF-32LE", codec.encode())
    if handle in (None, ctypes.c_void_p(-1).value):
        raise LookupError("unknown to iconv: " + codec)
    failed = ctypes.c_size_t(-1).value
    out = ctypes.create_string_buffer(64)

    def run(data):
        libc.iconv(handle, None, None, None, None)
        source = ctypes.create_string_buffer(data, len(data))
        sp, sn = ctypes.c_void_p(ctypes.addressof(source)), ctypes.c_size_t(len(data))
        dp, dn = ctypes.c_void_p(ctypes.addressof(out)), ctypes.c_size_t(64)
        args = [ctypes.byref(x) for x in (sp, sn, dp, dn)]
        if libc.iconv(handle, *args) == failed or sn.value:
            return None
        if libc.iconv(handle, None, None, args[2], args[3]) == failed:
            return None
        return out.raw[: 64 - dn.value].decode("utf-32-le", "surrogatepass")

    return run


def table(program, codec, prefix, ranges, suffix):
    run = {"python": python_decoder, "iconv": iconv_decoder}[program](codec)
    unhex = lambda s: b"" if s == "-" else bytes.fromhex(s)
    prefix, suffix = unhex(prefix), unhex(suffix)
    spans = [range(int(r[:2], 16), int(r[3:], 16) + 1) for r in ranges.split("x")]
    for first in spans[0]:
        if len(spans) > 1 and run(prefix + bytes([first]) + suffix):
            continue
        for rest in itertools.product(*spans[1:]):
            code = bytes((first,) + rest)
            runes = run(prefix + code + suffix)
            if runes and len(runes) <= 2 and "\ufffd" not in runes:
                yield code.hex() + "=" + "+".join("%x" % ord(r) for r in runes)


for line in sys.stdin:
    try:
        print(" ".join(table(*line.split())))
    except LookupError as e:
        print("!", e)
