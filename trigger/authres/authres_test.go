package authres

import (
	"reflect"
	"strings"
	"testing"

	"mailtrigger/trigger/message"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		value string
		want  *Field // nil: not by the rules
	}{
		// RFC 8601, appendix B.
		{"example.org 1; none", &Field{ServerID: "example.org"}},
		{"example.com; spf=pass smtp.mailfrom=example.net", &Field{"example.com", []Result{{"spf", "pass", map[string]string{"smtp.mailfrom": "example.net"}}}}},
		{`example.com; auth=pass (cram-md5) smtp.auth=sender@example.net; spf=fail smtp.mailfrom=example.net`,
			&Field{"example.com", []Result{{"auth", "pass", map[string]string{"smtp.auth": "sender@example.net"}}, {"spf", "fail", map[string]string{"smtp.mailfrom": "example.net"}}}}},
		{`foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail policy (A dot can go here) . (like that) expired (this surprised me) = (as I wasn't expecting it) 1362471462`,
			&Field{"foo.example.net", []Result{{"dkim", "fail", map[string]string{"policy.expired": "1362471462"}}}}},
		// Of servers.
		{`mx.google.com; dkim=pass header.i=@example.com header.s=a header.b=MWO+1/x=; spf=pass (google.com: domain of a@example.com designates 192.0.2.1 as permitted sender) smtp.mailfrom=a@example.com; dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.com`,
			&Field{"mx.google.com", []Result{
				{"dkim", "pass", map[string]string{"header.i": "@example.com", "header.s": "a", "header.b": "MWO+1/x="}},
				{"spf", "pass", map[string]string{"smtp.mailfrom": "a@example.com"}},
				{"dmarc", "pass", map[string]string{"header.from": "example.com"}}}}},
		{`mx; dmarc=pass action=none header.from=example.com;compauth=pass reason=100`,
			&Field{"mx", []Result{{"dmarc", "pass", map[string]string{"header.from": "example.com"}}, {"compauth", "pass", nil}}}},
		{`mx; iprev=pass policy.iprev=2001:db8::1;`, &Field{"mx", []Result{{"iprev", "pass", map[string]string{"policy.iprev": "2001:db8::1"}}}}},
		{`"my mx" 1; spf=pass reason="it \"is\"; dmarc=pass" smtp.mailfrom="a;dmarc=pass"@example.com`,
			&Field{"my mx", []Result{{"spf", "pass", map[string]string{"smtp.mailfrom": "a;dmarc=pass@example.com"}}}}},
		{`mx; SPF=Pass (a (nested) \) comment)`, &Field{"mx", []Result{{"spf", "pass", nil}}}},
		{"mx;", &Field{ServerID: "mx"}},
		{"mx", &Field{ServerID: "mx"}},
		// Not by the rules.
		{"", nil},
		{"; spf=pass", nil},
		{"mx 2; spf=pass", nil},
		{"mx 1 1; spf=pass", nil},
		{"mx spf=pass", nil},
		{"mx; spf", nil},
		{"mx; spf=", nil},
		{"mx; =pass", nil},
		{"mx; spf/2=pass", nil},
		{"mx; spf=pass (never ends", nil},
		{`mx; spf=pass reason="never ends`, nil},
		{"mx; dkim=pass header.d=a header.d=b", nil},
		{"mx; dkim=pass header.d", nil},
		{"mx; " + strings.Repeat("spf=pass;", 101), nil},
		{"mx; spf=pass " + strings.Repeat("(", 30) + strings.Repeat(")", 30), nil},
		{"mx; spf=pass " + strings.Repeat(" ", maxField), nil},
		{"mx; dkim=pass header.d=" + "\x00,example.com@", &Field{"mx", []Result{{"dkim", "pass", map[string]string{"header.d": "\x00,example.com@"}}}}},
	} {
		got, err := Parse(c.value)
		if !reflect.DeepEqual(got, c.want) || (err == nil) != (c.want != nil) {
			t.Errorf("%.100s: %+v, %v; want %+v", c.value, got, err, c.want)
		}
	}
}

// head makes a message of a header: what the trusted server added, and what came in.
func head(fields string) *message.Message {
	return message.ParseHeader([]byte(strings.ReplaceAll(fields, "\n", "\r\n")+"\r\n\r\n"), message.Options{})
}

const pass = "Authentication-Results: mx.example.com; dmarc=pass header.from=bank.example\n"

func TestJudge(t *testing.T) {
	const own, from = "Received: from out.bank.example by mx.example.com (Postfix); Mon, 05 Jan 2026 09:30:00 +0100\n", "From: Bank <a@bank.example>"
	for _, c := range []struct {
		name, header string
		ok           bool
		why          string
	}{
		{"dmarc", pass + from, true, "dmarc=pass"},
		{"below its Received", own + pass + from, true, ""},
		{"above its Received", pass + own + from, true, ""},
		{"id in another case", "Authentication-Results: MX.Example.com 1; dmarc=pass\n" + from, true, ""},
		{"none", from, false, "no Authentication-Results of mx.example.com"},
		{"another's", "Authentication-Results: other.example; dmarc=pass\n" + from, false, "no Authentication-Results of"},
		{"below another's", "Authentication-Results: filter.example; dmarc=fail\n" + pass + from, true, ""},
		{"forged below", "Authentication-Results: mx.example.com; dmarc=fail\n" + pass + from, false, "dmarc=fail"},
		{"forged below one without result", "Authentication-Results: mx.example.com; none\n" + pass + from, false, "no result"},
		{"forged below one that cannot be read", "Authentication-Results: mx.example.com; dmarc=\n" + pass + from, false, "not believed"},
		{"forged below a foreign hop", own + "Received: from x by relay.evil.example; date\n" + pass + from, false, "where the trusted part"},
		{"through the server's own filter", own + "Received: from mx.example.com (localhost [127.0.0.1]) by localhost (filter); date\n" + own + pass + from, true, ""},
		{"through another host of the organization", own + "Received: from a by mx2.example.com; date\n" + pass + from, true, ""},
		{"behind later hops of others", "Received: from mx.example.com by store.other.example; date\n" + own + pass + from, true, ""},
		{"a hop that says by in a comment", own + "Received: from x (by mx.example.com) by relay.evil.example; date\n" + pass + from, false, ""},
		{"two From fields", pass + from + "\nFrom: evil@evil.example", false, "the author is in doubt"},
		{"two From addresses", pass + "From: a@bank.example, evil@evil.example", false, "in doubt"},
		{"two addresses without a comma", pass + "From: <a@bank.example> <evil@evil.example>", false, "in doubt"},
		{"an address by guess", pass + "From: a@bank.example evil@evil.example", false, "in doubt"},
		{"an address in an encoded word", pass + "From: =?utf-8?q?a=40bank.example?=", false, "in doubt"},
		{"no From", pass + "Subject: x", false, "in doubt"},
		{"From without a domain", pass + "From: root", false, "no domain"},
		{"a line that is no field", pass + from + "\nno field\nX-From: x", false, "in doubt"},
		{"a bare CR", pass + from + "\nSubject: x\rFrom: evil@evil.example", false, "in doubt"},
		{"a comma in the name", pass + "From: =?utf-8?q?Bank=2C_J=C3=B6rg?= <a@bank.example>", true, ""},
		{"an address as the name", pass + `From: "boss@example.com" <a@bank.example>`, true, ""},
		{"an address of another domain", pass + "From: a@evil.example", false, "dmarc=pass is for bank.example, not for evil.example"},
		{"an encoded word is no syntax", "Authentication-Results: mx.example.com; spf=pass smtp.mailfrom==?us-ascii?q?x;_dmarc=3Dpass?=@evil.example\n" + from, false, ""},
		{"two dmarc results", "Authentication-Results: mx.example.com; dmarc=pass; dmarc=fail\n" + from, false, "dmarc=fail"},
		{"dmarc fails, dkim passes", "Authentication-Results: mx.example.com; dmarc=fail; dkim=pass header.d=bank.example\n" + from, false, "dmarc=fail"},
		{"dkim, no policy", "Authentication-Results: mx.example.com; dmarc=none; dkim=pass header.d=bank.example\n" + from, true, "dkim=pass for bank.example"},
		{"dkim of the organization", "Authentication-Results: mx.example.com; dkim=pass header.i=@news.bank.example\n" + from, true, ""},
		{"dkim of another", "Authentication-Results: mx.example.com; dkim=pass header.d=evil.example header.i=@bank.example\n" + from, false, "nothing passes"},
		{"dkim of a public suffix", "Authentication-Results: mx.example.com; dkim=pass header.d=co.uk\nFrom: a@bank.co.uk", false, ""},
		{"two of one public suffix", "Authentication-Results: mx.example.com; dkim=pass header.d=evil.co.uk\nFrom: a@bank.co.uk", false, ""},
		{"spf", "Authentication-Results: mx.example.com; dkim=fail header.d=bank.example; spf=pass smtp.mailfrom=bounces@mail.bank.example\n" + from, true, "spf=pass"},
		{"spf of the greeting", "Authentication-Results: mx.example.com; spf=pass smtp.helo=bank.example\n" + from, false, ""},
		{"spf fails", "Authentication-Results: mx.example.com; spf=softfail smtp.mailfrom=a@bank.example\n" + from, false, "spf=softfail"},
		{"another spelling of the domain", "Authentication-Results: mx.example.com; dmarc=pass header.from=xn--bcher-kva.example\nFrom: a@Bücher.example", true, ""},
		{"version 2", "Authentication-Results: mx.example.com 2; dmarc=pass\n" + from, false, "version"},
	} {
		ok, why := Judge(head(c.header), "mx.example.com")
		if ok != c.ok || !strings.Contains(why, c.why) || why == "" {
			t.Errorf("%s: %v (%s); want %v (%s)", c.name, ok, why, c.ok, c.why)
		}
		whole := message.Parse([]byte(strings.ReplaceAll(c.header, "\n", "\r\n")+"\r\n\r\nno field\r\ntext\r\n"), message.Options{})
		if again, _ := Judge(whole, "mx.example.com"); again != ok {
			t.Errorf("%s: with the body %v", c.name, again)
		}
		if ok, why := Judge(head(c.header), ""); ok || !strings.Contains(why, "authserv_id") {
			t.Errorf("%s: believed without authserv_id: %s", c.name, why)
		}
	}
}

// Fields that are beyond what is read may hold another author.
func TestJudgeTooManyFields(t *testing.T) {
	h := pass + "From: a@bank.example\n" + strings.Repeat("X: y\n", message.MaxHeaderFields) + "From: evil@evil.example"
	if ok, why := Judge(head(h), "mx.example.com"); ok {
		t.Error(why)
	}
}

func FuzzJudge(f *testing.F) {
	f.Add("mx; dmarc=pass header.from=bank.example", "from a by mx; date", "a@bank.example")
	f.Fuzz(func(t *testing.T, results, received, from string) {
		field, err := Parse(results)
		if (field == nil) == (err == nil) {
			t.Fatalf("%v, %v", field, err)
		}
		if err == nil {
			if id := (&parser{s: results}).serverID(); id != field.ServerID {
				t.Fatalf("two ids: %q, %q", id, field.ServerID)
			}
		}
		receivedBy(received)
		m := head("Authentication-Results: " + results + "\nReceived: " + received + "\nFrom: " + from)
		ok, why := Judge(m, "mx")
		if why == "" || len(why) > 2000 {
			t.Fatalf("why %q", why)
		}
		if _, sure := m.Author(); ok && (!sure || !strings.Contains(strings.ToLower(results), "pass")) {
			t.Fatalf("%q of %q is authenticated: %s", from, results, why)
		}
	})
}
