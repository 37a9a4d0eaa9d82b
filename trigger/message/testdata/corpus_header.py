# Headers as they should not be, and addresses and dates of every shape.
def head(lines, body="body\n", **want):
    return dict(want), (lines if isinstance(lines, bytes) else lines.encode()) + b"\n" + (body if isinstance(body, bytes) else body.encode())


def h(name, lines, body="body\n", **want):
    w, raw = head(lines, body, **want)
    w.setdefault("text", body if isinstance(body, str) else None)
    if w["text"] is None:
        del w["text"]
    msg("header-" + name, raw, **w)


h("colonless-line", "From: a@example.com\nThis line has no colon\nSubject: after it\nDate: Mon, 1 May 2023 00:00:00 +0000\n", subject="after it", defects=["header-line"])
h("fold-without-blank", "From: a@example.com\nSubject: a long subject that the mailer\nwrapped without a blank\nTo: b@example.com\n", subject="a long subject that the mailer wrapped without a blank", to=[["", "b@example.com"]], defects=["header-line"])
h("8bit-key", b"From: a@example.com\nX-\xfcber: 1\nSubject: fine\n", subject="fine", defects=["header-8bit", "header-name"])
h("utf8-key", "From: a@example.com\nX-Größe: 3\nSubject: fine\n", subject="fine", defects=["header-name"])
h("blank-before-colon", "From : a@example.com\nSubject\t: odd blanks\n", subject="odd blanks", **{"from": [["", "a@example.com"]]})
h("mbox-from", "From root@host Mon May  1 00:00:00 2023\nFrom: a@example.com\nSubject: spooled\n", subject="spooled", defects=["mbox-from"])
h("mbox-from-quoted", ">From root@host Mon May  1 00:00:00 2023\nSubject: spooled\n", subject="spooled", defects=["mbox-from"])
h("empty-lines-above", "\n\nFrom: a@example.com\nSubject: late\n", subject="late", defects=["header-line"])
h("continuation-first", " stray\nFrom: a@example.com\nSubject: ok\n", subject="ok", defects=["header-line"])
h("no-blank-line", "From: a@example.com\nSubject: no empty line\nDear all, this is the text.", body="second line\n", subject="no empty line", text="Dear all, this is the text.\nsecond line\n", defects=["header-end"])
h("blank-line-with-blanks", "From: a@example.com\nSubject: s\n  ", body="\nthe text\n", subject="s", text="\nthe text\n", defects=["header-end"])
msg("header-only", "From: a@example.com\nSubject: nothing follows\n", subject="nothing follows", text="")
msg("header-only-no-eol", "From: a@example.com\nSubject: cut off he", eol=None, subject="cut off he", text="")
msg("header-none", "Just some words that somebody piped into sendmail -t.\nNo header at all here.\n", text="Just some words that somebody piped into sendmail -t.\nNo header at all here.\n", defects=["header-missing"])
msg("header-none-8bit", "Nur Text ohne Kopf, grün.\n".encode("latin-1"), text="Nur Text ohne Kopf, grün.\n", defects=["charset-undeclared", "header-missing"])
msg("empty", b"", text="", subject="")
msg("only-newlines", b"\n\n\n", text="\n\n")
msg("body-only-after-empty-line", "\nText that begins at once.\nMore: text\n", text="Text that begins at once.\nMore: text\n")
h("lf-only", "From: a@example.com\nSubject: unix\n folded\n", eol=b"\n", subject="unix folded", defects=[])
h("cr-only", "From: a@example.com\nSubject: old mac\nContent-Type: multipart/mixed; boundary=b\n", body="--b\n\none\n--b\nContent-Type: image/gif; name=a.gif\nContent-Transfer-Encoding: base64\n\n" + b64(GIF) + "\n--b--\n", eol=b"\r", subject="old mac", text="one", defects=["line-end"], attachments=[{"name": "a.gif", "bytes": GIF}])
h("crcrlf", "From: a@example.com\nSubject: doubled\n folded\n", body="one\ntwo\n", eol=b"\r\r\n", subject="doubled folded", text="one\ntwo\n")
h("bare-cr-in-subject", "From: a@example.com\nSubject: before\rafter\n", subject="before after", eol=None, defects=["line-end"])
h("tab-folds", "From: a@example.com\nSubject: one\n\ttwo\n\t three\n  four\n", subject="one two  three  four")
h("fold-inside-nothing", "Subject:\n folded at once\nFrom:\n a@example.com\n", subject="folded at once", **{"from": [["", "a@example.com"]]})
h("repeated-subject", "Subject: first\nSubject: second\nFrom: a@example.com\n", subject="first", defects=["field-repeated"])
h("repeated-to", "To: a@example.com\nTo: b@example.com\nCC: c@example.com\ncc: d@example.com\n", to=[["", "a@example.com"], ["", "b@example.com"]], cc=[["", "c@example.com"], ["", "d@example.com"]])
h("odd-case", "SUBJECT: LOUD\nfrom: quiet@example.com\nmEsSaGe-Id: <x@y>\n", subject="LOUD", message_id="<x@y>", **{"from": [["", "quiet@example.com"]]})
h("nul-in-subject", b"Subject: a\x00b\x01c\x7fd\n", subject="a b c d")
h("very-long-line", "Subject: " + "x" * 5000 + "\n", subject="x" * 5000)
h("injection-in-word", "Subject: =?utf-8?Q?hi=0D=0ABcc:_victim@example.com?=\n", subject="hi  Bcc: victim@example.com", bcc=[])

# RFC 2047, used and misused.
h("word-split-character", "Subject: =?utf-8?B?R3LDvMM=?=\n =?utf-8?B?n2U=?=\n", subject="Grüße")
h("word-split-character-q", "Subject: =?UTF-8?Q?caf=C3?= =?utf-8?Q?=A9_ouvert?=\n", subject="café ouvert")
h("word-split-sjis", "Subject: =?shift_jis?B?" + base64.b64encode("会議の".encode("shift_jis")[:3]).decode() + "?=\n =?shift_jis?B?" + base64.b64encode("会議の".encode("shift_jis")[3:]).decode() + "?=\n", subject="会議の")
h("word-iso2022-two", "Subject: =?ISO-2022-JP?B?GyRCMnE1RBsoQg==?=\n =?ISO-2022-JP?B?GyRCJE4bKEI=?= (2)\n", subject="会議の (2)")
h("word-touching", "Subject: prefix=?utf-8?Q?_=C3=A4_?=suffix=?utf-8?Q?=C3=B6?==?utf-8?Q?=C3=BC?=\n", subject="prefix ä suffixöü", defects=["encoded-word"])
h("word-blanks-inside", "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe aus K=C3=B6ln?=\n", subject="Grüße aus Köln", defects=["encoded-word"])
h("word-blanks-in-base64", "Subject: =?utf-8?B?R3LDvMOf ZQ==?=\n", subject="Grüße", defects=["encoded-word"])
h("word-folded-inside", "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe\n _aus?=\n", subject="Grüße  aus")
h("word-no-padding", "Subject: =?utf-8?B?R3LDvMOfZQ?=\n", subject="Grüße")
h("word-bad-base64", "Subject: =?utf-8?B?R3L!DvMOfZQ==?=\n", subject="Grüße", defects=["encoded-word"])
h("word-bad-escape", "Subject: =?utf-8?Q?100=_sure=ZZ?=\n", subject="100= sure=ZZ", defects=["encoded-word"])
h("word-no-end", "Subject: =?utf-8?Q?never_ends\n", subject="=?utf-8?Q?never_ends")
h("word-no-end-then-one", "Subject: =?utf-8?Q?open =?utf-8?Q?=C3=A4?=\n", subject="=?utf-8?Q?open ä")
h("word-empty", "Subject: =?utf-8?Q??= =?utf-8?B??= x\n", subject="x")
h("word-language", "Subject: =?utf-8*de?Q?sch=C3=B6n?=\n", subject="schön", defects=[])
h("word-unknown-charset", "Subject: =?x-klingon?Q?=FCber?=\n", subject="über", defects=["charset-unknown"])
h("word-unknown-encoding", "Subject: =?utf-8?X?abc?= plain\n", subject="=?utf-8?X?abc?= plain")
h("word-mixed-charsets", "Subject: =?iso-8859-1?Q?=E4?= =?windows-1251?Q?=FF?= =?utf-8?Q?=E2=82=AC?=\n", subject="äя€")
h("word-utf8-in-latin1-label", "Subject: =?iso-8859-1?Q?f=C3=BCr_Sie_und_=C3=B6fter?=\n", subject="für Sie und öfter")
h("word-question-mark", "Subject: =?utf-8?Q?What??= =?utf-8?Q?_now=3F?=\n", subject="What? now?")
h("word-with-raw-8bit", "Subject: =?utf-8?Q?gr=C3=BCn?= und rötlich\n", subject="grün und rötlich")
h("word-in-quotes", 'From: "=?utf-8?Q?M=C3=BCller=2C_Eva?=" <eva@example.com>\n', **{"from": [["Müller, Eva", "eva@example.com"]]})
h("word-in-comment", "From: eva@example.com (=?utf-8?Q?Eva_M=C3=BCller?=)\n", **{"from": [["Eva Müller", "eva@example.com"]]})
h("word-is-whole-address", "From: =?utf-8?Q?Eva_M=C3=BCller_<eva@example.com>?=\n", **{"from": [["Eva Müller", "eva@example.com"]]})
h("word-hides-comma", "To: =?utf-8?Q?M=C3=BCller=2C_Eva?= <eva@example.com>, =?utf-8?B?RG9lLCBKb2hu?= <john@example.com>\n", to=[["Müller, Eva", "eva@example.com"], ["Doe, John", "john@example.com"]])
h("word-raw-comma", "To: =?utf-8?Q?M=C3=BCller,_Eva?= <eva@example.com>, b@example.com\n", to=[["Müller, Eva", "eva@example.com"], ["", "b@example.com"]])
h("word-touches-bracket", "To: =?utf-8?Q?J=C3=B6rg?=<j@example.com>\n", to=[["Jörg", "j@example.com"]])
h("raw-8bit-everything", "From: Zoë Größe <zoë@exämple.com>\nTo: \"Łódź, Jan\" <jan@example.com>\nSubject: naïve ☕\n", subject="naïve ☕", to=[["Łódź, Jan", "jan@example.com"]], defects=[], **{"from": [["Zoë Größe", "zoë@exämple.com"]]})
h("raw-1251", "From: Иван <i@example.com>\nSubject: Счёт\n".encode("cp1251"), policy="1251", subject="Счёт", defects=["header-8bit"], **{"from": [["Иван", "i@example.com"]]})
h("raw-gbk", "From: =?gbk?B?1cXI/Q==?= <z@example.com>\nSubject: 关于发票的通知\n".encode("gbk"), policy="936", subject="关于发票的通知", **{"from": [["张三", "z@example.com"]]})
h("raw-label-gb2312", "From: 张三 <z@example.com>\nSubject: 关于发票的通知\nMIME-Version: 1.0\nContent-Type: text/plain; charset=gb2312\n".encode("gbk"), subject="关于发票的通知", defects=["header-8bit"], **{"from": [["张三", "z@example.com"]]})
h("raw-label-koi8", "From: Иван <i@example.com>\nSubject: Счёт на оплату\nMIME-Version: 1.0\nContent-Type: text/plain; charset=\"koi8-r\"\n".encode("koi8-r"), subject="Счёт на оплату", defects=["header-8bit"], **{"from": [["Иван", "i@example.com"]]})
h("raw-label-ascii", "Subject: Größe\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n".encode("latin-1"), subject="Größe", defects=["header-8bit"])
h("raw-label-utf16", "Subject: Größe\nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-16\n".encode("latin-1"), subject="Größe", defects=["header-8bit"])

# Addresses.
h("address-group", "To: Team: a@example.com, Bob <b@example.com>;, c@example.com\nCc: undisclosed-recipients:;\n", to=[["", "a@example.com"], ["Bob", "b@example.com"], ["", "c@example.com"]], cc=[])
h("address-comments", "To: (head) John (the boss) Doe <john (x) @example.com>, a@example.com (Ann \\(A\\) Lee (nested))\n", to=[["John Doe", "john(x)@example.com"], ["Ann (A) Lee (nested)", "a@example.com"]])
h("address-quoted", "To: \"Doe, \\\"J\\\" \\\\ x\" <\"john doe\"@example.com>, \"a b\"@example.com\n", to=[['Doe, "J" \\ x', '"john doe"@example.com'], ["", '"a b"@example.com']])
h("address-unquoted-comma", "To: Doe, John <john@example.com>, Lee, Ann <ann@example.com>\n", to=[["Doe, John", "john@example.com"], ["Lee, Ann", "ann@example.com"]], defects=["address"])
h("address-semicolons", "To: a@example.com; b@example.com;Bob <c@example.com>\n", to=[["", "a@example.com"], ["", "b@example.com"], ["Bob", "c@example.com"]])
h("address-unclosed-quote", 'To: "Bob <b@example.com>, c@example.com\n', to=[["Bob", "b@example.com"], ["", "c@example.com"]], defects=["address"])
h("address-unclosed-bracket", "To: Bob <b@example.com, c@example.com\n", to=[["Bob", "b@example.com"], ["", "c@example.com"]], defects=["address"])
h("address-double-brackets", "To: Bob <<b@example.com>>\n", to=[["Bob", "b@example.com"]], defects=["address"])
h("address-unclosed-comment", "To: b@example.com (Bob\n", to=[["Bob", "b@example.com"]], defects=["address"])
h("address-route", "To: <@relay1.example,@relay2.example:user@example.com>\n", to=[["", "user@example.com"]])
h("address-local", "To: root, \"The Root\" <root>\nFrom: nobody\n", to=[["", "root"], ["The Root", "root"]], **{"from": [["", "nobody"]]})
h("address-empty", "To: <>, , a@example.com,\nFrom: <>\n", to=[["", ""], ["", "a@example.com"]], **{"from": [["", ""]]})
h("address-at-signs", "To: a@example.com <a@example.com>, 'b@example.com' <b@example.com>\n", to=[["a@example.com", "a@example.com"], ["'b@example.com'", "b@example.com"]])
h("address-no-brackets", "To: Bob Lee bob@example.com, a @ example.com\n", to=[["Bob Lee", "bob@example.com"], ["", "a@example.com"]], defects=["address"])
h("address-mailto", "To: <mailto:bob@example.com>\n", to=[["", "bob@example.com"]])
h("address-literal", "To: a@[192.0.2.1], b@[IPv6:2001:db8::1]\n", to=[["", "a@[192.0.2.1]"], ["", "b@[IPv6:2001:db8::1]"]])
h("address-idn", "To: 用户@例子.广告, =?utf-8?B?5byg?= <z@xn--fsqu00a.xn--0zwm56d>\n", to=[["", "用户@例子.广告"], ["张", "z@xn--fsqu00a.xn--0zwm56d"]])
h("address-dots-in-name", "To: John Q. Public <john@example.com>, St. Paul's Choir <choir@example.com>\n", to=[["John Q. Public", "john@example.com"], ["St. Paul's Choir", "choir@example.com"]], defects=[])
h("address-folded", "To: Ann\n <a@example.com>,\n\t\"Bob\n Lee\" <b@example.com>\n", to=[["Ann", "a@example.com"], ["Bob Lee", "b@example.com"]])
h("address-all-fields", "From: a@example.com, b@example.com\nSender: s@example.com\nReply-To: r@example.com\nBcc: x@example.com\n", reply_to=[["", "r@example.com"]], bcc=[["", "x@example.com"]], **{"from": [["", "a@example.com"], ["", "b@example.com"]]})

# Dates: what is written, and what it is in UTC.
for n, (written, meant) in enumerate([
    ("Mon, 1 May 2023 10:20:30 +0200", "2023-05-01T08:20:30Z"),
    ("1 May 2023 10:20 GMT", "2023-05-01T10:20:00Z"),
    ("Mon, 01 May 23 10:20:30 EST", "2023-05-01T15:20:30Z"),
    ("Mon,  1 May 2023 10:20:30 +0200 (CEST)", "2023-05-01T08:20:30Z"),
    ("Monday, 1 May 2023 10:20:30 UT", "2023-05-01T10:20:30Z"),
    ("Mon May  1 10:20:30 2023", "2023-05-01T10:20:30Z"),
    ("Mon May  1 10:20:30 PDT 2023", "2023-05-01T17:20:30Z"),
    ("Mon, 01-May-2023 10:20:30 -0800", "2023-05-01T18:20:30Z"),
    ("2023-05-01T10:20:30+02:00", "2023-05-01T08:20:30Z"),
    ("2023-05-01 10:20:30.123 Z", "2023-05-01T10:20:30.123Z"),
    ("2023-05-01 10:20:30 +0000 UTC", "2023-05-01T10:20:30Z"),
    ("Mon, 1 May 2023 10:20:30 GMT+2", "2023-05-01T08:20:30Z"),
    ("Mon, 1 May 2023 10:20:30 +02:00", "2023-05-01T08:20:30Z"),
    ("Mon, 1 May 2023 10:20:30 \"GMT\"", "2023-05-01T10:20:30Z"),
    ("Mo, 1 Mai 2023 10:20:30 +0200", "2023-05-01T08:20:30Z"),
    ("lun., 1 févr. 2023 10:20:30 +0100", "2023-02-01T09:20:30Z"),
    ("Mon, 1 May 123 10:20:30 +0000", "2023-05-01T10:20:30Z"),
    ("Mon, 1 May 2023 10.20.30 +0200", "2023-05-01T08:20:30Z"),
    ("May 1, 2023 3:04:05 PM -0500", "2023-05-01T20:04:05Z"),
    ("01.05.2023 10:20", "2023-05-01T10:20:00Z"),
    ("5/31/2023 12:00:00 AM", "2023-05-31T00:00:00Z"),
    ("Mon, 1 May 2023 24:00:00 +0000", "2023-05-02T00:00:00Z"),
    ("Mon, 1 May 2023 10:20:60 +0000", "2023-05-01T10:21:00Z"),
    ("Mon,1May 2023 10:20:30 +0200", None),
    ("Thu, 1 Jan 1970 00:00:00 -0000", "1970-01-01T00:00:00Z"),
    ("Mon, 32 May 2023 10:20:30 +0000", None),
    ("04/05/2023 10:00", None),
    ("yesterday", None),
    ("", None),
]):
    h("date-%02d" % n, "Date: %s\nSubject: d\n" % written, date=meant, defects=[] if meant else ["date"])
