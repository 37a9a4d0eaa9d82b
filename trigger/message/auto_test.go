package message

import (
	"strings"
	"testing"
)

func TestAutoSubmitted(t *testing.T) {
	for _, c := range []struct{ header, keyword, why string }{
		{"From: anna@example.com\nSubject: Auto-Submitted: yes", "no", ""},
		{"Auto-Submitted: no", "no", ""},
		{"Auto-Submitted: (said by) No (person)", "no", ""},
		{"Auto-Submitted:", "no", ""},
		{"Auto-Submitted: auto-replied", "auto-replied", "Auto-Submitted: auto-replied"},
		{"auto-submitted: (a (nested) \\) one) AUTO-Generated; owner-email=\"a@b\"", "auto-generated", ""},
		{"Auto-Submitted: auto-notified(sieve)", "auto-notified", ""},
		{"Auto-Submitted: no\nAuto-Submitted: auto-replied", "auto-replied", ""},
		{"Precedence: bulk\nAuto-Submitted: auto-replied", "auto-replied", "Auto-Submitted: auto-replied"},
		{"Precedence: bulk\nAuto-Submitted: no", "auto-generated", "Precedence: bulk"},
		{"Return-Path: <>", "auto-generated", "Return-Path: <>"},
		{"Return-Path:  < > ", "auto-generated", ""},
		{"Return-Path: <MAILER-DAEMON@mx.example.com>", "auto-generated", ""},
		{"Return-Path: <anna@example.com>\nReturn-Path: <>", "no", ""},
		{"Return-Path: anna@example.com", "no", ""},
		{"Content-Type: Multipart/Report; report-type=delivery-status; boundary=x", "auto-generated", ""},
		{"Content-Type: multipart/mixed; boundary=multipart/report", "no", ""},
		{"Content-Type: message/disposition-notification", "auto-generated", ""},
		{"From: Mail Delivery System <MAILER-DAEMON@mx.example.com>", "auto-generated", "From: MAILER-DAEMON@mx.example.com"},
		{"From: mailer-daemons@example.com", "no", ""},
		{"Precedence: List", "auto-generated", ""},
		{"Precedence: auto_reply", "auto-replied", ""},
		{"Precedence: first-class", "no", ""},
		{"List-Id: A list <list.example.com>", "auto-generated", "List-Id: A list <list.example.com>"},
		{"List-Unsubscribe: <mailto:off@example.com>", "auto-generated", ""},
		{"X-Auto-Response-Suppress: DR, OOF, AutoReply", "auto-generated", ""},
		{"X-Auto-Response-Suppress: All", "auto-generated", ""},
		{"X-Auto-Response-Suppress: DR, RN, NRN", "no", ""},
		{"X-Auto-Response-Suppress: none", "no", ""},
		{"X-Autoreply: yes", "auto-replied", ""},
		{"X-Autoreply: no", "no", ""},
		{"X-Loop: robot@example.com", "auto-generated", ""},
		{"Delivered-To: Autoresponder", "auto-replied", ""},
		{"Delivered-To: anna@example.com", "no", ""},
	} {
		raw := crlf(c.header + "\n\ntext\n")
		for _, m := range []*Message{Parse(raw, Options{}), ParseHeader(raw, Options{})} {
			keyword, why := m.AutoKeyword()
			auto, same := m.AutoSubmitted()
			if keyword != c.keyword || c.why != "" && why != c.why || auto != (c.keyword != "no") || same != why || auto != (why != "") {
				t.Errorf("%q: %q (%q), %v (%q); want %q (%q)", c.header, keyword, why, auto, same, c.keyword, c.why)
			}
		}
	}
}

// A word of any length and any nest of comments costs one look at each byte.
func TestFirstWordHostile(t *testing.T) {
	for _, v := range []string{strings.Repeat("(", 1<<20), strings.Repeat("()", 1<<19), strings.Repeat("\\", 1<<20) + "(", ")" + strings.Repeat(" ", 1<<20), "(\\"} {
		firstWord(v)
	}
}
