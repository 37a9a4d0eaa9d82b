"""Makes winmail.dat (MS-OXTNEF) for the corpus."""
import struct


def attribute(level, ident, data):
    return struct.pack("<BII", level, ident, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)


def pad(b):
    return b + bytes(-len(b) % 4)


def prop(kind, ident, value):
    head = struct.pack("<HH", kind, ident)
    if kind in (0x1E, 0x1F, 0x102, 0x0D):
        return head + struct.pack("<II", 1, len(value)) + pad(value)
    return head + value


def properties(*props):
    return struct.pack("<I", len(props)) + b"".join(props)


def lzfu(data):
    """Compressed RTF (MS-OXRTFCP) of literals alone."""
    out = b""
    for i in range(0, len(data), 8):
        out += (b"\0" if i + 8 <= len(data) else bytes([1 << (len(data) - i)])) + data[i:i + 8]
    if len(data) % 8 == 0:
        out += b"\x01"
    out += struct.pack(">H", ((207 + len(data)) % 4096) << 4)
    return struct.pack("<II", len(out) + 12, len(data)) + b"LZFu" + bytes(4) + out


def winmail(files, body, rtf=None):
    out = b"\x78\x9f\x3e\x22" + struct.pack("<H", 7)
    out += attribute(1, 0x00089006, struct.pack("<I", 0x10000))
    out += attribute(1, 0x00069007, struct.pack("<II", 1252, 0))
    out += attribute(1, 0x00078008, b"IPM.Microsoft Mail.Note\0")
    named = struct.pack("<HH", 0x1F, 0x8001) + bytes(16) + struct.pack("<II", 1, 10) + pad("name\0".encode("utf-16-le")) + struct.pack("<II", 1, 4) + "v\0".encode("utf-16-le")
    props = [prop(0x0B, 0x0E1B, struct.pack("<I", 1)), named, prop(0x40, 0x3007, bytes(8)), prop(0x1003, 0x6600, struct.pack("<III", 2, 1, 2))]
    if body is not None:
        props.append(prop(0x1F, 0x1000, (body + "\0").encode("utf-16-le")))
    if rtf is not None:
        props.append(prop(0x102, 0x1009, lzfu(rtf)))
    out += attribute(1, 0x00069003, properties(*props))
    for name, mime, data in files:
        out += attribute(2, 0x00069002, bytes(14))
        out += attribute(2, 0x0006800F, data)
        out += attribute(2, 0x00018010, name.encode("cp1252", "replace") + b"\0")
        p = [prop(0x03, 0x3705, struct.pack("<I", 1)), prop(0x1F, 0x3707, (name + "\0").encode("utf-16-le"))]
        if mime:
            p.append(prop(0x1E, 0x370E, mime.encode() + b"\0"))
        out += attribute(2, 0x00069005, properties(*p))
    return out
