// Package codepage finds character encodings by the names people and mail give
// them, and decides which one a text is read with.
//
// [Lookup] knows the Windows code pages by number and .NET name, the charsets of
// mail by IANA's names, and the aliases in use; [All] lists them. The pages are values of
// golang.org/x/text's encoding.Encoding, so they serve any Go program:
//
//	page, err := codepage.Lookup("IBM037")
//	text, err := page.Encoding.NewDecoder().String(record)
//
// A [Policy] reads text whose label may be missing or wrong:
//
//	text, choice := codepage.Policy{Page: page}.Decode("us-ascii", body)
//
// # Where the tables come from
//
// The pages that x/text has are x/text's. The others, EBCDIC and DOS and Mac and
// more, are generated from what Python's codecs say or, where Python has none, the C library's
// iconv; UTF-7, the ISO-2022 pages and EUC-TW have decoders of their own over such tables.
// The tables are kept compressed and are unpacked when a page is first used.
// A page that neither could be checked against is not offered: text
// that looks right and is wrong would be worse than an error.
//
// Every code of every page is compared with both oracles (testdata/oracles.txt).
// Where the pages differ from them, it is on purpose:
//
//   - The Windows pages have C1 controls at 0x80-0x9F where nothing else is
//     assigned, as in Windows and on the web; the oracles have nothing there.
//   - 932 and 54936 lack the private-use areas, 936 and 51932 have what Microsoft added: as in x/text.
//   - 950 is the Big5 of the web, with Hong Kong's characters and ETEN's.
//   - 20936, 51936, 10008 and 50227 are 936; 20949, 51949 and 10003 are 949: as in .NET.
//   - 20932, 51932 and ISO-2022-JP map the wave dash and its like as Microsoft does.
//   - 21866 is the KOI8-U with the letters of KOI8-RU, as in Windows.
//   - 50220-50222 read katakana after SO and in eight bits, as .NET does.
//   - Where Python and iconv differ, Python's table is taken: it is the vendor's.
package codepage
