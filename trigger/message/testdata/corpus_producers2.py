# Part two: machines that send mail, and what servers make of it.
msg("postfix-dsn", """Return-Path: <>
Date: Thu, 15 Jun 2023 03:00:00 +0200 (CEST)
From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: ops@example.com
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="9B095B5ADSN=_0"
Message-Id: <20230615010000.9B095B5A@mx.example.com>

This is a MIME-encapsulated message.

--9B095B5ADSN=_0
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example.com.

<nobody@example.net>: host mail.example.net[192.0.2.1] said: 550 5.1.1
    User unknown (in reply to RCPT TO command)

--9B095B5ADSN=_0
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; nobody@example.net
Action: failed
Status: 5.1.1

--9B095B5ADSN=_0
Content-Description: Undelivered Message
Content-Type: message/rfc822

Return-Path: <ops@example.com>
From: ops@example.com
To: nobody@example.net
Subject: the original
Content-Type: multipart/mixed; boundary=orig

--orig
Content-Type: text/plain

original words
--orig
Content-Type: application/pdf; name=original.pdf
Content-Transfer-Encoding: base64

""" + b64(PDF) + """
--orig--

--9B095B5ADSN=_0--
""", subject="Undelivered Mail Returned to Sender",
    text="This is the mail system at host mx.example.com.\n\n<nobody@example.net>: host mail.example.net[192.0.2.1] said: 550 5.1.1\n    User unknown (in reply to RCPT TO command)\n",
    names=["", "", "original.pdf"], inline=[True, True, True], defects=[],
    **{"from": [["Mail Delivery System", "MAILER-DAEMON@mx.example.com"]]})

msg("sendmail-dsn-headers-only", """From: Mail Delivery Subsystem <MAILER-DAEMON@host.example>
To: <ops@example.com>
Subject: Returned mail: see transcript for details
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="h5.host"

This is a MIME-encapsulated message

--h5.host

The original message was received at Fri, 16 Jun 2023 10:00:00 GMT

   ----- The following addresses had permanent fatal errors -----
<x@host.example>

--h5.host
Content-Type: message/delivery-status

Reporting-MTA: dns; host.example

--h5.host
Content-Type: text/rfc822-headers

Subject: hello
From: ops@example.com

--h5.host--
""", text="The original message was received at Fri, 16 Jun 2023 10:00:00 GMT\n\n   ----- The following addresses had permanent fatal errors -----\n<x@host.example>\n", inline=[True, True])

msg("exchange-ndr-html", """From: <postmaster@contoso.example>
To: <ops@example.com>
Date: Fri, 16 Jun 2023 11:00:00 +0000
Content-Type: multipart/report; report-type=delivery-status;
	boundary="4a5b6c"
Content-Language: en-US
Message-ID: <ndr-1@contoso.example>
Subject: Undeliverable: Termin
Auto-Submitted: auto-replied

--4a5b6c
Content-Type: multipart/alternative; differences=Content-Type;
	boundary="7d8e9f"

--7d8e9f
Content-Type: text/plain; charset="us-ascii"
Content-Transfer-Encoding: quoted-printable

Delivery has failed to these recipients or groups:

kein.empfaenger@contoso.example=

--7d8e9f
Content-Type: text/html; charset="us-ascii"
Content-Transfer-Encoding: quoted-printable

<html><body><p><b>Delivery has failed to these recipients or groups:</b></p></body></html>

--7d8e9f--

--4a5b6c
Content-Type: message/delivery-status

Reporting-MTA: dns;DB9.contoso.example

Final-recipient: RFC822;kein.empfaenger@contoso.example
Action: failed
Status: 5.1.10

--4a5b6c
Content-Type: message/rfc822

Subject: Termin
From: <ops@example.com>

--4a5b6c--
""", text="Delivery has failed to these recipients or groups:\n\nkein.empfaenger@contoso.example", inline=[True, True])

msg("mdn-read-receipt", """From: anna@example.org
To: ops@example.com
Subject: Gelesen: Bericht
MIME-Version: 1.0
Content-Type: multipart/report; report-type=disposition-notification; boundary="mdn"

--mdn
Content-Type: text/plain; charset=utf-8

Ihre Nachricht wurde am Freitag gelesen.
--mdn
Content-Type: message/disposition-notification

Reporting-UA: example.org; MailClient
Disposition: manual-action/MDN-sent-manually; displayed

--mdn--
""", text="Ihre Nachricht wurde am Freitag gelesen.", inline=[True])

msg("arf-abuse-report", """From: <abuse@isp.example>
To: <abuse@example.com>
Subject: FW: Earn money
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part1_13d"

--part1_13d
Content-Type: text/plain; charset="US-ASCII"
Content-Transfer-Encoding: 7bit

This is an email abuse report.
--part1_13d
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: SomeGenerator/1.0
Version: 1

--part1_13d
Content-Type: message/rfc822
Content-Disposition: inline

From: <somespammer@example.net>
Subject: Earn money

Spam Spam Spam
--part1_13d--
""", text="This is an email abuse report.", inline=[True, True])

msg("dmarc-aggregate", """From: noreply-dmarc-support@google.example
To: dmarc@example.com
Subject: Report domain: example.com Submitter: google.example Report-ID: 123
Date: Sat, 17 Jun 2023 23:59:59 +0000
MIME-Version: 1.0
Content-Type: application/zip;
	name="google.example!example.com!1686873600!1686959999.zip"
Content-Disposition: attachment;
	filename="google.example!example.com!1686873600!1686959999.zip"
Content-Transfer-Encoding: base64

""" + b64(ZIP) + "\n", text="", attachments=[{"name": "google.example!example.com!1686873600!1686959999.zip", "bytes": ZIP, "inline": False}])

ics = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:Besprechung Größe\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
msg("google-calendar-invite", """Reply-To: Anna <anna@gmail.example>
Sender: Google Calendar <calendar-notification@google.example>
Message-ID: <calendar-1@google.example>
Date: Sun, 18 Jun 2023 08:00:00 +0000
Subject: Invitation: =?UTF-8?Q?Besprechung_Gr=C3=B6=C3=9Fe?= @ Mon 19 Jun 2023 10:00
From: Anna <anna@gmail.example>
To: ops@example.com
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="cal-mixed"

--cal-mixed
Content-Type: multipart/alternative; boundary="cal-alt"

--cal-alt
Content-Type: text/plain; charset="UTF-8"; format=flowed; delsp=yes
Content-Transfer-Encoding: base64

""" + b64("Besprechung Größe\nMontag 10 Uhr\n") + """
--cal-alt
Content-Type: text/html; charset="UTF-8"
Content-Transfer-Encoding: quoted-printable

<span itemscope><b>Besprechung Gr=C3=B6=C3=9Fe</b></span>
--cal-alt
Content-Type: text/calendar; charset="UTF-8"; method=REQUEST
Content-Transfer-Encoding: 7bit

BEGIN:VCALENDAR
METHOD:REQUEST
END:VCALENDAR

--cal-alt--
--cal-mixed
Content-Type: application/ics; name="invite.ics"
Content-Disposition: attachment; filename="invite.ics"
Content-Transfer-Encoding: base64

""" + b64(ics) + """
--cal-mixed--
""", subject="Invitation: Besprechung Größe @ Mon 19 Jun 2023 10:00", text="Besprechung Größe\nMontag 10 Uhr\n",
    names=["", "invite.ics"], inline=[False, False], defects=[])

msg("exchange-cancel-root-calendar", ("""From: boss@contoso.example
To: ops@example.com
Subject: Abgesagt: Jour fixe
MIME-Version: 1.0
Content-Type: text/calendar; charset="utf-8"; method=CANCEL
Content-Transfer-Encoding: 8bit

""" + ics.replace("\r\n", "\n")), text="", attachments=[{"name": "", "bytes": ics.encode(), "content_type": "text/calendar", "inline": False}])

msg("mailman-digest", """From: list-request@lists.example
Subject: List Digest, Vol 12, Issue 3
To: list@lists.example
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="===============1234=="

--===============1234==
Content-Type: text/plain; charset="us-ascii"
MIME-Version: 1.0
Content-Transfer-Encoding: 7bit
Content-Description: List Digest, Vol 12, Issue 3

Today's Topics:

   1. first (Ann)
--===============1234==
Content-Type: multipart/digest; boundary="===============5678=="
MIME-Version: 1.0

--===============5678==

Message: 1
From: Ann <ann@example.com>
Subject: first

Body of the first.
--===============5678==
Content-Type: message/rfc822
MIME-Version: 1.0

From: Ben <ben@example.com>
Subject: second

Body of the second.
--===============5678==--

--===============1234==
Content-Type: text/plain; charset="us-ascii"
Content-Disposition: inline
Content-Description: Digest Footer

_______________________________________________
List mailing list
--===============1234==--
""", text="Today's Topics:\n\n   1. first (Ann)\n_______________________________________________\nList mailing list")

msg("mailman-footer-on-base64", """From: ann@example.com
Subject: [List] base64 with a footer
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

""" + b64("Text im Brief: äöü, kurz.\n") + """

_______________________________________________
List mailing list
list@lists.example
""", text="Text im Brief: äöü, kurz.\n\n_______________________________________________\nList mailing list\nlist@lists.example\n", defects=["base64"])

msg("cron", """Return-Path: <root@host.example>
Received: by host.example (Postfix, from userid 0)
	id 1A2B3C; Mon, 19 Jun 2023 06:25:01 +0200 (CEST)
From: root@host.example (Cron Daemon)
To: root@host.example
Subject: Cron <root@host> test -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily )
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit
X-Cron-Env: <SHELL=/bin/sh>
Message-Id: <20230619042501.1A2B3C@host.example>
Date: Mon, 19 Jun 2023 06:25:01 +0200 (CEST)

/etc/cron.daily/backup:
Sicherung fertig – 3 Dateien übersprungen
""", text="/etc/cron.daily/backup:\nSicherung fertig – 3 Dateien übersprungen\n",
    subject="Cron <root@host> test -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily )",
    **{"from": [["Cron Daemon", "root@host.example"]], "defects": []})

msg("php-mail-raw", ("To: ops@example.com\nSubject: Neue Anfrage über das Formular\nFrom: Webseite Müller <web@example.de>\nX-PHP-Originating-Script: 33:kontakt.php\nDate: Mon, 19 Jun 2023 12:00:00 +0000\n\nName: Jörg\nNachricht: schöne Grüße\n").encode("cp1252"),
    subject="Neue Anfrage über das Formular", text="Name: Jörg\nNachricht: schöne Grüße\n", defects=["charset-undeclared", "header-8bit"], **{"from": [["Webseite Müller", "web@example.de"]]})

msg("phpmailer", """Date: Mon, 19 Jun 2023 12:30:00 +0000
To: ops@example.com
From: Shop <shop@example.com>
Subject: =?utf-8?Q?Bestellung_#1234_best=C3=A4tigt?=
Message-ID: <abc@shop.example.com>
X-Mailer: PHPMailer 6.8.0 (https://github.com/PHPMailer/PHPMailer)
MIME-Version: 1.0
Content-Type: multipart/mixed;
 boundary="b1=_AbC"
Content-Transfer-Encoding: 8bit

--b1=_AbC
Content-Type: multipart/alternative;
 boundary="b2=_AbC"

--b2=_AbC
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Danke für Ihre Bestellung.


--b2=_AbC
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 8bit

<p>Danke für Ihre <b>Bestellung</b>.</p>


--b2=_AbC--

--b1=_AbC
Content-Type: application/pdf; name="=?utf-8?Q?Rechnung_f=C3=BCr_Mai.pdf?="
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="=?utf-8?Q?Rechnung_f=C3=BCr_Mai.pdf?="

""" + b64(PDF) + """

--b1=_AbC--
""", subject="Bestellung #1234 bestätigt", text="Danke für Ihre Bestellung.\n\n", attachments=[{"name": "Rechnung für Mai.pdf", "bytes": PDF}])

msg("javamail", """Date: Tue, 20 Jun 2023 01:02:03 +0200 (CEST)
From: batch@erp.example
To: ops@example.com
Message-ID: <1234567.1.1687215723456.JavaMail.erp@srv1>
Subject: =?ISO-8859-1?Q?Lieferschein_f=FCr_Auftrag_45000123?=
 =?ISO-8859-1?Q?45_=2D_Werk_M=FCnchen?=
MIME-Version: 1.0
Content-Type: multipart/mixed;
	boundary="----=_Part_0_1234.5678"

------=_Part_0_1234.5678
Content-Type: text/plain; charset=us-ascii
Content-Transfer-Encoding: 7bit


------=_Part_0_1234.5678
Content-Type: text/xml; charset=UTF-8; name="IDOC_0001.xml"
Content-Transfer-Encoding: quoted-printable
Content-Disposition: attachment; filename="IDOC_0001.xml"

<?xml version=3D"1.0" encoding=3D"UTF-8"?><IDOC>M=C3=BCnchen</IDOC>
------=_Part_0_1234.5678--
""", subject="Lieferschein für Auftrag 4500012345 - Werk München", attachments=[{"name": "IDOC_0001.xml", "bytes": '<?xml version="1.0" encoding="UTF-8"?><IDOC>München</IDOC>'.encode()}])

msg("dotnet-smtpclient", """MIME-Version: 1.0
From: "Alarm" <alarm@plant.example>
To: ops@example.com
Date: 20 Jun 2023 04:05:06 +0200
Subject: =?utf-8?B?QWxhcm06IERydWNrIHp1IGhvY2ggw7xi?=
 =?utf-8?B?ZXIgS2Vzc2VsIMOEIHVuZCBLZXNzZWwg?=
 =?utf-8?B?w5Y=?=
Content-Type: multipart/mixed;
 boundary=--boundary_0_6a7b8c9d-0000

----boundary_0_6a7b8c9d-0000
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Druck 12,4=C2=A0bar
----boundary_0_6a7b8c9d-0000
Content-Type: application/octet-stream; name*0="=?utf-8?B?TWVzc3dlcnRlX0"; name*1="tlc3NlbF/DhC5jc3Y=?="
Content-Transfer-Encoding: base64
Content-Disposition: attachment

""" + b64(CSV) + """
----boundary_0_6a7b8c9d-0000--
""", subject="Alarm: Druck zu hoch über Kessel Ä und Kessel Ö", text="Druck 12,4\u00a0bar", attachments=[{"name": "Messwerte_Kessel_Ä.csv", "bytes": CSV}])

msg("python-smtplib", """Content-Type: multipart/mixed; boundary="===============8899=="
MIME-Version: 1.0
Subject: =?utf-8?b?QmVyaWNodCBmw7xyIE1haQ==?=
From: report@example.com
To: ops@example.com

--===============8899==
Content-Type: text/plain; charset="utf-8"
MIME-Version: 1.0
Content-Transfer-Encoding: base64

""" + b64("Bericht für Mai\n") + """

--===============8899==
Content-Type: application/octet-stream
MIME-Version: 1.0
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename*=utf-8''Bericht%20f%C3%BCr%20Mai.xlsx

""" + b64(ZIP) + """

--===============8899==--
""", subject="Bericht für Mai", text="Bericht für Mai\n", attachments=[{"name": "Bericht für Mai.xlsx", "bytes": ZIP}])

msg("git-send-email", """From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001
From: =?UTF-8?q?Bj=C3=B6rn=20T=C3=B6pel?= <bjorn@kernel.example>
Date: Wed, 21 Jun 2023 10:00:00 +0200
Subject: [PATCH v2 1/3] mail: fix the =?UTF-8?q?=C3=BCber?= parser
Message-Id: <20230621080000.1-1-bjorn@kernel.example>
X-Mailer: git-send-email 2.39.2
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit

Signed-off-by: Björn Töpel <bjorn@kernel.example>
---
 a.c | 2 +-

diff --git a/a.c b/a.c
--- a/a.c
+++ b/a.c
@@ -1 +1 @@
-x
+y
-- 
2.39.2
""", subject="[PATCH v2 1/3] mail: fix the über parser", defects=["mbox-from"], **{"from": [["Björn Töpel", "bjorn@kernel.example"]]})

msg("fax-gateway", """From: "Fax 0049301234567" <fax@gateway.example>
To: ops@example.com
Subject: Fax von 030 1234567, 2 Seiten
Date: Thu, 22 Jun 2023 14:00:00 +0200
MIME-Version: 1.0
Content-Type: image/tiff; name="fax00012.tif"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="fax00012.tif"

""" + b64(BIN) + "\n", text="", attachments=[{"name": "fax00012.tif", "bytes": BIN}])

msg("scanner-no-crlf-before-boundary", """From: scanner@mfp.example
To: ops@example.com
Subject: Message from "RNP002673B1C2D3"
Date: Thu, 22 Jun 2023 15:00:00 +0100 (GMT+01:00)
MIME-Version: 1.0
Content-Type: multipart/mixed;
 boundary="DC_BOUND_PRE_<1687442400.0026>"

--DC_BOUND_PRE_<1687442400.0026>
Content-Type: text/plain; charset=us-ascii
Content-Transfer-Encoding: 7bit

This E-mail was sent from "RNP002673B1C2D3" (MP C3003).

--DC_BOUND_PRE_<1687442400.0026>
Content-Type: application/pdf; name="20230622150000.pdf"
Content-Disposition: attachment; filename="20230622150000.pdf"
Content-Transfer-Encoding: base64

""" + b64(PDF * 3, 72) + """
--DC_BOUND_PRE_<1687442400.0026>--
""", attachments=[{"name": "20230622150000.pdf", "bytes": PDF * 3}])

msg("voicemail-wav", """From: "Voicemail" <asterisk@pbx.example>
To: "Ops" <ops@example.com>
Subject: [PBX]: New message 12 in mailbox 100
Date: Fri, 23 Jun 2023 08:00:00 +0200
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="----voicemail_12100"

This is a multi-part message in MIME format.

------voicemail_12100
Content-Type: text/plain; charset=ISO-8859-1
Content-Transfer-Encoding: 8bit

Dear Ops: just wanted to let you know you were left a 0:12 long message.

------voicemail_12100
Content-Type: audio/x-wav; name="msg0012.wav"
Content-Transfer-Encoding: base64
Content-Description: Voicemail sound attachment.
Content-Disposition: attachment; filename="msg0012.wav"

""" + b64(BIN) + """

------voicemail_12100--
.
""", attachments=[{"name": "msg0012.wav", "bytes": BIN}])

msg("mms-gateway", """From: 491711234567@mms.example
To: ops@example.com
Subject: 
Date: Fri, 23 Jun 2023 09:00:00 +0200
MIME-Version: 1.0
Content-Type: multipart/related; type="text/html"; start="<0>"; boundary="mms"

--mms
Content-ID: <0>
Content-Type: text/html; charset=utf-8

<html><body><img src="cid:11"><br>Grüße</body></html>
--mms
Content-ID: <11>
Content-Type: image/jpeg
Content-Location: IMG_1.jpg
Content-Transfer-Encoding: base64

""" + b64(JPG) + """
--mms--
""", subject="", text="Grüße\n", attachments=[{"name": "", "bytes": JPG, "disposition": "inline", "inline": True}])

msg("github-notification", """Date: Sat, 24 Jun 2023 01:00:00 -0700
From: octocat <notifications@github.example>
Reply-To: owner/repo <reply+ABC@reply.github.example>
To: owner/repo <repo@noreply.github.example>
Cc: Mention <mention@noreply.github.example>
Message-ID: <owner/repo/issues/1/12345@github.example>
Subject: Re: [owner/repo] Crash on start (Issue #1)
Mime-Version: 1.0
Content-Type: multipart/alternative;
 boundary="--==_mimepart_6496a0b1_1234";
 charset=UTF-8
Content-Transfer-Encoding: 7bit
Precedence: list
List-ID: owner/repo <repo.owner.github.example>
List-Unsubscribe: <mailto:unsub+ABC@reply.github.example>,
 <https://github.example/notifications/unsubscribe/ABC>


----==_mimepart_6496a0b1_1234
Content-Type: text/plain;
 charset=UTF-8
Content-Transfer-Encoding: 7bit

Fixed in main.

-- 
Reply to this email directly or view it on GitHub:
https://github.example/owner/repo/issues/1
----==_mimepart_6496a0b1_1234
Content-Type: text/html;
 charset=UTF-8
Content-Transfer-Encoding: 7bit

<p></p>
<p dir="auto">Fixed in main.</p>

----==_mimepart_6496a0b1_1234--
""", text="Fixed in main.\n\n-- \nReply to this email directly or view it on GitHub:\nhttps://github.example/owner/repo/issues/1", defects=[])

msg("kmail-vcard", """From: Kai <kai@kde.example>
To: ops@example.com
Subject: Visitenkarte
Date: Sun, 25 Jun 2023 10:00:00 +0200
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="nextPart1.aBcD"
Content-Transfer-Encoding: 7Bit

--nextPart1.aBcD
Content-Transfer-Encoding: quoted-printable
Content-Type: text/plain; charset="UTF-8"

Anbei.

--nextPart1.aBcD
Content-Disposition: attachment; filename="kai.vcf"
Content-Transfer-Encoding: 7Bit
Content-Type: text/directory; charset="UTF-8"; name="kai.vcf"

BEGIN:VCARD
FN:Kai
END:VCARD
--nextPart1.aBcD--
""", text="Anbei.\n", attachments=[{"name": "kai.vcf", "bytes": b"BEGIN:VCARD\r\nFN:Kai\r\nEND:VCARD"}])

msg("nagios", "From: nagios@mon.example\nTo: ops@example.com\nSubject: ** PROBLEM Service Alert: db1/Disk is CRITICAL **\nDate: Mon, 26 Jun 2023 02:00:00 +0000\n\n***** Nagios *****\n\nNotification Type: PROBLEM\nHost: db1\nState: CRITICAL\n\nDISK CRITICAL - free space: / 512 MiB (1%)\n", text="***** Nagios *****\n\nNotification Type: PROBLEM\nHost: db1\nState: CRITICAL\n\nDISK CRITICAL - free space: / 512 MiB (1%)\n", defects=[])

msg("plc-no-mime-latin1", "From: SPS1 <sps1@anlage.example>\r\nSubject: St\xf6rung Kessel 2\r\n\r\nTemperatur \xfcberschritten: 98\xb0C\r\n".encode("latin-1"), eol=None, subject="Störung Kessel 2", text="Temperatur überschritten: 98°C\n")

msg("ups-lf-only", "From: ups@rack.example\nTo: ops@example.com\nSubject: UPS on battery\nDate: Mon, 26 Jun 2023 02:10:00 +0000\nContent-Type: multipart/mixed; boundary=u\n\n--u\n\nOn battery.\n--u\nContent-Type: text/csv; name=log.csv\n\n1;2\n--u--\n", eol=b"\n", text="On battery.", attachments=[{"name": "log.csv", "bytes": b"1;2"}])

msg("ses-binary-8bit-attachment", b"From: app@ses.example\nSubject: binary\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=bin\n\n--bin\nContent-Type: text/plain\n\nsee\n--bin\nContent-Type: application/octet-stream; name=raw.bin\nContent-Transfer-Encoding: binary\n\n\x00\x01\xff\xfe\x80--bi\nn\r\rx\n--bin--\n", eol=None, attachments=[{"name": "raw.bin", "bytes": b"\x00\x01\xff\xfe\x80--bi\nn\r\rx"}])

msg("salesforce-nested-alternatives", """From: crm@sf.example
Subject: case 0042
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/related; boundary=r

--r
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain; charset=utf-8

case text
--a
Content-Type: text/html; charset=utf-8

<p>case <img src="cid:logo%40sf"></p>
--a--
--r
Content-Type: image/gif; name=logo.gif
Content-ID: <logo@sf>
Content-Disposition: attachment; filename=logo.gif
Content-Transfer-Encoding: base64

""" + b64(GIF) + """
--r
Content-Type: image/png; name=unused.png
Content-ID: <unused@sf>
Content-Disposition: attachment; filename=unused.png
Content-Transfer-Encoding: base64

""" + b64(PNG) + """
--r--
--m--
""", text="case text", attachments=[{"name": "logo.gif", "bytes": GIF, "disposition": "attachment", "inline": True}, {"name": "unused.png", "bytes": PNG, "inline": False}])
