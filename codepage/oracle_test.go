package codepage

import (
	"bufio"
	"crypto/sha256"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"mailtrigger/codepage/internal/oracle"
)

// What the oracles say of every code of every page is recorded in testdata/oracles.txt:
// a hash of the oracle's whole table, and where it is not ours. So each difference can be
// read, and is meant; doc.go has the reasons. Run the tests with -update to record anew.
const recordFile = "testdata/oracles.txt"

var update = flag.Bool("update", false, "record what the oracles say in "+recordFile)

// An inquiry is about one page in one oracle.
type inquiry struct {
	page string
	oracle.Request
}

// inquiries are all that can be asked about the pages of codepages.csv.
func inquiries(t testing.TB) (list []inquiry) {
	add := func(page, program, codec string, forms ...oracle.Request) {
		for _, f := range forms {
			f.Program, f.Codec = program, codec
			list = append(list, inquiry{page, f})
		}
	}
	one := oracle.Request{Range: "00-ff"}
	two := oracle.Request{Range: "80-ffx00-ff"}
	set := func(prefix, suffix string) oracle.Request {
		return oracle.Request{Prefix: prefix, Range: "21-7ex21-7e", Suffix: suffix}
	}
	for _, row := range reference(t) {
		id, iconv, python := row["id"], row["iconv_name"], row["python_codec"]
		var forms []oracle.Request
		switch id {
		case "1200", "1201", "12000", "12001", "65000", "65001":
			continue // no tables: unicode_test.go
		case "708", "50227":
			continue // not the oracle's, by the notes
		case "932", "936", "949", "950", "1361", "10003", "10008", "20936", "20949", "51936", "51949", "20261", "20269":
			forms = []oracle.Request{one, two}
		case "20932", "51932":
			forms = []oracle.Request{one, two, {Prefix: "\x8F", Range: "a1-fexa1-fe"}}
		case "54936":
			forms = []oracle.Request{one, two, {Range: "81-84x30-39x81-fex30-39"}}
		case "50220":
			forms = []oracle.Request{{Range: "00-7f"}, set("\x1b$B", "\x1b(B")}
		case "50221":
			forms = []oracle.Request{set("\x1b$(D", "\x1b(B"), {Prefix: "\x1b(I", Range: "21-7e", Suffix: "\x1b(B"}}
		case "50225":
			forms = []oracle.Request{set("\x1b$)C\x0E", "\x0F")}
		case "50229":
			forms = []oracle.Request{
				set("\x1b$)A\x0E", "\x0F"), set("\x1b$)G\x0E", "\x0F"), set("\x1b$)E\x0E", "\x0F"), set("\x1b$*H\x1bN", ""), set("\x1b$+I\x1bO", ""),
				set("\x1b$+J\x1bO", ""), set("\x1b$+K\x1bO", ""), set("\x1b$+L\x1bO", ""), set("\x1b$+M\x1bO", ""),
			}
		case "50930", "50933", "50935", "50937", "50939":
			forms = []oracle.Request{one, {Prefix: "\x0E", Range: "40-fex40-fe", Suffix: "\x0F"}}
		case "51950":
			forms = []oracle.Request{one, two}
			for plane := byte(0xA1); plane <= 0xB0; plane++ {
				forms = append(forms, oracle.Request{Prefix: string([]byte{0x8E, plane}), Range: "a1-fexa1-fe"})
			}
		case "52936":
			forms = []oracle.Request{set("~{", "~}")}
		default:
			forms = []oracle.Request{one}
		}
		if python != "" {
			add(id, "python", python, forms...)
		}
		if iconv != "" {
			add(id, "iconv", iconv, forms...)
		}
	}
	for _, x := range [][3]string{
		{"iso-8859-10", "python", "iso8859_10"}, {"iso-8859-10", "iconv", "ISO-8859-10"},
		{"iso-8859-14", "python", "iso8859_14"}, {"iso-8859-14", "iconv", "ISO-8859-14"},
		{"iso-8859-16", "python", "iso8859_16"}, {"iso-8859-16", "iconv", "ISO-8859-16"},
		{"cp1125", "python", "cp1125"}, {"cp1125", "iconv", "CP1125"}, {"hp-roman8", "python", "hp_roman8"}, {"hp-roman8", "iconv", "HP-ROMAN8"},
		{"koi8-t", "python", "koi8_t"}, {"koi8-t", "iconv", "KOI8-T"}, {"kz-1048", "python", "kz1048"}, {"kz-1048", "iconv", "RK1048"},
		{"ptcp154", "python", "ptcp154"}, {"ptcp154", "iconv", "PT154"}, {"viscii", "iconv", "VISCII"},
	} {
		add(x[0], x[1], x[2], one)
	}
	add("950", "python", "big5hkscs", two)
	add("iso-2022-cn", "iconv", "ISO-2022-CN", set("\x1b$)A\x0E", "\x0F"), set("\x1b$)G\x0E", "\x0F"), set("\x1b$*H\x1bN", ""))
	add("50220", "python", "iso2022_jp_2", set("\x1b$A", "\x1b(B"), set("\x1b$(C", "\x1b(B"),
		oracle.Request{Prefix: "\x1b.A\x1bN", Range: "20-7f"}, oracle.Request{Prefix: "\x1b.F\x1bN", Range: "20-7f"})
	return list
}

// codes lists the codes of a range in order.
func codes(spans string) []string {
	list := []string{""}
	for span := range strings.SplitSeq(spans, "x") {
		lo, err1 := strconv.ParseUint(span[:2], 16, 8)
		hi, err2 := strconv.ParseUint(span[3:], 16, 8)
		if err1 != nil || err2 != nil {
			panic(spans)
		}
		var next []string
		for _, code := range list {
			for b := lo; b <= hi; b++ {
				next = append(next, code+string([]byte{byte(b)}))
			}
		}
		list = next
	}
	return list
}

// ours is what our page says to an inquiry, by the rules of oracle.py.
func ours(t testing.TB, q inquiry) oracle.Table {
	page, err := Lookup(q.page)
	if err != nil {
		t.Fatal(err)
	}
	d := page.Encoding.NewDecoder()
	decode := func(code string) string {
		s, err := d.String(q.Prefix + code + q.Suffix)
		if err != nil || strings.ContainsRune(s, utf8.RuneError) || utf8.RuneCountInString(s) > 2 {
			return ""
		}
		return s
	}
	table := oracle.Table{}
	lead := map[byte]bool{}
	for _, code := range codes(q.Range) {
		if len(code) > 1 {
			alone, known := lead[code[0]]
			if !known {
				alone = decode(code[:1]) != ""
				lead[code[0]] = alone
			}
			if alone {
				continue
			}
		}
		if s := decode(code); s != "" {
			table[code] = s
		}
	}
	return table
}

// key is the inquiry as recorded.
func (q inquiry) key() string {
	return fmt.Sprintf("%s %s %s %q %s %q", q.page, q.Program, q.Codec, q.Prefix, q.Range, q.Suffix)
}

func hash(table oracle.Table) string {
	h := sha256.New()
	for _, code := range slices.Sorted(maps.Keys(table)) {
		fmt.Fprintf(h, "%x=%x\n", code, table[code])
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:12])
}

// difference writes what must be changed in a table to get another. A run of codes
// for a run of runes, or for none, is written once, with the number of those after the first.
func difference(from, to oracle.Table, spans string) string {
	var b strings.Builder
	var start string
	var first, last string
	n := 0
	flush := func() {
		if n == 0 {
			return
		}
		fmt.Fprintf(&b, " %x", start)
		if n > 1 {
			fmt.Fprintf(&b, "+%d", n-1)
		}
		b.WriteByte('=')
		if first == "" {
			b.WriteByte('-')
		}
		for i, r := range []rune(first) {
			if i > 0 {
				b.WriteByte('+')
			}
			fmt.Fprintf(&b, "%x", r)
		}
		n = 0
	}
	for _, code := range codes(spans) {
		if from[code] == to[code] {
			flush()
			continue
		}
		if n > 0 && to[code] == after(last) {
			last = to[code]
			n++
			continue
		}
		flush()
		start, first, last, n = code, to[code], to[code], 1
	}
	flush()
	return strings.TrimPrefix(b.String(), " ")
}

// after is what follows s in a run.
func after(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if s == "" || n != len(s) {
		return s
	}
	return string(r + 1)
}

// patch applies a difference.
func patch(t testing.TB, table oracle.Table, diff, spans string) oracle.Table {
	table = maps.Clone(table)
	all := codes(spans)
	for d := range strings.FieldsSeq(diff) {
		var code, runes string
		left, right, _ := strings.Cut(d, "=")
		left, more, _ := strings.Cut(left, "+")
		n := 0
		if more != "" {
			n, _ = strconv.Atoi(more)
		}
		if _, err := fmt.Sscanf(left, "%x", &code); err != nil {
			t.Fatal(d, err)
		}
		if right != "-" {
			for r := range strings.SplitSeq(right, "+") {
				v, err := strconv.ParseInt(r, 16, 32)
				if err != nil {
					t.Fatal(d, err)
				}
				runes += string(rune(v))
			}
		}
		i, ok := slices.BinarySearch(all, code)
		if !ok {
			t.Fatalf("%s is not in %s", d, spans)
		}
		for range n + 1 {
			if table[all[i]] = runes; runes == "" {
				delete(table, all[i])
			}
			runes = after(runes)
			i++
		}
	}
	return table
}

func TestOracles(t *testing.T) {
	if *update {
		recordOracles(t)
	}
	recorded := map[string][]string{}
	f, err := os.Open(recordFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if line := lines.Text(); line != "" && line[0] != '#' {
			fields := strings.Split(line, "\t")
			recorded[fields[0]] = fields
		}
	}
	for _, q := range inquiries(t) {
		r := recorded[q.key()]
		delete(recorded, q.key())
		if len(r) != 4 {
			t.Errorf("%s: not recorded; run with -update", q.key())
			continue
		}
		mine := ours(t, q)
		if got := patch(t, mine, r[3], q.Range); hash(got) != r[2] {
			t.Errorf("%s: the page has changed: with the differences on record it has %d characters, the oracle %s", q.key(), len(got), r[1])
		}
	}
	for key := range recorded {
		t.Errorf("%s: recorded, but not asked", key)
	}
}

// versions names the oracles' programs.
func versions(t testing.TB) string {
	v, err := oracle.Versions()
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	}
	return v
}

func recordOracles(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by go test -run TestOracles -update; do not edit.\n# %s\n", versions(t))
	b.WriteString("# page program codec prefix range suffix, codes, hash of the oracle's table, what it has in place of ours\n")
	forOracles(t, func(q inquiry, table oracle.Table) {
		fmt.Fprintf(&b, "%s\t%d\t%s\t%s\n", q.key(), len(table), hash(table), difference(ours(t, q), table, q.Range))
	})
	if err := os.WriteFile(recordFile, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
}

func forOracles(t *testing.T, f func(inquiry, oracle.Table)) {
	list := inquiries(t)
	ask := make([]oracle.Request, len(list))
	for i, q := range list {
		ask[i] = q.Request
	}
	tables, err := oracle.Tables(ask)
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range list {
		if tables[i] == nil {
			t.Errorf("%s: no such codec", q.key())
			continue
		}
		f(q, tables[i])
	}
}

// The record is what the oracles say today, if they are those of the record.
func TestRecord(t *testing.T) {
	record, err := os.ReadFile(recordFile)
	if err != nil {
		t.Fatal(err)
	}
	if v := versions(t); !strings.Contains(string(record), "# "+v+"\n") {
		t.Skipf("the record was made with other versions than %s", v)
	}
	forOracles(t, func(q inquiry, table oracle.Table) {
		if line := fmt.Sprintf("%s\t%d\t%s\t", q.key(), len(table), hash(table)); !strings.Contains(string(record), "\n"+line) {
			t.Errorf("%s: the oracle says something else than the record; run with -update", q.key())
		}
	})
}
