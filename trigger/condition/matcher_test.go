package condition

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"
)

// cond makes a condition of its operator and values.
func cond(field, operator string, values ...string) Condition {
	c := Condition{Field: field}
	switch operator {
	case "is":
		c.Is = values
	case "is_not":
		c.IsNot = values
	case "contains":
		c.Contains = values
	case "not_contains":
		c.NotContains = values
	case "matches":
		c.Matches = values
	case "not_matches":
		c.NotMatches = values
	case "glob":
		c.Glob = values
	case "above":
		c.Above = values[0]
	case "below":
		c.Below = values[0]
	default:
		panic(operator)
	}
	return c
}

func judge(t *testing.T, r Rule, m *Mail) Judgement {
	t.Helper()
	if r.Match == "" {
		r.Match = "all"
	}
	if found := r.Validate(); found != nil {
		t.Fatalf("%+v: %v", r, found)
	}
	matcher, err := Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	return matcher.Judge(m)
}

// The mail is letter; see there.
func TestFields(t *testing.T) {
	tested := map[string]bool{}
	for _, c := range []struct {
		Condition
		want bool
	}{
		{cond("from", "is", "joerg@bücher.example"), true}, // the domain as people write it
		{cond("from", "is", "JOERG@XN--BCHER-KVA.example"), true},
		{cond("from", "is", "joerg@BÜCHER.example"), true},
		{cond("from", "is", "joerg@bu\u0308cher.example"), true}, // decomposed
		{cond("from", "is", "Müller, Jörg <joerg@bücher.example>"), false},
		{cond("from", "is", "erg@bücher.example"), false},
		{cond("from", "is_not", "joerg@bücher.example"), false},
		{cond("from", "is_not", "somebody@example.com"), true},
		{cond("from", "contains", "müller, jörg <joerg@bücher"), true},
		{cond("from", "contains", "xn--bcher"), true},
		{cond("from", "not_contains", "MÜLLER"), false},
		{cond("from", "not_contains", "xn--bcher", "nothing"), false},
		{cond("from", "matches", `^MÜLLER.*<j\w+@b.cher\.example>$`), true},
		{cond("from", "not_matches", `@xn--`), false},
		{cond("from", "glob", "*@bücher.example"), true},
		{cond("from", "glob", "*@xn--*"), true},
		{cond("from", "glob", "M*"), false},
		{cond("to", "is", "second@example.com"), true}, // any of them
		{cond("to", "is", "copy@example.com"), false},
		{cond("to", "is_not", "second@example.com"), false}, // none of them
		{cond("to", "contains", "Ops <ops@"), true},
		{cond("cc", "is", "nobody@example.com", "copy@example.com"), true},
		{cond("reply-to", "glob", "answers@*"), true},
		{cond("recipient", "is", "ops@example.com"), true},
		{cond("recipient", "is", "copy@example.com"), true},
		{cond("recipient", "is", "robot+orders@example.com"), true}, // Delivered-To
		{cond("recipient", "is", "alias@example.net"), true},        // X-Original-To
		{cond("recipient", "is", "answers@example.com"), false},
		{cond("recipient", "matches", `^(Ops|robot\+(?P<box>\w+)@)`), true},
		{cond("subject", "is", " rechnung nr. 2041: strasse "), true},
		{cond("subject", "is", "Rechnung"), false},
		{cond("subject", "contains", "STRAßE"), false}, // ß is not ss
		{cond("subject", "contains", "Auftrag", "nr. 2041"), true},
		{cond("subject", "not_contains", "Auftrag", "nr. 2041"), false},
		{cond("subject", "matches", `nr\. \d+`), true},
		{cond("subject", "matches", `^nr`), false},
		{cond("subject", "not_matches", `^nr`), true},
		{cond("subject", "glob", "rechnung*20[1-4]?:*"), true},
		{cond("subject", "glob", "rechnung"), false},
		{cond("body", "contains", "zahlen"), true},
		{cond("body", "is", "bitte zahlen sie\nbis morgen."), true}, // blanks around it do not count
		{cond("body", "glob", "bitte*morgen."), true},
		{cond("body", "matches", "sie.bis"), false},
		{cond("body", "matches", "(?s)sie.bis"), true},
		{cond("body", "matches", `(?m)sie$`), true},
		{cond("header:list-id", "contains", "<orders."), true},
		{cond("header:X-None", "contains", "a"), false},
		{cond("header:X-None", "not_contains", "a"), true},
		{cond("header:X-None", "matches", ""), false}, // is it there?
		{cond("header:X-Count", "matches", ""), true},
		{cond("header:X-None", "not_matches", ""), true},
		{cond("size", "above", "0.5kB"), true},
		{cond("size", "below", "1MB"), true},
		{cond("size", "above", "1MiB"), false},
		{cond("size", "is", "1"), false},
		{cond("size", "is_not", "1"), true},
		{cond("date", "above", "2026-01-05 09:29 Europe/Berlin"), true},
		{cond("date", "above", "2026-01-05T08:30:00Z"), false},
		{cond("date", "below", "2026-01-05T08:30:01Z"), true},
		{cond("date", "below", "2026-01-05 08:31 UTC"), true},
		{cond("date", "is", "2026-01-05 UTC"), true},
		{cond("date", "is", "2026-01-04 UTC", "2026-01-05 UTC"), true},
		{cond("date", "is", "2026-01-05 Pacific/Auckland"), true},
		{cond("date", "is", "2026-01-05 America/Los_Angeles"), true},
		{cond("date", "is", "2026-01-04 America/Los_Angeles"), false},
		{cond("date", "is_not", "2026-01-05 UTC"), false},
		{cond("age", "above", "1h59m"), true},
		{cond("age", "above", "2h"), false},
		{cond("age", "below", "1d"), true},
		{cond("flag", "is", `\seen`), true},
		{cond("flag", "is_not", "$Junk"), true},
		{cond("flag", "glob", "$*"), true},
		{cond("has-attachment", "is", "true"), true},
		{cond("has-attachment", "is_not", "true"), false},
		{cond("attachment-name", "glob", "*.PDF"), true},
		{cond("attachment-name", "not_contains", ".exe"), true},
		{cond("attachment-name", "not_contains", ".csv"), false},
		{cond("attachment-type", "is", "application/pdf"), true},
		{cond("attachment-type", "glob", "image/*"), false},
		{cond("attachment-size", "above", "40"), true},
		{cond("attachment-size", "above", "1kB"), false},
		{cond("attachment-size", "is", "15"), true},
		{cond("auto-submitted", "is", "true"), true}, // List-Id
		{cond("auto-submitted", "is", "auto-generated"), true},
		{cond("auto-submitted", "is", "auto-replied"), false},
		{cond("auto-submitted", "is", "no", "false"), false},
		{cond("auto-submitted", "is_not", "true"), false},
		{cond("authenticated", "is", "true"), false},
		{cond("authenticated", "is_not", "true"), true},
	} {
		tested[strings.SplitN(c.Field, ":", 2)[0]] = true
		for whole, want := range map[bool]Truth{true: truthOf(c.want), false: truthOf(c.want)} {
			if !whole && NeedsBody(c.Field) {
				want = Unknown
			}
			if got := judge(t, Rule{Conditions: []Condition{c.Condition}}, mailOf(letter, whole)).Truth; got != want {
				t.Errorf("%+v, whole %v: %s; want %s", c.Condition, whole, got, want)
			}
		}
	}
	for _, f := range FieldNames() {
		if !tested[f] {
			t.Errorf("%s is not tested", f)
		}
	}
}

func TestCaseSensitive(t *testing.T) {
	for _, c := range []struct {
		Condition
		want bool
	}{
		{cond("subject", "contains", "STRASSE"), true},
		{cond("subject", "contains", "strasse"), false},
		{cond("subject", "matches", "strasse"), false},
		{cond("subject", "glob", "Rechnung*"), true},
		{cond("subject", "glob", "rechnung*"), false},
		{cond("from", "is", "JOERG@bücher.example"), false},
		{cond("from", "is", "joerg@bücher.example"), true},
	} {
		c.CaseSensitive = true
		if got := judge(t, Rule{Conditions: []Condition{c.Condition}}, mailOf(letter, true)).Truth; got != truthOf(c.want) {
			t.Errorf("%+v: %s; want %v", c.Condition, got, c.want)
		}
	}
}

// Case is that of strings.EqualFold, for every character.
func TestFold(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"Straße", "STRAẞE", true}, {"straße", "strasse", false}, {"ΣΊΣΥΦΟΣ", "σίσυφος", true}, {"K", "\u212A", true},
		{"ı", "I", false}, {"İ", "i", false}, {"I", "i", true}, {"ЖЁ", "жё", true}, {"ǅ", "ǆ", true}, {"漢字", "漢字", true}, {"ſ", "S", true},
	} {
		if got := fold(c.a) == fold(c.b); got != c.same || got != strings.EqualFold(c.a, c.b) {
			t.Errorf("%s and %s: same %v; want %v", c.a, c.b, got, c.same)
		}
	}
	for r := rune(1); r < 0x11000; r++ {
		if upper := []rune(strings.ToUpper(string(r))); len(upper) == 1 && strings.EqualFold(string(r), string(upper)) != (fold(string(r)) == fold(string(upper))) {
			t.Fatalf("%q and %q", r, upper)
		}
	}
}

// The patterns are those of path.Match, but for the slash.
func TestGlob(t *testing.T) {
	alphabet := []string{"a", "b", "*", "?", "[", "]", "^", "-", `\`, ".", "ä", "[a-b]", "[^a]", `[\]]`, "(", "{", "$"}
	rnd := rand.New(rand.NewPCG(1, 2))
	tried := 0
	for range 200_000 {
		var pattern, text string
		for range rnd.IntN(6) {
			pattern += alphabet[rnd.IntN(len(alphabet))]
		}
		for range rnd.IntN(5) {
			text += alphabet[rnd.IntN(11)]
		}
		want, bad := path.Match(pattern, text)
		re, err := compileGlob(pattern, true)
		if err != nil {
			if bad == nil && !strings.Contains(pattern, "-") { // a range that goes down matches nothing there
				t.Fatalf("%q: %v", pattern, err)
			}
			continue
		}
		if got := re.MatchString(text); bad == nil && got != want {
			t.Fatalf("%q, %q: %v; path.Match says %v", pattern, text, got, want)
		}
		tried++
	}
	if tried < 50_000 {
		t.Errorf("only %d patterns tried", tried)
	}
	if got := judge(t, Rule{Conditions: []Condition{cond("subject", "glob", "a*d")}}, mailOf("Subject: a/b\n c/d\n\n", true)); got.Truth != Yes {
		t.Error("a slash is a character like any other")
	}
}

func TestGroups(t *testing.T) {
	yes, no := cond("subject", "contains", "rechnung"), cond("subject", "contains", "auftrag")
	unknownYes, unknownNo := cond("body", "contains", "zahlen"), cond("body", "contains", "auftrag")
	group := func(word string, list ...Condition) Condition {
		return map[string]Condition{"any": {Any: list}, "all": {All: list}, "none": {None: list}}[word]
	}
	for _, c := range []struct {
		match         string
		list          []Condition
		header, whole Truth
	}{
		{"all", nil, Yes, Yes},
		{"any", nil, Yes, Yes},
		{"none", nil, Yes, Yes},
		{"all", []Condition{yes, yes}, Yes, Yes},
		{"all", []Condition{yes, no}, No, No},
		{"all", []Condition{unknownNo, no}, No, No},
		{"all", []Condition{unknownYes, yes}, Unknown, Yes},
		{"all", []Condition{unknownNo, yes}, Unknown, No},
		{"any", []Condition{no, yes}, Yes, Yes},
		{"any", []Condition{no, no}, No, No},
		{"any", []Condition{unknownNo, yes}, Yes, Yes},
		{"any", []Condition{unknownYes, no}, Unknown, Yes},
		{"any", []Condition{unknownNo, no}, Unknown, No},
		{"none", []Condition{no, no}, Yes, Yes},
		{"none", []Condition{unknownNo, yes}, No, No},
		{"none", []Condition{unknownNo, no}, Unknown, Yes},
		{"none", []Condition{unknownYes, no}, Unknown, No},
		{"all", []Condition{yes, group("none", no, group("all", yes, no))}, Yes, Yes},
		{"all", []Condition{group("any", unknownYes, yes), group("none", no)}, Yes, Yes},
		{"none", []Condition{group("none", yes)}, Yes, Yes},
	} {
		for whole, want := range map[bool]Truth{false: c.header, true: c.whole} {
			if got := judge(t, Rule{Match: c.match, Conditions: c.list}, mailOf(letter, whole)).Truth; got != want {
				t.Errorf("%s %+v, whole %v: %s; want %s", c.match, c.list, whole, got, want)
			}
		}
	}
}

// The conditions on attachments of one list are about one attachment: 2041.pdf
// has 15 bytes, lines.csv 51.
func TestSameAttachment(t *testing.T) {
	pdf, csv := cond("attachment-name", "glob", "*.pdf"), cond("attachment-type", "is", "text/csv")
	big, small := cond("attachment-size", "above", "40"), cond("attachment-size", "below", "40")
	notPDF := cond("attachment-type", "is_not", "application/pdf")
	for _, c := range []struct {
		match string
		list  []Condition
		want  bool
	}{
		{"all", []Condition{pdf, small}, true},
		{"all", []Condition{pdf, big}, false}, // the big one is no PDF
		{"all", []Condition{csv, big, cond("subject", "contains", "rechnung")}, true},
		{"all", []Condition{pdf, csv}, false},
		{"all", []Condition{{All: []Condition{pdf}}, {All: []Condition{csv}}}, true}, // two lists, two attachments
		{"all", []Condition{pdf, {Any: []Condition{big}}}, true},
		{"any", []Condition{pdf, big}, true},
		{"none", []Condition{pdf, big}, false},
		{"any", []Condition{{All: []Condition{pdf, big}}, {All: []Condition{csv, big}}}, true},
		{"all", []Condition{notPDF}, false},     // alone: no attachment is one
		{"all", []Condition{notPDF, big}, true}, // the big one is none
		{"all", []Condition{notPDF, small}, false},
		{"all", []Condition{notPDF, cond("attachment-name", "not_contains", "exe")}, false},
		{"all", []Condition{cond("attachment-name", "not_contains", "exe"), cond("attachment-name", "not_contains", "bat")}, true},
	} {
		if got := judge(t, Rule{Match: c.match, Conditions: c.list}, mailOf(letter, true)).Truth; got != truthOf(c.want) {
			t.Errorf("%s %+v: %s; want %v", c.match, c.list, got, c.want)
		}
		if got := judge(t, Rule{Match: "all", Conditions: []Condition{pdf, small}}, mailOf("Subject: none\n\n", true)).Truth; got != No {
			t.Error("a mail without attachments has one")
		}
	}
	logo := mailOf("Content-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n<img src=cid:x>\n--b\nContent-Type: image/png; name=logo.png\nContent-ID: <x>\n\nx\n--b--\n", true)
	if got := judge(t, Rule{Conditions: []Condition{cond("has-attachment", "is", "false"), cond("attachment-name", "not_matches", "")}}, logo).Truth; got != Yes || len(logo.Message.Attachments) != 1 {
		t.Errorf("a picture within the text is an attachment: %s", got)
	}
}

func TestNamedGroups(t *testing.T) {
	subject, body := cond("subject", "matches", `nr\. (?P<number>\d+)`), cond("body", "matches", `bis (?P<when>\w+)`)
	for _, c := range []struct {
		match string
		list  []Condition
		want  string
	}{
		{"all", []Condition{subject, body}, "map[number:2041 when:morgen]"},
		{"any", []Condition{subject, body}, "map[number:2041]"},
		{"all", []Condition{subject, cond("subject", "matches", `(?P<number>Rech)`)}, "map[number:Rech]"},
		{"any", []Condition{{All: []Condition{subject, cond("subject", "is", "x")}}, body}, "map[when:morgen]"}, // what failed gives nothing
		{"all", []Condition{body, {None: []Condition{{All: []Condition{subject, cond("subject", "is", "x")}}}}}, "map[when:morgen]"},
		{"all", []Condition{subject, cond("subject", "is", "x")}, "map[]"},
		{"none", []Condition{cond("subject", "matches", `(?P<number>x)`)}, "map[]"},
		{"all", []Condition{cond("attachment-name", "matches", `(?P<base>.*)\.`), cond("attachment-size", "above", "40")}, "map[base:lines]"},
	} {
		if got := judge(t, Rule{Match: c.match, Conditions: c.list}, mailOf(letter, true)); fmt.Sprint(got.Groups) != c.want {
			t.Errorf("%s %+v: %v; want %s", c.match, c.list, got.Groups, c.want)
		}
	}
	long := judge(t, Rule{Conditions: []Condition{cond("body", "matches", `(?P<all>x+)`)}}, mailOf("Subject: x\n\n"+strings.Repeat("x", 100_000), true))
	if n := len(long.Groups["all"]); n < maxGroup || n > maxGroup+10 {
		t.Errorf("a group of %d bytes is kept", n)
	}
}

// An expression must hold besides, whatever match is.
func TestConditionsAndExpression(t *testing.T) {
	yes, no := []Condition{cond("subject", "contains", "rechnung")}, []Condition{cond("subject", "contains", "auftrag")}
	for _, c := range []struct {
		Rule
		header, whole Truth
	}{
		{Rule{Expression: "true"}, Yes, Yes},
		{Rule{Expression: "false"}, No, No},
		{Rule{Match: "any", Conditions: yes, Expression: "false"}, No, No},
		{Rule{Match: "any", Conditions: no, Expression: "true"}, No, No},
		{Rule{Match: "none", Conditions: no, Expression: "true"}, Yes, Yes},
		{Rule{Match: "none", Conditions: no, Expression: "false"}, No, No},
		{Rule{Match: "none", Conditions: yes, Expression: "true"}, No, No},
		{Rule{Conditions: yes, Expression: `message.text contains "zahlen"`}, Unknown, Yes},
		{Rule{Conditions: no, Expression: `message.text contains "zahlen"`}, No, No},
		{Rule{Conditions: []Condition{cond("body", "contains", "zahlen")}, Expression: "false"}, No, No},
		{Rule{Conditions: no, Expression: `message.bcc[0].name == ""`}, No, No}, // not even looked at
	} {
		for whole, want := range map[bool]Truth{false: c.header, true: c.whole} {
			if got := judge(t, c.Rule, mailOf(letter, whole)); got.Truth != want || got.Err != nil {
				t.Errorf("%+v, whole %v: %+v; want %s", c.Rule, whole, got, want)
			}
		}
	}
	failing := judge(t, Rule{Conditions: yes, Expression: `message.bcc[0].name == ""`}, mailOf(letter, true))
	if failing.Err == nil || failing.Truth != Unknown {
		t.Errorf("%+v", failing)
	}
}

// randomCondition makes conditions of all fields and operators, nested.
func randomCondition(rnd *rand.Rand, depth int) Condition {
	if depth > 0 && rnd.IntN(3) == 0 {
		list := randomList(rnd, depth-1, 1)
		return [...]Condition{{Any: list}, {All: list}, {None: list}}[rnd.IntN(3)]
	}
	name := FieldNames()[rnd.IntN(len(fields))]
	f, _, _ := lookup(name)
	operator := operatorsOf[f.kind][rnd.IntN(len(operatorsOf[f.kind]))]
	values := map[kind][]string{
		words: {"a", "e", "pdf", "2041", "Rechnung", "zahlen", "csv"}, addresses: {"ops@example.com", "example", "o", "joerg@bücher.example"},
		yesNo: {"true", "false"}, keyword: {"true", "no", "auto-generated"}, size: {"20", "500", "1MB"}, age: {"1h", "3h"}, date: {"2026-01-05", "2027-01-01"},
	}[f.kind]
	if name == "header" {
		name = "header:Subject"
	}
	return cond(name, operator, values[rnd.IntN(len(values))])
}

func randomList(rnd *rand.Rand, depth, least int) (list []Condition) {
	for range least + rnd.IntN(4) {
		list = append(list, randomCondition(rnd, depth))
	}
	return list
}

// What the header says is never contradicted by the whole message, whatever the
// body is; and what is explained is what is judged.
func TestHeaderNeverContradicts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	head, body, _ := strings.Cut(letter, "\n\n")
	bodies := []string{body, "", "--next\n\nzahlen a 2041\n--next--", "--next\nContent-Type: application/x; name=e.csv\nContent-Disposition: attachment\n\n" + strings.Repeat("x", 600) + "\n--next--", "a line: x\n\nRechnung"}
	expressions := []string{"", "", `message.subject contains "Rech"`, `len(message.attachments) > 1`, `message.text contains "zahlen" or uid == 1`}
	counts := map[Truth]int{}
	for range 3000 {
		r := Rule{Match: []string{"all", "any", "none"}[rnd.IntN(3)], Conditions: randomList(rnd, 3, 0), Expression: expressions[rnd.IntN(len(expressions))]}
		m, err := Compile(r)
		if err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		header := m.Judge(mailOf(head+"\n\n", false)).Truth
		counts[header]++
		for _, b := range bodies {
			mail := mailOf(head+"\n\n"+b, true)
			mail.Message.Size = int64(len(strings.ReplaceAll(head+"\n\n", "\n", "\r\n"))) // as listed
			whole := m.Judge(mail)
			if whole.Err != nil || whole.Truth == Unknown || header != Unknown && header != whole.Truth {
				t.Fatalf("%+v: the header says %s, with the body %q it is %+v", r, header, b, whole)
			}
			explained, verdicts := m.Explain(mail)
			if explained.Truth != whole.Truth || !consistent(r.Match, verdicts, len(r.Conditions), whole.Truth == Yes) {
				t.Fatalf("%+v: judged %s, explained %s by %+v", r, whole.Truth, explained.Truth, verdicts)
			}
		}
	}
	for _, truth := range []Truth{Yes, No, Unknown} {
		if counts[truth] < 100 {
			t.Errorf("the header said %s %d times only", truth, counts[truth])
		}
	}
}

// consistent reports whether verdicts add up to what they are said to.
func consistent(word string, list []Verdict, n int, ok bool) bool {
	holds := func(v Verdict) bool { return v.OK }
	conditions, rest := list[:n], list[n:]
	var all bool
	switch word {
	case "all":
		all = !slices.ContainsFunc(conditions, func(v Verdict) bool { return !v.OK })
	case "any":
		all = n == 0 || slices.ContainsFunc(conditions, holds)
	case "none":
		all = !slices.ContainsFunc(conditions, holds)
	}
	for _, v := range rest {
		all = all && v.OK
	}
	for _, v := range conditions {
		if v.Conditions != nil && !consistent(v.Field, v.Conditions, len(v.Conditions), v.OK) {
			return false
		}
	}
	return all == ok
}

func TestExplain(t *testing.T) {
	m, err := Compile(Rule{Match: "all", Expression: "uid > 1", Conditions: []Condition{
		cond("from", "glob", "*@bücher.example"),
		cond("attachment-name", "glob", "*.pdf"),
		{Any: []Condition{cond("attachment-size", "above", "40"), cond("header:X-None", "is", "x")}},
		cond("attachment-size", "above", "40"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	said, verdicts := m.Explain(mailOf(letter, true))
	got := fmt.Sprintf("%s %+v", said.Truth, verdicts)
	want := `no [` +
		`{Field:from Operator:glob Want:[*@bücher.example] Got:[joerg@xn--bcher-kva.example] OK:true Why: Conditions:[]} ` +
		`{Field:attachment-name Operator:glob Want:[*.pdf] Got:[2041.pdf] OK:true Why:of "2041.pdf", the attachment that fits best Conditions:[]} ` +
		`{Field:any Operator:group Want:[any of 2] Got:[1] OK:true Why: Conditions:[` +
		`{Field:attachment-size Operator:above Want:[40] Got:[15 51] OK:true Why: Conditions:[]} ` +
		`{Field:header:X-None Operator:is Want:[x] Got:[] OK:false Why: Conditions:[]}]} ` +
		`{Field:attachment-size Operator:above Want:[40] Got:[15] OK:false Why:of "2041.pdf", the attachment that fits best Conditions:[]} ` +
		`{Field:expression Operator:is Want:[uid > 1] Got:[true] OK:true Why: Conditions:[]}]`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, "To: a%d@example.com\n", i)
	}
	m, _ = Compile(Rule{Match: "all", Conditions: []Condition{cond("to", "is", "x"), cond("body", "is", "x")}})
	_, verdicts = m.Explain(mailOf(many.String()+"\n"+strings.Repeat("ä", 1000), true))
	if n := len(verdicts[0].Got); n != maxGots+1 || verdicts[0].Got[maxGots] != "… and 80 more" {
		t.Errorf("%d addresses are shown: %q", n, verdicts[0].Got)
	}
	if n := len(verdicts[1].Got[0]); n > maxGot+len("…") {
		t.Errorf("%d bytes of the body are shown", n)
	}
}

// A regular expression that takes too long has a defined end, and what is known
// without it still counts.
func TestTime(t *testing.T) {
	slow, no := cond("body", "matches", `(?P<x>(?:[ab]?){400})zz`), cond("subject", "is", "x")
	for _, c := range []struct {
		match string
		list  []Condition
		want  Truth // Unknown: an error
	}{
		{"all", []Condition{slow}, Unknown},
		{"none", []Condition{slow}, Unknown},
		{"all", []Condition{slow, no}, No},
		{"any", []Condition{slow, {None: []Condition{no}}}, Yes},
		{"all", []Condition{cond("body", "not_matches", `(?:[ab]?){400}zz`)}, Unknown},
		{"all", []Condition{cond("attachment-name", "glob", "*"), slow}, No},
	} {
		m, err := Compile(Rule{Match: c.match, Conditions: c.list})
		if err != nil {
			t.Fatal(err)
		}
		s := newSight(mailOf("Subject: y\n\n"+strings.Repeat("ab", 1<<20), true))
		s.deadline = time.Now().Add(50 * time.Millisecond)
		begin := time.Now()
		got := m.judge(s)
		if took := time.Since(begin); got.Truth != c.want || (got.Err != nil) != (c.want == Unknown) || took > 10*time.Second {
			t.Errorf("%s %+v: %+v in %s; want %s", c.match, c.list, got, took, c.want)
		}
	}
}

// A long text is matched as a short one is, with the same groups.
func TestLongText(t *testing.T) {
	for _, c := range []struct {
		pattern string
		groups  string
	}{
		{`(?P<first>\pL+)\s(?P<second>z{3})(?P<none>q)?`, "map[first:ä none: second:zzz]"},
		{`^x`, "map[]"}, {`\Ax.*(?P<a>ä)`, "map[a:ä]"}, {`zzz$`, "map[]"}, {`\bzzz\b`, "map[]"}, {`(?m)^y(?P<n>\d)$`, "map[n:1]"},
	} {
		r := Rule{Match: "all", Conditions: []Condition{cond("body", "matches", c.pattern)}}
		for _, n := range []int{1, shortText} {
			got := judge(t, r, mailOf("Content-Type: text/plain; charset=utf-8\n\n"+strings.Repeat("x", n)+"ä\ny1\nä zzz", true))
			if got.Truth != Yes || got.Groups == nil && c.groups != "map[]" || fmt.Sprint(got.Groups) != c.groups {
				t.Errorf("%s, %d bytes: %+v; want %s", c.pattern, n, got, c.groups)
			}
		}
	}
}

// What a server takes for the header of these is not what a reader does.
func TestMendedHeaderDoesNotDecide(t *testing.T) {
	r := Rule{Match: "all", Conditions: []Condition{cond("subject", "is", "x")}}
	for _, c := range []struct{ header, whole string }{
		{"\n", "\nSubject: x\n\ntext"},
		{"", "\n\nSubject: x\n\ntext"},
		{"no field\n", "no field\nSubject: x\n\ntext"},
	} {
		whole := judge(t, r, mailOf(c.whole, true)).Truth
		if header := judge(t, r, mailOf(c.header, false)).Truth; header != Unknown && header != whole {
			t.Errorf("%q: the header says %s, the whole message %s", c.whole, header, whole)
		}
	}
}
