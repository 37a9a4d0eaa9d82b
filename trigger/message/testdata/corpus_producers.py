# What each program that makes mail is in the habit of, part one: mail programs for people.
def att(name, data, **more):
    return dict({"name": name, "bytes": data}, **more)


msg("outlook-related", """Received: from DB9PR01MB1.eurprd01.prod.exchangelabs.com ([fe80::1]) by
 DB9PR01MB2.eurprd01.prod.exchangelabs.com ([fe80::2%4]) with mapi id
 15.20.6411.019; Tue, 6 Jun 2023 08:12:01 +0000
From: "Weber, Anna" <anna.weber@contoso.example>
To: 'Ops' <ops@example.com>
Subject: WG: Angebot Nr. 4711
Thread-Topic: Angebot Nr. 4711
Thread-Index: AdmYSuYq0Gk8x9YrTQqf1b2
Date: Tue, 6 Jun 2023 08:12:00 +0000
Message-ID: <DB9PR01MB1ABC@DB9PR01MB1.eurprd01.prod.exchangelabs.com>
Accept-Language: de-DE, en-US
Content-Language: de-DE
X-MS-Has-Attach: yes
Content-Type: multipart/mixed;
	boundary="_004_DB9PR01MB1ABC_"
MIME-Version: 1.0

--_004_DB9PR01MB1ABC_
Content-Type: multipart/related;
	boundary="_003_DB9PR01MB1ABC_";
	type="multipart/alternative"

--_003_DB9PR01MB1ABC_
Content-Type: multipart/alternative;
	boundary="_000_DB9PR01MB1ABC_"

--_000_DB9PR01MB1ABC_
Content-Type: text/plain; charset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

Guten Tag,

anbei das Angebot =FCber 3 St=FCck.

[cid:image001.png@01D9984A.E62AD060]

--_000_DB9PR01MB1ABC_
Content-Type: text/html; charset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

<html xmlns:o=3D"urn:schemas-microsoft-com:office:office"><head><style><!--
p.MsoNormal {margin:0cm;} --></style></head><body lang=3D"DE"><div class=3D=
"WordSection1"><p class=3D"MsoNormal">Guten Tag,<o:p></o:p></p><p class=3D"=
MsoNormal">anbei das Angebot =FCber 3 St=FCck.<o:p></o:p></p><img width=3D"1"=
 src=3D"cid:image001.png@01D9984A.E62AD060"></div></body></html>

--_000_DB9PR01MB1ABC_--

--_003_DB9PR01MB1ABC_
Content-Type: image/png; name="image001.png"
Content-Description: image001.png
Content-Disposition: inline; filename="image001.png"; size=70;
	creation-date="Tue, 06 Jun 2023 08:11:59 GMT";
	modification-date="Tue, 06 Jun 2023 08:12:00 GMT"
Content-ID: <image001.png@01D9984A.E62AD060>
Content-Transfer-Encoding: base64

""" + b64(PNG) + """

--_003_DB9PR01MB1ABC_--

--_004_DB9PR01MB1ABC_
Content-Type: application/pdf; name="Angebot 4711.pdf"
Content-Description: Angebot 4711.pdf
Content-Disposition: attachment; filename="Angebot 4711.pdf"; size=71;
	creation-date="Tue, 06 Jun 2023 08:10:00 GMT";
	modification-date="Tue, 06 Jun 2023 08:10:00 GMT"
Content-Transfer-Encoding: base64

""" + b64(PDF) + """

--_004_DB9PR01MB1ABC_--
""", subject="WG: Angebot Nr. 4711", text="Guten Tag,\n\nanbei das Angebot über 3 Stück.\n\n[cid:image001.png@01D9984A.E62AD060]\n",
    attachments=[att("image001.png", PNG, disposition="inline", inline=True, content_id="image001.png@01D9984A.E62AD060"), att("Angebot 4711.pdf", PDF, inline=False)],
    **{"from": [["Weber, Anna", "anna.weber@contoso.example"]], "defects": []})

msg("gmail-attachment", """MIME-Version: 1.0
Date: Wed, 7 Jun 2023 10:01:02 -0700
Message-ID: <CAJ1x=abc+def@mail.gmail.com>
Subject: =?UTF-8?Q?Invoice_=E2=84=96_12_=E2=80=93_June?=
From: =?UTF-8?Q?Zo=C3=AB_M=C3=BCller?= <zoe@gmail.example>
To: ops@example.com
Content-Type: multipart/mixed; boundary="000000000000a1b2c305fd8f1234"

--000000000000a1b2c305fd8f1234
Content-Type: multipart/alternative; boundary="000000000000a1b2c105fd8f1232"

--000000000000a1b2c105fd8f1232
Content-Type: text/plain; charset="UTF-8"

Hi, see attached.

-- 
Zoë

--000000000000a1b2c105fd8f1232
Content-Type: text/html; charset="UTF-8"
Content-Transfer-Encoding: quoted-printable

<div dir=3D"ltr">Hi, see attached.<br><div><br></div><span class=3D"gmail_s=
ignature_prefix">-- </span><br><div dir=3D"ltr" class=3D"gmail_signature">Z=
o=C3=AB</div></div>

--000000000000a1b2c105fd8f1232--
--000000000000a1b2c305fd8f1234
Content-Type: application/pdf; name="=?UTF-8?B?UmVjaG51bmcgxaFlc3QucGRm?="
Content-Disposition: attachment; filename="=?UTF-8?B?UmVjaG51bmcgxaFlc3QucGRm?="
Content-Transfer-Encoding: base64
Content-ID: <f_li1abc0>
X-Attachment-Id: f_li1abc0

""" + b64(PDF) + """
--000000000000a1b2c305fd8f1234--
""", subject="Invoice № 12 – June", text="Hi, see attached.\n\n-- \nZoë\n", attachments=[att("Rechnung šest.pdf", PDF, inline=False)])

msg("apple-mail-inline-pdf", """From: Max Mustermann <max@icloud.example>
Content-Type: multipart/alternative;
	boundary="Apple-Mail=_A1B2C3D4"
Mime-Version: 1.0 (Mac OS X Mail 16.0 \\(3731.600.7\\))
Subject: Fotos und Plan
Message-Id: <A1B2C3D4-1@icloud.example>
Date: Thu, 8 Jun 2023 21:15:00 +0200
To: ops@example.com
X-Mailer: Apple Mail (2.3731.600.7)

--Apple-Mail=_A1B2C3D4
Content-Transfer-Encoding: quoted-printable
Content-Type: text/plain;
	charset=utf-8

Hier der Plan:

und danke =F0=9F=99=8F=

--Apple-Mail=_A1B2C3D4
Content-Type: multipart/mixed;
	boundary="Apple-Mail=_E5F6"

--Apple-Mail=_E5F6
Content-Transfer-Encoding: 7bit
Content-Type: text/html;
	charset=us-ascii

<html><body>Hier der Plan:<br></body></html>
--Apple-Mail=_E5F6
Content-Disposition: inline;
	filename*=utf-8''Pla%CC%88ne.pdf
Content-Type: application/pdf;
	x-unix-mode=0644;
	name="=?utf-8?Q?Pla=CC=88ne=2Epdf?="
Content-Transfer-Encoding: base64

""" + b64(PDF) + """
--Apple-Mail=_E5F6
Content-Transfer-Encoding: 7bit
Content-Type: text/html;
	charset=us-ascii

<html><body><br>und danke</body></html>
--Apple-Mail=_E5F6--

--Apple-Mail=_A1B2C3D4--
""", subject="Fotos und Plan", text="Hier der Plan:\n\nund danke 🙏", attachments=[att("Pla\u0308ne.pdf", PDF, disposition="inline", inline=False)], defects=[])

msg("apple-mail-text-files-between", """From: max@icloud.example
Content-Type: multipart/mixed; boundary="Apple-Mail-1-123"
Mime-Version: 1.0 (iPhone Mail 20F66)
Subject: Logs
Date: Thu, 8 Jun 2023 21:20:00 +0200
To: ops@example.com
X-Mailer: iPhone Mail (20F66)

--Apple-Mail-1-123
Content-Type: text/plain;
	charset=us-ascii
Content-Transfer-Encoding: 7bit

First log:

--Apple-Mail-1-123
Content-Type: text/plain;
	name=one.log
Content-Disposition: inline;
	filename=one.log
Content-Transfer-Encoding: 7bit

log line 1
--Apple-Mail-1-123
Content-Type: text/plain;
	charset=us-ascii
Content-Transfer-Encoding: 7bit

Second, a picture:

--Apple-Mail-1-123
Content-Type: image/jpeg;
	name=IMG_0001.jpeg
Content-Disposition: inline;
	filename=IMG_0001.jpeg
Content-Transfer-Encoding: base64

""" + b64(JPG) + """
--Apple-Mail-1-123
Content-Type: text/plain;
	charset=us-ascii
Content-Transfer-Encoding: 7bit


Sent from my iPhone
--Apple-Mail-1-123--
""", text="First log:\nSecond, a picture:\n\nSent from my iPhone", attachments=[att("one.log", b"log line 1", inline=False), att("IMG_0001.jpeg", JPG, inline=False)], defects=[])

msg("thunderbird-flowed", """Message-ID: <5f0c-1@thunderbird.example>
Date: Fri, 9 Jun 2023 09:00:00 +0200
MIME-Version: 1.0
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Thunderbird/102.11.0
Content-Language: de-DE
To: ops@example.com
References: <1@example.com> <2@example.com>
From: =?UTF-8?Q?J=c3=b6rg_Schmidt?= <joerg@thunderbird.example>
Subject: Re: Wartung
In-Reply-To: <2@example.com>
Content-Type: text/plain; charset=UTF-8; format=flowed
Content-Transfer-Encoding: 8bit

Am 08.06.23 um 17:00 schrieb Ops:
> Die Wartung beginnt um acht und dauert voraussichtlich zwei 
> Stunden.
>> älteres 
>> Zitat
 
Danke, das passt mir gut, denn ich bin ohnehin bis etwa elf Uhr im 
Büro.

 >kein Zitat

-- 
Jörg
""", text="Am 08.06.23 um 17:00 schrieb Ops:\n> Die Wartung beginnt um acht und dauert voraussichtlich zwei Stunden.\n>> älteres Zitat\n\nDanke, das passt mir gut, denn ich bin ohnehin bis etwa elf Uhr im Büro.\n\n>kein Zitat\n\n-- \nJörg\n",
    **{"from": [["Jörg Schmidt", "joerg@thunderbird.example"]], "defects": []})

msg("thunderbird-forward-attached", """Date: Fri, 9 Jun 2023 09:30:00 +0200
MIME-Version: 1.0
From: joerg@thunderbird.example
To: ops@example.com
Subject: Fwd: Rechnung
Content-Type: multipart/mixed; boundary="------------fwd1"

This is a multi-part message in MIME format.
--------------fwd1
Content-Type: text/plain; charset=UTF-8; format=flowed
Content-Transfer-Encoding: 7bit

zur Kenntnis

--------------fwd1
Content-Type: message/rfc822; charset=UTF-8; name="Rechnung.eml"
Content-Disposition: attachment; filename="Rechnung.eml"
Content-Transfer-Encoding: 7bit

From: billing@vendor.example
To: joerg@thunderbird.example
Subject: Rechnung
Date: Thu, 8 Jun 2023 07:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="inner-1"

--inner-1
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Anbei die Rechnung f=FCr Mai.
--inner-1
Content-Type: application/pdf; name="R-2023-05.pdf"
Content-Disposition: attachment; filename="R-2023-05.pdf"
Content-Transfer-Encoding: base64

""" + b64(PDF) + """
--inner-1--

--------------fwd1--
""", subject="Fwd: Rechnung", text="zur Kenntnis\n", names=["Rechnung.eml", "R-2023-05.pdf"], defects=[])

msg("mutt-signed", """Date: Sat, 10 Jun 2023 11:00:00 +0200
From: Ada <ada@mutt.example>
To: ops@example.com
Subject: signed words
Message-ID: <20230610090000.GA1@mutt.example>
MIME-Version: 1.0
Content-Type: multipart/signed; micalg=pgp-sha512;
	protocol="application/pgp-signature"; boundary="wRRV7LY7NUeQGEoC"
Content-Disposition: inline
User-Agent: Mutt/2.2.9 (2022-11-12)


--wRRV7LY7NUeQGEoC
Content-Type: text/plain; charset=utf-8
Content-Disposition: inline
Content-Transfer-Encoding: quoted-printable

I, Ad=C3=A8le, sign this.

--wRRV7LY7NUeQGEoC
Content-Type: application/pgp-signature; name="signature.asc"

-----BEGIN PGP SIGNATURE-----

iQIzBAEBCgAdFiEE
=abcd
-----END PGP SIGNATURE-----

--wRRV7LY7NUeQGEoC--
""", text="I, Adèle, sign this.\n", names=["signature.asc"], inline=[True], defects=[])

msg("mutt-delsp", """From: ada@mutt.example
Subject: delsp
Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes

https://example.com/a/very/long/ 
address/that/was/cut
日本語の文章は空白なしで続 
きます。
""", text="https://example.com/a/very/long/address/that/was/cut\n日本語の文章は空白なしで続きます。\n")

msg("pgp-encrypted", """From: ada@mutt.example
To: ops@example.com
Subject: ...
MIME-Version: 1.0
Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="enc"

--enc
Content-Type: application/pgp-encrypted
Content-Description: PGP/MIME version identification

Version: 1

--enc
Content-Type: application/octet-stream; name="encrypted.asc"
Content-Description: OpenPGP encrypted message
Content-Disposition: inline; filename="encrypted.asc"

-----BEGIN PGP MESSAGE-----

hQIMA
-----END PGP MESSAGE-----

--enc--
""", text="", names=["", "encrypted.asc"], inline=[True, False])

msg("smime-signed", """From: "CEO" <ceo@example.com>
To: ops@example.com
Subject: S/MIME
MIME-Version: 1.0
Content-Type: multipart/signed; protocol="application/x-pkcs7-signature"; micalg="sha-256"; boundary="----5A1B"

This is an S/MIME signed message

------5A1B
Content-Type: text/plain

Signed contract text.

------5A1B
Content-Type: application/x-pkcs7-signature; name="smime.p7s"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="smime.p7s"

""" + b64(BIN[:300], 64) + """

------5A1B--
""", text="Signed contract text.\n", attachments=[att("smime.p7s", BIN[:300], inline=True)])

msg("smime-opaque", """From: ceo@example.com
Subject: opaque
MIME-Version: 1.0
Content-Disposition: attachment; filename="smime.p7m"
Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"
Content-Transfer-Encoding: base64

""" + b64(BIN, 64) + "\n", text="", attachments=[att("smime.p7m", BIN, inline=False)])

msg("lotus-notes", """Subject: Notes =?ISO-8859-1?Q?Pr=FCfung?= abgeschlossen
To: ops@example.com
MIME-Version: 1.0
X-Mailer: Lotus Notes Release 8.5.3 September 15, 2011
Message-ID: <OF1A2B3C4D.5E6F-ONC12579@notes.example>
From: Hans.Meier@notes.example
Date: Mon, 12 Jun 2023 07:30:00 +0200
X-MIMETrack: Serialize by Router on SRV1/ACME(Release 8.5.3FP6|November 21, 2013) at
 06/12/2023 07:30:02 AM,
	Serialize complete at 06/12/2023 07:30:02 AM
Content-Type: multipart/mixed; boundary="=_mixed 001E2F3AC1257983_="

--=_mixed 001E2F3AC1257983_=
Content-Type: multipart/alternative; boundary="=_alternative 001E2F3AC1257983_="


--=_alternative 001E2F3AC1257983_=
Content-Type: text/plain; charset="ISO-8859-1"
Content-Transfer-Encoding: quoted-printable

Pr=FCfung abgeschlossen.=20
Gru=DF
--=_alternative 001E2F3AC1257983_=
Content-Type: text/html; charset="ISO-8859-1"
Content-Transfer-Encoding: quoted-printable

<font size=3D2 face=3D"sans-serif">Pr=FCfung abgeschlossen. </font>
<br>Gru=DF
--=_alternative 001E2F3AC1257983_=--
--=_mixed 001E2F3AC1257983_=
Content-Type: application/octet-stream; name="Pruefbericht.xls"
Content-Disposition: attachment; filename="Pruefbericht.xls"
Content-Transfer-Encoding: base64

""" + b64(BIN[:99]) + """
--=_mixed 001E2F3AC1257983_=--
""", subject="Notes Prüfung abgeschlossen", text="Prüfung abgeschlossen. \nGruß", attachments=[att("Pruefbericht.xls", BIN[:99])])

msg("eudora-uuencode", """Date: Mon, 01 Feb 1999 10:00:00 -0800
To: ops@example.com
From: Bob <bob@eudora.example>
Subject: the picture
X-Mailer: Windows Eudora Pro Version 3.0.5 (32)

Here is the picture:

""" + uu(GIF, "dot.gif") + """
Bob
""", text="Here is the picture:\n\n\nBob\n", attachments=[att("dot.gif", GIF, content_type="image/gif")])

msg("uuencode-two-files-qp", """From: bob@example.com
Subject: two
Content-Type: text/plain; charset=us-ascii
Content-Transfer-Encoding: quoted-printable

""" + qp("begin with this sentence\n" + uu(BIN, "a b.bin", "755") + "between\n" + uu(b"hello\n", "hello.txt") + "end\n"),
    text="begin with this sentence\nbetween\nend\n", attachments=[att("a b.bin", BIN), att("hello.txt", b"hello\n", content_type="text/plain")])

msg("uuencode-cut", "From: bob@example.com\nSubject: cut\n\nsee\n" + uu(BIN, "cut.bin")[:400].rsplit("\n", 1)[0] + "\n",
    defects=["uuencode"], names=["cut.bin"])

msg("uuencode-as-encoding", """From: bob@example.com
Subject: x-uuencode
MIME-Version: 1.0
Content-Type: application/octet-stream; name="data.bin"
Content-Transfer-Encoding: x-uuencode
Content-Disposition: attachment; filename="data.bin"

""" + uu(BIN, "data.bin"), attachments=[att("data.bin", BIN)], defects=[])

msg("netscape4-html", """Message-ID: <38A1B2C3.1@netscape.example>
Date: Wed, 09 Feb 2000 12:00:00 +0100
From: Eva Braun-Klein <eva@netscape.example>
X-Mailer: Mozilla 4.7 [de]C-CCK-MCD QXW03204  (Win98; I)
X-Accept-Language: de,en
MIME-Version: 1.0
To: ops@example.com
Subject: =?iso-8859-1?Q?Gr=FC=DFe?=
Content-Type: text/html; charset=iso-8859-1
Content-Transfer-Encoding: 8bit

<!doctype html public "-//w3c//dtd html 4.0 transitional//en">
<html>
Hallo Ops,
<p>die <b>Zahlen</b>:
<ul>
<li>
Mai: 12&nbsp;&euro;</li>

<li>
Juni: 15&nbsp;&euro;</li>
</ul>

<pre>--&nbsp;
Eva</pre>
</html>
""", subject="Grüße", text="Hallo Ops,\n\ndie Zahlen:\n\n- Mai: 12 €\n- Juni: 15 €\n\n--\u00a0\nEva\n")

msg("yahoo-html-blockquote", """Date: Tue, 13 Jun 2023 06:00:00 +0000 (UTC)
From: Kim <kim@yahoo.example>
To: "ops@example.com" <ops@example.com>
Message-ID: <123456789.1234567.1686636000000@mail.yahoo.example>
Subject: Re: report
MIME-Version: 1.0
Content-Type: text/html; charset=UTF-8

<html><head></head><body><div class="ydp1">Looks good.<br></div><div><br></div>
<blockquote><p>Please check the <a href="https://example.com/r?a=1&amp;b=2">report</a>.</p><p>Two &lt;things&gt;:</p><ol><li>one<li>two</ol></blockquote>
<table><tr><th>Item</th><th>Price</th></tr><tr><td>Desk</td><td>12&#8364;</td></tr></table></body></html>
""", text="Looks good.\n\n> Please check the report.\n>\n> Two <things>:\n>\n> - one\n> - two\n\nItem Price\nDesk 12€\n")

msg("outlook-winmail", ("""From: old.outlook@example.com
To: ops@example.com
Subject: Rich text
Date: Wed, 14 Jun 2023 08:00:00 +0200
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="----=_NextPart_000_0001"
X-MS-TNEF-Correlator: 0000000012345678

This is a multipart message in MIME format.

------=_NextPart_000_0001
Content-Type: text/plain; charset="iso-8859-1"
Content-Transfer-Encoding: 7bit

See the two files.

------=_NextPart_000_0001
Content-Type: application/ms-tnef;
	name="winmail.dat"
Content-Transfer-Encoding: base64
Content-Disposition: attachment;
	filename="winmail.dat"

""" + b64(winmail([("Übersicht.pdf", "application/pdf", PDF), ("日本.txt", None, b"data")], None)) + """

------=_NextPart_000_0001--
"""), text="See the two files.\n", attachments=[att("Übersicht.pdf", PDF, content_type="application/pdf"), att("日本.txt", b"data", content_type="text/plain")])

msg("outlook-winmail-only", """From: old.outlook@example.com
Subject: only tnef
MIME-Version: 1.0
Content-Type: application/ms-tnef; name=winmail.dat
Content-Transfer-Encoding: base64

""" + b64(winmail([("a.zip", None, ZIP)], "The text is in here: ä €\r\n")) + "\n",
    text="The text is in here: ä €\n", attachments=[att("a.zip", ZIP, content_type="application/zip")])

msg("outlook-winmail-rtf", """From: old.outlook@example.com
Subject: rtf in tnef
MIME-Version: 1.0
Content-Type: application/ms-tnef; name=winmail.dat
Content-Transfer-Encoding: base64

""" + b64(winmail([], None, rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}\pard Sch\'f6ne Gr\'fc\'dfe,\par \b Anna\b0\par}")) + "\n",
    text="Schöne Grüße,\nAnna\n", names=["winmail.dat"], inline=[True], defects=[])

msg("outlook-winmail-html-in-rtf", """From: old.outlook@example.com
Subject: html in rtf in tnef
MIME-Version: 1.0
Content-Type: application/ms-tnef; name=winmail.dat
Content-Transfer-Encoding: base64

""" + b64(winmail([("b.pdf", None, PDF)], None, rb"{\rtf1\ansi\ansicpg1252\fromhtml1 {\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 Gr\'fc\'dfe{\*\htmltag84 &amp;}mehr\htmlrtf }\htmlrtf0{\*\htmltag72 </p>}}")) + "\n",
    html="<p>Grüße&amp;mehr</p>", text="Grüße&mehr\n", names=["b.pdf"], defects=[])

msg("outlook-winmail-broken", """From: old.outlook@example.com
Subject: broken tnef
MIME-Version: 1.0
Content-Type: application/ms-tnef; name=winmail.dat
Content-Transfer-Encoding: base64

""" + b64(winmail([("a.zip", None, ZIP), ("b.bin", None, BIN)], None)[:-300]) + "\n",
    defects=["tnef"], names=["winmail.dat", "a.zip", ""])

msg("gmail-amp", """From: Shop <shop@example.com>
Subject: AMP
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="amp"

--amp
Content-Type: text/plain; charset=utf-8

Plain words
--amp
Content-Type: text/x-amp-html; charset=utf-8

<!doctype html><html ⚡4email><body>AMP words</body></html>
--amp
Content-Type: text/html; charset=utf-8

<p>HTML words</p>
--amp--
""", text="Plain words", html="<p>HTML words</p>", names=[""], inline=[True])

msg("empty-plain-full-html", """From: news@example.com
Subject: newsletter
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="nl"

--nl
Content-Type: text/plain; charset=utf-8


--nl
Content-Type: text/html; charset=utf-8

<html><head><title>Ignored</title><style>p{color:red}</style></head><body><div style="display:none">&#847;&zwnj;&nbsp;&#847;</div><h1>Sale!</h1><p>50&#37; off<br/>until <i>Sunday</i></p><script>alert("no")</script><hr><img src="x.png" alt="Our shop"><p>Unsubscribe</p></body></html>
--nl--
""", text="Sale!\n\n50% off\nuntil Sunday\n\n---\nOur shop\n\nUnsubscribe\n")
