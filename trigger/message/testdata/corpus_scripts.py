# Each script in each charset it travels in, one message each, in the forms
# that mailers give it: body in 8bit, quoted-printable, base64; the subject as
# B or Q words or raw; the file's name by RFC 2231, as an encoded word, or raw.
scripts = [
    # name, charset as declared, Python's codec, subject, body, file name
    ("ascii", "us-ascii", "ascii", "Server room temperature", "Sensor 4 reports 31 C.\nThreshold is 28 C.\n", "sensor-4.csv"),
    ("french-utf8", "utf-8", "utf-8", "Réunion déplacée à mardi", "Bonjour à tous,\nla réunion est déplacée à mardi, 14 h.\n", "ordre du jour.pdf"),
    ("german-latin1", "iso-8859-1", "latin-1", "Ihre Bestellung über 3 Stühle", "Größe: 45×50 cm, geprüft.\nMit freundlichen Grüßen\n", "Übersicht.pdf"),
    ("polish-latin2", "iso-8859-2", "iso8859-2", "Zażółć gęślą jaźń", "Proszę o przesłanie faktury do piątku.\nDziękuję, Łukasz\n", "faktura-źródło.pdf"),
    ("esperanto-latin3", "iso-8859-3", "iso8859-3", "Eĥoŝanĝo ĉiuĵaŭde", "La ŝipo alvenas ĵaŭde.\nĈu vi venos?\n", "ŝanĝoj.txt"),
    ("baltic-latin4", "iso-8859-4", "iso8859-4", "Ķirši un āboli", "Labdien, sūtām rēķinu.\nAr cieņu\n", "rēķins.pdf"),
    ("russian-8859-5", "iso-8859-5", "iso8859-5", "Отчёт за май", "Добрый день,\nотчёт во вложении.\n", "отчёт.pdf"),
    ("arabic-8859-6", "iso-8859-6", "iso8859-6", "تقرير الشهر", "مرحبا،\nالتقرير مرفق.\n", "تقرير.pdf"),
    ("greek-8859-7", "iso-8859-7", "iso8859-7", "Τιμολόγιο Μαΐου", "Καλημέρα σας,\nσας στέλνω το τιμολόγιο.\n", "τιμολόγιο.pdf"),
    ("hebrew-8859-8", "iso-8859-8", "iso8859-8", "דוח חודשי", "שלום,\nהדוח מצורף.\n", "דוח.pdf"),
    ("hebrew-8859-8-i", "iso-8859-8-i", "iso8859-8", "הזמנה לישיבה", "שלום לכולם,\nהישיבה ביום שני.\n", "הזמנה.pdf"),
    ("turkish-8859-9", "iso-8859-9", "iso8859-9", "Toplantı değişikliği", "İyi günler,\ntoplantı çarşamba günü.\n", "değişiklik.pdf"),
    ("sami-latin6", "iso-8859-10", "iso8859-10", "Dieđut ođđa prošeavttas", "Buorre beaivi,\nčoahkkin lea maŋŋebárgga.\n", "dieđut.txt"),
    ("thai-8859-11", "iso-8859-11", "iso8859-11", "ใบแจ้งหนี้เดือนพฤษภาคม", "สวัสดีครับ\nแนบใบแจ้งหนี้มาด้วย\n", "ใบแจ้งหนี้.pdf"),
    ("lithuanian-8859-13", "iso-8859-13", "iso8859-13", "Sąskaita už gegužę", "Laba diena,\nsiunčiu sąskaitą.\n", "sąskaita.pdf"),
    ("welsh-8859-14", "iso-8859-14", "iso8859-14", "Tŷ newydd yng Ngŵyr", "Bore da,\nmae'r dŵr yn ôl.\n", "tŷ.txt"),
    ("euro-latin9", "iso-8859-15", "iso8859-15", "Rechnung über 12 €", "Betrag: 12,50 €\nŒuvre complète, Žižkov\n", "Rechnung €.pdf"),
    ("romanian-latin10", "iso-8859-16", "iso8859-16", "Factură și țintă", "Bună ziua,\nvă trimit factura pentru luna mai. Mulțumesc, Ștefan\n", "factură.pdf"),
    ("czech-1250", "windows-1250", "cp1250", "Příliš žluťoučký kůň", "Dobrý den,\nposílám „fakturu“ – děkuji.\n", "účet–květen.pdf"),
    ("russian-1251", "windows-1251", "cp1251", "Счёт № 17 «Ромашка»", "Здравствуйте,\nсчёт — во вложении.\n", "Счёт №17.pdf"),
    ("english-1252", "windows-1252", "cp1252", "“Smart” quotes – and €", "It’s done – see the “report”…\n", "Q3 – report.pdf"),
    ("greek-1253", "windows-1253", "cp1253", "Προσφορά – Ιούνιος", "Αγαπητοί κύριοι,\nη «προσφορά» είναι συνημμένη.\n", "προσφορά.pdf"),
    ("turkish-1254", "windows-1254", "cp1254", "Fatura – “Mayıs”", "Sayın yetkili,\nfatura ektedir. Şükrü Ağaoğlu\n", "mayıs.pdf"),
    ("hebrew-1255", "windows-1255", "cp1255", "חשבונית – מאי", "שלום,\nמחיר: 12 ₪\n", "חשבונית.pdf"),
    ("arabic-1256", "windows-1256", "cp1256", "فاتورة مايو – پژوه", "السلام عليكم،\nالفاتورة مرفقة.\n", "فاتورة.pdf"),
    ("latvian-1257", "windows-1257", "cp1257", "Rēķins – “maijs”", "Labdien,\nrēķins pielikumā. Žanis Bērziņš\n", "rēķins–5.pdf"),
    ("vietnamese-1258", "windows-1258", "cp1258", "Hoá đơn", "Chào anh,\nđây là đơn cho tháng năm.\n", "đơn.pdf"),
    ("thai-874", "windows-874", "cp874", "รายงานประจำวัน", "เรียนทุกท่าน\nรายงาน “ประจำวัน” แนบมาแล้ว\n", "รายงาน.pdf"),
    ("thai-tis620", "tis-620", "tis-620", "ประชุมวันจันทร์", "ประชุมเวลา ๙ โมง\n", "ประชุม.txt"),
    ("russian-koi8r", "koi8-r", "koi8-r", "Заявка на ремонт", "Прошу починить принтер в комнате 12.\n", "заявка.txt"),
    ("ukrainian-koi8u", "koi8-u", "koi8-u", "Рахунок за їжу", "Добрий день, її рахунок у вкладенні. Ґанок\n", "рахунок.pdf"),
    ("chinese-gb2312", "gb2312", "gb2312", "关于五月发票的通知", "您好：\n五月的发票已经寄出，请查收。\n", "发票.pdf"),
    ("chinese-gbk", "gbk", "gbk", "訂單確認：電腦配件", "您好，訂單已確認，謝謝。\n", "訂單.pdf"),
    ("chinese-gb18030", "gb18030", "gb18030", "会议纪要：㐀与𠀀", "各位同事：\n会议纪要见附件。\n", "纪要.pdf"),
    ("chinese-hz", "hz-gb-2312", "hz", "你好世界", "今天的天气很好。\nplain ~~ tilde\n", "天气.txt"),
    ("chinese-big5", "big5", "big5", "五月份帳單通知", "親愛的客戶您好：\n五月份帳單如附件。\n", "帳單.pdf"),
    ("chinese-hkscs", "big5-hkscs", "big5hkscs", "啲嘢幾時送到", "請問啲嘢幾時送到？唔該。\n", "啲嘢.pdf"),
    ("japanese-iso2022", "iso-2022-jp", "iso2022_jp", "五月分請求書の送付", "お世話になっております。\n請求書を添付いたします。\n", "請求書.pdf"),
    ("japanese-sjis", "shift_jis", "shift_jis", "会議のお知らせ（ｱｲｳ）", "各位\n会議は月曜日の予定です。表示テスト。\n", "会議.pdf"),
    ("japanese-cp932", "windows-31j", "cp932", "見積①～③の件", "株式会社㈱見積№5を送ります。髙橋\n", "見積①.pdf"),
    ("japanese-eucjp", "euc-jp", "euc-jp", "サーバー障害報告", "サーバーが停止しました。\n復旧作業中です。\n", "障害報告.txt"),
    ("korean-euckr", "euc-kr", "euc-kr", "오월 청구서 안내", "안녕하세요.\n청구서를 첨부합니다.\n", "청구서.pdf"),
    ("korean-ksc5601", "ks_c_5601-1987", "cp949", "회의 일정 변경", "안녕하십니까,\n회의가 월요일로 바뀌었습니다. 똠방각하\n", "회의일정.pdf"),
    ("korean-iso2022", "iso-2022-kr", "iso2022_kr", "주간 보고", "주간 보고서를 보냅니다.\n감사합니다.\n", "보고.txt"),
    ("unicode-utf7", "utf-7", "utf-7", "Grüße aus Köln", "Schöne Grüße aus Köln & Umgebung.\n", "Köln.txt"),
    ("unicode-utf16", "utf-16", "utf-16", "UTF-16 mit Marke", "Zeile eins: äöü €\nZeile zwei: Привет\n", "utf-16.txt"),
    ("unicode-utf16le", "utf-16le", "utf-16-le", "Ohne Marke", "Plain words and a few: é ü\n", "le.txt"),
    ("hindi-utf8", "utf-8", "utf-8", "मई का चालान", "नमस्ते,\nचालान संलग्न है। धन्यवाद\n", "चालान.pdf"),
    ("emoji-utf8", "utf-8", "utf-8", "Backup fertig 🎉👩‍💻", "Alles grün ✅\n👨‍👩‍👧 👍🏽\n", "🎉 fertig.txt"),
    ("armenian-georgian-utf8", "utf-8", "utf-8", "Բարեւ — გამარჯობა", "Շնորհակալություն.\nმადლობა.\n", "Երեւան.pdf"),
    ("amharic-tamil-utf8", "utf-8", "utf-8", "ሰላም · வணக்கம்", "እንዴት ነህ?\nநன்றி.\n", "ሰላም.txt"),
    ("mac-roman", "macintosh", "mac-roman", "Très bientôt – ∞ options", "Voilà l’été : œuvres complètes ∑π.\n", "été.txt"),
    ("mac-cyrillic", "x-mac-cyrillic", "mac-cyrillic", "Привет с Мака", "Это письмо с Макинтоша № 5.\n", "привет.txt"),
    ("dos-850", "ibm850", "cp850", "Übertragung beendet", "Größe ½ MB, Straße geräumt.\n", "ÜBERTRAG.TXT"),
    ("dos-852", "ibm852", "cp852", "Účtenka č. 7", "Děkujeme, přijďte znovu. Łódź\n", "účtenka.txt"),
    ("dos-866", "ibm866", "cp866", "Ведомость ══ май", "║ Итого ║ 12 ║\n", "ведомость.txt"),
    ("dos-437", "cp437", "cp437", "Résumé │ naïve", "┌──┐\n│é½│\n└──┘\n", "résumé.txt"),
    ("ebcdic-037", "ibm037", "cp037", "MAINFRAME JOB ENDED", "JOB PAYROLL ENDED RC=0004\nSEE SYSOUT ¢ ¬\n", "SYSOUT.TXT"),
    ("ebcdic-1141", "ibm01141", "cp1140", "JOB ENDED", "PLAIN WORDS 12.50\nNEXT LINE\n", "LIST.TXT"),
    ("viet-tcvn-utf8-decomposed", "utf-8", "utf-8", "Hoá đơn tháng năm", "Tiếng Việt tổ hợp\n", "hoá đơn.pdf"),
]
for n, (name, charset, codec, subject, body, file) in enumerate(scripts):
    wide = codec.startswith("utf-16") or name.startswith("ebcdic")
    raw = body.encode(codec)
    if name.startswith("ebcdic"):
        raw = raw.replace(b"\x25", b"\x15")  # NEL is what mainframes end lines with
    transfer = "base64" if wide else ("8bit", "quoted-printable", "base64")[n % 3]
    if codec in ("iso2022_jp", "iso2022_kr", "hz", "utf-7", "ascii"):
        transfer = "7bit"
    if transfer == "base64":
        coded = b64(raw).encode()
    elif transfer == "quoted-printable":
        coded = qp(raw).encode()
    else:
        coded = raw
    # Subject: in its own charset where an encoded word can hold it.
    label, lcodec = ("utf-8", "utf-8") if wide or codec == "utf-7" else (charset, codec)
    w = (word_b if n % 2 else word_q)(subject, label, lcodec)
    if n % 5 == 0 and codec == "utf-8":
        w = subject  # raw, RFC 6532
    name_form = n % 4
    if name_form == 0:
        param = "filename*=" + pct(file, label, lcodec)
    elif name_form == 1:
        param = 'filename="%s"' % word_b(file, label, lcodec)
    elif name_form == 2:
        p = pct(file, label, lcodec)
        text = p.index("''") + 2
        cut = max(p.find("%", (text + len(p)) // 2), text)
        param = "filename*0*=%s;\n filename*1*=%s" % (p[:cut], p[cut:])
    else:
        param = "filename*=" + pct(file, "UTF-8", "utf-8") + ';\n filename="%s"' % "".join(c if ord(c) < 128 else "_" for c in file)
    head = "From: %s <sender%d@example.org>\nTo: ops@example.com\nSubject: %s\nDate: Mon, %d May 2023 08:%02d:00 +0200\nMessage-ID: <script-%d@example.org>\nMIME-Version: 1.0\n" % (
        (word_q if n % 2 else word_b)(subject.split()[0], label, lcodec), n, w, n % 28 + 1, n % 60, n)
    ct = 'text/plain; charset="%s"' % charset if n % 2 else "text/plain; charset=%s" % charset.upper()
    att = BIN[:40 + n]
    if n % 3 == 2:
        whole = head + "Content-Type: %s\nContent-Transfer-Encoding: %s\n\n" % (ct, transfer)
        msg("script-" + name, whole.encode() + coded.replace(b"\r\n", b"\n") if not wide else whole.encode() + coded,
            subject=subject, text=body)
    else:
        whole = (head + 'Content-Type: multipart/mixed; boundary="=_part_%d"\n\n--=_part_%d\nContent-Type: %s\nContent-Transfer-Encoding: %s\n\n' % (n, n, ct, transfer)).encode() + coded
        whole += ("\n--=_part_%d\nContent-Type: application/octet-stream\nContent-Disposition: attachment;\n %s\nContent-Transfer-Encoding: base64\n\n%s\n--=_part_%d--\n" % (n, param, b64(att), n)).encode()
        msg("script-" + name, whole, subject=subject, text=body, attachments=[{"name": file, "bytes": att}])
