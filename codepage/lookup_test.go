package codepage

import (
	"encoding/csv"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/text/encoding/ianaindex"
)

// reference reads codepages.csv.
func reference(t testing.TB) []map[string]string {
	t.Helper()
	f, err := os.Open("codepages.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]string
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, column := range records[0] {
			row[column] = record[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func TestReference(t *testing.T) {
	for i, row := range reference(t) {
		n, err := strconv.Atoi(row["id"])
		if err != nil {
			t.Fatal(err)
		}
		info := All()[i]
		if info.Number != n || info.Title != row["name"] || info.DotNet != row["dotnet_name"] {
			t.Errorf("row %d is %+v, in the reference %v", i, info, row)
		}
		if e, err := find(row["id"]); err != nil || e.Number != n {
			t.Errorf("number %d: %v, %v", n, e, err)
		}
		if name := row["dotnet_name"]; name != "" {
			want := n
			switch n {
			case 20932: // one of two numbers of one name
				want = 51932
			case 50222:
				want = 50220
			}
			if e, err := find(name); err != nil || e.Number != want {
				t.Errorf(".NET name %s: %v, %v", name, e, err)
			}
		}
		page, err := Lookup(row["id"])
		switch hasOracle := row["iconv_name"]+row["python_codec"] != "" || !strings.HasPrefix(row["xtext"], "MISSING"); {
		case hasOracle && err != nil:
			t.Errorf("%d: %v", n, err)
		case hasOracle && page.Number != n:
			t.Errorf("%d: got %v", n, page)
		case !hasOracle && n != 50222 && !errors.Is(err, ErrUnsupported):
			t.Errorf("%d has no oracle; got %v, %v", n, page, err)
		}
	}
}

func TestLookup(t *testing.T) {
	for name, want := range map[string]string{
		"1252": "1252 (windows-1252)", "windows-1252": "1252 (windows-1252)", "CP1252": "1252 (windows-1252)", "Windows_1252": "1252 (windows-1252)",
		" 01252 ": "1252 (windows-1252)", "37": "37 (IBM037)", "037": "37 (IBM037)", "cp037": "37 (IBM037)", "ibm-37": "37 (IBM037)",
		"ISO_8859-1:1987": "28591 (iso-8859-1)", "latin1": "28591 (iso-8859-1)", "l1": "28591 (iso-8859-1)", "ISO8859-1": "28591 (iso-8859-1)",
		"Latin-9": "28605 (iso-8859-15)", "iso-8859-10": "iso-8859-10", "L10": "iso-8859-16",
		"ascii": "20127 (us-ascii)", "US-ASCII": "20127 (us-ascii)", "ANSI_X3.4-1968": "20127 (us-ascii)",
		"utf8": "65001 (utf-8)", "UTF-8": "65001 (utf-8)", "cp65001": "65001 (utf-8)", "utf-16le": "1200 (utf-16)", "UTF-16BE": "1201 (unicodeFFFE)",
		"utf-32": "12000 (utf-32)", "utf-32le": "12000 (utf-32)", "utf-32be": "12001 (utf-32BE)", "gb2312": "936 (gb2312)", "GBK": "936 (gb2312)",
		"tis-620": "874 (windows-874)", "big5-hkscs": "950 (big5)", "Big5": "950 (big5)", "windows-31j": "932 (shift_jis)", "sjis": "932 (shift_jis)",
		"euc-jp": "51932 (euc-jp)", "EUC-JP": "51932 (euc-jp)", "20932": "20932 (EUC-JP)", "ks_c_5601-1987": "949 (ks_c_5601-1987)", "uhc": "949 (ks_c_5601-1987)", "cp949": "949 (ks_c_5601-1987)",
		"iso-2022-jp": "50220 (iso-2022-jp)", "csISO2022JP": "50221 (csISO2022JP)", "hz-gb-2312": "52936 (hz-gb-2312)", "hz": "52936 (hz-gb-2312)",
		"dos-862": "862 (DOS-862)", "cp858": "858 (IBM00858)", "ibm01047": "1047 (IBM01047)", "ibm1140": "1140 (IBM01140)", "euc-cn": "51936 (EUC-CN)", "x-euc-cn": "51936 (EUC-CN)",
		"asmo-708": "708 (ASMO-708)", "arabic": "28596 (iso-8859-6)", "mac": "10000 (macintosh)", "x-mac-ukrainian": "10017 (x-mac-ukrainian)",
		"x-koi8-r": "20866 (koi8-r)", "x-windows-949": "949 (ks_c_5601-1987)", "'utf-8'": "65001 (utf-8)", "iso-2022-kr": "50225 (iso-2022-kr)", "iso-2022-cn": "iso-2022-cn", "utf-7": "65000 (utf-7)",
		"code page 28605": "28605 (iso-8859-15)", "iso-8859-8-i": "38598 (iso-8859-8-i)", "visual": "28598 (iso-8859-8)",
	} {
		if got, err := Lookup(name); err != nil || got.String() != want {
			t.Errorf("%q: %v, %v; want %s", name, got, err, want)
		}
	}
}

func TestLookupErrors(t *testing.T) {
	for name, want := range map[string]string{
		"wondows-1252":           `unknown code page "wondows-1252"; did you mean 1252 (windows-1252)?`,
		"windows-125":            `unknown code page "windows-125"; did you mean 1250 (windows-1250)?`,
		"1525":                   `unknown code page "1525"; did you mean 1255 (windows-1255)?`,
		"latin99":                `unknown code page "latin99"; did you mean 28605 (iso-8859-15), also called latin9?`,
		"":                       `"" names no code page; use a Windows number (1252), a .NET name or an IANA name (windows-1252)`,
		"?!":                     `"?!" names no code page; use a Windows number (1252), a .NET name or an IANA name (windows-1252)`,
		"quite something else":   `unknown code page "quite something else"; use a Windows number (1252), a .NET name or an IANA name (windows-1252)`,
		"20001":                  `code page 20001 (x-cp20001), TCA Taiwan: this code page cannot be read: there is no published table to check one against`,
		"x-mac-japanese":         `code page 10001 (x-mac-japanese), Japanese (Mac): this code page cannot be read: no published table; mail made on a Mac is labelled shift_jis (932)`,
		"710":                    `code page 710, Arabic - Transparent Arabic: this code page cannot be read: no published table; .NET does not offer it either`,
		strings.Repeat("x", 200): `unknown code page "xxxxxxxxxxxxxxxx"...: names have at most 80 characters`,
		"99999999999999999999":   `unknown code page "99999999999999999999"; use a Windows number (1252), a .NET name or an IANA name (windows-1252)`,
	} {
		for range 3 { // the suggestion does not depend on the order of a map
			if _, err := Lookup(name); err == nil || err.Error() != want {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

// Every name in the table finds its page, unless a .NET name or an earlier page has it; and IANA knows those said to be its.
func TestNames(t *testing.T) {
	taken := map[string]string{ // names with two meanings, and which it is
		"ASMO-708": "708 (ASMO-708)", "csISO2022JP": "50221 (csISO2022JP)",
	}
	for i := range entries {
		e := &entries[i]
		for _, name := range strings.Fields(e.iana) {
			if _, err := ianaindex.IANA.Encoding(name); err != nil {
				t.Errorf("%v: IANA has no %s", &e.Page, name)
			}
		}
		for _, name := range strings.Fields(e.iana + " " + e.also) {
			want := e.Page.String()
			if other, ok := taken[name]; ok {
				want = other
			}
			if got, err := find(name); err != nil || got.Page.String() != want {
				t.Errorf("%s of %v finds %v, %v", name, &e.Page, got, err)
			}
		}
	}
}

func TestAll(t *testing.T) {
	for _, info := range All() {
		page, err := Lookup(info.Name)
		switch {
		case info.Supported != (info.Page != nil) || !info.Supported && info.Why == "":
			t.Errorf("%+v", info)
		case info.Supported && (err != nil || !strings.EqualFold(page.Name, info.Name)):
			t.Errorf("%s finds %v, %v", info.Name, page, err)
		case !info.Supported && err == nil:
			t.Errorf("%s is refused, but finds %v", info.Name, page)
		case info.Number == 0 && info.DotNet != "":
			t.Errorf("%s has a .NET name without a number", info.Name)
		}
	}
}

func TestRef(t *testing.T) {
	var r Ref
	if err := r.UnmarshalText([]byte("28605")); err != nil || r.Name != "iso-8859-15" {
		t.Error(r, err)
	}
	if err := r.UnmarshalText([]byte("nonsense")); err == nil {
		t.Error("nonsense is taken")
	}
}
