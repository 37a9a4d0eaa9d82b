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
package codepage
